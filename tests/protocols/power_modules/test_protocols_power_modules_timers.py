"""Every timer of the conversations with power modules, just inside and just outside."""

from __future__ import annotations

from tests.protocols.power_modules.rack import WIRE_MS, Rack
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.timers import TimerRule
from pilotwire.protocols.power_modules import TIMERS, Lost, Set, Switch, UUGreenEmulator, uugreen
from pilotwire.protocols.power_modules.timers import MODE_ENTER, MODE_LEAVE, OFFLINE, REPEAT, SILENCE


def charging(family) -> Rack:
    rack = Rack(family, 1)
    rack.run(3_000)
    rack.charger.command(Set(1, 400_000, 20_000))
    rack.charger.command(Switch(1, True))
    rack.run(8_000)
    assert rack.modules[1].rectifier.ma == 20_000
    return rack


@every_timer(TIMERS)
def test_timers(rule: TimerRule, edge: str):
    inside = edge == INSIDE
    if rule is SILENCE:
        rack = charging("infy")
        module = rack.modules[1]
        rack.cut = True
        rack.run(WIRE_MS)
        module.elapse(module.heard + just(rule, edge))
        assert module.rectifier.on is inside
        shown(rule, edge, "the output is on" if inside else "the module has turned its output off")
    elif rule is OFFLINE:
        rack = charging("infy")
        rack.cut = True
        heard = rack.driver.slots[1].heard
        rack.driver._due = 0
        told = [e for _ in range(6) for e in _step(rack, heard + just(rule, edge)) if isinstance(e, Lost)]
        assert bool(told) is not inside
        shown(rule, edge, "the module is still counted with" if inside else f"given up: {told[0]}")
    elif rule is REPEAT:
        rack = charging("infy")
        rack.driver.slots[1].repeated = at = int(rack.sim.now())
        sets = [f for _ in range(6) for f in _frames(_step(rack, at + just(rule, edge))) if f.id >> 16 & 63 == 0x1C]
        assert bool(sets) is not inside
        shown(rule, edge, "nothing is sent again" if inside else "voltage and current are sent again")
    else:
        _modes(rule, edge, inside)


def _step(rack: Rack, now: int):
    rack.driver._due = 0
    return rack.driver.elapse(now)


def _frames(effects):
    return [effect.data for effect in effects if type(effect).__name__ == "Send"]


def _modes(rule: TimerRule, edge: str, inside: bool):
    """High is needed while the module works in low: off, 2 s, the mode, 2 s, on."""
    rack = charging("uugreen")
    module = rack.modules[1]
    assert isinstance(module, UUGreenEmulator) and module.mode == uugreen.LOW
    rack.batteries[1] = 700_000
    begun = int(rack.sim.now())
    del rack.sent[:]
    rack.charger.command(Set(1, 800_000, 20_000))
    wait = just(rule, edge) if rule is MODE_LEAVE else MODE_LEAVE.ms + just(MODE_ENTER, edge)
    rack.run(wait)
    orders = [(at - begun, f.data[1], f.data[7]) for at, f in rack.sent if f.data[0] == 0]
    if rule is MODE_LEAVE:
        assert bool([order for order in orders if order[1] == uugreen.MODE]) is not inside
        shown(rule, edge, "off, and nothing said of the mode" if inside else "the new mode is set")
    else:
        assert bool([order for order in orders if order[1:] == (uugreen.OFF, 0)]) is not inside
        shown(rule, edge, "it stays off" if inside else "it is turned on again")
