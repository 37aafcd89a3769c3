"""The switch matrix: one module from one output to another, never with current, never on two at once."""

from __future__ import annotations

from .limits import QUIET_MA, SAFE_MV
from .messages import UnitChanged
from .output import Output
from .stage import Stage
from .timers import CONTACT, STALE
from .unit import Unit

_SILENT_MS = 3 * STALE.ms
"""Silent for so long, a module's place is given to another as soon as nothing flows from it."""
_FOLLOW_MS = 1_000
"""It may deliver more than it was told for so long."""
LEAVE_MS = 2_000
"""It may go on delivering for so long after it was turned off."""
_START_MS = 8_000
"""It must be running so long after it was turned on; a change of the voltage mode takes 4 s of it."""
_WELDED_MS = 1_000
"""A module that cannot be disconnected must have said by then that it is off; else nothing but its input is left."""
_DEAD_MS = 3_000
"""So long after off nothing may stand at an output any more; vehicles have opened their contactors by then."""
_JUST_MS = 400
"""Only readings that are not older tell what others deliver: one of them may have died since ..."""
_SURE_MS = 600
"""... so what is concluded from them must hold for longer than that."""


def contact(stage: Stage, unit: Unit, output: int, closed: bool, now: int) -> None:
    """A mirror contact has moved, or is where it should not be."""
    if unit.output != output:
        if closed:
            # A switch that no one has closed: the module must not go anywhere else.
            if unit.output is None:
                unit.output = output
                unit.enter("stuck", now)
            stage.withdraw(unit, f"the switch to output {output} is closed by itself", now, rest=False)
            stage.turn_off(unit, now)
        return
    if closed:
        if unit.state == "closing":
            unit.enter("joined", now)
        elif unit.state == "free":
            unit.enter("stuck", now)
        stage.dirty = True
    elif unit.state in ("opening", "stuck"):
        unit.enter("free", now)
        stage.dirty = True
    elif unit.state in ("joined", "leaving", "closing"):
        opened_by_itself = unit.state != "closing"
        stage.turn_off(unit, now)
        unit.enter("free", now)
        if opened_by_itself:
            stage.withdraw(unit, f"the switch to output {output} has opened by itself", now)
        stage.dirty = True


def step(stage: Stage, unit: Unit, now: int) -> None:
    """Time has gone by for one module."""
    if unit.out and unit.out_until is not None and now >= unit.out_until and unit.state == "free":
        unit.out, unit.out_until = "", None
        stage.dirty = True
        stage.out.append(UnitChanged(unit.id, "in service", "tried again"))
    if unit.state == "free" and not unit.out and now - max(unit.off_at, unit.since) > _START_MS:
        if unit.running:
            stage.withdraw(unit, "is on though it was turned off", now)
        elif unit.fresh(now) and unit.read_mv > SAFE_MV:
            stage.withdraw(unit, f"gives {unit.read_mv} mV though it was turned off", now)
    if unit.state == "joined":
        _joined(stage, unit, now)
    elif unit.state == "leaving":
        _leaving(stage, unit, now)
    elif unit.state == "stuck":
        _stuck(stage, unit, now)
    elif unit.state == "closing":
        if now - unit.since >= CONTACT.ms:
            number = unit.output
            stage.withdraw(unit, f"the switch to output {number} does not close", now)
            if number is not None:
                stage.connect(unit, number, False, now)
    elif unit.state == "opening" and now - unit.since >= CONTACT.ms:
        unit.enter("stuck", now)
        stage.withdraw(unit, f"the switch to output {unit.output} does not open", now, rest=False)
        stage.turn_off(unit, now)


def _joined(stage: Stage, unit: Unit, now: int) -> None:
    if unit.stopped or unit.out:
        stage.leave(unit, unit.stopped or unit.out, now)
    elif unit.id.bus in stage.down:
        stage.leave(unit, f"bus {unit.id.bus} is off", now)
    elif not unit.present or now - unit.read_at > _SILENT_MS:
        stage.leave(unit, "silent", now)
    elif unit.excess_since is not None and now - unit.excess_since > _FOLLOW_MS:
        stage.withdraw(unit, f"delivers {unit.read_ma} mA instead of {unit.sent_ma if unit.sent_on else 0} mA", now)
    elif unit.sent_on and unit.sent_ma and unit.running is False and now - (unit.on_since or now) > _START_MS:
        stage.withdraw(unit, "does not start", now)


