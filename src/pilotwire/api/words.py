"""Facts in plain words, for people who watch."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts

from . import types, words_kept
from .language import DEFAULT, N_, _, speaking

Level = Literal["info", "good", "warn", "bad"]

HIDDEN = "(hidden)"
KEY_CODE = "KeyCode"
"""IdTokenEnumType of what somebody knows and types in: it is shown to nobody (C04.FR.04)."""

_UPDATES = (
    facts.SessionUpdated, facts.VariablesReported, facts.CommandRequested, facts.StreamTold, facts.SessionTariffSet,
    facts.SessionTariffOffered, facts.SessionCostTold,
)  # fmt: skip
"""What happens all the time, or is told again by the fact that follows it: no news."""

_ROUTINE = ("Occupied", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing")
"""States that go with every session; its beginning and end are the news."""
_NO_ERROR = ("", "NoError")


def kwh(energy_wh: int) -> str:
    return f"{energy_wh / 1000:.2f} kWh"


_CODES = (
    N_("available"), N_("preparing"), N_("charging"), N_("suspended ev"), N_("suspended evse"), N_("finishing"),
    N_("reserved"), N_("unavailable"), N_("faulted"), N_("occupied"), N_("idle"), N_("ev connected"), N_("unknown"),
    N_("accepted"), N_("blocked"), N_("expired"), N_("invalid"), N_("concurrent tx"), N_("no credit"),
    N_("not allowed type evse"), N_("not at this location"), N_("not at this time"),
    N_("deauthorized"), N_("de authorized"), N_("emergency stop"), N_("energy limit reached"), N_("ev disconnected"),
    N_("ground fault"), N_("hard reset"), N_("immediate reset"), N_("local"), N_("local out of credit"),
    N_("master pass"), N_("other"), N_("overcurrent fault"), N_("power loss"), N_("power quality"), N_("reboot"),
    N_("remote"), N_("soft reset"), N_("soc limit reached"), N_("stopped by ev"), N_("time limit reached"),
    N_("timeout"), N_("unlock command"),
    N_("downloaded"), N_("download failed"), N_("downloading"), N_("download scheduled"), N_("download paused"),
    N_("installation failed"), N_("installing"), N_("installed"), N_("install rebooting"), N_("install scheduled"),
    N_("install verification failed"), N_("invalid signature"), N_("signature verified"),
    N_("bad message"), N_("not supported operation"), N_("permission denied"), N_("uploaded"), N_("upload failure"),
    N_("upload failed"), N_("uploading"), N_("accepted canceled"),
    N_("command answered"), N_("command refused"), N_("command timed out"), N_("command expired"),
    N_("command undeliverable"),
)  # fmt: skip
"""Codes of the standards that have words of their own in other languages."""


def code(name: str) -> str:
    """A code of the standard within a sentence: "Faulted" is "faulted", or the word of another language for it."""
    return _(spaced(name).lower())


def named(name: str) -> str:
    """A code of the standard by itself: "Faulted", "Suspended EV"."""
    return spaced(name) if speaking() == DEFAULT else code(name)


def _shown(fact: facts.TokenPresented | facts.SessionStarted) -> str:
    return HIDDEN if fact.token_type == KEY_CODE else fact.token


def say(fact: facts.AnyFact) -> str:
    """One sentence without the station's name, e.g. "EVSE 1: session started with token 04A1B2C3"."""
    match fact:
        case facts.StationConnected():
            return _("connected with OCPP {version}", version=fact.ocpp_version)
        case facts.StationDisconnected():
            lost = fact.code == 1006
            return _("connection lost ({code})", code=fact.code) if lost else _("disconnected ({code})", code=fact.code)
        case facts.StationBooted():
            model = " ".join(part for part in (fact.vendor, fact.model) if part)
            if fact.verdict == "Accepted":
                return _("booted ({model})", model=model)
            return _("booted ({model}): answered {verdict}", model=model, verdict=fact.verdict)
        case facts.ConnectorStatusChanged():
            error = f" ({fact.error_code})" if fact.error_code not in _NO_ERROR else ""
            return f"{where(fact.evse, fact.connector)}{code(fact.status)}{error}"
        case facts.TokenPresented():
            verdict = "" if fact.verdict == "Accepted" else f": {code(fact.verdict)}"
            return _("token {token} presented", token=_shown(fact)) + verdict
        case facts.SessionStarted():
            place = where(fact.evse, fact.connector)
            if not fact.token:
                return place + _("session started")
            return place + _("session started with token {token}", token=_shown(fact))
        case facts.SessionUpdated():
            return _("session: {state}", state=code(fact.charging_state) or _("meter values"))
        case facts.SessionEnded():
            return _("session ended") + (f" ({code(fact.reason)})" if fact.reason else "")
        case facts.OrphanReceived():
            return _(
                "{action} for an unknown transaction {transaction} ({why})",
                action=fact.action, transaction=fact.transaction, why=fact.why,
            )  # fmt: skip
        case facts.VariablesReported():
            return _("reported {n} variables", n=len(fact.variables))
        case facts.EventNotified():
            value = f" = {fact.actual_value}" if fact.actual_value else ""
            return f"{fact.component}.{fact.variable}{value}" + (f" ({_('cleared')})" if fact.cleared else "")
        case facts.SecurityEventNotified():
            return _("security event: {kind}", kind=spaced(fact.kind))
        case facts.DataTransferred():
            return _("data of {vendor}", vendor=f"{fact.vendor_id} {fact.message_id}".rstrip())
        case facts.FirmwareStatusChanged():
            return _("firmware: {status}", status=code(fact.status))
        case facts.LogStatusChanged():
            return f"{fact.kind}: {code(fact.status)}"
        case facts.CertificateRequested():
            if fact.verdict == "Accepted":
                return _("asked for a certificate ({use})", use=spaced(fact.use))
            return _("asked for a certificate, and was refused: {why}", why=fact.reason)
        case facts.CertificateIssued():
            return _("certificate signed by {authority}", authority=fact.authority)
        case facts.CertificateSettled():
            why = f": {fact.reason}" if fact.reason else ""
            return _("certificate {status}", status=_(fact.status)) + why
        case facts.CredentialChanged():
            if fact.what == "password":
                return _("has a new password")
            return _("came up to security profile {profile}", profile=fact.value)
        case facts.ChargingProfileSet():
            return _("charging profile {id} set ({purpose})", id=fact.profile.id, purpose=spaced(fact.profile.purpose))
        case facts.ChargingProfilesCleared():
            return _("charging profiles cleared: {ids}", ids=", ".join(str(id_) for id_ in fact.ids))
        case facts.ChargingRatesUpdated():
            return _("charging profile {id} has new rates", id=fact.profile_id)
        case facts.ChargingProfilesReported():
            return _("reported {n} charging profiles", n=len(fact.profiles))
        case facts.ChargingLimitChanged():
            if fact.cleared:
                return where(fact.evse, 0) + _("limit of {source} released", source=fact.source)
            return where(fact.evse, 0) + _("limited by {source}", source=fact.source)
        case facts.PriorityChargingChanged():
            return _("priority charging on") if fact.activated else _("priority charging off")
        case facts.ChargingNeedsNotified():
            return where(fact.evse, 0) + _("the vehicle told what it needs")
        case facts.VehicleScheduleNotified():
            return where(fact.evse, 0) + _("the vehicle told its charging schedule")
        case facts.CompositeScheduleDiffered():
            return where(fact.evse, 0) + _("its composite schedule is not what follows from its charging profiles")
        case facts.SessionTariffSet():
            return _("tariff {tariff} holds for the session", tariff=fact.tariff.tariff_id)
        case facts.SessionTariffOffered():
            return _("tariff {tariff} accepted for the session", tariff=fact.tariff.tariff_id)
        case facts.SessionTariffDeclined():
            return _("the driver did not accept the tariff")
        case facts.SessionCostTold():
            if fact.told.failed:
                return _("could not work out the cost: {why}", why=fact.told.failed)
            return _("says the session costs {amount}", amount=f"{fact.told.amount} {fact.told.currency}")
        case facts.SessionCostDiffered():
            return _(
                "says the session costs {told}, by its own messages it is {expected}",
                told=f"{fact.told} {fact.currency}",
                expected=f"{fact.expected} {fact.currency}",
            )
        case facts.DefaultTariffSet():
            return where(fact.evse, 0) + _("default tariff {tariff} set", tariff=fact.tariff.tariff_id)
        case facts.TariffsCleared():
            return where(fact.evse, 0) + _("default tariffs cleared: {tariffs}", tariffs=", ".join(fact.ids))
        case facts.CommandRequested():
            if not fact.by:
                return _("command {action}", action=fact.action)
            return _("command {action} by {name}", action=fact.action, name=fact.by)
        case facts.CommandSettled():
            return _(f"command {fact.outcome.replace('-', ' ')}")
        case facts.DeviationAccepted():
            return _("{action} was let pass by {rules}", action=fact.action, rules=", ".join(fact.rules))
        case facts.QuirkSeen():
            return _("shows the quirk {name}", name=fact.quirk)
        case _:
            kept = words_kept.say(fact)
            return type(fact).__name__ if kept is None else where(getattr(fact, "evse", 0), 0) + kept


