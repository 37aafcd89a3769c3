"""What a station has said of its EVSEs, in every version: status, readings, cards, transactions. Nothing is asked.

A 1.6 connector counts as an EVSE. What cannot be read is left out and changes nothing. Readings are dated by the
loop's clock at their arrival; those that are older than `_STALE_MS` by the station's own clock (a queue that is told
after an outage) are no measurement of now and are not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from pilotwire.core.time import from_rfc3339
from pilotwire.domain.schedules.model import Transaction
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.site.conductors import Conductors
from pilotwire.site.ports import PilotState, Value

_STALE_MS = 120_000
_SKEW_STEP_MS = 5_000

_PILOT_16: Final[Mapping[str, PilotState]] = {
    "Available": "A", "Reserved": "A", "Preparing": "B", "Charging": "C", "SuspendedEV": "B", "SuspendedEVSE": "B",
    "Finishing": "B", "Unavailable": "F", "Faulted": "F",
}  # fmt: skip
_PILOT_2: Final[Mapping[str, PilotState]] = {
    "Available": "A", "Reserved": "A", "Occupied": "B", "Unavailable": "F", "Faulted": "F",
}  # fmt: skip
_STATE_2: Final[Mapping[str, PilotState]] = {
    "Charging": "C", "EVConnected": "B", "SuspendedEV": "B", "SuspendedEVSE": "B", "Idle": "A",
}  # fmt: skip
_UNITS: Final[Mapping[str, tuple[str, int]]] = {
    # unit → (kind, power of ten to the base unit)
    "A": ("ma", 3), "V": ("mv", 3), "W": ("mw", 3), "kW": ("mw", 6), "Wh": ("wh", 0), "kWh": ("wh", 3),
    "Percent": ("permille", 1),
}  # fmt: skip
_MEASURED: Final[Mapping[str, tuple[str, str]]] = {
    # measurand → (name of the point, unit where none is said)
    "Current.Import": ("current", "A"), "Voltage": ("voltage", "V"), "Power.Active.Import": ("power", "W"),
    "Energy.Active.Import.Register": ("energy_import", "Wh"), "SoC": ("soc", "Percent"),
    "Current.Offered": ("offered", "A"), "Power.Offered": ("offered", "W"),
}  # fmt: skip
_PHASES: Final = {"L1": "_l1", "L2": "_l2", "L3": "_l3", "L1-N": "_l1", "L2-N": "_l2", "L3-N": "_l3", "N": "_n"}
_DEFAULT_MEASURAND = "Energy.Active.Import.Register"


class Outlet(msgspec.Struct):
    """What is known of one EVSE."""

    pilot: PilotState | None = None
    ended: bool = False
    points: dict[str, Value] = {}
    phases: int | None = None
    """numberOfPhasesUsed, of this transaction."""
    measured: Conductors = msgspec.field(default_factory=Conductors)
    id_token: str = ""
    transaction: str = ""
    """As the station calls it; "": none runs."""
    transaction_start: int = 0
    start_wh: int | None = None
    """What its register showed when the transaction was seen first."""
    soc: int | None = None
    wants_wh: int | None = None
    """In all of the transaction; NotifyEVChargingNeeds says it."""
    departure_ms: int | None = None
    arrived_ms: int | None = None
    fault: str = ""

    @property
    def conductors(self) -> int | None:
        """That are in use, by what is measured, or else by what the station says."""
        return self.phases if self.measured.count is None else self.measured.count

    def other_car(self) -> None:
        """What was known of the car before says nothing of the next."""
        self.phases = self.wants_wh = self.departure_ms = self.start_wh = None
        self.points.pop("session_wh", None)
        self.measured.forget()


class Observer:
    """`seams.Watcher`. `changed` is called with the EVSE of which something is new."""

    def __init__(
        self,
        version: Callable[[], VersionName],
        now: Callable[[], int],
        changed: Callable[[int], None] = lambda evse: None,
    ) -> None:
        self._version = version
        self._now = now
        self.changed = changed
        self.online = False
        """It is connected, and speaks otherwise than to be accepted: before that it refuses whatever it is told."""
        self._connected = False
        self.boots = 0
        self.skew_ms = 0
        """The station's clock minus ours, from its live messages."""
        self.outlets: dict[int, Outlet] = {}
        self._evse_of: dict[str, int] = {}

    def outlet(self, evse: int) -> Outlet:
        """Of an EVSE; made when first asked for."""
        found = self.outlets.get(evse)
        if found is None:
            found = self.outlets[evse] = Outlet()
        return found

    def transactions(self) -> dict[int, Transaction]:
        """What runs, for the engine of schedules."""
        return {
            evse: Transaction(key=each.transaction, start=each.transaction_start)
            for evse, each in self.outlets.items()
            if each.transaction
        }

    def switched(self, evse: int) -> None:
        """It is told to connect another number of phases: what was seen before says nothing of these."""
        outlet = self.outlet(evse)
        outlet.phases = None
        outlet.measured.forget()

    def take_up(self, evse: int, transaction: str, start: int) -> None:
        """A transaction that ran when the box was last up."""
        self._begin(evse, transaction, start)

    # ── Watcher ──────────────────────────────────────────────────────────────────────────────────────────────────

    def connected(self, online: bool) -> None:
        self._connected = self.online = online
        for evse in self.outlets:
            self.changed(evse)

    def started(self, station_id: str, connector: int) -> None:
        self._begin(connector, station_id, self._now())
        self.changed(connector)

    def said(self, action: str, payload: bytes) -> None:
        self.online = self._connected and action != "BootNotification"
        reader = _READERS.get(action)
        if reader is None:
            return
        try:
            request = msgspec.json.decode(payload)
            if isinstance(request, dict):
                reader(self, request)
        except (
            msgspec.MsgspecError,
            UnicodeDecodeError,
            RecursionError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
        ):
            return  # the station is answered by whom it speaks to; here it only counts as not said

    # ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _boot(self, request: dict[str, Any]) -> None:
        self.boots += 1
        self.changed(0)

    def _status(self, request: dict[str, Any]) -> None:
        if self._version() == "1.6":
            evse, said = int(request["connectorId"]), str(request["status"])
            pilot = _PILOT_16.get(said)
            error = str(request.get("errorCode", "NoError"))
            fault = "" if error == "NoError" and said != "Faulted" else error
        else:
            evse, said = int(request["evseId"]), str(request["connectorStatus"])
            pilot, fault = _PILOT_2.get(said), ("Faulted" if said == "Faulted" else "")
        self._dated(request.get("timestamp"))
        if not evse or pilot is None:
            return
        outlet = self.outlet(evse)
        if said == "Occupied" and outlet.pilot in ("B", "C"):
            pilot = outlet.pilot  # what the transaction says is finer
        if pilot == "A":
            outlet.arrived_ms, outlet.soc = None, None
            outlet.other_car()
        elif pilot in ("B", "C") and outlet.arrived_ms is None:
            outlet.arrived_ms = self._now()
        outlet.pilot, outlet.fault, outlet.ended = pilot, fault, said == "Finishing"
        self.changed(evse)

    def _meter_values(self, request: dict[str, Any]) -> None:
        evse = int(request["connectorId"] if self._version() == "1.6" else request["evseId"])
        transaction = request.get("transactionId")
        if transaction is not None and evse and not self.outlet(evse).transaction:
            self._begin(evse, str(transaction), self._now())
        self._measured(evse, request.get("meterValue") or ())
        self.changed(evse)

    def _start(self, request: dict[str, Any]) -> None:
        outlet = self.outlet(int(request["connectorId"]))
        outlet.id_token = str(request["idTag"])
        outlet.ended = False
        if outlet.arrived_ms is None:
            outlet.arrived_ms = self._now()

    def _stop(self, request: dict[str, Any]) -> None:
        self._end(str(request["transactionId"]))

    def _event(self, request: dict[str, Any]) -> None:
        info = request["transactionInfo"]
        transaction = str(info["transactionId"])
        said = request.get("evse")
        evse = int(said["id"]) if said else self._evse_of.get(transaction, 0)
        self._dated(request.get("timestamp"))
        if not evse:
            return
        if request["eventType"] == "Ended":
            self._measured(evse, request.get("meterValue") or ())
            self._end(transaction)
            return
        outlet = self.outlet(evse)
        if outlet.transaction != transaction:
            self._begin(evse, transaction, self._instant(request.get("timestamp")))
        token = request.get("idToken")
        if token:
            outlet.id_token = str(token["idToken"])
        state = _STATE_2.get(str(info.get("chargingState")))
        if state is not None:
            outlet.pilot = state
            if outlet.arrived_ms is None and state != "A":
                outlet.arrived_ms = self._now()
        phases = request.get("numberOfPhasesUsed")
        if phases in (1, 2, 3):
            outlet.phases = phases
        self._measured(evse, request.get("meterValue") or ())
        self.changed(evse)

    def _needs(self, request: dict[str, Any]) -> None:
        """What the car says that it needs from now on (2.0.1 K15, 2.1 K15)."""
        outlet, needs = self.outlet(int(request["evseId"])), request["chargingNeeds"]
        if needs.get("departureTime") is not None:
            outlet.departure_ms = self._instant(needs["departureTime"])
        dc = needs.get("dcChargingParameters") or {}
        if dc.get("stateOfCharge") is not None:
            outlet.soc = int(dc["stateOfCharge"]) * 10
        found = [
            dc.get("energyAmount"),
            (needs.get("acChargingParameters") or {}).get("energyAmount"),
            (needs.get("v2xChargingParameters") or {}).get("evTargetEnergyRequest"),
        ]
        wh = next((int(each) for each in found if each is not None), None)
        if wh is not None and wh >= 0:
            had = outlet.points.get("session_wh")
            outlet.wants_wh = wh + (0 if had is None else had.value)
        self.changed(int(request["evseId"]))

    # ── within ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, evse: int, transaction: str, at: int) -> None:
        outlet = self.outlet(evse)
        if outlet.transaction != transaction:
            outlet.other_car()
        outlet.transaction, outlet.transaction_start, outlet.ended = transaction, at, False
        self._evse_of[transaction] = evse
        while len(self._evse_of) > 64:
            del self._evse_of[next(iter(self._evse_of))]

    def _end(self, transaction: str) -> None:
        for evse, outlet in self.outlets.items():
            if outlet.transaction == transaction:
                outlet.transaction, outlet.id_token, outlet.ended = "", "", True
                self.changed(evse)

    def _dated(self, text: object) -> None:
        """A live message says what the station's clock shows; the net adds little to that."""
        if not isinstance(text, str):
            return
        skew = int(from_rfc3339(text)) - self._now()
        if abs(skew - self.skew_ms) > _SKEW_STEP_MS and abs(skew) < _STALE_MS:
            self.skew_ms = skew if abs(skew) > _SKEW_STEP_MS else 0

    def _instant(self, text: object) -> int:
        """The station's time in ours."""
        return int(from_rfc3339(text)) - self.skew_ms if isinstance(text, str) else self._now()

    def _measured(self, evse: int, values: Iterable[Any]) -> None:
        now = self._now()
        points = dict(self.outlet(evse).points)
        for each in values:
            at = self._instant(each.get("timestamp"))
            if now - at > _STALE_MS:
                continue
            for row in each["sampledValue"]:
                found = _sampled(row)
                if found is not None:
                    points[found[0]] = Value(found[1], now)
        outlet = self.outlet(evse)
        register = points.get("energy_import_wh")
        if outlet.transaction and register is not None and register.at_ms == now:
            if outlet.start_wh is None:
                outlet.start_wh = register.value
            points["session_wh"] = Value(max(0, register.value - outlet.start_wh), now)
        outlet.points = points
        if outlet.transaction:
            outlet.measured.seen(points)
        soc = points.get("soc_permille")
        if soc is not None:
            outlet.soc = soc.value


