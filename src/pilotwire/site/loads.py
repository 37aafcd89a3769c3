"""Heat pumps, cooling and other loads that can be told what they may take, and batteries and inverters, in the tree.

A load is shared out to as a car is: what its nodes carry, quotas of its tenant, a floor that comes before every car.
It is commanded by the point `limit_mw` of its device, or, where it has a few states (SG-ready: blocked, normal,
encouraged, forced), by `mode`. One that is not heard is counted with what it falls back to, or its rating.

A battery or an inverter gets no share. As a resource its node counts what it draws: with its device's measurement, or
with `lost_a` where nothing says what it draws, which the fail-safe check counts too.

Here are the sections of the file; `loaded` is what they do in a tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from pilotwire.domain.energy import Load, Resource
from pilotwire.domain.energy.model import Phases as Currents
from pilotwire.domain.energy.model import Rotation

from .sections import Id, NotNegative, Positive, Section, micro, milli
from .typed import Finding

if TYPE_CHECKING:
    from .config import SiteConfig
    from .devices.schema import DeviceFile

TOLD_S = 10
"""What a load is told is said again so often (`loop`)."""
_Phases = tuple[NotNegative, NotNegative, NotNegative] | NotNegative


class LoadEntry(Section, frozen=True):
    """A load of the file. `id` is that of its device."""

    id: Id
    node: Id
    maximum_kw: Positive
    minimum_kw: NotNegative = Decimal(0)
    step_kw: Positive = Decimal("0.1")
    levels_kw: tuple[Positive, ...] = ()
    """What it takes in each of its states but off, ascending; left out: any step up to its maximum."""
    modes: tuple[Annotated[int, msgspec.Meta(ge=0, le=65_535)], ...] = ()
    """What its device is told as `mode`: for off, and for each of the levels (SG-ready: [1, 2, 4])."""
    floor_kw: NotNegative = Decimal(0)
    """Comes before every car: 4.2 where § 14a EnWG says so."""
    priority: int = 0
    min_on_s: NotNegative = Decimal(0)
    min_off_s: NotNegative = Decimal(0)
    phases: Literal[1, 2, 3] = 3
    rotation: Rotation | None = None
    tenant: Id | None = None
    failsafe_kw: NotNegative | None = None
    """The most that it takes when nobody tells it anything for `watchdog_s`; left out: its maximum."""
    watchdog_s: Positive | None = None


class ResourceEntry(Section, frozen=True):
    """A battery or an inverter as its node's cables see it. `id` is that of its device."""

    id: Id
    node: Id
    lost_a: _Phases = Decimal(0)
    """What it may draw on each phase while nothing says so, and with the box switched off."""
    feeds_a: _Phases = Decimal(0)
    """The most that it can feed in: a meter above that shows less than our own cars draw is believed so far."""


class Told(msgspec.Struct, frozen=True):
    """How a load of the tree is commanded. `modes`: by level, off first; empty: by its power."""

    priority: int
    modes: tuple[int, ...]


def loads_of(config: SiteConfig) -> tuple[Load, ...]:
    """As the allocation sees them."""
    return tuple(
        Load(
            id=each.id,
            node=each.node,
            maximum=micro(each.maximum_kw),
            minimum=micro(each.minimum_kw),
            step=micro(each.step_kw),
            levels=tuple(micro(level) for level in each.levels_kw),
            floor=micro(each.floor_kw),
            min_on_ms=milli(each.min_on_s),
            min_off_ms=milli(each.min_off_s),
            phases=each.phases,
            rotation=each.rotation,
            tenant=each.tenant,
            failsafe=None if each.failsafe_kw is None else micro(each.failsafe_kw),
            watchdog_ms=None if each.watchdog_s is None else milli(each.watchdog_s),
        )
        for each in config.loads
    )


def resources_of(config: SiteConfig) -> tuple[Resource, ...]:
    """As the allocation sees them."""
    kinds: Mapping[str, str] = {device.id: device.kind for device in config.devices}
    return tuple(
        Resource(
            id=each.id,
            node=each.node,
            kind="battery" if kinds.get(each.id) == "battery" else "generator",
            lost_ma=_currents(each.lost_a),
            feeds_ma=_currents(each.feeds_a),
        )
        for each in config.resources
    )


def told_of(config: SiteConfig) -> dict[str, Told]:
    """By load."""
    return {each.id: Told(each.priority, each.modes) for each in config.loads}


def _currents(value: _Phases) -> Currents:
    if isinstance(value, tuple):
        return milli(value[0]), milli(value[1]), milli(value[2])
    ma = milli(value)
    return ma, ma, ma


def device_findings(config: SiteConfig, files: Mapping[str, DeviceFile]) -> Iterator[Finding]:
    """Whether each load's device can be told what it will be told, and falls back as its entry says.

    `files` by their name in the configuration.
    """
    from .devices.fallback import lacks

    devices = {device.id: device.file for device in config.devices}
    for each in config.loads:
        file = files.get(devices.get(each.id, ""))
        name = "mode" if each.modes else "limit_mw"
        if file is None:
            continue
        if name not in file.commands:
            yield Finding(f"loads[{each.id}]", f"its device file {file.id} has no command {name}")
        if each.failsafe_kw is not None and each.watchdog_s is not None:
            text = lacks(file, "failsafe_mw", micro(each.failsafe_kw), milli(each.watchdog_s))
            if text:
                text = f"{file.id} {text}; leave failsafe_kw and watchdog_s out, so that it counts with its maximum"
                yield Finding(f"loads[{each.id}].failsafe_kw", text)


def findings(config: SiteConfig) -> Iterator[Finding]:
    """What the tree itself does not know."""
    devices = {device.id: device.kind for device in config.devices}
    for each in config.loads:
        where = f"loads[{each.id}]"
        if devices.get(each.id) != "load":
            yield Finding(where, f"there is no device {each.id} of kind load; enter it below `devices:`")
        if each.modes and len(each.modes) != len(each.levels_kw) + 1:
            count = len(each.levels_kw) + 1
            yield Finding(f"{where}.modes", f"needs {count} figures: for off, and for each of levels_kw")
        if (each.failsafe_kw is None) != (each.watchdog_s is None):
            yield Finding(where, "failsafe_kw and watchdog_s belong together: give both, or none")
        elif each.failsafe_kw is not None and each.failsafe_kw > each.maximum_kw:
            yield Finding(f"{where}.failsafe_kw", "is above its maximum")
        if each.watchdog_s is not None and each.watchdog_s < 2 * TOLD_S:
            text = f"it is told each {TOLD_S} s what it may take: below {2 * TOLD_S} s it would fall back in between"
            yield Finding(f"{where}.watchdog_s", text)
        if each.rotation is None and each.phases < 3:
            text = "is not known: the load counts on each of the three phases until it is"
            yield Finding(f"{where}.rotation", text, "warning")
    for entry in config.resources:
        if devices.get(entry.id) not in ("battery", "inverter"):
            text = f"there is no device {entry.id} of kind battery or inverter; enter it below `devices:`"
            yield Finding(f"resources[{entry.id}]", text)
