"""Messages that are cut, bent, lost, doubled or out of order, in any place of a session of any dialect: both ends stop,
the output is off, and what the station said of it can be read.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.both_ends import World
from tests.protocols.iso15118.spoiling import SESSIONS, WAYS, check, spoilt

from pilotwire.core.evse_link import Requested
from pilotwire.protocols.iso15118.config import Dialect

pytestmark = pytest.mark.parametrize(("dialect", "service"), SESSIONS, ids=[" ".join(one) for one in SESSIONS])


def test_a_session_in_order(dialect: Dialect, service: Any) -> None:
    world = World(dialect, service).run()
    check(world, dialect)
    assert world.ended[0].ok and world.parted[0].ok and world.closed == ["ev"], "the vehicle closes first"
    assert world.secc.dialect == world.evcc.dialect == dialect
    assert any(isinstance(event, Requested) for event in world.station_events) or service.startswith("AC")


@pytest.mark.parametrize("sent_by", ["ev", "evse"])
def test_every_message_goes_wrong(dialect: Dialect, service: Any, sent_by: str) -> None:
    """Each one in three of the ways, so that each way is taken in many places; `make soak` takes all of them."""
    order = World(dialect, service).run().frames[sent_by]
    bad = 0
    for at in range(len(order)):
        for step in range(3):
            way = list(WAYS)[(at * 3 + step) % len(WAYS)]
            world = spoilt(dialect, service, sent_by, at, way, at, order)
            try:
                check(world, dialect)
            except AssertionError as error:
                raise AssertionError(f"message {at} of the {sent_by}, {way}: {error}") from None
            bad += not world.parted[0].ok
    assert bad > len(order), "most of it is noticed"
