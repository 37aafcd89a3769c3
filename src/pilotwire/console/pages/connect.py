"""Getting a charger connected: an account, what to enter at the charger, and a live view of its first handshake."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import segno
from litestar import Response, get, post
from litestar.params import FromQuery
from markupsafe import Markup

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import evses, handshakes, sites, stations
from pilotwire.api.routes.common import bad_body
from pilotwire.core.time import from_datetime

from ..forms import Form
from .common import PlainRequest, Text, allowed, fragment, page, segment


class Profile(NamedTuple):
    """A security profile of OCPP, as a choice."""

    number: int
    title: str
    text: str


PROFILES = (
    Profile(
        2,
        N_("Encrypted, with a password"),
        N_("TLS and HTTP Basic authentication (security profile 2). Right for nearly every charger."),
    ),
    Profile(
        3,
        N_("Encrypted, with a certificate of the charger"),
        N_("Mutual TLS (security profile 3). The charger must hold a certificate that this system trusts."),
    ),
    Profile(
        1,
        N_("Not encrypted, with a password"),
        N_("HTTP Basic authentication (security profile 1). Only within a private network or a VPN."),
    ),
    Profile(0, N_("Not encrypted, no password"), N_("For the lab alone: whoever knows the identity gets in.")),
)


def profiles_of(context: ApiContext) -> list[Profile]:
    """Those that this installation can serve: TLS needs its listener, no password at all the lab."""
    config = context.config
    return [
        one
        for one in PROFILES
        if (one.number < 2 or config.ocpps_url) and (one.number != 0 or config.lab)
    ]  # fmt: skip


def qr(text: str) -> Markup:
    """A QR code as SVG that takes the colours of the page."""
    return Markup(  # noqa: S704 - made by segno of numbers alone; the text is not in it
        segno.make(text, error="m", micro=False).svg_inline(
            scale=4, border=2, dark="#000", light=None, svgclass="qr", lineclass=None, omitsize=True
        )
    )


async def _form_page(
    request: PlainRequest, context: ApiContext, principal: Principal, form: Form, status: int = 200
) -> Response[Any]:
    choices = profiles_of(context)
    known = await sites.sites(context, principal) if principal.may("sites:read") else []
    return page(
        request,
        "connect/form.html",
        here="connect",
        crumbs=[(_("Connect a charger"), None)],
        status=status,
        form=form,
        profiles=choices,
        chosen=form.get("security_profile") or (str(choices[0].number) if choices else "1"),
        sites=[("", _("none"))] + [(one.id, one.name) for one in known],
    )


@get("/connect")
async def connect(request: PlainRequest, id: FromQuery[str] = "") -> Response[Any]:
    """What the charger is called and how it proves who it is."""
    context, principal = allowed(request, "stations:write")
    return await _form_page(request, context, principal, Form({"id": [id]} if id else {}))


@post("/connect", status_code=200)
async def create(request: PlainRequest) -> Response[Any]:
    """Make its account, and say once what to enter at the charger."""
    context, principal = allowed(request, "stations:write")
    form = await Form.read(request)
    wanted: dict[str, Any] = {
        "id": form.get("id"),
        "security_profile": form.number("security_profile"),
        "note": form.get("note"),
        "site": form.get("site"),
    }
    wanted |= {name: form.get(name) for name in ("password", "organization", "serial") if form.get(name)}
    try:
        made = await stations.create(context, principal, msgspec.convert(wanted, types.NewStation))
    except msgspec.ValidationError as error:
        form.fail(bad_body(error))
    except Problem as refused:
        form.fail(refused)
        if refused.status == 409:
            form.wrong("id", _("A charger with this identity is registered already."))
    else:
        return await _guide(request, context, principal, made.id, password=made.password or "")
    return await _form_page(request, context, principal, form, status=422)


async def _guide(
    request: PlainRequest, context: ApiContext, principal: Principal, station_id: str, *, password: str = ""
) -> Response[Any]:
    arrived = await _arrival(context, principal, station_id)
    details: types.StationDetails = arrived["details"]
    return page(
        request,
        "connect/guide.html",
        here="connect",
        crumbs=[(_("Connect a charger"), "/connect"), (details.id, None)],
        password=password,
        code=qr(details.url),
        profile=next((one for one in PROFILES if one.number == details.security_profile), None),
        **arrived,
    )


async def _arrival(context: ApiContext, principal: Principal, station_id: str) -> dict[str, Any]:
    """How far the charger has come."""
    return {
        "station": await Queries(context, principal).station(station_id),
        "details": await evses.details(context, principal, station_id),
        "handshakes": (await handshakes.handshakes(context, principal, station_id))[:6],
        "strangers": [
            one for one in await handshakes.strangers(context, principal) if not one.accepted and _recent(context, one)
        ][:3],
        "may": principal.may,
    }


_RECENT_MS = 600_000


def _recent(context: ApiContext, one: types.HandshakeShown) -> bool:
    at = from_datetime(datetime.fromisoformat(one.time))
    return context.scheduler.now() - at < _RECENT_MS


@get("/connect/{station_id:str}")
async def guide(request: PlainRequest, station_id: Text) -> Response[Any]:
    """The same again, without the password, which is not kept readable."""
    context, principal = allowed(request, "stations:write")
    return await _guide(request, context, principal, segment(station_id))


@get("/ui/connect/{station_id:str}")
async def arrival(request: PlainRequest, station_id: Text) -> Response[Any]:
    """How far it has come, drawn anew."""
    context, principal = allowed(request, "stations:write")
    return fragment(
        request, "connect/arrival.html", piece=True, **await _arrival(context, principal, segment(station_id))
    )


@post("/connect/{station_id:str}/password", status_code=200)
async def password(request: PlainRequest, station_id: Text) -> Response[Any]:
    """A new password, shown once."""
    context, principal = allowed(request, "stations:write")
    from pilotwire.crypto.passwords import new_station_password

    secret = new_station_password()
    await stations.change(context, principal, segment(station_id), types.StationChange(password=secret))
    return await _guide(request, context, principal, segment(station_id), password=secret)


HANDLERS: list[Any] = [connect, create, guide, arrival, password]
