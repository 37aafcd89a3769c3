"""The pilot beside a conversation over power line: 5 %, the safety signal, the way back to basic charging."""

from __future__ import annotations

import pytest
from tests.protocols.iec61851.pilot_world import PilotWorld

from pilotwire.core import ev_link
from pilotwire.core import evse_link as link
from pilotwire.protocols.iec61851.ev import HighLevelAsked, PilotEv, PilotEvConfig, ShowState
from pilotwire.protocols.iec61851.high_level import (
    FellBack,
    HighLevel,
    LinkFailed,
    LinkOver,
    Matched,
    MatchingAsked,
    NoMatch,
    PilotState,
    Step,
)
from pilotwire.protocols.iec61851.levels import LOADS, STATE_E, STATE_F, UNPLUGGED, X1, PilotLoad


def talking(*, ac: bool = True) -> PilotWorld:
    world = PilotWorld(HighLevel(ac=ac), PilotEv())
    world.plug()
    world.run(1_000)
    world.evse.command(Matched())
    return world


def powered(*, ac: bool = True) -> PilotWorld:
    world = talking(ac=ac)
    world.evse.command(link.ContactorAsked(True))
    show(world, "C")
    world.run(100)
    assert world.closed
    return world


def show(world: PilotWorld, state: str) -> None:
    assert world.ev
    world.ev.command(ShowState(state))  # type: ignore[arg-type]


def test_five_percent_and_then_matching():
    world = PilotWorld(HighLevel(), PilotEv())
    world.plug()
    world.run(1_000)
    assert world.level.duty == 50 and world.evs(HighLevelAsked) == [HighLevelAsked(True)]
    assert [type(e) for _, e in world.said] == [PilotState, MatchingAsked]
    assert world.at(MatchingAsked(True)) == 510
    assert not world.events(link.Connected), "that is the link's to say"


def test_energy_only_in_c_and_only_when_the_link_wants_it():
    world = talking()
    show(world, "C")
    world.run(1_000)
    assert not world.closed and world.events(PilotState)[-1] == PilotState("C")
    world.evse.command(link.ContactorAsked(True))
    world.run(100)
    assert world.closed
    world.evse.command(link.ContactorAsked(False))
    world.run(100)
    assert not world.closed and not world.events(LinkOver)


def test_b_while_energy_flows_ends_the_link_within_100_ms():
    world = powered()
    began = world.now
    show(world, "B")
    world.run(200)
    assert not world.closed and world.at(link.ContactorAsked(False)) - began <= 20
    assert world.events(LinkOver) == [LinkOver(reason="the vehicle went to B while energy flowed", by="ev", ok=False)]
    assert world.events(MatchingAsked)[-1] == MatchingAsked(False)


def test_b_after_the_link_stopped_is_in_order():
    world = powered()
    world.evse.command(link.ContactorAsked(False))
    show(world, "B")
    world.run(1_000)
    assert not world.events(LinkOver)
    world.unplug()
    world.run(100)
    assert world.events(LinkOver) == [LinkOver(reason="the vehicle was unplugged", by="ev", ok=True, unplugged=True)]


def test_pulled_under_load():
    world = powered(ac=False)
    world.show(UNPLUGGED)
    world.run(100)
    assert not world.closed and world.events(LinkOver)[-1].unplugged


def test_a_short_under_load():
    world = powered()
    world.show(PilotLoad(0, diode=False))
    world.run(100)
    assert not world.closed and world.events(LinkOver)[0].reason == "the pilot is shorted"


def test_a_fault_from_elsewhere():
    world = powered()
    world.evse.command(link.Fault(code="MREC8EmergencyStop", by="evse", text="the button"))
    assert world.level == STATE_F
    world.run(100)
    assert not world.closed and world.events(LinkOver)[0].reason == "the button"


@pytest.mark.parametrize(("talked", "drive", "ms"), [(False, STATE_E, 4_000), (True, X1, 3_000)])
def test_no_match_falls_back_to_basic_charging(talked: bool, drive: object, ms: int):
    world = talking()
    world.evse.command(NoMatch(talked))
    assert world.level == drive
    assert [type(e) for e in (world.events(FellBack) + world.events(link.Connected))] == [FellBack, link.Connected]
    world.charge(16_000)
    world.run(ms - 1)
    assert world.level == drive
    world.run(50)
    assert world.level.duty == 266
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.run(100)
    assert world.closed
    world.unplug()
    world.run(100)
    assert world.events(link.Ended)
    world.ev.over = True
    world.ev = None
    world.show(LOADS["B"])
    world.run(5_000)
    assert world.level.duty == 50, "the next one is met with 5 % again"


def test_dc_does_not_fall_back():
    world = talking(ac=False)
    world.evse.command(NoMatch(False))
    world.run(10_000)
    assert world.level == X1 and not world.events(FellBack)
    assert [e.ok for e in world.events(LinkOver)] == [False]


def test_a_failed_conversation_tried_again():
    world = powered()
    world.evse.command(LinkFailed("V2G sequence timeout", comeback=True))
    world.run(100)
    assert not world.closed and world.level == STATE_E and len(world.events(LinkOver)) == 1
    world.run(5_000)
    assert world.level.duty == 50 and world.events(MatchingAsked)[-2:] == [MatchingAsked(False), MatchingAsked(True)]


def test_matching_asks_for_e():
    world = talking()
    world.evse.command(Step())
    assert world.level == STATE_E
    world.run(4_100)
    assert world.level.duty == 50 and not world.events(LinkOver)


def test_a_vehicle_without_power_line_does_not_move_at_five_percent():
    world = PilotWorld(HighLevel(), PilotEv(PilotEvConfig(digital=False)))
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.run(60_000)
    assert world.load == LOADS["B"] and not world.evs(HighLevelAsked)
    world.evse.command(NoMatch(False))
    world.charge()
    world.run(5_000)
    assert world.closed
