"""Identifiers. Keys begin with (tenant, station) everywhere; new ids come from an injected `Ids`."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple, Protocol

from .errors import RemoteError

DEFAULT_TENANT = "default"
"""The tenant of a path without a tenant prefix."""

MAX_IDENTITY = 48
"""OCPP 2.1 part 4, 3.1.1: a station identity has at most 48 characters and no colon."""


class StationKey(NamedTuple):
    """What every table, queue and topic about a station begins with."""

    tenant: str
    station: str

    def __str__(self) -> str:
        return self.station if self.tenant == DEFAULT_TENANT else f"{self.tenant}/{self.station}"


class BadIdentity(RemoteError):
    """A station identity that the standard does not allow."""


def check_identity(text: str) -> str:
    """`text` if it can be a station identity: 1 to 48 printable characters, no colon; else BadIdentity.

    The colon is out because HTTP Basic auth could not carry it (OCPP part 4, 3.1.1).
    """
    if not 1 <= len(text) <= MAX_IDENTITY:
        raise BadIdentity(f"a station identity has 1 to {MAX_IDENTITY} characters, this one {len(text)}")
    if ":" in text or not text.isprintable():
        raise BadIdentity("a station identity may not hold a colon or control characters")
    return text


class Ids(Protocol):
    """Where new identifiers come from."""

    def new(self) -> str:
        """A new opaque id: 26 lower-case base-32 characters that sort by the time of their making."""
        ...

    def message_id(self) -> str:
        """A new OCPP messageId, at most 36 characters, unique over all connections of a station."""
        ...

    def transaction_id(self) -> int:
        """A random 1.6 transactionId in 1 … 2**31-1."""
        ...


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def encode_id(time_ms: int, entropy: int) -> str:
    """ULID layout: 48 bits of time, 80 bits of entropy, Crockford base 32, lower case."""
    value = (time_ms & (1 << 48) - 1) << 80 | entropy & (1 << 80) - 1
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


class SeededIds:
    """Ids from a seed: a simulation replays to the same ids. Not for secrets.

    A hash of seed and counter, so that the vocabulary needs no generator and the ids are the same on every Python.
    """

    def __init__(self, seed: int, now: Callable[[], int] | None = None) -> None:
        self._seed = str(seed).encode()
        self._count = 0
        self._now = now

    def _bits(self, number: int) -> int:
        self._count += 1
        digest = blake2b(self._seed, digest_size=16, salt=self._count.to_bytes(16, "big")).digest()
        return int.from_bytes(digest, "big") & (1 << number) - 1

    def new(self) -> str:
        return encode_id(self._now() if self._now is not None else 0, self._bits(80))

    def message_id(self) -> str:
        return f"{self._bits(96):024x}"

    def transaction_id(self) -> int:
        return self._bits(31) or self.transaction_id()
