"""The site of a draft, running for a while: its drivers and its loop, without the record and the servers of a real run.

For pulses nobody's rotation is believed: each EVSE counts on each phase, so that no limit is exceeded however the wires
really go. At its end everybody is told his fail-safe value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pilotwire.core.time import Scheduler
from pilotwire.site.compiled import Site, compile_site, compile_unproven
from pilotwire.site.config import PolicyEntry, SiteConfig, SteeringEntry
from pilotwire.site.decide import Decision
from pilotwire.site.inputs import TickInputs
from pilotwire.site.loop import Loop
from pilotwire.site.ports import Device, EvseDriver

STOP_MS = 5_000
NO_STEERING: Any = SteeringEntry()  # pyright: ignore[reportCallIssue]
"""Nothing but orders."""


class Drivers(Protocol):
    """See `run.Drivers`."""

    @property
    def evses(self) -> Sequence[EvseDriver]: ...

    @property
    def devices(self) -> Sequence[Device]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def plain_site(config: SiteConfig) -> Site:
    """The site as it will run, to be looked at. Raises ConfigError for a draft that may not run."""
    return compile_site(config)


def pulsed_site(config: SiteConfig) -> Site:
    """The site for pulses: orders are taken, everybody may charge now, and no rotation is believed.

    Raises ConfigError for a draft that may not run.
    """
    compile_site(config)
    replace = msgspec.structs.replace
    evses = tuple(
        replace(each, rotation=None, mode="now", priority=0, guaranteed_a=0, guaranteed_kw=0, cheapest=False)
        for each in config.evses
    )
    policy = PolicyEntry(hold_s=Decimal(0))
    return compile_unproven(replace(config, evses=evses, policy=policy, steering=config.steering or NO_STEERING))


def loop_of(
    site: Site,
    drivers: Drivers,
    scheduler: Scheduler,
    *,
    utc: Callable[[], int],
    report: Callable[[str], None],
    shown: Callable[[TickInputs, Decision], None] | None = None,
) -> Loop:
    """A loop without memory or record."""
    return Loop(site, drivers.evses, drivers.devices, scheduler, utc=utc, report=report, on_decision=shown)
