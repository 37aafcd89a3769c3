"""A battery swap station (2.1 S): slots are EVSEs, a driver brings batteries and takes charged ones.

    station.swap.present("04A1B2C3")           a driver shows a card (or the CSMS asks: RequestBatterySwap)
    station.swap.insert({1: cartridge})        the empty set goes into free slots
    station.swap.offered                       slots that the driver may empty
    station.swap.take()                        the charged set is taken: {slot: cartridge}

What is inserted is charged in a transaction of nobody's (S04). The messages of a swap are money: they go the way of
transaction messages, durable and in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.core.time import Timer

from .authorization import ACCEPTED, Grant
from .evse import Evse
from .parts import Part
from .ports import Cartridge
from .sessions import RFID

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session

_KEY, _COUNT = "swap", "swap-count"
_OWN_IDS = 1_000_000_000
"""Requests that the station counts itself begin here, those of the CSMS are its own."""

Stage = Literal["authorized", "offered"]


class Swap(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One swap under way."""

    request_id: int
    token: str
    token_type: str
    stage: Stage = "authorized"
    deadline: int
    """True time, ms: until then batteries are to be inserted, or taken."""
    brought: list[int] = []
    """Slots of what was inserted."""
    offered: list[int] = []


_decoder = msgspec.json.Decoder(Swap)