def level(fact: facts.AnyFact) -> Level:
    """How much it matters to somebody who watches."""
    match fact:
        case facts.ConnectorStatusChanged(status="Faulted"):
            return "bad"
        case facts.ConnectorStatusChanged(status="Unavailable") | facts.StationDisconnected():
            return "warn"
        case facts.TokenPresented(verdict=verdict) if verdict != "Accepted":
            return "warn"
        case facts.CommandSettled(outcome=outcome) if outcome != "answered":
            return "warn"
        case facts.SecurityEventNotified() | facts.OrphanReceived():
            return "warn"
        case facts.CertificateRequested(verdict="Rejected") | facts.CertificateSettled(status="refused" | "failed"):
            return "warn"
        case facts.CompositeScheduleDiffered() | facts.SessionCostDiffered():
            return "warn"
        case facts.SessionStarted() | facts.StationConnected():
            return "good"
        case _:
            return words_kept.level(fact) or "info"


class News(NamedTuple):
    """A fact that is worth a line of news; said when it is read, in the reader's language."""

    seq: int
    station: str
    recv_time: int
    fact: facts.AnyFact

    def line(self) -> types.Happening:
        """The line."""
        return types.Happening(
            seq=self.seq,
            time=to_rfc3339(self.recv_time),
            station_id=self.station,
            type=_tag(self.fact),
            summary=say(self.fact),
            level=level(self.fact),
        )


