"""Every state of the EVSE's machine × every event: whatever comes in whatever order, energy is on only when it may be.

States are told apart by all that the machine goes by except instants; each is reached by a shortest way and given
every event. `elapse` is always at the machine's own deadline.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from tests.protocols.iec61851.pilot_world import PilotWorld

from pilotwire.core import ev_link
from pilotwire.core import evse_link as link
from pilotwire.core.machines import Send
from pilotwire.protocols.iec61851.duty import current
from pilotwire.protocols.iec61851.ev import PilotEv
from pilotwire.protocols.iec61851.evse import PilotEvse, PilotEvseConfig
from pilotwire.protocols.iec61851.high_level import HighLevel, LinkFailed, LinkOver, Matched, NoMatch, Step
from pilotwire.protocols.iec61851.levels import LOADS, PilotLoad, PilotSample, measure, pwm

Event = Callable[[Any, int], list[Any]]


def seen(load: PilotLoad) -> Event:
    """It shows this for long enough, at whatever is driven."""

    def event(machine: Any, now: int) -> list[Any]:
        pilot = getattr(machine, "pilot", machine)
        said = list(machine.receive(measure(pilot.level, load), now))
        return said + list(machine.elapse(now + 10))

    return event


def told(command: Any) -> Event:
    return lambda machine, now: list(machine.command(command, now))


def waits(machine: Any, now: int) -> list[Any]:
    return list(machine.elapse(now if machine.deadline is None else max(now, machine.deadline)))


SEEN: dict[str, Event] = {state: seen(load) for state, load in LOADS.items()} | {
    "no diode": seen(PilotLoad(LOADS["C"].ohm, diode=False))
}
COMMON: dict[str, Event] = SEEN | {
    "wait": waits,
    "closed": told(link.Contactor(True)),
    "opened": told(link.Contactor(False)),
    "locked": told(link.Locked(True)),
    "unlocked": told(link.Locked(False)),
    "stop": told(link.Stop()),
    "emergency": told(link.Stop(emergency=True)),
    "trip": told(link.Fault(code="MREC2GroundFailure", by="evse")),
    "resume": told(link.Resume()),
}
BASIC: dict[str, Event] = COMMON | {
    "let in": told(link.Authorize(accepted=True)),
    "refused": told(link.Authorize(accepted=False)),
    "16 A": told(link.Offer(max_ma=16_000)),
    "one phase": told(link.Offer(max_ma=16_000, phases=1)),
    "nothing": told(link.Offer(max_ma=0)),
    "pause": told(link.Pause()),
}
DIGITAL: dict[str, Event] = COMMON | {
    "on": told(link.ContactorAsked(True)),
    "off": told(link.ContactorAsked(False)),
    "matched": told(Matched()),
    "no match": told(NoMatch(False)),
    "failed": told(LinkFailed("it failed", comeback=True)),
    "step": told(Step()),
}


def state_of(machine: Any) -> tuple[Any, ...]:
    pilot = getattr(machine, "pilot", machine)
    latch = pilot._latch
    lock = None if latch is None else (latch.locked, latch.asked, min(latch.due, 2))
    known = (
        pilot.seen, pilot.level, pilot.driver._wanted, pilot.contact, pilot.session, pilot.authorized, pilot.simplified,
        tuple(sorted(pilot.faults)), pilot.digital, pilot.power, pilot.step, pilot._step_until is None, lock,
          pilot._paused, pilot._stop, pilot._over, pilot._phases,
        pilot._phases_at is None, pilot._c1_at is None, pilot._b_at is None, pilot._woken, pilot._f_at is None,
        tuple(sorted(pilot._shown)), pilot._offer, pilot._energised, pilot._granted, pilot._requested,
    )  # fmt: skip
    if pilot is machine:
        return known
    return (
        *known,
        machine.matched,
        machine.listening,
        machine._over,
        machine._listen_at is None,
        machine._state_at is None,
    )


def check(machine: Any, said: list[Any], way: tuple[str, ...]) -> None:
    """What must hold whatever came."""
    pilot = getattr(machine, "pilot", machine)
    on = pilot.contact in ("closing", "closed")
    if on:
        assert pilot.session and not pilot.faults and pilot.seen in ("C", "D"), way
        assert pilot.seen == "C" or pilot.config.ventilation, way
        assert pilot._latch is None or pilot._latch.locked, way
        assert pilot.power if pilot.digital else (pilot.authorized or pilot._c1_at is not None), way
        assert pilot.level.drive == "pwm" or pilot._c1_at is not None, way
    if pilot.level.drive == "pwm" and pilot.driver._wanted == pilot.level and not pilot.digital:
        assert pilot.authorized and pilot.session and not pilot.faults, way
        assert current(pilot.level.duty) <= pilot._offer.max_ma, way
    for one in said:
        if one == link.LockAsked(False):
            assert pilot.contact == "open", way
        if one == link.ContactorAsked(True):
            assert on, way
    closes = [one.closed for one in said if isinstance(one, link.ContactorAsked)]
    assert all(a != b for a, b in itertools.pairwise(closes)), way
    if any(isinstance(one, LinkOver) for one in said):
        assert not on, way


def explore(machine: Any, events: dict[str, Event], most: int) -> int:
    """Breadth first; returns how many states there are."""
    found = {state_of(machine)}
    edge: list[tuple[Any, int, tuple[str, ...]]] = [(machine, 0, ())]
    while edge:
        after: list[tuple[Any, int, tuple[str, ...]]] = []
        for before, now, way in edge:
            kept = pickle.dumps(before, -1)
            for name, event in events.items():
                fresh = pickle.loads(kept)
                at = now + 40
                if name == "wait" and fresh.deadline is not None:
                    at = max(at, fresh.deadline)
                said = event(fresh, at)
                if name in SEEN:
                    at += 10
                here = (*way, name)
                check(fresh, said, here)
                for _ in range(20):  # what is due is done, and then it waits
                    if fresh.deadline is None or fresh.deadline > at:
                        break
                    check(fresh, list(fresh.elapse(at)), here)
                else:
                    raise AssertionError(f"it is always due: {here}")
                state = state_of(fresh)
                if state not in found:
                    found.add(state)
                    assert len(found) <= most, "more states than were thought of"
                    after.append((fresh, at, here))
        edge = after
    return len(found)


@pytest.mark.parametrize(
    ("events", "least"),
    [
        (("A", "B", "C", "wait", "closed", "opened", "let in", "refused", "16 A", "nothing", "pause", "resume"), 100),
        (("A", "B", "C", "E", "no diode", "wait", "closed", "opened", "let in", "16 A", "trip", "resume"), 100),
        (("A", "B", "C", "D", "wait", "closed", "opened", "let in", "16 A", "stop", "emergency"), 100),
        (("A", "C", "B", "wait", "closed", "opened", "let in", "16 A", "one phase"), 60),
    ],
    ids=["grants", "faults", "ends", "phases"],
)  # fmt: skip
def test_every_state_and_every_event_of_basic_charging(events: tuple[str, ...], least: int):
    machine = PilotEvse(PilotEvseConfig(wake_up=False))
    assert explore(machine, {name: BASIC[name] for name in events}, 4_000) > least


def test_every_state_and_every_event_with_a_lock():
    """Everybody is let in, 16 A are there: what is left is the lock, the contactor and what may be wrong with them."""
    events = ("A", "C", "wait", "closed", "opened", "locked", "unlocked", "trip", "resume")
    machine = PilotEvse(PilotEvseConfig(wake_up=False, lock=True, cable_ma=32_000, auto=True))
    machine.command(link.Offer(max_ma=16_000), 0)
    assert explore(machine, {name: BASIC[name] for name in events}, 4_000) > 100


def test_every_state_and_every_event_beside_a_link():
    events = ("A", "B", "C", "E", "wait", "closed", "opened", "on", "off", "stop", "trip", "resume", "failed", "step")
    assert explore(HighLevel(ac=False), {name: DIGITAL[name] for name in events}, 4_000) > 100


@pytest.mark.parametrize("high_mv", [13_500, -12_000, 10_500, 7_500, 4_500, 1_500])
def test_voltages_that_belong_to_no_state(high_mv: int):
    machine = PilotEvse(PilotEvseConfig(auto=True))
    machine.receive(PilotSample(high_mv, high_mv), 0)
    said = list(machine.elapse(10))
    wrong = high_mv in (13_500, -12_000) or high_mv < 13_000
    assert wrong and not any(isinstance(one, link.ContactorAsked) for one in said)


def test_every_order_of_the_vehicles_events():
    """The vehicle's end: whatever it is told, it shows what may be shown, and is never always due."""
    steps: dict[str, Event] = {
        "X1": lambda m, t: list(m.receive(measure(pwm(1000), LOADS["B"]), t)),
        "16 A": lambda m, t: list(m.receive(measure(pwm(266), LOADS["B"]), t)),
        "5 %": lambda m, t: list(m.receive(measure(pwm(50), LOADS["B"]), t)),
        "F": lambda m, t: list(m.receive(PilotSample(-12_000, -12_000, 0), t)),
        "ready": told(ev_link.Drive()),
        "done": told(ev_link.Drive(ready=False)),
        "flows": told(ev_link.Contacts(True)),
        "stopped": told(ev_link.Contacts(False)),
        "halt": told(ev_link.Halt()),
        "rest": told(ev_link.Rest()),
        "wait": waits,
        "out": lambda m, t: list(m.lost(t)),
    }
    first = PilotEv()
    first.start(0)
    found: set[Any] = set()
    edge: list[tuple[PilotEv, int]] = [(first, 0)]
    while edge:
        after: list[tuple[PilotEv, int]] = []
        for before, now in edge:
            kept = pickle.dumps(before, -1)
            for name, step in steps.items():
                ev: PilotEv = pickle.loads(kept)
                at = max(now + 40, ev.deadline or 0) if name == "wait" else now + 40
                said = step(ev, at)
                for _ in range(20):
                    if ev.deadline is None or ev.deadline > at:
                        break
                    said += ev.elapse(at)
                else:
                    raise AssertionError(f"it is always due after {name}")
                if ev.shown in ("C", "D") and ev._stop_at is None and not ev._ended:
                    assert ev.offered_ma and not ev.digital
                if any(isinstance(one, Send) for one in said) and ev._ended:
                    assert ev.shown in ("A", "B")
                state = (
                    ev.shown, ev.offered_ma, ev.digital, ev._drive, ev._ended, ev._halt, ev._rest, ev._contacts,
                    ev._asked, ev._stop_at is None, ev._obey_at is None, ev._next, ev._linked,
                )  # fmt: skip
                if state not in found:
                    found.add(state)
                    after.append((ev, at))
        edge = after
    assert len(found) > 100


def test_the_world_itself_is_no_sleeper():
    """A whole session has few wake-ups: nobody polls."""
    world = PilotWorld(PilotEvse(), PilotEv())
    world.plug()
    world.charge()
    assert world.ev
    world.ev.command(ev_link.Drive())
    steps = 0
    while world.time.step() and steps < 1_000:
        steps += 1
    assert steps < 60
