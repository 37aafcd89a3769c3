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

from pilotwire.core.time import Timer, from_datetime, to_datetime, to_rfc3339
from pilotwire.domain.tariffs import course, details, model
from pilotwire.domain.tariffs.costing import Costing, Mark, begin
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


_decoder = msgspec.json.Decoder(Bill)


class Costs(Part):
    """See the module."""

    __slots__ = ("_bills", "_central", "_costs", "_timers")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._bills: dict[int, Bill] = {}
        """By EVSE."""
        self._timers: dict[int, Timer] = {}
        """Until a limit may be reached."""
        self._costs: dict[int, Timer] = {}
        """Until the running cost is told again."""
        self._central: set[str] = set()
        """Tokens whose cost the CSMS works out (I08.FR.33)."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._bills = {
            evse.id: _decoder.decode(stored[f"bill.{evse.id}"])
            for evse in self._station.evses
            if f"bill.{evse.id}" in stored
        }
        self._central.clear()

    def stop(self) -> None:
        for timer in (*self._timers.values(), *self._costs.values()):
            timer.cancel()
        self._timers.clear()
        self._costs.clear()

    def session_ended(self, session: Session) -> None:
        self._bills.pop(session.evse, None)
        self._central.discard(session.token)
        for timers in (self._timers, self._costs):
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

    def problem(self, failed: bool) -> None:
        """TariffCostCtrlr.Problem (I08.FR.30, .35)."""
        text = "true" if failed else "false"
        if self._station.settings.text("tariff_problem") != text:
            self._station.settings.put(BY_NAME["tariff_problem"], text)

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
        bill.tell_tariff = True
        station.dialect.sampled(evse, session, reading, "TariffChanged")

    def _begin(self, evse: Evse, tariff: Tariff, time: int, wh: int | None) -> Costing:
        zone = self._station.settings.text("time_zone")
        return begin(tariff, Mark(time, wh), zone=zone, evse_kind="DC" if evse.config.dc else "AC")

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
            tariff = None if session.token in self._central else station.tariffs.of(evse, session)
            if tariff is not None and bill.costing is None:
                bill.costing = self._begin(evse, tariff, time, registers[0][1] if registers else None)
                bill.tell_tariff = True
        if bill is None:
            return
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
                request.cost_details = self._wire(details.of(costing, ended=True))
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
        if kind == "Started":
            self._plan_cost(evse)

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
        """The session that is about to begin is limited from its first message on."""
        supported = self._supported(limit)
        if supported != NO_LIMIT:
            self._bills[evse_id] = Bill(limit=supported, tell_limit=True)

    def cost_of(self, evse: Evse) -> Decimal | None:
        """What the session at an EVSE costs now; None: nobody knows."""
        bill, session = self._bills.get(evse.id), evse.session
        if session is None:
            return None
        if bill is None or bill.costing is None:
            return session.cost
        evse.settle(int(self._station.scheduler.now()))
        return self._cost(evse, session, bill, 0)

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
        if bill is None or session is None or session.ending or bill.limit == NO_LIMIT:
            return
        if bill.trigger:
            trigger, bill.trigger = bill.trigger, ""
            reading = self._station.energy.read(evse, "sampled", "Other")
            self._station.dialect.sampled(evse, session, reading, trigger)
        if not bill.reached:
            wait = self._until(evse, session, bill)
            self._timers[evse.id] = self._station.scheduler.call_later(wait, lambda: self._look(evse))

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


def _power(readings: list[Reading]) -> int | None:
    """The newest power (W), rounded as a receiver rounds it."""
    for reading in reversed(readings):
        for row in reading.values:
            if row.measurand == _POWER and row.phase is None:
                return int(row.value * 1000 + 500) // 1000
    return None
