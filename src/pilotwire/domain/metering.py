"""What the sampled values of one message say about a session: registers, power, state of charge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import force_setattr

from .records import Register, Sample

REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
SOC = "SoC"
_LOCATIONS = ("Outlet", "Inlet")
"""Where the session's own meter sits, the last resort last; Cable, EV and Body are other meters."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One message's worth. Registers in Wh, power in W, SoC in 0.1 %, times by the station's clock (ms)."""

    first: Register | None
    last: Register | None
    begins: bool
    """`first` is of context Transaction.Begin."""
    power_w: int | None
    soc: int | None
    newest: int
    """The newest sample's time; 0 without samples."""


_FAR = 1 << 62

NOTHING = Reading(None, None, False, None, None, 0)


class Series(NamedTuple):
    """All that makes a station's sample what it is but its time and value; the fields mean what `Sample`'s do."""

    evse: int
    connector: int
    measurand: str
    phase: str
    location: str
    context: str
    unit: str


Row = tuple[str, int, list[Series], list[int]]
"""Samples of one message, session and time as a store writes them: session id, time, series, as many values."""


class Batch(Protocol):
    """The samples of one message that are made only when somebody iterates: for the store, after the decision."""

    def __iter__(self) -> Iterator[Sample]: ...

    def rows(self) -> Iterable[Row]:
        """The same as rows, each session and time once, without making `Sample`s of them."""
        ...

    def assign(self, session_id: str) -> None:
        """Fill in the session of all of them."""
        ...

    def compact(self, frame: bytes) -> None:
        """Let go of the decoded message; `frame`, the one it came in, has it all.

        For a store that keeps the entry for long: a message takes several times the room of its frame, and is freed
        much faster while the processor still has it at hand.
        """
        ...

    def reading(self) -> Reading:
        """What `read` would find in them."""
        ...


Samples = tuple[Sample, ...] | Batch
"""The samples of one message. A `Batch` is always true; it may turn out to hold none."""


def rows(samples: Samples) -> Iterable[Row]:
    """Samples as a store writes them, in the order of their coming."""
    if not isinstance(samples, tuple):
        return samples.rows()
    return merged(
        (
            s.session_id,
            s.time,
            [Series(s.evse, s.connector, s.measurand, s.phase, s.location, s.context, s.unit)],
            [s.value],
        )
        for s in samples
    )


def merged(found: Iterable[Row]) -> list[Row]:
    """Each session and time once."""
    known: dict[tuple[str, int], Row] = {}
    for row in found:
        first = known.setdefault(row[:2], row)
        if first is not row:
            first[2].extend(row[2])
            first[3].extend(row[3])
    return list(known.values())


def assign(samples: Samples, session_id: str) -> None:
    """Fill in the session of samples that were made for the message at hand (in place: nobody else has them yet)."""
    if not isinstance(samples, tuple):
        samples.assign(session_id)
        return
    for sample in samples:
        force_setattr(sample, "session_id", session_id)


def read(samples: Samples) -> Reading:
    """The registers (first and last by time), the newest power and the newest SoC in `samples`.

    Transaction.Begin is the first and Transaction.End the last whatever their times say: the clock may have been set.
    A value without a phase is taken before the sum over phases, the outlet's meter before the inlet's.
    """
    if not isinstance(samples, tuple):
        return samples.reading()
    first_key = last_key = first_time = last_time = first = last = power = power_time = soc = soc_time = 0
    registers = begins = have_power = have_soc = slow = False
    newest = 0
    for sample in samples:
        time = sample.time
        if time > newest:
            newest = time
        measurand = sample.measurand
        if measurand == REGISTER:
            if sample.phase or sample.location not in ("", "Outlet"):
                slow = True
                continue
            value = sample.value
            key = time
            context = sample.context
            if context == "Transaction.Begin":
                key, begins = -_FAR, True
            elif context == "Transaction.End":
                key = _FAR
            if not registers:
                registers = True
                first_key = last_key = key
                first_time = last_time = time
                first = last = value
            else:
                if key < first_key or (key == first_key and value < first):
                    first_key, first_time, first = key, time, value
                if key > last_key or (key == last_key and value > last):
                    last_key, last_time, last = key, time, value
        elif measurand == POWER:
            if sample.phase or sample.location not in ("", "Outlet"):
                slow = True
            elif not have_power or time >= power_time:
                have_power, power_time, power = True, time, sample.value
        elif measurand == SOC and (not have_soc or time >= soc_time):
            have_soc, soc_time, soc = True, time, sample.value
    if slow:
        if not registers:
            readings = _per_time(samples, REGISTER)
            if readings:
                registers = True
                (first_time, first), (last_time, last) = min(readings), max(readings)
                begins = any(
                    s.time == first_time and s.measurand == REGISTER and s.context == "Transaction.Begin"
                    for s in samples
                )
        if not have_power:
            readings = _per_time(samples, POWER)
            if readings:
                have_power, (power_time, power) = True, max(readings)
    return Reading(
        Register(first_time, _thousandth(first)) if registers else None,
        Register(last_time, _thousandth(last)) if registers else None,
        begins,
        _thousandth(power) if have_power else None,
        soc // 100 if have_soc else None,
        newest,
    )


def _thousandth(value: int) -> int:
    """Thousandths (mWh, mW) as whole units, the half up."""
    return (value + 500) // 1000


def _per_time(samples: tuple[Sample, ...], measurand: str) -> list[tuple[int, int]]:
    """(time, value) of one location, phases summed where no total was sent."""
    for location in _LOCATIONS:
        totals: dict[int, int] = {}
        phases: dict[int, int] = {}
        for sample in samples:
            if sample.measurand != measurand or (sample.location or "Outlet") != location:
                continue
            if not sample.phase:
                totals[sample.time] = sample.value
            elif sample.phase in ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N"):
                phases[sample.time] = phases.get(sample.time, 0) + sample.value
        found = totals or phases
        if found:
            return list(found.items())
    return []
