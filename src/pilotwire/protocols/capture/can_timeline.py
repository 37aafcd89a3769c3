"""CAN frames as what they say: CHAdeMO's tables, GB/T 27930 behind J1939's transport protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from pilotwire.core.evse_link import Side
from pilotwire.protocols.can import CanFrame, SignalError
from pilotwire.protocols.chademo import FRAMES
from pilotwire.protocols.gbt27930 import decode as decode_gbt
from pilotwire.protocols.gbt27930.fields import BMS, CHARGER
from pilotwire.protocols.j1939 import Aborted, Monitor, parse

CanProtocol = Literal["chademo", "gbt27930", "can"]
_ONLY_2015: Final = frozenset({0x2600, 0x2700})
"""CHM and BHM: the edition of 2011 has none."""
_SIDES: Final[dict[int, Side]] = {BMS: "ev", CHARGER: "evse"}


class CanSaid(msgspec.Struct, frozen=True, kw_only=True):
    """One message on CAN."""

    at_us: int
    protocol: CanProtocol
    side: Side | None
    name: str
    values: Mapping[str, Any]
    words: Mapping[str, str]
    error: str = ""


class CanReader:
    """Reads the frames of a log, in order. `protocol`: the one to use; empty: whichever a frame belongs to."""

    def __init__(self, protocol: str = "") -> None:
        self._protocol = protocol
        self._monitor = Monitor()
        self._edition: Literal["2011", "2015"] = "2011"
        self.others = 0
        """Frames of neither."""

    def feed(self, at_us: int, frame: CanFrame) -> list[CanSaid]:
        """What is whole with this frame."""
        if not frame.extended and self._protocol in ("", "chademo"):
            return self._chademo(at_us, frame)
        if frame.extended and self._protocol in ("", "gbt27930"):
            return self._gbt(at_us, frame)
        self.others += 1
        return []

    def _chademo(self, at_us: int, frame: CanFrame) -> list[CanSaid]:
        found = FRAMES.find(frame)
        if found is None:
            self.others += 1
            return []
        side: Side = "ev" if found.sender == "ev" else "evse"
        name = f"{frame.id:X} {found.name}"
        try:
            values, words, error = found.decode(frame.data), dict[str, str](), ""
            words = found.words(values)
        except SignalError as fault:
            values, words, error = {}, {}, str(fault)
        said = CanSaid(
            at_us=at_us, protocol="chademo", side=side, name=name, values=values, words=words, error=error
        )  # fmt: skip
        return [said]

    def _gbt(self, at_us: int, frame: CanFrame) -> list[CanSaid]:
        identifier = parse(frame.id)
        if {identifier.sa, identifier.da} != {BMS, CHARGER}:
            self.others += 1
            return []
        packet = self._monitor.receive(frame)
        if packet is None:
            return []
        if isinstance(packet, Aborted):
            text = f"transfer of {packet.pgn:04X} aborted, reason {packet.reason}"
            return [CanSaid(at_us=at_us, protocol="gbt27930", side=_SIDES.get(identifier.sa), name="TP.Conn_Abort",
                            values={}, words={"note": text})]  # fmt: skip
        side = _SIDES.get(packet.sa)
        if packet.pgn in _ONLY_2015:
            self._edition = "2015"
        try:
            found = decode_gbt(packet.pgn, packet.data, self._edition)
        except SignalError as error:
            return [CanSaid(at_us=at_us, protocol="gbt27930", side=side, name=f"{packet.pgn:04X}", values={}, words={},
                            error=str(error))]  # fmt: skip
        if found is None:
            return [CanSaid(at_us=at_us, protocol="gbt27930", side=side, name=f"{packet.pgn:04X}", values={}, words={},
                            error="no parameter group of the standard")]  # fmt: skip
        name, values = found
        words = {key: str(value) for key, value in values.items() if value is not None}
        return [CanSaid(at_us=at_us, protocol="gbt27930", side=side, name=name, values=values, words=words)]
