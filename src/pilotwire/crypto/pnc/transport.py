"""How the key of a contract comes to one car: wrapped for the key in its provisioning certificate.

ISO 15118-2 (7.9.2.4.3, V2G2-818): an ephemeral pair on P-256, ECDH with the car's key, the concatenation KDF of NIST
SP 800-56A with SHA-256 over 01 'U' 'V', 16 bytes of it as the key of AES-128-CBC without padding; 16 bytes IV, 32 bytes
ciphertext. Nothing is authenticated: whoever opens it must compare what comes out with the certificate.

ISO 15118-20 (7.9.2.5.2): the same with P-521 and AES-256-GCM; 12 bytes IV, 66 bytes ciphertext (seven bits of zeros
before the 521), 16 bytes tag; bound to PCID and key identifier of the contract's certificate. Published descriptions
agree on all that. **Not verified** is the KDF of 7.9.2.5.4, which was not to be had: the one of -2 with SHA-512 is
assumed (`_KDF_20`), and no other implementation was found to compare with. With Ed448, X448 stands in for P-521: 56
bytes and no padding, 84 bytes in all. Its public key of 56 (or, with a leading byte, 57) bytes does not fit into the
schema at hand, which has exactly 133 there, so that X448 is offered here and used in no message. Keys inside a TPM
(TPM_EncryptedPrivateKey) are not done.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from pilotwire.core.errors import RemoteError

from .keys import Kind, Random, SoftwareKey, Wrapped, new_key, of_secret

_OTHER_INFO: Final = b"\x01UV"
_KDF_20: Final = hashes.SHA512()
_IV, _TAG, _BLOCK = 12, 16, 16
SIZES: Final[dict[Kind, tuple[int, int]]] = {"p256": (65, 48), "p521": (133, 94)}
"""Bytes of the ephemeral public key and of what is wrapped."""


class BadTransport(RemoteError):
    """What is wrapped is not for this key, or was changed. The text tells nothing of either key."""


def bound_to(pcid: str, identifier: bytes) -> bytes:
    """What a wrapping of -20 is bound to: PCID without separators, then the contract's key identifier in hexadecimal
    digits (V2G20-2492; 18 and 16 bytes, for identifiers of 8 bytes)."""
    return (pcid.replace("-", "").upper() + identifier.hex().upper()).encode()


def wrapped(key: SoftwareKey, receiver: bytes, kind: Kind, random: Random, bound: bytes = b"") -> Wrapped:
    """A contract's key wrapped for the public key `receiver` (an uncompressed point of `kind`). Raises ValueError."""
    ephemeral = new_key(kind, random)
    shared = ephemeral.agree(receiver)
    if kind == "p256":
        iv = random(_BLOCK)
        cipher = Cipher(algorithms.AES(_key_2(shared)), modes.CBC(iv)).encryptor()
        return Wrapped(ephemeral.point, iv + cipher.update(key.secret()) + cipher.finalize())
    iv = random(_IV)
    return Wrapped(ephemeral.point, iv + AESGCM(_key_20(shared)).encrypt(iv, key.secret(), bound), bound)


def unwrapped(own: SoftwareKey, packet: Wrapped) -> SoftwareKey:
    """What was wrapped for `own`. Raises BadTransport."""
    sizes = SIZES.get(own.kind)
    if sizes is None or (len(packet.public), len(packet.data)) != sizes:
        raise BadTransport(
            f"{len(packet.public)} and {len(packet.data)} bytes are no key wrapped for one on {own.kind}"
        )
    try:
        shared = own.agree(packet.public)
        if own.kind == "p256":
            cipher = Cipher(algorithms.AES(_key_2(shared)), modes.CBC(packet.data[:_BLOCK])).decryptor()
            secret = cipher.update(packet.data[_BLOCK:]) + cipher.finalize()
        else:
            secret = AESGCM(_key_20(shared)).decrypt(packet.data[:_IV], packet.data[_IV:], packet.bound)
        return of_secret(own.kind, secret)
    except (ValueError, InvalidTag):
        # The cause would say how the number looked.
        raise BadTransport("what is wrapped is not for this key") from None


def wrapped_x448(secret: bytes, receiver: bytes, random: Random, bound: bytes) -> Wrapped:
    """56 bytes wrapped for a public key on X448; see the module for why no message carries it."""
    ephemeral = X448PrivateKey.from_private_bytes(random(56))
    shared = ephemeral.exchange(X448PublicKey.from_public_bytes(receiver))
    iv = random(_IV)
    data = iv + AESGCM(_key_20(shared)).encrypt(iv, secret, bound)
    return Wrapped(ephemeral.public_key().public_bytes_raw(), data, bound)


def unwrapped_x448(own: X448PrivateKey, packet: Wrapped) -> bytes:
    """The other way. Raises BadTransport."""
    try:
        shared = own.exchange(X448PublicKey.from_public_bytes(packet.public))
        return AESGCM(_key_20(shared)).decrypt(packet.data[:_IV], packet.data[_IV:], packet.bound)
    except (ValueError, InvalidTag):
        raise BadTransport("what is wrapped is not for this key") from None


def _key_2(shared: bytes) -> bytes:
    return ConcatKDFHash(hashes.SHA256(), 16, _OTHER_INFO).derive(shared)


def _key_20(shared: bytes) -> bytes:
    return ConcatKDFHash(_KDF_20, 32, _OTHER_INFO).derive(shared)
