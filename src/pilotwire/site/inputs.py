"""All that a decision rests on. A log of these, in order, is all that is needed to make each decision again."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilotwire.domain.energy import Limit, Moment
from pilotwire.domain.steering import External, Plan

from .ports import EvseStatus, Value


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What has become of what an EVSE was told, since this process is running. Values are in the EVSE's unit."""

    confirmed: int | None = None
    """What it has confirmed last."""
    confirmed_ms: int = 0
    open: int | None = None
    """The highest of what has been sent since and not confirmed: it may have it, or may not."""
    open_ms: int = 0
    """Since when."""
    failsafe: bool = False
    """Its fail-safe registers stand as they should: set, and read back, since it came."""


class EvseInput(msgspec.Struct, frozen=True, array_like=True):
    """One EVSE as its driver knows it."""

    id: str
    status: EvseStatus
    link: Link


class DeviceInput(msgspec.Struct, frozen=True, array_like=True):
    """One device as its driver knows it."""

    id: str
    online: bool
    points: Mapping[str, Value]


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """The last word of somebody who sets limits: `limit` None says that there is none."""

    source: str
    limit: Limit | None
    at_ms: int
    """When it was heard, of the loop's clock. A limit that ends says so by itself (UTC)."""


class TickInputs(msgspec.Struct, frozen=True, array_like=True):
    """Everything, at one moment. EVSEs and devices are in the order of the configuration."""

    seq: int
    now: Moment
    evses: tuple[EvseInput, ...]
    devices: tuple[DeviceInput, ...] = ()
    heard: tuple[Heard, ...] = ()
    """By source in order."""
    external: External = External()
    """Telecontrol and prices, as far as they are decoded."""
    plan: Plan | None = None
    """What the planner wants, if anything."""
