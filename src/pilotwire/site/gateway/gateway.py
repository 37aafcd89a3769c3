"""A charger's driver below a station program: polls it, and joins both.

gateway = Gateway(config, drivers, scheduler, storage, tell)
station = Station(..., outlets=gateway)           # the composition root's
gateway.attach(Bridge(station), station.power_on)
gateway.stop()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.site.facades.orders import Order, each
from pilotwire.site.ports import EvseDriver, Told

from .config import GatewayConfig
from .meter import RegisterMeter
from .outlet import Outlet
from .ports import Memory, SetPoint, StationSide

__all__ = ["Gateway", "to_driver", "to_limits"]


class Gateway:
    """All outlets of one station. Fits `pilotwire.station.ports.Outlets`."""

    def __init__(
        self,
        config: GatewayConfig,
        drivers: Mapping[str, EvseDriver],
        scheduler: Scheduler,
        memory: Memory,
        tell: SetPoint,
        *,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`tell` is given the set-points: `to_driver(...)`, or `to_limits(...)` where a control loop commands. `told`
        hears in words what an operator should know. Raises ConfigError for an EVSE without a driver."""
        missing = [name for name in config.evses if name not in drivers]
        if missing:
            raise ConfigError(f"station {config.identity}: there is no EVSE {missing[0]!r}")
        self.config = config
        self.outlets: Sequence[Outlet] = tuple(
            Outlet(number, config, drivers[name], tell, self._later, told)
            for number, name in enumerate(config.evses, 1)
        )
        self._scheduler = scheduler
        self._memory = memory
        self._timer: Timer | None = None
        self._soon: list[Timer] = []

    # ── for the station ──────────────────────────────────────────────────────────────────────────────────────────────

    def meter(self, evse_id: int) -> RegisterMeter:
        """See `pilotwire.station.ports.Outlets`."""
        return self.outlets[evse_id - 1].meter

    def unlock(self, evse_id: int, done: Callable[[bool], None]) -> None:
        """See `pilotwire.station.ports.Outlets`."""
        self.outlets[evse_id - 1].attendant.unlock(done)

    @property
    def restarts(self) -> bool:
        """See `pilotwire.station.ports.Outlets`: all of its outlets can."""
        return all(outlet.attendant.restarts for outlet in self.outlets)

    def reset(self) -> None:
        """See `pilotwire.station.ports.Outlets`. Sessions are over by then."""
        for outlet in self.outlets if self.restarts else ():
            outlet.attendant.restart()

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def attach(self, station: StationSide, power_on: Callable[[], None]) -> None:
        """The station is there: take up what was stored, switch it on, and look at the charger from now on."""
        stored = dict(self._memory.load())
        for outlet in self.outlets:
            running = f"session.{outlet.number}" in stored
            outlet.restore(stored.get(f"gateway.{outlet.number}"), station, running=running)
        power_on()
        self._poll()

    def stop(self) -> None:
        """Look no more. The charger goes on as it was told last."""
        for timer in (*self._soon, *([self._timer] if self._timer is not None else ())):
            timer.cancel()
        self._soon.clear()
        self._timer = None

    def _poll(self) -> None:
        self._timer = self._scheduler.call_later(self.config.poll_ms, self._poll)
        now = int(self._scheduler.now())
        for outlet in self.outlets:
            outlet.look(now)

    def _later(self, then: Callable[[], None]) -> None:
        def due() -> None:
            self._soon.remove(timer)
            then()

        if len(self._soon) < 2 * len(self.outlets):  # one that waits sees all that has changed before it
            timer = self._scheduler.call_later(0, due)
            self._soon.append(timer)


class Limits(Protocol):
    """Where orders go: `ExternalLimits`, or whatever keeps them too."""

    def put(self, order: Order, now: int) -> None: ...


def to_limits(
    drivers: Mapping[str, EvseDriver], limits: Limits, scheduler: Scheduler, *, csms: str = "csms"
) -> SetPoint:
    """Set-points as limits of the control loop, which commands the chargers: the lowest counts. `scheduler` has the
    loop's steady clock."""

    def tell(evse: str, value: int, valid_ms: int) -> None:
        now = int(scheduler.now())
        amps = drivers[evse].abilities.unit == "mA"
        limits.put(
            Order(
                channel=f"ocpp/{evse}",
                client=csms,
                via="ocpp",
                evse=evse,
                phases_ma=each(value) if amps else None,
                power_mw=None if amps else value,
                enable=value > 0,
                until_ms=now + valid_ms,
                after_ma=each(0) if amps else None,
                after_mw=None if amps else 0,
            ),
            now,
        )

    return tell


def to_driver(drivers: Mapping[str, EvseDriver], failed: Callable[[str], None] = lambda text: None) -> SetPoint:
    """Set-points straight to the chargers, where no control loop stands between."""

    def tell(evse: str, value: int, valid_ms: int) -> None:
        def done(told: Told) -> None:
            if not told.ok:
                failed(f"{evse} did not take {value}: {told.error}")

        abilities = drivers[evse].abilities
        least = abilities.minimum
        held = (
            0 if value < least else min(abilities.maximum, least + (value - least) // abilities.step * abilities.step)
        )
        drivers[evse].offer(held, None, valid_ms, done)

    return tell
