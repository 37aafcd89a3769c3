"""What a local controller is told: its upstreams, the stations that it knows, and how patient it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.domain.schedules.model import Place

READING = frozenset(
    {
        "GetConfiguration", "GetLocalListVersion", "GetCompositeSchedule", "GetVariables", "GetBaseReport",
        "GetReport", "GetMonitoringReport", "GetTransactionStatus", "GetChargingProfiles", "GetDisplayMessages",
        "GetInstalledCertificateIds", "GetTariffs", "GetPeriodicEventStream", "TriggerMessage",
        "ExtendedTriggerMessage",
    }
)  # fmt: skip
"""What changes nothing at a station: all that an upstream may ask that only looks on."""


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream may, by action. A refused CALL is answered with SecurityError."""

    allow: frozenset[str] | None = None
    """CALLs to the station; None: every one."""
    deny: frozenset[str] = frozenset()
    """These not, whatever `allow` says."""
    read_only: bool = False
    """Only what changes nothing (`READING`)."""
    hear: frozenset[str] | None = None
    """Messages of the station that it gets; None: every one. A boot it always hears."""

    def may(self, action: str) -> bool:
        """Whether it may ask the station for that."""
        if action in self.deny or (self.read_only and action not in READING):
            return False
        return self.allow is None or action in self.allow

    def hears(self, action: str) -> bool:
        return self.hear is None or action in self.hear


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A central system. The first of a controller is the authority: its answers reach the stations."""

    name: str
    url: str = ""
    """Without the identity, such as `wss://csms.example/ocpp`; tenant and identity are added as at the box itself."""
    rights: Rights = Rights()
    durable: bool = True
    """What it does not hear now is kept for it. The authority's always is."""
    user: str | None = None
    """Basic: None says the station's identity, as the standard has it."""
    password: str | None = None
    """Basic: None hands on what the station itself came with."""


class KnownStation(msgspec.Struct, frozen=True, kw_only=True):
    """A station that may come."""

    identity: str
    tenant: str = DEFAULT_TENANT
    security_profile: Literal[0, 1, 2, 3] = 1
    """0: no credential at all, which only makes sense on loopback or a network of its own."""
    password_sha256: str = ""
    """Hexadecimal; of the raw bytes of the password."""
    organization: str = ""
    """Profile 3: O of its certificate; CN is the identity."""
    passwords: Mapping[str, str] = {}
    """Upstream's name → the password for this station there."""
    present_as: Literal["", "2.0.1"] = ""
    """A 1.6 station is shown to its upstreams as one of 2.0.1."""
    managed: bool = False
    """The site sets its limits: upstream's profiles are kept here and merged, the station holds none but ours. Whoever
    puts the site together makes an `evse.ManagedStation` of its seat."""
    places: Mapping[int, Place] = {}
    """Of the EVSEs (1.6: connectors): voltage, phases, maximum."""

    @property
    def key(self) -> StationKey:
        return StationKey(self.tenant, self.identity)


class ControllerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A local controller."""

    upstreams: tuple[Upstream, ...]
    stations: tuple[KnownStation, ...]
    unknown_tokens: Literal["accept", "refuse"] = "refuse"
    """Cards that neither list nor cache knows, while the authority is away."""
    tokens: tuple[str, ...] = ()
    """Cards that are always let in while it is away."""
    authorize_first: bool = False
    """Cards that are known as accepted are let in at once though the authority could be asked."""
    token_cache: int = 10_000
    heartbeat_s: int = 300
    """Told to stations that the authority has never answered."""
    call_ms: int = 25_000
    """How long an upstream may take for an answer; below what stations have patience for (30 s as a rule)."""
    authorize_ms: int = 5_000
    """How long a driver with a card waits for it before the box decides."""
    station_ms: int = 60_000
    """How long a station may take for an answer."""
    backoff_s: int = 5
    backoff_random_s: int = 5
    backoff_repeats: int = 5
    """5 s, 10 s … 160 s between attempts to connect, as 2.x part 4, 5.3 has it."""
    ping_ms: int = 30_000
    attempts: int = 3
    """How often an upstream may refuse a queued message before it is given up (1.6 3.7.1, E13)."""
    attempt_s: int = 60
    """Times the number of refusals: the wait until the next one."""
    queue_limit: int = 200_000
    """Messages that may wait for one upstream of one station; periodic readings beyond it are refused."""
    stop_refused: bool = True
    """A session that was let in here and is refused by the authority later is ended."""
    failsafe_s: int = 90
    """What is offered to a car ends after so long by itself unless said again."""
