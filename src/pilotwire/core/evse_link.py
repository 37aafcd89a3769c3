"""What a station hears of a vehicle and says to it, whichever link carries it: pilot, DIN, ISO 15118, CHAdeMO, GB/T.

The EVSE's end of each protocol is an `EvseLink`: it turns what the vehicle says into the events below and takes the
commands below. Above it nobody knows the name of a message. Quantities are integers: mV, mA, mW, Wh, ms, SoC in 0.1 %.
What flows into the vehicle is positive, what it gives back negative. `None` is: not told, or no limit.

    vehicle → station (events)                       station → vehicle (commands)
    Connected   a conversation has begun             Offer        what the EVSE can give (and take) now
    Identified  who it is                            Authorize    the answer to AuthorizationAsked
    AuthorizationAsked                               Isolation    the answer to IsolationAsked
    CertificateAsked                                 Contactor    the answer to ContactorAsked
    Limits      what it can take (and give)          Locked       the answer to LockAsked
    Needs       SoC, energy, departure               Measured     what is at the outlet
    IsolationAsked, LockAsked, ContactorAsked        Certificate  the answer to CertificateAsked
    Requested   voltage, current or power, now       Schedule     what may flow when, and for what price
    ProfileChosen, ReceiptSigned                     ReceiptWanted
    Paused, Fault, Ended                             Positioned, Pause, Resume, Renegotiate, Stop
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol

import msgspec

from .machines import Machine

LinkProtocol = Literal[
    "iec61851", "din70121", "iso15118-2", "iso15118-20", "chademo1", "chademo2", "gbt27930-2011", "gbt27930-2015"
]
Service = Literal["AC", "DC", "AC_BPT", "DC_BPT", "WPT", "DC_ACDP", "DC_ACDP_BPT"]
Side = Literal["ev", "evse"]


# ── events: from the vehicle ─────────────────────────────────────────────────────────────────────────────────────────
class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with a vehicle has begun."""

    protocol: LinkProtocol
    resumed: bool = False
    """It was paused before and goes on (OK_OldSessionJoined)."""
    session_id: str = ""
    """The link's own name of the session, hexadecimal."""


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """Who it is, as far as it has said; told again when more is known."""

    evccid: str = ""
    mac: str = ""
    vin: str = ""
    emaid: str = ""
    contract: tuple[bytes, ...] = ()
    """The contract's certificate chain, DER, leaf first, its signature checked by the link."""


class AuthorizationAsked(msgspec.Struct, frozen=True, kw_only=True):
    """It waits to be let in. Answered by `Authorize`."""

    by: Literal["external", "contract"]


class CertificateAsked(msgspec.Struct, frozen=True, kw_only=True):
    """It wants a contract certificate. Answered by `Certificate`."""

    action: Literal["install", "update"]
    schema: str
    """Namespace of the message, as OCPP's Get15118EVCertificate wants it."""
    exi: bytes
    """The request as it came."""
    most_contracts: int = 1


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the vehicle can take and give."""

    service: Service
    max_mv: int | None = None
    min_mv: int | None = None
    max_ma: int | None = None
    min_ma: int | None = None
    max_mw: int | None = None
    min_mw: int | None = None
    phases: int | None = None
    max_discharge_ma: int | None = None
    max_discharge_mw: int | None = None
    capacity_wh: int | None = None
    min_soc: int | None = None
    max_soc: int | None = None


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What it wants to have, by when."""

    soc: int | None = None
    target_soc: int | None = None
    energy_wh: int | None = None
    """Until its target."""
    min_energy_wh: int | None = None
    max_energy_wh: int | None = None
    departure_ms: int | None = None
    """From now, not a time of day."""
    remaining_ms: int | None = None
    """To its target."""
    dynamic: bool | None = None
    """It leaves the plan to the station (ISO 15118-20, dynamic control); None: its protocol does not know of this."""
    tuples: int | None = None
    """How many periods of a schedule it can take."""


class IsolationAsked(msgspec.Struct, frozen=True):
    """Cable check: test the isolation, then `Isolation`."""


class LockAsked(msgspec.Struct, frozen=True):
    """Lock (or unlock) the plug, then `Locked`."""

    locked: bool


class ContactorAsked(msgspec.Struct, frozen=True):
    """Close (or open) the output, then `Contactor`."""

    closed: bool


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """What the vehicle wants at this moment, within what was offered: set the output to it, at once.

    DC: `mv` and `ma`. AC: `ma` per phase, or `mw` in all (ISO 15118-20). Zero: nothing.
    """

    mv: int = 0
    ma: int = 0
    mw: int | None = None
    phase: Literal["precharge", "charge"] = "charge"


class ProfileChosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the schedules it follows, and how it will draw: (start in s from now, mW)."""

    schedule: int = 0
    points: tuple[tuple[int, int], ...] = ()


class ReceiptSigned(msgspec.Struct, frozen=True, kw_only=True):
    """It has confirmed a meter reading (MeteringReceipt, MeteringConfirmation)."""

    energy_wh: int
    signature: bytes = b""


class Paused(msgspec.Struct, frozen=True):
    """It sleeps; the session goes on when it comes back."""

    by: Side


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong. `code` is one of IEC 61851's minimum error codes where one fits, else the link's own word."""

    code: str
    by: Side
    text: str = ""
    rule: str = ""
    """The message and the clause that say so."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation is over; the output must be off."""

    reason: str
    """In words, for people: who ended it and by which message."""
    by: Side
    ok: bool = True
    """As the protocol foresees it; else something went wrong."""


# ── commands: to the vehicle ─────────────────────────────────────────────────────────────────────────────────────────
class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What the EVSE can give and take now; may change at any time."""

    max_mv: int | None = None
    min_mv: int = 0
    max_ma: int = 0
    """AC: per phase."""
    min_ma: int = 0
    max_mw: int | None = None
    min_mw: int = 0
    phases: int = 3
    nominal_mv: int = 230_000
    """AC, per phase."""
    max_discharge_ma: int = 0
    max_discharge_mw: int = 0
    setpoint_mw: int | None = None
    """Dynamic control: what is to flow; negative: to be given back."""
    energy_wh: int | None = None
    """No more than so much in this session."""


class Authorize(msgspec.Struct, frozen=True, kw_only=True):
    """Let it in, or not. `reason`: expired, revoked, unknown, no-contract, ... for the link's own response code."""

    accepted: bool
    reason: str = ""


class Isolation(msgspec.Struct, frozen=True):
    """How the test of the isolation ended."""

    status: Literal["valid", "warning", "fault", "no-monitor"]


class Locked(msgspec.Struct, frozen=True):
    """Where the lock is now."""

    locked: bool


class Contactor(msgspec.Struct, frozen=True):
    """Where the contactor is now."""

    closed: bool


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is at the outlet."""

    mv: int = 0
    ma: int = 0
    mw: int = 0
    energy_wh: int = 0
    """The meter's register."""
    meter_id: str = ""
    signed: bytes = b""
    """The register as the meter signs it."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The EXI answer to `CertificateAsked`; empty: there is none."""

    exi: bytes = b""
    more: int = 0


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """From `start_s` on, and above `from_mw`, so much a kWh."""

    start_s: int
    amount: Decimal
    from_mw: int = 0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What may flow when: (start in s from now, mW), and until when (s)."""

    points: tuple[tuple[int, int], ...]
    duration_s: int = 86_400
    prices: tuple[Price, ...] = ()
    currency: str = ""
    id: int = 1


class ReceiptWanted(msgspec.Struct, frozen=True):
    """The next reading is to be confirmed by the vehicle."""


class Positioned(msgspec.Struct, frozen=True, kw_only=True):
    """Where the vehicle stands, over its pad or below its pantograph; before the first one it stands right."""

    in_place: bool
    x_mm: int = 0
    """How far it is off, ahead and to the right."""
    y_mm: int = 0


class Pause(msgspec.Struct, frozen=True):
    """Put charging off: the vehicle is to sleep until `Resume`."""


class Resume(msgspec.Struct, frozen=True):
    """Wake it up."""


class Renegotiate(msgspec.Struct, frozen=True):
    """The schedule has changed: it is to ask again."""

    service: bool = False
    """Not the schedule but the service is to be chosen anew (ISO 15118-20)."""


class Stop(msgspec.Struct, frozen=True):
    """End the session in order; with `emergency` at once."""

    reason: str = ""
    emergency: bool = False


EvseEvent = (
    Connected
    | Identified
    | AuthorizationAsked
    | CertificateAsked
    | Limits
    | Needs
    | IsolationAsked
    | LockAsked
    | ContactorAsked
    | Requested
    | ProfileChosen
    | ReceiptSigned
    | Paused
    | Fault
    | Ended
)
EvseCommand = (
    Offer
    | Authorize
    | Isolation
    | Locked
    | Contactor
    | Measured
    | Certificate
    | Schedule
    | ReceiptWanted
    | Positioned
    | Pause
    | Resume
    | Renegotiate
    | Stop
    | Fault
)


class EvseLink(Machine, Protocol):
    """The EVSE's end of a link. Commands that mean nothing to a protocol are ignored by it, never refused."""

    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        """Effects as of `receive`. A command may come at any time, before the vehicle too: the last one counts."""
        ...
