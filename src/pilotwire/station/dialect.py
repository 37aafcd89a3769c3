"""What a protocol version must do for the station program. `dialect_16` and `dialect_2` implement it.

The program tells a dialect what happened; the dialect turns it into messages and hands them to the conversation or the
outbox. Commands of the CSMS come the other way, see `blocks`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from .authorization import Grant
from .evse import Evse
from .host import BootVerdict
from .monitors import Event
from .outbox import Queued
from .sessions import Reading, Session


class Dialect(Protocol):
    """One version line."""

    m: Any
    """The version's message types."""

    def boot_request(self, reason: str) -> msgspec.Struct: ...

    def boot_verdict(self, response: Any) -> BootVerdict: ...

    def current_time(self, response: Any) -> int:
        """Of a Heartbeat answer, ms."""
        ...

    def authorize_request(self, token: str, token_type: str) -> msgspec.Struct: ...

    def authorize_grant(self, response: Any) -> Grant: ...

    def status(self, evse: Evse) -> str:
        """The connector's status in this version's words."""
        ...

    def report_station(self) -> None:
        """Tell what there is to tell about the station as a whole (1.6 connector 0)."""
        ...

    def report_status(self, evse: Evse, status: str, *, back: bool = False) -> None:
        """`back`: after an absence, for which 2.1 has other words (B04)."""
        ...

    def lock_failed(self, evse: Evse) -> None:
        """The plug of a session that has begun is not held (G05.FR.02)."""
        ...

    def fault_told(self, evse: Evse, *, gone: bool) -> None:
        """A real charger's fault has come, or is gone: what its status does not say."""
        ...

    def started(self, evse: Evse, session: Session, trigger: str, reading: Reading) -> None: ...

    def state_changed(self, evse: Evse, session: Session) -> None:
        """The flow of energy has begun, paused or ended."""
        ...

    def progressed(self, evse: Evse, session: Session, trigger: str, token: str = "", token_type: str = "") -> None:
        """2.x: what `trigger` (TriggerReasonEnumType) names has happened in the session; `token` was shown for it."""
        ...

    def sampled(self, evse: Evse, session: Session, reading: Reading, trigger: str) -> None: ...

    def idle_sampled(self, evse: Evse, reading: Reading) -> None:
        """A clock-aligned or triggered reading outside a session."""
        ...

    def stopped(
        self,
        evse: Evse,
        session: Session,
        reason: str,
        trigger: str,
        token: str,
        token_type: str,
        readings: list[Reading],
    ) -> None: ...

    def prepare(self, entry: Queued) -> msgspec.Struct: ...

    def delivered(self, entry: Queued, response: Any) -> None: ...

    def given_up(self, entry: Queued) -> None: ...

    def firmware_status(self, status: str, request_id: int | None, *, signed: bool = False) -> None:
        """1.6: by the message about signed firmware where there is a request id, or where it is asked for so."""
        ...

    def log_status(self, status: str, request_id: int | None, *, diagnostics: bool) -> None: ...

    def publish_status(self, status: str, request_id: int | None, places: list[str] | None) -> None:
        """2.x: how far a PublishFirmware has come (PublishFirmwareStatusEnumType)."""
        ...

    def notify_events(self, events: list[Event], number: int, *, more: bool, keep: bool) -> None:
        """2.x: part `number` of what monitors have to tell; offline it is kept when `keep`."""
        ...

    def disconnected(self, evse: Evse) -> None:
        """A session has ended because its car was pulled off the cable."""
        ...

    def list_conflict(self) -> None:
        """The CSMS says otherwise of a token than the local list that it has sent."""
        ...

    def reservation_ended(self, id_: int, status: str) -> None:
        """`status`: a 2.1 ReservationUpdateStatusEnumType (Expired, Removed, NoTransaction)."""
        ...

    def load(self, stored: dict[str, bytes]) -> None: ...

    def forget(self, session: str) -> None:
        """No message of `session` is left."""
        ...
