"""Checks from the account to the heartbeat: whether a station gets in, is known, and stays."""

from __future__ import annotations

from functools import partial

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts

from .. import types
from ..language import _
from ..words import spaced
from .checks_basis import Found, check, span
from .evses import SKEW_OFF_MS, SKEW_RIGHT_MS, heartbeat_interval

_SILENT_S = 900
"""How long a station whose interval is not known may be silent."""


def account(found: Found) -> types.Check:
    """Whether it may connect at all."""
    tell = partial(check, "account", _("The account"))
    account = found.account
    if account is None:
        return tell(
            "bad",
            _("It has no account: it may connect in the lab alone."),
            _("Add the station, and enter the password in it."),
        )
    if not account.enabled:
        return tell("bad", _("Its account is switched off."), _("Enable the station."))
    if account.security_profile in (1, 2) and not account.password:
        return tell("bad", _("Its account has no password."), _("Give it one, and enter it in the station."))
    return tell("ok", _("Enabled, security profile {security_profile}.", security_profile=account.security_profile))


def handshake(found: Found) -> types.Check:
    """Whether it was let in, and why not."""
    tell = partial(check, "handshake", _("The last attempts to connect"))
    tries = found.handshakes
    since = found.station.connected_at
    refused = [one for one in tries if not one.accepted]
    if not tries:
        verdict: types.Verdict = "ok" if found.station.connected else "unknown"
        return tell(
            verdict,
            _("None since the server started.") if not found.station.connected else _("It is connected."),
            ""
            if found.station.connected
            else _("Nothing arrives: look at the station's URL, its network and the firewall in between."),
        )
    details = [f"{one.time} {one.peer}: {one.title}" for one in refused[:5]]
    newest = tries[0]
    if newest.accepted:
        return tell("ok", _("It was let in."), details=details)
    if found.station.connected and (not since or newest.time > to_rfc3339(since)):
        seen = _("It is connected, but somebody was refused in its name: {title}.", title=newest.title)
        return tell("warn", seen, _("Look whether a second device uses the same identity."), details=details)
    if found.station.connected:
        return tell("ok", _("It was let in."), details=details)
    return tell("bad", f"{newest.title}.", newest.advice, details=details)


def certificate(found: Found) -> types.Check:
    """Whether TLS and certificates stand in its way."""
    tell = partial(check, "certificate", _("Certificates"))
    account = found.account
    events = [(at, fact.kind) for at, fact in found.told(facts.SecurityEventNotified) if "Certificate" in fact.kind]
    if events:
        time, kind = events[0]
        return tell(
            "bad",
            _("It reported {event}.", event=spaced(kind)),
            _("Install the right root, or sign a new certificate for it."),
            at=time,
        )
    if account is None or account.security_profile < 2:
        return tell("ok", _("It connects without TLS: none is needed."))
    if account.security_profile == 3 and not account.organization:
        return tell(
            "bad",
            _("Its account names no organization, which its certificate must carry."),
            _("Enter the organization in the account."),
        )
    if found.station.connected:
        return tell("ok", _("TLS was agreed with it."))
    return tell(
        "unknown",
        _("Not known while it is away."),
        _("Who failed to agree TLS is listed with the handshakes that named no station."),
    )


def link(found: Found) -> types.Check:
    """Whether it is connected, and for how long at a time."""
    tell = partial(check, "link", _("The connection"))
    station = found.station
    drops = found.told_today(facts.StationDisconnected)
    details = [f"{to_rfc3339(time)}: {fact.code} {fact.reason}".rstrip() for time, fact in drops[:5]]
    if station.connected:
        if len(drops) >= 10:
            return tell(
                "warn",
                _("It is connected, but was lost {n} times within a day.", n=len(drops)),
                _(
                    "Look at its network: signal, SIM, router. A ping interval of 30 to 60 s "
                    "(WebSocketPingInterval) keeps routers from closing it."
                ),
                details=details,
            )
        return tell(
            "ok",
            _("Connected from {peer} with OCPP {ocpp_version}.", peer=station.peer, ocpp_version=station.ocpp_version),
            at=station.connected_at,
            details=details,
        )
    if not station.epoch:
        return tell(
            "bad",
            _("It has never connected."),
            _("Follow the steps of getting a charger connected: URL, identity, password."),
        )
    return tell(
        "bad",
        _("It is not connected."),
        _("Look at its power, its network and the last attempts to connect."),
        at=station.disconnected_at,
        details=details,
    )


def boot(found: Found) -> types.Check:
    """Whether it was accepted when it started."""
    tell = partial(check, "boot", _("Its start (BootNotification)"))
    status, account = found.station.boot_status, found.account
    if account is not None and account.boot != "Accepted":
        return tell(
            "bad",
            _("Its account answers BootNotification with {boot}: it may not charge.", boot=account.boot),
            _("Set what its start is answered to Accepted."),
        )
    if status == "Accepted":
        return tell("ok", _("It was accepted."), at=found.station.booted_at)
    if not status:
        verdict: types.Verdict = "warn" if found.station.connected else "unknown"
        return tell(
            verdict,
            _("It has not sent a BootNotification."),
            _("Ask for one (trigger boot) or restart the station.") if verdict == "warn" else "",
        )
    return tell(
        "bad",
        _("Its last BootNotification was answered {status}.", status=status),
        _("It asks again by itself; restart it to be quicker."),
        at=found.station.booted_at,
    )


def clock(found: Found) -> types.Check:
    """Whether its time is right."""
    tell = partial(check, "clock", _("Its clock"))
    skew = found.station.skew_ms
    if found.station.clock is None:
        return tell("unknown", _("It has not told a time since it connected."))
    words = (
        _("It is {span} ahead.", span=span(abs(skew))) if skew > 0 else _("It is {span} behind.", span=span(abs(skew)))
    )
    if abs(skew) <= SKEW_RIGHT_MS:
        return tell("ok", _("It is right to within a few seconds."))
    advice = _(
        "Stations set their clock by our answers; look for a time server that is set wrongly, or an empty battery."
    )
    if abs(skew) <= SKEW_OFF_MS:
        return tell("warn", words, advice)
    more = " " + _("A wrong clock also makes certificates look expired, and schedules begin at the wrong time.")
    return tell("bad", words, advice + more)


def heard(found: Found) -> types.Check:
    """Whether it lets itself be heard as often as it should."""
    tell = partial(check, "heartbeat", _("Signs of life"))
    station = found.station
    if not station.connected or not station.last_seen:
        return tell("unknown", _("It is not connected."), at=station.last_seen)
    interval = heartbeat_interval(found.variables)
    silent = (found.now - station.last_seen) // 1000
    limit = 2 * interval + 60 if interval else _SILENT_S
    seen = _(
        "Last heard {span} ago; its heartbeat interval is {interval} s.", span=span(silent * 1000), interval=interval
    )
    if not interval:
        seen = _("Last heard {span} ago.", span=span(silent * 1000))
    if silent <= limit:
        return tell("ok", seen, at=station.last_seen)
    return tell(
        "bad",
        seen,
        _(
            "The line may be dead without either side knowing: restart its modem or the station; a "
            "ping interval makes it notice."
        ),
        at=station.last_seen,
    )
