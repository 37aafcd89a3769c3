"""Ways in which a message can go wrong on its way, and what must hold after each of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.protocols.iso15118.both_ends import World

from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.config import Dialect
from pilotwire.protocols.iso15118.v2gtp import Frame

Way = Callable[[random.Random, Frame, list[Frame], list[Frame]], Sequence[Frame]]
"""(dice, the frame, what its sender sent before, what its sender sends in a session in order) → what arrives"""

SESSIONS: tuple[tuple[Dialect, str], ...] = (
    ("din", "DC"), ("iso2", "DC"), ("iso2", "AC"), ("iso20-dc", "DC"), ("iso20-dc", "DC_BPT"), ("iso20-ac", "AC"),
    ("iso20-ac", "AC_BPT"), ("iso20-wpt", "WPT"), ("iso20-acdp", "DC_ACDP"), ("iso20-acdp", "DC_ACDP_BPT"),
)  # fmt: skip
SCHEMAS = {
    v2gtp.MAIN: "iso20-common", v2gtp.AC: "iso20-ac", v2gtp.DC: "iso20-dc", v2gtp.ACDP: "iso20-acdp",
    v2gtp.WPT: "iso20-wpt", v2gtp.SCHEDULE_RENEGOTIATION: "iso20-common", v2gtp.METERING_CONFIRMATION: "iso20-common",
    v2gtp.ACDP_SYSTEM_STATUS: "iso20-acdp", v2gtp.PARKING_STATUS: "iso20-common",
}  # fmt: skip


def _flip(dice: random.Random, payload: bytes, bits: int) -> bytes:
    spoilt = bytearray(payload or b"\x00")
    for _ in range(bits):
        place = dice.randrange(len(spoilt) * 8)
        spoilt[place // 8] ^= 1 << place % 8
    return bytes(spoilt)


def _cut(dice: random.Random, frame: Frame) -> Frame:
    return frame._replace(payload=frame.payload[: dice.randrange(len(frame.payload))])


def _retyped(dice: random.Random, frame: Frame) -> Frame:
    return frame._replace(type=dice.choice([*SCHEMAS, v2gtp.SAP, v2gtp.SDP_REQUEST, 0xA000, 0]))


WAYS: dict[str, Way] = {
    "cut": lambda dice, frame, before, order: [_cut(dice, frame)],
    "one bit": lambda dice, frame, before, order: [frame._replace(payload=_flip(dice, frame.payload, 1))],
    "some bits": lambda dice, frame, before, order: [frame._replace(payload=_flip(dice, frame.payload, 5))],
    "noise": lambda dice, frame, before, order: [frame._replace(payload=dice.randbytes(dice.randrange(80)))],
    "other type": lambda dice, frame, before, order: [_retyped(dice, frame)],
    "lost": lambda dice, frame, before, order: [],
    "twice": lambda dice, frame, before, order: [frame, frame],
    "flood": lambda dice, frame, before, order: [frame] * 60,
    "earlier": lambda dice, frame, before, order: [dice.choice(before)],
    "out of order": lambda dice, frame, before, order: [dice.choice(order)],
    "one more": lambda dice, frame, before, order: [frame, dice.choice(order)],
}


def spoilt(dialect: Dialect, service: Any, sent_by: str, at: int, way: str, seed: int, order: list[Frame]) -> World:
    """A session in which one message goes wrong: the one with the number `at` of those that an end sends. `order` is
    what that end sends in a session in order."""
    dice = random.Random(seed)
    before: list[Frame] = []

    def spoil(end: str, number: int, frame: Frame) -> Sequence[Frame]:
        if end != sent_by:
            return [frame]
        before.append(frame)
        return WAYS[way](dice, frame, before, order) if number == at else [frame]

    return World(dialect, service, spoil=spoil).run()


def check(world: World, dialect: Dialect) -> None:
    """Both ends are done, nothing flows, and all that the station has said could be read."""
    assert len(world.ended) == 1, f"the station ended {len(world.ended)} times: {world.ended}"
    assert len(world.parted) == 1, f"the vehicle parted {len(world.parted)} times: {world.parted}"
    assert world.closed, "nobody has closed the connection"
    assert not world.outlet.closed and not world.outlet.ma, "the output is on"
    assert not world.after_end, f"asked for after the end: {world.after_end}"
    assert world.secc.deadline is None and world.evcc.deadline is None, "a timer runs after the end"
    for frames in world.frames.values():
        for number, frame in enumerate(frames):
            schema = "sap" if number == 0 else SCHEMAS.get(frame.type, dialect)
            exi.decode(schema, frame.payload)
