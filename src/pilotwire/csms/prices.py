"""Tariffs and cost, as far as the central system does something about them (block I).

The book of each tenant in memory; the default tariffs of 2.1 stations, sent until they hold what they are to hold; the
cost told to stations that show it: in the answers of 2.x (`domain.costs.told`), by CostUpdated where a tariff changed,
by California's DataTransfer messages in 1.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import costs
from pilotwire.domain.context import Asked, Chosen, Decision, Pricer
from pilotwire.domain.costs_fold import DISPLAYS, TELLING
from pilotwire.domain.inputs import (
    Authorize,
    BootVerdict,
    Input,
    Outcome,
    StartTransaction,
    Status,
    TokenVerdict,
    TransactionAnswered,
    TransactionEvent,
)
from pilotwire.domain.records import Pricing, Session
from pilotwire.domain.stations import StationState, decide
from pilotwire.domain.tariffs import model, placing
from pilotwire.domain.tariffs.book import (
    ASSIGNMENT,
    TARIFF,
    AssignmentRecord,
    Book,
    TariffRecord,
    revision_of,
)
from pilotwire.domain.tariffs.model import Tariff
from pilotwire.storage.documents import unpack
from pilotwire.storage.port import Store
from pilotwire.translate import california
from pilotwire.transport.bus import CommandReply, CommandRequest

from .remedies import most_at_once

if TYPE_CHECKING:
    from .actor import StationActor

CHANGE = "change-tariff"
"""The command that gives a running session another tariff: {"session": id, "tariff": id}."""
RUNNING_COST_MS = 30_000
"""1.6: how often a session's cost is told at most."""
_PAGE = 500
_CARRIES = "token-driver"
_EMPTY = Book()


class _Site(msgspec.Struct):
    """What of a site's document counts here."""

    time_zone: str = ""


class Prices:
    """The books, and what was told last of running sessions."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._site: Callable[[StationKey], str] = lambda key: ""
        self._kinds: set[tuple[StationKey, int]] = set()
        """EVSEs that were asked what kind they are."""
        self._told: dict[str, tuple[int, str]] = {}
        """1.6 session → when its cost was told last (ms), and which."""
        self._read: dict[str, str] = {}
        """2.x session → the tariff that its driver was told of last."""

    def of(self, tenant: str) -> Book:
        """The tenant's book."""
        return self._books.get(tenant, _EMPTY)

    def pricer(self, key: StationKey) -> Pricer | None:
        """How the tariff of a session at a station is found; None where nobody of the tenant has one."""
        book = self._books.get(key.tenant)
        if book is None:
            return None
        site = self._site(key)

        def price(asked: Asked) -> Chosen | None:
            if asked.named:
                named = book.named(asked.named)
                return None if named is None else Chosen(named, "station", book.zone(site))
            driver = book.drivers(asked.token, asked.group, asked.at)
            found = driver or book.default(key.station, site, asked.evse, asked.at)
            return None if found is None else Chosen(found.tariff, "driver" if driver else "default", book.zone(site))

        return price

    def driver(self, key: StationKey, verdict: TokenVerdict, token: str, now: int) -> Tariff | None:
        """The tariff that goes with the answer to Authorize (2.1 I08)."""
        found = self.of(key.tenant).drivers(token, verdict.parent, now)
        return None if found is None else msgspec.structs.replace(found.tariff, valid_from=None)

    def site(self, key: StationKey) -> str:
        return self._site(key)

    async def load(self, store: Store, tenants: Iterable[str], site: Callable[[StationKey], str]) -> set[str]:
        """Read the books again; the tenants whose book is another one now."""
        self._site = site
        changed: set[str] = set()
        tenants = set(tenants)
        for tenant in tenants | set(self._books):
            book = await _read(store, tenant) if tenant in tenants else _EMPTY
            if book != self.of(tenant):
                changed.add(tenant)
                if book:
                    self._books[tenant] = book
                else:
                    self._books.pop(tenant, None)
        return changed

    def first(self, key: StationKey, evse: int) -> bool:
        """Whether an EVSE is asked about for the first time in this process."""
        if (key, evse) in self._kinds or len(self._kinds) > 1_000_000:
            return False
        self._kinds.add((key, evse))
        return True

    def news(self, session: Session) -> bool:
        """Whether another tariff than its driver knows of is in force for a 2.x session (I06); it is then taken for
        told."""
        bill = session.bill
        if bill is None or not bill.tariff_id:
            return False
        last = self._read.get(session.id)
        if last == bill.tariff_id:
            return False
        if len(self._read) > 100_000:
            self._read.clear()
        self._read[session.id] = bill.tariff_id
        # Of the tariff that it began with the driver has heard before, or has seen it at the station.
        return last is not None or bill.why == "changed"

    def over(self, session: Session) -> None:
        """A session has ended."""
        self._read.pop(session.id, None)

    def due(self, session: Session, now: int, *, final: bool) -> bool:
        """Whether the cost of a 1.6 session is to be told now; it is then taken for told."""
        bill = session.bill
        assert bill is not None
        amount = str(bill.amount)
        last = self._told.get(session.id)
        if final:
            self._told.pop(session.id, None)
            return True
        if last is not None and (last[1] == amount or now - last[0] < RUNNING_COST_MS):
            return False
        if len(self._told) > 100_000:
            self._told.clear()
        self._told[session.id] = (now, amount)
        return True


