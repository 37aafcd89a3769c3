"""Certificates as text. What is read is bounded and tolerant of line ends, of words around the blocks, and of Base64
without a frame (some stations send it); what is written is strict (RFC 7468)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from pilotwire.core.errors import RemoteError

from .der import SEQUENCE, element

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_LABELS = {
    "CERTIFICATE": ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"),
    "CERTIFICATE REQUEST": ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    "X509 CRL": ("X509 CRL",),
}


class BadPem(RemoteError):
    """No PEM, or not of what was wanted."""


def blocks(text: str, label: str = "CERTIFICATE", *, at_most: int = 16) -> list[bytes]:
    """The DER of every block of that label, in their order. Raises BadPem for none, and for too many."""
    wanted = _LABELS[label]
    found = [_decode(body) for name, body in _BLOCK.findall(text) if name in wanted]
    if not found and "-----" not in text and text.strip():
        found = [_decode(text)]
    if not found:
        raise BadPem(f"no {label.lower()} in PEM")
    if len(found) > at_most:
        raise BadPem(f"more than {at_most} blocks of {label.lower()}")
    return found


def one(text: str, label: str = "CERTIFICATE") -> bytes:
    """The DER of the only block. Raises BadPem."""
    found = blocks(text, label)
    if len(found) != 1:
        raise BadPem(f"{len(found)} blocks of {label.lower()}, not one")
    return found[0]


def _decode(body: str) -> bytes:
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
        tag, _, end = element(data)
    except (binascii.Error, ValueError) as error:
        raise BadPem("what stands in the PEM is no Base64 of DER") from error
    if tag != SEQUENCE or end != len(data):
        raise BadPem("what stands in the PEM is no DER sequence")
    return data


def text(certificates: Iterable[bytes], label: str = "CERTIFICATE") -> str:
    """PEM blocks of 64 characters a line, one after the other."""
    lines: list[str] = []
    for der in certificates:
        data = base64.b64encode(der).decode()
        lines.append(f"-----BEGIN {label}-----")
        lines.extend(data[at : at + 64] for at in range(0, len(data), 64))
        lines.append(f"-----END {label}-----")
    return "\n".join(lines) + "\n"
