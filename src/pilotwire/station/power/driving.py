"""Outputs: turned up slowly and down at once, the current shared between modules, turned off until nothing flows."""

from __future__ import annotations

from .limits import FALL_MA_S, QUIET_MA, SAFE_MA, current_tolerance
from .messages import OutputOff
from .output import Output
from .sharing import Part, share
from .stage import Stage
from .switching import LEAVE_MS, measured
from .timers import CONTACT, OFF
from .unit import Unit

_RAISE_MS = 200
"""A module is told more so often at most: the bus is slow."""
_STOP_DELAY_MS = 350
"""Until the order has come through, twice if need be, and the meter shows what it has done."""
_BLIND_MS = 50
"""After over-voltage: until a shutdown has to begin (2023, 6.3.1.106.3)."""
_STOP_MS = 1_500
"""Turned off in order it takes no longer; then it is an emergency."""


def step(stage: Stage, output: Output, passed: int, now: int) -> None:
    """Time has gone by for one output."""
    if output.phase == "active":
        _active(stage, output, passed, now)
    elif output.phase == "stopping":
        _stopping(stage, output, now)
    elif output.phase == "emergency":
        _emergency(stage, output, now)
    else:
        _resting(stage, output, now)


def halt(stage: Stage, output: Output, reason: str, emergency: bool, now: int) -> None:
    """Turn it off."""
    output.demand = None
    if output.phase in ("active", "stopping") and not (output.phase == "stopping" and not emergency):
        output.enter("emergency" if emergency else "stopping", now, reason)
        for unit in stage.at(output.number):
            stage.turn_off(unit, now)
    elif output.phase in ("idle", "blocked"):
        stage.out.append(OutputOff(output.number, output.reason if output.phase == "blocked" else reason))
    stage.dirty = True


def _active(stage: Stage, output: Output, passed: int, now: int) -> None:
    demand = output.demand
    assert demand is not None
    live = [unit for unit in stage.at(output.number) if unit.state == "joined" and unit.usable(now)]
    ghosts = sum(unit.bound for unit in stage.at(output.number) if unit not in live)
    parts = [Part(unit.most_ma(demand.mv, stage.factor), unit.min_ma) for unit in live]
    goal = min(demand.ma, output.max_ma, sum(part.most for part in parts) + ghosts)
    output.raise_to(goal, stage.config.rise_ma_s, passed, now)
    output.trim(now, passed)
    running = [unit.read_mv for unit in live if unit.running and unit.read_ma > 1_000]
    trouble = output.trouble(now, sum(running) // len(running) if running else None)
    if trouble is not None:
        stage.fail(output, *trouble, now)
        return
    _divide(stage, output, live, parts, ghosts, now)


def _divide(stage: Stage, output: Output, live: list[Unit], parts: list[Part], ghosts: int, now: int) -> None:
    """Less to those who have too much, at once; then more to the others, as far as no one can be above."""
    demand = output.demand
    assert demand is not None
    shares = share(max(0, output.ramp_ma - output.trim_ma - ghosts), parts)
    for unit, ma in zip(live, shares, strict=True):
        if ma < unit.bound:
            if unit.sent_on and (ma < unit.sent_ma or demand.mv != unit.sent_mv):
                stage.tell(unit, demand.mv, ma, ma > 0 or not demand.ma, now)
        elif unit.sent_on and demand.mv != unit.sent_mv:
            stage.tell(unit, demand.mv, unit.sent_ma, True, now)
    if any(unit.state == "leaving" and now - unit.since < LEAVE_MS for unit in stage.at(output.number)):
        return  # who leaves is compared with the meter: the others hold still for a moment
    head = output.ramp_ma - output.trim_ma - ghosts - sum(unit.bound for unit in live)
    for unit, ma in zip(live, shares, strict=True):
        current = unit.bound
        if ma <= current or head <= 0 or now - unit.sent_at < _RAISE_MS:
            continue
        more = min(ma - current, head)
        head -= more
        if not unit.sent_on:
            unit.on_since = now
        stage.tell(unit, demand.mv, current + more, True, now)


def _all_off(stage: Stage, output: Output, now: int) -> None:
    for unit in stage.at(output.number):
        stage.turn_off(unit, now)


def _stopping(stage: Stage, output: Output, now: int) -> None:
    _all_off(stage, output, now)
    if measured(output, now) and output.ma <= QUIET_MA and output.measured_at > output.since:
        _off(stage, output, now)
    elif now - output.since >= _STOP_MS or (
        measured(output, now) and output.ma > _falling(output.stop_ma, now - output.since)
    ):
        text = f"current does not stop: {output.ma} mA" if measured(output, now) else "nothing is measured"
        stage.fail(output, "", text, now)


def _falling(ma: int, waited: int) -> int:
    """The most that may still flow when so much was turned off."""
    rest = max(0, ma - FALL_MA_S * max(0, waited - _STOP_DELAY_MS) // 1000)
    return rest + current_tolerance(rest)


def _emergency(stage: Stage, output: Output, now: int) -> None:
    _all_off(stage, output, now)
    waited = now - output.since
    known = measured(output, now) and output.measured_at > output.since
    if known and output.ma <= QUIET_MA:
        _off(stage, output, now)
        return
    # Voltage that is too high goes on as long as the contactors are closed, and without a meter nothing else ends it.
    blind = output.fault and output.over_voltage and not known and waited >= _BLIND_MS
    if not output.opened and (blind or waited >= OFF.ms) and (not known or output.ma > SAFE_MA or waited >= 3 * OFF.ms):
        output.opened = True
        for unit in list(stage.at(output.number)):
            if unit.state != "stuck":
                stage.connect(unit, output.number, False, now, loaded=True)
    if not output.opened or waited < OFF.ms + CONTACT.ms + 100:
        return
    closed = [str(unit.id) for unit in stage.at(output.number) if unit.state == "stuck"]
    # A little that does not stop is no danger to a contactor, but it is not off.
    if known and output.ma > (SAFE_MA if waited < 2 * OFF.ms else QUIET_MA):
        stage.trip(f"output {output.number} still gives {output.ma} mA, welded: {', '.join(closed) or 'none'}", now)
    elif not known and closed:
        stage.trip(f"output {output.number} is not measured, and {', '.join(closed)} cannot be disconnected", now)
    if not known and not any(stage.at(output.number)):
        _off(stage, output, now)


def _resting(stage: Stage, output: Output, now: int) -> None:
    """Off: and it must stay so."""
    _all_off(stage, output, now)
    if measured(output, now) and output.ma > SAFE_MA:
        output.excess_since = output.excess_since or now
        if now - output.excess_since >= OFF.ms:
            stage.fail(output, "OverCurrentFailure", f"{output.ma} mA flow though the output is off", now)
    else:
        output.excess_since = None


def _off(stage: Stage, output: Output, now: int) -> None:
    output.enter("blocked" if output.fault else "idle", now)
    output.ceiling_ma = 0
    for unit in list(stage.at(output.number)):
        if output.fault and unit.state in ("joined", "leaving"):
            # After a fault nothing stays joined: one of them may not have turned off, and keep its voltage there.
            stage.connect(unit, output.number, False, now)
        elif not unit.fresh(now):
            stage.leave(unit, "silent", now)
    stage.dirty = True
    stage.out.append(OutputOff(output.number, output.reason))
