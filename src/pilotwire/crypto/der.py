"""Just enough DER to take a certificate apart without understanding it: stations and cars show certificates that strict
parsers refuse, and hashes go over the bytes as they are.

One-byte tags, definite lengths of up to four bytes. Everything raises ValueError for what is cut off or is none.
"""

from __future__ import annotations

from typing import NamedTuple

SEQUENCE, SET, INTEGER, OID, BIT_STRING, VERSION = 0x30, 0x31, 0x02, 0x06, 0x03, 0xA0


def element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """Tag, content and end of the element at `at`."""
    if at + 2 > len(data):
        raise ValueError("cut off")
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or at + count > len(data):
            raise ValueError("a length that DER does not have")
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    end = at + length
    if end > len(data):
        raise ValueError("cut off")
    return tag, data[at:end], end


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element in a row."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, value, at = element(data, at)
        found.append((tag, value))
    return found


def expect(tag: int, wanted: int) -> None:
    """Raises ValueError where they differ."""
    if tag != wanted:
        raise ValueError(f"not a certificate: tag {tag:#x} where {wanted:#x} belongs")


class Parts(NamedTuple):
    """What hashes and names are made of, as it stands in the certificate. `issuer` and `subject` are whole Names."""

    serial: int
    issuer: bytes
    subject: bytes
    key_info: bytes
    """SubjectPublicKeyInfo, not looked into."""

    @property
    def public_key(self) -> bytes:
        """Value of the BIT STRING: without tag, length and the byte that counts unused bits. Raises ValueError."""
        _, key, _ = element(self.key_info)
        tag, _, at = element(key)
        expect(tag, SEQUENCE)
        tag, bits, _ = element(key, at)
        expect(tag, BIT_STRING)
        if not bits:
            raise ValueError("a key without bits")
        return bits[1:]


def parts(certificate: bytes) -> Parts:
    """The parts of a certificate (DER, RFC 5280 4.1)."""
    tag, body, _ = element(certificate)
    expect(tag, SEQUENCE)
    tag, body, _ = element(body)
    expect(tag, SEQUENCE)
    tag, value, at = element(body)
    if tag == VERSION:
        tag, value, at = element(body, at)
    expect(tag, INTEGER)
    serial = int.from_bytes(value, "big", signed=True)
    raw: list[bytes] = []
    for _ in range(5):  # signature algorithm, issuer, validity, subject, public key
        tag, _, end = element(body, at)
        expect(tag, SEQUENCE)
        raw.append(body[at:end])
        at = end
    return Parts(serial, raw[1], raw[3], raw[4])
