"""Every time of the pilot, just inside and just outside of its limit."""

from __future__ import annotations

from collections.abc import Callable

from tests.protocols.iec61851.pilot_world import PilotWorld
from tests.timers import OUTSIDE, every_timer, just, shown

from pilotwire.core import ev_link
from pilotwire.core import evse_link as link
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iec61851.ev import PilotEv
from pilotwire.protocols.iec61851.evse import PilotEvse, PilotEvseConfig
from pilotwire.protocols.iec61851.high_level import HighLevel, MatchingAsked, PowerWanted, Step
from pilotwire.protocols.iec61851.levels import LOADS, STATE_E, STATE_F, X1
from pilotwire.protocols.iec61851.timers import TIMERS


def at_b(config: PilotEvseConfig | None = None) -> PilotWorld:
    world = PilotWorld(PilotEvse(config))
    world.show(LOADS["B"])
    world.run(1_000)
    return world


def charging(ma: int = 16_000) -> PilotWorld:
    world = at_b()
    world.charge(ma)
    world.show(LOADS["C"])
    world.run(10_000)
    assert world.closed
    return world


def digital() -> PilotWorld:
    world = PilotWorld(HighLevel())
    world.show(LOADS["B"])
    return world


def debounce(ms: int) -> tuple[bool, str]:
    world = PilotWorld()
    world.show(LOADS["B"])
    world.run(ms)
    return bool(world.events(link.Connected)), "Connected"


def close(ms: int) -> tuple[bool, str]:
    world = at_b()
    world.contactor_ms = None
    world.charge()
    world.show(LOADS["C"])
    world.run(10 + ms)
    return world.faults() == ["MREC17EVSEContactorFault"] and world.level == STATE_F, "MREC17 and F"


def opened(ms: int) -> tuple[bool, str]:
    world = charging()
    world.contactor_ms = None
    world.show(LOADS["B"])
    world.run(10)
    assert world.events(link.ContactorAsked)[-1] == link.ContactorAsked(False)
    world.run(ms)
    return world.faults() == ["MREC17EVSEContactorFault"] and world.level == STATE_F, "MREC17 and F"


def load_off(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Pause())
    assert world.level == X1
    world.run(ms)
    return link.ContactorAsked(False) in world.events(link.ContactorAsked), "ContactorAsked(False) in C1"


def change(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Offer(max_ma=10_000))
    world.evse.command(link.Offer(max_ma=12_000))
    world.run(ms)
    return world.level.duty == 200, "the next duty cycle"


def step_x1(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Pause())
    world.evse.command(link.Resume())
    world.run(ms)
    return world.level.drive == "pwm", "the oscillation is back"


def state_f(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Fault(code="MREC2GroundFailure", by="evse"))
    world.evse.command(link.Resume())
    world.run(ms)
    return world.level != STATE_F, "F was left"


def unlock_f(ms: int) -> tuple[bool, str]:
    world = at_b(PilotEvseConfig(lock=True, cable_ma=32_000))
    world.evse.command(link.Fault(code="MREC2GroundFailure", by="evse"))
    world.run(ms)
    return link.LockAsked(False) in world.events(link.LockAsked), "LockAsked(False)"


def step_ef(ms: int) -> tuple[bool, str]:
    world = digital()
    world.run(1_000)
    world.evse.command(Step())
    assert world.level == STATE_E
    world.run(ms)
    return world.level.duty == 50, "5 % again"


def wake_up(ms: int) -> tuple[bool, str]:
    world = at_b()
    world.charge()
    world.run(ms)
    return world.level == X1, "B1"


def phases(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Offer(max_ma=16_000, phases=1))
    world.show(LOADS["B"])
    world.run(30)
    assert not world.closed
    world.show(LOADS["C"])
    world.run(ms)
    return world.level.drive == "pwm", "the oscillation is back, on one phase"


def over_current(ms: int) -> tuple[bool, str]:
    world = charging()
    world.evse.command(link.Measured(ma=17_600, mv=230_000, mw=12_144_000))
    world.run(ms)
    return world.faults() == ["MREC4OverCurrentFailure"], "MREC4"


def cp_state(ms: int) -> tuple[bool, str]:
    world = digital()
    world.run(1_000)
    world.evse.command(PowerWanted(True))
    world.run(ms)
    return world.faults() == ["MREC10InvalidVehicleMode"], "MREC10"


def hlc_delay(ms: int) -> tuple[bool, str]:
    world = digital()
    world.run(10)
    assert world.level.duty == 50
    world.run(ms)
    return MatchingAsked(True) in world.events(MatchingAsked), "matching is listened for"


def vehicle() -> PilotWorld:
    world = PilotWorld(PilotEvse(), PilotEv())
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.charge(32_000)
    world.run(10_000)
    assert world.closed
    return world


def ev_change(ms: int) -> tuple[bool, str]:
    world = vehicle()
    world.evse.command(link.Offer(max_ma=10_000))
    world.run(ms)
    assert isinstance(world.vehicle, PilotEv)
    return world.vehicle.overdrawn(31_000, world.now), "31 A are too much now"


def ev_stop(ms: int) -> tuple[bool, str]:
    world = vehicle()
    assert world.ev and isinstance(world.vehicle, PilotEv)
    world.charger_stops = False
    world.ev.command(ev_link.Drive(ready=False))
    world.run(ms)
    return world.vehicle.shown == "B", "B"


CASES: dict[str, Callable[[int], tuple[bool, str]]] = {
    "t_debounce": debounce,
    "t_C_close": close,
    "t_welded": opened,
    "t_C1_open": load_off,
    "t_duty_change": change,
    "t_step_X1": step_x1,
    "t_state_F": state_f,
    "t_unlock_F": unlock_f,
    "T_step_EF": step_ef,
    "t_wake_up": wake_up,
    "t_phases": phases,
    "t_over_current": over_current,
    "V2G_SECC_CPState_Detection_Timeout": cp_state,
    "t_5_percent_delay": hlc_delay,
    "t_ev_duty": ev_change,
    "t_ev_stop": ev_stop,
}


@every_timer(TIMERS)
def test_pilot_timers(rule: TimerRule, edge: str):
    happened, what = CASES[rule.name](just(rule, edge))
    assert happened == (edge == OUTSIDE), (rule.name, edge, what)
    shown(rule, edge, what if happened else f"not yet: {what}")
