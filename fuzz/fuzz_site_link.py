"""Fuzzes both ends of the link between a box and a central system, and what travels over it: an end closes at most.

python fuzz/fuzz_site_link.py [--seconds 60] [corpus directory] [libFuzzer options]
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import atheris
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.errors import LocalError
    from pilotwire.core.machines import Close, Send
    from pilotwire.protocols.sitelink import (
        Answer,
        Ask,
        Asked,
        BoxEnd,
        Busy,
        CentralEnd,
        Failed,
        Greeted,
        Hello,
        Seen,
        Settled,
        Tick,
        Ticked,
        Watch,
        version_of,
    )
    from pilotwire.protocols.sitelink.frames import encode
    from pilotwire.site.link.dial import refusal
    from pilotwire.site.link.entry import CentralEntry, address
    from pilotwire.translate import site_link

HELLO = Hello(site="yard", name="The yard", time_zone="UTC", program="1")
METHODS = sorted(site_link.METHODS)


KINDS = Asked | Close | Greeted | Send | Settled | Ticked


def strangers(kind: int, data: bytes) -> None:
    """Either end hears frames that are right on their outside at most."""
    box, central = BoxEnd(HELLO), CentralEnd(0)
    box.begin(0)
    if kind & 1:
        central.receive(encode(HELLO), 0)
        for method in METHODS[:3]:
            central.ask(method, b"\x80", 1)
    if kind & 2:
        box.tick(b"\xc0", 1)
    pieces = data.split(b"\xc1\xc1") if kind & 4 else [data]
    if kind & 8:
        inner, number = msgspec.Raw(data[1:]), data[0] if data else 1
        pieces += [encode(each) for each in (Tick(number, inner), Answer(number, inner), Ask(number, "at", inner))]
        pieces += [encode(Failed(number, "busy")), encode(Seen(number)), encode(Watch(number))]
    now = 2
    for piece in pieces:
        now += kind
        for effect in (*box.receive(piece, now), *central.receive(piece, now)):
            assert isinstance(effect, KINDS), effect
    for end in (box, central):
        end.elapse(now + 100_000)
        end.lost(now + 100_000)
        assert end.state == "closed"


def friends(steps: bytes) -> None:
    """Two ends of ours, whatever happens between them in whatever order, never find fault with each other."""
    box, central, now = BoxEnd(HELLO), CentralEnd(0), 0
    asked: list[int] = []
    settled: list[int] = []

    def to_central(effects: Sequence[object]) -> None:
        for effect in effects:
            assert not isinstance(effect, Close), (effect, steps)
            if isinstance(effect, Send):
                to_box(central.receive(effect.data, now))
            elif isinstance(effect, Asked):
                asked.append(effect.id)

    def to_box(effects: Sequence[object]) -> None:
        for effect in effects:
            assert not isinstance(effect, Close), (effect, steps)
            if isinstance(effect, Send):
                to_central(box.receive(effect.data, now))
            elif isinstance(effect, Settled):
                settled.append(effect.id)

    to_central(box.begin(now))
    for step in steps:
        now += 100 * (step >> 4)
        match step & 7:
            case 0:
                to_central(box.tick(bytes([step & 0x7F]), now))
            case 1:
                with contextlib.suppress(Busy):
                    to_box(central.ask(METHODS[step % len(METHODS)], b"\x80", now)[1])
            case 2 if asked:
                to_central(box.answer(asked.pop(0), b"\xc0"))
            case 3 if asked:
                to_central(box.fail(asked.pop(), "failed", "x" * step))
            case 4:
                to_box(central.watch(step * 100))
            case 5:
                if now < (central.deadline or 0):
                    to_box(central.elapse(now))
                    to_central(box.elapse(now))
            case _:
                to_central(box.tick(b"\x90", now))
    assert len(settled) == len(set(settled))


def one(raw: bytes) -> None:
    """One input."""
    kind, data = raw[0] if raw else 0, raw[1:]
    strangers(kind, data)
    friends(data[:200] if kind else bytes(range(0, 256, 3)))
    assert refusal(400 + kind, data)
    with contextlib.suppress(LocalError):
        address(CentralEntry(url=data[:100].decode("latin-1"), key_file=""), "yard")
    method = METHODS[kind % len(METHODS)]
    for read in (lambda: site_link.answered(method, data), lambda: site_link.stated(data)):
        try:
            found = read()
        except site_link.BadContent:
            continue
        assert site_link.encoded(found)
    version_of([data.decode("latin-1"), f"pilotwire.site.v{data[:8].decode('latin-1')}"])


def main() -> None:
    arguments = [sys.argv[0], "-max_len=2048", "-len_control=0"]
    given = iter(sys.argv[1:])
    for argument in given:
        if argument == "--seconds":
            arguments.append(f"-max_total_time={int(next(given))}")
        else:
            arguments.append(argument)
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
