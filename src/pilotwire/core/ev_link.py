"""What the inside of a vehicle hears of the EVSE and says to it, whichever link carries it. The mirror of `evse_link`.

Quantities as there: mV, mA, mW, Wh, ms, SoC in 0.1 %; into the vehicle is positive.

    EVSE → vehicle (events)                    vehicle → EVSE (commands)
    Linked       a conversation has begun      Drive      what the battery is, wants and measures; again when it changes
    Allowed      charging is authorised        Contacts   the answer to ContactsAsked
    Offered      what the EVSE can give        Halt       end in order; Rest: pause; Ask: renegotiate
    ContactsAsked close (or open) the inlet
    Flowing      what is at the outlet
    Parted       it is over
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from .evse_link import Fault, LinkProtocol, Offer, Schedule, Service
from .machines import Machine

__all__ = [
    "Allowed", "Ask", "Contacts", "ContactsAsked", "Drive", "EvCommand", "EvEvent", "EvLink", "Fault", "Flowing",
    "Halt", "Linked", "Offered", "Parted", "Rest",
]  # fmt: skip


# ── events: from the EVSE ────────────────────────────────────────────────────────────────────────────────────────────
class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with an EVSE has begun."""

    protocol: LinkProtocol
    evse_id: str = ""
    resumed: bool = False
    service: Service | None = None
    """Once it is chosen."""


class Allowed(msgspec.Struct, frozen=True):
    """Charging is authorised."""


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What the EVSE can give and take now, and its schedules."""

    offer: Offer
    schedules: tuple[Schedule, ...] = ()


class ContactsAsked(msgspec.Struct, frozen=True):
    """Close (or open) the inlet's contactors, then `Contacts`."""

    closed: bool


class Flowing(msgspec.Struct, frozen=True, kw_only=True):
    """What the EVSE measures at its outlet."""

    mv: int = 0
    ma: int = 0
    mw: int | None = None
    energy_wh: int | None = None


class Parted(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation is over; contactors must be open."""

    reason: str
    by: Literal["ev", "evse"]
    ok: bool = True
    paused: bool = False


# ── commands: from the vehicle's inside ──────────────────────────────────────────────────────────────────────────────
class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """What the battery is, wants and measures. The last one counts."""

    soc: int = 500
    target_soc: int = 1000
    capacity_wh: int = 60_000
    energy_wh: int | None = None
    """Still wanted; None: up to the target."""
    present_mv: int = 400_000
    """Of the battery, before the contactors."""
    target_mv: int = 400_000
    target_ma: int = 0
    """What it wants to flow now; negative: it gives."""
    max_mv: int = 450_000
    min_mv: int = 200_000
    max_ma: int = 200_000
    min_ma: int = 0
    max_mw: int = 100_000_000
    phases: int = 3
    max_discharge_ma: int = 0
    max_discharge_mw: int = 0
    departure_ms: int | None = None
    remaining_ms: int | None = None
    """To the target."""
    ready: bool = True
    """It wants to charge; False: it waits (or is done), without ending the session."""


class Contacts(msgspec.Struct, frozen=True):
    """Where the inlet's contactors are now."""

    closed: bool


class Halt(msgspec.Struct, frozen=True):
    """End the session in order; with `emergency` at once."""

    reason: str = ""
    emergency: bool = False


class Rest(msgspec.Struct, frozen=True):
    """Pause: end the conversation, keep the session."""


class Ask(msgspec.Struct, frozen=True):
    """Ask for new schedules (renegotiation)."""

    service: bool = False
    """Not for new schedules but for another service (ISO 15118-20)."""


EvEvent = Linked | Allowed | Offered | ContactsAsked | Flowing | Fault | Parted
EvCommand = Drive | Contacts | Halt | Rest | Ask | Fault


class EvLink(Machine, Protocol):
    """The vehicle's end of a link."""

    def start(self, now: int) -> Sequence[Any]:
        """The plug is in, and the carrier is up: begin."""
        ...

    def command(self, command: EvCommand, now: int) -> Sequence[Any]: ...