def _sampled(row: Mapping[str, Any]) -> tuple[str, int] | None:
    """(name of the point, figure in its base unit) of one SampledValue; None where it is none of ours."""
    if row.get("format") == "SignedData" or row.get("location", "Outlet") not in ("Outlet", "EV"):
        return None
    name, unit = _MEASURED.get(str(row.get("measurand", _DEFAULT_MEASURAND)), ("", ""))
    if not name:
        return None
    exponent = 0
    said = row.get("unit")
    of = row.get("unitOfMeasure")
    if isinstance(of, dict):
        said, exponent = of.get("unit"), int(of.get("multiplier", 0))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]
    kind, shift = _UNITS.get(str(said or unit), ("", 0))
    if not kind:
        return None
    try:
        figure = Decimal(str(row["value"]))
        if not figure.is_finite() or abs(figure.adjusted()) > 18 or abs(exponent) > 12:
            return None
        value = int(figure.scaleb(shift + exponent))
    except (InvalidOperation, OverflowError):
        return None
    phase = row.get("phase")
    if name in ("energy_import", "soc", "offered"):
        return None if phase is not None else (f"{name}_{kind}", value)
    if phase is None:
        return (f"{name}_{kind}", value)
    suffix = _PHASES.get(str(phase))
    return None if suffix is None else (f"{name}{suffix}_{kind}", value)


_READERS: Final[Mapping[str, Callable[[Observer, dict[str, Any]], None]]] = {
    "BootNotification": Observer._boot,  # pyright: ignore[reportPrivateUsage]
    "StatusNotification": Observer._status,  # pyright: ignore[reportPrivateUsage]
    "MeterValues": Observer._meter_values,  # pyright: ignore[reportPrivateUsage]
    "StartTransaction": Observer._start,  # pyright: ignore[reportPrivateUsage]
    "StopTransaction": Observer._stop,  # pyright: ignore[reportPrivateUsage]
    "NotifyEVChargingNeeds": Observer._needs,  # pyright: ignore[reportPrivateUsage]
    "TransactionEvent": Observer._event,  # pyright: ignore[reportPrivateUsage]
}