async def _every(store: Store, tenant: str, kind: str, kind_type: type[Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await store.documents(tenant, kind, cursor=cursor, limit=_PAGE)
        found += [(one.id, unpack(one, kind_type).value) for one in page.items]
        cursor = page.next
        if cursor is None:
            return found


async def _read(store: Store, tenant: str) -> Book:
    tariffs = dict(await _every(store, tenant, TARIFF, TariffRecord))
    if not tariffs:
        return _EMPTY
    assignments = [one for _, one in await _every(store, tenant, ASSIGNMENT, AssignmentRecord)]
    zones = {site: one.time_zone for site, one in await _every(store, tenant, "site", _Site)}
    by_driver = any(one.scope == "driver" for one in assignments)
    carriers = dict(await _every(store, tenant, _CARRIES, str)) if by_driver else {}
    return Book(tariffs, assignments, zones, carriers)


# ── what messages ask for ────────────────────────────────────────────────────────────────────────────────────────────


def named(actor: StationActor, given: Input, outcome: Outcome) -> Outcome:
    """Authorize: with the driver's tariff, for the station to work by, and in words where it shows these (I01, I08)."""
    if actor.version == "1.6" or not isinstance(given, Authorize) or not isinstance(outcome, TokenVerdict):
        return outcome
    if outcome.status != "Accepted":
        return outcome
    pricing = actor.known().station.pricing
    tariff = actor.around.prices.driver(actor.key, outcome, given.token, actor.around.now())
    if tariff is not None and actor.version == "2.1" and not costs.unfit(pricing, tariff):
        outcome = msgspec.structs.replace(outcome, tariff=tariff)
    if _reads(pricing):
        price = actor.around.prices.pricer(actor.key)
        found = None if price is None else price(Asked(0, given.token, outcome.parent, "", actor.around.now()))
        if found is not None:
            outcome = msgspec.structs.replace(outcome, message=california.texts(found.tariff))
    return outcome


def _reads(pricing: Pricing | None) -> bool:
    """Whether drivers can read something of tariffs at a station (I01.FR.02)."""
    return pricing is not None and True in (pricing.shows_tariff, pricing.shows_messages)


def told(actor: StationActor, given: Input, outcome: Outcome) -> Outcome:
    """TransactionEvent: with the cost, and with the tariff in words when it is another one than before (I06)."""
    state = actor.known()
    answer = costs.told(state, given, outcome)
    assert isinstance(given, TransactionEvent) and isinstance(answer, TransactionAnswered)
    session = state.by_transaction(given.transaction)
    if session is None or session.bill is None:
        return answer
    prices, bill = actor.around.prices, session.bill
    if given.kind == "Ended":
        prices.over(session)
    elif prices.news(session) and _reads(state.station.pricing) and bill.costing is not None:
        answer = msgspec.structs.replace(answer, message=california.texts(bill.costing.tariff))
    return answer


def booted(actor: StationActor, given: Input, decision: Decision) -> None:
    """A station that was let in is asked what has to be known of it, and given its tariffs."""
    outcome = decision.outcome
    if isinstance(outcome, BootVerdict) and outcome.verdict == "Accepted":
        supply(actor)


def supply(actor: StationActor) -> None:
    """Ask a station what has to be known of it, and then give it its tariffs."""
    if not actor.around.prices.of(actor.key.tenant):
        place(actor)
        return
    ask(actor)
    if actor.version == "1.6":
        return
    wanted = [
        {"component": {"name": component}, "variable": {"name": variable, **({"instance": each} if each else {})}}
        for (component, variable, each), field in TELLING.items()
        if actor.version == "2.1" or field in ("shows_tariff", "shows_messages")
    ]
    size = most_at_once(actor, "GetVariables") or len(wanted)
    parts = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    for part in parts:
        # Whatever it says to that: what it does not say is taken for possible.
        then = (lambda reply: actor.when_ready(lambda: place(actor))) if part is parts[-1] else None
        actor.outbox.ask("GetVariables", msgspec.json.encode({"getVariableData": part}), urgent=False, then=then)


def ask(actor: StationActor) -> None:
    """What the pricing of its sessions hangs on, where the station has not said it yet."""
    if not actor.around.prices.of(actor.key.tenant):
        return
    station = actor.known().station
    pricing = station.pricing or Pricing()
    if actor.version == "1.6":
        actor.outbox.ask("GetConfiguration", msgspec.json.encode({"key": [DISPLAYS]}), urgent=False)
        return
    if pricing.zone is None:
        _variable(actor, {"name": "ClockCtrlr"}, "TimeZone")
    for evse in sorted({one.evse for one in station.connectors} - {0, *pricing.kinds}):
        _variable(actor, {"name": "EVSE", "evse": {"id": evse}}, "SupplyPhases")


def _variable(actor: StationActor, component: dict[str, Any], variable: str) -> None:
    wanted = [{"component": component, "variable": {"name": variable}}]
    actor.outbox.ask("GetVariables", msgspec.json.encode({"getVariableData": wanted}), urgent=False)


def seen(actor: StationActor, given: Input, decision: Decision) -> None:
    """2.x StatusNotification: of an EVSE that is new it is asked what kind it is, once."""
    prices, key = actor.around.prices, actor.key
    if actor.version == "1.6" or not isinstance(given, Status) or not given.evse or not prices.of(key.tenant):
        return
    pricing = actor.known().station.pricing
    if (pricing is None or given.evse not in pricing.kinds) and prices.first(key, given.evse):
        _variable(actor, {"name": "EVSE", "evse": {"id": given.evse}}, "SupplyPhases")


def place(actor: StationActor) -> None:
    """Give a 2.1 station the default tariffs that it is to hold, and take away those of ours that it is not."""
    if actor.version != "2.1" or not actor.connected:
        return
    prices, key = actor.around.prices, actor.key
    station = actor.known().station
    now = actor.around.now() + station.skew_ms
    if station.pricing is not None and False in (station.pricing.takes_tariffs, station.pricing.calculates):
        return  # it would say NotSupported (I07.FR.01)
    wanted = {
        evse: fit
        for evse, tariffs in prices.of(key.tenant).at_station(key.station, prices.site(key), now).items()
        if (fit := [one for one in tariffs if not costs.unfit(station.pricing, one)])
    }
    held = {} if station.pricing is None else station.pricing.tariffs
    # What somebody has set there by hand is theirs, until we have one for that place.
    ours = {
        evse: [one for one in tariffs if evse in wanted or revision_of(one.tariff_id) is not None]
        for evse, tariffs in held.items()
    }
    for step in placing.plan(wanted, ours, now):
        if isinstance(step, placing.Clear):
            actor.outbox.ask("ClearTariffs", msgspec.json.encode({"tariffIds": list(step.ids)}), urgent=False)
        else:
            body = {"evseId": step.evse, "tariff": msgspec.Raw(model.encode(step.tariff))}
            actor.outbox.ask("SetDefaultTariff", msgspec.json.encode(body), urgent=False)


# ── California's messages (1.6) ──────────────────────────────────────────────────────────────────────────────────────


def price_shown(actor: StationActor, given: Input, decision: Decision) -> None:
    """1.6: a driver is shown the price, before charging and at its start."""
    pricing = actor.known().station.pricing
    if pricing is None or not pricing.shows:
        return
    token, evse = ("", 0)
    verdict: TokenVerdict | None = None
    if isinstance(given, Authorize) and isinstance(decision.outcome, TokenVerdict):
        token, verdict = given.token, decision.outcome
    elif isinstance(given, StartTransaction):
        token, evse = given.token, given.connector
    price = actor.around.prices.pricer(actor.key)
    if price is None or (verdict is not None and verdict.status != "Accepted"):
        return
    found = price(Asked(evse, token, "" if verdict is None else verdict.parent, "", actor.around.now()))
    if found is not None:
        _transfer(actor, california.user_price(token, found.tariff))
    if isinstance(given, StartTransaction):
        cost_shown(actor, given, decision)


def cost_shown(actor: StationActor, given: Input, decision: Decision) -> None:
    """1.6: the running cost, and in the end the final one."""
    state = actor.known()
    pricing = state.station.pricing
    if pricing is None or not pricing.shows:
        return
    for session in _of(state, decision):
        if session.bill is not None and session.bill.amount is not None and session.transaction.isdigit():
            _tell(actor, session, state.station.skew_ms)


def _of(state: StationState, decision: Decision) -> list[Session]:
    ids = dict.fromkeys(getattr(fact, "session_id", "") for fact in decision.facts)
    return [state.sessions[one] for one in ids if one in state.sessions]


def _tell(actor: StationActor, session: Session, skew_ms: int) -> None:
    final = session.status == "ended"
    now = actor.around.now()
    if actor.around.prices.due(session, now, final=final):
        if final:
            _transfer(actor, california.final_cost(session))
        else:
            _transfer(actor, california.running_cost(session, to_rfc3339(now + skew_ms)))


def _transfer(actor: StationActor, message: california.Message) -> None:
    body = {
        "vendorId": california.VENDOR,
        "messageId": message.name,
        "data": model.encode(message.data).decode(),
    }
    actor.outbox.ask("DataTransfer", msgspec.json.encode(body), urgent=False)


# ── another tariff for a running session ─────────────────────────────────────────────────────────────────────────────


def change(actor: StationActor, asked: CommandRequest, reply: Callable[[CommandReply], None]) -> CommandRequest | None:
    """`change-tariff`: the command that the station is to be sent for it; None: it is done, or cannot be."""

    def end(outcome: str, answer: dict[str, Any]) -> None:
        reply(CommandReply(command_id="", outcome=outcome, action=asked.action, answer=answer))

    def no(description: str, field: str) -> None:
        end("invalid", {"code": "Invalid", "description": description, "details": {"field": field}})

    state, around, key = actor.known(), actor.around, actor.key
    session = state.sessions.get(str(asked.payload.get("session", "")))
    if session is None:
        no("there is no such session at this station", "session")
        return None
    book = around.prices.of(key.tenant)
    tariff = book.current(str(asked.payload.get("tariff", "")), around.now())
    if tariff is None:
        no("there is no such tariff in force", "tariff")
        return None
    objection = costs.objection(session, tariff)
    if objection:
        no(objection, "tariff")
        return None
    tariff = msgspec.structs.replace(tariff, valid_from=None)
    if actor.version == "2.1" and session.bill is not None and session.bill.local:
        wire = msgspec.json.decode(model.encode(tariff))
        payload = {"transactionId": session.transaction, "tariff": wire}
        return msgspec.structs.replace(asked, action="ChangeTransactionTariff", payload=payload)
    given = costs.Changed(session=session.id, tariff=tariff, zone=book.zone(around.prices.site(key)))
    decision = decide(state, given, actor.context(around.now()))
    assert isinstance(decision, Decision)

    def committed(error: BaseException | None) -> None:
        if error is not None:
            end("undeliverable", {"code": "StoreFailed", "description": "it could not be stored", "details": {}})
            return
        end("answered", {"status": "Accepted"})
        actor.when_ready(lambda: _changed(actor, session.id))

    actor.record(decision.facts, committed)
    return None


def _changed(actor: StationActor, session_id: str) -> None:
    """The driver sees what it costs by now."""
    session = actor.known().sessions.get(session_id)
    bill = None if session is None else session.bill
    if session is None or bill is None or bill.amount is None or not actor.connected:
        return
    pricing = actor.known().station.pricing
    if actor.version != "1.6":
        body = model.encode({"totalCost": bill.amount, "transactionId": session.transaction})
        actor.outbox.ask("CostUpdated", body, urgent=False)
    elif pricing is not None and pricing.shows:
        _tell(actor, session, actor.known().station.skew_ms)
