"""Payloads of Sparkplug B: beside PyPI pysparkplug (which uses Google's protocol buffers), and bad ones."""

from __future__ import annotations

import contextlib
import datetime
import math
from typing import Any

import pysparkplug
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.errors import ConfigError, LocalError
from pilotwire.protocols.sparkplug import BadPayload, Metric, Payload, Topic, decode, encode, parse
from pilotwire.protocols.sparkplug.payload import MOST_BYTES, NUMBERS
from pilotwire.protocols.sparkplug.topics import BadTopic, part

_INTEGERS = {
    **{f"Int{bits}": st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
VALUES: dict[str, Any] = {
    **_INTEGERS,
    "Float": st.floats(width=32, allow_nan=False),
    "Double": st.floats(allow_nan=False),
    "Boolean": st.booleans(),
    "String": st.text(max_size=20),
    "Text": st.text(max_size=20),
    "UUID": st.uuids().map(str),
    "DateTime": st.integers(0, 4_000_000_000_000),
    "Bytes": st.binary(max_size=20),
}
STAMP = st.integers(0, 4_000_000_000_000)
NAMES = st.text(min_size=1, max_size=20)


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    kind: Any = draw(st.sampled_from(sorted(NUMBERS)))
    value = draw(st.one_of(st.none(), VALUES[kind]))
    return Metric(
        name=draw(NAMES), alias=draw(st.integers(0, 1 << 40)), timestamp_ms=draw(STAMP), kind=kind, value=value,
        historical=draw(st.booleans()),
    )  # fmt: skip


@given(st.lists(metrics(), max_size=6), STAMP, st.integers(0, 255))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_what_is_written_is_read_again_by_us_and_by_the_other(held: list[Metric], stamp: int, seq: int):
    written = encode(Payload(timestamp_ms=stamp, metrics=tuple(held), seq=seq))
    assert decode(written) == Payload(timestamp_ms=stamp, metrics=tuple(held), seq=seq)
    theirs = pysparkplug.NBirth.decode(written)
    assert (theirs.timestamp, theirs.seq, len(theirs.metrics)) == (stamp, seq, len(held))
    for ours, other in zip(held, theirs.metrics, strict=True):
        assert (ours.name, ours.alias, ours.timestamp_ms) == (other.name, other.alias, other.timestamp)
        assert other.datatype.name == ours.kind.upper() and other.is_historical == ours.historical  # type: ignore[union-attr]
        if ours.value is None:
            assert other.is_null
        elif ours.kind == "DateTime":
            assert isinstance(other.value, datetime.datetime)
            assert round(other.value.timestamp() * 1000) == ours.value
        else:
            assert other.value == ours.value


@given(st.lists(metrics(), min_size=1, max_size=4), STAMP)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_what_the_other_writes_is_read(held: list[Metric], stamp: int):
    theirs: list[pysparkplug.Metric] = []
    for metric in held:
        value: Any = metric.value
        if metric.kind == "DateTime" and isinstance(value, int):
            value = datetime.datetime.fromtimestamp(value // 1000, datetime.UTC)
        theirs.append(
            pysparkplug.Metric(
                timestamp=metric.timestamp_ms,
                name=metric.name,
                value=value,
                alias=metric.alias,
                datatype=pysparkplug.DataType[metric.kind.upper()],  # type: ignore[union-attr]
                is_historical=metric.historical,
                is_null=value is None,
            )
        )
    read = decode(pysparkplug.NBirth(timestamp=stamp, seq=7, metrics=tuple(theirs)).encode())
    assert (read.timestamp_ms, read.seq) == (stamp, 7)
    for ours, wanted in zip(read.metrics, held, strict=True):
        if wanted.kind == "DateTime" and isinstance(wanted.value, int):
            assert ours.value == wanted.value // 1000 * 1000
        else:
            assert ours.value == wanted.value
        assert (ours.name, ours.alias, ours.kind) == (wanted.name, wanted.alias, wanted.kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int8", 128), ("Int8", -129), ("UInt8", -1), ("UInt64", 1 << 64), ("Int32", 1.5), ("Int32", True),
        ("Boolean", 1), ("String", b"x"), ("Bytes", "x"), ("Double", "x"), ("DateTime", -1), (None, 1),
    ],
)  # fmt: skip
def test_a_value_that_its_type_cannot_hold_is_not_written(kind: Any, value: Any):
    with pytest.raises(LocalError):
        encode(Payload(metrics=(Metric(name="x", kind=kind, value=value),)))


def test_a_small_number_written_in_one_byte_of_two_s_complement_is_read_too():
    assert decode(b"\x12\x05\x20\x01\x50\xff\x01").metrics == (Metric(kind="Int8", value=-1),)


@given(st.binary(max_size=200))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_bytes_are_a_payload_or_a_bad_one(data: bytes):
    try:
        decode(data)
    except BadPayload as error:
        assert str(error)


def test_a_payload_cut_short_is_bad_or_shorter():
    whole = encode(
        Payload(
            timestamp_ms=1, seq=1, metrics=(Metric(name="power", kind="Double", value=math.pi),
                                            Metric(alias=3, kind="String", value="on"))
        )
    )  # fmt: skip
    for length in range(len(whole)):
        with contextlib.suppress(BadPayload):
            assert decode(whole[:length]) != decode(whole)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80", b"\x08" + b"\xff" * 10 + b"\x01", b"\x00\x01", b"\x0b", b"\x12\x7fx", b"\x12\x02\x52\x00",
        b"\x12\x03\x7a\x01\xff", b"\0" * (MOST_BYTES + 1), b"\x12\x00" * 20_001,
    ],
    ids=["cut", "long number", "field 0", "wire type 3", "too short", "no number", "no UTF-8", "large", "many"],
)  # fmt: skip
def test_bad_payloads_say_so(data: bytes):
    with pytest.raises(BadPayload):
        decode(data)


def test_unknown_fields_are_passed_over():
    assert decode(b"\x08\x05\x2a\x03abc\xf9\x07" + b"\0" * 8 + b"\x18\x09") == Payload(timestamp_ms=5, seq=9)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("spBv1.0/g/NBIRTH/n", Topic("NBIRTH", "g", "n")),
        ("spBv1.0/g/DCMD/n/d", Topic("DCMD", "g", "n", "d")),
        ("spBv1.0/STATE/host", Topic("STATE", "", "host")),
    ],
)
def test_topics(text: str, topic: Topic):
    assert parse(text) == topic and str(topic) == text


@pytest.mark.parametrize(
    "text",
    ["", "spBv1.0", "x/g/NBIRTH/n", "spBv1.0/g/NBIRTH", "spBv1.0/g/NBIRTH/n/d", "spBv1.0/g/DDATA/n",
     "spBv1.0//NBIRTH/n", "spBv1.0/g/STATE/n", "spBv1.0/g/XBIRTH/n", "spBv1.0/g/DDATA/n/d/e"],
)  # fmt: skip
def test_topics_that_are_none(text: str):
    with pytest.raises(BadTopic):
        parse(text)


@pytest.mark.parametrize("text", ["", "a/b", "a+", "#"])
def test_identifiers_that_mqtt_understands_otherwise(text: str):
    with pytest.raises(ConfigError):
        part(text)
