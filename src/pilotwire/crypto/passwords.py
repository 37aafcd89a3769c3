"""Verifiers of passwords: fast ones for what machines present at every handshake, slow ones for what people choose.

A station's password is random and long (OCPP 2.1 part 2, A00.FR.205: 16 characters or more), so guessing is hopeless
and a keyed hash is enough; ten thousand stations that reconnect after an outage would cost an hour of argon2. What
people choose is guessable, so it gets argon2id.

    hmac-sha256$<salt, hex>$<mac, hex>      HMAC(pepper, salt || password); the pepper is not in the database
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from pilotwire.core.errors import LocalError

_SCHEME = "hmac-sha256"
_SALT_BYTES = 16
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
"""Without the characters that look alike: these passwords are typed into chargers."""


def new_station_password(choice: Callable[[str], str] = secrets.choice, length: int = 20) -> str:
    """A random password for a station: 20 characters that every version takes, about 116 bits.

    1.6 allows 16 to 20 bytes (whitepaper ed. 3, AuthorizationKey), 2.x 16 characters or more.
    """
    return "".join(choice(_ALPHABET) for _ in range(length))


def authorization_key(password: bytes) -> str:
    """The password as a 1.6 AuthorizationKey is configured: its bytes in hex."""
    return password.hex()


class Passwords:
    """Makes and checks verifiers with one installation's pepper. `salt` is where random bytes come from."""

    def __init__(self, pepper: bytes, *, salt: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(pepper) < 16:
            raise LocalError("a pepper has 16 bytes or more")
        self._pepper = pepper
        self._salt = salt
        self._decoy = self.hash_station(salt(_SALT_BYTES))

    # -- stations -----------------------------------------------------------------------------------------------------
    def hash_station(self, password: bytes) -> str:
        """The verifier of a machine-made password (raw bytes: a 1.6 key need not be UTF-8)."""
        salt = self._salt(_SALT_BYTES)
        return f"{_SCHEME}${salt.hex()}${self._mac(salt, password).hex()}"

    def verify_station(self, verifier: str, password: bytes) -> bool:
        """Whether `password` is the one, in the same time for every answer. A verifier that is none fits nothing."""
        parsed = _parse(verifier)
        salt, mac = parsed or _parse(self._decoy) or (b"", b"")
        return hmac.compare_digest(self._mac(salt, password), mac) and parsed is not None

    def verify_nobody(self, password: bytes) -> bool:
        """False, after as long as a real check takes: for identities that do not exist."""
        return self.verify_station(self._decoy, password) and False

    def _mac(self, salt: bytes, password: bytes) -> bytes:
        return hmac.digest(self._pepper, salt + password, "sha256")

    # -- people -------------------------------------------------------------------------------------------------------
    def hash_human(self, password: str) -> str:
        """argon2id with RFC 9106's second recommendation for small machines; slow on purpose, call it in a thread."""
        from argon2 import PasswordHasher

        return PasswordHasher().hash(password)

    def verify_human(self, password: str, verifier: str) -> bool:
        """Whether `password` is the one; a verifier that cannot be read fits none. As slow as `hash_human`."""
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError

        try:
            return PasswordHasher().verify(verifier, password)
        except (Argon2Error, InvalidHashError, UnicodeEncodeError):
            return False

    def needs_rehash(self, verifier: str) -> bool:
        """Whether the verifier was made with other parameters than today's, or is none."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHashError

        try:
            return PasswordHasher().check_needs_rehash(verifier)
        except InvalidHashError:
            return True


def _parse(verifier: str) -> tuple[bytes, bytes] | None:
    scheme, _, rest = verifier.partition("$")
    salt, _, mac = rest.partition("$")
    if scheme != _SCHEME:
        return None
    try:
        parsed = bytes.fromhex(salt), bytes.fromhex(mac)
    except ValueError:
        return None
    return parsed if parsed[0] and len(parsed[1]) == hashlib.sha256().digest_size else None
