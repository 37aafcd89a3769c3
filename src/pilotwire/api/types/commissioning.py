"""The commissioning of a site: what was found, the draft of its file, phases, fail-safes, the dry run.

Currents are mA, power W, times RFC 3339. Words are sentences for people; the code beside them says the same to a
program. What the draft takes is written as in the site's file, in the file's units.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .base import Time

__all__ = [
    "CommissionedDevice",
    "CommissionedEvse",
    "CommissionedFile",
    "CommissionedNode",
    "Commissioning",
    "CommissioningAccept",
    "CommissioningDraft",
    "CommissioningDryRun",
    "CommissioningEdit",
    "CommissioningFailsafe",
    "CommissioningFinding",
    "CommissioningGoLive",
    "CommissioningJob",
    "CommissioningPhases",
    "CommissioningScan",
    "DryRunEvse",
    "DryRunReport",
    "DryRunViolation",
    "FailsafeResult",
    "FoundDeviceFile",
    "FoundUnit",
    "PhaseVerdict",
]

_Evse = Annotated[str, Meta(description="EVSE of the draft", examples=["bay-1"])]
_Node = Annotated[str, Meta(description="Place in the tree of fuses", examples=["garage"])]
_Words = Annotated[str, Meta(description="For people", examples=["it is on L2: 3 of 3 pulses say so"])]
_Todo = Annotated[str, Meta(description="What to do next, for people; empty: nothing", examples=["Plug a car in"])]
_Unit = Annotated[Literal["mA", "W"], Meta(description="mA per phase of an AC EVSE, W of a DC one", examples=["mA"])]
_Value = Annotated[int, Meta(description="In `unit`", examples=[16_000])]
_Stage = Literal["scan", "map", "phases", "failsafe", "dry_run", "live"]
_Line = Annotated[str, Meta(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["192.168.1.0/24"])]
_Seconds = Annotated[int, Meta(description="s", examples=[86_400])]


class CommissioningJob(msgspec.Struct, kw_only=True):
    """The one thing that is under way, or was last."""

    kind: Annotated[Literal["scan", "phases", "failsafe", "dry_run"], Meta(examples=["scan"])]
    status: Annotated[
        Literal["running", "done", "failed", "cancelled", "interrupted"],
        Meta(description="interrupted: the program ended while it ran; begin it again", examples=["running"]),
    ]
    begun_at: Time
    ended_at: Time | None
    done: Annotated[int, Meta(description="Of `total`", examples=[3])]
    total: Annotated[
        int, Meta(description="Addresses of a scan, EVSEs of phases and fail-safes, seconds of a dry run", examples=[6])
    ]
    words: _Words
    todo: _Todo


class FoundDeviceFile(msgspec.Struct, kw_only=True):
    """A device file that fits."""

    id: Annotated[str, Meta(examples=["keba-p30"])]
    vendor: Annotated[str, Meta(examples=["KEBA"])]
    model: Annotated[str, Meta(examples=["KeContact P30"])]
    kind: Annotated[Literal["charger", "meter", "inverter", "battery", "contacts", "load"], Meta(examples=["charger"])]
    by: Annotated[
        str,
        Meta(description="identity: its marks fit; figures: what it reads could be a mains", examples=["identity"]),
    ]
    outlets: Annotated[int, Meta(examples=[1])]


class FoundUnit(msgspec.Struct, kw_only=True):
    """A Modbus unit that answers, or an OCPP station that has knocked."""

    id: Annotated[str, Meta(examples=["tcp://192.168.1.31:502#255"])]
    endpoint: Annotated[str, Meta(description="Where it was found", examples=["tcp://192.168.1.31:502"])]
    unit: Annotated[int, Meta(examples=[255])]
    who: Annotated[str, Meta(description="What it says of itself", examples=["KEBA KeContact P30"])]
    serial: Annotated[str, Meta(examples=["17619300"])]
    files: Annotated[list[FoundDeviceFile], Meta(description="Best first")]
    identity: Annotated[str, Meta(description="Of an OCPP station; empty for a unit", examples=[""])]
    state: Annotated[Literal["answers", "connected", "refused"], Meta(examples=["answers"])]
    found_at: Time
    entered_as: Annotated[str, Meta(description="Its id in the draft; empty: not entered", examples=["bay-1"])]


class CommissioningFinding(msgspec.Struct, kw_only=True):
    """What is wrong in the draft, or worth knowing."""

    where: Annotated[str, Meta(examples=["nodes[grid].limits"])]
    text: Annotated[str, Meta(examples=["enter the main fuse: without a limit nothing protects the connection"])]
    severity: Annotated[Literal["error", "warning"], Meta(examples=["error"])]


class CommissionedNode(msgspec.Struct, kw_only=True):
    """A place of the tree, as the draft has it; figures as text, in A."""

    id: _Node
    kind: Annotated[str, Meta(examples=["feeder"])]
    parent: Annotated[str, Meta(examples=["grid"])]
    fuse_a: Annotated[str, Meta(description="Of one phase, or L1 / L2 / L3", examples=["63"])]
    meter: Annotated[str, Meta(description="A device of the draft", examples=["main"])]
    side_lost_a: Annotated[str, Meta(description="What the building takes at the most", examples=["20"])]
    depth: Annotated[int, Meta(description="0: the connection", examples=[1])]


class CommissionedDevice(msgspec.Struct, kw_only=True):
    """A device of the draft."""

    id: Annotated[str, Meta(examples=["main"])]
    kind: Annotated[str, Meta(examples=["meter"])]
    file: Annotated[str, Meta(examples=["eastron-sdm630"])]
    endpoint: Annotated[str, Meta(examples=["tcp://192.168.1.20:502"])]
    unit: Annotated[int, Meta(examples=[1])]


class CommissionedEvse(msgspec.Struct, kw_only=True):
    """An EVSE of the draft."""

    id: _Evse
    node: _Node
    reached: Annotated[
        str, Meta(description="How, in words", examples=["keba-p30 at tcp://192.168.1.31:502, unit 255"])
    ]
    phases: Annotated[int, Meta(examples=[3])]
    rotation: Annotated[str, Meta(description="Empty: not known", examples=["RST"])]
    maximum: Annotated[str, Meta(description="With its unit", examples=["32 A"])]
    in_service: bool


class CommissioningDraft(msgspec.Struct, kw_only=True):
    """The configuration as it stands."""

    site: Annotated[str, Meta(description="Id in the file", examples=["north"])]
    name: Annotated[str, Meta(examples=["North car park"])]
    time_zone: Annotated[str, Meta(examples=["Europe/Berlin"])]
    sound: Annotated[bool, Meta(description="It could run")]
    nodes: list[CommissionedNode]
    devices: list[CommissionedDevice]
    evses: list[CommissionedEvse]
    findings: list[CommissioningFinding]
    text: Annotated[str, Meta(description="The file (YAML)", examples=["site: {id: north}\n"])]


class PhaseVerdict(msgspec.Struct, kw_only=True):
    """What the pulses of an EVSE have said."""

    evse: _Evse
    outcome: Annotated[
        str,
        Meta(
            description="found, three_phases, nothing_moved, unclear, no_car, no_meter, no_room, car_left, meter_lost, "
            "offline, not_following or cancelled",
            examples=["found"],
        ),
    ]
    phases: Annotated[list[int], Meta(description="1, 2, 3 for L1, L2, L3 of the grid", examples=[[2]])]
    rotation: Annotated[str, Meta(description="That fits; empty: not known", examples=["STR"])]
    confidence_percent: Annotated[float, Meta(examples=[100.0])]
    agrees: Annotated[bool | None, Meta(description="With what is written in the draft; null: nothing is")]
    node: Annotated[str, Meta(description="The lowest meter that has seen its pulses", examples=["garage"])]
    elsewhere: Annotated[bool, Meta(description="That is not the meter above it in the draft")]
    words: _Words
    todo: _Todo
    at: Time


class FailsafeResult(msgspec.Struct, kw_only=True):
    """What became of the fail-safe of an EVSE."""

    evse: _Evse
    unit: _Unit
    value: _Value
    watchdog_s: Annotated[int | None, Meta(description="Null: it has none", examples=[60])]
    outcome: Annotated[
        Literal["confirmed", "refused", "offline", "none"],
        Meta(
            description="confirmed: set, and read back; none: by the draft it counts with its maximum",
            examples=["confirmed"],
        ),
    ]
    proof: Annotated[
        Literal["not_asked", "fell_back", "kept", "unseen", "no_room", "failed"],
        Meta(description="What it did when it was left alone", examples=["fell_back"]),
    ]
    words: _Words
    todo: _Todo
    at: Time


class DryRunViolation(msgspec.Struct, kw_only=True):
    """A limit that was exceeded while nobody was commanded."""

    node: _Node
    what: Annotated[str, Meta(description="L1, L2, L3, power or imbalance", examples=["L2"])]
    source: Annotated[str, Meta(description="Whose limit", examples=["fuse"])]
    unit: _Unit
    limit: _Value
    highest: _Value
    seconds: _Seconds
    first_at: Time
    last_at: Time


class DryRunEvse(msgspec.Struct, kw_only=True):
    """What one EVSE would have been told."""

    evse: _Evse
    unit: _Unit
    now: _Value
    commands: Annotated[int, Meta(examples=[12])]
    lowest: Annotated[int | None, Meta(description="While it had a car; null without one", examples=[6_000])]
    highest: Annotated[int | None, Meta(examples=[16_000])]
    car_s: Annotated[int, Meta(description="So long a car was there, s", examples=[5_400])]
    drew_more_s: Annotated[int, Meta(description="So long it drew more than it would have been offered", examples=[0])]
    words: _Words


class DryRunReport(msgspec.Struct, kw_only=True):
    """What a dry run has seen."""

    begun_at: Time
    until: Time
    seconds: _Seconds
    ticks: Annotated[int, Meta(examples=[86_400])]
    failures: Annotated[int, Meta(description="Ticks that failed", examples=[0])]
    commands: Annotated[int, Meta(description="That would have been given", examples=[412])]
    violations: list[DryRunViolation]
    evses: list[DryRunEvse]
    marks: Annotated[dict[str, int], Meta(description="What was wrong, to seconds", examples=[{"bay-1: is lost": 4}])]
    highest_ma: Annotated[
        dict[str, list[int]],
        Meta(description="By metered place: L1, L2, L3 at the most", examples=[{"grid": [41_000, 38_500, 40_200]}]),
    ]


class Commissioning(msgspec.Struct, kw_only=True):
    """All of it. Poll it while `job.status` is running."""

    site_id: Annotated[str, Meta(description="Id of the site", examples=["north"])]
    stage: Annotated[_Stage, Meta(description="The step that is next", examples=["phases"])]
    done: Annotated[list[_Stage], Meta(description="Steps that are over", examples=[["scan", "map"]])]
    live: Annotated[bool, Meta(description="The site runs: only the scan and the draft can be worked on")]
    draft: CommissioningDraft
    found: list[FoundUnit]
    verdicts: list[PhaseVerdict]
    failsafes: list[FailsafeResult]
    overloads: Annotated[
        list[str],
        Meta(
            description="Limits that could be exceeded when all fall back, as far as that has been read back",
            examples=[[]],
        ),
    ]
    dry_run: DryRunReport | None
    job: CommissioningJob | None
    networks: Annotated[
        list[str], Meta(description="The networks that the machine is in", examples=[["192.168.1.0/24"]])
    ]
    file: Annotated[str, Meta(description="Where it is written to in the end", examples=["/etc/pilotwire/site.yaml"])]
    written_at: Time | None


class CommissioningScan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where to look. Nothing is written to anybody."""

    hosts: Annotated[
        list[_Line],
        Meta(
            max_length=100,
            description="Networks, ranges (192.168.1.20-40), addresses and names, with :port or without",
            examples=[["192.168.1.0/24"]],
        ),
    ] = []
    ports: Annotated[
        list[Annotated[int, Meta(ge=1, le=65_535)]], Meta(max_length=10, min_length=1, examples=[[502]])
    ] = msgspec.field(default_factory=lambda: [502])
    serial: Annotated[
        list[Annotated[str, Meta(max_length=200, pattern=r"^(/dev/|rtu:///dev/)[A-Za-z0-9_./?=&-]+$")]],
        Meta(max_length=10, description="Serial lines", examples=[["/dev/ttyUSB0"]]),
    ] = []
    units: Annotated[
        list[Annotated[int, Meta(ge=0, le=255)]], Meta(max_length=256, description="Empty: the usual ones")
    ] = []
    public: Annotated[bool, Meta(description="Addresses outside of private networks, too")] = False
    timeout_ms: Annotated[int, Meta(ge=50, le=5_000, description="How long a unit may take to answer, ms")] = 400
    stations_s: Annotated[
        int, Meta(ge=0, le=900, description="How long to wait for OCPP stations that knock, s", examples=[60])
    ] = 0


