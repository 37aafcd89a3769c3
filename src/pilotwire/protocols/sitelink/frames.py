"""The frames of the link between a box and a central system, and their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeVar

import msgspec

VERSION: Final = 1
_PREFIX: Final = "pilotwire.site.v"
SUBPROTOCOL: Final = f"{_PREFIX}{VERSION}"
BOX_HEADER: Final = "pilotwire-box"
"""The handshake's header with the box's own id: a random text that it keeps, by which records name it."""
MOST_UP: Final = 4 << 20
"""Bytes of a frame of the box."""
MOST_DOWN: Final = 16 << 10
"""Bytes of a frame of the central system."""
IDLE_MS: Final = 15_000
"""How often ticks come while nobody looks."""
FASTEST_MS: Final = 1_000
SLOWEST_MS: Final = 60_000

T = TypeVar("T")
Short = Annotated[str, msgspec.Meta(max_length=200)]
Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
FailKind = Literal["unknown", "not_known", "bad", "busy", "failed", "too_large"]
"""`unknown` method (an older box), `not_known` there is nothing of that moment, `bad` arguments, `busy` too many or too
fast, `failed` at the box, `too_large` an answer."""


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="t", kw_only=True):
    """Who the box is. `site` is the id in its own file, which its ticks carry."""

    site: Short
    name: Short
    time_zone: Short
    program: Short = ""


class Tick(msgspec.Struct, frozen=True, tag="tick", tag_field="t"):
    """The newest state. `seq` grows with each one of a connection."""

    seq: Number
    now: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, tag="answer", tag_field="t"):
    id: Number
    result: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="t"):
    id: Number
    kind: FailKind
    words: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class Ask(msgspec.Struct, frozen=True, tag="ask", tag_field="t"):
    id: Number
    method: Annotated[str, msgspec.Meta(max_length=50)]
    args: msgspec.Raw


class Seen(msgspec.Struct, frozen=True, tag="seen", tag_field="t"):
    """A tick has come: the next may."""

    seq: Number


class Watch(msgspec.Struct, frozen=True, tag="watch", tag_field="t"):
    """How often ticks are wanted from now on."""

    every_ms: Annotated[int, msgspec.Meta(ge=FASTEST_MS, le=SLOWEST_MS)]


Up = Hello | Tick | Answer | Failed
Down = Ask | Seen | Watch
_up = msgspec.msgpack.Decoder(Up)
_down = msgspec.msgpack.Decoder(Down)
_encoder = msgspec.msgpack.Encoder()


class BadFrame(ValueError):
    """The text says what is wrong with it."""


def encode(frame: Up | Down) -> bytes:
    """One message of the carrier."""
    return _encoder.encode(frame)


def decode_up(data: bytes) -> Up:
    """A frame of a box. Raises BadFrame."""
    return _read(_up, data, MOST_UP)


def decode_down(data: bytes) -> Down:
    """A frame of a central system. Raises BadFrame."""
    return _read(_down, data, MOST_DOWN)


def _read(decoder: msgspec.msgpack.Decoder[T], data: bytes, most: int) -> T:
    if len(data) > most:
        raise BadFrame(f"a frame of {len(data)} bytes, {most} are the most")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadFrame(str(error)[:200]) from None


def version_of(subprotocols: Sequence[str]) -> int | None:
    """The highest version of this protocol that is offered; None where none is."""
    found = [each.removeprefix(_PREFIX) for each in subprotocols if each.startswith(_PREFIX)]
    return max((int(each) for each in found if each.isascii() and each.isdigit() and len(each) < 6), default=None)
