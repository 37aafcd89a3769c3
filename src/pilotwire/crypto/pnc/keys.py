"""Private keys behind an interface: `SoftwareKey` holds one in memory, a hardware module implements `PrivateKey`.

Nobody above asks for the number itself. What is wrapped for a key is opened by it and comes back as a key again, so
that with hardware behind the interface no contract's key is ever in our memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, NoReturn, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from pilotwire.core.errors import LocalError
from pilotwire.protocols.iso15118.signature import ECDSA_SHA256, ECDSA_SHA512, ED448, Suite

Kind = Literal["p256", "p521", "ed448"]
Random = Callable[[int], bytes]
"""So many random bytes."""
Raw = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
Public = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey

SUITES: Final[dict[Kind, Suite]] = {"p256": ECDSA_SHA256, "p521": ECDSA_SHA512, "ed448": ED448}
_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {"p256": ec.SECP256R1, "p521": ec.SECP521R1}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"p256": hashes.SHA256(), "p521": hashes.SHA512()}
_SIZES: Final = {"p256": 32, "p521": 66, "ed448": 57}
_FORMAT = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


class UnfitKey(LocalError):
    """A key that cannot be used for this."""


class Wrapped(NamedTuple):
    """A contract's key on its way to one car; see `transport`."""

    public: bytes
    """The sender's ephemeral public key."""
    data: bytes
    bound: bytes = b""
    """What the wrapping is bound to beside the key (-20: PCID and key identifier)."""


class PrivateKey(Protocol):
    """A private key, wherever it is."""

    @property
    def kind(self) -> Kind: ...

    @property
    def public(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Hash and sign; raw as XML signatures have it (r and s one behind the other)."""
        ...

    def open(self, wrapped: Wrapped) -> PrivateKey:
        """The key that was wrapped for this one. Raises `transport.BadTransport`."""
        ...


class SoftwareKey:
    """A key in memory. It shows neither in `repr` nor in a pickle."""

    __slots__ = ("_key", "kind", "public")

    def __init__(self, key: Raw) -> None:
        self._key = key
        self.kind: Kind = kind_of(key.public_key())
        self.public = key.public_key().public_bytes(*_FORMAT)

    def __repr__(self) -> str:
        return f"<SoftwareKey {self.kind} {hashlib.sha256(self.public).hexdigest()[:16]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied")

    def sign(self, data: bytes) -> bytes:
        """As of PrivateKey."""
        key = self._key
        if isinstance(key, ed448.Ed448PrivateKey):
            return key.sign(data)
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_HASHES[self.kind])))
        size = _SIZES[self.kind]
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def agree(self, public: bytes) -> bytes:
        """ECDH with an uncompressed point. Raises ValueError for what is no point of the curve, UnfitKey."""
        key = self._key
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise UnfitKey("a signing key on Ed448 agrees on nothing")
        return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, public))

    def open(self, wrapped: Wrapped) -> SoftwareKey:
        """As of PrivateKey."""
        from . import transport

        return transport.unwrapped(self, wrapped)

    @property
    def point(self) -> bytes:
        """The public key as an uncompressed point."""
        return point_of(self._key.public_key())

    def secret(self) -> bytes:
        """The number itself, for wrapping: big-endian, as long as the field."""
        key = self._key
        if isinstance(key, ed448.Ed448PrivateKey):
            return key.private_bytes_raw()
        return key.private_numbers().private_value.to_bytes(_SIZES[self.kind], "big")

    def secret_pem(self, password: bytes = b"") -> str:
        """PKCS #8, for a file that only its owner reads."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption(),
        ).decode()

    @property
    def raw(self) -> Raw:
        """For signing certificates."""
        return self._key


def new_key(kind: Kind, random: Random) -> SoftwareKey:
    """A key made of random bytes."""
    if kind == "ed448":
        return SoftwareKey(ed448.Ed448PrivateKey.from_private_bytes(random(57)))
    curve = _CURVES[kind]()
    # 64 bits more than the order has, so that no number is likelier than another (FIPS 186-5 A.2.1).
    return SoftwareKey(ec.derive_private_key(int.from_bytes(random(_SIZES[kind] + 8)) % (_ORDERS[kind] - 1) + 1, curve))


def of_secret(kind: Kind, secret: bytes) -> SoftwareKey:
    """The key of a number. Raises ValueError for one that is none of the curve."""
    if kind == "ed448":
        return SoftwareKey(ed448.Ed448PrivateKey.from_private_bytes(secret))
    number = int.from_bytes(secret)
    if not 1 <= number < _ORDERS[kind]:
        raise ValueError("a number that is no key of the curve")
    return SoftwareKey(ec.derive_private_key(number, _CURVES[kind]()))


def read_key(text: str, password: bytes = b"") -> SoftwareKey:
    """The key of a PEM. Raises ValueError, whose text tells nothing of the key."""
    try:
        key = serialization.load_pem_private_key(text.encode(), password or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("this is no private key, or its password is another") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey):
        raise ValueError(f"a key of the kind {type(key).__name__}")
    return SoftwareKey(key)


def kind_of(public: Any) -> Kind:
    """Raises ValueError for a key that is none of ISO 15118."""
    if isinstance(public, ed448.Ed448PublicKey):
        return "ed448"
    if isinstance(public, ec.EllipticCurvePublicKey):
        for kind, curve in _CURVES.items():
            if public.curve.name == curve.name:
                return "p256" if kind == "p256" else "p521"
        raise ValueError(f"a key on the curve {public.curve.name}")
    raise ValueError(f"a key of the kind {type(public).__name__}")


def point_of(public: Public) -> bytes:
    """A public key as an uncompressed point, 04 X Y; of Ed448 as its 57 bytes."""
    if isinstance(public, ed448.Ed448PublicKey):
        return public.public_bytes_raw()
    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def info_of(public: Any) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return public.public_bytes(*_FORMAT)


def verify(public: Any, suite: Suite, data: bytes, signature: bytes) -> bool:
    """Whether a raw signature is right, by a key that goes with the suite."""
    try:
        kind = kind_of(public)
        if SUITES[kind] != suite or len(signature) != suite.size:
            return False
        if kind == "ed448":
            public.verify(signature, data)
        else:
            half = suite.size // 2
            values = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            public.verify(encode_dss_signature(*values), data, ec.ECDSA(_HASHES[kind]))
    except (InvalidSignature, ValueError):
        return False
    return True


_ORDERS: Final = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p521": (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
}
"""Of the base points (SEC 2)."""
