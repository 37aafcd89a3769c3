"""The record of decisions: what each rested on, and a hash of it, in files that grow to a bound and no further.

A folder of segments `0000000001.pwlog`. A segment is a row of frames (`log_frames`); the first holds the configuration
and the state with which the segment begins, so that each can be replayed by itself, the others hold ticks. A segment
ends when it is full, after ten minutes or a thousand ticks: a moment of the past is found by replaying no more than
that. Of a tick only what has changed is written. Each tick's hash takes in that of the tick before, the inputs and the
decision: nothing can be altered, left out or put elsewhere without a difference in replay.

Ticks are held back and written together, so that a small box's memory lives; what is held back is lost when the power
goes. Configurations are named by their hash, and never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from pilotwire.domain.steering import External, Plan

from .decide import Decision, SiteState
from .inputs import DeviceInput, EvseInput, Heard, TickInputs
from .log_frames import MAGIC, Damage, What, frames, packed

FORMAT = 1
HASH = 12
"""Bytes of a hash."""
_ENDING = ".pwlog"

_ENCODER = msgspec.msgpack.Encoder()


class Head(msgspec.Struct, frozen=True):
    """How a segment begins. `why`: start, or rotation of a segment that was full."""

    format: int
    version: str
    """Of the program."""
    config: str
    """The whole text of the file."""
    config_hash: str
    chain: bytes
    state: SiteState
    started_utc_ms: int
    why: Literal["start", "rotation"] = "start"


class Outside(msgspec.Struct, frozen=True, array_like=True):
    """What was heard of others, all of it whenever anything of it changes."""

    heard: tuple[Heard, ...] = ()
    external: External = External()
    plan: Plan | None = None


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """What differs from the tick before, by place in its row; the decision's set-points likewise; and the hash."""

    seq: int
    tick_ms: int
    utc_ms: int
    evses: dict[int, EvseInput]
    devices: dict[int, DeviceInput]
    outside: Outside | None
    values: dict[int, int]
    hash: bytes


_HEAD = msgspec.msgpack.Decoder(Head)
_TICKS = msgspec.msgpack.Decoder(list[Tick])