class SwapStation(Part):
    """The swaps of one station."""

    __slots__ = ("_count", "_full", "_timer", "swap")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.swap: Swap | None = None
        self._count = 0
        self._timer: Timer | None = None
        self._full: set[int] = set()
        """Slots whose battery has reached MaxSoc, told or about to be."""

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self.swap = _decoder.decode(stored[_KEY]) if _KEY in stored else None
        self._count = int(stored.get(_COUNT, b"0"))
        self._full.clear()
        self._rearm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def session_ended(self, session: Session) -> None:
        self._full.discard(session.evse)

    # ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def active(self) -> bool:
        """This is a swap station."""
        return "swap" in self._station.features

    @property
    def set_size(self) -> int:
        """How many batteries belong together."""
        return self._station.config.swap_set

    def _usable(self, evse: Evse) -> bool:
        return evse.available and not evse.fault

    def eligible(self) -> list[Evse]:
        """Slots whose battery may be handed out, the fullest first (S04.FR.05)."""
        target = self._station.settings.number("swap_target") * 10
        found = [e for e in self._station.evses if e.car is not None and self._usable(e) and e.car.soc >= target]
        return sorted(found, key=lambda e: -(e.car.soc if e.car is not None else 0))

    def free(self) -> list[Evse]:
        """Slots that something can be put into."""
        return [e for e in self._station.evses if e.car is None and self._usable(e)]

    @property
    def offered(self) -> tuple[int, ...]:
        """Slots that stand open with a charged battery."""
        return tuple(self.swap.offered) if self.swap is not None and self.swap.stage == "offered" else ()

    def enough(self) -> bool:
        """A swap can begin (S02.FR.01, S03.FR.05)."""
        return len(self.eligible()) >= self.set_size and len(self.free()) >= self.set_size

    # ── authorization ────────────────────────────────────────────────────────────────────────────────────────────

    def present(self, token: str, token_type: str = RFID) -> None:
        """A driver shows a token (S01). Nothing comes of it without enough batteries, or while another swap runs."""
        station = self._station
        if not station.powered or not self.active or self.swap is not None or not self.enough():
            return
        station.entrance.authorize(token, token_type, lambda grant: self._granted(token, token_type, grant))
        station.finish()

    def _granted(self, token: str, token_type: str, grant: Grant) -> None:
        if grant.status == ACCEPTED and self.swap is None and self.enough():
            self._count += 1
            self._station.store({_COUNT: str(self._count).encode()})
            self.begin(_OWN_IDS + self._count, token, token_type)

    def begin(self, request_id: int, token: str, token_type: str) -> None:
        """Slots open for the batteries that are brought (S01.FR.01, S02.FR.01)."""
        station = self._station
        wait = station.settings.number("swap_in_timeout") * 1000
        self.swap = Swap(
            request_id=request_id,
            token=token,
            token_type=token_type,
            deadline=int(station.scheduler.now()) + wait,
        )
        self._changed()

    # ── in and out ───────────────────────────────────────────────────────────────────────────────────────────────

    def insert(self, batteries: Mapping[int, Cartridge]) -> None:
        """The brought set goes into its slots. Raises LocalError where nobody is let in or a slot is taken."""
        station = self._station
        swap = self.swap
        if not station.powered or swap is None or swap.stage != "authorized":
            raise LocalError("no slot is open")
        free = {evse.id for evse in self.free()}
        if len(batteries) != self.set_size or not set(batteries) <= free:
            raise LocalError(f"{self.set_size} free slots take the batteries of a set")
        # What is brought is not what is handed out.
        ready = [evse.id for evse in self.eligible()][: self.set_size]
        for slot, battery in batteries.items():
            station.plug(slot, battery)
        swap.brought = sorted(batteries)
        self._tell("BatteryIn", swap, swap.brought)
        swap.stage = "offered"
        swap.offered = ready
        swap.deadline = int(station.scheduler.now()) + station.settings.number("swap_out_timeout") * 1000
        self._changed()
        station.finish()

    def take(self) -> dict[int, Cartridge]:
        """The offered set is taken out. Raises LocalError where nothing is offered."""
        station = self._station
        swap = self.swap
        if not station.powered or swap is None or swap.stage != "offered":
            raise LocalError("nothing is offered")
        rows = self._rows(swap.offered)
        taken: dict[int, Cartridge] = {}
        for slot in swap.offered:
            battery = station.unplug(slot)
            if isinstance(battery, Cartridge):
                taken[slot] = battery
        self._tell("BatteryOut", swap, swap.offered, rows)
        self._over()
        station.finish()
        return taken

    def _rows(self, slots: list[int]) -> list[Any]:
        m = self._station.messages
        rows: list[Any] = []
        for slot in slots:
            battery = self._station.evses[slot - 1].car
            if isinstance(battery, Cartridge):
                rows.append(
                    m.BatteryDataType(
                        evse_id=slot,
                        serial_number=battery.serial[:50],
                        soc=Decimal(battery.soc).scaleb(-1),
                        soh=Decimal(battery.soh).scaleb(-1),
                        production_date=battery.made,
                        vendor_info=battery.vendor_info[:500] or None,
                    )
                )
        return rows

    def _tell(self, event: str, swap: Swap, slots: list[int], rows: list[Any] | None = None) -> None:
        station = self._station
        m = station.messages
        data = self._rows(slots) if rows is None else rows
        if data:
            station.tell_durably(
                "BatterySwap",
                f"swap.{swap.request_id}",
                m.BatterySwapRequest(
                    event_type=event,
                    request_id=swap.request_id,
                    id_token=m.IdTokenType(id_token=swap.token, type=swap.token_type),
                    battery_data=data,
                ),
            )

    # ── charging ─────────────────────────────────────────────────────────────────────────────────────────────────

    def token(self) -> tuple[str, str]:
        """Whose transaction the charging of a battery is (S04.FR.02, .03)."""
        token = self._station.settings.text("swap_token")
        return (token, "Central") if token else ("", "NoAuthorization")

    def full(self, evse: Evse) -> bool:
        """Its battery is not charged any further (S04.FR.06)."""
        if not self.active or evse.car is None:
            return False
        full = evse.car.soc >= self._station.settings.number("swap_max") * 10
        (self._full.add if full else self._full.discard)(evse.id)
        return full

    def why(self, evse: Evse) -> str:
        """The reason of a change to SuspendedEVSE that is about to be told; "" for none of ours."""
        return "EnergyLimitReached" if evse.id in self._full else ""

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _over(self) -> None:
        self.swap = None
        self._changed()

    def _changed(self) -> None:
        self._station.store({_KEY: None if self.swap is None else msgspec.json.encode(self.swap)})
        self._rearm()

    def _rearm(self) -> None:
        self.stop()
        if self.swap is not None and self._station.powered:
            wait = self.swap.deadline - int(self._station.scheduler.now())
            self._timer = self._station.scheduler.call_later(max(0, wait), self._late)

    def _late(self) -> None:
        """Nobody came: the authorization ends (S01.FR.02), or what was offered is locked again (S03.FR.06)."""
        self._timer = None
        swap = self.swap
        if swap is None:
            return
        if swap.stage == "offered":
            self._tell("BatteryOutTimeout", swap, swap.offered)
        self._over()
        self._station.finish()
