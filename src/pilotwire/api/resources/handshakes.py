"""Why a station does not get in: the last handshakes in its name, each with what was wrong and what to do."""

from __future__ import annotations

from typing import NamedTuple

from pilotwire.core.errors import TransientError
from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.records import StationAccount
from pilotwire.transport.bus import HandshakesAsked, Refused

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..language import N_, _
from ..problems import not_found
from ..queries import Queries
from .stations import station_url


class Words(NamedTuple):
    """A reason in plain words."""

    title: str
    advice: str


LET_IN = Words("It was let in", "")

REASONS: dict[str, Words] = {
    "unknown-identity": Words(
        "No account has this identity",
        "Add the station here under exactly the name that it uses (upper and lower case count), or correct the name in "
        "the station.",
    ),
    "wrong-credential": Words(
        "The password is wrong",
        "Enter the password of the account in the station once more, or give the account a new one and enter that.",
    ),
    "no-credential": Words(
        "It sent no password",
        "Switch on HTTP Basic authentication (security profile 1 or 2) in the station and enter the password.",
    ),
    "malformed-credential": Words(
        "Its Authorization header cannot be read",
        "The station must send `Basic`, then user and password in base64; look for a firmware update.",
    ),
    "user-mismatch": Words(
        "The user is not the identity", "OCPP wants the station's identity as the user name; correct it in the station."
    ),
    "wrong-security-profile": Words(
        "It came by another security profile than its account asks for",
        "Profile 1 connects with ws://, profile 2 with wss:// and a password, profile 3 with wss:// and a certificate. "
        "Change the URL in the station or the profile of the account.",
    ),
    "wrong-certificate": Words(
        "Its certificate is that of another station or organization",
        "CN must be the identity (or the serial number in the account) and O the organization in the account.",
    ),
    "wrong-serial-number": Words(
        "It boots under another serial number than that of its certificate",
        "The serial number in the account, the name (CN) in the certificate and what the station says of itself must "
        "be the same.",
    ),
    "revoked-certificate": Words(
        "Its certificate was revoked",
        "The authority that signed it says so. Let the station have a new one, or ask the authority why.",
    ),
    "disabled": Words("The account is switched off", "Enable the station here."),
    "lab-account-off-loopback": Words(
        "The account needs no password, and such may connect from this machine alone",
        "Give the account security profile 1, 2 or 3.",
    ),
    "no-common-subprotocol": Words(
        "It offers no OCPP version that is spoken here",
        "It must offer the WebSocket subprotocol ocpp1.6, ocpp2.0.1 or ocpp2.1; choose one of these versions in the "
        "station. OCPP 1.5 and SOAP are not served.",
    ),
    "wrong-path": Words(
        "The path of its URL is wrong",
        "Some stations add the identity to the URL by themselves and some do not: it must end up in the path once.",
    ),
    "blocked": Words(
        "Too many failed attempts", "It is refused unseen for a while. Correct the password, then wait a few minutes."
    ),
    "not-websocket": Words(
        "It did not ask for a WebSocket",
        "This port speaks OCPP over WebSocket (OCPP-J). Choose JSON instead of SOAP in the station; a proxy in between "
        "must pass the Upgrade header on.",
    ),
    "bad-request": Words("Its HTTP request is malformed", "Look for a firmware update, or for a proxy in between."),
    "not-http": Words("It does not speak HTTP", "Something else than a charging station connects to this port."),
    "too-slow": Words("Its request did not arrive in time", "Look at its network: it is very slow or loses packets."),
    "stopping": Words("The server was being stopped", "It will come back by itself."),
    "tls-on-plain-port": Words(
        "It speaks TLS where plain connections are served",
        "Use the wss:// URL with the port of the TLS listener, or ws:// for security profile 1.",
    ),
    "tls-failed": Words("TLS could not be agreed", "See what TLS says."),
}
"""Reason → what was wrong and what to do."""

