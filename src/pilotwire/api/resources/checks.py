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
        summary=first.seen if first is not None else "Nothing is wrong, as far as can be seen from here.",
        checks=made,
    )


# -- one function per check -------------------------------------------------------------------------------------------
def _account(found: _Found) -> types.Check:
    title = "The account"
    account = found.account
    if account is None:
        return _check(
            "account",
            title,
            "bad",
            "It has no account: it may connect in the lab alone.",
            "Add the station, and enter the password in it.",
        )
    if not account.enabled:
        return _check("account", title, "bad", "Its account is switched off.", "Enable the station.")
    if account.security_profile in (1, 2) and not account.password:
        return _check(
            "account", title, "bad", "Its account has no password.", "Give it one, and enter it in the station."
        )
    return _check("account", title, "ok", f"Enabled, security profile {account.security_profile}.")


def _handshake(found: _Found) -> types.Check:
    title = "The last attempts to connect"
    tries = found.handshakes or []
    since = found.station.connected_at
    refused = [one for one in tries if not one.accepted]
    if not tries:
        verdict: types.Verdict = "ok" if found.station.connected else "unknown"
        return _check(
            "handshake",
            title,
            verdict,
            "None since the server started." if not found.station.connected else "It is connected.",
            ""
            if found.station.connected
            else "Nothing arrives: look at the station's URL, its network and the firewall in between.",
        )
    details = [f"{one.time} {one.peer}: {one.title}" for one in refused[:5]]
    newest = tries[0]
    if newest.accepted:
        return _check("handshake", title, "ok", "It was let in.", details=details)
    if found.station.connected and (not since or newest.time > to_rfc3339(since)):
        seen = f"It is connected, but somebody was refused in its name: {newest.title}."
        return _check(
            "handshake", title, "warn", seen, "Look whether a second device uses the same identity.", details=details
        )
    if found.station.connected:
        return _check("handshake", title, "ok", "It was let in.", details=details)
    return _check("handshake", title, "bad", f"{newest.title}.", newest.advice, details=details)


def _link(found: _Found) -> types.Check:
    title = "The connection"
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
                f"It is connected, but was lost {len(drops)} times within a day.",
                "Look at its network: signal, SIM, router. A ping interval of 30 to 60 s "
                "(WebSocketPingInterval) keeps routers from closing it.",
                details=details,
            )
        return _check(
            "link",
            title,
            "ok",
            f"Connected from {station.peer} with OCPP {station.ocpp_version}.",
            at=station.connected_at,
            details=details,
        )
    if not station.epoch:
        return _check(
            "link",
            title,
            "bad",
            "It has never connected.",
            "Follow the steps of getting a charger connected: URL, identity, password.",
        )
    return _check(
        "link",
        title,
        "bad",
        "It is not connected.",
        "Look at its power, its network and the last attempts to connect.",
        at=station.disconnected_at,
        details=details,
    )


def _boot(found: _Found) -> types.Check:
    title = "Its start (BootNotification)"
    status, account = found.station.boot_status, found.account
    if account is not None and account.boot != "Accepted":
        return _check(
            "boot",
            title,
            "bad",
            f"Its account answers BootNotification with {account.boot}: it may not charge.",
            "Set what its start is answered to Accepted.",
        )
    if status == "Accepted":
        return _check("boot", title, "ok", "It was accepted.", at=found.station.booted_at)
    if not status:
        verdict: types.Verdict = "warn" if found.station.connected else "unknown"
        return _check(
            "boot",
            title,
            verdict,
            "It has not sent a BootNotification.",
            "Ask for one (trigger boot) or restart the station." if verdict == "warn" else "",
        )
    return _check(
        "boot",
        title,
        "bad",
        f"Its last BootNotification was answered {status}.",
        "It asks again by itself; restart it to be quicker.",
        at=found.station.booted_at,
    )


def _clock(found: _Found) -> types.Check:
    title = "Its clock"
    skew = found.station.skew_ms
    if found.station.clock is None:
        return _check("clock", title, "unknown", "It has not told a time since it connected.")
    words = f"It is {_span(abs(skew))} {'ahead' if skew > 0 else 'behind'}."
    if abs(skew) <= SKEW_RIGHT_MS:
        return _check("clock", title, "ok", "It is right to within a few seconds.")
    advice = "Stations set their clock by our answers; look for a time server that is set wrongly, or an empty battery."
    if abs(skew) <= SKEW_OFF_MS:
        return _check("clock", title, "warn", words, advice)
    more = " A wrong clock also makes certificates look expired, and schedules begin at the wrong time."
    return _check("clock", title, "bad", words, advice + more)


def _heard(found: _Found) -> types.Check:
    title = "Signs of life"
    station = found.station
    if not station.connected or not station.last_seen:
        return _check("heartbeat", title, "unknown", "It is not connected.", at=station.last_seen)
    interval = heartbeat_interval(found.variables)
    silent = (found.now - station.last_seen) // 1000
    limit = 2 * interval + 60 if interval else _SILENT_S
    seen = f"Last heard {_span(silent * 1000)} ago" + (
        f"; its heartbeat interval is {interval} s." if interval else "."
    )
    if silent <= limit:
        return _check("heartbeat", title, "ok", seen, at=station.last_seen)
    return _check(
        "heartbeat",
        title,
        "bad",
        seen,
        "The line may be dead without either side knowing: restart its modem "
        "or the station; a ping interval makes it notice.",
        at=station.last_seen,
    )


