"""permessage-deflate (RFC 7692) without context takeover, which OCPP 2.x part 4 demands of a CSMS.

No context takeover means that a connection keeps no window between messages: an idle connection costs nothing more
with it than without. While a message is in the works, a compressor of 12 window bits and memory level 5 takes about
32 KiB and a decompressor at most 40 KiB; both are gone when the message is done.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from pilotwire.core.errors import RemoteError

WINDOW_BITS = 12
_MEMORY_LEVEL = 5
_TAIL = b"\x00\x00\xff\xff"


class Agreement(NamedTuple):
    """What was agreed in the handshake."""

    response: str
    """The value of the Sec-WebSocket-Extensions header that says it."""
    window_bits: int
    """For what this side sends."""


class BadCompression(RemoteError):
    """Not a deflate stream: close with 1007."""


class TooLarge(RemoteError):
    """Inflates beyond the message size: close with 1009."""


OFFER = (
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    f"server_max_window_bits={WINDOW_BITS}; client_max_window_bits={WINDOW_BITS}"
)
"""What our own client offers."""


def _parameters(text: str) -> tuple[str, dict[str, str] | None]:
    """(extension, parameters); None for parameters that are repeated."""
    name, *items = (item.strip() for item in text.split(";"))
    found: dict[str, str] = {}
    for item in items:
        key, _, value = item.partition("=")
        key = key.strip().lower()
        if key in found:
            return name.lower(), None
        found[key] = value.strip().strip('"')
    return name.lower(), found


def _bits(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and value[0] != "0" and 8 <= int(value) <= 15 else None


def negotiate(offers: bytes | None) -> Agreement | None:
    """The server's answer to the first offer that it can take (RFC 7692 section 7.1), or None.

    The answer always rules context takeover out for both directions, which a server may do unasked.
    """
    if offers is None:
        return None
    for offer in offers.decode("latin-1").split(","):
        name, found = _parameters(offer)
        if name != "permessage-deflate" or found is None:
            continue
        bits = WINDOW_BITS
        answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        sound = True
        for key, value in found.items():
            if key in ("server_no_context_takeover", "client_no_context_takeover"):
                sound = sound and not value
            elif key == "server_max_window_bits":
                asked = _bits(value)
                # zlib cannot write a raw stream with a window of 2**8: such an offer is declined.
                sound = sound and asked is not None and asked >= 9
                bits = min(bits, asked or bits)
            elif key == "client_max_window_bits":
                asked = _bits(value) if value else 15
                sound = sound and asked is not None
                answer += f"; client_max_window_bits={max(9, min(WINDOW_BITS, asked or 15))}" if asked != 8 else ""
            else:
                sound = False
        if sound:
            return Agreement(f"{answer}; server_max_window_bits={bits}", bits)
    return None


def read_answer(value: str | None) -> Agreement | None:
    """A server's answer to `OFFER`. None without the header; raises RemoteError for one that was not offered."""
    if value is None:
        return None
    name, found = _parameters(value)
    allowed = {
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    }
    if name != "permessage-deflate" or found is None or not found.keys() <= allowed:
        raise RemoteError(f"the server chose an extension that was not offered: {value!r}")
    if "server_no_context_takeover" not in found:
        raise RemoteError("the server insists on a compression context, which was ruled out")
    bits = _bits(found.get("client_max_window_bits") or str(WINDOW_BITS))
    if bits is None:
        raise RemoteError(f"the server chose window bits that do not exist: {value!r}")
    return Agreement(value, max(9, min(bits, WINDOW_BITS)))


def compress(data: bytes, window_bits: int = WINDOW_BITS) -> bytes:
    """One message, without the four bytes that every block ends with (section 7.2.1)."""
    machine = zlib.compressobj(wbits=-window_bits, memLevel=_MEMORY_LEVEL)
    return (machine.compress(data) + machine.flush(zlib.Z_SYNC_FLUSH))[:-4]


def decompress(data: bytes, limit: int) -> bytes:
    """One message of at most `limit` bytes. Raises TooLarge or BadCompression; memory is bounded by the limit."""
    # 15 bits read any smaller window too; zlib allocates the window only when a message needs it.
    machine = zlib.decompressobj(wbits=-15)
    try:
        text = machine.decompress(data + _TAIL, limit + 1)
    except zlib.error as error:
        raise BadCompression(str(error)) from None
    if len(text) > limit:
        raise TooLarge(f"inflates beyond {limit} bytes")
    if machine.eof and machine.unused_data not in (_TAIL, b"\x00" + _TAIL):
        # A final block is allowed (section 7.2.3.4); a second stream behind it would be cut off without a word.
        raise BadCompression("data after the final block")
    return text
