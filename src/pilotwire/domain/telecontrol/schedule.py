"""A schedule of limits as a file, JSON or CSV: read whole or refused, with the line of each mistake.

    {"version": 7, "valid_until": "2026-02-01T00:00:00+01:00", "entries": [
      {"from": "2026-01-31T17:00:00+01:00", "until": "2026-01-31T19:00:00+01:00", "kw": 50.5},
      {"from": "2026-01-31T19:00:00+01:00", "until": "2026-01-31T20:00:00+01:00", "percent": 60}]}

    # version: 7
    # valid_until: 2026-02-01T00:00:00+01:00
    # entries: 1
    from,until,kw
    2026-01-31T17:00:00+01:00,2026-01-31T19:00:00+01:00,50.5

Times carry an offset, so that the hour that is there twice in autumn and the one that is missing in spring need no
rule. An empty figure (JSON: none) is an interval without a limit. A CSV says how many entries it has and ends with a
line's end: one that is still being written is refused.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from pilotwire.core.time import from_rfc3339, to_rfc3339

from .receivers import Figure

MOST_BYTES = 4_000_000
MOST_ENTRIES = 50_000
_MOST_FAULTS = 50
_MOST_KW = 10_000_000


class Entry(msgspec.Struct, frozen=True):
    """From `from_ms` until before `until_ms` (UTC); `figure` None: no limit. `line` of the file."""

    from_ms: int
    until_ms: int
    figure: Figure | None
    line: int


class Schedule(msgspec.Struct, frozen=True):
    """A whole file. `entries` in order, none overlaps another. It says nothing from `valid_until_ms` on."""

    version: int
    valid_until_ms: int
    entries: tuple[Entry, ...]


class ScheduleFault(NamedTuple):
    """What is wrong, and where; line 0: the file as a whole."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class Read(NamedTuple):
    """`schedule` None where there is any fault."""

    schedule: Schedule | None
    faults: tuple[ScheduleFault, ...]


