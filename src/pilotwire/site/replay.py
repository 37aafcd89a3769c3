"""Making each decision of a log again, and saying where it comes out otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from .compiled import Site, compile_site
from .config import read
from .decide import Decision, SiteState, decide
from .inputs import TickInputs
from .log import Damage, Entry, Head, chained, read_segment, segments, started_ms


class Step(msgspec.Struct, frozen=True):
    """A tick made again. `difference` is "" where it came out as it was recorded."""

    segment: str
    site: Site
    inputs: TickInputs
    decision: Decision
    difference: str = ""


class Note(msgspec.Struct, frozen=True):
    """Something about the log itself. `fault`: it is damaged, or a piece is missing."""

    text: str
    fault: bool = False


def replay(folder: Path, *, from_utc_ms: int | None = None) -> Iterator[Step | Note]:
    """Each tick of all segments, oldest first; with a time, from the last segment that begins before it.

    A damaged segment ends where it is damaged; the next one begins with the state that it holds itself.
    """
    chosen = segments(folder)
    if not chosen:
        yield Note(f"there is no log in {folder}", fault=True)
        return
    if from_utc_ms is not None:
        chosen = chosen[_first(chosen, from_utc_ms) :]
    chain: bytes | None = None
    state: SiteState | None = None
    broken = False
    for path in chosen:
        try:
            site: Site | None = None
            for item in read_segment(path):
                if isinstance(item, Head):
                    site, note = _begin(path, item, chain if not broken else None, state if not broken else None)
                    if note is not None:
                        yield note
                    if site is None:
                        break
                    chain, state, broken = item.chain, item.state, False
                    yield Note(
                        f"{path.name}: configuration {item.config_hash}, program {item.version}, "
                        + ("a start" if item.why == "start" else "goes on")
                    )
                elif isinstance(item, Entry) and site is not None and state is not None and chain is not None:
                    decision = decide(site, item.inputs, state)
                    here = chained(chain, item.inputs, decision)
                    difference = "" if here == item.hash else _difference(item, decision)
                    yield Step(path.name, site, item.inputs, decision, difference)
                    # After a difference what follows is judged by itself, not by what went before it.
                    chain, state = item.hash, decision.state
            broken = broken or site is None
        except Damage as damage:
            broken = True
            yield Note(str(damage), fault=True)


def _first(chosen: list[Path], utc_ms: int) -> int:
    found = 0
    for at, path in enumerate(chosen):
        try:
            if started_ms(path) <= utc_ms:
                found = at
        except Damage:
            continue
    return found


def _begin(path: Path, head: Head, chain: bytes | None, state: SiteState | None) -> tuple[Site | None, Note | None]:
    config, _ = read(head.config)
    if config is None:
        return None, Note(f"{path.name}: this program cannot read the configuration in it", fault=True)
    note = None
    if head.why == "rotation" and chain is not None and (head.chain != chain or head.state != state):
        note = Note(f"{path.name} does not go on where the segment before it ends: a piece is missing", fault=True)
    return compile_site(config), note


def _difference(entry: Entry, decision: Decision) -> str:
    """In words, the first of what differs."""
    for at, point in enumerate(decision.set_points):
        was = entry.values.get(at)
        if was != point.value:
            return f"{point.evse} was given {was} {point.unit}, replayed it is given {point.value} {point.unit}"
    return "the set-points are the same; the inputs, a reason, a mark or the state is not what was recorded"
