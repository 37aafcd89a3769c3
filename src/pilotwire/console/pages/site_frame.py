"""What the pages of a site with a controller have in common: their tabs, what is said while it is away, its words."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from litestar import Response

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import sites
from pilotwire.api.resources.commissioning import Commissionings
from pilotwire.api.resources.controllers import Controllers
from pilotwire.api.scope import sees_site
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import seen

from .. import site_times
from ..diagram import amps, figure, source_text
from ..site_told import told
from ..view import extend, numeral
from ..words import sites as words
from .common import PlainRequest, page, segment

TABS: list[tuple[str, str, str]] = [
    ("live", N_("Live"), "sites:read"),
    ("why", N_("Why"), "sites:read"),
    ("energy", N_("Energy"), "sites:read"),
    ("outlook", N_("Plan and outcome"), "sites:read"),
    ("limits", N_("Limits"), "sites:read"),
    ("commissioning", N_("Commissioning"), "sites:commission"),
    ("", N_("The place"), "sites:read"),
]
"""Path below the site, text, who may see it. The last is the site as the central system knows it; a box has none."""

State = Literal["running", "silent", "away", "starting"]
CONTROLLER_STATES: dict[State, tuple[str, str, str]] = {
    "running": (N_("running"), "good", "check"),
    "silent": (N_("silent"), "fault", "alert"),
    "away": (N_("cannot be reached"), "fault", "alert"),
    "starting": (N_("starting"), "off", "clock"),
}
"""Word, colour and icon."""
SILENT_MS = 10_000


class Seen(NamedTuple):
    """A site that somebody looks at. `controller`: None where it has none here."""

    id: str
    name: str
    controller: seen.Controller | None

    @property
    def zone(self) -> ZoneInfo:
        """Of its calendar; UTC where that is not known."""
        try:
            return ZoneInfo(self.controller.time_zone if self.controller is not None else "UTC")
        except (KeyError, ValueError, OSError):
            return ZoneInfo("UTC")


async def site_of(context: ApiContext, principal: Principal, site_id: str) -> Seen:
    """Raises Problem 404 for a site that is not there or out of scope."""
    name = segment(site_id)
    found = Controllers.of(context).get(name, tenant=principal.tenant) if sees_site(principal, name) else None
    if found is not None:
        site = Seen(name, found.name, found)
        site_times.use(site.zone, context.scheduler.now())
        return site
    fresh = Commissionings.of(context).get(name, tenant=principal.tenant) if context.config.box else None
    if fresh is not None:
        return Seen(name, fresh.name, None)  # a box whose site does not run yet
    known = (await sites.site(context, principal, name)).value
    return Seen(known.id, known.name, None)


def tabs_of(
    context: ApiContext, principal: Principal, site_id: str, *, has_place: bool = True
) -> list[tuple[str, str, str]]:
    """(key, text, address) of what this person may open."""
    from urllib.parse import quote

    below = f"/sites/{quote(site_id, safe='')}"
    return [
        (key, _(text), f"{below}/{key}" if key else below)
        for key, text, permission in TABS
        if principal.may(permission)
        and (key or (has_place and not context.config.box))
        and (key != "commissioning" or Commissionings.of(context).get(site_id, tenant=principal.tenant) is not None)
    ]


def show(
    request: PlainRequest, context: ApiContext, principal: Principal, site: Seen, template: str, tab: str, **values: Any
) -> Response[Any]:
    """A page below the site's tabs."""
    box = bool(context.config.box)
    return page(
        request,
        template,
        here="site" if box else "sites",
        crumbs=[(site.name, None)] if box else [(_("Sites"), "/sites"), (site.name, None)],
        site=site,
        tab=tab,
        site_tabs=tabs_of(context, principal, site.id),
        **values,
    )


def without(request: PlainRequest, context: ApiContext, principal: Principal, site: Seen, tab: str) -> Response[Any]:
    """The page of a site that has no controller: how to get one."""
    return show(request, context, principal, site, "controller/none.html", tab)


_AWAY = ("#problem-controller-away", "#problem-nothing-known")


def away(problem: Problem) -> bool:
    """Whether a Problem says that the site cannot be reached just now, or has not said anything yet."""
    return problem.details.type.endswith(_AWAY)


