"""What a restart needs, in a small SQLite file: what each charger has been told, and what has been learned and agreed.

What is told is written down before it is told, and only when it changes; a word from outside when it is heard, for how
long it counts depends on when that was; the whole state now and then. A file that is
torn, too old or of another version is not believed: the site then begins as if for the first time, in the safe state,
and says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pilotwire.domain.energy import Evidence, EvseState, Moment, State, quality
from pilotwire.domain.energy.state import Moves, Seen

from .decide import SiteState
from .elapsed import Clocks, elapsed_ms, moved_ms
from .inputs import Heard
from .lost import Charger
from .small_file import open_whole
from .wiring import Wiring, others, without

_TABLE = "CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value BLOB, sum BLOB) WITHOUT ROWID"
FORMAT = 1
OLD_MS = 86_400_000
"""A state from before this is history: cars have come and gone, nothing in it says what chargers do now."""


class _Kept(msgspec.Struct, frozen=True):
    format: int
    now: Moment
    state: SiteState
    clocks: Clocks | None = None


class Words(msgspec.Struct, frozen=True):
    """What has been heard from outside, as of `now`."""

    now: Moment
    heard: tuple[Heard, ...]
    clocks: Clocks | None = None


class Loaded(NamedTuple):
    """`state` None: nothing usable, and `why`; `why` is "" at the very first start."""

    state: SiteState | None
    why: str
    others: tuple[str, ...] = ()
    """What the file names that is something else than when the state was stored: nothing of it is in `state`."""


_ENCODER = msgspec.msgpack.Encoder()
_KEPT = msgspec.msgpack.Decoder(_Kept)
_TOLD = msgspec.msgpack.Decoder(dict[str, Charger])
_WORDS = msgspec.msgpack.Decoder(Words)
_WIRING = msgspec.msgpack.Decoder(dict[str, str])


class SiteStore:
    """The file. One process at a time."""

    def __init__(self, path: Path, clocks: Callable[[int, int], Clocks] = Clocks, wiring: Wiring | None = None) -> None:
        """`clocks` makes all clocks of a moment of its steady one and UTC: with `elapsed.clocks` a clock that is set
        while we are away changes nothing. `wiring`: what the ids of the file stand for now. Raises sqlite3.Error where
        no file can be made there; a damaged one is put aside as `.damaged`."""
        self._clocks = clocks
        self._wiring: Wiring = {} if wiring is None else wiring
        self._wired = False
        self._told: bytes = b""
        self._heard: tuple[Heard, ...] = ()
        self._db, self.set_aside = open_whole(path, _TABLE)
        """`set_aside`: why an older file was put aside; "" where none was."""

    def close(self) -> None:
        self._db.close()

    def told(self, chargers: Mapping[str, Charger]) -> None:
        """See `loop.Memory`."""
        data = _ENCODER.encode(dict(chargers))
        if data != self._told:
            self._write("told", data)
            self._told = data

    def heard(self, words: Sequence[Heard], now: Moment) -> None:
        """See `loop.Memory`."""
        if tuple(words) != self._heard:
            self._write("heard", _ENCODER.encode(Words(now, tuple(words), self._of(now))))
            self._heard = tuple(words)

    def keep(self, state: SiteState, now: Moment) -> None:
        """See `loop.Memory`."""
        self._write("state", _ENCODER.encode(_Kept(FORMAT, now, state, self._of(now))))
        if not self._wired:
            # Last: as long as it is that of before, nothing that was stored before is believed of what is here now.
            self._write("wiring", _ENCODER.encode(dict(self._wiring)))
            self._wired = True

    def _of(self, now: Moment) -> Clocks:
        return self._clocks(now.tick_ms, now.utc_ms)

    def load(self, now: Moment) -> Loaded:
        """The state as it was kept, with its times moved onto the clock of this process, or why there is none."""
        data, why = self._read("state")
        if data is None:
            return Loaded(None, why)
        try:
            kept = _KEPT.decode(data)
            told_data, why = self._read("told")
            if why:
                return Loaded(None, why)
            told = {} if told_data is None else _TOLD.decode(told_data)
            words_data, why = self._read("heard")
            if why:
                return Loaded(None, why)
            words = None if words_data is None else _WORDS.decode(words_data)
            wiring_data, why = self._read("wiring")
            if why:
                return Loaded(None, why)
            before = self._wiring if wiring_data is None else _WIRING.decode(wiring_data)
        except (msgspec.MsgspecError, RecursionError) as error:
            return Loaded(None, f"the stored state is of another version ({error})")
        if kept.format != FORMAT:
            return Loaded(None, f"the stored state has format {kept.format}, this program writes {FORMAT}")
        here = self._of(now)
        away = elapsed_ms(kept.clocks or _alone(kept.now), here)
        if away > OLD_MS:
            return Loaded(None, f"the stored state is {away // 3_600_000} h old")
        state = merged(moved(kept.state, moved_ms(kept.clocks or _alone(kept.now), here)), told, words, here)
        gone = others(before, self._wiring)
        return Loaded(without(state, gone), "", gone)

    def _write(self, key: str, data: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", (key, data, _sum(key, data)))

    def _read(self, key: str) -> tuple[bytes | None, str]:
        try:
            row = self._db.execute("SELECT value, sum FROM memory WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            return None, f"the stored state cannot be read ({error})"
        if row is None:
            return None, ""
        if not isinstance(row[0], bytes) or row[1] != _sum(key, row[0]):
            return None, "the stored state is damaged: its checksum does not fit"
        return row[0], ""


def _sum(key: str, data: bytes) -> bytes:
    return blake2b(data, digest_size=16, person=key.encode()).digest()


def away_ms(kept: Moment, now: Moment) -> int:
    """By how much times of the steady clock at `kept` are to be moved, by the time of the day alone."""
    return moved_ms(_alone(kept), _alone(now))


def _alone(now: Moment) -> Clocks:
    """Of what was kept without its clocks: how long ago that was is known by the time of the day alone."""
    return Clocks(now.tick_ms, now.utc_ms)


def merged(state: SiteState, told: Mapping[str, Charger], words: Words | None, now: Moment | Clocks) -> SiteState:
    """`told` and `words` are the younger: one was written before each command, the other when it was heard."""
    chargers = dict(state.chargers)
    for id, charger in told.items():
        old = chargers.get(id, charger)
        chargers[id] = msgspec.structs.replace(
            old, base=charger.base, verified=charger.verified, lost=charger.lost, may=max(old.may, charger.base or 0)
        )
    heard = dict(state.heard)
    if words is not None:
        here = now if isinstance(now, Clocks) else _alone(now)
        shift = moved_ms(words.clocks or _alone(words.now), here)
        heard |= {word.source: msgspec.structs.replace(word, at_ms=word.at_ms + shift) for word in words.heard}
    return msgspec.structs.replace(state, chargers=chargers, heard=heard)


def _moved_quality(memory: quality.Memory, by_ms: int) -> quality.Memory:
    def of(sample: quality.Sample | None) -> quality.Sample | None:
        return None if sample is None else msgspec.structs.replace(sample, at_ms=sample.at_ms + by_ms)

    return msgspec.structs.replace(
        memory, good=of(memory.good), last=of(memory.last), same_since_ms=memory.same_since_ms + by_ms
    )


def moved(state: SiteState, by_ms: int) -> SiteState:
    """With all times of the steady clock moved by so much."""
    if not by_ms:
        return state

    def at(value: int | None) -> Any:
        return None if value is None else value + by_ms

    def of(evse: EvseState) -> EvseState:
        phasing = evse.phasing
        return msgspec.structs.replace(
            evse,
            changed_ms=at(evse.changed_ms),
            ceiling_until_ms=at(evse.ceiling_until_ms),
            since_ms=at(evse.since_ms),
            turn_ms=at(evse.turn_ms),
            odd_ms=at(evse.odd_ms),
            drawn_ms=at(evse.drawn_ms),
            switched_ms=at(evse.switched_ms),
            told=tuple((ma, until + by_ms) for ma, until in evse.told),
            phasing=msgspec.structs.replace(
                phasing,
                since_ms=at(phasing.since_ms),
                quiet_ms=at(phasing.quiet_ms),
                last_ms=at(phasing.last_ms),
                room_ms=at(phasing.room_ms),
            ),
        )

    def seen(each: Seen | None) -> Seen | None:
        return None if each is None else msgspec.structs.replace(each, at_ms=each.at_ms + by_ms)

    def learned(each: Evidence) -> Evidence:
        return msgspec.structs.replace(each, voted_ms=at(each.voted_ms), base=seen(each.base), last=seen(each.last))

    energy = State(
        evses={id: of(evse) for id, evse in state.energy.evses.items()},
        sides=state.energy.sides,
        rotations={id: learned(each) for id, each in state.energy.rotations.items()},
        moves={
            id: Moves(each.by, each.at_ms + by_ms, each.others_ms + by_ms) for id, each in state.energy.moves.items()
        },
    )
    return msgspec.structs.replace(
        state,
        energy=energy,
        chargers={
            id: msgspec.structs.replace(charger, heard_ms=at(charger.heard_ms))
            for id, charger in state.chargers.items()
        },
        meters={
            id: msgspec.structs.replace(reading, at_ms=reading.at_ms + by_ms) for id, reading in state.meters.items()
        },
        quality={id: _moved_quality(memory, by_ms) for id, memory in state.quality.items()},
        heard={id: msgspec.structs.replace(heard, at_ms=heard.at_ms + by_ms) for id, heard in state.heard.items()},
    )
