"""Recorded conversations of GB/T 27930: frames → messages with their values in words, edition found out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.can.signals import SignalError
from pilotwire.protocols.j1939 import Aborted, Monitor

from .codec import MESSAGES, decode, faults, said
from .fields import BMS, CHARGER
from .messages import V1_0, Edition

_SIDES: dict[int, Literal["ev", "evse"]] = {BMS: "ev", CHARGER: "evse"}
_WHY = ("BST", "CST", "BEM", "CEM", "BSM")


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `error` says why it cannot be read; then there are no values."""

    side: Literal["ev", "evse"]
    name: str
    values: dict[str, Any]
    words: dict[str, str]
    note: str = ""
    """What is wrong, in words: why somebody stopped, what did not come, values out of range."""
    error: str = ""
    frames: int = 1


class Reader:
    """Reads along. `edition`: None: 2015, until something shows that it is 2011."""

    def __init__(self, edition: Edition | None = None) -> None:
        self.edition: Edition = edition or "2015"
        self.others = 0
        """Frames that are none of charger and BMS."""
        self._fixed = edition is not None
        self._monitor = Monitor()

    def feed(self, frame: CanFrame) -> Spoken | None:
        """What is whole with this frame; None: nothing, or a frame of others."""
        if not frame.extended or {frame.id & 0xFF, frame.id >> 8 & 0xFF} != {BMS, CHARGER}:
            self.others += 1
            return None
        packet = self._monitor.receive(frame)
        if packet is None:
            return None
        side = _SIDES[frame.id & 0xFF]
        if isinstance(packet, Aborted):
            return Spoken(
                side=side, name="abort", values={"pgn": packet.pgn, "reason": packet.reason}, words={},
                note=f"the transfer of {packet.pgn:04X}h was aborted: {packet.text}",
            )  # fmt: skip
        try:
            found = decode(packet.pgn, packet.data, self.edition)
            if found is not None and not self._fixed:
                self._learn(found[0], found[1], len(packet.data))
                found = decode(packet.pgn, packet.data, self.edition) or found
        except SignalError as error:
            return Spoken(side=side, name=f"{packet.pgn:04X}", values={}, words={}, error=str(error))
        if found is None:
            text = "no parameter group of the standard"
            return Spoken(side=side, name=f"{packet.pgn:04X}", values={}, words={}, error=text)
        name, values = found
        return Spoken(
            side=side, name=name, values=values, words=self._words(name, values), note=self._note(name, values),
            frames=packet.frames,
        )  # fmt: skip

    def _learn(self, name: str, values: dict[str, Any], size: int) -> None:
        if name in ("CHM", "BHM"):
            self.edition = "2015"
        elif name == "BRM":
            self.edition = "2011" if values["version"] <= V1_0 else "2015"
        elif name in ("CML", "CCS") and size == MESSAGES["2011"][name].length:
            self.edition = "2011"

    def _words(self, name: str, values: dict[str, Any]) -> dict[str, str]:
        message = MESSAGES[self.edition].get(name) or MESSAGES["2015"].get(name)
        if message is not None:
            return message.words(values)
        return {key: bytes(value).hex() if isinstance(value, bytes) else str(value) for key, value in values.items()}

    def _note(self, name: str, values: dict[str, Any]) -> str:
        notes = [said(name, values)] if name in _WHY else []
        if wrong := faults(name, values, self.edition if name in MESSAGES[self.edition] else "2015"):
            notes.append(f"out of range: {', '.join(wrong)}")
        return "; ".join(note for note in notes if note)


def edition_of(frames: Iterable[CanFrame]) -> Edition:
    """Which edition a recording is of: what the whole of it shows."""
    reader = Reader()
    for frame in frames:
        reader.feed(frame)
    return reader.edition
