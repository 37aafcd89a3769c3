"""Every timer of GB/T 27930 a millisecond before its limit and a millisecond behind it."""

from __future__ import annotations

from typing import Any

from tests.protocols.gbt27930.gbt_bench import Bench, ChargerBench, VehicleBench
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.ev_link import ContactsAsked, Drive, Parted
from pilotwire.core.evse_link import Authorize, ContactorAsked, Ended, Fault, Stop
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.gbt27930 import TIMERS, Cc1, EvConfig, EvseConfig, Supply
from pilotwire.protocols.gbt27930 import timers as t


def charger(rule: TimerRule) -> ChargerBench:
    """A charger for which `rule` begins to run now."""
    phases = {
        t.LOCK: "locking", t.BHM: "handshake", t.INSULATION: "insulation", t.BRM: "identify", t.BCP: "recognised",
        t.BRO: "configure", t.BRO_READY: "configure", t.READY: "prepare", t.BCL_FIRST: "ready", t.BCL: "charging",
        t.BCS: "charging", t.PERMISSION: "charging", t.BST: "stopping", t.BSD: "statistics", t.CURRENT: "charging",
        t.UNPLUGGED: "charging", t.VOLTAGE: "charging", t.OPENED: "charging", t.SHOWN: "error",
        t.LINGER: "statistics",
    }  # fmt: skip
    bench = ChargerBench(phases[rule])
    if rule is t.BRO_READY:
        bench.keeping(BRO=250)
        bench.keep["BRO"] = 250, {"ready": 0}
    elif rule is t.BCL_FIRST:
        bench.keeping(BCS=250)
    elif rule is t.BCS:
        bench.keeping(BCL=50)
    elif rule is t.BCL:
        bench.keeping(BCS=250)
    elif rule is t.PERMISSION:
        bench.keeping(BCL=900, BCS=4_000)
        bench.say("BSM", permitted=0)
    elif rule in (t.CURRENT, t.UNPLUGGED):
        bench.quirks["stays_ma"] = True
        if rule is t.CURRENT:
            bench.command(Stop("enough"))
        else:
            bench.hear(Cc1(6_000))
    elif rule is t.OPENED:
        bench.quirks["open"] = False
        bench.command(Stop("enough"))
    elif rule is t.VOLTAGE:
        bench.quirks["stays_mv"] = True
        bench.command(Stop("enough"))
    elif rule is t.LINGER:
        bench.say("BSD")
    return bench


@every_timer(t.EVSE_TIMERS)
def test_timers_of_the_charger(rule: TimerRule, edge: str):
    bench = charger(rule)
    before = bench.phase
    bench.events.clear()
    bench.said.clear()
    bench.run(just(rule, edge))
    inside = edge == INSIDE
    texts = " ".join(fault.text for fault in bench.of(Fault))
    if rule in (t.CURRENT, t.UNPLUGGED):
        assert bool(bench.of(ContactorAsked)) is not inside
        assert ("still flow" in texts) is not inside
        return shown(rule, edge, "the contactor waits" if inside else f"the contactor is opened: {texts}")
    if rule in (t.OPENED, t.VOLTAGE):
        assert bench.machine.output.live is not inside
        return shown(rule, edge, "nothing is said yet" if inside else texts)
    phase = bench.phase
    if inside:
        assert phase == before
        assert not bench.of(Fault) and not bench.of(Ended)
        return shown(rule, edge, f"still in phase {phase}")
    expected = {
        t.LOCK: "ended", t.BHM: "identify", t.INSULATION: "ended", t.READY: "stopping", t.PERMISSION: "stopping",
        t.BST: "ended", t.BSD: "ended", t.SHOWN: "identify", t.LINGER: "ended",
    }  # fmt: skip
    assert phase == expected.get(rule, "error")
    if phase == "error":
        assert bench.said[-1] == "CEM" and f"no {rule.name} came" in texts
        assert bench.machine.output.told.ma == 0 and not bench.closed
    if rule in (t.BST, t.BSD):
        assert bench.said[-1] == "CEM"
    shown(rule, edge, texts or f"phase {phase}")