def read_schedule(data: bytes) -> Read:
    """The bytes of a file. A file that begins with `{` is JSON, all else CSV. Never raises."""
    if len(data) > MOST_BYTES:
        return _refused(0, f"the file has {len(data)} bytes, more than {MOST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(1 + data[: error.start].count(b"\n"), "is not UTF-8")
    if not text.strip():
        return _refused(0, "the file is empty")
    return _json(text) if text.lstrip().startswith("{") else _csv(text)


def at(schedule: Schedule, utc_ms: int) -> Entry | None:
    """The entry in force; None in a gap, and when the schedule is not valid any more."""
    if utc_ms >= schedule.valid_until_ms:
        return None
    low, high = 0, len(schedule.entries)
    while low < high:
        middle = (low + high) // 2
        if schedule.entries[middle].until_ms <= utc_ms:
            low = middle + 1
        else:
            high = middle
    if low < len(schedule.entries) and schedule.entries[low].from_ms <= utc_ms:
        return schedule.entries[low]
    return None


def gaps(schedule: Schedule) -> tuple[tuple[int, int], ...]:
    """(from, until) of all that no entry says anything about, from the first one until the end of its validity."""
    found: list[tuple[int, int]] = []
    end: int | None = None
    for entry in schedule.entries:
        if end is not None and entry.from_ms > end:
            found.append((end, entry.from_ms))
        end = entry.until_ms
    if end is not None and end < schedule.valid_until_ms:
        found.append((end, schedule.valid_until_ms))
    return tuple(found)


def replaces(old: Schedule | None, new: Schedule) -> str:
    """Why a file does not take the place of the one before; empty where it does."""
    if old is None or new.version > old.version or new == old:
        return ""
    if new.version == old.version:
        return f"version {new.version} has changed without a new version; version {old.version} as it was stays"
    return f"version {new.version} is older than version {old.version}, which stays"


def _refused(line: int, text: str) -> Read:
    return Read(None, (ScheduleFault(line, text),))


class _Collector:
    def __init__(self) -> None:
        self.faults: list[ScheduleFault] = []
        self.entries: list[Entry] = []

    def fault(self, line: int, text: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(ScheduleFault(line, text))

    def time(self, line: int, name: str, value: Any) -> int | None:
        try:
            if not isinstance(value, str):
                raise ValueError
            return int(from_rfc3339(value))
        except (ValueError, OverflowError):
            self.fault(line, f"{name} has to be a time with an offset, as 2026-01-31T17:00:00+01:00, not {value!r:.60}")
            return None

    def figure(self, line: int, kw: Any, percent: Any) -> Figure | bool | None:
        """None: no limit; False: a fault."""
        if kw is None and percent is None:
            return None
        if kw is not None and percent is not None:
            self.fault(line, "kw or percent, not both")
            return False
        value, name, most = (kw, "kw", _MOST_KW) if kw is not None else (percent, "percent", 100)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            self.fault(line, f"{name} has to be a number, not {value!r:.60}")
            return False
        if not Decimal(value).is_finite() or not 0 <= value <= most:
            self.fault(line, f"{name} is from 0 to {most}, not {value!s:.60}")
            return False
        # Rounded down: a limit is never made looser.
        if name == "kw":
            return Figure(value_mw=int(Decimal(value) * 1_000_000))
        return Figure(permille=int(Decimal(value) * 10))

    def entry(self, line: int, from_: Any, until: Any, kw: Any, percent: Any) -> None:
        begin, end = self.time(line, "from", from_), self.time(line, "until", until)
        figure = self.figure(line, kw, percent)
        if begin is None or end is None or isinstance(figure, bool):
            return
        if end <= begin:
            self.fault(line, "until is not after from")
            return
        self.entries.append(Entry(begin, end, figure, line))

    def done(self, version: Any, valid_until: Any) -> Read:
        number = version if isinstance(version, int) and not isinstance(version, bool) else None
        if number is None or not 0 <= number < 1 << 53:
            self.fault(0, f"version has to be a whole number from 0 on, not {version!r:.60}")
        until = self.time(0, "valid_until", valid_until)
        if len(self.entries) > MOST_ENTRIES:
            self.fault(0, f"{len(self.entries)} entries are more than {MOST_ENTRIES}")
        ordered = sorted(self.entries, key=lambda each: (each.from_ms, each.line))
        longest: Entry | None = None
        for each in ordered:
            if longest is not None and each.from_ms < longest.until_ms:
                since = to_rfc3339(each.from_ms)
                self.fault(each.line, f"overlaps line {longest.line} from {since} on")
            if longest is None or each.until_ms > longest.until_ms:
                longest = each
        if self.faults or number is None or until is None:
            return Read(None, tuple(sorted(self.faults)))
        return Read(Schedule(number, until, tuple(ordered)), ())


def _csv(text: str) -> Read:
    found = _Collector()
    if not text.endswith("\n"):
        return _refused(1 + text.count("\n"), "the file ends in the middle of a line")
    about: dict[str, str] = {}
    header: list[str] | None = None
    rows = 0
    for line, raw in enumerate(text.split("\n"), 1):
        raw = raw.strip()
        if not raw:
            continue
        if raw.startswith("#"):
            key, colon, value = raw[1:].partition(":")
            if colon and key.strip() in ("version", "valid_until", "entries"):
                if key.strip() in about:
                    found.fault(line, f"{key.strip()} is there twice")
                about[key.strip()] = value.strip()
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([raw], strict=True))]
        except (csv.Error, StopIteration) as error:
            found.fault(line, f"is not CSV: {error}")
            continue
        if header is None:
            header = cells
            if header[:2] != ["from", "until"] or header[2:] not in (["kw"], ["percent"], ["kw", "percent"]):
                return _refused(line, "the header is from,until,kw or from,until,percent or from,until,kw,percent")
            continue
        rows += 1
        if len(cells) != len(header):
            found.fault(line, f"has {len(cells)} values under {len(header)} headings")
            continue
        row = dict(zip(header, cells, strict=True))
        found.entry(line, row["from"], row["until"], _number(row.get("kw", "")), _number(row.get("percent", "")))
    if header is None:
        found.fault(0, "there is no header")
    if _number(about.get("entries", "")) != rows:
        said = about.get("entries")
        found.fault(0, f"there are {rows} entries" + (" and no `# entries:`" if said is None else f", not {said:.60}"))
    return found.done(_number(about.get("version", "")), about.get("valid_until"))


