"""Sampled values of 1.6: units and phases that are missing or wrong, values that cannot be what they are called."""

from __future__ import annotations

from pilotwire.domain.metering import POWER, REGISTER
from pilotwire.domain.records import Session
from pilotwire.protocols.ocpp.v16 import messages as m

from ..metering import UNITS, default_unit, milliseconds
from .watch import Watch

DAY = 86_400_000
_NEED_UNIT = ("Current", "Voltage", "Power.Active", "Power.Offered")
_OWN = frozenset((None, "Sample.Periodic", "Transaction.Begin"))
"""Contexts of values that belong to a session."""


def meter_values(watch: Watch, request: m.MeterValuesRequest) -> None:
    """MeterValues."""
    transaction, connector, values = request.transaction_id, request.connector_id, request.meter_value
    if not values:
        return
    state = watch.state
    session: Session | None = None
    if transaction is None:
        if connector and _of_a_session(values):
            session = next((one for one in state.active if one.evse == connector), None)
            if session is not None:
                watch.saw("meter-values-without-transaction")
    elif transaction <= 0:
        watch.saw("transaction-id-minus-one" if transaction == -1 else "meter-transaction-zero")
    else:
        session = state.by_transaction(str(transaction))
        if not connector:
            watch.saw("connector-zero-in-session")
    newest = milliseconds(values[-1].timestamp)
    if session is not None and session.reported_stop is not None and newest > session.reported_stop + 5_000:
        watch.saw("meter-values-after-stop")
    watch.time(newest, live=session is not None and session.status == "active", queued=True)
    if transaction is None and watch.now - 365 * DAY < newest < watch.now - DAY:
        watch.saw("history-sent-late")
    if len(values) >= 4 and all(
        one.timestamp == values[0].timestamp and len(one.sampled_value) == 1 for one in values[:8]
    ):
        watch.saw("split-meter-value")
    if any(not one.sampled_value for one in values[:8]):
        watch.saw("empty-sampled-value")
    for one in values[:4]:
        _sampled(watch, one.sampled_value, session)


def _of_a_session(values: list[m.MeterValue]) -> bool:
    return any(sample.context in _OWN for sample in values[0].sampled_value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None  # neither infinite nor NaN


def _sampled(watch: Watch, samples: list[m.SampledValue], session: Session | None) -> None:
    whole: dict[tuple[str, str | None, str | None], int] = {}
    amperes = watts = 0.0
    total = by_phase = False
    for sample in samples[:64]:
        measurand = sample.measurand or REGISTER
        if sample.format == "SignedData":
            continue
        if not sample.value.strip():
            watch.saw("sample-without-value")
            continue
        unit = sample.unit
        if unit is None:
            if measurand.startswith(_NEED_UNIT):
                watch.saw("unit-omitted")
        elif (known := UNITS.get(unit)) is not None and (base := default_unit(measurand)[0]) and known[0] != base:
            watch.saw("unit-of-another-measurand")
        if sample.phase is None:
            key = measurand, sample.location, sample.context
            whole[key] = whole.get(key, 0) + 1
        value = _number(sample.value)
        if measurand == REGISTER:
            total, by_phase = total or sample.phase is None, by_phase or sample.phase is not None
            if value is not None and session is not None and sample.phase is None and unit in (None, "Wh"):
                _register(watch, value, session)
        elif value is not None and measurand == "Current.Import":
            amperes += value
        elif value is not None and measurand == POWER and unit in (None, "W"):
            watts += value
        elif value is not None and measurand == "SoC" and not 0 <= value <= 100:
            watch.saw("soc-impossible")
    if any(count >= 3 for count in whole.values()):
        watch.saw("phase-omitted")
    if by_phase and not total:
        watch.saw("register-per-phase")
    if amperes >= 5 and 0.5 <= watts <= 50:
        watch.saw("power-thousandfold")


def _register(watch: Watch, value: float, session: Session) -> None:
    start = session.meter_start_wh
    if start is None or start < 20_000 or value >= start - 1:
        return
    if start - 1_000 <= value * 1_000 <= start + 200_000:
        watch.saw("energy-thousandfold")
    elif value <= 200_000 and value < start * 0.9:
        watch.saw("register-per-session")
