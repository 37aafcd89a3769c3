"""The types of the public API. OpenAPI is made from these; records of the store are mapped to them, never shown.

Energy is Wh, power W, both integers. State of charge is in percent. Times are RFC 3339 in UTC with three decimals.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

Time = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC",
        examples=["2026-03-14T09:26:53.589Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
StationId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=48,
        pattern=r"^[^\x00-\x1f\x7f-\x9f:]+$",
        description="Identity of the station: the last part of its WebSocket URL; no colon",
        examples=["CP-1001"],
    ),
]
Note = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Free text for people")]
Short = Annotated[str, Meta(max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class Connector(msgspec.Struct, kw_only=True, gc=False):
    """A connector and what it does now."""

    evse: Annotated[int, Meta(description="EVSE id; OCPP 1.6 connector n is EVSE n, connector 1")]
    connector: int
    status: Annotated[str, Meta(description="The OCPP version's own status name", examples=["Charging"])]
    status_since: Time | None
    error_code: str
    info: str
    power_w: Annotated[int, Meta(description="Present power into the car, W")]
    session_id: Annotated[str | None, Meta(description="The running session")]


class Station(msgspec.Struct, kw_only=True, gc=False):
    """A charging station: what it told of itself and whether it may connect."""

    id: Annotated[str, Meta(examples=["CP-1001"])]
    connected: bool
    ocpp_version: Annotated[str | None, Meta(description="Of the newest connection: 1.6, 2.0.1 or 2.1")]
    vendor: str
    model: str
    serial: str
    firmware: str
    firmware_status: str
    boot_status: Annotated[str | None, Meta(description="What its newest BootNotification was answered")]
    booted_at: Time | None
    connected_at: Time | None
    disconnected_at: Time | None
    last_seen: Time | None
    peer: Annotated[str, Meta(description="Address of the newest connection")]
    security_profile: int
    clock_skew_ms: Annotated[int, Meta(description="The station's clock minus ours")]
    power_w: Annotated[int, Meta(description="Present power of all its connectors, W")]
    registered: Annotated[bool, Meta(description="An account exists; without one it connects only in the lab")]
    enabled: Annotated[bool, Meta(description="False: its account is switched off")]
    note: str
    site: Annotated[str, Meta(description="Id of the site where it stands; empty: none", examples=["north-depot"])]
    connectors: list[Connector]


class Facet(msgspec.Struct, kw_only=True):
    """A value that can be filtered by."""

    value: Annotated[str, Meta(description="Empty where a station has none", examples=["Voltwerk"])]
    stations: Annotated[int, Meta(description="How many have it", examples=[12])]


class StationFacets(msgspec.Struct, kw_only=True):
    """What there is to filter stations by."""

    vendor: list[Facet]
    model: list[Facet]
    firmware: list[Facet]
    ocpp_version: list[Facet]
    site: Annotated[list[Facet], Meta(description="By id")]


class NewStation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The account of a station that is to connect."""

    id: StationId
    password: (
        Annotated[
            str,
            Meta(
                min_length=8,
                max_length=64,
                pattern=PRINTABLE,
                description="Left out (or null): a random one is made. OCPP asks for 16 characters or more.",
            ),
        ]
        | None
    ) = None
    security_profile: Annotated[int, Meta(ge=0, le=3, description="0 none (lab), 1 password, 2 TLS, 3 certificate")] = 1
    organization: Annotated[Short, Meta(description="Profile 3: the O that its certificate must carry")] = ""
    serial: Annotated[Short, Meta(description="Profile 3: the CN, where it is not the identity")] = ""
    boot: Annotated[
        Literal["Accepted", "Pending", "Rejected"], Meta(description="What its BootNotification is answered")
    ] = "Accepted"
    note: Note = ""
    site: Annotated[Short, Meta(description="Id of the site where it stands")] = ""


class StationCreated(msgspec.Struct, kw_only=True):
    """A new account. The password is shown this once."""

    id: str
    url: Annotated[str, Meta(examples=["wss://csms.example.com/ocpp/CP-1001"])]
    user: Annotated[str, Meta(description="User of HTTP Basic authentication: the identity")]
    password: Annotated[str | None, Meta(description="Null where the profile needs none")]
    security_profile: int
    created_at: Time


class StationChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a station's account; what is left out stays."""

    password: Annotated[str, Meta(min_length=8, max_length=64, pattern=PRINTABLE)] | msgspec.UnsetType = msgspec.UNSET
    security_profile: Annotated[int, Meta(ge=0, le=3)] | msgspec.UnsetType = msgspec.UNSET
    organization: Short | msgspec.UnsetType = msgspec.UNSET
    serial: Short | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    boot: Literal["Accepted", "Pending", "Rejected"] | msgspec.UnsetType = msgspec.UNSET
    note: Note | msgspec.UnsetType = msgspec.UNSET
    site: Short | msgspec.UnsetType = msgspec.UNSET


