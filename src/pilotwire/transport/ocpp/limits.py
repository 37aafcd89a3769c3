"""What the edge allows a peer, and the counters of what happened. All of it is configurable; 0 switches a limit off."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """The limits of one listener. Times in seconds, sizes in bytes."""

    tls_handshake_s: float = 5.0
    header_s: float = 10.0
    """From the end of the TCP or TLS handshake to the last byte of the HTTP request."""
    header_bytes: int = 8192
    header_lines: int = 64
    message_bytes_v16: int = 65_536
    message_bytes: int = 262_144
    """2.x: NotifyReport and logs are large. Beyond it the connection is closed with 1009."""
    fragments: int = 64
    """Fragments of one message; together they keep to the message size."""
    rate_per_s: float = 20.0
    rate_burst: int = 300
    """Frames per connection, a burst for the offline queue; beyond it the connection is not read for a while."""
    unauthenticated_per_address: int = 20
    """Sockets of one address that have not been upgraded yet."""
    tls_per_address_per_s: float = 20.0
    tls_per_address_burst: int = 100
    unlimited_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Reverse proxies and big NATs: the limits per address do not hold for these."""
    failures_per_identity: int = 5
    failures_per_address: int = 50
    failure_window_s: float = 60.0
    failure_block_max_s: float = 900.0
    backlog_bytes: int = 1_048_576
    """Bytes waiting to be written; a peer that reads slower than this is cut off."""
    close_s: float = 3.0
    """How long a peer may take to answer our close before the socket is simply closed."""
    ping_s: float = 55.0
    """Keeps NATs open. A missing pong never closes anything."""
    idle_s: float = 0.0
    """Close when not a single frame (pongs count) came for this long. Off: stations may be silent for a day."""
    tcp_keepalive_s: float = 0.0
    tcp_user_timeout_s: float = 0.0
    """Unacknowledged data for this long ends the connection (Linux). Off: the system's own 15 minutes or so."""
    connections: int = 0
    """All connections of the listener together."""
    deflate: bool = True
    deflate_min_bytes: int = 512
    """Smaller messages go out uncompressed even when permessage-deflate was agreed."""

    def message_limit(self, subprotocol: str | None) -> int:
        """Bytes of one message, by version."""
        return self.message_bytes_v16 if subprotocol == "ocpp1.6" else self.message_bytes


@dataclass(slots=True)
class EdgeCounters:
    """Plain integers; a collector reads them when it is scraped."""

    accepted: int = 0
    accept_errors: int = 0
    over_connection_limit: int = 0
    over_unauthenticated_limit: int = 0
    over_tls_rate: int = 0
    tls_failed: int = 0
    header_timeouts: int = 0
    vanished: int = 0
    """Gone before the request was complete."""
    plain_http: int = 0
    unknown_subprotocol: int = 0
    blocked_after_failures: int = 0
    upgraded: int = 0
    open: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    throttled: int = 0
    slow_consumers: int = 0
    idle_closed: int = 0
    receiver_failures: int = 0
    refused: dict[int, int] = field(default_factory=dict[int, int])
    """By HTTP status (only those we send)."""
    closed: dict[int, int] = field(default_factory=dict[int, int])
    """By close code; codes that RFC 6455 and its registry do not name are counted as 0."""

    def refuse(self, status: int) -> None:
        self.refused[status] = self.refused.get(status, 0) + 1

    def close(self, code: int) -> None:
        key = code if 1000 <= code <= 1015 else 0
        self.closed[key] = self.closed.get(key, 0) + 1


class Networks:
    """Whether an address lies in one of a few networks, remembered per address."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text) for text in networks]
        self._known: OrderedDict[str, bool] = OrderedDict()

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            try:
                ip = ip_address(address.partition("%")[0])
            except ValueError:
                return False
            mapped = getattr(ip, "ipv4_mapped", None) or ip
            known = any(mapped.version == network.version and mapped in network for network in self._networks)
            self._known[address] = known
            if len(self._known) > 4096:
                self._known.popitem(last=False)
        return known


class AddressRate:
    """A token bucket per address, for a bounded number of addresses."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float], *, remembered: int = 10_000) -> None:
        self._per_s, self._burst, self._clock, self._remembered = per_s, burst, clock, remembered
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """One token, if there is one."""
        if self._per_s <= 0:
            return True
        now = self._clock()
        tokens, since = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) * self._per_s)
        allowed = tokens >= 1.0
        self._buckets[address] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return allowed


@dataclass(slots=True)
class _Record:
    failures: int = 0
    since: float = 0.0
    blocked_until: float = 0.0
    strikes: int = 0


class AuthGuard:
    """Back-off after failed authentication, per address and per identity.

    After `limit` failures within the window the next attempts are refused unseen for one window, then for two, four …
    up to the longest block; the doubling is forgotten after a quiet time as long as the longest block. An address from
    which the identity has authenticated before is exempt from the identity's block: otherwise anybody could lock a
    station out by guessing at its identity. Memory is bounded; the oldest records go first.
    """

    def __init__(
        self, limits: EdgeLimits, clock: Callable[[], float], *, remembered: int = 20_000, free: Networks | None = None
    ) -> None:
        self._limits, self._clock, self._remembered = limits, clock, remembered
        self._free = free or Networks(limits.unlimited_networks)
        self._records: OrderedDict[str | tuple[str, str], _Record] = OrderedDict()
        self._good: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def wait(self, address: str, tenant: str, identity: str) -> float:
        """Seconds until an attempt will be looked at; 0 when at once."""
        now = self._clock()
        longest = 0.0
        if address not in self._free:
            record = self._records.get(address)
            longest = record.blocked_until - now if record else 0.0
        if (address, tenant, identity) not in self._good:
            record = self._records.get((tenant, identity))
            longest = max(longest, record.blocked_until - now if record else 0.0)
        return max(0.0, longest)

    def failed(self, address: str, tenant: str, identity: str) -> None:
        """An attempt was refused with 401."""
        self._strike((tenant, identity), self._limits.failures_per_identity)
        if address not in self._free:
            self._strike(address, self._limits.failures_per_address)

    def passed(self, address: str, tenant: str, identity: str) -> None:
        """An attempt was admitted."""
        key = (address, tenant, identity)
        self._good[key] = None
        self._good.move_to_end(key)
        if len(self._good) > self._remembered:
            self._good.popitem(last=False)

    def _strike(self, key: str | tuple[str, str], limit: int) -> None:
        if limit <= 0:
            return
        now = self._clock()
        window, longest = self._limits.failure_window_s, self._limits.failure_block_max_s
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record(since=now)
            if len(self._records) > self._remembered:
                self._records.popitem(last=False)
        self._records.move_to_end(key)
        if now - max(record.since, record.blocked_until) > longest:
            record.strikes = 0
        if now - record.since > window:
            record.failures, record.since = 0, now
        record.failures += 1
        if record.failures >= limit:
            record.blocked_until = now + min(longest, window * 2.0**record.strikes)
            record.strikes = min(record.strikes + 1, 30)
            record.failures, record.since = 0, record.blocked_until