def _stuck(stage: Stage, unit: Unit, now: int) -> None:
    """Its switch does not open: if it is not off either, only its input is left."""
    output = stage.outputs[unit.output or 0]
    hidden = hidden_ma(stage, output, unit, now)
    if output.phase not in ("idle", "blocked"):
        unit.live_since = None
    elif measured(output, now) or unit.fresh(now):  # else no one knows, and it is as it was
        mv = output.mv if measured(output, now) else unit.read_mv
        unit.live_since = (unit.live_since or now) if mv > SAFE_MV else None
    if not unit.surely_off(now) and now - unit.since > _WELDED_MS:
        live = "nor does it say that it is off"
    elif (
        unit.read_ma > 500
        and unit.fresh(now)
        and unit.read_at - max(unit.off_at, unit.since) > _WELDED_MS
        and (hidden is None or hidden > QUIET_MA)
    ):
        live = f"and it gives {unit.read_ma} mA"
    elif unit.live_since is not None and now - unit.live_since > _DEAD_MS:
        # By then a vehicle has opened its contactors: this is no battery's voltage.
        live = f"and {output.mv} mV stand at the output, which is off"
    else:
        return
    stage.trip(f"the switch of {unit.id} to output {unit.output} does not open, {live}", now)


def _leaving(stage: Stage, unit: Unit, now: int) -> None:
    number = unit.output
    if number is None:
        unit.enter("free", now)
        return
    output = stage.outputs[number]
    hidden = hidden_ma(stage, output, unit, now)
    # More than the meter sees is as wrong as less: then someone lies, and it may be about this module.
    agreed = hidden is not None and abs(hidden) <= max(3_000, output.ma // 20)
    silent = not unit.fresh(now)
    waited = now - unit.since
    zero = unit.zero_since is not None and not unit.unseen_ma and not silent
    if not silent and waited <= LEAVE_MS and waited // 100 != (waited - stage.config.tick_ms) // 100:
        if not unit.obeyed:
            stage.repeat_off(unit, now)  # an alarm that ends would let it go on
        stage.inquire(unit)
    nothing = measured(output, now) and output.ma <= QUIET_MA
    if not agreed or output.phase != "active" or now - output.fallen_at < STALE.ms:
        # While an output goes down, readings are behind what flows.
        unit.agreed_since = None
    # Where another's current is on its way, what it said is older than what the meter sees: anything agrees then.
    unit.matched_since = (unit.matched_since or now) if zero and agreed and output.phase == "active" else None
    if nothing and waited >= 150:
        # The whole output gives nothing.
        stage.connect(unit, number, False, now)
    elif unit.matched_since is not None and (unit.obeyed or waited >= 1_000):
        if settled(stage, output, unit) or now - unit.matched_since >= _SURE_MS:
            stage.connect(unit, number, False, now)
    elif silent and agreed and output.phase == "active":
        unit.agreed_since = unit.agreed_since or now
        if now - unit.agreed_since >= _SURE_MS:
            # It has not said so itself: for all we know another lies, and current flows. The switch can break it.
            stage.connect(unit, number, False, now, loaded=True)
    elif output.phase in ("idle", "blocked") and waited > LEAVE_MS and not measured(output, now):
        # No one measures, and it is to be off: what it says does not keep it there.
        stage.connect(unit, number, False, now, loaded=True)
    elif output.phase in ("active", "stopping") and waited > LEAVE_MS and (not silent or not unit.present):
        if zero and (hidden is None or hidden < 0):
            return
        if not zero:
            text = f"{unit.id} does not turn off: {unit.read_ma} mA"
        else:
            text = f"{hidden} mA more flow than the modules say, {unit.id} says nothing flows"
        stage.withdraw(unit, text, now, rest=False)
        stage.fail(output, "", text, now)


def measured(output: Output, now: int) -> bool:
    """The meter has spoken just now: what it said a second ago may no longer be so."""
    return now - output.measured_at <= _JUST_MS


def settled(stage: Stage, output: Output, apart: Unit) -> bool:
    """None of the other modules has been told of less and not yet shown it."""
    return not any(
        unit is not apart and (unit.unseen_ma or (unit.state != "joined" and unit.read_ma > 500))
        for unit in stage.at(output.number)
    )


def hidden_ma(stage: Stage, output: Output, apart: Unit, now: int) -> int | None:
    """What the meter sees beyond what the other modules say that they deliver; None: no one knows."""
    if not measured(output, now):
        return None
    others = 0
    for unit in stage.at(output.number):
        if unit is not apart and now - unit.read_at <= _JUST_MS:
            others += unit.read_ma
    return output.ma - others
