"""Boot and heartbeat: how a station gets let in, and stays known to be there (1.6 4.2, 4.6; 2.x B01 to B03, G02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .settings import Settings

if TYPE_CHECKING:
    from .conversation import Conversation

_DAY_MS = 86_400_000


class Registration:
    """Whether the CSMS has accepted the station, and the timers that keep it so."""

    __slots__ = (
        "_boot_timer",
        "_conversation",
        "_heartbeat_timer",
        "_scheduler",
        "_settings",
        "_synchronized",
        "due",
        "status",
        "triggered",
    )

    def __init__(self, conversation: Conversation, scheduler: Scheduler, settings: Settings) -> None:
        self._conversation = conversation
        self._scheduler = scheduler
        self._settings = settings
        self.status = ""
        """Accepted, Pending, Rejected; empty until the CSMS has said."""
        self.due = False
        """A BootNotification is to be sent next."""
        self.triggered = False
        """The CSMS has asked for it."""
        self._boot_timer: Timer | None = None
        self._heartbeat_timer: Timer | None = None
        self._synchronized = int(scheduler.now())
        """When the CSMS was last asked what time it is, true time, ms."""

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted"

    def stop(self) -> None:
        """The connection is gone: no timer runs."""
        for timer in (self._boot_timer, self._heartbeat_timer):
            if timer is not None:
                timer.cancel()
        self._boot_timer = self._heartbeat_timer = None

    # ── boot ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def boot_again(self) -> None:
        """TriggerMessage(BootNotification) before the station was accepted."""
        self.triggered = True
        self.due = True
        if self._boot_timer is not None:
            self._boot_timer.cancel()
            self._boot_timer = None

    def answered(self, status: str, interval_s: int) -> None:
        """The CSMS has answered BootNotification."""
        self.status = status
        self._synchronized = int(self._scheduler.now())
        if status == "Accepted":
            self.heartbeat_later()
        else:
            self.boot_later(interval_s or self._settings.number("backoff_minimum"))

    def unanswered(self) -> None:
        """Nobody answered, or not so that it can be read."""
        self.boot_later(self._settings.number("backoff_minimum"))

    def boot_later(self, seconds: int) -> None:
        if self._boot_timer is not None:
            self._boot_timer.cancel()
        self._boot_timer = self._scheduler.call_later(max(1, seconds) * 1000, self._boot_now)

    def _boot_now(self) -> None:
        self._boot_timer = None
        self.due = True
        self._conversation.pump()

    # ── heartbeat ────────────────────────────────────────────────────────────────────────────────────────────────

    def _heartbeat_ms(self) -> int:
        return self._settings.number("heartbeat_interval") * 1000 or _DAY_MS

    def heartbeat_later(self) -> None:
        """A heartbeat is due once nothing else has been sent for the interval, and once a day in any case, for the
        clock's sake (G02.FR.07)."""
        if self._heartbeat_timer is not None:
            self._heartbeat_timer.cancel()
        due = self._heartbeat_at() - int(self._scheduler.now())
        self._heartbeat_timer = self._scheduler.call_later(max(1000, due), self._heartbeat_due)

    def _heartbeat_at(self) -> int:
        return min(self._conversation.last_sent + self._heartbeat_ms(), self._synchronized + _DAY_MS)

    def _heartbeat_due(self) -> None:
        self._heartbeat_timer = None
        conversation = self._conversation
        if int(self._scheduler.now()) >= self._heartbeat_at():
            self.heartbeat()
            conversation.pump()
            conversation.last_sent = int(self._scheduler.now())
        self.heartbeat_later()

    def heartbeat(self) -> None:
        """Say a Heartbeat in its turn."""
        conversation = self._conversation
        self._synchronized = int(self._scheduler.now())  # or will be: one that is lost is not repeated every second

        def answered(response: Any, error: RpcError | None) -> None:
            if response is not None:
                conversation.host.heartbeat_answered(response)

        conversation.call("Heartbeat", conversation.version.actions["Heartbeat"].request_type(), answered)
