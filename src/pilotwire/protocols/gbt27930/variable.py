"""Messages without a fixed length: cells and temperatures (BMV, BMT, BSP) and diagnostics (annex B: DM1 to DM6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pilotwire.protocols.can.signals import SignalError

CELLS, POINTS, RESERVED = 256, 128, 16


class Variable(NamedTuple):
    """One such message. `sender`: "" is either end."""

    name: str
    pgn: int
    priority: int
    sender: str
    period_ms: int | None
    decode: Callable[[bytes], dict[str, Any]]
    encode: Callable[[Mapping[str, Any]], bytes]


def _bmv_in(data: bytes) -> dict[str, Any]:
    if len(data) % 2 or len(data) > CELLS * 2:
        raise SignalError(f"BMV has two bytes a cell and at most {CELLS} cells, not {len(data)} bytes")
    words = [data[at] | data[at + 1] << 8 for at in range(0, len(data), 2)]
    return {"cells": [((word & 0xFFF) * 10, word >> 12) for word in words]}


def _bmv_out(values: Mapping[str, Any]) -> bytes:
    cells: list[tuple[int, int]] = list(values["cells"])[:CELLS]
    return b"".join(
        (max(0, min(0xFFF, (mv + 5) // 10)) | (group & 0xF) << 12).to_bytes(2, "little") for mv, group in cells
    )


def _bmt_in(data: bytes) -> dict[str, Any]:
    if len(data) > POINTS:
        raise SignalError(f"BMT has at most {POINTS} points, not {len(data)}")
    return {"temperatures": [byte - 50 for byte in data]}


def _bmt_out(values: Mapping[str, Any]) -> bytes:
    return bytes(max(0, min(255, degrees + 50)) for degrees in list(values["temperatures"])[:POINTS])


def _raw_in(most: int) -> Callable[[bytes], dict[str, Any]]:
    def read(data: bytes) -> dict[str, Any]:
        if len(data) > most:
            raise SignalError(f"{len(data)} bytes, at most {most}")
        return {"data": data}

    return read


def _raw_out(values: Mapping[str, Any]) -> bytes:
    return bytes(values.get("data", b""))


def _codes_in(data: bytes) -> dict[str, Any]:
    """Four bytes a code: 19 bits SPN, 5 bits failure mode, 7 bits count, 1 bit conversion (0: as here, Intel)."""
    if len(data) % 4:
        raise SignalError(f"four bytes a trouble code, not {len(data)} in all")
    codes: list[dict[str, int]] = []
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4], "little")
        codes.append({"spn": word & 0x7FFFF, "mode": word >> 19 & 0x1F, "count": word >> 24 & 0x7F})
    return {"codes": codes}


def _codes_out(values: Mapping[str, Any]) -> bytes:
    return b"".join(
        (code["spn"] & 0x7FFFF | (code["mode"] & 0x1F) << 19 | (code["count"] & 0x7F) << 24).to_bytes(4, "little")
        for code in values["codes"]
    )


def _readiness_in(data: bytes) -> dict[str, Any]:
    if len(data) < 2:
        raise SignalError("DM3 has two bytes: how many codes now, how many before")
    return {"now": data[0], "before": data[1]}


def _readiness_out(values: Mapping[str, Any]) -> bytes:
    return bytes((min(255, values["now"]), min(255, values["before"])))


VARIABLE = (
    Variable("BMV", 0x1500, 7, "ev", 10_000, _bmv_in, _bmv_out),
    Variable("BMT", 0x1600, 7, "ev", 10_000, _bmt_in, _bmt_out),
    Variable("BSP", 0x1700, 7, "ev", 10_000, _raw_in(RESERVED), _raw_out),
    Variable("DM1", 0x2000, 6, "", None, _codes_in, _codes_out),
    Variable("DM2", 0x2100, 6, "", None, _codes_in, _codes_out),
    Variable("DM3", 0x2200, 6, "", None, _readiness_in, _readiness_out),
    Variable("DM4", 0x2300, 6, "", None, _raw_in(8), _raw_out),
    Variable("DM5", 0x2400, 6, "", None, _raw_in(8), _raw_out),
    # What a freeze frame consists of is a matter of the maker.
    Variable("DM6", 0x2500, 6, "", None, _raw_in(1785), _raw_out),
)
BY_PGN = {each.pgn: each for each in VARIABLE}
BY_NAME = {each.name: each for each in VARIABLE}
