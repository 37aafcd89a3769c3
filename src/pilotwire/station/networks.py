"""Where a station connects to: its network connection profiles and their order (2.x B09, B10).

Slot 1 is how the station was built. Others are set by the CSMS and used when NetworkConfigurationPriority names them,
from the next restart on: each entry in turn gets NetworkProfileConnectionAttempts attempts, round and round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.transport.port import Dialer, DialResult, Receiver

from .parts import Part
from .settings import BY_NAME

if TYPE_CHECKING:
    from .program import Station

SLOTS = (1, 2, 3)
BUILT_IN = 1
_PREFIX = "network."


class NetworkProfile(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One NetworkConnectionProfileType."""

    slot: int
    url: str
    """ocppCsmsUrl, without the identity."""
    security_profile: int
    interface: str
    transport: str
    timeout_s: int
    version: str = ""
    identity: str = ""
    password: str = ""
    apn: bytes = b""
    """APNType as JSON; empty: none."""
    vpn: bytes = b""
    """VPNType as JSON; empty: none."""


Dialers = Callable[[NetworkProfile], Dialer]
"""Whoever owns the network makes a dialer for a profile; raises LocalError where it cannot."""

_SCHEME = {1: "ws", 2: "wss", 3: "wss"}

_decoder = msgspec.json.Decoder(NetworkProfile)


class Networks(Part):
    """The profiles of one station, and which one it is at."""

    __slots__ = ("_built_in", "_dialers", "_failures", "_made", "_order", "_position", "profiles", "returned")

    def __init__(self, station: Station, built_in: Dialer, dialers: Dialers | None) -> None:
        super().__init__(station)
        self._built_in = built_in
        self._dialers = dialers
        self._made: dict[int, Dialer] = {}
        self._order: tuple[int, ...] = (BUILT_IN,)
        self._position = 0
        self._failures = 0
        self.profiles: dict[int, NetworkProfile] = {}
        """By slot; the built-in one is not among them, unless the CSMS has set it anew."""
        self.returned = False
        """Elsewhere nobody was reached: the next attempt goes where the last connection went."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        rows = [_decoder.decode(value) for key, value in stored.items() if key.startswith(_PREFIX)]
        self.profiles = {row.slot: row for row in rows}
        self._made = {}
        order = (int(slot) for slot in self._station.settings.members("network_priority"))
        self._order = tuple(slot for slot in order if self.valid(slot)) or (BUILT_IN,)
        self._position = 0
        self._failures = 0
        self.returned = False

    @property
    def security(self) -> int:
        """The security profile of the connection that is tried; 0: the station's own (1.6 has one connection)."""
        return 0 if self._station.config.version == "1.6" else self.security_of(self._order[self._position])

    def security_of(self, slot: int) -> int:
        """The security profile of a slot that is valid."""
        profile = self.profiles.get(slot)
        return self._station.config.security_profile if profile is None else profile.security_profile

    @property
    def migrating(self) -> bool:
        """The connection that is tried goes elsewhere than the last one went (B10)."""
        return str(self._order[self._position]) != self._station.settings.text("active_network")

    @property
    def can_be_set(self) -> bool:
        """Somebody can make dialers for new profiles."""
        return self._dialers is not None

    def valid(self, slot: int) -> bool:
        """A connection could be made by that slot."""
        if slot == BUILT_IN:
            return True
        profile = self.profiles.get(slot)
        return profile is not None and self.can_be_set and self.wrong(profile) is None

    def wrong(self, profile: NetworkProfile) -> tuple[str, str] | None:
        """(reasonCode, words) where nothing could be connected by it (B09.FR.02)."""
        if profile.transport != "JSON":
            return "InvalidNetworkConf", "only JSON over WebSocket"
        scheme = _SCHEME.get(profile.security_profile)
        if scheme is None:
            return "InvalidNetworkConf", "the security profiles are 1, 2 and 3"
        try:
            url = urlsplit(profile.url)
            whole = url.scheme == scheme and bool(url.hostname) and url.port != 0
        except ValueError:
            whole = False
        if not whole:
            return "InvalidNetworkConf", f"security profile {profile.security_profile} needs {scheme}://host"
        if profile.timeout_s <= 0:
            return "InvalidNetworkConf", "no message can be answered in no time"
        return None

    def secure_enough(self, level: int) -> bool:
        """B09.FR.04, .31, .32: the security profile is not lowered, but from 3 to 2 where that is allowed."""
        now = self._station.certificates.profile
        return level >= now or (now == 3 and level == 2 and self._station.settings.flag("allow_downgrade"))

    def put(self, profile: NetworkProfile) -> None:
        """Keep it; it counts from the next restart on."""
        self.profiles[profile.slot] = profile
        self._station.store({f"{_PREFIX}{profile.slot}": msgspec.json.encode(profile)})

    def possible(self, profile: NetworkProfile) -> bool:
        """Whether a way to connect by it can be made here (B09.FR.03)."""
        try:
            return self._dialers is not None and self._dialers(profile) is not None
        except LocalError:
            return False

    def password_changed(self) -> None:
        """2.1 B09.FR.27 (errata 2025-09): the station has one of its own now, which counts."""
        slot = self._order[self._position]
        profile = self.profiles.get(slot)
        if profile is not None and profile.password:
            self._made.pop(slot, None)
            self.put(msgspec.structs.replace(profile, password=""))

    # ── Dialer ───────────────────────────────────────────────────────────────────────────────────────────────────

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """See `Dialer.dial`."""

        def ended(result: DialResult) -> None:
            if result.opened:
                self._failures = 0
                slot = str(self._order[self._position])
                if slot != self._station.settings.text("active_network"):
                    self._station.conversation.boot_anew()  # B10.FR.10 (errata 2025-06): it may be another CSMS
                self._station.settings.put(BY_NAME["active_network"], slot)
                self._settle()
            else:
                self._failed()
            done(result)

        self._dialer().dial(receiver, offered, ended)

    def _dialer(self) -> Dialer:
        slot = self._order[self._position]
        profile = self.profiles.get(slot)
        if profile is None or self._dialers is None:
            return self._built_in
        made = self._made.get(slot)
        if made is None:
            made = self._made[slot] = self._dialers(profile)
        return made

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= self._station.settings.number("network_attempts"):
            self._failures = 0
            elsewhere = self.migrating
            self._position = (self._position + 1) % len(self._order)
            self.returned = elsewhere and not self.migrating

    def _settle(self) -> None:
        """A05.FR.06: a connection that is more secure than those before shuts the door behind it."""
        station, security = self._station, self.security
        if not security:
            return
        rises = security > station.certificates.profile
        station.certificates.settle(security)
        if not rises:
            return
        slot = self._order[self._position]
        for lower in [one for one in self.profiles if self.security_of(one) < security]:
            del self.profiles[lower]
            station.store({f"{_PREFIX}{lower}": None})
        self._order = tuple(one for one in self._order if self.security_of(one) >= security)
        self._position = self._order.index(slot)
        station.settings.put(BY_NAME["network_priority"], ",".join(map(str, self._order)))
