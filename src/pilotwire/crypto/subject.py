"""Who a client certificate belongs to: CN and O of its subject, read from DER with tolerance for odd encodings.

TLS has verified the certificate before anybody asks (A00.FR.404, 405 then compare O and CN with the station). What is
left is to read two strings, and certificates of real stations hold them in ways that strict readers refuse as a whole:
T61Strings in Latin-1, PrintableStrings with an underscore or an umlaut, BMPStrings. So only the way to the subject is
parsed (X.690, RFC 5280 4.1) and nothing else is judged.
"""

from __future__ import annotations

from typing import NamedTuple

from .der import OID, SEQUENCE, SET, element, elements, expect, parts

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
    _, name, _ = element(parts(der).subject)
    common_names: set[str] = set()
    organizations: set[str] = set()
    for tag, relative in elements(name):
        expect(tag, SET)
        for attribute_tag, attribute in elements(relative):
            expect(attribute_tag, SEQUENCE)
            oid_tag, oid, after = element(attribute, 0)
            expect(oid_tag, OID)
            if oid == _COMMON_NAME:
                common_names.add(_text(*element(attribute, after)[:2]))
            elif oid == _ORGANIZATION:
                organizations.add(_text(*element(attribute, after)[:2]))
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
