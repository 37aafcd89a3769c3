"""What may be asked of a site over MQTT. Each command says how long it counts; none is ever retained.

    pilotwire/<site>/evse/<id>/set    {"id": "7f3", "limit_a": 10, "expires_s": 300}
                                      limit_a (per phase), limit_w, enable, priority, phases (1 or 3),
                                      mode (now, min_pv, pv, off): before its own, the plan and prices
                                      {"departure": "2026-01-31T06:30:00+01:00", "energy_kwh": 20}
                                      departure (or seconds from now) and energy_kwh (what it still wants) of the car
                                      that is there; null: nothing is entered any more
    pilotwire/<site>/node/<id>/set    {"id": "7f4", "limit_a": 40, "expires_s": 300}
                                      limit_a (one figure, or [L1, L2, L3]), limit_w
    pilotwire/<site>/source/<id>/set  {"limit_a": 40}
                                      the word of one of the file's `sources:`, all of it: limit_a, limit_w, or
                                      {"free": true} for no limit. It counts until the next, or until the source has
                                      been silent for too long: no expires_s

`expires_s` is 1 to 86,400; what is entered for a car needs none, for it ends with its visit. `sent_at` (RFC 3339 with
an offset) may say when it was sent: a command that was on its way for longer than it was to count is refused. `id`
makes a command that arrives twice count once; the result repeats it. A command can lower what the site gives, say
something of a car, or withdraw itself: none raises anything above the site's own limits. More than `Pace` lets through
in a minute are refused, whoever they come from: MQTT does not say who sent a message.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from pilotwire.core.errors import RemoteError
from pilotwire.core.time import from_rfc3339
from pilotwire.domain.energy.model import Phases
from pilotwire.domain.steering import Mode

from ..entered import refusal
from .topics import Names

MOST_BYTES = 4_096
MOST_A = Decimal(100_000)
MOST_W = Decimal(1_000_000_000)
_REMEMBERED = 1_000
_CAR = frozenset({"departure", "energy_kwh"})
_EVSE = frozenset({"limit_a", "limit_w", "enable", "priority", "phases", "mode"}) | _CAR
_NODE = frozenset({"limit_a", "limit_w"})
_SOURCE = _NODE | {"free"}
NOBODY: Mapping[str, int] = {}
"""No sources."""
_TOLD = {"evse": _EVSE, "node": _NODE, "source": _SOURCE}
"""What each kind can be told."""


class Refused(RemoteError):
    """A command that is not followed; the text goes to whoever sent it, with its `id` where that could be read."""

    id = ""


class Repeated(Exception):
    """A command that has come before."""


class Pace:
    """So many commands a minute and no more: all of them at once, or one after the other."""

    def __init__(self, per_minute: int) -> None:
        self._most = self._left = 60_000 * per_minute
        self._rate, self._at = per_minute, 0

    def check(self, utc_ms: int) -> None:
        """One more has come. Raises Refused; that one then does not count. A clock that is set back costs nothing."""
        gone = max(0, utc_ms - self._at)
        self._at = utc_ms
        self._left = min(self._most, self._left + gone * self._rate)
        if self._left < 60_000:
            raise Refused(f"more than {self._rate} commands in a minute")
        self._left -= 60_000


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is well-formed, in base units. Exactly one of `evse`, `node` and `source`: who speaks there."""

    id: str
    evse: str = ""
    node: str = ""
    source: str = ""
    phases_ma: Phases | None = None
    power_mw: int | None = None
    enable: bool | None = None
    priority: int | None = None
    phases: Literal[1, 3] | None = None
    mode: Mode | None = None
    departure_ms: int | None = None
    """UTC."""
    energy_wh: int | None = None
    forget: frozenset[str] = frozenset()
    """`departure`, `energy_kwh`: nothing is entered any more."""
    valid_ms: int | None
    """None where only something of a car is entered: until it has left. Of a source: until it is lost."""


