"""Who a client certificate belongs to: CN and O of its subject, read from DER with tolerance for odd encodings.

TLS has verified the certificate before anybody asks (A00.FR.404, 405 then compare O and CN with the station). What is
left is to read two strings, and certificates of real stations hold them in ways that strict readers refuse as a whole:
T61Strings in Latin-1, PrintableStrings with an underscore or an umlaut, BMPStrings. So only the way to the subject is
parsed (X.690, RFC 5280 4.1) and nothing else is judged.
"""

from __future__ import annotations

from typing import NamedTuple

_SEQUENCE, _SET, _INTEGER, _OID, _VERSION = 0x30, 0x31, 0x02, 0x06, 0xA0
_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_ORGANIZATION = bytes((0x55, 0x04, 0x0A))

_ENCODINGS = {
    0x0C: ("utf-8", "latin-1"),  # UTF8String
    0x12: ("ascii", "latin-1"),  # NumericString
    0x13: ("utf-8", "latin-1"),  # PrintableString
    0x14: ("utf-8", "latin-1"),  # T61String: what writers put there is hardly ever T.61
    0x16: ("utf-8", "latin-1"),  # IA5String
    0x1A: ("ascii", "latin-1"),  # VisibleString
    0x1C: ("utf-32-be",),  # UniversalString
    0x1E: ("utf-16-be",),  # BMPString
}


class Subject(NamedTuple):
    """CN and O. "" where the subject has none, and where it has several that differ: what can be read in two ways
    identifies nobody."""

    common_name: str
    organization: str


def read_subject(der: bytes) -> Subject:
    """The subject of a certificate (DER). Raises ValueError for what is no certificate."""
    tag, certificate, _ = _element(der, 0)
    _expect(tag, _SEQUENCE)
    tag, body, _ = _element(certificate, 0)
    _expect(tag, _SEQUENCE)
    tag, _, at = _element(body, 0)
    if tag == _VERSION:
        tag, _, at = _element(body, at)
    _expect(tag, _INTEGER)
    for _ in range(3):  # signature algorithm, issuer, validity
        tag, _, at = _element(body, at)
        _expect(tag, _SEQUENCE)
    tag, name, _ = _element(body, at)
    _expect(tag, _SEQUENCE)
    common_names: set[str] = set()
    organizations: set[str] = set()
    for tag, relative in _elements(name):
        _expect(tag, _SET)
        for attribute_tag, attribute in _elements(relative):
            _expect(attribute_tag, _SEQUENCE)
            oid_tag, oid, after = _element(attribute, 0)
            _expect(oid_tag, _OID)
            if oid == _COMMON_NAME:
                common_names.add(_text(*_element(attribute, after)[:2]))
            elif oid == _ORGANIZATION:
                organizations.add(_text(*_element(attribute, after)[:2]))
    return Subject(_only(common_names), _only(organizations))


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""


def _text(tag: int, value: bytes) -> str:
    for encoding in _ENCODINGS.get(tag, ()):
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError(f"a name in the subject is no string (tag {tag:#x})")


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, value, at = _element(data, at)
        found.append((tag, value))
    return found


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and end of the element at `at`: one-byte tags, definite lengths of up to four bytes."""
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


def _expect(tag: int, wanted: int) -> None:
    if tag != wanted:
        raise ValueError(f"not a certificate: tag {tag:#x} where {wanted:#x} belongs")
