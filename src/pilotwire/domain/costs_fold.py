"""The fold of block I: what a session costs (`Session.bill`) and what a station has of tariffs (`Station.pricing`)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from .facts import (
    ConnectorStatusChanged,
    DefaultTariffSet,
    ReportedVariable,
    SessionCostDiffered,
    SessionCostTold,
    SessionEnded,
    SessionStarted,
    SessionTariffDeclined,
    SessionTariffOffered,
    SessionTariffSet,
    SessionUpdated,
    TariffsCleared,
)
from .flags import flag
from .records import Pricing, Session, Station
from .tariffs import bill as bills
from .tariffs import course, placing
from .tariffs.bill import Bill, Step
from .tariffs.costing import Mark

MOST_TARIFFS = 16
"""Default tariffs that are remembered of one EVSE."""
DISPLAYS = "CustomDisplayCostAndPrice"
"""1.6: the configuration key of a station that shows prices and cost (California's messages)."""

TELLING: Mapping[tuple[str, str, str], str] = {
    ("TariffCostCtrlr", "Available", "Tariff"): "shows_tariff",
    ("DisplayMessageCtrlr", "Available", ""): "shows_messages",
    ("TariffCostCtrlr", "Enabled", "Tariff"): "takes_tariffs",
    ("TariffCostCtrlr", "Enabled", "Cost"): "calculates",
    ("TariffCostCtrlr", "ConditionsSupported", "Tariff"): "takes_conditions",
    ("TariffCostCtrlr", "MaxElements", "Tariff"): "most_prices",
}
"""Component, variable and instance → the field of `Pricing` that they say."""


def on_set(session: Session, fact: SessionTariffSet) -> None:
    """A tariff was chosen, or is another one from now on."""
    bill = session.bill
    tariff = fact.tariff
    if bill is None or (bill.costing is None and (bill.first is None or fact.begins)):
        session.bill = bill = structs.replace(
            bill or Bill(),
            zone=fact.zone,
            evse_kind=fact.evse_kind,
            reserved_ms=fact.reserved_ms,
            why=fact.why,
            local=fact.local,
            tariff_id=tariff.tariff_id,
            currency=tariff.currency,
            first=tariff,
            more=fact.more,
        )
        _begin(session, bill, fact)
        return
    bill.local = bill.local or fact.local
    if tariff == (bill.first if bill.costing is None else bill.costing.tariff):
        return
    bill.why = fact.why
    if fact.seq_no is None:
        bills.change(bill, tariff, fact.event_time)
    else:
        bill.tariff_id = tariff.tariff_id
        bills.feed(bill, Step(fact.seq_no, fact.event_time, tariff=tariff))


def _begin(session: Session, bill: Bill, fact: SessionTariffSet) -> None:
    """From the start of the session on, unless that is still missing; or from now on, whatever was before."""
    old = session.ocpp_version == "1.6"
    state = session.charging_state
    assert bill.first is not None
    if not fact.begins:
        # The next register that is read is where the energy begins; while nobody was authorized none has flowed.
        seq = None if old else fact.seq_no if fact.seq_no is not None else session.seen[-1][1] + 1
        last = session.meter_start_wh if session.last is None else session.last.wh
        mark = Mark(fact.event_time, None if session.token else last, course.charging(state))
        bills.begin_at(bill, bill.first, mark, None if seq is None else seq - 1)
    elif (
        not old
        and bill.next_seq < 0
        and not bill.held
        and session.seen
        and session.seen[-1][1] > session.marks.started >= 0
    ):
        bill.first = None  # what came before its start was not kept: it cannot be priced
    elif old or session.marks.started >= 0:
        start = session.reported_start
        seq = None if old else session.marks.started
        bills.begin_at(bill, bill.first, Mark(start, session.meter_start_wh), seq, state)


def on_started(session: Session, fact: SessionStarted) -> None:
    """The start came after other messages of the session."""
    bill = session.bill
    if bill is not None and not fact.implied and bill.first is not None:
        mark = Mark(fact.event_time, fact.meter_start_wh)
        bills.begin_at(bill, bill.first, mark, fact.seq_no, fact.charging_state)


def on_updated(session: Session, fact: SessionUpdated) -> None:
    bill = session.bill
    assert bill is not None
    registers: list[tuple[int, int]] = []
    if fact.first_register_wh is not None:
        registers.append((fact.first_register_time or fact.event_time, fact.first_register_wh))
    if fact.register_wh is not None:
        registers.append((fact.register_time or fact.event_time, fact.register_wh))
    bills.feed(bill, Step(fact.seq_no, fact.event_time, fact.charging_state, tuple(registers), fact.power_w))


def on_ended(session: Session, fact: SessionEnded) -> None:
    bill = session.bill
    assert bill is not None
    if fact.implied:
        bill.ended = True
        return
    registers = () if fact.meter_stop_wh is None else ((fact.event_time, fact.meter_stop_wh),)
    bills.feed(bill, Step(fact.seq_no, fact.event_time, fact.charging_state, registers, ended=True))


def on_status(session: Session, fact: ConnectorStatusChanged) -> None:
    """1.6: whether it charges is said by the connector."""
    if session.bill is not None and fact.status in ("Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"):
        bills.feed(session.bill, Step(None, max(fact.event_time, session.latest_event), fact.status))


def on_told(session: Session, fact: SessionCostTold) -> None:
    if session.bill is None:
        session.bill = Bill(currency=fact.told.currency)
    session.bill.told = fact.told
    session.bill.local = True
    if fact.told.reserved_s is not None:
        bills.reserved(session.bill, fact.told.reserved_s)


def on_differed(session: Session, fact: SessionCostDiffered) -> None:
    flag(session, "cost-differs")


def on_offered(session: Session, fact: SessionTariffOffered) -> None:
    if session.bill is None:
        session.bill = Bill()
    session.bill.offered = [*session.bill.offered, fact.tariff][-bills.MOST_OFFERED :]


def on_declined(session: Session, fact: SessionTariffDeclined) -> None:
    session.bill = None


def on_default(station: Station, fact: DefaultTariffSet) -> None:
    pricing = station.pricing = station.pricing or Pricing()
    held = placing.install(pricing.tariffs, fact.evse, fact.tariff, fact.event_time)
    pricing.tariffs = {evse: tariffs[-MOST_TARIFFS:] for evse, tariffs in held.items()}


def on_cleared(station: Station, fact: TariffsCleared) -> None:
    pricing = station.pricing
    if pricing is None:
        return
    left = {
        evse: [one for one in tariffs if one.tariff_id not in fact.ids or (fact.evse != 0 and evse != fact.evse)]
        for evse, tariffs in pricing.tariffs.items()
    }
    pricing.tariffs = {evse: tariffs for evse, tariffs in left.items() if tariffs}


def on_variable(station: Station, told: ReportedVariable) -> bool:
    """A variable that may say something of pricing; whether that is news."""
    component, variable, evse, value = told.component, told.variable, told.evse, told.value
    pricing = station.pricing or Pricing()
    if component == "" and variable == DISPLAYS:
        found = structs.replace(pricing, shows=(value or "").lower() == "true")
    elif component == "ClockCtrlr" and variable == "TimeZone" and value is not None:
        found = structs.replace(pricing, zone=value)
    elif component == "EVSE" and variable == "SupplyPhases" and evse and value is not None:
        found = structs.replace(pricing, kinds={**pricing.kinds, evse: "DC" if value == "0" else "AC"})
    elif value is not None and (field := TELLING.get((component, variable, told.variable_instance))) is not None:
        if field == "most_prices":
            found = structs.replace(pricing, most_prices=int(value) if value.isdecimal() else None)
        else:
            found = structs.replace(pricing, **{field: value.lower() == "true"})
    else:
        return False
    if found == pricing:
        return False
    station.pricing = found
    return True
