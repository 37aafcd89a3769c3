"""`pilotwire decode can`: what car and charger said on a CAN bus, from its log."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pilotwire.cli.options import parser
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.can.logs import Logged, Skipped, frames
from pilotwire.protocols.can.signals import SignalError

PROTOCOLS = ("chademo", "gbt27930")
_WALL_CLOCK_US = 10**15
"""Times above this (2001) are since 1970, those below since the log's beginning."""
_LOOKED_AT = 20_000
Feed = Callable[[CanFrame], dict[str, Any] | None]


def decode_main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        f"{name} can",
        "Read a log of a CAN bus (candump, both formats, or Vector ASC) as a timeline of what car and charger said.",
    )
    options.add_argument("file", help="the log; -: standard input")
    options.add_argument("--protocol", choices=PROTOCOLS, help="default: whichever its frames are of")
    options.add_argument("--edition", choices=("2011", "2015"), help="of GB/T 27930; default: what the log shows")
    options.add_argument("--changes", action="store_true", help="leave out what says the same as before")
    options.add_argument("--json", action="store_true", help="print one JSON object per message")
    chosen = options.parse_args(arguments)
    skipped = Skipped()
    log = list(frames(_lines(chosen.file), skipped))
    if not log:
        raise ConfigError(f"{chosen.file} has no frame of CAN in it ({skipped.unread} lines not understood)")
    protocol = chosen.protocol or _protocol_of(log)
    feed = _gbt27930(log, chosen.edition) if protocol == "gbt27930" else _chademo()
    told = 0
    for entry in _entries(log, feed, changes=chosen.changes):
        told += 1
        print(json.dumps(entry | {"protocol": protocol}, ensure_ascii=False) if chosen.json else render(entry))
    if skipped.unread or skipped.others:
        print(f"{skipped.unread} lines not understood, {skipped.others} other frames", file=sys.stderr)
    if not told:
        print(f"nothing of {protocol} in {len(log)} frames", file=sys.stderr)
    return 0 if told else 1


def _lines(name: str) -> Iterator[str]:
    if name == "-":
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        yield from sys.stdin
        return
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None


def _protocol_of(log: list[Logged]) -> str:
    """CHAdeMO has standard identifiers, GB/T 27930 extended ones."""
    extended = sum(each.frame.extended for each in log[:_LOOKED_AT])
    return "gbt27930" if extended * 2 > len(log[:_LOOKED_AT]) else "chademo"


def _gbt27930(log: list[Logged], edition: Any) -> Feed:
    from pilotwire.protocols.gbt27930.reader import Reader, edition_of

    reader = Reader(edition or edition_of(each.frame for each in itertools.islice(log, _LOOKED_AT)))

    def feed(frame: CanFrame) -> dict[str, Any] | None:
        spoken = reader.feed(frame)
        if spoken is None:
            return None
        return {
            "side": spoken.side, "message": spoken.name, "edition": reader.edition, "values": spoken.values,
            "words": spoken.words, "note": spoken.note, "error": spoken.error,
        }  # fmt: skip

    return feed


def _chademo() -> Feed:
    from pilotwire.protocols.chademo.frames import FRAMES

    def feed(frame: CanFrame) -> dict[str, Any] | None:
        message = FRAMES.find(frame)
        if message is None:
            return None
        entry = {"side": message.sender, "message": f"{frame.id:X} {message.name}", "note": ""}
        try:
            values = message.decode(frame.data)
        except SignalError as error:
            return entry | {"values": {}, "words": {}, "error": str(error)}
        note = f"out of range: {', '.join(wrong)}" if (wrong := message.faults(values)) else ""
        return entry | {"values": values, "words": message.words(values), "note": note, "error": ""}

    return feed


def _entries(log: Iterable[Logged], feed: Feed, *, changes: bool) -> Iterator[dict[str, Any]]:
    before: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for each in log:
        entry = feed(each.frame)
        if entry is None:
            continue
        key = (each.channel, entry["side"], entry["message"])
        says = (entry["values"], entry["error"])
        if changes and before.get(key) == says:
            continue
        before[key] = says
        values = {name: value.hex() if isinstance(value, bytes) else value for name, value in entry["values"].items()}
        yield {"at_us": each.at_us, "channel": each.channel, **entry, "values": values}


def render(entry: dict[str, Any]) -> str:
    """A message as a person reads it, on one line."""
    at_us = entry["at_us"]
    if at_us > _WALL_CLOCK_US // 1000:
        at = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]
    else:
        at = f"{at_us / 1e6:10.3f}"
    who = {"ev": "car    ", "evse": "charger"}.get(entry["side"], "?      ")
    said = " ".join(f"{name}={word}" for name, word in entry["words"].items())
    notes = [text for text in (entry["note"], entry["error"]) if text]
    return f"{at}  {who}  {entry['message']:<6} {said}{'  ← ' + '; '.join(notes) if notes else ''}".rstrip()
