"""Services of ISO 15118-20, their identifiers and their parameter sets (8.4.3, from table 204 on)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pilotwire.core.evse_link import Service

from ..config import Dialect

Message = dict[str, Any]

SERVICE_IDS: Final[dict[Service, int]] = {
    "AC": 1, "DC": 2, "WPT": 3, "DC_ACDP": 4, "AC_BPT": 5, "DC_BPT": 6, "DC_ACDP_BPT": 7,
}  # fmt: skip
SERVICES: Final[dict[int, Service]] = {id_: service for service, id_ in SERVICE_IDS.items()}
INTERNET: Final = 65
PARKING_STATUS: Final = 66
BIDIRECTIONAL: Final[frozenset[Service]] = frozenset({"AC_BPT", "DC_BPT", "DC_ACDP_BPT"})
OF_DIALECT: Final[dict[Dialect, tuple[Service, ...]]] = {
    "iso20-ac": ("AC_BPT", "AC"),
    "iso20-dc": ("DC_BPT", "DC"),
    "iso20-wpt": ("WPT",),
    "iso20-acdp": ("DC_ACDP_BPT", "DC_ACDP"),
}
"""The energy services that an application protocol can carry."""

SCHEDULED: Final = 1
DYNAMIC: Final = 2
BY_EVCC: Final = 1
BY_SECC: Final = 2
NO_PRICES: Final = 0
ABSOLUTE_PRICES: Final = 1
PRICE_LEVELS: Final = 2


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """An energy service and how it is to be run, as ServiceSelectionReq picked it."""

    service: Service
    parameter_set: int
    dynamic: bool = False
    mobility_by_secc: bool = False
    """The station, not the vehicle, says what is wanted by when (MobilityNeedsMode 2)."""
    pricing: int = NO_PRICES

    @property
    def bidirectional(self) -> bool:
        return self.service in BIDIRECTIONAL


def parameter(name: str, value: int | str | bool) -> Message:
    """One parameter: bool, int and name are what the services of the standard use."""
    kind = "boolValue" if isinstance(value, bool) else "intValue" if isinstance(value, int) else "finiteString"
    return {"Name": name, kind: value}


def read_parameters(one: Message) -> dict[str, Any]:
    """The parameters of a set by name, whichever type each has."""
    found: dict[str, Any] = {}
    for each in one["Parameter"]:
        found[each["Name"]] = next((value for key, value in each.items() if key != "Name"), None)
    return found


def control_sets(scheduled: bool, dynamic: bool, pricing: Iterable[int]) -> list[dict[str, int]]:
    """ControlMode × MobilityNeedsMode × Pricing as offered; 2 of MobilityNeedsMode goes with dynamic alone
    ([V2G20-2663])."""
    modes = [(SCHEDULED, BY_EVCC)] if scheduled or not dynamic else []
    modes += [(DYNAMIC, BY_EVCC), (DYNAMIC, BY_SECC)] if dynamic else []
    return [
        {"ControlMode": control, "MobilityNeedsMode": mobility, "Pricing": prices}
        for control, mobility in modes
        for prices in pricing
    ]


def parameter_sets(fixed: dict[str, int], controls: Iterable[dict[str, int]]) -> list[Message]:
    """ParameterSets, numbered from 1: what is the same in all of them, and how each is controlled."""
    return [
        {"ParameterSetID": place, "Parameter": [parameter(*item) for item in (fixed | control).items()]}
        for place, control in enumerate(controls, 1)
    ][:32]


def selection(service: Service, chosen: Message) -> Selection:
    """What a parameter set of an energy service means; what it does not say is the simplest."""
    values = read_parameters(chosen)
    return Selection(
        service=service,
        parameter_set=chosen["ParameterSetID"],
        dynamic=values.get("ControlMode") == DYNAMIC,
        mobility_by_secc=values.get("MobilityNeedsMode") == BY_SECC,
        pricing=values.get("Pricing") or NO_PRICES,
    )


INTERNET_SETS: Final = [
    {"ParameterSetID": place, "Parameter": [parameter("Protocol", protocol), parameter("Port", port)]}
    for place, (protocol, port) in enumerate((("https", 443), ("http", 80)), 1)
]
"""The internet service: which protocol at which port."""
PARKING_SETS: Final = [
    {"ParameterSetID": place, "Parameter": [parameter("IntendedService", service), parameter("ParkingStatusType", 3)]}
    for place, service in enumerate((1, 2), 1)
]
"""Parking status: check in, check out; parked by hand, by whoever sits inside."""
