"""How a station's charging is limited: the profiles that it has, and what follows from them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Time

_Unit = Literal["A", "W"]


class ChargingProfilePeriod(msgspec.Struct, kw_only=True):
    """A period of a charging profile."""

    start_s: Annotated[int, Meta(description="Into the schedule", examples=[0])]
    limit: Annotated[float | None, Meta(description="In the unit of the profile", examples=[16.0])]
    phases: Annotated[int | None, Meta(examples=[3])]
    mode: Annotated[str, Meta(description="operationMode of OCPP 2.1", examples=["ChargingOnly"])]


class InstalledProfile(msgspec.Struct, kw_only=True):
    """A charging profile that the station has accepted or reported."""

    id: Annotated[int, Meta(examples=[7])]
    evse: Annotated[int, Meta(description="0: the whole station")]
    purpose: Annotated[str, Meta(examples=["TxDefaultProfile"])]
    kind: Annotated[str, Meta(examples=["Absolute"])]
    recurrency: Annotated[str | None, Meta(examples=["Daily"])]
    stack_level: Annotated[int, Meta(description="The higher goes before", examples=[1])]
    source: Annotated[str, Meta(description="chargingLimitSource: who has set it", examples=["CSO"])]
    transaction: Annotated[str | None, Meta(description="OCPP transactionId, of a TxProfile")]
    valid_from: Time | None
    valid_to: Time | None
    unit: Annotated[_Unit, Meta(examples=["A"])]
    start: Annotated[Time | None, Meta(description="By the station's clock; null: with the transaction, or when set")]
    duration_s: int | None
    periods: list[ChargingProfilePeriod]


class ScheduleStep(msgspec.Struct, kw_only=True):
    """From here on so much."""

    time: Time
    limit: Annotated[float | None, Meta(description="Null: nothing limits that we know of", examples=[11040.0])]


class ExpectedSchedule(msgspec.Struct, kw_only=True):
    """What the station will allow at an EVSE, by what is known of it."""

    evse: Annotated[int, Meta(description="0: the whole station")]
    unit: Annotated[_Unit, Meta(examples=["W"])]
    start: Time
    duration_s: int
    steps: list[ScheduleStep]


class StationCharging(msgspec.Struct, kw_only=True):
    """How a station's charging is limited."""

    profiles: Annotated[list[InstalledProfile], Meta(examples=[[]])]
    limited_by: Annotated[
        list[str], Meta(description="Other systems that limit it, with the EVSE", examples=[["EMS 0"]])
    ]
    priority: Annotated[list[str], Meta(description="Transactions with priority charging", examples=[["a3f1"]])]
    schedules: Annotated[
        list[ExpectedSchedule], Meta(description="For each EVSE, and 0 where all are limited", examples=[[]])
    ]
