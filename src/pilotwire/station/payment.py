"""Ad hoc payment at the station (2.1 C18 to C25): a terminal that is built in, and QR codes.

    station.payment.present(1, "4000 1234")    a card is shown for EVSE 1
    station.payment.cancel(1)                  the driver thinks better of it before a session begins
    station.payment.vat(1, "NL123456789B01")   a VAT number for the receipt
    station.payment.url(1)                     what the QR code of EVSE 1 says now

What the terminal reserves, and what became of it, survives a restart; settlements go the way of transaction messages,
durable and in order. The terminal itself is `ports.Terminal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.core.time import Timer
from pilotwire.domain import web_payment
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.v21.messages import AddressType

from .authorization import ACCEPTED, Grant
from .costs import Limit
from .outbox import Queued
from .parts import Part
from .ports import Receipt, Terminal
from .settings import BY_NAME

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

DIRECT = "DirectPayment"
"""IdTokenEnumType of an ad hoc payment; the token is the pspRef."""
_KEY = "payments"
_RECEIPTS = 50


class Payment(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One reservation of money that is not settled yet."""

    ref: str
    """pspRef."""
    evse: int
    amount: Decimal
    details: dict[str, str] = {}
    known: bool = False
    """The CSMS was asked to authorize it, so it is told when nothing comes of it (C19.FR.02)."""
    transaction: str = ""
    total: Decimal | None = None
    """What is to be settled, once the session is over."""
    over: bool = False
    vat_number: str = ""
    vat_company: str = ""
    """AddressType as JSON."""


_decoder = msgspec.json.Decoder(list[Payment])
_address = msgspec.json.Decoder(AddressType)
_encode = msgspec.json.Encoder().encode


