"""What travels over the link between a box and a central system: the methods of `domain.seen.Controller` as bytes.

Both ends are of one table: a method's arguments as a struct, and what it answers. MessagePack with the fields' names,
so that an end ignores what a newer one says besides. The decoders are made here and nowhere else: they check all that
the types say.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec

from pilotwire.domain.seen import Change, Controller, Course, NotKnown, Now, Outlook, Past, Peak
from pilotwire.domain.steering.state import WindowSummary

Utc = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]


class Nothing(msgspec.Struct, frozen=True):
    """No arguments."""


class At(msgspec.Struct, frozen=True):
    utc_ms: Utc


class Span(msgspec.Struct, frozen=True):
    from_ms: Utc
    until_ms: Utc


class OfEvse(msgspec.Struct, frozen=True):
    evse: Annotated[str, msgspec.Meta(max_length=200)]
    from_ms: Utc
    until_ms: Utc


class Steps(msgspec.Struct, frozen=True):
    from_ms: Utc
    until_ms: Utc
    step_ms: Annotated[int, msgspec.Meta(ge=1, le=(1 << 53) - 1)]


class Method(NamedTuple):
    arguments: msgspec.msgpack.Decoder[Any]
    result: msgspec.msgpack.Decoder[Any]


def _method(arguments: type, result: Any) -> Method:
    return Method(msgspec.msgpack.Decoder(arguments), msgspec.msgpack.Decoder(result))


METHODS = {
    "now": _method(Nothing, Now),
    "at": _method(At, Past),
    "changes": _method(OfEvse, tuple[Change, ...]),
    "course": _method(Steps, Course),
    "windows": _method(Span, tuple[WindowSummary, ...]),
    "peaks": _method(Span, tuple[Peak, ...]),
    "outlook": _method(Nothing, Outlook | None),
}
"""The methods of `Controller` that may be asked, all of them reading ones."""
_ARGUMENTS = {"now": Nothing, "at": At, "changes": OfEvse, "course": Steps, "windows": Span, "peaks": Span}
_encoder = msgspec.msgpack.Encoder()


class BadContent(ValueError):
    """Bytes that are not what they should be; the text says what is wrong."""


def question(method: str, *arguments: Any) -> bytes:
    """The arguments of a method, in the order of `Controller`."""
    return _encoder.encode(_ARGUMENTS.get(method, Nothing)(*arguments))


def answered(method: str, result: bytes) -> Any:
    """What a method has answered. Raises BadContent."""
    return _read(METHODS[method].result, result)


def state(now: Now) -> bytes:
    """What a tick carries."""
    return _encoder.encode(now)


def stated(data: bytes) -> Now:
    """The same, read. Raises BadContent."""
    return _read(METHODS["now"].result, data)


def encoded(result: Any) -> bytes:
    """What a method answers."""
    return _encoder.encode(result)


async def ask(controller: Controller, method: str, arguments: bytes) -> Any:
    """Ask a controller what came over the link. Raises LookupError for a method that there is none of, BadContent for
    arguments that are none, NotKnown, and whatever the controller raises."""
    known = METHODS.get(method)
    if known is None:
        raise KeyError(method)
    given = _read(known.arguments, arguments)
    return await getattr(controller, method)(*msgspec.structs.astuple(given))


def _read(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadContent(str(error)[:200]) from None


__all__ = [
    "METHODS", "BadContent", "NotKnown", "answered", "ask", "encoded", "question", "state", "stated",
]  # fmt: skip
