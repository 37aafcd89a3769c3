"""Checks of what a connected station does: connectors, tokens, meter values, messages, firmware, commands."""

from __future__ import annotations

from functools import partial

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts

from .. import explain, types
from ..language import _, several
from ..words import named, spaced
from .checks_basis import RECENT_MS, Found, check

_FIRMWARE_BAD = ("DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature",
                 "RevokedCertificate")  # fmt: skip
_FIRMWARE_BUSY = ("Downloading", "Downloaded", "DownloadScheduled", "DownloadPaused", "Installing", "InstallRebooting",
                  "InstallScheduled", "SignatureVerified")  # fmt: skip
_NO_ERROR = ("", "NoError")
_SAMPLE_INTERVALS = (("", "MeterValueSampleInterval"), ("SampledDataCtrlr", "TxUpdatedInterval"))


def connectors(found: Found) -> types.Check:
    """Whether each can be used."""
    tell = partial(check, "connectors", _("Connectors"))
    every = found.station.connectors
    if not every:
        return tell("unknown", _("It has told of no connector yet."))
    wrong = [one for one in every if one.status == "Faulted" or one.error_code not in _NO_ERROR]
    away = [one for one in every if one.status == "Unavailable"]
    details = [
        _("EVSE {evse}, connector {connector}: ", evse=one.evse, connector=one.connector)
        + named(one.status)
        + (f", {named(one.error_code)}" if one.error_code not in _NO_ERROR else "")
        + (f" ({one.info})" if one.info else "")
        for one in (*wrong, *(one for one in away if one not in wrong))
    ]
    if wrong:
        return tell(
            "bad",
            f"{details[0]}.",
            _(
                "Look at what it says; many faults go away with a restart, ground faults and "
                "contactors need somebody there."
            ),
            details=details,
        )
    if away:
        return tell(
            "warn",
            f"{details[0]}.",
            _("Put it back into service (availability), unless that is meant."),
            details=details,
        )
    return tell("ok", several(len(every), "The connector is without a fault.", "All {n} are without a fault."))


def tokens(found: Found) -> types.Check:
    """Whether drivers are let charge."""
    tell = partial(check, "tokens", _("Tokens"))
    shown = found.told_today(facts.TokenPresented)
    refused = [(time, fact) for time, fact in shown if fact.verdict != "Accepted"]

    def name(token: str) -> str:
        return token if found.tokens is not None else explain.covered(token)

    details = [f"{to_rfc3339(time)}: {name(fact.token)}: {named(fact.verdict)}" for time, fact in refused[:5]]
    if found.tokens == 0:
        return tell("bad", _("No token is known here: nobody may charge."), _("Add or import tokens."))
    if shown and shown[0][1].verdict != "Accepted":
        last = shown[0][1]
        why = {
            "Invalid": _("it is not known here; add it, or look whether the reader turns its digits round"),
            "Blocked": _("it is blocked"),
            "Expired": _("its time is over"),
        }.get(last.verdict, _("see the token"))
        return tell(
            "warn",
            _(
                "The last token, {token}, was answered {verdict}: {why}.",
                token=name(last.token),
                verdict=last.verdict,
                why=why,
            ),
            _("Look at the token under Access."),
            at=shown[0][0],
            details=details,
        )
    if refused:
        return tell(
            "ok", _("The last one was accepted; {n} were refused within a day.", n=len(refused)), details=details
        )
    return tell(
        "ok" if shown else "unknown",
        _("The last one was accepted.") if shown else _("None was presented within a day."),
    )


def meter(found: Found) -> types.Check:
    """Whether it tells what it charges."""
    tell = partial(check, "meter", _("Meter values"))
    interval = next((one.value for one in found.variables if (one.component, one.variable) in _SAMPLE_INTERVALS), None)
    running = [one for one in found.sessions if one.status == "active"]
    expected = int(interval) if interval is not None and interval.isdecimal() else 0
    quiet_since = to_rfc3339(found.now - 3_000 * max(expected, 300))
    stale = [one for one in running if one.updated_at and found.station.connected and one.updated_at < quiet_since]
    if interval == "0":
        return tell(
            "warn",
            _("It is set to send no meter values while charging."),
            _("Set MeterValueSampleInterval (2.x: SampledDataCtrlr.TxUpdatedInterval) to 30 or 60."),
        )
    if stale:
        return tell(
            "warn",
            _("Its session {id} has told nothing since {updated_at}.", id=stale[0].id, updated_at=stale[0].updated_at),
            _("Ask for meter values (trigger meter-values); look at the interval and the measurands."),
            details=[one.id for one in stale],
        )
    if running:
        return tell("ok", _("Its running sessions tell what they charge."))
    return tell("unknown", _("No session is running."))


