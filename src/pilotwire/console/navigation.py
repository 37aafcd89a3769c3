"""Where one can go: the navigation on every page, and what the command palette offers as pages."""

from __future__ import annotations

from typing import NamedTuple

from pilotwire.api.access import Principal
from pilotwire.api.language import N_


class Place(NamedTuple):
    """A page of the navigation."""

    key: str
    """What a page gives as `here`."""
    path: str
    text: str
    icon: str
    permission: str
    """Who may go there; "" everybody."""
    keys: str
    """The shortcut: g and then this letter."""


PLACES = (
    Place("overview", "/", N_("Overview"), "overview", "stations:read", "o"),
    Place("stations", "/stations", N_("Stations"), "station", "stations:read", "s"),
    Place("sites", "/sites", N_("Sites"), "pin", "sites:read", "p"),
    Place("sessions", "/sessions", N_("Sessions"), "bolt", "sessions:read", "e"),
    Place("access", "/access", N_("Access"), "card", "tokens:read", "a"),
    Place("firmware", "/firmware", N_("Firmware"), "upload", "firmware:read", "f"),
    Place("alarms", "/alarms", N_("Alarms"), "bell", "alarms:read", "l"),
    Place("reports", "/reports", N_("Reports"), "chart", "reports:read", "r"),
    Place("settings", "/settings", N_("Settings"), "gear", "settings:read", ","),
    Place("connect", "/connect", N_("Connect a charger"), "plug", "stations:write", "c"),
    Place("api", "/api", N_("API"), "code", "", "i"),
)


OF_A_BOX = (
    Place("site", "/", N_("Site"), "pin", "", "o"),
    *(place for place in PLACES if place.key in ("settings", "api")),
)
"""Those of a box at a site."""


def places_of(principal: Principal | None, *, box: bool = False) -> list[Place]:
    """What this person may open."""
    places = OF_A_BOX if box else PLACES
    if principal is None:
        return [one for one in places if not one.permission]
    return [one for one in places if not one.permission or principal.may(one.permission)]
