"""Blocks C, E, H, N, O, Q, R and S of the domain: what stations say of what they keep, and what we answer.

Most of it is kept as it was said (`Said`); what is left is where the answer hangs on what is known.
"""

from __future__ import annotations

from msgspec.structs import replace

from . import vat
from .boot import DONE
from .certificates import Asked
from .context import Context, Decision
from .facts import (
    AnyFact,
    MonitorsCleared,
    ReportedVariable,
    SessionEnded,
    StreamRow,
    StreamSet,
    StreamsListed,
    StreamTold,
    StreamValue,
    TokenPresented,
    TransactionStatusTold,
    VariablesReported,
    VatNumberAsked,
)
from .inputs import Authorize, Input, Outcome, TokenVerdict
from .state import StationState
from .tokens import verdict as verdict_of

ARRIVAL = -1
"""`event_time` of a fact whose message carries no time: arrival counts."""
MOST_STREAMS = 50
"""Streams that a station may open at once; more would only cost it and us."""


class Said(Input, frozen=True):
    """Facts, as the station said them; those of `ARRIVAL` get the time of arrival."""

    facts: tuple[AnyFact, ...]


def said(state: StationState, given: Said, ctx: Context) -> Decision:
    kept = tuple(replace(fact, event_time=ctx.now) if fact.event_time == ARRIVAL else fact for fact in given.facts)
    return Decision(kept, (), DONE)


class Verdict(Outcome, frozen=True):
    """A status, with its reason where it is no."""

    status: str
    reason_code: str = ""
    additional_info: str = ""


# -- periodic event streams -------------------------------------------------------------------------------------------
class StreamOpened(Input, frozen=True):
    """2.1 OpenPeriodicEventStream."""

    row: StreamRow


def stream_opened(state: StationState, given: StreamOpened, ctx: Context) -> Decision:
    """It is taken, unless the station has too many already (N11)."""
    row = given.row
    streams = () if state.station.kept is None else state.station.kept.streams
    if len(streams) >= MOST_STREAMS and all(one.id != row.stream for one in streams):
        return Decision(
            (), (), Verdict(status="Rejected", reason_code="TooMany", additional_info="too many streams are open")
        )
    fact = StreamSet(
        event_time=ctx.now, stream=row.stream, monitor=row.monitor, interval_s=row.interval_s, values=row.values
    )
    return Decision((fact,), (), Verdict(status="Accepted"))


class StreamNotified(Input, frozen=True):
    """2.1 NotifyPeriodicEventStream."""

    stream: int
    values: tuple[StreamValue, ...]
    pending: int = 0


def stream_notified(state: StationState, given: StreamNotified, ctx: Context) -> Decision:
    """Kept, and the newest value is the variable's, as far as its monitor is known."""
    last = max(given.values, key=lambda one: one.time)
    facts: list[AnyFact] = [
        StreamTold(event_time=last.time, stream=given.stream, values=given.values, pending=given.pending)
    ]
    kept = state.station.kept
    stream = None if kept is None else next((one for one in kept.streams if one.id == given.stream), None)
    if kept is not None and stream is not None:
        place = next((one.place for one in kept.monitors if one.id == stream.monitor), None)
        if place is not None:
            newest = ReportedVariable(
                component=place.component,
                component_instance=place.component_instance,
                variable=place.variable,
                variable_instance=place.variable_instance,
                evse=place.evse,
                connector=place.connector,
                value=last.value,
            )
            facts.append(VariablesReported(event_time=last.time, variables=(newest,)))
    return Decision(tuple(facts), (), DONE)


def stream_known(state: StationState, stream: int) -> bool:
    """Whether the station has told that it opened it."""
    kept = state.station.kept
    return kept is not None and any(one.id == stream for one in kept.streams)


class NoMonitors(Input, frozen=True):
    """The station has answered that it has no monitors at all."""


def no_monitors(state: StationState, given: NoMonitors, ctx: Context) -> Decision:
    kept = state.station.kept
    if kept is None or not kept.monitors:
        return Decision((), (), DONE)
    return Decision((MonitorsCleared(event_time=ctx.now, ids=tuple(one.id for one in kept.monitors)),), (), DONE)