class _Said(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """As it comes."""

    id: str = ""
    expires_s: Decimal | None = None
    sent_at: str | None = None
    limit_a: Decimal | tuple[Decimal, Decimal, Decimal] | None = None
    limit_w: Decimal | None = None
    free: Literal[True] | None = None
    enable: bool | None = None
    priority: int | None = None
    phases: Literal[1, 3] | None = None
    mode: Mode | None = None
    departure: str | int | msgspec.UnsetType | None = msgspec.UNSET
    energy_kwh: Decimal | msgspec.UnsetType | None = msgspec.UNSET


_reader = msgspec.json.Decoder(_Said)


class Commands:
    """Reads commands for one site; keeps the ids of the last thousand."""

    def __init__(
        self, names: Names, evses: frozenset[str], nodes: frozenset[str], sources: Mapping[str, int] = NOBODY
    ) -> None:
        """`sources`: after how many ms of silence each is lost."""
        self._names, self._ids = names, {"evse": evses, "node": nodes, "source": frozenset(sources)}
        self._sources = sources
        self._seen: OrderedDict[str, None] = OrderedDict()

    def read(self, topic: str, payload: bytes, retained: bool, utc_ms: int) -> Ask:
        """Raises Refused with what is wrong, Repeated for one that has come before."""
        kind, id = self._place(topic)
        if retained:
            raise Refused("commands are not retained: it may be years old")
        if len(payload) > MOST_BYTES:
            raise Refused(f"{len(payload)} bytes; a command has at most {MOST_BYTES}")
        try:
            said = _reader.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(f"it cannot be read: {error}") from None
        try:
            ask = _checked(kind, id, said, utc_ms, self._sources.get(id))
        except Refused as refused:
            refused.id = said.id
            raise
        if said.id:
            if said.id in self._seen:
                raise Repeated
            self._seen[said.id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return ask

    def _place(self, topic: str) -> tuple[str, str]:
        parts = topic.removeprefix(self._names.root + "/").split("/")
        if len(parts) != 3 or parts[0] not in self._ids or parts[2] != "set":
            raise Refused("nothing is commanded by this topic")
        if parts[1] not in self._ids[parts[0]]:
            raise Refused(f"there is no {parts[0]} {parts[1]}")
        return parts[0], parts[1]


def _checked(kind: str, id: str, said: _Said, utc_ms: int, lost_ms: int | None) -> Ask:
    given = {name for name in (_EVSE | _SOURCE) - _CAR if getattr(said, name) is not None}
    given |= {name for name in _CAR if getattr(said, name) is not msgspec.UNSET}
    if not given:
        raise Refused(f"it asks for nothing: one of {', '.join(sorted(_TOLD[kind]))}")
    if wrong := given - _TOLD[kind]:
        raise Refused(f"{'an evse' if kind == 'evse' else f'a {kind}'} has no {', '.join(sorted(wrong))}")
    if "free" in given and len(given) > 1:
        raise Refused("free is no limit at all: leave it out, or the limits")
    amps = said.limit_a
    each = amps if isinstance(amps, tuple) else None if amps is None else (amps, amps, amps)
    figures = (said.expires_s, said.limit_w, said.energy_kwh, *(each or ()))
    if not all(one.is_finite() for one in figures if isinstance(one, Decimal)):
        raise Refused("a figure is no number")
    if kind == "source":
        if said.expires_s is not None:
            raise Refused("a source's word counts until its next, or until it is lost: leave out expires_s")
        valid_ms = lost_ms
    elif said.expires_s is None and given <= _CAR:
        valid_ms = None
    elif said.expires_s is None or not 1 <= said.expires_s <= 86_400:
        raise Refused("expires_s is missing or not from 1 to 86400: how long is it to count?")
    else:
        valid_ms = int(said.expires_s * 1000)
    if said.sent_at is not None:
        try:
            age = utc_ms - int(from_rfc3339(said.sent_at))
        except ValueError:
            raise Refused("sent_at is no time with an offset, such as 2026-01-31T06:00:00+01:00") from None
        if age < -5_000:
            raise Refused(f"it was sent {-age // 1000} s in the future: one of the clocks is wrong")
        if valid_ms is not None:
            valid_ms -= max(0, age)
            if valid_ms <= 0:
                raise Refused("it has expired on its way")
    if isinstance(amps, tuple) and kind == "evse":
        raise Refused("limit_a of an EVSE is one figure, which counts for each phase")
    if each is not None and not all(0 <= one <= MOST_A for one in each):
        raise Refused(f"limit_a is from 0 to {MOST_A}")
    if said.limit_w is not None and not 0 <= said.limit_w <= MOST_W:
        raise Refused(f"limit_w is from 0 to {MOST_W}")
    if said.priority is not None and not -1_000 <= said.priority <= 1_000:
        raise Refused("priority is from -1000 to 1000")
    departure_ms, energy_wh = _leaves(said.departure, utc_ms), _still(said.energy_kwh)
    if why := refusal(departure_ms, energy_wh, utc_ms):
        raise Refused(why)
    where: dict[str, Any] = {kind: id}
    return Ask(
        id=said.id, phases_ma=None if each is None else (_milli(each[0]), _milli(each[1]), _milli(each[2])),
        power_mw=None if said.limit_w is None else _milli(said.limit_w), enable=said.enable, priority=said.priority,
        phases=said.phases, mode=said.mode, departure_ms=departure_ms, energy_wh=energy_wh,
        forget=frozenset(name for name in _CAR if getattr(said, name) is None), valid_ms=valid_ms, **where,
    )  # fmt: skip


def _leaves(departure: str | int | msgspec.UnsetType | None, utc_ms: int) -> int | None:
    if isinstance(departure, int):
        return utc_ms + 1_000 * departure
    if not isinstance(departure, str):
        return None
    try:
        return int(from_rfc3339(departure))
    except ValueError:
        raise Refused(
            "departure is no time with an offset, such as 2026-01-31T06:30:00+01:00, nor seconds from now"
        ) from None


def _still(kwh: Decimal | msgspec.UnsetType | None) -> int | None:
    if not isinstance(kwh, Decimal):
        return None
    return _milli(max(-MOST_W, min(kwh, MOST_W)))


def _milli(value: Decimal) -> int:
    return int(value * 1000)
