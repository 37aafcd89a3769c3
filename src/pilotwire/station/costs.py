"""What sessions cost and by what they are limited, as the station works it out (I12, E16; 2.1).

Every event of a transaction goes through `complete`: the course goes on by what the event says and by nothing else, so
that whoever receives the events comes to the same cost. The state of each running session is stored with its events.

A limit that is reached suspends the energy; the transaction goes on (TxStopPoint has no EnergyTransfer). A higher limit
lets it flow again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.core.money import Money
from pilotwire.core.time import Timer, from_datetime, to_datetime, to_rfc3339
from pilotwire.domain.tariffs import conditions, course, details, model
from pilotwire.domain.tariffs.costing import UNREAD, Costing, Mark, begin
from pilotwire.domain.tariffs.model import Tariff
from pilotwire.translate import california

from .parts import Part
from .settings import BY_NAME
from .tariffs import ACCEPTED, Answer

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Reading, Session

_REGISTER, _POWER = "Energy.Active.Import.Register", "Power.Active.Import"
_HOUR_MS = 3_600_000
REACHED = {
    "maxCost": "CostLimitReached",
    "maxEnergy": "EnergyLimitReached",
    "maxTime": "TimeLimitReached",
    "maxSoC": "SoCLimitReached",
}
"""TriggerReasonEnumType by what was reached."""
_FIELDS = {"maxCost": "max_cost", "maxEnergy": "max_energy", "maxTime": "max_time", "maxSoC": "max_soc"}


class Limit(msgspec.Struct, frozen=True, omit_defaults=True):
    """TransactionLimitType: money, Wh, s since the start, per cent."""

    max_cost: Decimal | None = None
    max_energy: Decimal | None = None
    max_time: int | None = None
    max_soc: int | None = None

    def over(self, older: Limit) -> Limit:
        """This one, and the older one where this says nothing: a limit is changed, never taken away (E16.FR.17)."""
        return Limit(*(n if n is not None else o for n, o in zip(_values(self), _values(older), strict=True)))

    def lowest(self, other: Limit) -> Limit:
        """Of each the lower one."""
        return Limit(
            *(
                min((value for value in pair if value is not None), default=None)  # type: ignore[type-var]
                for pair in zip(_values(self), _values(other), strict=True)
            )
        )


def _values(limit: Limit) -> tuple[Any, ...]:
    return limit.max_cost, limit.max_energy, limit.max_time, limit.max_soc


NO_LIMIT = Limit()


class Bill(msgspec.Struct, omit_defaults=True):
    """Of one running session."""

    costing: Costing | None = None
    chosen: bool = False
    """Which tariff it is, or that it is none, is known."""
    wh: int | None = None
    """The register that was told last before it was known."""
    tell_tariff: bool = False
    """Its tariffId goes with the next event."""
    limit: Limit = NO_LIMIT
    of_csms: Limit = NO_LIMIT
    """What the CSMS has set; the driver may not go beyond (E16.FR.04)."""
    tell_limit: bool = False
    """The limit goes with the next event."""
    reached: str = ""
    """The limit that has stopped the energy, as "maxCost"."""
    trigger: str = ""
    """The reason of the next change of the charging state."""
    last_cost: int = 0
    """When the running cost was told last (station clock, ms)."""
    by_change: bool = False
    """Its tariff has come by ChangeTransactionTariff."""
    step: int = -1
    """Between which bounds of the tariff the power was that was told last."""


_decoder = msgspec.json.Decoder(Bill)


class Costs(Part):
    """See the module."""

    __slots__ = ("_bills", "_central", "_costs", "_last", "_powers", "_timers")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._bills: dict[int, Bill] = {}
        """By EVSE."""
        self._timers: dict[int, Timer] = {}
        """Until a limit may be reached."""
        self._costs: dict[int, Timer] = {}
        """Until the running cost is told again."""
        self._powers: dict[int, Timer] = {}
        """Until a power that another price is for is told."""
        self._last: dict[int, str] = {}
        """EVSE → what is shown of the cost of the last session there; "" where the CSMS says it."""
        self._central: set[str] = set()
        """Tokens whose cost the CSMS works out (I08.FR.33)."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._bills = {
            evse.id: _decoder.decode(stored[f"bill.{evse.id}"])
            for evse in self._station.evses
            if f"bill.{evse.id}" in stored
        }
        self._central.clear()
        self._last.clear()

    def stop(self) -> None:
        for timers in (self._timers, self._costs, self._powers):
            for timer in timers.values():
                timer.cancel()
            timers.clear()

    def session_ended(self, session: Session) -> None:
        bill = self._bills.pop(session.evse, None)
        if bill is not None and bill.costing is not None and session.cost is not None:
            self._last[session.evse] = _money(session.cost, bill.costing.tariff.currency)
        else:
            # I05: a total that comes when the station is back is seen by nobody.
            settings = self._station.settings
            self._last[session.evse] = "" if self._station.online else settings.text("total_cost_fallback")
        self._central.discard(session.token)
        for timers in (self._timers, self._costs, self._powers):
            timer = timers.pop(session.evse, None)
            if timer is not None:
                timer.cancel()
        self._station.store({f"bill.{session.evse}": None})

    def setting_changed(self, name: str) -> None:
        if name in ("running_cost", "cost_interval"):
            for evse in self._station.evses:
                self._plan_cost(evse)

    # ── tariffs ──────────────────────────────────────────────────────────────────────────────────────────────────

    def leave_to_the_csms(self, token: str) -> None:
        """The next session of this token is not calculated here."""
        self._central.add(token)

    def problem(self, code: str) -> None:
        """TariffCostCtrlr.Problem: a reason code, or "" when there is none any more (I08.FR.30, .35, I12.FR.18, .43).

        Where no monitor of the CSMS tells of it, the station does so by itself (I08.FR.36, .37, I12.FR.19, .44).
        """
        station = self._station
        text = "true" if code else "false"
        if station.settings.text("tariff_problem") == text:
            return
        station.settings.put(BY_NAME["tariff_problem"], text)
        if any(
            one.type == "Delta" and (one.place.component, one.place.variable) == ("TariffCostCtrlr", "Problem")
            for one in station.monitors
        ):
            return
        m = station.messages
        wall = station.clock.wall()
        row = m.EventDataType(
            event_id=station.monitors.next_event(),
            timestamp=wall,
            trigger="Alerting",
            actual_value=text,
            tech_code=code or None,
            component=m.ComponentType(name="TariffCostCtrlr"),
            variable=m.VariableType(name="Problem"),
            event_notification_type="HardWiredNotification",
        )
        station.conversation.call(
            "NotifyEvent", m.NotifyEventRequest(generated_at=wall, seq_no=0, event_data=[row]), keep=True
        )

    def tariff(self, evse: Evse) -> Tariff | None:
        """By which the session at an EVSE is calculated here."""
        bill = self._bills.get(evse.id)
        return None if bill is None or bill.costing is None or evse.session is None else bill.costing.tariff

    def changed_ones(self) -> list[tuple[int, str, Tariff]]:
        """(EVSE, token, tariff) of the sessions whose tariff was changed (I11): it is their driver's."""
        return [
            (evse.id, evse.session.token, tariff)
            for evse in self._station.evses
            if evse.session is not None and (tariff := self.tariff(evse)) is not None and self._bills[evse.id].by_change
        ]

    def declined(self, evse_id: int) -> bool:
        """The driver does not accept the tariff: nothing is calculated, no energy flows (I07.FR.30, .31, I08.FR.20,
        .21). False: there is nobody with a tariff at that EVSE."""
        station = self._station
        evse = station.evse(evse_id)
        if evse.session is None and evse.pending is not None and station.tariffs.enabled:
            station.entrance.give_up(evse)
            station.availability.advance(evse, "deauthorize")
            station.energy.rearm(evse)
        elif evse.session is not None and self.local(evse):
            bill = self._bills[evse.id]
            bill.costing, bill.tell_tariff, evse.session.cost = None, False, None
            self._save(evse, bill)
            station.transactions.release(evse, "DeAuthorized", "TariffNotAccepted")
        else:
            return False
        station.finish()
        return True

    def change(self, transaction: str, tariff: Tariff) -> Answer:
        """ChangeTransactionTariff (I11); what follows an Accepted is `changed`."""
        session = self._station.transactions.of_key(transaction)
        if session is None:
            return Answer("TxNotFound", "TxNotFound", f"no transaction {transaction} runs here")
        objection = self._station.tariffs.objection(tariff)
        if objection is not None:
            return objection
        bill = self._bills.get(session.evse)
        if bill is not None and bill.costing is not None and bill.costing.tariff.currency != tariff.currency:
            return Answer("NoCurrencyChange", "InvalidValue", f"it runs in {bill.costing.tariff.currency}")
        return ACCEPTED

    def changed(self, transaction: str, tariff: Tariff) -> None:
        """The new tariff holds from now on, and the CSMS is told so with a reading."""
        station = self._station
        session = station.transactions.of_key(transaction)
        if session is None:
            return
        evse = station.evses[session.evse - 1]
        bill = self._bills.setdefault(evse.id, Bill())
        reading = station.energy.read(evse, "sampled", "Other")
        if bill.costing is None:
            bill.costing = self._begin(evse, tariff, station.clock.now(), _register(reading))
            bill.costing.charging = course.charging(session.last_state)
        else:
            bill.costing.change(tariff, station.clock.now())
        bill.tell_tariff = bill.by_change = True
        bill.step = -1
        station.dialect.sampled(evse, session, reading, "TariffChanged")

    def _begin(self, evse: Evse, tariff: Tariff, time: int, wh: int | None, reserved_ms: int | None = None) -> Costing:
        zone = self._station.settings.text("time_zone")
        kind = "DC" if evse.config.dc else "AC"
        return begin(tariff, Mark(time, wh), zone=zone, evse_kind=kind, reserved_ms=reserved_ms)

    def unplugged(self, evse: Evse) -> None:
        """1.6, California: the CSMS is told that the car is gone, so that idle time ends."""
        station = self._station
        if station.config.version != "1.6" or not station.settings.flag("cost_display"):
            return
        last = next((truth for truth in reversed(station.transactions.truth) if truth.evse == evse.id), None)
        if last is None or last.transaction is None or not last.transaction.isdigit():
            return
        data = {"timestamp": to_rfc3339(station.clock.now()), "transactionId": int(last.transaction)}
        request = station.messages.DataTransferRequest(
            vendor_id=california.VENDOR, message_id=california.UNPLUGGED, data=msgspec.json.encode(data).decode()
        )
        station.conversation.call("DataTransfer", request)

    # ── the events of transactions ───────────────────────────────────────────────────────────────────────────────

    def complete(self, evse: Evse, session: Session, request: Any, readings: list[Reading]) -> None:
        """Put into a TransactionEvent what it says of tariff, cost and limit, and go on by it."""
        station = self._station
        kind, trigger = request.event_type, request.trigger_reason
        time = from_datetime(request.timestamp)
        info = request.transaction_info
        registers = [(r.time, wh) for r in readings if (wh := _register(r)) is not None]
        bill = self._bills.get(evse.id)
        if kind == "Started":
            bill = self._bills[evse.id] = bill or Bill()
        if bill is None:
            return
        if not bill.chosen and not session.authorized and registers:
            bill.wh = registers[-1][1]
        if not bill.chosen and (session.authorized or info.charging_state == course.CHARGING):
            # I08.FR.04: where a transaction begins before its driver is known, its tariff begins with the driver.
            bill.chosen = True
            tariff = None if session.token in self._central else station.tariffs.of(evse, session)
            if tariff is not None and bill.costing is None:
                wh = registers[0][1] if kind == "Started" and registers else bill.wh
                reserved = None if request.reservation_id is None else session.reserved_ms
                bill.costing = self._begin(evse, tariff, time, wh, reserved)
                bill.tell_tariff = True
        costing = bill.costing
        if costing is not None:
            # As a receiver sees it: the first and the last register of a message, and its newest power.
            ends = sorted(registers)
            course.step(costing, time, info.charging_state or "", [*ends[:1], *ends[1:][-1:]], _power(readings))
            if bill.tell_tariff:
                info.tariff_id = costing.tariff.tariff_id
                bill.tell_tariff = False
            if kind == "Ended":
                costing.finish(time)
                request.cost_details = self._final(bill, costing)
                session.cost = details.of(costing, ended=True, periods=False).amount
            else:
                session.cost = details.amount(costing)
                if station.settings.flag("running_cost") and (kind == "Started" or trigger == "RunningCost"):
                    request.cost_details = self._wire(details.of(costing, periods=False))
                    bill.last_cost = time
        if bill.tell_limit and bill.limit != NO_LIMIT:
            info.transaction_limit = self._limit(bill.limit)
            bill.tell_limit = False
        if kind == "Ended":
            return
        self._save(evse, bill)
        if evse.id not in self._costs:
            self._plan_cost(evse)

    def _final(self, bill: Bill, costing: Costing) -> Any:
        """The cost in all, and whether it could be worked out (I12.FR.14, .18, .43)."""
        found = self._wire(details.of(costing, ended=True))
        if costing.wh == UNREAD and costing.tariff.energy is not None:
            found.failure_to_calculate = True
            found.failure_reason = "the energy meter was never read"
        self.problem("InternalError" if found.failure_to_calculate else "")
        return found

    def local(self, evse: Evse) -> bool:
        """Whether the cost at an EVSE is worked out here."""
        bill = self._bills.get(evse.id)
        return bill is not None and bill.costing is not None

    def _wire(self, found: details.CostDetails) -> Any:
        """CostDetailsType."""
        plain = msgspec.to_builtins(found, builtin_types=(Decimal,))
        for period in plain.get("chargingPeriods", ()):
            period["startPeriod"] = to_datetime(period["startPeriod"])
        return msgspec.convert(plain, self._station.messages.CostDetailsType)

    def _limit(self, limit: Limit) -> Any:
        return self._station.messages.TransactionLimitType(
            max_cost=limit.max_cost, max_energy=limit.max_energy, max_time=limit.max_time, max_soc=limit.max_soc
        )

    def _save(self, evse: Evse, bill: Bill) -> None:
        self._station.store({f"bill.{evse.id}": model.encode(bill)})

    def _plan_cost(self, evse: Evse) -> None:
        """The running cost every so often (I12.FR.02, .03)."""
        station = self._station
        timer = self._costs.pop(evse.id, None)
        if timer is not None:
            timer.cancel()
        if evse.session is None or not self.local(evse) or not station.settings.flag("running_cost"):
            return
        wait = station.settings.number("cost_interval") * 1000
        self._costs[evse.id] = station.scheduler.call_later(wait, lambda: self._tell_cost(evse))

    def _tell_cost(self, evse: Evse) -> None:
        station = self._station
        self._costs.pop(evse.id, None)
        if evse.session is not None and station.powered:
            reading = station.energy.read(evse, "sampled", "Sample.Periodic")
            station.dialect.sampled(evse, evse.session, reading, "RunningCost")
            self._plan_cost(evse)
            station.finish()

    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, key: str, response: Any) -> None:
        """What the CSMS says of limits in a TransactionEventResponse (E16.FR.02)."""
        given = response.transaction_limit
        session = self._station.transactions.of_key(key)
        if given is None or session is None:
            return
        limit = self._supported(Limit(given.max_cost, given.max_energy, given.max_time, given.max_soc))
        if limit == NO_LIMIT:
            return
        bill = self._bills.setdefault(session.evse, Bill())
        bill.of_csms = limit.over(bill.of_csms)
        self._set(session, bill, limit)

    def begin_with(self, evse_id: int, limit: Limit) -> None:
        """The session that is about to begin is limited from its first message on; one that runs already, because its
        transaction began with the cable, from the next one."""
        supported = self._supported(limit)
        if supported != NO_LIMIT:
            bill = self._bills.setdefault(evse_id, Bill())
            bill.limit = supported.over(bill.limit)
            bill.tell_limit = True

    def cost_of(self, evse: Evse) -> Decimal | None:
        """What the session at an EVSE costs now; None: nobody knows."""
        bill, session = self._bills.get(evse.id), evse.session
        if session is None:
            return None
        if bill is None or bill.costing is None:
            return session.cost
        evse.settle(int(self._station.scheduler.now()))
        return self._cost(evse, session, bill, 0)

    def shown(self, evse_id: int) -> str:
        """What is shown of the cost at an EVSE: of the session that runs, or of the last one while its car is still
        there (I02, I03, I05)."""
        station = self._station
        evse = station.evse(evse_id)
        if evse.session is None and evse.car is not None and self._last.get(evse_id):
            return self._last[evse_id]
        cost = station.transactions.cost_at(evse)
        tariff = self.tariff(evse)
        currency = station.settings.text("currency") if tariff is None else tariff.currency
        return "" if cost is None else _money(cost, currency)

    def limit(self, evse_id: int, wanted: Limit) -> bool:
        """The driver limits the session at an EVSE; never beyond what the CSMS has set. False: none runs there."""
        evse = self._station.evse(evse_id)
        if evse.session is None or self._station.config.version != "2.1":
            return False
        bill = self._bills.setdefault(evse_id, Bill())
        allowed = Limit(
            *(
                None if new is None else new if most is None else min(new, most)
                for new, most in zip(_values(self._supported(wanted)), _values(bill.of_csms), strict=True)
            )
        )
        self._set(evse.session, bill, allowed)
        self._station.finish()
        return True

    def _supported(self, limit: Limit) -> Limit:
        names = self._station.settings.members("limits_supported")
        return Limit(*(value if name in names else None for name, value in zip(_FIELDS, _values(limit), strict=True)))

    def _set(self, session: Session, bill: Bill, limit: Limit) -> None:
        """A new limit: the CSMS is told of it, and it holds at once."""
        station = self._station
        evse = station.evses[session.evse - 1]
        bill.limit = limit.over(bill.limit)
        bill.tell_limit = True
        reading = station.energy.read(evse, "sampled", "Other")
        station.dialect.sampled(evse, session, reading, "LimitSet")
        bill.reached = self._beyond(evse, session, bill) if bill.reached else ""
        self._save(evse, bill)
        station.energy.refresh(evse)

    def stops(self, evse: Evse) -> bool:
        """Whether a limit keeps the energy from flowing. Asked whenever the flow is set: limits are looked at here."""
        bill, session = self._bills.get(evse.id), evse.session
        if bill is None or session is None or bill.limit == NO_LIMIT:
            return False
        if not bill.reached:
            bill.reached = self._beyond(evse, session, bill)
            if bill.reached:
                bill.trigger = REACHED[bill.reached]
                self._save(evse, bill)
        return bool(bill.reached)

    def after(self, evse: Evse) -> None:
        """The flow at an EVSE has been set: a reason that no change of state has told is told, and the next look at
        the limits is planned."""
        bill, session = self._bills.get(evse.id), evse.session
        timer = self._timers.pop(evse.id, None)
        if timer is not None:
            timer.cancel()
        if bill is None or session is None or session.ending:
            return
        self._watch(evse, session, bill)
        if bill.limit == NO_LIMIT:
            return
        if bill.trigger:
            trigger, bill.trigger = bill.trigger, ""
            reading = self._station.energy.read(evse, "sampled", "Other")
            self._station.dialect.sampled(evse, session, reading, trigger)
        if not bill.reached:
            wait = self._until(evse, session, bill)
            self._timers[evse.id] = self._station.scheduler.call_later(wait, lambda: self._look(evse))

    def _watch(self, evse: Evse, session: Session, bill: Bill) -> None:
        """A power that another price may be for is told: at once, or after TariffInterval (I12.FR.31, .32). Whoever
        hears of it uses that price from the same reading on."""
        if bill.costing is None or _step(bill.costing.tariff, evse) == bill.step or evse.id in self._powers:
            return
        wait = self._station.settings.number("tariff_interval") * 1000
        if wait and bill.step >= 0:
            self._powers[evse.id] = self._station.scheduler.call_later(wait, lambda: self._moved(evse))
        else:
            self._tell_power(evse, session, bill, bill.costing)

    def _moved(self, evse: Evse) -> None:
        self._powers.pop(evse.id, None)
        session, bill = evse.session, self._bills.get(evse.id)
        if session is None or bill is None or bill.costing is None or not self._station.powered:
            return
        if _step(bill.costing.tariff, evse) != bill.step:
            self._tell_power(evse, session, bill, bill.costing)
        self._station.finish()

    def _tell_power(self, evse: Evse, session: Session, bill: Bill, costing: Costing) -> None:
        first, bill.step = bill.step < 0, _step(costing.tariff, evse)
        if not first or bill.step > 0:
            reading = self._station.energy.read(evse, "sampled", "Other")
            self._station.dialect.sampled(evse, session, reading, "ChargingRateChanged")

    def why(self, evse: Evse) -> str:
        """The reason of the change of state that is about to be told; "" for none of ours. Asked once."""
        bill = self._bills.get(evse.id)
        if bill is None:
            return ""
        trigger, bill.trigger = bill.trigger, ""
        return trigger

    def _look(self, evse: Evse) -> None:
        self._timers.pop(evse.id, None)
        if self._station.powered:
            self._station.energy.refresh(evse)
            self._station.finish()

    def _beyond(self, evse: Evse, session: Session, bill: Bill) -> str:
        """The limit that has been reached, "" for none."""
        station, limit = self._station, bill.limit
        now = int(station.scheduler.now())
        evse.settle(now)
        if limit.max_cost is not None and self._cost(evse, session, bill, 0) >= limit.max_cost:
            return "maxCost"
        if limit.max_energy is not None and evse.meter.register_wh - session.register_start >= limit.max_energy:
            return "maxEnergy"
        if limit.max_time is not None and now - session.true_start >= limit.max_time * 1000:
            return "maxTime"
        if limit.max_soc is not None and evse.car is not None and evse.car.soc >= limit.max_soc * 10:
            return "maxSoC"
        return ""

    def _cost(self, evse: Evse, session: Session, bill: Bill, ahead_ms: int) -> Decimal:
        """What it costs now, or would if all went on like this for so long; the CSMS's word without a tariff here."""
        if bill.costing is None:
            return session.cost if session.cost is not None else Decimal(0)
        station = self._station
        wh = evse.meter.register_wh + max(0, evse.meter.power_mw) * ahead_ms // (_HOUR_MS * 1000)
        trial = bill.costing.copy()
        trial.feed(Mark(station.clock.now() + ahead_ms, wh))
        return details.amount(trial)

    def _until(self, evse: Evse, session: Session, bill: Bill) -> int:
        """How long (ms) it takes at least until a limit may be reached; an hour at most."""
        station, limit = self._station, bill.limit
        now = int(station.scheduler.now())
        wait = _HOUR_MS
        power_mw = evse.meter.power_mw
        if limit.max_time is not None:
            wait = min(wait, session.true_start + limit.max_time * 1000 - now)
        if limit.max_energy is not None and power_mw > 0:
            left_mwh = (session.register_start + limit.max_energy) * 1000 - evse.meter.energy_uj // 3_600_000
            wait = min(wait, int(left_mwh * _HOUR_MS // power_mw) + 1)
        if limit.max_cost is not None and bill.costing is not None:
            low, high = 0, wait
            if self._cost(evse, session, bill, high) >= limit.max_cost:
                while high - low > 250:
                    middle = (low + high) // 2
                    if self._cost(evse, session, bill, middle) >= limit.max_cost:
                        high = middle
                    else:
                        low = middle
                wait = high
        return max(250, wait)


def _register(reading: Reading) -> int | None:
    """Its register (Wh)."""
    return next((int(row.value) for row in reading.values if row.measurand == _REGISTER), None)


def _money(cost: Decimal, currency: str) -> str:
    """As people read it; the CSMS may have set the currency to something that is none."""
    try:
        return str(Money(cost, currency))
    except LocalError:
        return f"{cost} {currency}".rstrip()


def _step(tariff: Tariff, evse: Evse) -> int:
    """Between which bounds that prices have for the power an EVSE's is now; 0 where none has any."""
    watts = (evse.meter.power_mw + 500) // 1000
    return sum(watts >= edge for edge in conditions.powers(tariff))


def _power(readings: list[Reading]) -> int | None:
    """The newest power (W), rounded as a receiver rounds it."""
    for reading in reversed(readings):
        for row in reading.values:
            if row.measurand == _POWER and row.phase is None:
                return int(row.value * 1000 + 500) // 1000
    return None
