"""Sessions of every dialect in which one message goes wrong, in every place and every way, again and again."""

from __future__ import annotations

import argparse
import itertools
from typing import Any

from tests.protocols.iso15118.both_ends import World
from tests.protocols.iso15118.spoiling import SESSIONS, WAYS, check, spoilt


def conversations(options: argparse.Namespace) -> bool:
    """`make soak`'s part."""
    orders: dict[Any, dict[str, list[Any]]] = {one: World(*one).run().frames for one in SESSIONS}
    places = [
        (one, end, at, way)
        for one in SESSIONS
        for end in ("ev", "evse")
        for at in range(len(orders[one][end]))
        for way in WAYS
    ]
    faults: list[str] = []
    noticed = 0
    for number, ((dialect, service), end, at, way) in zip(range(options.spoilt), itertools.cycle(places), strict=False):
        seed = options.seed * 1_000_003 + number
        try:
            world = spoilt(dialect, service, end, at, way, seed, orders[dialect, service][end])
            check(world, dialect)
            noticed += not world.parted[0].ok
        except Exception as error:
            faults.append(f"{dialect} {service}, message {at} of the {end}, {way}, seed {seed}: {error}")
    print(f"conversations: {options.spoilt:,} sessions of {len(SESSIONS)} kinds with one message gone wrong in one of")
    print(f"  {len(places):,} places and ways, noticed in {noticed:,}, the others harmless: {len(faults)} faults")
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults
