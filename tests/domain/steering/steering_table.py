"""Ticks at a table: what is measured is written down, nothing follows by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.domain.steering.steering_plant import DAY, KW

from pilotwire.domain.energy import Moment
from pilotwire.domain.steering import (
    Car,
    Cell,
    Config,
    Control,
    External,
    Measured,
    Meter,
    Plan,
    Power,
    Price,
    Steering,
    SteeringState,
    Wish,
    prepare,
    steer,
)

VOLTS = 230_000


def meter(kw: float, at_ms: int) -> Meter:
    """Balanced, at nominal voltage."""
    mw = round(kw * KW)
    ma = mw * 1_000 // (3 * VOLTS)
    return Meter(mw, at_ms, (ma, ma, ma), voltage_mv=VOLTS)


@dataclass
class Table:
    """`tick` moves the clock by a second and steers."""

    config: Config
    wishes: list[Wish] = field(default_factory=list)
    controls: tuple[Control, ...] = ()
    prices: tuple[Price, ...] = ()
    plan: Plan | None = None
    at_s: int = 100

    def __post_init__(self) -> None:
        self.site = prepare(self.config)
        self.state = SteeringState()

    def tick(
        self,
        grid_kw: float | None = 0,
        cars: Mapping[str, float] | None = None,
        batteries: Mapping[str, tuple[float, int]] | None = None,
        inverters: Mapping[str, float] | None = None,
        loads: Mapping[str, float] | None = None,
        nodes: Mapping[str, float] | None = None,
        meters: Mapping[str, Meter] | None = None,
        offered: Mapping[str, float] | None = None,
        seconds: int = 1,
    ) -> Steering:
        """`batteries`: (kW, per mille of charge). `nodes`: kW by node beside `grid`. The last of `seconds` ticks."""
        found = None
        for _ in range(seconds):
            self.at_s += 1
            at = self.at_s * 1_000
            seen = {} if grid_kw is None else {"grid": meter(grid_kw, at)}
            seen |= {node: meter(kw, at) for node, kw in (nodes or {}).items()}
            seen |= {node: Meter(m.power_mw, at, m.phases_ma, voltage_mv=VOLTS) for node, m in (meters or {}).items()}
            measured = Measured(
                meters=seen,
                cars={
                    id: Car(round(kw * KW), at, round(offered[id] * KW) if offered else None)
                    for id, kw in (cars or {}).items()
                },
                batteries={id: Cell(round(kw * KW), soc, at) for id, (kw, soc) in (batteries or {}).items()},
                inverters={id: Power(-round(kw * KW), at) for id, kw in (inverters or {}).items()},
                loads={id: Power(round(kw * KW), at) for id, kw in (loads or {}).items()},
            )
            now = Moment(at, DAY + at)
            external = External(self.controls, self.prices)
            found = steer(self.site, self.wishes, measured, external, self.plan, self.state, now)
            self.state = found.state
        assert found is not None
        return found


def rules(found: Steering, subject: str) -> list[str]:
    """Of one subject."""
    return [reason.rule for reason in found.reasons if reason.subject == subject]


def kw(found: Steering, battery: str) -> float:
    """What a battery is told."""
    return next(each.power_mw for each in found.batteries if each.id == battery) / KW