_TLS: tuple[tuple[str, Words], ...] = (
    ("CERTIFICATE_EXPIRED", Words(
        "It says that our certificate has expired",
        "If it has not, the station's clock is wrong: set its time (NTP), or renew the server's certificate.")),
    ("UNKNOWN_CA", Words(
        "It does not trust the authority of our certificate",
        "Install the root certificate of the server in the station, or use a certificate of a public authority.")),
    ("BAD_CERTIFICATE", Words(
        "It does not accept our certificate",
        "The name in the URL must be in the certificate; its clock must be right; its root must be known to it.")),
    ("CERTIFICATE_UNKNOWN", Words(
        "It does not accept our certificate",
        "The name in the URL must be in the certificate; its clock must be right; its root must be known to it.")),
    ("CERTIFICATE_VERIFY_FAILED", Words(
        "We do not trust its certificate",
        "It must be signed by an authority that is known here, and be valid now: mind the station's clock.")),
    ("NOT_RETURN_A_CERTIFICATE", Words(
        "It showed no certificate", "Security profile 3 needs one: install it in the station.")),
    ("HTTP_REQUEST", Words(
        "It speaks plain HTTP where TLS is served", "Use wss:// in the station's URL.")),
    ("UNSUPPORTED_PROTOCOL", Words(
        "Its TLS version is too old", "TLS 1.2 is the least; look for a firmware update.")),
    ("VERSION", Words("Its TLS version is too old", "TLS 1.2 is the least; look for a firmware update.")),
    ("NO_SHARED_CIPHER", Words(
        "It offers no cipher that is allowed here", "Look for a firmware update that brings TLS 1.2 with AES-GCM.")),
    ("TIMEOUT", Words("TLS was not finished in time", "Look at its network: it is very slow or loses packets.")),
    ("CONNECTION", Words(
        "It hung up while TLS was agreed",
        "Often the station does not trust our certificate: install the root, and look at its clock.")),
)  # fmt: skip
"""Part of what TLS says → the same in plain words; the first that fits."""


async def handshakes(context: ApiContext, principal: Principal, station_id: str) -> list[types.HandshakeShown]:
    """The last handshakes in the name of a station, newest first; also of one that is not known (yet).

    Raises Problem 404 where the station stands out of scope.
    """
    principal.need("stations:read")
    if principal.sites is not None:
        await Queries(context, principal).station(station_id)
    if not 0 < len(station_id) <= 255 or not station_id.isprintable():
        raise not_found("station", station_id)
    account = await context.store.account(StationKey(principal.tenant, station_id))
    return [
        _shown(context, principal.tenant, station_id, account, one)
        for one in await _recent(context, principal.tenant, station_id)
    ]


async def strangers(context: ApiContext, principal: Principal) -> list[types.HandshakeShown]:
    """The last that named no station at all (TLS that failed, other protocols), newest first. They belong to nobody,
    so the installation's own tenant sees them, and there those who see every station."""
    principal.need("stations:read")
    if principal.sites is not None:
        return []
    return [_shown(context, principal.tenant, "", None, one) for one in await _recent(context, principal.tenant, "")]


async def _recent(context: ApiContext, tenant: str, station_id: str) -> list[Refused]:
    """What the gateway remembers; nothing where there is none."""
    asked = HandshakesAsked(tenant=tenant, station=station_id)
    try:
        return await context.bus.request(f"handshakes.{tenant}.{station_id}", asked, timeout_ms=2_000)
    except TransientError:
        return []


def explain(reason: str, detail: str = "") -> Words:
    """A reason in plain words."""
    if not reason:
        return LET_IN
    if reason == "tls-failed":
        told = detail.upper().replace(" ", "_")
        for part, words in _TLS:
            if part in told:
                return words
    return REASONS.get(reason, Words(_("Refused: {reason}", reason=reason), N_("The server's log says more.")))


def _shown(
    context: ApiContext, tenant: str, station_id: str, account: StationAccount | None, one: Refused
) -> types.HandshakeShown:
    words = explain(one.reason, one.detail)
    advice = _(words.advice)
    if one.reason in ("wrong-path", "tls-on-plain-port", "wrong-security-profile") and station_id:
        profile = account.security_profile if account else 1
        url = station_url(context, StationKey(tenant, station_id), profile)
        advice += " " + _("Here it is {url}.", url=url)
    elif one.reason == "no-common-subprotocol":
        advice += " " + _("It offered {names}.", names=", ".join(one.offered) or _("none"))
    elif one.reason in ("user-mismatch", "wrong-serial-number"):
        advice += " " + _("It sent {name}.", name=repr(one.user if one.reason == "user-mismatch" else one.detail))
    return types.HandshakeShown(
        time=to_rfc3339(one.time),
        peer=one.peer,
        accepted=not one.reason,
        status=one.status,
        reason=one.reason,
        title=_(words.title),
        advice=advice,
        path=one.path,
        user=one.user,
        offered=list(one.offered),
        tls=one.tls,
        detail=one.detail,
    )
