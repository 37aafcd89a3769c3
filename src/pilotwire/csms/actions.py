"""The actions that need more of the central system than a decision.

How an action that stations send is served, in the order in which a message passes:

    translate.<version>.TABLE   request → input, outcome → response (`translate.table.Served`; a SEND has none)
    SPECIAL[action].fetch       here: what is asked outside first, without holding up the station's other messages
    SPECIAL[action].prepare     here: what of ours the decision has to know, put into its context
    domain.stations.ROUTES      input → facts and outcome, pure (`domain.inputs` has both)
    SPECIAL[action].complete    here: what the answer needs of the state after the message
    csms.durability             whether the answer waits for the commit; it does unless it is listed there
    SPECIAL[action].follow      here: what we do about it once it is durable and answered

A new action has a line in TABLE and, if its input is new, in ROUTES; most need no line here. What we send and what the
answers to that say is `translate.verbs` and `translate.answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from pilotwire.domain.blocks import Receipt, Said
from pilotwire.domain.context import Context, Decision
from pilotwire.domain.facts import PaymentSettled
from pilotwire.domain.inputs import Boot, Input, Outcome
from pilotwire.transport.bus import Refused

from . import ev_plans, inventory, prices, resuming, streams
from .certificates import actions as certificates
from .certificates import authorizing

if TYPE_CHECKING:
    from .actor import StationActor

Fetch = Callable[["StationActor", Input, Callable[[Input], None]], None]
"""(actor, input, found): asks, and calls `found` once, however it ends, with the input as it is then to be decided: at
once or later, on the thread that it was called on. Meanwhile other messages go on. When the connection has ended by
then, the message is dropped: the station says it again on its next one."""
Prepare = Callable[["StationActor", Context], None]
"""Fills in, before the decision, what only the central system knows. Does not wait."""
Complete = Callable[["StationActor", Input, Outcome], Outcome]
"""The outcome as it is to be answered, once the message counts in the state."""
Follow = Callable[["StationActor", Input, Decision], None]
"""Called when the message is durable and answered, with the state there; for instance to send a command."""


class Special(NamedTuple):
    """What an action needs beyond its translation and its decision."""

    fetch: Fetch | None = None
    prepare: Prepare | None = None
    complete: Complete | None = None
    follow: Follow | None = None


WRONG_SERIAL = "wrong-serial-number"


def _boot_verdict(actor: StationActor, context: Context) -> None:
    account = actor.around.accounts.get(actor.key)
    context.boot = account.boot if account is not None else "Rejected"


def _same_station(actor: StationActor, given: Input, found: Callable[[Input], None]) -> None:
    """B01.FR.11, .12: a station that came by its certificate boots under the serial number that stands in there."""
    account, connection = actor.around.accounts.get(actor.key), actor.current
    if (
        isinstance(given, Boot)
        and connection is not None
        and connection.security_profile == 3
        and actor.version != "1.6"
        and account is not None
        # Without one the certificate names the identity, which is no serial number.
        and account.serial
        and given.serial
        and given.serial != account.serial
    ):
        around = actor.around
        around.log("a boot under another serial number than the certificate's", actor.key, serial=given.serial)
        around.counters.count(around.counters.rejected, WRONG_SERIAL)
        around.door.came(
            Refused(
                tenant=actor.key.tenant,
                station=actor.key.station,
                time=around.now(),
                peer=connection.peer,
                status=101,
                reason=WRONG_SERIAL,
                tls=True,
                detail=given.serial,
            )
        )
        connection.close(1008, "the certificate is of another serial number")
        return
    found(given)


def _booted(actor: StationActor, given: Input, decision: Decision) -> None:
    prices.booted(actor, given, decision)
    inventory.booted(actor, given, decision)


def _receipt(actor: StationActor, given: Input, outcome: Outcome) -> Outcome:
    """2.1 C21.FR.03: what was paid has a receipt."""
    told = given.facts[0] if isinstance(given, Said) else None
    template = actor.around.config.receipts
    if not template or not isinstance(told, PaymentSettled) or told.status != "Settled":
        return outcome
    return Receipt(url=template.replace("{reference}", quote(told.reference, safe="")))


PLAIN = Special()
SPECIAL: Mapping[str, Special] = {
    "BootNotification": Special(fetch=_same_station, prepare=_boot_verdict, follow=_booted),
    "Authorize": Special(fetch=authorizing.judge, complete=prices.named, follow=prices.price_shown),
    "StatusNotification": Special(follow=prices.seen),
    "NotifySettlement": Special(complete=_receipt),
    "TransactionEvent": Special(complete=prices.told, follow=resuming.profiles_again),
    "StartTransaction": Special(follow=prices.price_shown),
    "MeterValues": Special(follow=prices.cost_shown),
    "StopTransaction": Special(follow=prices.cost_shown),
    "NotifyPeriodicEventStream": Special(follow=streams.told),
    "NotifyEVChargingNeeds": Special(follow=ev_plans.offer),
    "NotifyEVChargingSchedule": Special(follow=ev_plans.offer_again),
    "SignCertificate": Special(fetch=certificates.judge, follow=certificates.enroll),
    "GetCertificateStatus": Special(fetch=certificates.status),
    "GetCertificateChainStatus": Special(fetch=certificates.chain_status),
    "Get15118EVCertificate": Special(fetch=certificates.ev_certificate),
}
"""By action, the same in every version that has it."""
