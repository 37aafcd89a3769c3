"""Records: what storage keeps by key and the API shows. Sessions and stations are folds over facts; the others are
settings that people make. They are trees: reference counting frees them, so the cycle collector need not look (gc).

Times are ms since the epoch (UTC), energy Wh, power W, SoC 0.1 %. Every record begins with its tenant.
"""

from __future__ import annotations

import msgspec

from .kept import Kept
from .schedules.model import Profile
from .tariffs.bill import Bill
from .tariffs.model import Tariff


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One sampled value of a meter. Telemetry: it has its own store and is unique by everything but its value."""

    evse: int
    connector: int
    time: int
    """ms, the station's own clock."""
    measurand: str
    """The standard's name, e.g. Energy.Active.Import.Register."""
    value: int
    """Thousandths of `unit`'s base: mWh, mW, mA, mV, m%, m°C …, exact."""
    unit: str
    """The base unit: Wh, W, A, V, varh, var, VA, VAh, Celsius, Percent, Hz …"""
    phase: str = ""
    location: str = ""
    context: str = ""
    session_id: str = ""


class Connector(msgspec.Struct, omit_defaults=True, gc=False):
    evse: int
    connector: int
    status: str = "Unknown"
    error_code: str = ""
    info: str = ""
    since: int = 0
    session_id: str = ""
    power_w: int = 0


class ClockEstimate(msgspec.Struct, array_like=True, gc=False):
    """What the estimator of a station's clock remembers (`domain.clock`)."""

    at: int = 0
    """When a message was last looked at (ms, our clock)."""
    offsets: list[int] = []
    """The last offsets believed (event time minus arrival, ms)."""
    odd: list[tuple[int, int]] = []
    """(arrival, offset) of messages that contradict them: a queue being drained, or a clock that was set."""


