"""EXI without another codec beside it: what comes back, what is refused and why, and nothing else ever happens."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.exi.exi_messages import Maker, NotMade

from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of
from pilotwire.protocols.exi.json_form import from_json, to_json


def value(number: int, unit: str) -> dict[str, Any]:
    return {"Multiplier": 0, "Unit": unit, "Value": number}


DEMAND: dict[str, Any] = {
    "V2G_Message": {
        "Header": {"SessionID": bytes(8)},
        "Body": {
            "CurrentDemandReq": {
                "DC_EVStatus": {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 55},
                "EVTargetCurrent": value(100, "A"),
                "EVMaximumVoltageLimit": value(450, "V"),
                "ChargingComplete": False,
                "EVTargetVoltage": value(400, "V"),
            }
        },
    }
}
OFFER: dict[str, Any] = {
    "ProtocolNamespace": "urn:iso:15118:2:2013:MsgDef", "VersionNumberMajor": 2, "VersionNumberMinor": 0, "SchemaID": 1,
    "Priority": 1,
}  # fmt: skip


def made(schema: str, seed: int, fullness: float) -> dict[str, Any]:
    """A message of a schema."""
    grammar = grammar_of(schema)
    chosen = random.Random(seed).sample(grammar.document, len(grammar.document))
    for local, index in chosen:
        try:
            return {local: Maker(grammar, seed, fullness).element(index)}
        except NotMade:
            continue
    raise AssertionError(f"{schema} has no message")


messages = st.builds(
    lambda schema, seed, fullness: (schema, made(schema, seed, fullness)),
    st.sampled_from(exi.SCHEMAS),
    st.integers(0, 10**6),
    st.sampled_from((0, 0.3, 0.7)),
)


@given(messages)
def test_what_is_written_is_read(given: tuple[str, dict[str, Any]]) -> None:
    schema, message = given
    data = exi.encode(schema, message)
    assert exi.decode(schema, data) == message
    assert exi.decode(schema, data + b"\0") == message  # as some vehicles pad
    shown = json.loads(json.dumps(to_json(schema, message)))
    assert from_json(schema, shown) == message
    with pytest.raises(exi.DecodeError):
        exi.decode(schema, data + b"\1")


@given(messages, st.data())
def test_damaged_streams_are_refused_or_mean_something_else(given: tuple[str, dict[str, Any]], data: Any) -> None:
    schema, message = given
    stream = bytearray(exi.encode(schema, message))
    for _ in range(data.draw(st.integers(1, 4))):
        bit = data.draw(st.integers(0, len(stream) * 8 - 1))
        stream[bit // 8] ^= 1 << bit % 8
    cut = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    for damaged in (bytes(stream), cut):
        try:
            found = exi.decode(schema, damaged)
        except exi.DecodeError:
            continue
        assert exi.decode(schema, exi.encode(schema, found)) == found


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    for schema in exi.SCHEMAS:
        for read in (exi.decode, exi.decode_fragment):
            with suppress(exi.DecodeError):
                read(schema, b"\x80" + data)


def test_a_list_is_as_long_as_the_schema_allows_and_no_longer() -> None:
    whole = {"supportedAppProtocolReq": {"AppProtocol": [OFFER] * 20}}
    assert exi.decode("sap", exi.encode("sap", whole)) == whole
    whole["supportedAppProtocolReq"]["AppProtocol"].append(OFFER)
    with pytest.raises(exi.EncodeError, match="supportedAppProtocolReq: AppProtocol may come 20 times here, not 21"):
        exi.encode("sap", whole)


def changed(path: str, to: object) -> dict[str, Any]:
    copy: dict[str, Any] = from_json("iso2", json.loads(json.dumps(to_json("iso2", DEMAND))))
    *above, last = path.split("/")
    place = copy["V2G_Message"]
    for name in above:
        place = place[name]
    if to is None:
        del place[last]
    else:
        place[last] = to
    return copy


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        ("Header/SessionID", bytes(9), "V2G_Message/Header/SessionID: it is 9 long, not 0 to 8"),
        ("Header/SessionID", "00", "is no bytes"),
        ("Body/CurrentDemandReq/EVTargetCurrent/Value", 40_000, "EVTargetCurrent/Value: 40000 is not between -32768"),
        ("Body/CurrentDemandReq/EVTargetCurrent/Value", 1.5, "1.5 is no whole number"),
        ("Body/CurrentDemandReq/EVTargetCurrent/Value", True, "True is no whole number"),
        ("Body/CurrentDemandReq/EVTargetCurrent/Multiplier", 4, "4 is not between -3 and 3"),
        ("Body/CurrentDemandReq/EVTargetCurrent/Unit", "kV", "'kV' is none of h, m, s, A, V"),
        ("Body/CurrentDemandReq/ChargingComplete", 1, "1 is neither true nor false"),
        ("Body/CurrentDemandReq/ChargingComplete", None, "CurrentDemandReq: it lacks"),
        ("Body/CurrentDemandReq/DC_EVStatus/EVRESSSOC", 101, "101 is not between 0 and 100"),
        ("Body/CurrentDemandReq/Colour", "red", "CurrentDemandReq: it may have no Colour here"),
        ("Body/SessionStopReq", {"ChargingSession": "Terminate"}, "it may have no"),
        ("Body/CurrentDemandReq/DC_EVStatus", [], "is no element with others within"),
        ("Header", {"SessionID": bytes(8), "Signature": "x"}, "'x' is no element with others within"),
    ],
)
def test_what_the_schema_cannot_express_is_said_with_its_place(path: str, to: object, said: str) -> None:
    with pytest.raises(exi.EncodeError, match=said.replace("(", r"\(")):
        exi.encode("iso2", changed(path, to))


def test_what_is_no_message() -> None:
    for message, said in (
        ({}, "one root"),
        ({"A": {}, "B": {}}, "one root"),
        ({"Nothing": {}}, "no element Nothing"),
        ({"V2G_Message": None}, "None is no element"),
    ):
        with pytest.raises(exi.EncodeError, match=said):
            exi.encode("iso2", message)
    with pytest.raises(exi.EncodeError, match="AppProtocol may come several times: a list is wanted"):
        exi.encode("sap", {"supportedAppProtocolReq": {"AppProtocol": OFFER}})
    with pytest.raises(exi.UnknownSchema, match="'iso3', but sap, din"):
        exi.decode("iso3", b"\x80")
    for data in (b"", b"\0", b"$EXI\x80", b"\x80"):
        with pytest.raises(exi.DecodeError):
            exi.decode("iso2", data)
    with pytest.raises(exi.DecodeError, match="the stream ends within the message"):
        exi.decode("iso2", exi.encode("iso2", DEMAND)[:-3])
    with pytest.raises(exi.DecodeError, match="does not end behind its element"):
        exi.decode_fragment("iso2", exi.encode_fragment("iso2", {"eMAID": {"Id": "a", "value": "DE12345678901A"}})[:-1])
    with pytest.raises(exi.EncodeError, match="'zz' is no text in hexadecimal digits"):
        from_json("iso2", {"V2G_Message": {"Header": {"SessionID": "zz"}}})


def test_strings_that_were_sent_before_may_be_referred_to() -> None:
    """No sender in the field does; the encoding allows it, and a receiver has to know."""
    offers = [OFFER, {**OFFER, "SchemaID": 2}]
    full = exi.encode("sap", {"supportedAppProtocolReq": {"AppProtocol": offers}})
    bits = "".join(f"{byte:08b}" for byte in full)
    text = "".join(f"{ord(one):08b}" for one in str(OFFER["ProtocolNamespace"]))
    begin = bits.rindex(text) - 8  # with its length
    for reference in ("00000000", "00000001"):  # among those of the same element; among all. One string needs no bits.
        short = bits[:begin] + reference + bits[begin + 8 + len(text) :].rstrip("0")
        short += "0" * (-len(short) % 8)
        data = int(short, 2).to_bytes(len(short) // 8, "big")
        found = exi.decode("sap", data + b"\0")
        assert found == {"supportedAppProtocolReq": {"AppProtocol": offers}}
    first = bits.index(text) - 8
    wrong = bits[:first] + "00000000" + bits[first + 8 + len(text) :]
    with pytest.raises(exi.DecodeError, match="ProtocolNamespace: it refers to a string that was not sent"):
        exi.decode("sap", int(wrong, 2).to_bytes(len(wrong) // 8, "big"))


def test_text_beyond_ascii() -> None:
    offer = {**OFFER, "ProtocolNamespace": "urn:Prüfung:電"}
    message = {"supportedAppProtocolReq": {"AppProtocol": [offer]}}
    assert exi.decode("sap", exi.encode("sap", message)) == message
