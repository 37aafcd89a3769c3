"""The messages of GB/T 27930: identifiers, lengths and bytes as the standard has them, and there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.gbt27930.gbt_bench import VALUES, zeros

from pilotwire.protocols.can import SignalError
from pilotwire.protocols.can.signals import Signal
from pilotwire.protocols.gbt27930 import MESSAGES, decode, encode, faults, said
from pilotwire.protocols.gbt27930.codec import group
from pilotwire.protocols.gbt27930.variable import VARIABLE

TABLE = {
    # tables 3 to 7 of edition 2015: identifier, bytes, period
    "CHM": (0x1826F456, 3, 250), "BHM": (0x182756F4, 2, 250), "CRM": (0x1801F456, 8, 250),
    "BRM": (0x1C0256F4, 49, 250), "BCP": (0x1C0656F4, 13, 500), "CTS": (0x1807F456, 7, 500),
    "CML": (0x1808F456, 8, 250), "BRO": (0x100956F4, 1, 250), "CRO": (0x100AF456, 1, 250),
    "BCL": (0x181056F4, 5, 50), "BCS": (0x1C1156F4, 9, 250), "CCS": (0x1812F456, 8, 50),
    "BSM": (0x181356F4, 7, 250), "BST": (0x101956F4, 4, 10), "CST": (0x101AF456, 4, 10),
    "BSD": (0x181C56F4, 7, 250), "CSD": (0x181DF456, 8, 250), "BEM": (0x081E56F4, 4, 250),
    "CEM": (0x081FF456, 4, 250),
}  # fmt: skip


def test_identifiers_lengths_and_periods():
    assert {name: (each.id, each.length, each.period_ms) for name, each in MESSAGES["2015"].items()} == TABLE
    older = {name: each.length for name, each in MESSAGES["2011"].items()}
    assert older == {
        name: {"BRM": 41, "CML": 6, "CCS": 6, "CSD": 5}.get(name, length)
        for name, (_, length, _) in TABLE.items()
        if name not in ("CHM", "BHM")
    }
    assert {each.name: each.pgn for each in VARIABLE} == {
        "BMV": 0x1500, "BMT": 0x1600, "BSP": 0x1700,
        "DM1": 0x2000, "DM2": 0x2100, "DM3": 0x2200, "DM4": 0x2300, "DM5": 0x2400, "DM6": 0x2500,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values", "wire"),
    [
        ("CHM", {"version": 0x000101}, "010100"),
        ("BHM", {"max_voltage": 450_000}, "9411"),
        ("CRM", {"recognised": 0xAA, "charger": 0x01020304, "region": None}, "aa04030201ffffff"),
        ("CRM", {"recognised": 0, "charger": 1, "region": "SHA"}, "0001000000534841"),
        # 100 A into the vehicle are -100 A there, offset -400 A: 3000
        ("BCL", {"voltage": 400_000, "current": 100_000, "mode": 2}, "a00fb80b02"),
        ("BCL", {"voltage": 400_000, "current": 0, "mode": 1}, "a00fa00f01"),
        ("CML", {"max_voltage": 750_000, "min_voltage": 200_000, "max_current": 250_000, "min_current": 0},
         "4c1dd007dc05a00f"),
        ("CTS", {"second": 59, "minute": 30, "hour": 23, "day": 21, "month": 11, "year": 2026}, "59302321112620"),
        ("BCP", VALUES["BCP"], "a401d00758029411" + "69" + "f401" + "d80e"),
        # cell voltage in 12 bits, its group above; 1 % a step here, 0.1 % in BCP
        ("BCS", VALUES["BCS"] | {"max_cell_group": 5}, "d80eb80b" + "8651" + "32" + "1e00"),
        ("CCS", {"voltage": 400_000, "current": 100_000, "time": 60_000, "permitted": 1}, "a00fb80b0100fdff"),
        ("BSM", VALUES["BSM"], "004b004601" + "00" + "d0"),
        ("BST", zeros("BST", soc_reached=1, other=1, voltage=1), "010040f4"),
        ("CST", zeros("CST", by_hand=1, emergency=1), "0400f1f0"),
        ("CEM", zeros("CEM", bcl=1), "fcf0c4fc"),
        ("BEM", zeros("BEM", ccs=1), "f0f0f1fc"),
        ("BSD", VALUES["BSD"], "5a" + "8601" + "9001" + "46" + "50"),
        ("CSD", {"time": 60_000, "energy": 3_200, "charger": 7}, "0100200007000000"),
        ("BMV", {"cells": [(3_900, 0), (4_000, 15)]}, "860190f1"),
        ("BMT", {"temperatures": [-50, 25, 200]}, "004bfa"),
        ("DM1", {"codes": [{"spn": 3522, "mode": 7, "count": 1}]}, "c20d3801"),
        ("DM3", {"now": 1, "before": 2}, "0102"),
    ],
)  # fmt: skip
def test_bytes_on_the_wire(name: str, values: dict[str, Any], wire: str):
    assert encode(name, values).hex() == wire
    found = decode(group(name)[0], bytes.fromhex(wire))
    assert found is not None and found[0] == name
    assert {key: found[1][key] for key in values} == values


def test_the_layouts_of_2011():
    assert encode("CRM", {"recognised": 0xAA, "charger": 7, "region": "310115"}, "2011").hex() == "aa07333130313135"
    assert encode("CCS", {"voltage": 400_000, "current": 100_000, "time": 0}, "2011").hex() == "a00fb80b0000"
    assert encode("CSD", {"time": 0, "energy": 100, "charger": 7}, "2011").hex() == "0000010007"
    assert len(encode("BRM", VALUES["BRM"], "2011")) == 41
    assert encode("BRM", VALUES["BRM"], "2015")[:41] == encode("BRM", VALUES["BRM"], "2011")
    with pytest.raises(KeyError):
        encode("CHM", {"version": 0x100}, "2011")


def test_either_edition_reads_the_lengths_of_the_other():
    long, short = encode("CCS", VALUES["CCS"], "2015"), encode("CCS", {"voltage": 1000}, "2011")
    assert decode(0x1200, long, "2011") == ("CCS", {"voltage": 400_000, "current": 100_000, "time": 0})
    assert decode(0x1200, long[:7], "2015")[1]["permitted"] == 1  # type: ignore[index]
    assert decode(0x1200, short, "2015")[1]["permitted"] is None  # type: ignore[index]
    brm = decode(0x0200, encode("BRM", VALUES["BRM"], "2011"), "2015")
    assert brm is not None and brm[1]["vin"] == VALUES["BRM"]["vin"] and brm[1]["software"] is None


def test_what_is_not_told_is_ones():
    assert (
        encode("BRM", {"version": 0x101, "battery": 3, "capacity": 1_000, "rated_voltage": 100_000})[8:] == b"\xff" * 41
    )
    assert encode("BCS", {}) == b"\xff" * 9


def test_reasons_in_words():
    assert said("BST", zeros("BST", soc_reached=1, relay=1)) == (
        "the wanted state of charge is reached; fault of the high-voltage relay"
    )
    assert said("BSM", VALUES["BSM"] | {"soc": 2, "over_current": 2}) == "the state of charge is too low"
    assert said("CEM", zeros("CEM", brm=1)) == "no BRM came in time"
    assert said("BSM", VALUES["BSM"]) == ""
    with pytest.raises(SignalError):
        said("BMV", {})


def test_values_out_of_range_are_named():
    found = decode(0x1100, bytes.fromhex("d80eb80b865165ffff"))
    assert found is not None and faults("BCS", found[1]) == ["soc"]
    assert faults("BRO", {"ready": 0x55}) == ["ready"]
    assert faults("BCL", {"voltage": 1, "current": 500_000, "mode": 3}) == ["current", "mode"]


@pytest.mark.parametrize(
    ("pgn", "data"), [(0x1500, bytes(3)), (0x1500, bytes(514)), (0x1600, bytes(129)), (0x1700, bytes(17)),
                      (0x2000, bytes(5)), (0x2200, b"\x01"), (0x2400, bytes(9)), (0x0600, bytes(12))],
)  # fmt: skip
def test_what_cannot_be_is_an_error(pgn: int, data: bytes):
    with pytest.raises(SignalError):
        decode(pgn, data)


def value_of(signal: Signal) -> st.SearchStrategy[Any]:
    """Values that a signal can say exactly."""
    if signal.kind == "choice":
        known = [each for each in signal.choices if each != signal.missing]
        return st.sampled_from(known if signal.missing is None else [*known, None])
    if signal.kind == "bytes":
        return st.binary(min_size=signal.length // 8, max_size=signal.length // 8)
    if signal.kind == "text":
        most = signal.length // 8
        return st.none() | st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=1, max_size=most)
    if signal.kind == "bcd":
        return st.none() | st.integers(0, 10 ** (signal.length // 4) - 1)
    top = (1 << signal.length) - 1
    steps = st.integers(0, top if signal.missing is None else top - 1)
    number = steps.map(lambda raw: raw * signal.factor.numerator + signal.offset)
    return number if signal.missing is None else st.none() | number


@given(st.data())
@settings(max_examples=250, derandomize=True, deadline=None)
def test_every_message_there_and_back(data: st.DataObject):
    edition = data.draw(st.sampled_from(["2011", "2015"]))
    message = data.draw(st.sampled_from(sorted(MESSAGES[edition].values(), key=lambda each: each.name)))
    values = {signal.name: data.draw(value_of(signal), signal.name) for signal in message.signals}
    wire = encode(message.name, values, edition)
    assert len(wire) == message.length
    assert decode(group(message.name, edition)[0], wire, edition) == (message.name, values)


@given(st.integers(0, 0x3FFFF), st.binary(max_size=60), st.sampled_from(["2011", "2015"]))
@settings(max_examples=400, derandomize=True)
def test_whatever_comes_is_read_or_refused(pgn: int, data: bytes, edition: Any):
    for each in (pgn, (pgn % 0x30) << 8):
        try:
            found = decode(each, data, edition)
        except SignalError:
            continue
        if found is not None:
            faults(found[0], found[1], "2015")
            again = encode(found[0], found[1], "2015" if found[0] in ("CHM", "BHM") else edition)
            read = decode(each, again, edition)
            assert read is not None
            told = {key: value for key, value in found[1].items() if value is not None}
            assert {key: read[1][key] for key in told} == told