def _number(text: str) -> int | Decimal | str | None:
    """None for nothing; a text that is no plain number stays a text, to be refused."""
    if not text:
        return None
    whole, point, part = text.partition(".")
    digits = whole + part
    if not (text.isascii() and digits.isdigit() and whole and (part or not point)) or len(text) > 30:
        return text
    return Decimal(text) if point else int(text)


_WIDE = 30


def _float(text: str) -> Decimal | str:
    return Decimal(text) if len(text) <= _WIDE and "e" not in text.lower() else text


def _int(text: str) -> int | str:
    return int(text) if len(text) <= _WIDE else text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_float, parse_int=_int, parse_constant=lambda name: name, object_pairs_hook=_unique
)
_KEYS = frozenset(("version", "valid_until", "entries"))


def _json(text: str) -> Read:
    found = _Collector()
    try:
        about = _walk(text, found)
    except json.JSONDecodeError as error:
        return _refused(error.lineno, f"is not JSON: {error.msg}")
    except (_Broken, ValueError, RecursionError) as error:
        line = error.line if isinstance(error, _Broken) else 0
        why = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return _refused(line, f"is not JSON: {why}")
    for key in sorted(about.keys() - _KEYS):
        found.fault(0, f"{key!r:.60} is not known")
    if "entries" not in about:
        found.fault(0, "there are no entries")
    return found.done(about.get("version"), about.get("valid_until"))


class _Broken(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def _walk(text: str, found: _Collector) -> Mapping[str, Any]:
    """The outer object; its entries one by one, so that the line of each is known."""
    about: dict[str, Any] = {}
    line, counted = 1, 0

    def line_at(place: int) -> int:
        nonlocal line, counted
        line += text.count("\n", counted, place)
        counted = max(counted, place)
        return line

    def skip(place: int) -> int:
        while place < len(text) and text[place] in " \t\r\n":
            place += 1
        return place

    def expect(place: int, signs: str) -> str:
        if place >= len(text):
            raise _Broken(line_at(place), "the file ends too early")
        if text[place] not in signs:
            raise _Broken(line_at(place), f"{' or '.join(signs)} is missing")
        return text[place]

    def value(place: int) -> tuple[Any, int]:
        try:
            return _DECODER.raw_decode(text, place)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise _Broken(line_at(place), str(error)) from None

    place = skip(0)
    expect(place, "{")
    place = skip(place + 1)
    sign = expect(place, '"}')
    while sign != "}":
        key, place = value(place)
        if not isinstance(key, str) or key in about:
            raise _Broken(line_at(place), f"{key!r:.60} is there twice")
        place = skip(place)
        expect(place, ":")
        place = skip(place + 1)
        if key == "entries" and place < len(text) and text[place] == "[":
            about[key] = True
            place = skip(place + 1)
            sign = "]" if place < len(text) and text[place] == "]" else ","
            while sign != "]":
                at_line = line_at(place)
                entry, place = value(place)
                _entry(found, at_line, entry)
                place = skip(place)
                sign = expect(place, ",]")
                if sign == ",":
                    place = skip(place + 1)
            place += 1
        else:
            at_line = line_at(place)
            about[key], place = value(place)
            if key == "entries":
                found.fault(at_line, "entries has to be a list")
        place = skip(place)
        sign = expect(place, ",}")
        if sign == ",":
            place = skip(place + 1)
            expect(place, '"')
    place = skip(place + 1)
    if place != len(text):
        raise _Broken(line_at(place), "there is something behind the end")
    return about


def _entry(found: _Collector, line: int, entry: Any) -> None:
    if not isinstance(entry, dict):
        found.fault(line, "an entry is an object with from, until and kw or percent")
        return
    row: dict[str, Any] = {str(key): each for key, each in entry.items()}  # pyright: ignore
    unknown = sorted(row.keys() - {"from", "until", "kw", "percent"})
    if unknown:
        found.fault(line, f"{unknown[0]!r:.60} is not known")
        return
    found.entry(line, row.get("from"), row.get("until"), row.get("kw"), row.get("percent"))
