"""Webhooks: what is signed, who hears of what, and what an answer means. Pure.

**Signature.** Every request carries `Pilotwire-Signature: t=<seconds>,v1=<hex>`: HMAC-SHA-256, keyed with the webhook's
secret, over the decimal seconds, a dot, and the body byte by byte. A receiver

1. takes `t` and every `v1` out of the header,
2. refuses a `t` more than five minutes from its own clock (a request that somebody recorded is worth nothing later),
3. computes the HMAC over `t`, ".", and the raw body, before parsing it,
4. compares it in constant time with each `v1`; one that fits is enough,
5. remembers the `Pilotwire-Event` id for a few days and drops what it has had: an event may come more than once.

`verify` below is these steps.

**Order.** Events go to a webhook one after the other in the order of the journal. While it is down (no answer, 5xx,
429, redirects, 401 …) everything waits, in order. An event that is refused for its own sake (400, 413, 422 …) is
retried apart, later than those behind it.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256
from typing import Final, Literal

SIGNATURE_HEADER: Final = "Pilotwire-Signature"
EVENT_HEADER: Final = "Pilotwire-Event"
TYPE_HEADER: Final = "Pilotwire-Event-Type"
ATTEMPT_HEADER: Final = "Pilotwire-Attempt"

TOLERANCE_S: Final = 300
"""How far the sender's clock may be from the receiver's."""
GIVE_UP_MS: Final = 3 * 86_400_000
"""How long an event is tried for, and how long a webhook may take nothing before it is switched off."""
FIRST_DELAY_MS: Final = 5_000
LAST_DELAY_MS: Final = 3_600_000

Verdict = Literal["delivered", "refused", "down", "gone"]
"""refused: this event for its own sake; down: the webhook takes nothing now; gone: it wants nothing ever again."""

_ABOUT_THE_EVENT: Final = frozenset((400, 409, 411, 412, 413, 414, 415, 417, 422, 428, 431))


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `Pilotwire-Signature`; `timestamp` in seconds."""
    return f"t={timestamp},v1={_digest(secret, timestamp, body)}"


def verify(secret: str, header: str, body: bytes, now: int, tolerance_s: int = TOLERANCE_S) -> bool:
    """Whether a request is ours, unchanged, and of the present; `now` in seconds."""
    timestamp, given = -1, list[str]()
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:
            timestamp = int(value)
        elif name == "v1":
            given.append(value)
    if timestamp < 0 or abs(now - timestamp) > tolerance_s:
        return False
    right = _digest(secret, timestamp, body)
    return any([hmac.compare_digest(right.encode(), one.encode()) for one in given])


def _digest(secret: str, timestamp: int, body: bytes) -> str:
    return hmac.new(secret.encode(), str(timestamp).encode() + b"." + body, sha256).hexdigest()


def wants(events: tuple[str, ...], kind: str) -> bool:
    """Whether a filter lets a type of event through. A ping is sent whatever the filter says."""
    return "*" in events or kind in events


def judge(status: int) -> Verdict:
    """What an HTTP status says about the event and the webhook."""
    if 200 <= status < 300:
        return "delivered"
    if status == 410:
        return "gone"
    return "refused" if status in _ABOUT_THE_EVENT else "down"


def delay_ms(attempts: int, key: str, asked_ms: int | None = None) -> int:
    """How long to wait after the `attempts`th failure: doubled each time, up to an hour, a fifth more or less.

    The jitter comes from `key`, so that many that failed together do not come back together, and the same case waits
    the same. `asked_ms` (Retry-After) is kept to where it is longer, up to an hour.
    """
    base = min(LAST_DELAY_MS, FIRST_DELAY_MS << min(max(attempts, 1) - 1, 20))
    digest = blake2b(f"{key}\0{attempts}".encode(), digest_size=4).digest()
    jitter = int.from_bytes(digest, "big") % 4_001 - 2_000
    return max(base + base * jitter // 10_000, min(asked_ms or 0, LAST_DELAY_MS))
