"""Logs of CAN buses: `candump -L`, what `candump` prints (with `-t a`, `z` or `A`, with `-x`, or no times), Vector ASC.

    for at_us, frame in frames(lines): ...

Times are microseconds: since 1970 where the log has them so, else since its beginning. Error frames, remote frames and
CAN FD are left out, as is whatever is no frame; `Skipped` counts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from .frame import CanFrame


class Logged(NamedTuple):
    """One frame of a log."""

    at_us: int
    frame: CanFrame
    channel: str = ""


class Skipped(msgspec.Struct):
    """Lines of a log that gave no frame."""

    others: int = 0
    """Remote frames, error frames, CAN FD."""
    unread: int = 0
    """Not understood."""


_HEX = "[0-9A-Fa-f]"
# The parts between blanks are told apart by what they begin with, so that no line is looked at over and over.
_DUMP = re.compile(rf"\((\d{{1,15}}(?:\.\d{{1,9}})?)\) (\S{{1,32}}) ({_HEX}{{3,8}})#({_HEX}{{0,16}}|R\d?)(?: [RT])?")
_SHOWN = re.compile(
    rf"(?:\(([\d .:-]{{1,40}})\)\s{{1,4}})?(\S{{1,32}})\s{{1,8}}(?:[TR]X\s+\S\s+\S\s{{1,4}})?({_HEX}{{3,8}})\s{{1,8}}"
    rf"\[0?(\d{{1,2}})\]((?:\s{{1,4}}{_HEX}{{2}}){{0,8}}|\s+remote request)(?:\s+'.*)?"
)
_ASC = re.compile(r"(\d{1,9}\.\d{1,9})\s+(\d{1,3})\s+([0-9A-Fa-f]{1,10})(x?)\s+(?:Rx|Tx|TxRq)\s+([dr])\s*(.*)", re.I)
_ASC_OTHER = re.compile(
    r"date |base |internal events|no internal|begin trigger|end trigger|//|\d+\.\d+\s+(?:canfd|start of|end of|log |"
    r"\d+\s+(?:errorframe|statistic:|statistics))",
    re.I,
)


def frames(lines: Iterable[str], skipped: Skipped | None = None) -> Iterator[Logged]:
    """The frames of a log, in its order, as they are read. The format is found out line by line."""
    counts = skipped if skipped is not None else Skipped()
    decimal = relative = False
    last_us = 0
    for raw in lines:
        line = raw.strip()[:400]
        if not line:
            continue
        if (found := _DUMP.fullmatch(line)) is not None:
            logged = _dumped(found)
        elif (found := _SHOWN.fullmatch(line)) is not None:
            logged = _shown(found)
        elif (found := _ASC.match(line)) is not None:
            logged = _asc(found, decimal)
            if logged is not None and relative:
                logged = logged._replace(at_us=logged.at_us + last_us)
        elif _ASC_OTHER.match(line):
            decimal, relative = _setting(line.lower(), decimal, relative)
            continue
        else:
            counts.unread += 1
            continue
        if logged is None:
            counts.others += 1
            continue
        last_us = logged.at_us
        yield logged


def _setting(line: str, decimal: bool, relative: bool) -> tuple[bool, bool]:
    if not line.startswith("base "):
        return decimal, relative
    return "base dec" in line, "timestamps relative" in line


def _us(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0")[:6] or 0)


def _frame(identifier: int, extended: bool, data: bytes) -> CanFrame | None:
    if identifier > (0x1FFFFFFF if extended else 0x7FF) or len(data) > 8:
        return None  # an error frame of SocketCAN, or nothing that CAN 2.0 has
    return CanFrame(identifier, data, extended)


def _dumped(found: re.Match[str]) -> Logged | None:
    if found[4].startswith("R") or len(found[4]) % 2:
        return None
    frame = _frame(int(found[3], 16), len(found[3]) > 3, bytes.fromhex(found[4]))
    return None if frame is None else Logged(_us(found[1]), frame, found[2])


def _shown(found: re.Match[str]) -> Logged | None:
    if "remote" in found[5]:
        return None
    data = bytes.fromhex(found[5])
    frame = _frame(int(found[3], 16), len(found[3]) > 3, data)
    if frame is None or len(data) != int(found[4]):
        return None
    return Logged(_time(found[1] or "0"), frame, found[2])


def _time(text: str) -> int:
    """`1436509052.249713`, `000.012345`, or `2015-07-10 05:37:32.249713`, which is taken as UTC."""
    stamp = text.strip()
    if "-" not in stamp:
        return _us(stamp) if stamp.replace(".", "", 1).isdigit() else 0
    try:
        day = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return 0
    return (int(day.timestamp()) * 1_000_000) + day.microsecond


def _asc(found: re.Match[str], decimal: bool) -> Logged | None:
    if found[5].lower() == "r":
        return None
    base = 10 if decimal else 16
    parts = found[6].split()
    try:
        size = int(parts[0], 16)
        data = bytes(int(part, base) for part in parts[1 : 1 + size])
        identifier = int(found[3], base)
    except (ValueError, IndexError):
        return None
    frame = _frame(identifier, bool(found[4]), data)
    return None if frame is None or len(data) != size else Logged(_us(found[1]), frame, found[2])