class Cost(msgspec.Struct, kw_only=True):
    """What a session costs, so far or in all."""

    amount: Annotated[str, Meta(description="Decimal text: what the driver pays, with tax", examples=["8.41"])]
    currency: Annotated[str, Meta(examples=["EUR"])]
    tariff_id: Annotated[str, Meta(description="As stations know it; empty: the station alone has it")]
    chosen: Annotated[
        Literal["driver", "default", "station", "changed", ""],
        Meta(description="Why this tariff: the driver's, the place's, named by the station, changed under way"),
    ]
    final: Annotated[bool, Meta(description="The session has ended and nothing is missing", examples=[True])]
    station_amount: Annotated[
        str | None, Meta(description="What the station itself came to, where it says so", examples=["8.41"])
    ]
    agrees: Annotated[bool | None, Meta(description="Whether that is ours to the cent; null: not known (yet)")]


class SessionVehicle(msgspec.Struct, kw_only=True):
    """What the vehicle of a session has told by its link with the station (ISO 15118, CHAdeMO, GB/T 27930)."""

    name: Annotated[str | None, Meta(description="What it calls itself", examples=["ZZPWRV00000001X"])]
    name_type: Annotated[Literal["EVCCID", "VIN", "MacAddress"] | None, Meta(description="Which kind of name that is")]
    energy_transfer: Annotated[str | None, Meta(description="OCPP EnergyTransferModeEnumType", examples=["DC_BPT"])]
    energy_wh: Annotated[int | None, Meta(description="Energy that it wanted when it said so last, Wh")]
    departure: Annotated[Time | None, Meta(description="When it leaves")]


class Session(msgspec.Struct, kw_only=True, gc=False):
    """A charging session. Exactly one for each transaction, whatever the wire did."""

    id: str
    station_id: str
    evse: int
    connector: int
    transaction: Annotated[str, Meta(description="OCPP transactionId")]
    token: str
    token_type: str
    status: Literal["active", "ended"]
    started_at: Time
    ended_at: Time | None
    updated_at: Time | None
    energy_wh: Annotated[int, Meta(description="Energy delivered, Wh")]
    power_w: Annotated[int, Meta(description="Present power, W; 0 when ended")]
    soc_percent: Annotated[float | None, Meta(description="State of charge of the car, where the station knows it")]
    meter_start_wh: int | None
    meter_stop_wh: int | None
    charging_state: str
    stop_reason: str | None
    ocpp_version: str
    flags: Annotated[list[str], Meta(description="Anomalies seen, e.g. started-offline, seq-gap, meter-went-back")]
    cost: Annotated[Cost | None, Meta(description="Null: no tariff holds")]
    vehicle: Annotated[SessionVehicle | None, Meta(description="Null: it has told nothing of itself")]


class Sample(msgspec.Struct, kw_only=True):
    """One sampled value of the meter, in base units."""

    time: Annotated[Time, Meta(description="By the station's clock")]
    evse: int
    connector: int
    measurand: Annotated[str, Meta(examples=["Energy.Active.Import.Register"])]
    value: float
    unit: Annotated[str, Meta(examples=["Wh"])]
    phase: str | None
    location: str | None
    context: str | None


class CurvePoint(msgspec.Struct, kw_only=True):
    """A point of a power curve."""

    time: Time
    power_w: int


class Curve(msgspec.Struct, kw_only=True):
    """The power of a session over time, thinned to what a chart can show."""

    session_id: str
    source: Annotated[
        Literal["power", "energy", "none"],
        Meta(description="Measured power, or power derived from the steps of the energy register"),
    ]
    points: list[CurvePoint]


class NewCommand(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A command to a station."""

    action: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=50,
            pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
            description="An OCPP action of the station's version with its own payload, or one of the version-neutral "
            "verbs in lower case: start, stop, unlock, reset, availability, trigger, variables …",
            examples=["Reset", "start"],
        ),
    ]
    payload: dict[str, Any] = {}
    timeout_s: Annotated[float, Meta(ge=0.1, le=120, description="How long to wait for the station's answer")] = 30.0
    expires_in_s: (
        Annotated[
            float,
            Meta(ge=1, le=2_592_000, description="If the station is away, keep the command this long and send it then"),
        ]
        | None
    ) = None
    reason: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^[^\x00]*$",
            description="Why; needed for commands that can cut a station off, take it out of service or change whom it "
            "trusts (reset, unlock, firmware, certificates …). It is kept in the audit log",
            examples=["display frozen, driver on the phone"],
        ),
    ] = ""


class CommandAnswer(msgspec.Struct, kw_only=True):
    """What the station said."""

    command_id: str
    station_id: str
    action: str
    outcome: Annotated[
        Literal["answered", "refused"],
        Meta(description="answered: a CALLRESULT; refused: a CALLERROR, whose code and description are the answer"),
    ]
    answer: Annotated[dict[str, Any], Meta(examples=[{"status": "Accepted"}])]


class Command(msgspec.Struct, kw_only=True):
    """A command and what became of it."""

    id: str
    station_id: str
    action: str
    payload: Any
    requested_at: Time
    expires_at: Time | None
    requested_by: str
    outcome: Annotated[str, Meta(description="pending, sent, answered, refused, timed-out, expired or undeliverable")]
    answer: Any
    settled_at: Time | None


TokenCredit = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$",
        description="Prepaid: the most that a session may cost, in the tariff's currency; nothing is taken off it here",
        examples=["25.00"],
    ),
]
TokenSites = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]],
    Meta(max_length=100, description="The sites (ids) at which alone it may charge; none: everywhere"),
]


class Token(msgspec.Struct, kw_only=True):
    """An IdToken and what it may do."""

    token: str
    type: str
    status: str
    parent: Annotated[str, Meta(description="Group: parentIdTag, groupIdToken")]
    expires_at: Time | None
    credit: TokenCredit | None
    sites: TokenSites
    driver_id: Annotated[str | None, Meta(description="Who carries it")]
    note: str
    created_at: Time


class NewToken(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A token to add, or to replace where it exists."""

    token: Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE, examples=["04A1B2C3D4"])]
    type: Annotated[str, Meta(min_length=1, max_length=20, pattern=PRINTABLE, examples=["ISO14443"])] = "ISO14443"
    status: Literal["Accepted", "Blocked", "Expired", "Invalid"] = "Accepted"
    parent: Annotated[Short, Meta(description="Group: parentIdTag, groupIdToken")] = ""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    credit: TokenCredit | None = None
    sites: TokenSites = msgspec.field(default_factory=list[str])
    note: Note = ""


