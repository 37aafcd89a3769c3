"""Facts of what stations keep (`domain.kept`) in plain words: a part of `api.words`."""

from __future__ import annotations

from typing import Any, Literal

from pilotwire.domain import facts

from .language import N_, _

_WHY = {
    "cancelled": N_("reservation {id} cancelled"),
    "expired": N_("reservation {id} has expired: nobody came"),
    "removed": N_("reservation {id} was removed by the station"),
    "no-transaction": N_("reservation {id} ended: the driver came and did not charge"),
}
_SWAPS = {
    "BatteryIn": N_("{n} batteries put in"),
    "BatteryOut": N_("{n} batteries taken out"),
    "BatteryOutTimeout": N_("batteries were not taken out in time"),
}


def say(fact: Any) -> str | None:
    """A sentence without the station's name, or its EVSE; None for a fact of another kind."""
    reader = _READERS.get(type(fact))
    return None if reader is None else reader(fact)


def level(fact: facts.AnyFact) -> Literal["warn"] | None:
    """How much it matters; None where nothing is to be said of it."""
    match fact:
        case facts.GridAlarm(ended=False) | facts.BatterySwapped(kind="BatteryOutTimeout"):
            return "warn"
        case facts.PaymentSettled(status="Rejected" | "Failed") | facts.VatNumberAsked(verdict="Rejected"):
            return "warn"
        case facts.FirmwarePublished(status="DownloadFailed" | "InvalidChecksum" | "PublishFailed"):
            return "warn"
        case _:
            return None


def _monitors(fact: facts.MonitorsTold) -> str:
    n = len(fact.monitors)
    return _("{n} variable monitors set", n=n) if fact.request_id is None else _("reported {n} variable monitors", n=n)


def _monitoring(fact: facts.MonitoringSet) -> str:
    if fact.base:
        return _("monitors: {base}", base=fact.base)
    return _("tells events up to severity {severity}", severity=fact.severity)


def _messages(fact: facts.DisplayMessagesTold) -> str:
    if fact.request_id is not None:
        return _("reported {n} display messages", n=len(fact.messages))
    return _("display message {id} set", id=", ".join(str(one.id) for one in fact.messages))


def _published(fact: facts.FirmwarePublished) -> str:
    return _("firmware offered to others: {status}", status=fact.status) + (f" ({fact.why})" if fact.why else "")


def _payment(fact: facts.PaymentSettled) -> str:
    said = _(
        "payment {reference} of {amount}: {status}", reference=fact.reference, amount=fact.amount, status=fact.status
    )
    return said + (f" ({fact.why})" if fact.why else "")


def _vat(fact: facts.VatNumberAsked) -> str:
    if fact.verdict == "Accepted":
        return _("VAT number {number} can be one", number=fact.number)
    return _("VAT number {number} cannot be one", number=fact.number)


def _swapped(fact: facts.BatterySwapped) -> str:
    return _(_SWAPS.get(fact.kind, "{n} batteries put in"), n=len(fact.batteries))


def _controls(fact: facts.GridControlsTold) -> str:
    if fact.request_id is not None:
        return _("reported {n} grid controls", n=len(fact.controls))
    return _("grid control set: {kinds}", kinds=", ".join(one.kind for one in fact.controls))


def _ran(fact: facts.GridControlRan) -> str:
    if fact.started:
        return _("grid control {id} has begun", id=fact.control)
    return _("grid control {id} has ended", id=fact.control)


def _alarm(fact: facts.GridAlarm) -> str:
    what = f"{fact.kind} {fact.fault}".rstrip()
    return _("grid alarm over: {kind}", kind=what) if fact.ended else _("grid alarm: {kind}", kind=what)


def _list(fact: facts.LocalListTold) -> str:
    if fact.version == -1:
        return _("keeps no local list")
    return _("has local list version {version}", version=fact.version)


def _transaction(fact: facts.TransactionStatusTold) -> str:
    waits = _("messages wait to be sent") if fact.queued else _("no message waits to be sent")
    if fact.ongoing is None:
        return waits
    runs = _("transaction {id} is running", id=fact.transaction)
    return (runs if fact.ongoing else _("transaction {id} is over", id=fact.transaction)) + ", " + waits


def _limit(fact: facts.SessionLimitSet) -> str:
    limit = fact.limit
    said = [
        _("cost {cost}", cost=limit.max_cost) if limit.max_cost else "",
        f"{limit.max_energy} Wh" if limit.max_energy else "",
        f"{limit.max_time} s" if limit.max_time is not None else "",
        f"{limit.max_soc} %" if limit.max_soc is not None else "",
    ]
    return _("the next session may go up to {limit}", limit=", ".join(one for one in said if one))


_READERS: dict[type, Any] = {
    facts.ReservationMade: lambda fact: _("reserved for token {token}", token=fact.token),
    facts.ReservationEnded: lambda fact: _(_WHY.get(fact.why, _WHY["removed"]), id=fact.reservation_id),
    facts.MonitorsTold: _monitors,
    facts.MonitorsCleared: lambda fact: _("{n} variable monitors cleared", n=len(fact.ids)),
    facts.MonitoringSet: _monitoring,
    facts.CustomerInformationTold: lambda fact: _("told what it keeps of a customer (part {n})", n=fact.seq_no + 1),
    facts.StreamSet: lambda fact: _("stream {id} of values open", id=fact.stream),
    facts.StreamsListed: lambda fact: _("told its {n} streams of values", n=len(fact.streams)),
    facts.StreamClosed: lambda fact: _("stream {id} of values closed", id=fact.stream),
    facts.StreamTold: lambda fact: _("{n} values of stream {id}", n=len(fact.values), id=fact.stream),
    facts.DisplayMessagesTold: _messages,
    facts.DisplayMessageCleared: lambda fact: _("display message {id} cleared", id=fact.message),
    facts.FirmwarePublished: _published,
    facts.SessionLimitSet: _limit,
    facts.PaymentSettled: _payment,
    facts.VatNumberAsked: _vat,
    facts.WebPaymentStarted: lambda fact: _("somebody pays on the web"),
    facts.EnergyTransferAllowed: lambda fact: _("may transfer energy: {modes}", modes=", ".join(fact.modes)),
    facts.BatterySwapRequested: lambda fact: _("battery swap asked for token {token}", token=fact.token),
    facts.BatterySwapped: _swapped,
    facts.GridControlsTold: _controls,
    facts.GridControlsCleared: lambda fact: _("grid controls cleared"),
    facts.GridControlRan: _ran,
    facts.GridAlarm: _alarm,
    facts.GridSignalTaken: lambda fact: _("aFRR signal {signal} taken", signal=fact.signal),
    facts.LocalListTold: _list,
    facts.TransactionStatusTold: _transaction,
    facts.InventoryAsked: lambda fact: _("asked for all of its variables: {status}", status=fact.status),
}
