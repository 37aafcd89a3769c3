"""Times on the pages of a site: in the site's own zone, whoever looks and from wherever.

A demand window, a tariff and a plan are of the site's calendar, and a moment that is typed is too. So these times are
not left to the browser, as those of other pages are. The zone is that of the site whose page is made: `use`, `of_site`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from markupsafe import Markup

from pilotwire.api.language import N_, translate

MONTHS = (
    N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"), N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"),
    N_("Nov"), N_("Dec"),
)  # fmt: skip


class _Here(NamedTuple):
    zone: tzinfo
    year: int
    """The year it is there: times of another say theirs."""


_NOWHERE = _Here(UTC, 0)
_here: ContextVar[_Here] = ContextVar("site", default=_NOWHERE)


def _of(zone: tzinfo, now_ms: int) -> _Here:
    return _Here(zone, datetime.fromtimestamp(now_ms / 1000, zone).year)


def use(zone: tzinfo, now_ms: int) -> None:
    """Times are of this zone for the rest of the request."""
    _here.set(_of(zone, now_ms))


@contextmanager
def of_site(zone: tzinfo, now_ms: int) -> Iterator[None]:
    """Times are of this zone for a while."""
    token = _here.set(_of(zone, now_ms))
    try:
        yield
    finally:
        _here.reset(token)


def _shown(time: str, at: datetime, text: str, *, counted: bool = False) -> Markup:
    title = f"{at:%Y-%m-%d %H:%M:%S} {at.tzinfo or ''}"
    if counted:
        return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(time, title, text)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(time, title, text)


def when(time: str | None, absent: str = "–", *, seconds: bool = False) -> str:
    """Day and minute of an RFC 3339 time of the API; with the year where it is another."""
    if not time:
        return absent
    here = _here.get()
    at = datetime.fromisoformat(time).astimezone(here.zone)
    pattern = "{month} {day}, {time}" if at.year == here.year else "{month} {day}, {year}, {time}"
    clock = at.strftime("%H:%M:%S" if seconds else "%H:%M")
    month = translate(MONTHS[at.month - 1])
    return _shown(time, at, translate(pattern, day=at.day, month=month, year=at.year, time=clock))


def clock(time: str | None, absent: str = "–") -> str:
    """Its hour, minute and second."""
    if not time:
        return absent
    at = datetime.fromisoformat(time).astimezone(_here.get().zone)
    return _shown(time, at, at.strftime("%H:%M:%S"))


def ago(time: str | None, absent: str = "–") -> str:
    """How long ago it was, which the browser counts; pointed at, it says when."""
    if not time:
        return absent
    at = datetime.fromisoformat(time).astimezone(_here.get().zone)
    return _shown(time, at, at.strftime("%Y-%m-%d %H:%M"), counted=True)


PATTERNS = (N_("{month} {day}, {time}"), N_("{month} {day}, {year}, {time}"))
"""How a day is written; the orders of a language are in its words."""