def news_of(seq: int, station: str, recv_time: int, fact: facts.AnyFact) -> News | None:
    """A fact as news; None for what is not worth a line."""
    if isinstance(fact, _UPDATES) or (isinstance(fact, facts.TokenPresented) and fact.verdict == "Accepted"):
        return None
    if isinstance(fact, facts.ConnectorStatusChanged) and fact.status in _ROUTINE and fact.error_code in _NO_ERROR:
        return None
    if isinstance(fact, facts.InventoryAsked) and fact.status == "Accepted":
        return None  # every station is asked by itself after its first boot; of interest is one that will not tell
    return News(seq, station, recv_time, fact)


def spaced(name: str) -> str:
    """CamelCase as words, capitals of abbreviations kept together: SuspendedEV → Suspended EV."""
    out: list[str] = []
    for index, letter in enumerate(name):
        if index and letter.isupper() and (name[index - 1].islower() or name[index + 1 : index + 2].islower()):
            out.append(" ")
        out.append(letter)
    return "".join(out)


def where(evse: int, connector: int) -> str:
    """EVSE and connector, to stand before a sentence; "" for the station itself."""
    if evse == 0:
        return ""
    if connector in (0, 1):
        return f"EVSE {evse}: "
    return _("EVSE {evse}, connector {connector}: ", evse=evse, connector=connector)


def _tag(fact: facts.AnyFact) -> str:
    return str(type(fact).__struct_config__.tag)