def vehicle(rule: TimerRule) -> Bench:
    """A vehicle for which `rule` begins to run now."""
    phases = {
        t.POWER: "unpowered", t.CRM: "handshake", t.CRM_AA: "identify", t.CML: "configure", t.CRO: "ready",
        t.CRO_READY: "ready", t.CCS_FIRST: "ready", t.CCS: "charging", t.CCS_PERMISSION: "charging",
        t.CST: "stopping", t.CSD: "statistics", t.SEVERE: "charging", t.OVERCURRENT: "charging", t.AGAIN: "error",
        t.EV_OPENED: "charging",
    }  # fmt: skip
    bench = VehicleBench(phases[rule])
    if rule is t.CRO_READY:
        bench.keeping(CRO=250)
        bench.keep["CRO"] = 250, {"ready": 0}
    elif rule is t.CCS_FIRST:
        bench.say("CRO")
    elif rule is t.CCS_PERMISSION:
        bench.keeping(CCS=900)
        bench.keep["CCS"] = 900, {"permitted": 0}
        bench.say("CCS", permitted=0)
    elif rule is t.OVERCURRENT:
        bench.keeping(CCS=50)
        bench.keep["CCS"] = 50, {"current": 150_000}
        bench.say("CCS", current=150_000)
    elif rule is t.SEVERE:
        bench.say("CST")
    elif rule is t.EV_OPENED:
        bench.quirks["open"] = False
        bench.hear(Supply(False))
    return bench


@every_timer(t.EV_TIMERS)
def test_timers_of_the_vehicle(rule: TimerRule, edge: str):
    bench: Any = vehicle(rule)
    before = bench.phase
    bench.events.clear()
    bench.said.clear()
    bench.run(just(rule, edge))
    inside = edge == INSIDE
    texts = " ".join(fault.text for fault in bench.of(Fault)) or " ".join(end.reason for end in bench.of(Parted))
    if rule is t.SEVERE:
        assert bool(bench.of(ContactsAsked)) is not inside
        return shown(rule, edge, "the contactors wait for the current" if inside else "the contactors open")
    if inside:
        assert bench.phase == before
        assert not bench.of(Fault) and not bench.of(Parted)
        return shown(rule, edge, f"still in phase {bench.phase}")
    expected = {
        t.POWER: "ended", t.CCS_PERMISSION: "stopping", t.OVERCURRENT: "stopping", t.CST: "ended", t.CSD: "ended",
        t.AGAIN: "ended", t.EV_OPENED: "ended",
    }  # fmt: skip
    assert bench.phase == expected.get(rule, "error")
    if bench.phase == "error":
        assert bench.said[-1] == "BEM" and f"no {rule.name} came" in texts
        assert not bench.machine.closed
    assert bench.machine.drive == Drive(max_mv=450_000, target_ma=100_000, capacity_wh=60_000)
    shown(rule, edge, texts or f"phase {bench.phase}")


def test_no_timer_is_left_out():
    assert set(TIMERS) == set(t.EVSE_TIMERS) | set(t.EV_TIMERS)
    named = {name: rule for name, rule in vars(t).items() if isinstance(rule, TimerRule)}
    assert set(named.values()) == set(TIMERS)


def test_three_times_anew_then_the_plug_has_to_be_drawn():
    bench = ChargerBench("identify")
    bench.events.clear()
    bench.run(60_000)
    crm = [fault for fault in bench.of(Fault) if fault.text == "no BRM came within 5000 ms"]
    assert len(crm) == 1 + t.RECONNECTS
    assert [type(event) for event in bench.events][-1] is Ended
    assert bench.now - bench.times[-1] > 30_000
    bench.command(Authorize(accepted=True))
    assert bench.phase == "ended", "without drawing the plug nothing begins"
    bench.hear(Cc1(6_000))
    bench.hear(Cc1(4_000))
    assert bench.phase == "handshake"


def test_a_vehicle_that_comes_back_in_time_is_charged():
    bench = ChargerBench("charging")
    bench.run(1_001)
    assert bench.phase == "error" and not bench.closed
    bench.run(1_000)
    assert bench.phase == "identify"
    for name in ("BRM", "BCP", "BRO"):
        bench.say(name)
    assert bench.phase == "ready"
    bench.say("BCS")
    bench.say("BCL")
    assert bench.phase == "charging" and bench.closed


def test_the_other_edition_has_the_same_timers():
    bench = ChargerBench(config=EvseConfig(edition="2011"))
    bench.hear(Cc1(4_000))
    assert bench.phase == "identify"
    bench.run(5_001)
    assert bench.phase == "error" and bench.said[-1] == "CEM"
    ev: Any = VehicleBench("unpowered", EvConfig(edition="2011"))
    ev.say("CRM")
    ev.run(5_001)
    assert ev.phase == "error" and ev.said[-1] == "BEM"
