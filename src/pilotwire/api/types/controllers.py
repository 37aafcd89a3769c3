"""A site that runs a controller: what flows now and why, at any moment of the past, and over time.

Power is W, current mA, energy Wh, import positive: PV is negative, a battery that charges is positive. Null is not
known. Words are sentences for people.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PageOf, Time

__all__ = [
    "ClosedWindow",
    "ClosedWindowPage",
    "LowestLimit",
    "MonthPeak",
    "PlannedCar",
    "PlannedStep",
    "SetPointChange",
    "SetPointChangePage",
    "SiteController",
    "SiteControllerPage",
    "SiteCourse",
    "SiteCourseStep",
    "SiteDevice",
    "SiteEvse",
    "SiteFlows",
    "SiteLimit",
    "SiteMark",
    "SiteNode",
    "SiteNow",
    "SiteOutlook",
    "SitePast",
    "SiteWindow",
]

_SiteId = Annotated[str, Meta(description="Id of the site", examples=["north"])]
_NodeId = Annotated[str, Meta(description="Place in the tree of fuses", examples=["garage"])]
_EvseId = Annotated[str, Meta(description="EVSE of the site", examples=["bay-1"])]
_Watts = Annotated[int | None, Meta(description="W, import positive", examples=[11_040])]
_Phases = Annotated[
    list[int | None],
    Meta(min_length=3, max_length=3, description="L1, L2, L3 in mA", examples=[[16_000, 15_800, 16_100]]),
]
_LimitPhases = (
    Annotated[
        list[int],
        Meta(min_length=3, max_length=3, description="L1, L2, L3 in mA", examples=[[63_000, 63_000, 63_000]]),
    ]
    | None
)
_Unit = Annotated[Literal["mA", "W"], Meta(description="mA per phase of an AC EVSE, W of a DC one", examples=["mA"])]
_Zone = Annotated[str, Meta(description="Of its calendar (IANA)", examples=["Europe/Berlin"])]
_Percent = Annotated[float | None, Meta(description="State of charge, in steps of 0.1", examples=[64.5])]


class SiteFlows(msgspec.Struct, kw_only=True):
    """Power at the connection, and what it is made of."""

    grid_w: Annotated[int | None, Meta(description="Into the site; negative is fed in", examples=[23_400])]
    pv_w: Annotated[int | None, Meta(description="Negative: it generates", examples=[-8_200])]
    battery_w: Annotated[int | None, Meta(description="Positive: it charges", examples=[-2_000])]
    cars_w: Annotated[int | None, Meta(description="All EVSEs together", examples=[22_100])]
    building_w: Annotated[int | None, Meta(description="What is left: everything else", examples=[11_500])]


class SiteController(msgspec.Struct, kw_only=True):
    """A site that has a controller, in short."""

    site_id: _SiteId
    name: Annotated[str, Meta(description="As the controller's configuration has it", examples=["A small car park"])]
    time_zone: _Zone
    state: Annotated[
        Literal["running", "silent", "away", "starting"],
        Meta(
            description="running: it decides each second; silent: it has not for more than ten; away: it cannot be "
            "reached from here; starting: it has not decided anything yet",
            examples=["running"],
        ),
    ]
    heard_at: Annotated[Time | None, Meta(description="Its last decision that is known here")]
    flows: Annotated[SiteFlows | None, Meta(description="Null: not known now")]
    evses: Annotated[int | None, Meta(examples=[50])]
    charging: Annotated[int | None, Meta(description="EVSEs that give power now", examples=[31])]
    marks: Annotated[int | None, Meta(description="Things that are not as they should be", examples=[0])]


class SiteControllerPage(PageOf[SiteController], kw_only=True):
    """Sites that have a controller, by name; `next` is always null."""


class LowestLimit(msgspec.Struct, kw_only=True):
    """The lowest limit in force of one figure."""

    what: Annotated[Literal["L1", "L2", "L3", "power"], Meta(examples=["L1"])]
    value: Annotated[int, Meta(description="In `unit`", examples=[63_000])]
    unit: Annotated[Literal["mA", "W"], Meta(examples=["mA"])]
    source: Annotated[str, Meta(description="Who says so", examples=["fuse"])]


class SiteNode(msgspec.Struct, kw_only=True):
    """A place in the tree of fuses; the figures are of its meter, and without one reckoned from what is measured below
    it."""

    id: _NodeId
    kind: Annotated[str, Meta(examples=["feeder"])]
    parent: Annotated[str | None, Meta(description="Null: the connection to the grid", examples=["grid"])]
    metered: Annotated[bool, Meta(examples=[True])]
    online: Annotated[bool, Meta(description="Its meter is heard", examples=[True])]
    current_ma: _Phases
    power_w: _Watts
    limits: Annotated[list[LowestLimit], Meta(description="Of each figure the lowest in force")]


class SiteEvse(msgspec.Struct, kw_only=True):
    """An EVSE, what it gives, what it may give, and why not more."""

    id: _EvseId
    node: _NodeId
    online: Annotated[bool, Meta(examples=[True])]
    pilot: Annotated[
        Literal["A", "B", "C", "D", "E", "F"] | None,
        Meta(description="IEC 61851-1: A no vehicle, B connected, C and D charging, E no power, F not available"),
    ]
    charging: Annotated[bool, Meta(examples=[True])]
    power_w: _Watts
    current_ma: _Phases
    unit: _Unit
    set_point: Annotated[int, Meta(description="What it may give now, in `unit`; 0: paused", examples=[16_000])]
    target: Annotated[int, Meta(description="Its share; the set-point is on the way there", examples=[16_000])]
    confirmed: Annotated[int | None, Meta(description="What the charger itself says that it offers", examples=[16_000])]
    code: Annotated[str, Meta(description="Why not more, for programs", examples=["limit"])]
    reason: Annotated[str, Meta(description="Why not more, for people", examples=["L1 of garage (fuse) has no room"])]
    why: Annotated[
        list[str],
        Meta(
            description="All of it in sentences, the answer first", examples=[["bay-1: it may give 16 A on 3 phases"]]
        ),
    ]
    session: Annotated[str, Meta(description="As the charger names it; empty: none", examples=["a3f1"])]
    session_wh: Annotated[int | None, Meta(examples=[18_250])]
    energy_wh: Annotated[int | None, Meta(description="Its register", examples=[1_204_500])]
    soc_percent: _Percent
    departure_at: Time | None
    fault: Annotated[str, Meta(description="What the charger says; empty: none", examples=[""])]


class SiteDevice(msgspec.Struct, kw_only=True):
    """A meter, inverter, battery, load or set of contacts."""

    id: Annotated[str, Meta(examples=["main"])]
    kind: Annotated[Literal["meter", "inverter", "battery", "load", "contacts"], Meta(examples=["meter"])]
    node: Annotated[
        str | None,
        Meta(
            description="Where it is in the tree of fuses; of a meter the node that it measures. Null: it is not said",
            examples=["garage"],
        ),
    ]
    online: Annotated[bool, Meta(examples=[True])]
    points: Annotated[
        dict[str, int],
        Meta(
            description="What it says, by the points of device files, each with its unit; power in W",
            examples=[{"power_w": 23_400, "current_l1_ma": 34_000}],
        ),
    ]


class SiteMark(msgspec.Struct, kw_only=True):
    """Something that is not as it should be; it is there as long as it is so."""

    where: Annotated[str, Meta(examples=["bay-4"])]
    code: Annotated[str, Meta(examples=["offline"])]
    words: Annotated[str, Meta(examples=["is not heard: 6 A are kept free for it"])]


class SiteLimit(msgspec.Struct, kw_only=True):
    """A limit, and who set it."""

    node: Annotated[str, Meta(description="A node, or the EVSE that it is for", examples=["grid"])]
    source: Annotated[str, Meta(description="Who says so", examples=["fuse"])]
    kind: Annotated[
        Literal["file", "schedule", "window", "tariff", "surplus", "order", "source", "telecontrol", "lost", "other"],
        Meta(
            description="file: the configuration (fuses, contracts); window: a demand window; surplus: what the sun "
            "leaves; order: by Modbus or MQTT; source: somebody outside whom the configuration names; lost: in "
            "place of one who fell silent",
            examples=["file"],
        ),
    ]
    current_ma: _LimitPhases
    power_w: Annotated[int | None, Meta(description="Negative: the most that may be fed in", examples=[43_500])]
    imbalance_ma: Annotated[int | None, Meta(description="Of one phase above another", examples=[20_000])]
    in_force: Annotated[bool, Meta(description="False: scheduled, or over", examples=[True])]
    binding: Annotated[bool, Meta(description="Some EVSE would get more without it, now", examples=[False])]
    begin: Annotated[Time | None, Meta(description="Null: always", examples=[None])]
    end: Annotated[Time | None, Meta(description="Null: until further notice", examples=[None])]


class SiteWindow(msgspec.Struct, kw_only=True):
    """A demand window that runs."""

    id: Annotated[str, Meta(description="Of the contract", examples=["quarter-hours"])]
    node: _NodeId
    begin: Time
    end: Time
    energy_wh: Annotated[int, Meta(description="So far", examples=[5_120])]
    target_w: Annotated[int, Meta(description="Its mean is to stay below", examples=[43_500])]
    limit_w: Annotated[int, Meta(description="What may flow for the rest of it", examples=[51_000])]
    forecast_w: Annotated[int, Meta(description="Its mean at its end if nothing changes", examples=[39_200])]
    peak_w: Annotated[int, Meta(description="The month's highest so far", examples=[41_900])]
    quality: Annotated[
        Literal["register", "integrated", "assumed"],
        Meta(description="Counted by the meter's register, from its power, or with the worst where it was lost"),
    ]


class SiteNow(msgspec.Struct, kw_only=True):
    """A site at one moment: what was measured, what was decided, and why."""

    site_id: _SiteId
    name: Annotated[str, Meta(examples=["A small car park"])]
    time_zone: _Zone
    time: Annotated[Time, Meta(description="Of the decision")]
    seq: Annotated[int, Meta(description="Number of the decision", examples=[90_412])]
    flows: SiteFlows
    nodes: list[SiteNode]
    evses: list[SiteEvse]
    devices: list[SiteDevice]
    marks: list[SiteMark]
    limits: Annotated[list[SiteLimit], Meta(description="All that are in force or scheduled, and who set them")]
    windows: list[SiteWindow]


class SitePast(msgspec.Struct, kw_only=True):
    """A decision of the past, made again from the record of all that was measured and heard."""

    asked_at: Annotated[Time, Meta(description="The moment that was asked for; `now.time` is that of the decision")]
    same: Annotated[bool, Meta(description="It came out as it was recorded, to the last bit", examples=[True])]
    now: SiteNow


class SetPointChange(msgspec.Struct, kw_only=True):
    """From here on an EVSE got something else, or for another reason."""

    time: Time
    evse: _EvseId
    unit: _Unit
    value: Annotated[int, Meta(description="0: paused", examples=[16_000])]
    code: Annotated[str, Meta(description="For programs", examples=["limit"])]
    words: Annotated[str, Meta(description="For people", examples=["L1 of garage (fuse) has no room for another step"])]


class SetPointChangePage(PageOf[SetPointChange], kw_only=True):
    """Changes, the oldest first, with the one in force at the beginning; at most the last 1,000; `next` is null."""


class SiteCourseStep(msgspec.Struct, kw_only=True):
    """Means over a step, and what had been planned for it."""

    time: Annotated[Time, Meta(description="Its beginning")]
    grid_w: _Watts
    pv_w: _Watts
    battery_w: _Watts
    cars_w: _Watts
    building_w: _Watts
    highest_grid_w: Annotated[int | None, Meta(description="The most in any moment of it", examples=[31_000])]
    soc_percent: Annotated[float | None, Meta(description="Of the batteries together, at its end", examples=[64.5])]
    planned_grid_w: Annotated[int | None, Meta(examples=[24_000])]
    planned_cars_w: Annotated[int | None, Meta(examples=[22_000])]
    planned_battery_w: Annotated[int | None, Meta(examples=[0])]


class SiteCourse(msgspec.Struct, kw_only=True):
    """Power over time in steps of equal length, without holes: of a step that is not known everything is null."""

    site_id: _SiteId
    begin: Time
    step_s: Annotated[int, Meta(examples=[900])]
    time_zone: _Zone
    steps: list[SiteCourseStep]


class ClosedWindow(msgspec.Struct, kw_only=True):
    """A demand window that is over."""

    id: Annotated[str, Meta(description="Of the contract", examples=["quarter-hours"])]
    node: _NodeId
    begin: Time
    end: Time
    energy_wh: Annotated[int, Meta(examples=[10_240])]
    known_wh: Annotated[int, Meta(description="What of it was measured, not assumed", examples=[10_240])]
    peak_w: Annotated[int, Meta(description="Its mean power", examples=[40_960])]
    billed_w: Annotated[int, Meta(description="With the weight of the hour", examples=[40_960])]
    target_w: Annotated[int, Meta(examples=[43_500])]
    overshoot_w: Annotated[int, Meta(description="By how much the target was missed", examples=[0])]
    quality: Literal["register", "integrated", "assumed"]
    causes_w: Annotated[
        dict[str, int],
        Meta(
            description="Mean power of each EVSE and battery; `side`: everything else",
            examples=[{"side": 9_000, "bay-1": 11_000}],
        ),
    ]


class MonthPeak(msgspec.Struct, kw_only=True):
    """The highest window of a month of the local calendar, as it is billed."""

    id: Annotated[str, Meta(description="Of the contract", examples=["quarter-hours"])]
    node: _NodeId
    month: Annotated[str, Meta(description="YYYY-MM", examples=["2026-03"])]
    peak_w: Annotated[int, Meta(examples=[41_900])]
    time: Annotated[Time | None, Meta(description="When that window began; null: not known any more")]


class ClosedWindowPage(PageOf[ClosedWindow], kw_only=True):
    """Windows, the oldest first, and the peaks of the months in which they lie; `next` is always null."""

    peaks: list[MonthPeak]


class PlannedStep(msgspec.Struct, kw_only=True):
    """So much from here to there."""

    begin: Time
    end: Time
    power_w: Annotated[int, Meta(examples=[11_000])]


class PlannedCar(msgspec.Struct, kw_only=True):
    """What the plan gives a car, and in words what keeps back the rest."""

    evse: _EvseId
    energy_wh: Annotated[int, Meta(description="Until it leaves", examples=[22_000])]
    unmet_wh: Annotated[int, Meta(description="What it needs and does not get", examples=[0])]
    words: Annotated[str, Meta(examples=["it gets all that it needs"])]
    course: list[PlannedStep]


class SiteOutlook(msgspec.Struct, kw_only=True):
    """The plan in force."""

    site_id: _SiteId
    made_at: Time
    end: Annotated[Time, Meta(description="Until when it is followed, unless a newer one comes")]
    words: Annotated[str, Meta(description="What state it is in", examples=["optimal"])]
    begin: Annotated[Time, Meta(description="Of the first step")]
    step_s: Annotated[int, Meta(examples=[900])]
    grid_w: Annotated[list[int], Meta(description="By step, import positive", examples=[[23_000, 24_500]])]
    batteries_w: Annotated[
        dict[str, list[int]],
        Meta(description="By battery and step, charging positive", examples=[{"bat": [0, -2_000]}]),
    ]
    cars: list[PlannedCar]