class Totals(msgspec.Struct, kw_only=True):
    """The whole site at a glance."""

    time: Time
    stations: int
    stations_online: int
    connectors: int
    connectors_faulted: int
    charging_now: Annotated[int, Meta(description="Sessions that draw power now")]
    sessions_active: int
    power_w: int
    energy_today_wh: Annotated[int, Meta(description="Delivered since midnight by the server's zone")]
    sessions_today: Annotated[int, Meta(description="Sessions that were running at some time today")]
    alarms_open: Annotated[int, Meta(description="Alarms that are open, of those that you may see", examples=[2])] = 0
    alarms_critical: Annotated[int, Meta(description="Critical ones among them", examples=[0])] = 0


class FactShown(msgspec.Struct, kw_only=True):
    """A fact of the journal as the API shows it."""

    type: Annotated[str, Meta(examples=["session-started.1"])]
    summary: Annotated[str, Meta(description="In plain words")]
    fact: Annotated[dict[str, Any], Meta(description="The fact's own fields; `event_time` is by the station's clock")]


class JournalEvent(msgspec.Struct, kw_only=True):
    """A committed entry of the journal."""

    seq: int
    station_id: str
    received_at: Time
    facts: list[FactShown]


class FrameShown(msgspec.Struct, kw_only=True):
    """A raw OCPP frame as it passed."""

    station_id: str
    time: Time
    direction: Annotated[Literal["in", "out"], Meta(description="in: from the station")]
    text: str


class Happening(msgspec.Struct, kw_only=True):
    """One line of news."""

    seq: int
    time: Time
    station_id: str
    type: str
    summary: str
    level: Literal["info", "good", "warn", "bad"]


class Overview(msgspec.Struct, kw_only=True):
    """Everything that the live page shows."""

    totals: Totals
    stations: list[Station]
    sessions: Annotated[list[Session], Meta(description="The running ones")]
    events: Annotated[list[Happening], Meta(description="The newest first")]


class LiveUpdate(msgspec.Struct, kw_only=True):
    """What has changed since the message before. Whole items: each replaces the one with the same id."""

    totals: Totals
    stations: list[Station]
    sessions: Annotated[list[Session], Meta(description="Changed ones; one that has ended comes once more, as ended")]
    removed: Annotated[list[str], Meta(description="Stations that are gone")]
    events: list[Happening]
    alarms: Annotated[list[str], Meta(description="Ids of alarms that were raised, acknowledged or cleared")] = []


class Health(msgspec.Struct, kw_only=True):
    """The process answers."""

    status: Literal["ok"]
    version: str


class PageOf(msgspec.Struct, Generic[T], kw_only=True):
    """A page of a list; ask again with `cursor=<next>` until `next` is null."""

    items: list[T]
    next: Annotated[str | None, Meta(description="Cursor of the next page; null on the last", examples=[None])] = None
    total: Annotated[
        int | msgspec.UnsetType | None,
        Meta(description="With `count=true`: how many there are in all; null where there are too many to count"),
    ] = msgspec.UNSET


# Named pages, so that the schema has readable names.
class StationPage(PageOf[Station], kw_only=True):
    """Stations by id."""


class SessionPage(PageOf[Session], kw_only=True):
    """Sessions, newest started first."""


class SessionSums(msgspec.Struct, kw_only=True):
    """What sessions come to; null where too many would have to be gone through: the reports have sums by day."""

    sessions: int | None
    energy_wh: Annotated[int | None, Meta(description="Wh, of running ones what they have delivered so far")]
    duration_s: Annotated[int | None, Meta(description="From begin to end, all together; of running ones until now")]


class SamplePage(PageOf[Sample], kw_only=True):
    """Samples in order of time."""


class CommandPage(PageOf[Command], kw_only=True):
    """Commands, newest first."""


class TokenPage(PageOf[Token], kw_only=True):
    """Tokens by name."""