def config_hash(text: str) -> str:
    """The name of a configuration."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def chained(before: bytes, inputs: TickInputs, decision: Decision) -> bytes:
    """The hash of a tick: over the one before, everything that came in, and everything that was decided."""
    found = blake2b(before, digest_size=HASH)
    found.update(_ENCODER.encode(inputs))
    found.update(_ENCODER.encode(decision))
    return found.digest()


class SiteLog:
    """Writes. `flush_ms` by the inputs' own steady time; nothing here reads a clock."""

    def __init__(
        self,
        folder: Path,
        config_text: str,
        *,
        version: str,
        limit_bytes: int = 200_000_000,
        segment_bytes: int = 8_000_000,
        flush_ms: int = 60_000,
        segment_ms: int = 600_000,
        segment_ticks: int = 1_000,
    ) -> None:
        self.folder = folder
        self._text, self._version = config_text, version
        self._limit = limit_bytes
        self._segment_bytes = min(segment_bytes, max(1, limit_bytes // 4))
        self._flush_ms = flush_ms
        self._segment_ms, self._segment_ticks = segment_ms, segment_ticks
        self._began_ms = 0
        self._ticks = 0
        self._tick_ms = 0
        folder.mkdir(parents=True, exist_ok=True)
        versions = folder / "configurations"
        versions.mkdir(exist_ok=True)
        kept = versions / f"{config_hash(config_text)}.yaml"
        if not kept.exists():
            kept.write_text(config_text, "utf-8")
        self._number = max((_number(path) for path in segments(folder)), default=0)
        self._file: Any = None
        self._size = 0
        self._chain = b""
        self._held: list[bytes] = []
        self._held_since: int | None = None
        self._last: tuple[dict[int, bytes], dict[int, bytes], bytes, dict[int, int]] = ({}, {}, b"", {})
        self._before: SiteState | None = None
        self._why: Literal["start", "rotation"] = "start"

    def begin(self, state: SiteState) -> None:
        """The state with which the first tick will be decided."""
        self._before = state

    def tick(self, inputs: TickInputs, decision: Decision) -> None:
        """One tick. Raises OSError where it cannot be written; the next call begins a new segment then."""
        if self._before is None:
            raise ValueError("begin() comes first: a replay needs the state to begin with")
        try:
            if self._file is None:
                self._open(inputs, self._before)
            self._add(inputs, decision)
            self._before = decision.state
            self._ticks, self._tick_ms = self._ticks + 1, inputs.now.tick_ms
            since = self._held_since if self._held_since is not None else inputs.now.tick_ms
            self._held_since = since
            if not 0 <= inputs.now.tick_ms - since < self._flush_ms:
                self.flush()
        except OSError:
            self._before = decision.state
            self._drop()
            raise

    def flush(self) -> None:
        """Writes what is held back. Raises OSError where it cannot; the next tick begins a new segment then."""
        if self._file is None or not self._held:
            return
        # A list of encoded ticks, made by hand: each is encoded only once.
        payload = b"\xdd" + struct.pack(">I", len(self._held)) + b"".join(self._held)
        self._held, self._held_since = [], None
        try:
            self._frame("ticks", payload)
        except OSError:
            self._drop()  # who knows how much of the frame is there: what comes next begins a new segment
            raise
        old = not 0 <= self._tick_ms - self._began_ms < self._segment_ms or self._ticks >= self._segment_ticks
        if self._size >= self._segment_bytes or old:
            self._drop()
            self._why = "rotation"

    def close(self) -> None:
        """Writes what is held back, and ends."""
        self.flush()
        self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, None
        self._held, self._held_since = [], None
        if file is not None:
            file.close()

    def _open(self, inputs: TickInputs, state: SiteState) -> None:
        self._number += 1
        path = self.folder / f"{self._number:010}{_ENDING}"
        self._last = ({}, {}, b"", {})
        self._began_ms, self._ticks = inputs.now.tick_ms, 0
        head = Head(
            format=FORMAT,
            version=self._version,
            config=self._text,
            config_hash=config_hash(self._text),
            chain=self._chain,
            state=state,
            started_utc_ms=inputs.now.utc_ms,
            why=self._why,
        )
        self._prune()
        self._file = path.open("xb")
        self._file.write(MAGIC)
        self._size = len(MAGIC)
        self._frame("head", _ENCODER.encode(head))

    def _frame(self, what: What, payload: bytes) -> None:
        frame = packed(what, payload)
        self._file.write(frame)
        self._file.flush()
        self._size += len(frame)

    def _prune(self) -> None:
        """Makes room for another segment: the oldest go first."""
        there = segments(self.folder)
        sizes = [path.stat().st_size for path in there]
        total = sum(sizes) + self._segment_bytes
        for path, size in zip(there, sizes, strict=True):
            if total <= self._limit:
                break
            path.unlink()
            total -= size

    def _add(self, inputs: TickInputs, decision: Decision) -> None:
        evses, devices, heard, values = self._last
        new_evses = {at: data for at, each in enumerate(inputs.evses) if (data := _ENCODER.encode(each))}
        new_devices = {at: data for at, each in enumerate(inputs.devices) if (data := _ENCODER.encode(each))}
        outside = Outside(inputs.heard, inputs.external, inputs.plan)
        new_heard = _ENCODER.encode(outside)
        new_values = {at: point.value for at, point in enumerate(decision.set_points)}
        self._chain = chained(self._chain, inputs, decision)
        record = (
            inputs.seq,
            inputs.now.tick_ms,
            inputs.now.utc_ms,
            {at: msgspec.Raw(data) for at, data in new_evses.items() if evses.get(at) != data},
            {at: msgspec.Raw(data) for at, data in new_devices.items() if devices.get(at) != data},
            None if new_heard == heard else outside,
            {at: value for at, value in new_values.items() if values.get(at) != value},
            self._chain,
        )
        self._last = (new_evses, new_devices, new_heard, new_values)
        self._held.append(_ENCODER.encode(record))


class Entry(NamedTuple):
    """A tick read back. `values` are the set-points that were decided, by place in the decision's row."""

    inputs: TickInputs
    values: dict[int, int]
    hash: bytes


def segments(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted((path for path in folder.glob(f"*{_ENDING}") if path.stem.isdigit()), key=_number)


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def head_of(path: Path) -> Head:
    """How a segment begins. Raises Damage."""
    for what, payload, at in frames(path):
        if what == "head":
            return _head(path, payload, at)
    raise Damage(f"{path.name} has no head")


class _Began(msgspec.Struct):
    started_utc_ms: int


_BEGAN = msgspec.msgpack.Decoder(_Began)


def started_ms(path: Path) -> int:
    """When it begins (UTC), without reading all of its head. Raises Damage."""
    for what, payload, at in frames(path):
        if what == "head":
            try:
                return _BEGAN.decode(payload).started_utc_ms
            except msgspec.MsgspecError as error:
                raise Damage(f"{path.name}, byte {at}: the head cannot be read ({error})") from error
    raise Damage(f"{path.name} has no head")


def read_segment(path: Path) -> Iterator[Head | Entry]:
    """The head, then each tick, whole again. Raises Damage at what cannot be read; what came before is right."""
    evses: dict[int, EvseInput] = {}
    devices: dict[int, DeviceInput] = {}
    outside = Outside()
    values: dict[int, int] = {}
    began = False
    for what, payload, at in frames(path):
        if what == "head":
            if began:
                raise Damage(f"{path.name}, byte {at}: a second head")
            began = True
            yield _head(path, payload, at)
            continue
        if not began:
            raise Damage(f"{path.name}, byte {at}: ticks before a head")
        try:
            ticks: Sequence[Tick] = _TICKS.decode(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Damage(f"{path.name}, byte {at}: {error}") from error
        for tick in ticks:
            evses |= tick.evses
            devices |= tick.devices
            values = values | tick.values
            outside = outside if tick.outside is None else tick.outside
            yield Entry(
                TickInputs(
                    seq=tick.seq,
                    now=_moment(tick),
                    evses=tuple(evses[at] for at in sorted(evses)),
                    devices=tuple(devices[at] for at in sorted(devices)),
                    heard=outside.heard,
                    external=outside.external,
                    plan=outside.plan,
                ),
                values,
                tick.hash,
            )
    if not began:
        raise Damage(f"{path.name} has no head")


def _moment(tick: Tick) -> Any:
    from pilotwire.domain.energy import Moment

    return Moment(tick_ms=tick.tick_ms, utc_ms=tick.utc_ms)


def _head(path: Path, payload: bytes, at: int) -> Head:
    try:
        head = _HEAD.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Damage(
            f"{path.name}, byte {at}: the head cannot be read ({error}); it may be of another version"
        ) from error
    if head.format != FORMAT:
        raise Damage(f"{path.name} has format {head.format}, this program reads {FORMAT}")
    if head.config_hash != config_hash(head.config):
        raise Damage(f"{path.name}: the configuration in it is not the one that it names")
    return head
