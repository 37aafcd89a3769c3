"""Security events of the station (A04; 1.6 security whitepaper): kept in a rolling log, and told where they matter.

Events that the standard calls critical go to the central system and are never lost: they wait in the storage until they
have been answered, also over a restart. The others stand in the security log alone (GetLog SecurityLog).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import to_datetime, to_rfc3339
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .parts import Part, firmware_version

if TYPE_CHECKING:
    from .program import Station

CRITICAL = frozenset(
    (
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidCsmsCertificate",
        "InvalidChargingStationCertificate",
        "DiscardedRenewedClientCertificate",
        "InvalidTLSVersion",
        "InvalidTLSCipherSuite",
        "MaintenanceLoginAccepted",
        "MaintenanceLoginFailed",
    )
)
NOT_CRITICAL = frozenset(
    (
        "FailedToAuthenticateAtCsms",
        "CsmsFailedToAuthenticate",
        "ReconfigurationOfSecurityParameters",
        "InvalidMessages",
        "AttemptedReplayAttacks",
    )
)
_NAMES_16 = {
    "InvalidCsmsCertificate": "InvalidCentralSystemCertificate",
    "InvalidChargingStationCertificate": "InvalidChargePointCertificate",
    "FailedToAuthenticateAtCsms": "FailedToAuthenticateAtCentralSystem",
    "CsmsFailedToAuthenticate": "CentralSystemFailedToAuthenticate",
}
"""What 1.6 calls otherwise (whitepaper, list of security events)."""
LOG_LENGTH = 200
QUEUE_LENGTH = 100
_KEY = "security-events"


class SecurityEvent(msgspec.Struct, array_like=True, frozen=True):
    """What happened, when by the station's clock (ms), and what there is to say of it."""

    kind: str
    time: int
    info: str = ""


_read = msgspec.json.Decoder(list[SecurityEvent]).decode
_write = msgspec.json.Encoder().encode


class Security(Part):
    """See the module."""

    __slots__ = ("_queue", "_restarted", "_sending", "log")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.log: deque[SecurityEvent] = deque(maxlen=LOG_LENGTH)
        self._queue: deque[SecurityEvent] = deque()
        self._sending = False
        self._restarted = False

    # -- told by the program ------------------------------------------------------------------------------------------
    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._queue = deque(_read(stored[_KEY])) if _KEY in stored else deque()
        self._sending = False
        if self._tells("StartupOfTheDevice"):
            self.event("StartupOfTheDevice", firmware_version(stored) or self._station.config.firmware)
            if self._station.boot_reason != "PowerUp":
                self.event("ResetOrReboot", self._station.boot_reason)

    def stop(self) -> None:
        self._sending = False

    def accepted(self, *, booted: bool) -> None:
        self._sending = False
        self._next()

    def clock_moved(self) -> None:
        self.event("SettingSystemTime", "set by the central system")

    def setting_changed(self, name: str) -> None:
        if name in ("password", "organization"):
            # A01.FR.12: that it changed, never to what.
            self.event("ReconfigurationOfSecurityParameters", f"{name} was changed")

    # -- events -------------------------------------------------------------------------------------------------------
    def event(self, kind: str, info: str = "") -> None:
        """Something happened; `kind` as 2.x names it (a vendor's own name counts as critical)."""
        one = SecurityEvent(kind, self._station.clock.now(), info[:255])
        self.log.append(one)
        if kind in NOT_CRITICAL or not self._tells(kind):
            return
        if len(self._queue) >= QUEUE_LENGTH:
            # The newest say what is going on now; that some are missing is an event of its own.
            self._queue.popleft()
            if self._queue and self._queue[0].kind != "MemoryExhaustion":
                self._queue[0] = SecurityEvent("MemoryExhaustion", one.time, "older security events were dropped")
        self._queue.append(one)
        self._keep()
        if self._station.powered:
            self._next()

    def lines(self) -> list[str]:
        """The security log as text, oldest first."""
        return [f"{to_rfc3339(one.time)} {one.kind} {one.info}".rstrip() for one in self.log]

    def _tells(self, kind: str) -> bool:
        """Stations without the security block keep everyday events to themselves."""
        return self._station.config.security_events or kind not in _EVERYDAY

    def _next(self) -> None:
        if self._sending or not self._queue or not self._station.online:
            return
        self._sending = True
        one, station = self._queue[0], self._station
        kind = _NAMES_16.get(one.kind, one.kind) if station.config.version == "1.6" else one.kind
        request = station.messages.SecurityEventNotificationRequest(
            type=kind[:50], timestamp=to_datetime(one.time), tech_info=one.info or None
        )
        station.conversation.call("SecurityEventNotification", request, self._answered)

    def _answered(self, response: Any, error: RpcError | None) -> None:
        self._sending = False
        if response is None and error is None:
            return  # nobody answered: again on the next connection
        # A central system that refuses it has heard it.
        if self._queue:
            self._queue.popleft()
            self._keep()
        self._next()

    def _keep(self) -> None:
        self._station.store({_KEY: _write(list(self._queue)) if self._queue else None})


_EVERYDAY = frozenset(("StartupOfTheDevice", "ResetOrReboot", "SettingSystemTime"))
