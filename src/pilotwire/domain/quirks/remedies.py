"""What the central system does differently for stations with a quirk: by itself where the quirk was seen, or because an
operator said so for a vendor, a model or a firmware. The newest word that fits best counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from pilotwire.domain.records import Station

from .catalogue import quirk


class Remedy(NamedTuple):
    """One of them."""

    id: str
    title: str
    what: str


REMEDIES: Mapping[str, Remedy] = {
    one.id: one
    for one in (
        Remedy(
            "keys-by-name",
            "Ask for settings by name",
            "A question for all settings (GetConfiguration without keys) goes out as questions by name, eight keys "
            "at once; the answers are put together.",
        ),
        Remedy(
            "small-batches",
            "Few variables at once",
            "GetVariables and SetVariables go out with one variable each; the answers are put together.",
        ),
        Remedy(
            "no-triggers",
            "No TriggerMessage of our own accord",
            "The central system does not ask for messages by TriggerMessage unless somebody commands it.",
        ),
        Remedy(
            "connector-in-start",
            "Name the connector in a remote start",
            "A remote start without a connector names the one that is waiting, or the only one there is.",
        ),
        Remedy(
            "whole-seconds",
            "Times without fractions",
            "Times in our answers (currentTime) have whole seconds.",
        ),
        Remedy(
            "wait-for-boot",
            "Send nothing before the first message",
            "On a new connection commands wait until the station has spoken, for two minutes at most.",
        ),
    )
}


class Setting(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An operator's word for a remedy. Empty fields fit all; `firmware` is a beginning."""

    remedy: str
    on: bool = True
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    note: str = ""

    def fits(self, station: Station) -> bool:
        """Whether it is about this station."""
        return (
            self.vendor.casefold() in ("", station.vendor.casefold())
            and self.model.casefold() in ("", station.model.casefold())
            and station.firmware.startswith(self.firmware)
        )

    @property
    def closeness(self) -> int:
        """The more it names, the more it counts."""
        return bool(self.vendor) + 2 * bool(self.model) + 4 * bool(self.firmware)


def active(station: Station, settings: Iterable[Setting]) -> frozenset[str]:
    """The remedies that count for a station."""
    found = {known.remedy for id in station.quirks if (known := quirk(id)) is not None and known.remedy}
    for one in sorted((one for one in settings if one.fits(station)), key=lambda one: one.closeness):
        if one.on:
            found.add(one.remedy)
        else:
            found.discard(one.remedy)
    return frozenset(found)
