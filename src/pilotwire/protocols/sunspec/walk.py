"""Finding a device's models: `Walk` says what to read next, is told the answer, and ends with a `Chain`.

The chain begins with "SunS" at one of a few addresses, each model begins with its number and length,
and 0xFFFF ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotwire.protocols.modbus.planner import Want

from .models import Spot, layout

SUNS = (0x5375, 0x6E53)
BASES = (40000, 0, 50000)
"""The three that SunSpec names; a walk can be given others, 39999 and 49999 for those who count from 1."""
MOST_MODELS = 100
"""A chain that goes on for longer is none."""


class Placed(msgspec.Struct, frozen=True):
    """One model of a device."""

    number: int
    address: int
    """Of its ID."""
    length: int
    """L: registers behind L itself."""


class Chain(msgspec.Struct, frozen=True):
    """The models of a device."""

    base: int
    models: tuple[Placed, ...]
    faults: tuple[str, ...] = ()
    """What is wrong with the chain, in words; its models up to there can be used."""

    def find(self, number: int) -> Placed | None:
        """The first model with a number."""
        return next((placed for placed in self.models if placed.number == number), None)

    def locate(self, path: str) -> tuple[Placed, Spot] | None:
        """Where "103.W" or "160.module[0].DCW" is; None where the device has no such model, or we no such point."""
        number, _, name = path.partition(".")
        placed = self.find(int(number)) if number.isdigit() else None
        if placed is None:
            return None
        try:
            spot = layout(placed.number, placed.length).get(name)
        except KeyError:
            return None
        return None if spot is None else (placed, spot)


class Walk:
    """Sans-IO: while `want` is not None, read it (holding registers) and `answer`."""

    def __init__(self, bases: Sequence[int] = BASES) -> None:
        self._bases = list(bases)
        self._base: int | None = None
        self._at = 0
        self._models: list[Placed] = []
        self._faults: list[str] = []
        self.chain: Chain | None = None
        """When `want` is None: what was found; None: no SunSpec here."""

    @property
    def want(self) -> Want | None:
        """What to read next."""
        if self.chain is not None:
            return None
        if self._base is None:
            return Want(3, self._bases[0], 2) if self._bases else None
        return Want(3, self._at, 2)

    def answer(self, registers: Sequence[int] | None) -> None:
        """What stands there; None: the device answered with an exception, or not at all."""
        if self._base is None:
            base = self._bases.pop(0)
            if registers is not None and tuple(registers) == SUNS:
                self._base, self._at = base, base + 2
            return
        if registers is None or len(registers) != 2:
            # Many a device refuses two registers where the end marker is the last one it has.
            self._end("" if self._models else f"nothing can be read behind the marker at {self._base}")
            return
        number, length = registers
        if number == 0xFFFF:
            self._end("")
        elif number == 0:
            self._end(f"the model at {self._at} has the number 0")
        elif self._at + 2 + length > 0xFFFF:
            self._end(f"model {number} at {self._at} is {length} registers long, which is behind the last address")
        else:
            self._models.append(Placed(number, self._at, length))
            self._at += 2 + length
            if len(self._models) >= MOST_MODELS:
                self._end(f"more than {MOST_MODELS} models: the chain has no end")
            elif self._at > 0xFFFE:
                self._end("the chain has no end marker")

    def _end(self, fault: str) -> None:
        assert self._base is not None
        self.chain = Chain(self._base, tuple(self._models), (fault,) if fault else ())
