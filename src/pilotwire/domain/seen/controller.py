"""A site that runs, as people and programs look at it: now, at any moment of the past, and over time.

`Controller` is the port between a site and whoever shows it: the API in the same process, or a central system at the
other end of a link. Everything in it is plain data. Times are UTC in ms, figures integers in base units (mA, mW, Wh),
import positive; None is not known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Literal, Protocol

import msgspec

from pilotwire.domain.steering.outputs import WindowView
from pilotwire.domain.steering.state import WindowSummary

from .picture import SitePicture


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, and who set it. `from_ms` and `until_ms`: None for one that always counts.

    `kind`: where it stands or comes from: `file` a limit of the configuration (fuses, contracts), `schedule`, `window`
    a demand window, `tariff`, `surplus`, `order` by Modbus or MQTT, `source` somebody outside who is named in the
    configuration, `telecontrol` of a grid operator, `lost` in place of one who fell silent, `other`.
    """

    node: str
    source: str
    kind: Literal[
        "file", "schedule", "window", "tariff", "surplus", "order", "source", "telecontrol", "lost", "other"
    ] = "other"
    phases_ma: tuple[int, int, int] | None = None
    power_mw: int | None = None
    imbalance_ma: int | None = None
    in_force: bool = True
    binding: bool = False
    """Some EVSE would get more without it, now."""
    from_ms: int | None = None
    until_ms: int | None = None


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The site at its last tick. `why` by EVSE: sentences, the answer first (`site.explain`)."""

    picture: SitePicture
    why: Mapping[str, tuple[str, ...]]
    limits: tuple[LimitRow, ...]
    windows: tuple[WindowView, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE got something else, or for another reason. `value` in `unit`; it held until the next change."""

    at_ms: int
    evse: str
    unit: Literal["mA", "mW"]
    value: int
    code: str
    words: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Means over a step of a course, and what had been planned for it. Energy is power times the step's length."""

    from_ms: int
    grid_mw: int | None = None
    pv_mw: int | None = None
    battery_mw: int | None = None
    cars_mw: int | None = None
    building_mw: int | None = None
    highest_grid_mw: int | None = None
    soc_permille: int | None = None
    """Of the batteries together, at its end."""
    planned_grid_mw: int | None = None
    planned_cars_mw: int | None = None
    planned_battery_mw: int | None = None


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of `step_ms`, oldest first, without holes: a step of which nothing is known has None in it."""

    from_ms: int
    step_ms: int
    steps: tuple[Step, ...]


class CarOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan gives a car: energy until it leaves, and in words what keeps back the rest."""

    evse: str
    energy_wh: int
    unmet_wh: int
    words: str
    course: tuple[tuple[int, int, int], ...]
    """(from, until, mW)."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """The plan in force. `words`: what state it is in; `steps` ahead of now."""

    made_ms: int
    until_ms: int
    words: str
    step_ms: int
    grid_mw: tuple[int, ...]
    batteries: Mapping[str, tuple[int, ...]]
    cars: tuple[CarOutlook, ...]
    from_ms: int | None = None
    """When the first step begins; None: at `made_ms`."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of the past, made again from the record. `same`: it came out as it was recorded."""

    now: Now
    same: bool


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The highest demand window of a month of the local calendar, as it is billed. `month` is 202601."""

    window: str
    """Id of the contract."""
    node: str
    month: int
    peak_mw: int
    at_ms: int | None = None
    """When that window began; None where only its height is remembered."""


class NotKnown(LookupError):
    """There is nothing of that moment, or no such EVSE; the text says what there is."""


class Controller(Protocol):
    """One site. Methods raise NotKnown, and ConnectionError where the site is far away and cannot be reached."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def time_zone(self) -> str:
        """Of its calendar (IANA)."""
        ...

    @property
    def heard_ms(self) -> int | None:
        """When the last tick was; None before the first."""
        ...

    async def now(self) -> Now: ...

    def ticks(self) -> AsyncIterator[Now]:
        """Each new state, at most one a second, never queued: a slow reader misses some."""
        ...

    async def at(self, utc_ms: int) -> Past:
        """The decision in force then."""
        ...

    async def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        """Oldest first, the one in force at `from_ms` included; at most the last 1,000."""
        ...

    async def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        """At most 3,000 steps of whole minutes."""
        ...

    async def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        """Demand windows that ended then, oldest first."""
        ...

    async def peaks(self, from_ms: int, until_ms: int) -> tuple[Peak, ...]:
        """Of the months that lie in this time, wholly or in part; oldest first, then by contract."""
        ...

    async def outlook(self) -> Outlook | None:
        """The plan in force; None without one."""
        ...
