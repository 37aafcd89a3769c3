"""The URL of a dynamic QR code and the one-time password in it (2.1 C25)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

_CHARACTERS = "0123456789abcdefghijklmnpqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""As the standard has them: without the letter o."""


def one_time_password(secret: str, now_s: int, validity_s: int, length: int) -> str:
    """TOTP algorithm, version 1, at `now_s` seconds since 1970."""
    digest = hmac.new(secret.encode(), (now_s // validity_s).to_bytes(8, "big"), sha256).digest()
    offset = digest[-1] & 0x0F
    return "".join(_CHARACTERS[digest[(offset + at) % len(digest)] % len(_CHARACTERS)] for at in range(length))


def is_valid(password: str, secret: str, now_s: int, validity_s: int, length: int) -> bool:
    """Whether `password` is that of now or of the interval before: it takes a while to scan a code."""
    given = password.encode()
    return any(
        hmac.compare_digest(given, one_time_password(secret, at, validity_s, length).encode())
        for at in (now_s, now_s - validity_s)
    )


def is_template(template: str) -> bool:
    """Whether a URL template names what it has to (C25.FR.50): a station or its EVSE, the password, and its version."""
    whose = "{chargingstationid}" in template or "{roamingevseid}" in template
    return whose and "{totp}" in template and "{version}" in template


def url(template: str, values: Mapping[str, str], limits: Mapping[str, str]) -> str:
    """`template` with its placeholders filled in, and the driver's limits as its query (C25.FR.50 to .58)."""
    filled = template
    for name, value in values.items():
        filled = filled.replace("{" + name + "}", quote(value, safe=""))
    if limits:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in limits.items())
        filled += ("&" if "?" in filled else "?") + query
    return filled