class StreamsAnswered(Input, frozen=True):
    """The answer to GetPeriodicEventStream."""

    rows: tuple[StreamRow, ...]


def streams_answered(state: StationState, given: StreamsAnswered, ctx: Context) -> Decision:
    return Decision((StreamsListed(event_time=ctx.now, streams=given.rows),), (), DONE)


# -- payment ----------------------------------------------------------------------------------------------------------
class Receipt(Outcome, frozen=True):
    """Where the driver finds the receipt of a settlement; "": nowhere here (C21.FR.03)."""

    url: str = ""


class VatNumber(Input, frozen=True):
    """2.1 VatNumberValidation."""

    number: str
    evse: int = 0


class VatVerdict(Outcome, frozen=True):
    number: str
    status: str
    evse: int = 0
    reason_code: str = ""
    additional_info: str = ""


def vat_number(state: StationState, given: VatNumber, ctx: Context) -> Decision:
    """Whether it can be one. Who it belongs to is not known here, so no company is told (C23)."""
    why = vat.objection(given.number)
    status = "Rejected" if why else "Accepted"
    fact = VatNumberAsked(event_time=ctx.now, number=given.number, verdict=status, why=why, evse=given.evse)
    told = VatVerdict(
        number=given.number,
        status=status,
        evse=given.evse,
        reason_code="InvalidValue" if why else "",
        additional_info=why,
    )
    return Decision((fact,), (), told)


# -- transactions -----------------------------------------------------------------------------------------------------
class TransactionStatus(Input, frozen=True):
    """The answer to GetTransactionStatus."""

    queued: bool
    transaction: str = ""
    ongoing: bool | None = None


def transaction_status(state: StationState, given: TransactionStatus, ctx: Context) -> Decision:
    """A transaction that is over, and of which nothing waits to be sent, has ended without our hearing of it (E14)."""
    facts: list[AnyFact] = [
        TransactionStatusTold(
            event_time=ctx.now, queued=given.queued, transaction=given.transaction, ongoing=given.ongoing
        )
    ]
    session = state.by_transaction(given.transaction) if given.transaction else None
    if session is not None and session.status == "active" and given.ongoing is False and not given.queued:
        facts.append(SessionEnded(event_time=session.latest_event, session_id=session.id, reason="Other", implied=True))
    return Decision(tuple(facts), (), DONE)


# -- authorization by certificate -------------------------------------------------------------------------------------
class Contract(Authorize, frozen=True):
    """2.x Authorize with a contract certificate, or with the hashes of its chain (C07)."""

    certificate: str = ""
    """PEM of the chain."""
    about: tuple[Asked, ...] = ()
    """Each certificate of the chain, by its hashes."""
    judged: str = "CertChainError"
    """AuthorizeCertificateStatusEnumType, as the chain was found to be; it cannot be verified where nobody is asked."""


class ContractVerdict(TokenVerdict, frozen=True):
    certificate_status: str = ""


_NO_CONTRACT = ("Blocked", "Expired", "Invalid", "Unknown")


def contract(state: StationState, given: Contract, ctx: Context) -> Decision:
    """The certificate must be good, and then the token (C07.FR.13 to .17)."""
    token = verdict_of(given.token, given.token_type, ctx)
    judged, status = given.judged, token.status
    if judged != "Accepted":
        status = "Expired" if judged == "CertificateExpired" else "Invalid"
    elif status in _NO_CONTRACT:
        judged = "ContractCancelled"
    fact = TokenPresented(event_time=ctx.now, token=given.token, token_type=given.token_type, verdict=status, evse=0)
    told = ContractVerdict(
        status=status,
        parent=token.parent,
        expires_at=token.expires_at,
        credit=token.credit,
        certificate_status=judged,
    )
    return Decision((fact,), (), told)


ROUTES = {
    Said: said,
    StreamOpened: stream_opened,
    StreamNotified: stream_notified,
    NoMonitors: no_monitors,
    StreamsAnswered: streams_answered,
    VatNumber: vat_number,
    TransactionStatus: transaction_status,
    Contract: contract,
}
"""Taken up by `domain.stations`."""
