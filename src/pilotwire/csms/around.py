"""What every actor shares: the ports, the settings, the books and the counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pilotwire.core.errors import LocalError
from pilotwire.core.ids import Ids, StationKey
from pilotwire.core.time import Scheduler
from pilotwire.domain.quirks import Setting
from pilotwire.domain.records import Command
from pilotwire.protocols.ocpp.rpc.machine import Limits
from pilotwire.storage.port import Store
from pilotwire.transport.bus import Bus

from .books import Accounts, Tokens
from .counters import Counters
from .door import Door
from .inventory import Inventories
from .prices import Prices
from .speech import Speech

if TYPE_CHECKING:
    from .actor import StationActor
    from .certificates.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsConfig:
    """What an operator chose. Times in the unit that the name says."""

    lab: bool = False
    """Unknown stations (on loopback) and unknown tokens are accepted."""
    heartbeat_interval_s: int = 300
    boot_retry_s: int = 60
    """How long a station that is Pending or Rejected waits before it asks again."""
    probe_ms: int = 3_000
    """How long an old connection may take to show that it is alive when another of its identity comes."""
    call_timeout_ms: int = 30_000
    held_frames: int = 32
    """Frames of one station that may wait for their turn before it is read no more."""
    queued_commands: int = 100
    """Commands that may wait for one station."""
    boot_grace_ms: int = 5_000
    """How long commands wait after a reconnection for the BootNotification that may come."""
    retry_load_ms: int = 1_000
    read_inventory: bool = False
    """Stations are asked for their configuration or variables after a boot, once for each firmware."""
    receipts: str = ""
    """Where drivers find the receipts of ad hoc payments: an address with {reference} for that of the payment; "":
    nowhere."""
    limits: Limits = field(default_factory=Limits)


class Log(Protocol):
    """Where what an operator must hear is said: rare things only, never one line per message."""

    def __call__(self, event: str, key: StationKey, **details: Any) -> None: ...


def _nobody(key: StationKey) -> StationActor:
    raise LocalError(f"there is no actor for {key} yet")


def _no_history(key: StationKey, most: int, found: Callable[[list[Command]], None]) -> None:
    found([])


def silent(event: str, key: StationKey, **details: Any) -> None:
    """For simulations."""


class Around:
    """See the module."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        scheduler: Scheduler,
        ids: Ids,
        config: CsmsConfig,
        log: Log = silent,
        keep_account: Callable[[Any], None] | None = None,
    ) -> None:
        self.store = store
        self.bus = bus
        self.scheduler = scheduler
        self.now: Callable[[], int] = scheduler.now
        self.ids = ids
        self.config = config
        self.log = log
        self.keep_account = keep_account
        """Called with an account that the lab made."""
        self.accounts = Accounts()
        self.tokens = Tokens()
        self.prices = Prices()
        self.remedies: dict[str, tuple[Setting, ...]] = {}
        """Tenant → what operators said about stations with quirks."""
        self.counters = Counters()
        self.inventories = Inventories(scheduler)
        self.door = Door(bus)
        """Who came lately, and why they were not let in."""
        self.certificates: Desk | None = None
        """Who signs, who is trusted, what is under way; set by the service."""
        self.history: Callable[[StationKey, int, Callable[[list[Command]], None]], None] = _no_history
        """The last commands to a station, newest first, at most so many; set by the service."""
        self.actor: Callable[[StationKey], StationActor] = _nobody
        """A station's actor, made on first use; set by the service."""
        self._speech: dict[str, Speech] = {}

    def site(self, key: StationKey) -> str:
        """Where a station stands; "" where nobody has said so."""
        account = self.accounts.get(key)
        return "" if account is None else account.site

    def speech(self, name: str) -> Speech:
        """The version's, loaded on first use. Raises KeyError for one that we do not speak."""
        speech = self._speech.get(name)
        if speech is None:
            speech = self._speech[name] = Speech(name, self.counters)
        return speech
