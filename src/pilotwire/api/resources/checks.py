"""Why does it not work? A station looked through from the outside in: account, door, link, boot, clock, connectors,
tokens, messages, firmware, settings, commands. Each check says what it saw and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts, records
from pilotwire.domain.variables import merged
from pilotwire.storage.port import JournalRow

from .. import explain, types
from ..access import Principal
from ..context import ApiContext
from ..language import N_, _
from ..queries import Queries
from ..words import spaced
from . import handshakes as door
from .evses import SKEW_OFF_MS, SKEW_RIGHT_MS, heartbeat_interval

ROWS = 600
"""Journal entries of the station that are looked at."""
RECENT_MS = 24 * 3_600_000
_SILENT_S = 900
"""How long a station whose interval is not known may be silent."""
_RANK = ("ok", "unknown", "warn", "bad")
_FIRMWARE_BAD = ("DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature",
                 "RevokedCertificate")  # fmt: skip
_FIRMWARE_BUSY = ("Downloading", "Downloaded", "DownloadScheduled", "DownloadPaused", "Installing", "InstallRebooting",
                  "InstallScheduled", "SignatureVerified")  # fmt: skip
_NO_ERROR = ("", "NoError")
_SAMPLE_INTERVALS = (("", "MeterValueSampleInterval"), ("SampledDataCtrlr", "TxUpdatedInterval"))


class _Found(msgspec.Struct, kw_only=True):
    """All that the checks look at, read once."""

    now: int
    id: str
    account: records.StationAccount | None
    record: records.Station | None
    variables: list[records.Variable]
    rows: list[JournalRow]
    commands: list[records.Command]
    handshakes: list[types.HandshakeShown] | None
    """None: they may not be seen."""
    sessions: list[types.Session]
    tokens: int | None
    """How many tokens there are; None: they may not be seen."""
    tokens_shown: bool

    @property
    def station(self) -> records.Station:
        return self.record or records.Station(tenant="", id=self.id)


def _check(
    id: str,
    title: str,
    verdict: types.Verdict,
    seen: str,
    advice: str = "",
    *,
    at: int | None = None,
    details: list[str] | None = None,
) -> types.Check:
    return types.Check(
        id=id,
        title=title,
        verdict=verdict,
        seen=seen,
        advice=advice,
        at=to_rfc3339(at) if at else None,
        details=details or [],
    )


async def checks(context: ApiContext, principal: Principal, station_id: str) -> types.StationChecks:
    """Look a station through. Raises Problem 403, 404."""
    principal.need("stations:read")
    queries = Queries(context, principal)
    await queries.station(station_id)
    key = StationKey(principal.tenant, station_id)
    store = context.store
    may_tokens = principal.may("tokens:read")
    journal = store.journal(tenant=principal.tenant, station=station_id, newest_first=True, limit=ROWS)
    found = _Found(
        now=context.scheduler.now(),
        id=station_id,
        account=await store.account(key),
        record=await store.station(key),
        variables=merged(await store.variables(key)),
        rows=[row async for row in journal],
        commands=await store.commands(key, limit=50),
        handshakes=await door.handshakes(context, principal, station_id),
        sessions=(await queries.sessions(station=station_id, limit=10)).items,
        tokens=len(await store.tokens(principal.tenant)) if may_tokens else None,
        tokens_shown=may_tokens,
    )
    made = [check(found) for check in CHECKS]
    worst = max(made, key=lambda one: _RANK.index(one.verdict))
    first = next((one for one in made if one.verdict == "bad"), None) or next(
        (one for one in made if one.verdict == "warn"), None
    )
    return types.StationChecks(
        station_id=station_id,
        time=to_rfc3339(found.now),
        verdict="ok" if worst.verdict == "unknown" else worst.verdict,
        summary=first.seen if first is not None else _("Nothing is wrong, as far as can be seen from here."),
        checks=made,
    )


# -- one function per check -------------------------------------------------------------------------------------------
def _account(found: _Found) -> types.Check:
    title = _("The account")
    account = found.account
    if account is None:
        return _check(
            "account",
            title,
            "bad",
            _("It has no account: it may connect in the lab alone."),
            _("Add the station, and enter the password in it."),
        )
    if not account.enabled:
        return _check("account", title, "bad", _("Its account is switched off."), _("Enable the station."))
    if account.security_profile in (1, 2) and not account.password:
        return _check(
            "account", title, "bad", _("Its account has no password."), _("Give it one, and enter it in the station.")
        )
    return _check(
        "account",
        title,
        "ok",
        _("Enabled, security profile {security_profile}.", security_profile=account.security_profile),
    )


def _handshake(found: _Found) -> types.Check:
    title = _("The last attempts to connect")
    tries = found.handshakes or []
    since = found.station.connected_at
    refused = [one for one in tries if not one.accepted]
    if not tries:
        verdict: types.Verdict = "ok" if found.station.connected else "unknown"
        return _check(
            "handshake",
            title,
            verdict,
            _("None since the server started.") if not found.station.connected else _("It is connected."),
            ""
            if found.station.connected
            else _("Nothing arrives: look at the station's URL, its network and the firewall in between."),
        )
    details = [f"{one.time} {one.peer}: {one.title}" for one in refused[:5]]
    newest = tries[0]
    if newest.accepted:
        return _check("handshake", title, "ok", _("It was let in."), details=details)
    if found.station.connected and (not since or newest.time > to_rfc3339(since)):
        seen = _("It is connected, but somebody was refused in its name: {title}.", title=newest.title)
        return _check(
            "handshake", title, "warn", seen, _("Look whether a second device uses the same identity."), details=details
        )
    if found.station.connected:
        return _check("handshake", title, "ok", _("It was let in."), details=details)
    return _check("handshake", title, "bad", f"{newest.title}.", newest.advice, details=details)


def _link(found: _Found) -> types.Check:
    title = _("The connection")
    station = found.station
    drops = [
        (row.recv_time, fact)
        for row in found.rows
        for fact in row.facts
        if isinstance(fact, facts.StationDisconnected) and row.recv_time >= found.now - RECENT_MS
    ]
    details = [f"{to_rfc3339(time)}: {fact.code} {fact.reason}".rstrip() for time, fact in drops[:5]]
    if station.connected:
        if len(drops) >= 10:
            return _check(
                "link",
                title,
                "warn",
                _("It is connected, but was lost {n} times within a day.", n=len(drops)),
                _(
                    "Look at its network: signal, SIM, router. A ping interval of 30 to 60 s "
                    "(WebSocketPingInterval) keeps routers from closing it."
                ),
                details=details,
            )
        return _check(
            "link",
            title,
            "ok",
            _("Connected from {peer} with OCPP {ocpp_version}.", peer=station.peer, ocpp_version=station.ocpp_version),
            at=station.connected_at,
            details=details,
        )
    if not station.epoch:
        return _check(
            "link",
            title,
            "bad",
            _("It has never connected."),
            _("Follow the steps of getting a charger connected: URL, identity, password."),
        )
    return _check(
        "link",
        title,
        "bad",
        _("It is not connected."),
        _("Look at its power, its network and the last attempts to connect."),
        at=station.disconnected_at,
        details=details,
    )


def _boot(found: _Found) -> types.Check:
    title = _("Its start (BootNotification)")
    status, account = found.station.boot_status, found.account
    if account is not None and account.boot != "Accepted":
        return _check(
            "boot",
            title,
            "bad",
            _("Its account answers BootNotification with {boot}: it may not charge.", boot=account.boot),
            _("Set what its start is answered to Accepted."),
        )
    if status == "Accepted":
        return _check("boot", title, "ok", _("It was accepted."), at=found.station.booted_at)
    if not status:
        verdict: types.Verdict = "warn" if found.station.connected else "unknown"
        return _check(
            "boot",
            title,
            verdict,
            _("It has not sent a BootNotification."),
            _("Ask for one (trigger boot) or restart the station.") if verdict == "warn" else "",
        )
    return _check(
        "boot",
        title,
        "bad",
        _("Its last BootNotification was answered {status}.", status=status),
        _("It asks again by itself; restart it to be quicker."),
        at=found.station.booted_at,
    )


def _clock(found: _Found) -> types.Check:
    title = _("Its clock")
    skew = found.station.skew_ms
    if found.station.clock is None:
        return _check("clock", title, "unknown", _("It has not told a time since it connected."))
    words = (
        _("It is {span} ahead.", span=_span(abs(skew)))
        if skew > 0
        else _("It is {span} behind.", span=_span(abs(skew)))
    )
    if abs(skew) <= SKEW_RIGHT_MS:
        return _check("clock", title, "ok", _("It is right to within a few seconds."))
    advice = _(
        "Stations set their clock by our answers; look for a time server that is set wrongly, or an empty battery."
    )
    if abs(skew) <= SKEW_OFF_MS:
        return _check("clock", title, "warn", words, advice)
    more = " " + _("A wrong clock also makes certificates look expired, and schedules begin at the wrong time.")
    return _check("clock", title, "bad", words, advice + more)


def _heard(found: _Found) -> types.Check:
    title = _("Signs of life")
    station = found.station
    if not station.connected or not station.last_seen:
        return _check("heartbeat", title, "unknown", _("It is not connected."), at=station.last_seen)
    interval = heartbeat_interval(found.variables)
    silent = (found.now - station.last_seen) // 1000
    limit = 2 * interval + 60 if interval else _SILENT_S
    seen = _(
        "Last heard {span} ago; its heartbeat interval is {interval} s.", span=_span(silent * 1000), interval=interval
    )
    if not interval:
        seen = _("Last heard {span} ago.", span=_span(silent * 1000))
    if silent <= limit:
        return _check("heartbeat", title, "ok", seen, at=station.last_seen)
    return _check(
        "heartbeat",
        title,
        "bad",
        seen,
        _(
            "The line may be dead without either side knowing: restart its modem or the station; a "
            "ping interval makes it notice."
        ),
        at=station.last_seen,
    )


def _connectors(found: _Found) -> types.Check:
    title = _("Connectors")
    every = found.station.connectors
    if not every:
        return _check("connectors", title, "unknown", _("It has told of no connector yet."))
    wrong = [one for one in every if one.status == "Faulted" or one.error_code not in _NO_ERROR]
    away = [one for one in every if one.status == "Unavailable"]
    details = [
        f"EVSE {one.evse}, connector {one.connector}: {spaced(one.status)}"
        + (f", {spaced(one.error_code)}" if one.error_code not in _NO_ERROR else "")
        + (f" ({one.info})" if one.info else "")
        for one in (*wrong, *(one for one in away if one not in wrong))
    ]
    if wrong:
        return _check(
            "connectors",
            title,
            "bad",
            f"{details[0]}.",
            _(
                "Look at what it says; many faults go away with a restart, ground faults and "
                "contactors need somebody there."
            ),
            details=details,
        )
    if away:
        return _check(
            "connectors",
            title,
            "warn",
            f"{details[0]}.",
            _("Put it back into service (availability), unless that is meant."),
            details=details,
        )
    return _check("connectors", title, "ok", _("All {n} are without a fault.", n=len(every)))


def _tokens(found: _Found) -> types.Check:
    title = _("Tokens")
    shown = [
        (row.recv_time, fact)
        for row in found.rows
        for fact in row.facts
        if isinstance(fact, facts.TokenPresented) and row.recv_time >= found.now - RECENT_MS
    ]
    refused = [(time, fact) for time, fact in shown if fact.verdict != "Accepted"]

    def name(token: str) -> str:
        return token if found.tokens_shown else explain.covered(token)

    details = [f"{to_rfc3339(time)}: {name(fact.token)}: {spaced(fact.verdict)}" for time, fact in refused[:5]]
    if found.tokens == 0:
        return _check(
            "tokens", title, "bad", _("No token is known here: nobody may charge."), _("Add or import tokens.")
        )
    if shown and shown[0][1].verdict != "Accepted":
        last = shown[0][1]
        why = {
            "Invalid": _("it is not known here; add it, or look whether the reader turns its digits round"),
            "Blocked": _("it is blocked"),
            "Expired": _("its time is over"),
        }.get(last.verdict, _("see the token"))
        return _check(
            "tokens",
            title,
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
        return _check(
            "tokens",
            title,
            "ok",
            _("The last one was accepted; {n} were refused within a day.", n=len(refused)),
            details=details,
        )
    return _check(
        "tokens",
        title,
        "ok" if shown else "unknown",
        _("The last one was accepted.") if shown else _("None was presented within a day."),
    )


def _errors(found: _Found) -> types.Check:
    title = _("Messages")
    lines: list[str] = []
    for row in found.rows:
        if row.recv_time < found.now - RECENT_MS:
            break
        for fact in row.facts:
            if isinstance(fact, facts.OrphanReceived):
                lines.append(f"{to_rfc3339(row.recv_time)}: {fact.action} for an unknown session ({fact.why})")
            elif isinstance(fact, facts.SecurityEventNotified):
                lines.append(f"{to_rfc3339(row.recv_time)}: security event {spaced(fact.kind)}")
        if row.frame.startswith(b"[4"):
            one = explain.read(row.frame, explain.VERSIONS)
            lines.append(f"{to_rfc3339(row.recv_time)}: {explain.sentence(one, 'in')}")
    rules = Counter(
        rule
        for row in found.rows
        for fact in row.facts
        if isinstance(fact, facts.DeviationAccepted)
        for rule in fact.rules
    )
    details = lines[:10] + [f"Tolerated: {rule}: {explain.rules().get(rule, '')}" for rule in sorted(rules)]
    if lines:
        return _check(
            "messages",
            title,
            "warn",
            _("{n} of its messages within a day were errors or out of place.", n=len(lines)),
            _("The message log explains each."),
            details=details,
        )
    if rules:
        return _check(
            "messages",
            title,
            "ok",
            _("It deviates from the standard in {n} ways that are tolerated.", n=len(rules)),
            details=details,
        )
    return _check("messages", title, "ok", _("No errors within a day."))


def _meter(found: _Found) -> types.Check:
    title = _("Meter values")
    interval = next((one.value for one in found.variables if (one.component, one.variable) in _SAMPLE_INTERVALS), None)
    running = [one for one in found.sessions if one.status == "active"]
    expected = int(interval) if interval is not None and interval.isdecimal() else 0
    quiet_since = to_rfc3339(found.now - 3_000 * max(expected, 300))
    stale = [one for one in running if one.updated_at and found.station.connected and one.updated_at < quiet_since]
    if interval == "0":
        return _check(
            "meter",
            title,
            "warn",
            _("It is set to send no meter values while charging."),
            _("Set MeterValueSampleInterval (2.x: SampledDataCtrlr.TxUpdatedInterval) to 30 or 60."),
        )
    if stale:
        return _check(
            "meter",
            title,
            "warn",
            _("Its session {id} has told nothing since {updated_at}.", id=stale[0].id, updated_at=stale[0].updated_at),
            _("Ask for meter values (trigger meter-values); look at the interval and the measurands."),
            details=[one.id for one in stale],
        )
    if running:
        return _check("meter", title, "ok", _("Its running sessions tell what they charge."))
    return _check("meter", title, "unknown", _("No session is running."))


def _firmware(found: _Found) -> types.Check:
    title = _("Firmware")
    status, version = found.station.firmware_status, found.station.firmware
    shown = _("Version {version}", version=version) if version else _("It has not told its version")
    if status in _FIRMWARE_BAD:
        return _check(
            "firmware",
            title,
            "bad",
            _("{shown}; the last update ended with {status}.", shown=shown, status=spaced(status)),
            _("Look at the file, its signature and whether the station reaches the address; then try again."),
        )
    if status in _FIRMWARE_BUSY:
        return _check(
            "firmware",
            title,
            "warn",
            _("{shown}; an update is under way: {status}.", shown=shown, status=spaced(status)),
            _("Wait until it is over; it may restart."),
        )
    return _check("firmware", title, "ok" if version else "unknown", f"{shown}.")


def _certificate(found: _Found) -> types.Check:
    title = _("Certificates")
    account = found.account
    events = [
        (row.recv_time, fact.kind)
        for row in found.rows
        for fact in row.facts
        if isinstance(fact, facts.SecurityEventNotified) and "Certificate" in fact.kind
    ]
    if events:
        time, kind = events[0]
        return _check(
            "certificate",
            title,
            "bad",
            _("It reported {event}.", event=spaced(kind)),
            _("Install the right root, or sign a new certificate for it."),
            at=time,
        )
    if account is None or account.security_profile < 2:
        return _check("certificate", title, "ok", _("It connects without TLS: none is needed."))
    if account.security_profile == 3 and not account.organization:
        return _check(
            "certificate",
            title,
            "bad",
            _("Its account names no organization, which its certificate must carry."),
            _("Enter the organization in the account."),
        )
    if found.station.connected:
        return _check("certificate", title, "ok", _("TLS was agreed with it."))
    return _check(
        "certificate",
        title,
        "unknown",
        _("Not known while it is away."),
        _("Who failed to agree TLS is listed with the handshakes that named no station."),
    )


def _commands(found: _Found) -> types.Check:
    title = _("Commands")
    waiting = [one for one in found.commands if one.outcome in ("pending", "sent") and one.expires_at > found.now]
    recent = [one for one in found.commands if one.requested_at >= found.now - RECENT_MS]
    silent = [one for one in recent if one.outcome == "timed-out"]
    refused = [one for one in recent if one.outcome == "refused"]
    details = [f"{to_rfc3339(one.requested_at)}: {one.action}: {one.outcome}" for one in (*waiting, *silent, *refused)][
        :10
    ]
    if silent and found.station.connected:
        return _check(
            "commands",
            title,
            "warn",
            _("{n} commands within a day were not answered in time.", n=len(silent)),
            _("It may be busy or hang: try a restart."),
            details=details,
        )
    if waiting:
        return _check(
            "commands",
            title,
            "ok" if found.station.connected else "warn",
            _("{n} commands wait for it.", n=len(waiting)),
            _("They are sent when it is back."),
            details=details,
        )
    if refused:
        return _check(
            "commands",
            title,
            "warn",
            _("{n} commands within a day were refused.", n=len(refused)),
            _("See what it answered."),
            details=details,
        )
    return _check(
        "commands",
        title,
        "ok" if recent else "unknown",
        _("All were answered.") if recent else _("None was sent within a day."),
    )


CHECKS: tuple[Callable[[_Found], types.Check], ...] = (
    _account,
    _handshake,
    _certificate,
    _link,
    _boot,
    _clock,
    _heard,
    _connectors,
    _tokens,
    _meter,
    _errors,
    _firmware,
    _commands,
)
"""In the order in which one is the cause of the next."""


def _span(ms: int) -> str:
    """A time span as people say it."""
    for size, name in ((86_400_000, N_("{n} days")), (3_600_000, N_("{n} hours")), (60_000, N_("{n} minutes"))):
        if ms >= 2 * size:
            return _(name, n=ms // size)
    return _("{n} seconds", n=ms // 1000)
