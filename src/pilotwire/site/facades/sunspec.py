"""An EVSE, or the whole site, as a SunSpec device: model 1, and 203 (a three-phase meter); 103 where it is wanted.

In 203 import is positive: what flows into the car. In 103, an inverter, what it gives is, so that the car's power is
negative there. Nothing can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from pilotwire.protocols.modbus.errors import GatewayTargetFailed, IllegalDataAddress
from pilotwire.protocols.sunspec.chain import ModelValues, build_chain
from pilotwire.site.ports import EvseDriver
from pilotwire.transport.modbus.guard import Writable
from pilotwire.transport.modbus.registers import Table

from .cells import Context
from .figures import SiteStatus, figures_of

__all__ = ["Measured", "SunSpecUnit", "of_evse", "of_site"]

BASE = 40_000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured at one place; None: not known."""

    online: bool
    power_mw: int | None
    amps_ma: tuple[int | None, int | None, int | None]
    volts_mv: tuple[int | None, int | None, int | None] = (None, None, None)
    import_wh: int | None = None
    export_wh: int | None = None
    charging: bool = False


def of_evse(driver: EvseDriver) -> Callable[[int], Measured]:
    """An EVSE's outlet."""

    def measured(now: int) -> Measured:
        found = figures_of(driver, now)
        return Measured(
            online=found.online, power_mw=found.power_mw, amps_ma=found.amps_ma, volts_mv=found.volts_mv,
            import_wh=found.energy_wh, export_wh=found.get("energy_export_wh"), charging=found.ocpp == "Charging",
        )  # fmt: skip

    return measured


def of_site(site: Callable[[], SiteStatus]) -> Callable[[int], Measured]:
    """The connection to the grid."""

    def measured(now: int) -> Measured:
        found = site()
        return Measured(online=True, power_mw=found.power_mw, amps_ma=found.phases_ma)

    return measured


class SunSpecUnit:
    """One unit. Fits `cells.Served`. A client that reads a model in parts within a second gets one moment."""

    def __init__(
        self, measured: Callable[[int], Measured], name: str, unit: int, models: Sequence[Literal[103, 203]] = (203,)
    ) -> None:
        self.objects: Mapping[int, bytes] = {}
        self._measured = measured
        self._common = {"Mn": "Pilotwire", "Md": "site"[:32], "SN": name[:32], "Vr": "1", "DA": unit}
        self._models = tuple(models)
        self._registers: list[int] = []
        self._built_ms: int | None = None

    def rules(self, unit: int) -> tuple[Writable, ...]:
        """Nothing can be written."""
        return ()

    def read(self, context: Context, table: Table, address: int, count: int) -> list[int]:
        """Raises IllegalDataAddress outside of the models, GatewayTargetFailed while the EVSE cannot be reached."""
        if self._built_ms is None or not 0 <= context.now - self._built_ms < 1000:
            found = self._measured(context.now)
            if not found.online:
                raise GatewayTargetFailed(text="the EVSE does not answer")
            chain = [ModelValues(1, self._common), *(_MAKERS[each](found) for each in self._models)]
            self._registers, self._built_ms = build_chain(chain, BASE).registers, context.now
        start = address - BASE
        if table != "holding" or start < 0 or start + count > len(self._registers):
            raise IllegalDataAddress(text=f"there are no models at {address}")
        return self._registers[start : start + count]

    def write(self, context: Context, table: Table, address: int, values: Sequence[int]) -> None:
        """Raises IllegalDataAddress: nothing can be written."""
        raise IllegalDataAddress(text="nothing of it can be written")


def _known(values: Mapping[str, int | Decimal | None]) -> dict[str, int | Decimal | str]:
    return {name: value for name, value in values.items() if value is not None}


def _sum(values: Sequence[int | None]) -> int | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None


def _deci(thousandths: int | None) -> Decimal | None:
    """mA or mV, as amperes or volts."""
    return None if thousandths is None else Decimal(thousandths).scaleb(-3)


def _average(values: Sequence[int | None]) -> int | None:
    known = [each for each in values if each is not None]
    return sum(known) // len(known) if known else None


def _counted(wh: int | None) -> int | None:
    """An accumulator of 32 bits; 0 would say that there is none."""
    return None if wh is None else wh % (1 << 32) or None


def _meter(found: Measured) -> ModelValues:
    amps, volts = found.amps_ma, found.volts_mv
    powers = [None if a is None or v is None else a * v // 1000 for a, v in zip(amps, volts, strict=True)]
    values = _known(
        {
            "A": _deci(_sum(amps)),
            **{f"Aph{phase}": _deci(each) for phase, each in zip("ABC", amps, strict=True)},
            "PhV": _deci(_average(volts)),
            **{f"PhVph{phase}": _deci(each) for phase, each in zip("ABC", volts, strict=True)},
            "Hz": Decimal(50),
            "W": _deci(found.power_mw),
            **{f"Wph{phase}": _deci(each) for phase, each in zip("ABC", powers, strict=True)},
            "PF": Decimal(100),
            "TotWhImp": _counted(found.import_wh),
            "TotWhExp": _counted(found.export_wh),
        }
    )
    return ModelValues(203, {**values, **_SCALES, "PF_SF": -1, "TotWh_SF": 0})


def _inverter(found: Measured) -> ModelValues:
    values = _known(
        {
            "A": _deci(None if (total := _sum(found.amps_ma)) is None else abs(total)),
            **{f"Aph{p}": _deci(None if a is None else abs(a)) for p, a in zip("ABC", found.amps_ma, strict=True)},
            **{f"PhVph{phase}": _deci(each) for phase, each in zip("ABC", found.volts_mv, strict=True)},
            "Hz": Decimal(50),
            "W": _deci(None if found.power_mw is None else -found.power_mw),
            "WH": _counted(found.export_wh),
            "St": 4 if found.charging else 8,  # MPPT: at work; STANDBY
        }
    )
    return ModelValues(103, {**values, **_SCALES, "WH_SF": 0})


_SCALES = {"A_SF": -1, "V_SF": -1, "Hz_SF": -2, "W_SF": 1}
_MAKERS: Mapping[int, Callable[[Measured], ModelValues]] = {103: _inverter, 203: _meter}
