"""The commissioning of one site, as people and programs see it: `Commissioning` is the port, the rest plain data.

Times are UTC in ms, figures integers in base units (mA, mW, ms), None is not known. Words are plain English sentences;
where there is a code beside them, it says the same to a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

Kind = Literal["charger", "meter", "inverter", "battery", "contacts", "load"]
"""Of devices."""
JobKind = Literal["scan", "phases", "failsafe", "dry_run"]
JobStatus = Literal["running", "done", "failed", "cancelled", "interrupted"]
"""`interrupted`: the program ended while it ran; nobody is commanded any more, and it can be started again."""
Stage = Literal["scan", "map", "phases", "failsafe", "dry_run", "live"]


class Finding(msgspec.Struct, frozen=True):
    """One mistake in the draft, or one thing worth knowing: where, and what to do."""

    where: str
    text: str
    severity: Literal["error", "warning"] = "error"


class Refused(Exception):
    """It cannot be done now; the text says why and what to do first."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The one thing that is under way, or was last."""

    kind: JobKind
    status: JobStatus
    begun_ms: int
    ended_ms: int | None = None
    done: int = 0
    total: int = 0
    """In addresses and units of a scan, EVSEs of phases and fail-safes, seconds of a dry run."""
    words: str = ""
    """What it does now, or how it ended."""
    todo: str = ""
    """What to do next where it did not end well."""


class ScanAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look. `hosts`: networks (10.0.0.0/24), ranges (10.0.0.5-20), addresses and names, each with :port or
    without; `serial`: paths of serial lines, or addresses of our own (rtu:///dev/ttyUSB0?baud=19200&parity=E)."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = (502,)
    serial: tuple[str, ...] = ()
    units: tuple[int, ...] = ()
    """Empty: the usual ones."""
    public: bool = False
    """Addresses outside of private networks too."""
    timeout_ms: int = 400
    """How long a unit may take to answer."""
    stations_s: int = 0
    """So long is waited for OCPP stations that knock at `ocpp.listen`."""


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A device file that fits. `by`: identity (its marks fit) or figures (what it reads could be a mains)."""

    id: str
    vendor: str
    model: str
    kind: Kind
    by: str
    outlets: int = 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A Modbus unit that answers, or an OCPP station that has knocked. `id`: endpoint and unit, or ocpp:IDENTITY."""

    id: str
    endpoint: str = ""
    unit: int = 1
    who: str = ""
    """What it says of itself."""
    serial: str = ""
    files: tuple[FoundFile, ...] = ()
    """Best first."""
    identity: str = ""
    """Of an OCPP station."""
    state: Literal["answers", "connected", "refused"] = "answers"
    at_ms: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the pulses of an EVSE have said."""

    evse: str
    outcome: Literal[
        "found", "three_phases", "nothing_moved", "unclear", "no_car", "no_meter", "no_room", "car_left", "meter_lost",
        "offline", "not_following", "cancelled",
    ]  # fmt: skip
    phases: tuple[int, ...] = ()
    """1, 2, 3 for L1, L2, L3 of the grid."""
    rotation: str = ""
    """That fits; for a car with one conductor the second and third letter are assumed to follow in order."""
    confidence: int = 0
    """Per mille."""
    agrees: bool | None = None
    """With the rotation that is written in the draft."""
    node: str = ""
    """The lowest metered node at which its pulses were seen."""
    elsewhere: bool = False
    """That is not the one above it in the draft."""
    words: str = ""
    todo: str = ""
    at_ms: int = 0


class FailsafeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the fail-safe of an EVSE, or of a load. Values are in its unit."""

    evse: str
    """Its id, or the load's."""
    unit: Literal["mA", "mW"] = "mA"
    value: int = 0
    watchdog_ms: int | None = None
    outcome: Literal["confirmed", "refused", "offline", "none"] = "offline"
    """confirmed: set, and read back; none: by the draft it has none, so it counts with its maximum."""
    proof: Literal["not_asked", "fell_back", "kept", "unseen", "no_room", "failed"] = "not_asked"
    """What it did when it was left alone: fell back; kept what it had; nothing could be seen of it."""
    words: str = ""
    todo: str = ""
    at_ms: int = 0


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was exceeded while nobody was commanded. `excess` and `highest` in mA, or mW for `what` power."""

    node: str
    what: str
    """L1, L2, L3, power or imbalance."""
    source: str
    limit: int
    highest: int
    seconds: int
    first_ms: int
    last_ms: int


class DryEvse(msgspec.Struct, frozen=True, kw_only=True):
    """What one EVSE would have been told. Values in its unit."""

    evse: str
    unit: Literal["mA", "mW"] = "mA"
    now: int = 0
    commands: int = 0
    lowest: int | None = None
    highest: int | None = None
    """Of what it would have been told while it had a car; None without one."""
    car_s: int = 0
    drew_more_s: int = 0
    """So long it drew more than it would have been offered."""
    reasons: Mapping[str, int] = {}
    """Code of the reason to seconds."""
    words: str = ""
    """Why it would get what it would get, now."""


class DryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry run has seen."""

    begun_ms: int
    until_ms: int
    seconds: int = 0
    ticks: int = 0
    failures: int = 0
    commands: int = 0
    """That would have been given, in all."""
    violations: tuple[Violation, ...] = ()
    evses: tuple[DryEvse, ...] = ()
    marks: Mapping[str, int] = {}
    """`WHERE: what was wrong there` to seconds."""
    flows: Mapping[str, tuple[int, int, int]] = {}
    """The highest current of each metered node, by phase."""


class DraftEvse(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE as it stands in the draft; figures as the file has them."""

    id: str
    node: str = ""
    reached: str = ""
    """In words: device file and endpoint, or the station's identity."""
    phases: int = 3
    rotation: str = ""
    maximum: str = ""
    in_service: bool = True


class DraftNode(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str = ""
    parent: str = ""
    fuse: str = ""
    """Its first limit of currents, A."""
    meter: str = ""
    side: str = ""
    depth: int = 0


class DraftDevice(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str = ""
    file: str = ""
    endpoint: str = ""
    unit: int = 1


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration as it stands. `text` is the file that would be written."""

    site: str = ""
    name: str = ""
    time_zone: str = "UTC"
    nodes: tuple[DraftNode, ...] = ()
    devices: tuple[DraftDevice, ...] = ()
    evses: tuple[DraftEvse, ...] = ()
    findings: tuple[Finding, ...] = ()
    text: str = ""

    @property
    def sound(self) -> bool:
        """Whether it may run."""
        return bool(self.evses) and not any(each.severity == "error" for each in self.findings)


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the draft: entries as they stand in the file, put in by `id` over what is there (a value of None
    takes a setting away). `remove`: ids of nodes, devices and EVSEs. `text` replaces the whole."""

    site: Mapping[str, Any] = {}
    failsafe: Mapping[str, Any] = {}
    nodes: tuple[Mapping[str, Any], ...] = ()
    devices: tuple[Mapping[str, Any], ...] = ()
    evses: tuple[Mapping[str, Any], ...] = ()
    remove: tuple[str, ...] = ()
    take: Mapping[str, str] = {}
    """Ids of what was found, to be entered as it is suggested, each with the device file to use ("": the first)."""
    text: str | None = None


class PhasesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """`evses` empty: all whose rotation is not written down; `verify`: all others as well."""

    evses: tuple[str, ...] = ()
    verify: bool = False
    settle_s: int = 15
    """How long a car gets to follow."""
    pulses: int = 3


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    stage: Stage
    """The step that is next."""
    done: tuple[Stage, ...] = ()
    draft: Draft
    found: tuple[Found, ...] = ()
    mapped: Mapping[str, str] = {}
    """Id of what was found to the id that it has in the draft."""
    verdicts: tuple[Verdict, ...] = ()
    failsafes: tuple[FailsafeResult, ...] = ()
    overloads: tuple[str, ...] = ()
    """Limits that could be exceeded, as far as the fail-safes have been read back; in words."""
    dry_run: DryReport | None = None
    job: Job | None = None
    networks: tuple[str, ...] = ()
    """Where looking may be worth it: the networks that this machine is in."""
    file: str = ""
    """Where the configuration is written to in the end."""
    live: bool = False
    """The site runs: only the scan and the draft can be worked on."""
    written_ms: int | None = None
    """When the file was written last."""


class Commissioning(Protocol):
    """The commissioning of one site. Every method that begins something raises `Refused` where that cannot be now,
    and ConnectionError where the site is far away and cannot be reached."""

    @property
    def id(self) -> str:
        """Of the site."""
        ...

    @property
    def name(self) -> str: ...

    async def state(self) -> State: ...

    async def scan(self, ask: ScanAsk) -> None: ...

    async def edit(self, change: Edit) -> None:
        """What is wrong with the outcome stands in the draft's findings; only what is no configuration is refused."""
        ...

    async def phases(self, ask: PhasesAsk) -> None: ...

    async def accept(self, evses: tuple[str, ...]) -> None:
        """Write the rotations that were found into the draft; empty: all of them."""
        ...

    async def failsafe(self, prove: bool) -> None: ...

    async def dry_run(self, seconds: int) -> None: ...

    async def cancel(self) -> None:
        """End what is under way; whoever was commanded is told its fail-safe value."""
        ...

    async def write(self, live: bool) -> str:
        """Write the file; `live`: and run the site from it. Returns the path."""
        ...