def _connectors(found: _Found) -> types.Check:
    title = "Connectors"
    every = found.station.connectors
    if not every:
        return _check("connectors", title, "unknown", "It has told of no connector yet.")
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
            "Look at what it says; many faults go away with a "
            "restart, ground faults and contactors need somebody there.",
            details=details,
        )
    if away:
        return _check(
            "connectors",
            title,
            "warn",
            f"{details[0]}.",
            "Put it back into service (availability), unless that is meant.",
            details=details,
        )
    return _check("connectors", title, "ok", f"All {len(every)} are without a fault.")


def _tokens(found: _Found) -> types.Check:
    title = "Tokens"
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
        return _check("tokens", title, "bad", "No token is known here: nobody may charge.", "Add or import tokens.")
    if shown and shown[0][1].verdict != "Accepted":
        _, last = shown[0]
        why = {
            "Invalid": "it is not known here; add it, or look whether the reader turns its digits round",
            "Blocked": "it is blocked",
            "Expired": "its time is over",
        }.get(last.verdict, "see the token")
        return _check(
            "tokens",
            title,
            "warn",
            f"The last token, {name(last.token)}, was answered {last.verdict}: {why}.",
            "Look at the token under Access.",
            at=shown[0][0],
            details=details,
        )
    if refused:
        return _check(
            "tokens",
            title,
            "ok",
            f"The last one was accepted; {len(refused)} were refused within a day.",
            details=details,
        )
    return _check(
        "tokens",
        title,
        "ok" if shown else "unknown",
        "The last one was accepted." if shown else "None was presented within a day.",
    )


def _errors(found: _Found) -> types.Check:
    title = "Messages"
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
            f"{len(lines)} of its messages within a day were errors or out of place.",
            "The message log explains each.",
            details=details,
        )
    if rules:
        return _check(
            "messages",
            title,
            "ok",
            f"It deviates from the standard in {len(rules)} ways that are tolerated.",
            details=details,
        )
    return _check("messages", title, "ok", "No errors within a day.")


def _meter(found: _Found) -> types.Check:
    title = "Meter values"
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
            "It is set to send no meter values while charging.",
            "Set MeterValueSampleInterval (2.x: SampledDataCtrlr.TxUpdatedInterval) to 30 or 60.",
        )
    if stale:
        return _check(
            "meter",
            title,
            "warn",
            f"Its session {stale[0].id} has told nothing since {stale[0].updated_at}.",
            "Ask for meter values (trigger meter-values); look at the interval and the measurands.",
            details=[one.id for one in stale],
        )
    if running:
        return _check("meter", title, "ok", "Its running sessions tell what they charge.")
    return _check("meter", title, "unknown", "No session is running.")


def _firmware(found: _Found) -> types.Check:
    title = "Firmware"
    status, version = found.station.firmware_status, found.station.firmware
    shown = f"Version {version}" if version else "It has not told its version"
    if status in _FIRMWARE_BAD:
        return _check(
            "firmware",
            title,
            "bad",
            f"{shown}; the last update ended with {spaced(status)}.",
            "Look at the file, its signature and whether the station reaches the address; then try again.",
        )
    if status in _FIRMWARE_BUSY:
        return _check(
            "firmware",
            title,
            "warn",
            f"{shown}; an update is under way: {spaced(status)}.",
            "Wait until it is over; it may restart.",
        )
    return _check("firmware", title, "ok" if version else "unknown", f"{shown}.")


def _certificate(found: _Found) -> types.Check:
    title = "Certificates"
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
            f"It reported {spaced(kind)}.",
            "Install the right root, or sign a new certificate for it.",
            at=time,
        )
    if account is None or account.security_profile < 2:
        return _check("certificate", title, "ok", "It connects without TLS: none is needed.")
    if account.security_profile == 3 and not account.organization:
        return _check(
            "certificate",
            title,
            "bad",
            "Its account names no organization, which its certificate must carry.",
            "Enter the organization in the account.",
        )
    if found.station.connected:
        return _check("certificate", title, "ok", "TLS was agreed with it.")
    return _check(
        "certificate",
        title,
        "unknown",
        "Not known while it is away.",
        "Who failed to agree TLS is listed with the handshakes that named no station.",
    )


def _commands(found: _Found) -> types.Check:
    title = "Commands"
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
            f"{len(silent)} commands within a day were not answered in time.",
            "It may be busy or hang: try a restart.",
            details=details,
        )
    if waiting:
        return _check(
            "commands",
            title,
            "ok" if found.station.connected else "warn",
            f"{len(waiting)} commands wait for it.",
            "They are sent when it is back.",
            details=details,
        )
    if refused:
        return _check(
            "commands",
            title,
            "warn",
            f"{len(refused)} commands within a day were refused.",
            "See what it answered.",
            details=details,
        )
    return _check(
        "commands",
        title,
        "ok" if recent else "unknown",
        "All were answered." if recent else "None was sent within a day.",
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
    for size, name in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= 2 * size:
            return f"{ms // size} {name}"
    return f"{ms // 1000} seconds"