def not_here(
    request: PlainRequest, context: ApiContext, principal: Principal, site: Seen, tab: str, why: Problem
) -> Response[Any]:
    """The page of a site that is away: when it was last heard, and what that means."""
    heard = site.controller.heard_ms if site.controller is not None else None
    return show(
        request, context, principal, site, "controller/away.html", tab,
        heard_at=None if heard is None else to_rfc3339(heard), why=why.details.detail, gone=why.status == 503,
    )  # fmt: skip


def state_of(context: ApiContext, site: Seen) -> tuple[State, str | None]:
    """(how it is, when it was last heard)."""
    heard = None if site.controller is None else site.controller.heard_ms
    if heard is None:
        return "starting", None
    quiet = context.scheduler.now() - heard > SILENT_MS
    return ("silent" if quiet else "running"), to_rfc3339(heard)


class Day(NamedTuple):
    """A day of the site's calendar."""

    date: date
    from_ms: int
    until_ms: int
    before: str
    after: str
    """The days beside it; "" for one that is still to come."""


def day_of(text: str, zone: ZoneInfo, now_ms: int) -> Day:
    """The day that was asked for; today for anything that is none."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    try:
        chosen = min(date.fromisoformat(text), today) if text else today
    except ValueError:
        chosen = today
    chosen = max(chosen, date(2000, 1, 2))
    return Day(
        chosen,
        _midnight(chosen, zone),
        _midnight(chosen + timedelta(days=1), zone),
        (chosen - timedelta(days=1)).isoformat(),
        (chosen + timedelta(days=1)).isoformat() if chosen < today else "",
    )


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)


def instant(text: str, zone: ZoneInfo) -> int | None:
    """What was typed or linked: RFC 3339, or the local time of a form; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=zone) if at.tzinfo is None else at
    try:
        return int(at.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None


def local(ms: int, zone: ZoneInfo, form: str = "%H:%M") -> str:
    """A time of the site's calendar."""
    return datetime.fromtimestamp(ms / 1000, zone).strftime(form)


def ms_of(time: str) -> int:
    """Of an RFC 3339 time of the API."""
    return int(datetime.fromisoformat(time).astimezone(UTC).timestamp() * 1000)


_FED_IN = ("file", "telecontrol")
"""Kinds whose limit may be one of what is fed in, where it is negative; any other has nothing left then."""


def nothing_left(one: types.SiteLimit) -> bool:
    """What flows beside the cars is above the limit already, so that what is left for them is less than nothing."""
    negative = one.power_w is not None and one.power_w < 0 and one.kind not in _FED_IN
    return negative or any(ma < 0 for ma in one.current_ma or ())


def limit_text(one: types.SiteLimit) -> str:
    """The figures of a limit with their units."""
    said: list[str] = []
    if one.current_ma is not None:
        each = [max(0, ma) for ma in one.current_ma]
        said.append(f"{amps(each[0])} A" if len(set(each)) == 1 else f"{' / '.join(amps(ma) for ma in each)} A")
    if one.power_w is not None:
        fed = one.power_w < 0 and one.kind in _FED_IN
        power = f"{numeral(abs(one.power_w) / 1000 if fed else max(0, one.power_w) / 1000, 1)} kW"
        said.append(_("{power} fed in", power=power) if fed else power)
    if nothing_left(one):
        said.append(_("nothing is left"))
    if one.imbalance_ma is not None:
        said.append(_("{amps} A between phases", amps=amps(one.imbalance_ma)))
    return ", ".join(said) or "–"


def _word(table: dict[str, str]) -> Any:
    def of(code: str) -> str:
        known = table.get(code)
        return _(known) if known else code.replace("_", " ")

    return of


def short_reason(one: types.SiteEvse) -> str:
    """Why not more in a few words; what the sun or the clock keeps from a car that is there is said whole."""
    if one.code == "no_demand" and one.pilot not in ("A", None):
        return told(one.reason)
    return _word(words.REASONS)(one.code)


def _mark_word(mark: types.SiteMark) -> str:
    return _word(words.MARKS)(mark.code)


extend(
    source_text=source_text, amount=figure, amps=amps, told=told, limit_text=limit_text, place_word=_word(words.PLACES),
    source_word=_word(words.SOURCES),
    reason_word=_word(words.REASONS), quality_word=_word(words.QUALITIES), mark_word=_mark_word,
    short_reason=short_reason, site_when=site_times.when, site_clock=site_times.clock, site_ago=site_times.ago,
)  # fmt: skip
