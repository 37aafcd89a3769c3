"""What the API is built over: ports only, handed in by the composition root."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pilotwire.core.ids import DEFAULT_TENANT, Ids
from pilotwire.core.time import Scheduler
from pilotwire.storage.port import Store
from pilotwire.transport.bus import Bus

if TYPE_CHECKING:
    from prometheus_client import Metric

    from .https import Https


class Passwords(Protocol):
    """How secrets become verifiers; `pilotwire.crypto.passwords` is one."""

    def hash_human(self, password: str) -> str:
        """Slow, for what people choose (argon2id)."""
        ...

    def verify_human(self, password: str, verifier: str) -> bool: ...

    def hash_station(self, password: bytes) -> str:
        """Fast, for what stations present at every handshake."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """What an operator chose."""

    lab: bool = False
    """No login on loopback; Host and Origin are then checked on every request."""
    ocpp_url: str = "ws://localhost:9000/ocpp/"
    """Where stations connect; the identity is appended."""
    ocpps_url: str = ""
    """The same over TLS, for stations of security profile 2 and 3; empty where nothing listens for them."""
    map_tiles: str = ""
    """Address of map tiles with {z}, {x} and {y}, drawn below the sites; empty: the map is drawn without."""
    map_attribution: str = ""
    """Whom the tiles are owed to, as their server wants it told below the map."""
    allowed_hosts: frozenset[str] = frozenset()
    """Extra names (without port) that Host may carry. Empty: outside the lab every name is served."""
    secure_cookies: bool = False
    """True behind TLS: cookies are then sent over HTTPS alone."""
    strict_transport: bool = False
    """Browsers that have come by HTTPS are told to come by nothing else (HSTS, RFC 6797)."""
    zone: tzinfo = UTC
    """Whose midnight begins "today" in the totals."""
    files_url: str = "http://localhost:8080/files/"
    """Where stations fetch firmware and leave their logs (`pilotwire.api.files`); the link is appended."""
    log_limit: int = 256 << 20
    """Bytes of one log."""
    log_days: int = 90
    """How long logs that stations left are kept; 0: until somebody deletes them."""
    firmware_limit: int = 1 << 30
    """Bytes of one firmware image."""
    private_targets: bool = False
    """Whether webhooks may go to loopback and private addresses, and without TLS. Never where strangers set them up."""
    login_days: int = 7
    """How long a login lasts at most."""
    login_idle_hours: int = 24
    """How long it lasts when nothing is done with it."""
    rate_per_s: float = 0
    """Requests a second that one principal may make for long; 0: as many as it likes."""
    rate_burst: int = 0
    """How many it may make at once; 0: what it may make in four seconds."""
    box: str = ""
    """The id of the one site that this box runs: only what makes sense there is served (`routes.of_a_box`); empty: a
    central system."""
    version: str = "0.1.0"
    tenant: str = DEFAULT_TENANT
    """The tenant of the lab and of the process key; users and keys bring their own."""


@dataclass(slots=True, kw_only=True)
class ApiContext:
    """The ports behind the API. `ready` answers True, or the reason why not."""

    store: Store
    bus: Bus
    scheduler: Scheduler
    ids: Ids
    passwords: Passwords
    config: ApiConfig = field(default_factory=ApiConfig)
    metrics: Callable[[], Iterable[Metric]] = tuple
    ready: Callable[[], bool | str] | None = None
    process_key: str = ""
    """An API key with every right that lives as long as this process (the command line's own)."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """The installation's own secret, kept outside of the store: seals the audit log and locks what has to be kept
    readable there. Whoever gives none cannot read after a restart what was locked before it."""
    began_at: int | None = None
    """When this process began (ms), before it listened to stations; None: when the context was made."""
    files: Path | None = None
    """The folder of firmware images and logs; None: there is none, and nothing can be left or fetched."""
    https: Https | None = None
    """The certificate of the server's own HTTPS; None: it has none."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: streams end then."""
    parts: dict[type, Any] = field(default_factory=dict)
    """Long-lived helpers of the API itself (live picture, logins), by their class."""
