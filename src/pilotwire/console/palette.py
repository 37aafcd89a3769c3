"""What the command palette finds: pages, stations, what can be done with one, sessions."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.queries import Queries
from pilotwire.api.resources import sites
from pilotwire.api.resources.controllers import Controllers
from pilotwire.api.scope import sees_site

from .navigation import places_of
from .pages import command
from .pages.site_frame import tabs_of
from .view import kwh

_STATIONS = 7
_SITES = 12
"""So many of their pages are offered; who wants others types more."""
_WORD = 3
"""Letters from which on a word may mean a command."""


class Found(NamedTuple):
    """A line of the palette."""

    group: str
    text: str
    href: str
    icon: str
    hint: str = ""


async def find(context: ApiContext, principal: Principal, text: str, page: str) -> list[Found]:
    """What fits to `text`, for who has the address `page` before them: "DC-02", "restart dc-02"; "restart" alone is
    meant for the station whose page it is, or one of those that are online."""
    needle = text.casefold()
    lines = _pages(principal, needle, box=bool(context.config.box)) + await _sites(context, principal, needle)
    if not needle or not text.isprintable() or context.config.box:
        return lines if text.isprintable() else []
    queries = Queries(context, principal)
    if principal.may("stations:read"):
        lines += await _stations(queries, principal, text, page)
    if principal.may("sessions:read") and len(needle) > 3 and (session := await queries.find_session(text)):
        hint = f"{session.station_id} · {kwh(session.energy_wh)} kWh"
        lines.append(Found(_("Sessions"), session.id, f"/sessions/{quote(session.id, safe='')}", "bolt", hint))
    return lines


def _pages(principal: Principal, needle: str, *, box: bool) -> list[Found]:
    return [
        Found(_("Pages"), _(place.text), place.path, place.icon, f"g {place.keys}")
        for place in places_of(principal, box=box)
        if needle in _(place.text).casefold() or needle in place.text.casefold()
    ]


async def _sites(context: ApiContext, principal: Principal, needle: str) -> list[Found]:
    """The pages of sites that have a controller: by the site, by the page, or by both ("north why")."""
    words = needle.split()
    if not words or not principal.may("sites:read"):
        return []
    known = [each for each in Controllers.of(context).every(principal.tenant) if sees_site(principal, each[0])]
    if not known:
        return []
    named = {} if context.config.box else {each.id: each.name for each in await sites.sites(context, principal)}
    found: list[Found] = []
    for site_id, one in known:
        name = named.get(site_id, one.name)
        for key, text, href in tabs_of(context, principal, site_id, has_place=False):
            names = f"{name} {one.name} {site_id} {text} {key}".casefold()
            if all(word in names for word in words):
                found.append(Found(_("Sites"), f"{name}: {text}", href, "pin"))
    return found[:_SITES]


def meant(word: str) -> list[str]:
    """The commands that a word may mean: "rest" is the beginning of "Restart the station", "reset" is its name."""
    small = word.casefold()
    return [
        verb
        for verb, told in command.VERBS.items()
        if len(small) >= _WORD
        and any(
            name.startswith(small) for name in (verb, *told.title.casefold().split(), *_(told.title).casefold().split())
        )
    ]


async def _stations(queries: Queries, principal: Principal, text: str, page: str) -> list[Found]:
    words = text.split()
    verbs = list(dict.fromkeys(verb for word in words for verb in meant(word)))
    named = await _named(queries, text, " ".join(word for word in words if not meant(word)))
    lines = [
        Found(_("Stations"), one.id, f"/stations/{quote(one.id, safe='')}", "station", _state(one)) for one in named
    ]
    if named:
        able = [named[0]] if named[0].connected else []
    elif verbs and all(meant(word) for word in words):
        here = await queries.find_station(_station_of(page))
        able = [here] if here and here.connected else (await queries.stations(connected=True, limit=_STATIONS)).items
    else:
        able = []
    for verb in verbs or command.VERBS:
        if verb != "stop" and command.may_send(principal, verb):  # a session is stopped on its own page
            lines += [_command(verb, one) for one in able]
    return lines


async def _named(queries: Queries, *texts: str) -> list[types.Station]:
    """The stations that the first of these finds."""
    for text in texts:
        if text and (found := (await queries.stations(search=text, limit=_STATIONS)).items):
            return found
    return []


def _state(one: types.Station) -> str:
    return _("online") if one.connected else _("offline")


def _command(verb: str, one: types.Station) -> Found:
    href = f"/stations/{quote(one.id, safe='')}?do={verb}"
    return Found(_("Do"), f"{_(command.VERBS[verb].title)}: {one.id}", href, "play")


def _station_of(page: str) -> str:
    """The station whose page an address is; "" for another page."""
    parts = urlsplit(page).path.split("/")
    return unquote(parts[2]) if len(parts) > 2 and parts[1] == "stations" else ""