class CommissioningEdit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change of the draft. Entries are written as in the file and are put over what is there by their `id`; null
    takes a setting away."""

    site: Annotated[dict[str, Any], Meta(examples=[{"id": "north", "time_zone": "Europe/Berlin"}])] = {}
    failsafe: Annotated[dict[str, Any], Meta(examples=[{"current_a": 6, "watchdog_s": 60}])] = {}
    nodes: Annotated[
        list[dict[str, Any]],
        Meta(max_length=1_000, examples=[[{"id": "grid", "limits": [{"source": "fuse", "current_a": 63}]}]]),
    ] = []
    devices: Annotated[list[dict[str, Any]], Meta(max_length=1_000, examples=[[{"id": "main", "unit": 2}]])] = []
    evses: Annotated[list[dict[str, Any]], Meta(max_length=2_000, examples=[[{"id": "bay-1", "node": "garage"}]])] = []
    remove: Annotated[list[str], Meta(max_length=2_000, description="Ids of nodes, devices, EVSEs")] = []
    take: Annotated[
        dict[str, str],
        Meta(
            description="What was found, to be entered as it is suggested: its id to the device file to use, or to "
            "nothing for the first",
            examples=[{"tcp://192.168.1.31:502#255": ""}],
        ),
    ] = {}
    text: (
        Annotated[str, Meta(max_length=500_000, description="The whole file instead", examples=["site: {id: north}\n"])]
        | None
    ) = None


class CommissioningPhases(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which EVSEs to find the phases of. Every other car pauses meanwhile."""

    evses: Annotated[list[str], Meta(max_length=2_000, description="Empty: all that are not known")] = []
    verify: Annotated[bool, Meta(description="Those that are written down, too")] = False
    settle_s: Annotated[int, Meta(ge=1, le=120, description="How long a car gets to follow, s")] = 15
    pulses: Annotated[int, Meta(ge=1, le=10)] = 3


class CommissioningAccept(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Rotations that were found, to be written into the draft."""

    evses: Annotated[list[str], Meta(max_length=2_000, description="Empty: all")] = []


class CommissioningFailsafe(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Set and read back the fail-safes of all chargers."""

    prove: Annotated[bool, Meta(description="And leave each alone until it falls back")] = False


class CommissioningDryRun(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Let the loop run and command nobody."""

    seconds: Annotated[int, Meta(ge=1, le=604_800, description="For how long", examples=[86_400])] = 86_400


class CommissioningGoLive(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Write the file."""

    live: Annotated[bool, Meta(description="And run the site from it")] = False


class CommissionedFile(msgspec.Struct, kw_only=True):
    """The file that was written."""

    path: Annotated[str, Meta(examples=["/etc/pilotwire/site.yaml"])]
    live: bool