class Charging(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What is known of how a station's charging is limited (`domain.charging`)."""

    profiles: list[Profile] = []
    """The charging profiles that it has accepted or reported, in the order in which they were set."""
    priority: list[str] = []
    """Transactions with priority charging."""
    elsewhere: list[str] = []
    """Who else limits it, by source and EVSE."""
    planning: list[str] = []
    """Transactions whose vehicle has told what it needs (ISO 15118)."""
    lost: list[Profile] = []
    """TxProfiles of running transactions that a restart has cost it: sent again to one that resumes these (2.1)."""


class QuirkRecord(msgspec.Struct, array_like=True, gc=False):
    """A quirk of a station: when it was seen first and last (ms, to within a day), and with which firmware last."""

    first: int
    last: int
    firmware: str = ""


class Pricing(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What is known of how a station prices (`domain.costs`)."""

    zone: str | None = None
    """Its time zone, by which a tariff's times are meant; None: it has not said."""
    kinds: dict[int, str] = {}
    """AC or DC, by EVSE, as far as it has said so."""
    shows: bool = False
    """1.6: it shows prices and cost to drivers (California's messages)."""
    tariffs: dict[int, list[Tariff]] = {}
    """The default tariffs that it has accepted, by EVSE (0: all), in the order in which they were set."""
    shows_tariff: bool | None = None
    """2.x: it has something to show a tariff on (TariffCostCtrlr.Available[Tariff]); None as always: not said."""
    shows_messages: bool | None = None
    """2.x: it can show messages (DisplayMessageCtrlr.Available)."""
    takes_tariffs: bool | None = None
    """2.1: tariffs that it is given are in use there (TariffCostCtrlr.Enabled[Tariff])."""
    calculates: bool | None = None
    """2.1: it works out the cost by them (TariffCostCtrlr.Enabled[Cost])."""
    takes_conditions: bool | None = None
    """2.1: their prices may have conditions (TariffCostCtrlr.ConditionsSupported[Tariff])."""
    most_prices: int | None = None
    """2.1: how many prices each of their lists may have (TariffCostCtrlr.MaxElements[Tariff])."""


class Station(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What is known of a station: the fold of its own facts."""

    tenant: str
    id: str
    ocpp_version: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    boot_status: str = ""
    """Accepted, Pending, Rejected, or "" before the first boot."""
    booted_at: int = 0
    connected: bool = False
    connected_at: int = 0
    disconnected_at: int = 0
    last_seen: int = 0
    """When a fact last came, to within ten seconds (as is every connector's `power_w`): see `domain.state`."""
    peer: str = ""
    security_profile: int = 0
    skew_ms: int = 0
    """The station's clock minus ours, estimated from messages that came live."""
    firmware_status: str = ""
    connectors: list[Connector] = []
    epoch: int = 0
    """How many connections it has had; answers of an older epoch are dropped."""
    clock: ClockEstimate | None = None
    charging: Charging | None = None
    """None where nothing limits it that we know of."""
    pricing: Pricing | None = None
    kept: Kept | None = None
    """What it keeps of what it was told (`domain.kept`); None: nothing."""
    quirks: dict[str, QuirkRecord] = {}
    """By the name that `domain.quirks` has for it."""
    batches: dict[str, int] = {}
    """How many items one message to it may carry, by the message, as its ItemsPerMessage variables say."""


class Register(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A reading of the energy register: when (station's clock, ms) and how much (Wh)."""

    time: int
    wh: int


class Reading(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A register reading with its place in the transaction (2.x): seqNo, station's clock (ms), Wh."""

    seq: int
    time: int
    wh: int


class Marks(msgspec.Struct, array_like=True, gc=False):
    """Where a session's present values come from, so that the order of arrival does not matter: the seqNo in 2.x, the
    reading's time in 1.6; -1 where nothing came yet."""

    started: int = -1
    token: int = -1
    evse: int = -1
    state: int = -1
    power: int = -1
    soc: int = -1


class SessionVehicle(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What is known of the vehicle of a session, as far as it talks with its station."""

    name: str = ""
    name_type: str = ""
    """EVCCID, VIN or MacAddress."""
    transfer: str = ""
    """EnergyTransferModeEnumType that it asked for."""
    energy_wh: int | None = None
    """What it wanted to have when it said so last."""
    departure: int | None = None
    """When it leaves (station's clock, ms)."""


class Session(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A charging session: the fold of its facts, exactly once whatever the wire did."""

    tenant: str
    id: str
    station_id: str
    transaction: str
    start_key: str = ""
    ocpp_version: str
    evse: int
    connector: int
    token: str = ""
    token_type: str = ""
    status: str = "active"
    """active or ended."""
    started_at: int
    ended_at: int | None = None
    received_at: int = 0
    """When the first message of the session reached us."""
    updated_at: int = 0
    meter_start_wh: int | None = None
    meter_stop_wh: int | None = None
    energy_wh: int = 0
    power_w: int = 0
    soc: int | None = None
    charging_state: str = ""
    stop_reason: str = ""
    flags: list[str] = []
    """Anomalies in plain kebab-case words: started-offline, no-start, seq-gap, meter-went-back, clock-1970 …"""
    seen: list[list[int]] = []
    """2.x seqNo ranges received, as sorted disjoint [first, last]."""
    ended_seq: int | None = None
    first: Register | None = None
    last: Register | None = None
    reported_start: int = 0
    """`started_at` as the station's own clock had it."""
    reported_stop: int | None = None
    """`ended_at` as the station's own clock had it; None until the station itself said that the session ended."""
    latest_event: int = 0
    """The newest time in any message of the session (station's clock)."""
    clock_ms: int = 0
    """What was taken off reported times that cannot be right; 0 where they stand as reported."""
    edges: list[Reading] = []
    """2.x: the first and last readings by seqNo, then by time."""
    marks: Marks = msgspec.field(default_factory=Marks)
    bill: Bill | None = None
    """What it costs; None where it has no tariff."""
    vehicle: SessionVehicle | None = None
    """None where it has told nothing of itself."""


class Command(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A durable intent towards a station and what became of it."""

    tenant: str
    id: str
    station_id: str
    action: str
    payload: str
    requested_at: int
    expires_at: int
    by: str = ""
    outcome: str = "pending"
    """pending, sent, answered, refused, timed-out, expired or undeliverable."""
    answer: str = ""
    settled_at: int | None = None


class StationAccount(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Who may connect as this station: made by an operator, never by a frame."""

    tenant: str
    id: str
    security_profile: int = 1
    """0 none (lab only), 1 Basic, 2 TLS + Basic, 3 client certificate (OCPP 2.1 part 2, A00)."""
    password: str = ""
    """Verifier as made by `pilotwire.crypto.passwords`, never the password."""
    next_password: str = ""
    """Of a password that was sent to the station and that it has not used yet: until it does, or refuses it, both are
    taken, so that a connection that breaks in between locks nobody out."""
    next_profile: int = 0
    """The higher profile that the station was told to go to: from when it comes by that one, the old is refused."""
    organization: str = ""
    """Profile 3: the O that the client certificate must carry."""
    serial: str = ""
    """Profile 3: the CN that it must carry; the identity itself where empty."""
    enabled: bool = True
    site: str = ""
    """Id of the site where it stands."""
    boot: str = "Accepted"
    """What BootNotification is answered: Accepted, Pending or Rejected."""
    created_at: int = 0
    note: str = ""


class Token(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """An IdToken and what it may do."""

    tenant: str
    token: str
    type: str = "ISO14443"
    status: str = "Accepted"
    """AuthorizationStatus to answer: Accepted, Blocked, Expired, Invalid."""
    parent: str = ""
    """parentIdTag / groupIdToken."""
    expires_at: int | None = None
    credit: str = ""
    """Prepaid: the most that may still be spent, as a decimal number; "": it is not prepaid (2.1 C17)."""
    sites: list[str] = []
    """The sites at which alone it may charge; none: everywhere."""
    note: str = ""
    created_at: int = 0


class User(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Somebody who may log in."""

    tenant: str
    name: str
    password: str
    """argon2id; "" for whom another provider knows."""
    role: str = "operator"
    created_at: int = 0
    sites: list[str] | None = None
    """The sites that the person sees; None: every one, where the role reaches so far."""
    tokens: list[str] = []
    """Of a driver: the tokens that are theirs."""
    email: str = ""
    language: str = ""
    """Of pages and letters, e.g. de; "": as the browser asks."""
    enabled: bool = True
    subject: str = ""
    """Who it is to the OpenID provider: `<issuer> <sub>`."""
    changed_at: int = 0
    """When the password was set."""


class ApiKey(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A key of a program."""

    tenant: str
    id: str
    name: str
    digest: str
    """SHA-256 of the key, hex; the key itself is shown once."""
    role: str = "service"
    created_at: int = 0
    expires_at: int | None = None
    sites: list[str] | None = None
    """The sites that it reaches; None: every one."""
    made_by: str = ""
    rotated_at: int = 0
    old_digest: str = ""
    """Of the key before it was rotated."""
    old_until: int = 0
    """How long that one is still taken."""


class Variable(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A reported device-model variable (2.x) or configuration key (1.6, component "")."""

    tenant: str
    station_id: str
    component: str
    variable: str
    component_instance: str = ""
    variable_instance: str = ""
    evse: int | None = None
    connector: int | None = None
    attribute: str = "Actual"
    value: str | None = None
    mutability: str = ""
    data_type: str = ""
    unit: str = ""
    reported_at: int = 0
