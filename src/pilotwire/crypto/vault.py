"""What has to be readable again and must not lie open in the store: locked with the installation's secret.

The secret is kept beside the store, not in it, so a copied database tells nothing. Each purpose has a key of its own
(HKDF-SHA-256, RFC 5869), so that what was locked for one cannot be passed off as another. AES-256-GCM.

    v1.<nonce and ciphertext, base64url>
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable

from pilotwire.core.errors import LocalError

_PREFIX = "v1."
_NONCE = 12
_SECRET_AT_LEAST = 16


class NotOurs(LocalError):
    """Locked by another installation, for another purpose, or changed since."""


class Vault:
    """Locks texts and makes macs. `random` is where nonces come from."""

    def __init__(self, secret: bytes, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(secret) < _SECRET_AT_LEAST:
            raise LocalError(f"the installation's secret has {_SECRET_AT_LEAST} bytes or more")
        self._secret = secret
        self._random = random
        self._keys: dict[str, bytes] = {}

    def _key(self, purpose: str) -> bytes:
        if purpose not in self._keys:
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF

            derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"pilotwire {purpose}".encode())
            self._keys[purpose] = derive.derive(self._secret)
        return self._keys[purpose]

    def lock(self, purpose: str, text: str) -> str:
        """`text`, readable again by `open` with the same purpose alone."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = self._random(_NONCE)
        sealed = nonce + AESGCM(self._key(purpose)).encrypt(nonce, text.encode(), purpose.encode())
        return _PREFIX + base64.urlsafe_b64encode(sealed).decode()

    def open(self, purpose: str, locked: str) -> str:
        """What was locked. Raises NotOurs."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            if not locked.startswith(_PREFIX):
                raise NotOurs(f"what is kept for {purpose} is not locked")
            sealed = base64.b64decode(locked[len(_PREFIX) :].encode(), altchars=b"-_", validate=True)
            return AESGCM(self._key(purpose)).decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise NotOurs(f"what is kept for {purpose} was locked with another secret") from error

    def mac(self, purpose: str, text: str) -> str:
        """HMAC-SHA-256, hex: tells a text again without keeping it."""
        return hmac.new(self._key(purpose), text.encode(), hashlib.sha256).hexdigest()
