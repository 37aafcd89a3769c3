"""The device model (2.x) and configuration keys (1.6), explained, read and set."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PRINTABLE, CommandAnswer, PageOf, Time

_Name = Annotated[str, Meta(min_length=1, max_length=50, pattern=PRINTABLE)]
_Instance = Annotated[str, Meta(max_length=50, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class Variable(msgspec.Struct, kw_only=True):
    """A variable as the station reported it, with what the standard says of it."""

    component: Annotated[str, Meta(description="Empty: a configuration key of OCPP 1.6", examples=["OCPPCommCtrlr"])]
    component_instance: str
    evse: int | None
    connector: int | None
    variable: Annotated[str, Meta(examples=["HeartbeatInterval"])]
    variable_instance: str
    attribute: Annotated[str, Meta(description="Actual, Target, MinSet or MaxSet")]
    value: Annotated[str | None, Meta(description="Null: not reported, or never to be shown")]
    secret: Annotated[bool, Meta(description="Its value is never shown")]
    mutability: Annotated[str, Meta(description="As reported, else as the standard has it; empty: not known")]
    writable: Annotated[bool, Meta(description="It can be set, as far as is known")]
    data_type: str
    unit: str
    description: Annotated[str, Meta(description="What it does; empty for what the standard does not name")]
    standard: Annotated[bool, Meta(description="The standard names it; otherwise it is the vendor's own")]
    required: bool
    values: Annotated[list[str], Meta(description="Allowed values, or members of the list, where they are few")]
    low: int | None
    high: int | None
    reboot: Annotated[bool, Meta(description="A change often takes effect after a restart")]
    reported_at: Time | None


class VariableSetting(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A value to set. For OCPP 1.6 `variable` alone is the key."""

    variable: _Name
    component: _Instance = ""
    component_instance: _Instance = ""
    variable_instance: _Instance = ""
    evse: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    connector: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] | None = None
    value: Annotated[str, Meta(max_length=2500, pattern=r"^[^\x00]*$")]


class VariableSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Values to set on a station."""

    variables: Annotated[list[VariableSetting], Meta(min_length=1, max_length=50)]
    timeout_s: Annotated[float, Meta(ge=0.1, le=120)] = 30.0
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""
    unchecked: Annotated[
        bool, Meta(description="Send it even where it is read-only or out of range as far as is known here")
    ] = False


class VariableOutcome(msgspec.Struct, kw_only=True):
    """What the station said to one value."""

    component: str
    variable: str
    evse: int | None
    connector: int | None
    status: Annotated[
        str,
        Meta(
            description="Accepted, Rejected, RebootRequired, NotSupported, UnknownComponent, UnknownVariable …; "
            "NoAnswer where none came, NotSent where an earlier one kept it from being sent",
            examples=["RebootRequired"],
        ),
    ]
    accepted: bool
    reboot_required: bool
    message: Annotated[str, Meta(description="In plain words")]
    command_id: str


class VariableOutcomes(msgspec.Struct, kw_only=True):
    """What the station said, for each value in the order given."""

    results: list[VariableOutcome]
    accepted: int
    reboot_required: Annotated[bool, Meta(description="Something takes effect after a restart only")]


class VariableNamed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which variable."""

    variable: _Name
    component: _Instance = ""
    component_instance: _Instance = ""
    variable_instance: _Instance = ""
    evse: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    connector: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class VariableRefresh(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to read anew."""

    variables: Annotated[list[VariableNamed], Meta(max_length=50, description="None: everything")] = []
    report: Annotated[
        Literal["full", "configuration", "summary"],
        Meta(description="2.x, when no variable is named: which report the station is to send"),
    ] = "full"
    timeout_s: Annotated[float, Meta(ge=0.1, le=120)] = 30.0


class VariableRefreshed(msgspec.Struct, kw_only=True):
    """What was asked, and whether the values are here already."""

    answer: CommandAnswer
    complete: Annotated[
        bool, Meta(description="False: the station accepted and sends the values by and by (NotifyReport)")
    ]


class VariablePage(PageOf[Variable], kw_only=True):
    """Variables by component."""