def errors(found: Found) -> types.Check:
    """Whether its messages are in order."""
    tell = partial(check, "messages", _("Messages"))
    lines: list[str] = []
    for row in found.rows:
        if row.recv_time < found.now - RECENT_MS:
            break
        for fact in row.facts:
            if isinstance(fact, facts.OrphanReceived):
                told = _("{action} for an unknown session ({why})", action=fact.action, why=fact.why)
                lines.append(f"{to_rfc3339(row.recv_time)}: {told}")
            elif isinstance(fact, facts.SecurityEventNotified):
                lines.append(f"{to_rfc3339(row.recv_time)}: {_('security event {kind}', kind=spaced(fact.kind))}")
        if row.frame.startswith(b"[4"):
            one = explain.read(row.frame, explain.VERSIONS)
            lines.append(f"{to_rfc3339(row.recv_time)}: {explain.sentence(one, 'in')}")
    rules = {rule for _at, fact in found.told(facts.DeviationAccepted) for rule in fact.rules}
    details = lines[:10] + [
        _("Tolerated: {rule}: {text}", rule=rule, text=explain.rules().get(rule, "")) for rule in sorted(rules)
    ]
    if lines:
        return tell(
            "warn",
            _("{n} of its messages within a day were errors or out of place.", n=len(lines)),
            _("The message log explains each."),
            details=details,
        )
    if rules:
        return tell(
            "ok", _("It deviates from the standard in {n} ways that are tolerated.", n=len(rules)), details=details
        )
    return tell("ok", _("No errors within a day."))


def firmware(found: Found) -> types.Check:
    """Whether an update went wrong or is under way."""
    tell = partial(check, "firmware", _("Firmware"))
    status, version = found.station.firmware_status, found.station.firmware
    shown = _("Version {version}", version=version) if version else _("It has not told its version")
    if status in _FIRMWARE_BAD:
        return tell(
            "bad",
            _("{shown}; the last update ended with {status}.", shown=shown, status=named(status)),
            _("Look at the file, its signature and whether the station reaches the address; then try again."),
        )
    if status in _FIRMWARE_BUSY:
        return tell(
            "warn",
            _("{shown}; an update is under way: {status}.", shown=shown, status=named(status)),
            _("Wait until it is over; it may restart."),
        )
    return tell("ok" if version else "unknown", f"{shown}.")


def commands(found: Found) -> types.Check:
    """Whether it does what it is told."""
    tell = partial(check, "commands", _("Commands"))
    waiting = [one for one in found.commands if one.outcome in ("pending", "sent") and one.expires_at > found.now]
    recent = [one for one in found.commands if one.requested_at >= found.now - RECENT_MS]
    silent = [one for one in recent if one.outcome == "timed-out"]
    refused = [one for one in recent if one.outcome == "refused"]
    details = [f"{to_rfc3339(one.requested_at)}: {one.action}: {one.outcome}" for one in (*waiting, *silent, *refused)][
        :10
    ]
    if silent and found.station.connected:
        return tell(
            "warn",
            _("{n} commands within a day were not answered in time.", n=len(silent)),
            _("It may be busy or hang: try a restart."),
            details=details,
        )
    if waiting:
        return tell(
            "ok" if found.station.connected else "warn",
            _("{n} commands wait for it.", n=len(waiting)),
            _("They are sent when it is back."),
            details=details,
        )
    if refused:
        return tell(
            "warn",
            _("{n} commands within a day were refused.", n=len(refused)),
            _("See what it answered."),
            details=details,
        )
    return tell("ok" if recent else "unknown", _("All were answered.") if recent else _("None was sent within a day."))
