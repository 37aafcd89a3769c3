"""How things are shown: numbers with units, states with words, colours and icons."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, meta
from markupsafe import Markup, escape

from pilotwire.api import language
from pilotwire.api.language import N_, translate
from pilotwire.api.types import Command, Connector, Session, Station, StationDetails
from pilotwire.api.words import spaced

from . import words
from .kept_templates import KeptTemplates

STATIC = Path(__file__).parent / "static"
LIBRARIES = ("vendor/htmx.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")


class State(NamedTuple):
    """What a connector does, to the eye."""

    kind: str
    """free, charging, busy, reserved, off or fault: the colour."""
    text: str
    icon: str


_STATES = {
    "Available": State("free", N_("Available"), "check"),
    "Preparing": State("busy", N_("Preparing"), "plug"),
    "EVConnected": State("busy", N_("Car connected"), "plug"),
    "Occupied": State("busy", N_("Occupied"), "plug"),
    "Idle": State("busy", N_("Idle"), "pause"),
    "Charging": State("charging", N_("Charging"), "bolt"),
    "SuspendedEV": State("busy", N_("Paused by the car"), "pause"),
    "SuspendedEVSE": State("busy", N_("Paused by the station"), "pause"),
    "Finishing": State("busy", N_("Finishing"), "plug"),
    "Reserved": State("reserved", N_("Reserved"), "clock"),
    "Unavailable": State("off", N_("Out of service"), "off"),
    "Faulted": State("fault", N_("Faulted"), "alert"),
    "Unknown": State("off", N_("Not reported yet"), "off"),
}
OFFLINE = State("off", N_("Offline"), "off")


def state_of(station: Station, connector: Connector, session: Session | None) -> State:
    """A 2.x connector only says Occupied; what its session does says more."""
    if not station.connected:
        return OFFLINE
    status = connector.status
    if session is not None and status in ("Occupied", "Unknown") and session.charging_state in _STATES:
        status = session.charging_state
    known = _STATES.get(status)
    return State(known.kind, translate(known.text), known.icon) if known else State("busy", spaced(status), "plug")


def numeral(number: float, digits: int = 0) -> str:
    """A number with so many decimals, thousands apart, with the signs of the language (as `fixed` in shell.js)."""
    text = f"{round(number, digits) + 0.0:,.{digits}f}"  # + 0.0: what rounds to nothing has no sign
    words = language.catalogue(language.speaking())
    if "." in words:
        text = text.translate({ord("."): words["."], ord(","): words[","]})
    return text


def kw(power_w: int) -> str:
    """Kilowatts with one decimal; halves go up, as in shell.js."""
    return numeral((power_w + 50) // 100 / 10, 1)


def kwh(energy_wh: int) -> str:
    """Kilowatt-hours: two decimals below 100, one above."""
    if energy_wh < 100_000:
        return numeral((energy_wh + 5) // 10 / 100, 2)
    return numeral((energy_wh + 50) // 100 / 10, 1)


def count(number: int) -> str:
    """Thousands apart."""
    return numeral(number)


def percent(part: float) -> str:
    """A share of 1 in percent, one decimal where it is not whole."""
    rounded = round(part * 100, 1)
    return numeral(rounded, 0 if rounded == int(rounded) else 1)


def missing_libraries() -> list[str]:
    """Browser libraries that the build has not put in place."""
    return [name for name in LIBRARIES if not (STATIC / name).is_file()]


@cache
def asset(name: str) -> str:
    """The address of a static file, with its content's hash, so that a new release is never shown with old files."""
    try:
        content = (STATIC / name).read_bytes()
    except FileNotFoundError:
        return f"/static/{name}"
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"


def ticks(text: str) -> Markup:
    """`code` between backticks as code; all else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one backtick too many or too few: it is none of ours
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


_kept = KeptTemplates(Path(__file__).parent / "__pycache__")
_kept.environment = _environment = Environment(
    loader=PackageLoader("pilotwire.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, bytecode_cache=_kept,
)  # fmt: skip


def tiles_of(station: Station) -> list[Connector]:
    """The connectors that are shown; 1.6's connector 0 is the station itself."""
    return [one for one in station.connectors if one.evse > 0]


_environment.globals.update(
    _=translate, several=language.several, speaking=language.speaking, languages=language.languages
)
_environment.globals.update(word_of=words.word, asset=asset, state_of=state_of, tiles_of=tiles_of)
_environment.filters.update(count=count, percent=percent, kw=kw, kwh=kwh, segment=_segment, spaced=spaced, ticks=ticks)


def as_json(thing: Any) -> str:
    """Readable JSON, for people."""
    return json.dumps(msgspec.to_builtins(thing), indent=2, ensure_ascii=False)


def clip(text: str, most: int) -> str:
    """No longer than `most`: a drawing cannot wrap it."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


_environment.filters.update(json=as_json, numeral=numeral, clip=clip)


def _tabs(tabs: list[tuple[str, str, str]], station: Station) -> list[tuple[str, str, str]]:
    below = f"/stations/{_segment(station.id)}"
    return [(key, translate(text), f"{below}/{key}" if key else below) for key, text, _permission in tabs]


def clock_text(details: StationDetails) -> str:
    """What the station's clock is worth, in words."""
    if details.clock_verdict == "unknown":
        return translate("not known yet")
    if details.clock_verdict == "right":
        return translate("right")
    seconds = numeral(abs(details.clock_skew_ms) / 1000, 1)
    return translate("{n} s ahead" if details.clock_skew_ms > 0 else "{n} s behind", n=seconds)


_OUTCOMES = {
    "pending": N_("waits"),
    "sent": N_("was sent"),
    "answered": N_("was answered"),
    "refused": N_("was refused"),
    "timed-out": N_("got no answer"),
    "expired": N_("expired"),
    "undeliverable": N_("could not be sent"),
}


def outcome_text(command: Command) -> str:
    """What became of a command, in words, with the status that the station answered."""
    said = translate(_OUTCOMES.get(command.outcome, command.outcome))
    status = command.answer.get("status") if isinstance(command.answer, dict) else None
    return f"{said}: {spaced(str(status)).lower()}" if status else said


def session_options(sessions: dict[str, Session]) -> list[tuple[str, str]]:
    """Running sessions to choose from."""
    return [
        (one.id, f"EVSE {one.evse}: {kw(one.power_w)} kW, {kwh(one.energy_wh)} kWh, {one.token or '–'}")
        for one in sessions.values()
    ]


_environment.globals.update(
    tabs_of=_tabs, clock_text=clock_text, outcome_text=outcome_text, session_options=session_options
)
_environment.filters.update(
    pair=lambda one: (one, one),
    evse_pair=lambda number: (number, f"EVSE {number}"),
    translated=lambda pair: (pair[0], translate(pair[1])),
)


def compile_templates(page: str | None = None) -> None:
    """All of them, or a page and what it refers to, before anybody waits for one."""
    names = [page] if page else _environment.list_templates(extensions=["html"])
    done: set[str] = set()
    while names:
        name = names.pop()
        if name in done or _environment.loader is None:
            continue
        done.add(name)
        _environment.get_template(name)
        if page:
            source = _environment.loader.get_source(_environment, name)[0]
            names += [one for one in meta.find_referenced_templates(_environment.parse(source)) if one]


def render(template: str, **values: Any) -> str:
    return _environment.get_template(template).render(**values)


def macros(template: str) -> Any:
    """The macros of a template, to be called one by one; what they say is of the language spoken then."""
    return _environment.get_template(template).module


def extend(**functions: Any) -> None:
    """Words and figures that the templates of one area of pages need."""
    _environment.globals.update(functions)
