"""Limits by contract and by the clock."""

from collections.abc import Iterator

from pilotwire.domain.energy import Limit

from .calendar import holds
from .config import Config
from .inputs import Plan, planned
from .reasons import Reason


def contract_limits(config: Config, plan: Plan | None, utc_ms: int) -> Iterator[tuple[str, Limit, Reason]]:
    """(node, limit, reason) of every contract and schedule in force.

    A contract that is not hard gives way to what the plan says is worth its price (`Plan.peaks` under the node's id).
    """
    for contract in config.contracts:
        power = contract.power_mw
        if not contract.hard and plan is not None:
            power = max(power, planned(plan.peaks, contract.node, utc_ms) or 0)
        source = "contract" if power == contract.power_mw else "plan"
        reason = Reason(contract.node, "contracted", source, {"limit_mw": power})
        yield contract.node, Limit(source="contracted capacity", power_mw=power), reason
    for schedule in config.schedules:
        if schedule.limit.in_force(utc_ms) and holds(schedule.span, utc_ms, schedule.zone):
            figures = {} if schedule.limit.power_mw is None else {"limit_mw": schedule.limit.power_mw}
            reason = Reason(schedule.node, "scheduled", schedule.limit.source, figures)
            yield schedule.node, schedule.limit, reason
