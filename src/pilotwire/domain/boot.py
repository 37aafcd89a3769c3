"""Boot and heartbeat."""

from __future__ import annotations

from . import inputs
from .context import Context, Decision
from .facts import StationBooted
from .inputs import BootVerdict, Done
from .state import StationState

DONE = Done()


def boot(state: StationState, given: inputs.Boot, ctx: Context) -> Decision:
    """BootNotification: answered as the account says. Sessions live on: many stations resume them after a reboot."""
    fact = StationBooted(
        event_time=ctx.now,
        vendor=given.vendor,
        model=given.model,
        serial=given.serial,
        firmware=given.firmware,
        reason=given.reason,
        verdict=ctx.boot,
    )
    wait = ctx.heartbeat_interval_s if ctx.boot == "Accepted" else ctx.boot_retry_s
    return Decision((fact,), (), BootVerdict(verdict=ctx.boot, interval_s=wait))


def heartbeat(state: StationState, given: inputs.Heartbeat, ctx: Context) -> Decision:
    """Heartbeat: a sign of life and the answer's clock; no fact."""
    return Decision((), (), DONE)