class Payments(Part):
    """The payments of one station."""

    __slots__ = ("_increasing", "_locks", "_payments", "_settling", "_terminal", "_wanted", "receipts")

    def __init__(self, station: Station, terminal: Terminal | None) -> None:
        super().__init__(station)
        self._terminal = terminal
        self._payments: dict[str, Payment] = {}
        """By pspRef."""
        self._locks: dict[int, Timer] = {}
        """EVSEs at which somebody is paying on the web."""
        self._wanted: dict[int, Limit] = {}
        """By EVSE: the limits that are in the QR code, as the driver has chosen them."""
        self._increasing: set[str] = set()
        self._settling: set[str] = set()
        self.receipts: dict[str, str] = {}
        """pspRef → where the receipt can be had, as the driver is shown it; the last few."""

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._payments = {row.ref: row for row in _decoder.decode(stored.get(_KEY, b"[]"))}
        self._increasing.clear()
        self._settling.clear()
        self._locks.clear()
        station = self._station
        if "webpay" in station.features and not station.settings.text("web_secret"):
            station.settings.put(BY_NAME["web_secret"], station.ids.new())

    def stop(self) -> None:
        for timer in self._locks.values():
            timer.cancel()
        self._locks.clear()

    def recovered(self) -> None:
        """After power-on: what was reserved and never used is given back, what is owed is settled."""
        for payment in list(self._payments.values()):
            if payment.over and payment.total is not None:
                self._settle(payment)
            elif not payment.transaction and not payment.over:
                self._give_back(payment)

    @property
    def enabled(self) -> bool:
        """There is a terminal, and it is in use."""
        return "payment" in self._station.features and self._station.settings.flag("payment_enabled")

    # ── cards ────────────────────────────────────────────────────────────────────────────────────────────────────

    def present(self, evse_id: int, card: str) -> None:
        """A card is shown for an EVSE (C18.FR.02). Raises LocalError where there is no terminal."""
        station = self._station
        terminal = self._terminal
        if terminal is None or not self.enabled:
            raise LocalError(f"{station.config.identity} takes no cards")
        evse = station.evse(evse_id)
        taken = evse.pending is not None or (evse.session is not None and evse.session.authorized)
        busy = taken or evse.fault or not evse.available
        if not station.powered or busy or self.locked(evse):
            return
        amount = self._amount("payment_amount")

        def reserved(ref: str | None, details: Mapping[str, str]) -> None:
            if ref is not None and station.powered:
                wanted = station.settings.members("payment_details")
                payment = Payment(
                    ref=ref,
                    evse=evse_id,
                    amount=amount,
                    details={name: details[name] for name in wanted if name in details},
                )
                self._payments[ref] = payment
                self._save()
                self._authorize(payment)
                station.finish()

        terminal.reserve(card, amount, reserved)

    def _amount(self, name: str) -> Decimal:
        return Decimal(self._station.settings.text(name) or "0")

    def _authorize(self, payment: Payment) -> None:
        station = self._station
        if not station.settings.flag("payment_authorize"):
            self._admit(payment, Grant(ACCEPTED))
            return
        payment.known = True
        self._save()
        station.entrance.authorize(payment.ref, DIRECT, lambda grant: self._admit(payment, grant))

    def _admit(self, payment: Payment, grant: Grant) -> None:
        station = self._station
        evse = station.evse(payment.evse)
        if grant.status == ACCEPTED:
            station.entrance.let_in(evse, payment.ref, DIRECT, grant, "", None)
        pending = evse.pending is not None and evse.pending.token == payment.ref
        running = evse.session is not None and evse.session.token == payment.ref
        if not pending and not running:
            # C18.FR.07: the CSMS that has refused it need not be told.
            payment.known = payment.known and grant.status == ACCEPTED
            self._give_back(payment)

    def stop_at(self, evse_id: int) -> None:
        """The driver ends at the terminal what a card has begun (C20.FR.01)."""
        station = self._station
        evse = station.evse(evse_id)
        if station.powered and evse.session is not None and self._of(evse.session.key) is not None:
            station.transactions.end(evse, "Local", "StopAuthorized")
            station.finish()

    def cancel(self, evse_id: int) -> None:
        """The driver gives up before a session has begun (C19)."""
        station = self._station
        evse = station.evse(evse_id)
        if evse.pending is not None and evse.pending.token in self._payments:
            station.entrance.give_up(evse)
            station.availability.advance(evse, "deauthorize")
            station.energy.rearm(evse)
            station.finish()

    def unused(self, token: str) -> None:
        """Nobody plugs in for that token any more (C19.FR.01)."""
        payment = self._payments.get(token)
        if payment is not None and not payment.transaction:
            self._give_back(payment)

    def additional(self, token: str) -> list[Any]:
        """additionalInfo of a payment's token (C18.FR.04, .06)."""
        payment = self._payments.get(token)
        if payment is None:
            return []
        m = self._station.messages
        return [m.AdditionalInfoType(additional_id_token=value, type=name) for name, value in payment.details.items()]

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def beginning(self, session: Session) -> None:
        """A session is about to be told: what is reserved is its limit (C18.FR.06)."""
        self.unlock(session.evse)
        payment = self._payments.get(session.token) if session.token_type == DIRECT else None
        if payment is not None:
            payment.transaction = session.key
            self._save()
            self._station.costs.begin_with(session.evse, Limit(max_cost=payment.amount))
        elif session.token_type == DIRECT and session.remote_start_id is not None:
            wanted = self._wanted.pop(session.evse, None)
            if wanted is not None:
                self._station.costs.begin_with(session.evse, wanted)  # C25.FR.04, .05, .06

    def session_ended(self, session: Session) -> None:
        payment = self._of(session.key)
        if payment is None:
            return
        if self._station.settings.flag("payment_by_csms"):
            self._forget(payment)  # C21.FR.06
            return
        payment.over = True
        payment.total = session.cost
        self._save()
        if payment.total is not None:
            self._settle(payment)

    def ended_told(self, key: str, total: Decimal | None) -> None:
        """The CSMS has answered the end of a session; where it alone knows the cost, this is it."""
        payment = self._of(key)
        if payment is not None and payment.over and payment.total is None:
            payment.total = total or Decimal(0)
            self._save()
            self._settle(payment)

    def _of(self, key: str) -> Payment | None:
        return next((each for each in self._payments.values() if each.transaction == key), None)

    def look(self, evse: Evse) -> None:
        """The cost goes on: more is reserved before it is used up (C23)."""
        station = self._station
        session = evse.session
        payment = None if session is None or session.ending else self._of(session.key)
        if payment is None or self._terminal is None or payment.ref in self._increasing:
            return
        more = self._amount("payment_increment")
        cost = station.costs.cost_of(evse)
        if more <= 0 or cost is None or cost <= payment.amount - self._amount("payment_threshold"):
            return
        self._increasing.add(payment.ref)

        def increased(done: bool) -> None:
            if self._payments.get(payment.ref) is not payment or not station.powered:
                return
            if done:
                self._increasing.discard(payment.ref)
                payment.amount += more
                self._save()
                station.costs.limit(evse.id, Limit(max_cost=payment.amount))  # C23.FR.02

        self._terminal.increase(payment.ref, more, increased)

    # ── settlement ───────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self, payment: Payment) -> None:
        if payment.ref in self._settling:
            return
        self._settling.add(payment.ref)
        total = payment.total or Decimal(0)
        if total <= 0:
            payment.known = True  # C20.FR.05: it has had a transaction
            self._give_back(payment)
            return
        if self._terminal is None:
            self._settled(payment, Receipt("Failed"))
            return
        self._terminal.settle(payment.ref, total, lambda receipt: self._settled(payment, receipt))

    def _settled(self, payment: Payment, receipt: Receipt) -> None:
        if not self._station.powered or self._payments.get(payment.ref) is not payment:
            return
        own = receipt.status == "Settled" and not self._station.settings.flag("payment_receipt_by_csms")
        more: dict[str, Any] = {}
        if own:
            more = {"receipt_id": receipt.id or None, "receipt_url": receipt.url or None}  # C21.FR.04
            self._show(payment.ref, receipt.url)
        if receipt.words:
            more["status_info"] = receipt.words[:500]
        self._notify(payment, receipt.status, payment.total or Decimal(0), **more)
        self._forget(payment)
        self._station.finish()

    def _give_back(self, payment: Payment) -> None:
        if self._terminal is not None:
            self._terminal.release(payment.ref)
        if payment.known:
            self._notify(payment, "Canceled", Decimal(0))
        self._forget(payment)

    def _notify(self, payment: Payment, status: str, amount: Decimal, **more: Any) -> None:
        station = self._station
        m = station.messages
        if payment.vat_number:
            more["vat_number"] = payment.vat_number
        if payment.vat_company:
            more["vat_company"] = _address.decode(payment.vat_company)
        station.tell_durably(
            "NotifySettlement",
            f"payment.{payment.ref}",
            m.NotifySettlementRequest(
                psp_ref=payment.ref,
                status=status,
                settlement_amount=amount,
                settlement_time=station.clock.wall(),
                transaction_id=payment.transaction or None,
                **more,
            ),
        )

    def settled(self, entry: Queued, response: Any) -> None:
        """The CSMS has heard of it, and may say where the receipt is (C21.FR.03)."""
        url = getattr(response, "receipt_url", None)
        if entry.action == "NotifySettlement" and url:
            self._show(entry.session.removeprefix("payment."), url)

    def _show(self, ref: str, url: str) -> None:
        self.receipts[ref] = url
        while len(self.receipts) > _RECEIPTS:
            del self.receipts[next(iter(self.receipts))]

    def _forget(self, payment: Payment) -> None:
        self._payments.pop(payment.ref, None)
        self._increasing.discard(payment.ref)
        self._settling.discard(payment.ref)
        self._save()

    def _save(self) -> None:
        self._station.store({_KEY: _encode(list(self._payments.values()))})

    # ── VAT numbers ──────────────────────────────────────────────────────────────────────────────────────────────

    def vat(self, evse_id: int, number: str, then: Callable[[bool], None] | None = None) -> None:
        """A VAT number for the receipt of what runs at an EVSE (C18.FR.08): `then` is told whether it is one."""
        station = self._station
        evse = station.evse(evse_id)
        token = (
            evse.session.token if evse.session is not None else evse.pending.token if evse.pending is not None else ""
        )

        def answered(response: Any, error: RpcError | None) -> None:
            good = False
            payment = self._payments.get(token)
            if response is not None:
                good = response.status == "Accepted"
            if response is not None and good and payment is not None:
                payment.vat_number = number
                company = response.company
                payment.vat_company = "" if company is None else _encode(company).decode()
                self._save()
            if then is not None:
                then(good)

        station.conversation.call(
            "VatNumberValidation",
            station.messages.VatNumberValidationRequest(vat_number=number, evse_id=evse_id),
            answered,
        )
        station.finish()

    # ── the web ──────────────────────────────────────────────────────────────────────────────────────────────────

    def url(self, evse_id: int, **limits: Decimal | int) -> str:
        """What the QR code of an EVSE says now; `limits` are maxtime (s), maxenergy (Wh), maxcost as the driver wants.

        Empty where no template is set. Raises LocalError for a limit that is not supported.
        """
        station = self._station
        settings = station.settings
        template = settings.text("web_template")
        if "webpay" not in station.features or not settings.flag("web_enabled") or not template:
            return ""
        unknown = set(limits) - set(settings.members("web_parameters"))
        if unknown:
            raise LocalError(f"no such limit: {', '.join(sorted(unknown))}")
        password = web_payment.one_time_password(
            settings.text("web_secret"),
            station.clock.now() // 1000,
            settings.number("web_validity"),
            settings.number("web_length"),
        )
        values = {
            "chargingstationid": settings.text("web_station") or station.config.identity,
            "evse": str(evse_id),
            "totp": password,
            "version": settings.text("web_version"),
            "roamingevseid": settings.text("web_roaming"),
        }
        fields = {"maxcost": "max_cost", "maxenergy": "max_energy", "maxtime": "max_time"}
        self._wanted.pop(evse_id, None)
        if limits:
            self._wanted[evse_id] = Limit(**{fields[name]: value for name, value in limits.items()})  # type: ignore[arg-type]
        return web_payment.url(template, values, {name: str(value) for name, value in limits.items()})

    def lock(self, evse: Evse, timeout_s: int) -> None:
        """Somebody is paying on the web for that EVSE: nothing begins there by itself (C25.FR.22)."""
        self.unlock(evse.id)
        if timeout_s > 0:
            self._locks[evse.id] = self._station.scheduler.call_later(timeout_s * 1000, lambda: self.unlock(evse.id))

    def unlock(self, evse_id: int) -> None:
        """The payment has come, or will not."""
        timer = self._locks.pop(evse_id, None)
        if timer is not None:
            timer.cancel()

    def locked(self, evse: Evse) -> bool:
        """Nothing may begin at that EVSE but what the CSMS asks for."""
        return evse.id in self._locks
