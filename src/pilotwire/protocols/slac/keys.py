"""The network's key and its name (HomePlug Green PHY 1.1, 4.4.3.1 and 7.10.3.1)."""

from __future__ import annotations

import hashlib

_SALT = bytes.fromhex("08856daf7cf58186")


def nid_of(nmk: bytes) -> bytes:
    """The seven bytes of the network identifier of a key: five times SHA-256, 52 bits of it, security level 0."""
    digest = nmk
    for _ in range(5):
        digest = hashlib.sha256(digest).digest()
    return digest[:6] + bytes([digest[6] >> 4])


def nmk_of(password: str) -> bytes:
    """The key that a password stands for: PBKDF1 with SHA-256, a thousand rounds."""
    digest = password.encode() + _SALT
    for _ in range(1000):
        digest = hashlib.sha256(digest).digest()
    return digest[:16]
