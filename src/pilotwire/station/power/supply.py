"""Power supplies as the station sees them: an output of a cabinet, or one simulated module alone.

Both keep `interfaces.PowerSupplyDc`. `for_link` turns what a cabinet says into what a vehicle link is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.evse_link import Fault, Measured, Offer
from pilotwire.protocols.power_modules import Rating, Rectifier

from .circuit import Battery, Source, solve
from .interfaces import MEASURE_MS, Capabilities, Mode, Phase, SupplyError, VoltageCurrent
from .limits import QUIET_MA
from .messages import CabinetCommand, Demand, Halt, OutputFault, OutputMeasured, OutputOff, OutputOffer


def _nobody(_: Any) -> None:
    """Nobody listens yet."""


def for_link(event: Any) -> Offer | Measured | Fault | None:
    """What an output's vehicle link is told of a cabinet's event; None: nothing."""
    if type(event) is OutputOffer:
        return Offer(max_mv=event.max_mv, max_ma=event.max_ma, max_mw=event.max_mw)
    if type(event) is OutputMeasured:
        return Measured(mv=event.mv, ma=event.ma, mw=event.mv * event.ma // 1000)
    if type(event) is OutputFault:
        return Fault(code=event.code or "PowerSupply", by="evse", text=event.text, rule="power cabinet")
    return None


class OutputSupply:
    """One output of a cabinet (`interfaces.PowerSupplyDc`). `tell` takes the cabinet's commands; give it its events."""

    def __init__(
        self, tell: Callable[[CabinetCommand], None], output: int, *, limit_mv: int, want_ma: int, priority: int = 0
    ) -> None:
        self.mode: Mode = "Off"
        self.told: Callable[[Capabilities | VoltageCurrent | SupplyError | Mode], None] = _nobody
        self.output = output
        self.limit_mv = limit_mv
        """The vehicle's maximum."""
        self.want_ma = want_ma
        self.priority = priority
        self._tell = tell
        self._mv = self._ma = 0

    def set_mode(self, mode: Mode, phase: Phase = "Other") -> None:
        """Import is not what these modules can: it is off, as is Fault, at once."""
        if mode == "Export":
            self._turn("Export")
            self._demand()
        else:
            emergency = mode == "Fault"
            self._tell(Halt(self.output, emergency, f"power supply set to {mode} ({phase})"))

    def set_export(self, mv: int, ma: int) -> None:
        self._mv, self._ma = mv, ma
        if self.mode == "Export":
            self._demand()

    def set_import(self, mv: int, ma: int) -> None:
        """These modules give only."""

    def hear(self, event: Any) -> None:
        """An event of the cabinet; those of other outputs are passed over."""
        if getattr(event, "output", None) != self.output:
            return
        if type(event) is OutputOffer:
            self.told(
                Capabilities(
                    max_export_mv=event.max_mv,
                    min_export_mv=150_000,
                    max_export_ma=event.max_ma,
                    max_export_mw=event.max_mw,
                )
            )
        elif type(event) is OutputMeasured:
            self.told(VoltageCurrent(event.mv, event.ma))
        elif type(event) is OutputFault:
            self.told(SupplyError(event.code, event.text))
            self._turn("Fault")
        elif type(event) is OutputOff and self.mode != "Fault":
            self._turn("Off")

    def _demand(self) -> None:
        want = max(self.want_ma, self._ma)
        self._tell(
            Demand(
                output=self.output,
                mv=self._mv,
                ma=self._ma,
                want_ma=want,
                limit_mv=self.limit_mv,
                priority=self.priority,
            )
        )

    def _turn(self, mode: Mode) -> None:
        if self.mode != mode:
            self.mode = mode
            self.told(mode)


class SimPowerSupply:
    """One module, a cable and perhaps a battery (`interfaces.PowerSupplyDc`); `step` lets time go by.

    Voltage ramps as in precharge, current is limited by current, power and temperature, and the cable's capacitance is
    charged and bleeds.
    """

    def __init__(self, rating: Rating = Rating()) -> None:  # noqa: B008 - frozen
        self.mode: Mode = "Off"
        self.told: Callable[[Capabilities | VoltageCurrent | SupplyError | Mode], None] = _nobody
        self.stage = Rectifier(rating)
        self.battery: Battery | None = None
        self.mv = self.ma = 0
        self._now = 0
        self._wanted: Mode = "Off"
        self._due = 0
        self._capabilities: Capabilities | None = None
        self._faults: frozenset[str] = frozenset()

    def set_mode(self, mode: Mode, phase: Phase = "Other") -> None:
        self._wanted = mode
        self.stage.switch(mode == "Export", self._now)
        if mode == "Export":
            self._turn("Export")

    def set_export(self, mv: int, ma: int) -> None:
        self.stage.set(mv=mv, ma=ma)

    def set_import(self, mv: int, ma: int) -> None:
        """It gives only."""

    def step(self, now: int) -> None:
        passed = now - self._now if self._now else 0
        self._now = now
        stage = self.stage
        stage.step(now)
        self.mv, flows = solve([Source(stage.reference_mv, stage.limit_ma)], self.battery, self.mv, passed)
        self.ma = flows[0]
        stage.settle(self.mv, self.ma)
        if self._wanted != "Export" and self.ma <= QUIET_MA:
            self._turn("Fault" if self._wanted == "Fault" else "Off")
        faults = frozenset(stage.faults)
        for word in sorted(faults - self._faults):
            self.told(SupplyError("", word))
        self._faults = faults
        if now >= self._due:
            self._due = now + MEASURE_MS
            self._tell_capabilities()
            self.told(VoltageCurrent(self.mv, self.ma))

    def _tell_capabilities(self) -> None:
        rating = self.stage.rating
        most = self.stage.capability_ma // 1000 * 1000
        capabilities = Capabilities(
            max_export_mv=rating.max_mv, min_export_mv=rating.min_mv, max_export_ma=most, max_export_mw=rating.max_mw
        )
        if capabilities != self._capabilities:
            self._capabilities = capabilities
            self.told(capabilities)

    def _turn(self, mode: Mode) -> None:
        if self.mode != mode:
            self.mode = mode
            self.told(mode)
