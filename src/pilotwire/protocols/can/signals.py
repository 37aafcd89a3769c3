"""Messages of a fixed layout on CAN as tables: where each signal lies, what it counts in, what its values are called.

    SPEED = message(0x102, "EV_CHARGING", 8, period_ms=100, sender="ev", signals=(
        number("target_voltage", 8, 16, unit="mV", factor=1000),
        flag("enabled", 40),
        choice("gear", 42, 2, {0: "parked", 1: "other"}),
    ))
    SPEED.decode(frame.data)              # {"target_voltage": 410_000, "enabled": True, "gear": 0}
    SPEED.encode({"target_voltage": 410_000, "enabled": True})

Values are integers in base units (mV, mA, mW, Wh, ms, 0.1 %): value = raw · factor + offset, exactly, the factor
a fraction. A signal that carries its not-available value, or lies beyond a message's end, reads None; None, or a name
left out, is sent as not available, or as the message's filling bits where there is no such value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal

import msgspec

from .frame import CanFrame

Kind = Literal["number", "flag", "choice", "text", "bytes", "bcd"]
Read = Callable[[int, int], Any]
Write = Callable[[Any], int]
_UNBOUND: Any = None


class SignalError(ValueError):
    """Data that is no such message."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One field. Made by `number`, `flag`, `choice`, `text`, `octets`, `bcd`."""

    name: str
    start: int
    """Number of its lowest bit, counted from bit 0 of byte 0; of a big-endian one its highest bit (as in a DBC)."""
    length: int
    """Bits."""
    kind: Kind = "number"
    big_endian: bool = False
    signed: bool = False
    factor: Fraction = Fraction(1)
    """Base units a step; below zero for a signal that counts the other way round."""
    offset: int = 0
    """In base units."""
    unit: str = ""
    choices: Mapping[int, str] = {}
    """Names of raw values."""
    missing: int | None = None
    """The raw value that says: not available."""
    low: int | None = None
    high: int | None = None
    """What the standard allows, in base units; None: whatever fits."""
    about: str = ""

    @property
    def last_bit(self) -> int:
        """The number of its bit that lies furthest back in the message."""
        if not self.big_endian:
            return self.start + self.length - 1
        into_first = self.start % 8 + 1
        further = max(0, self.length - into_first)
        return self.start if not further else (self.start // 8 + (further + 7) // 8) * 8 + 7

    def allows(self, value: Any) -> bool:
        """Whether a value that was read is one that the standard allows."""
        if value is None:
            return True
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "number":
            return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        return True

    def word(self, value: Any) -> str:
        """The value as people read it."""
        if value is None:
            return "not available"
        if self.kind == "choice":
            return self.choices.get(value, f"{value}?")
        if self.kind == "flag":
            return "yes" if value else "no"
        if self.kind == "bytes":
            return bytes(value).hex()
        return f"{value} {self.unit}".rstrip()


def number(
    name: str,
    start: int,
    length: int,
    *,
    unit: str = "",
    factor: int | Fraction = 1,
    offset: int = 0,
    big_endian: bool = False,
    signed: bool = False,
    missing: int | None = None,
    low: int | None = None,
    high: int | None = None,
    about: str = "",
) -> Signal:
    """A quantity, or a plain number."""
    return Signal(
        name=name,
        start=start,
        length=length,
        unit=unit,
        factor=Fraction(factor),
        offset=offset,
        big_endian=big_endian,
        signed=signed,
        missing=missing,
        low=low,
        high=high,
        about=about,
    )


def flag(name: str, bit: int, *, about: str = "") -> Signal:
    """One bit, a bool."""
    return Signal(name=name, start=bit, length=1, kind="flag", about=about)


def choice(
    name: str, start: int, length: int, choices: Mapping[int, str], *, missing: int | None = None, about: str = ""
) -> Signal:
    """An enumeration; its values stay the raw integers, `choices` has their names."""
    return Signal(
        name=name, start=start, length=length, kind="choice", choices=dict(choices), missing=missing, about=about
    )


def text(name: str, byte: int, length: int, *, about: str = "") -> Signal:
    """`length` bytes of ASCII from `byte` on; FF and NUL at the end are no text; all FF: not available."""
    return Signal(name=name, start=byte * 8, length=length * 8, kind="text", about=about)


def octets(name: str, byte: int, length: int, *, about: str = "") -> Signal:
    """`length` bytes from `byte` on, as they are."""
    return Signal(name=name, start=byte * 8, length=length * 8, kind="bytes", about=about)


def bcd(name: str, byte: int, length: int = 1, *, about: str = "") -> Signal:
    """Two decimal digits a byte, lowest byte first; FF, or what is no digit: not available."""
    return Signal(name=name, start=byte * 8, length=length * 8, kind="bcd", about=about)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. Made by `message`, which checks that its signals fit and do not overlap."""

    id: int
    """The CAN identifier; of a J1939 message with priority and both addresses."""
    name: str
    length: int
    """Bytes, as it is sent."""
    signals: tuple[Signal, ...]
    extended: bool = False
    period_ms: int | None = None
    sender: str = ""
    least: int = 0
    """So many bytes at least make it readable; what lies beyond its end is not available."""
    fill: bool = False
    """What bits without a meaning are sent as."""
    about: str = ""
    decode: Callable[[bytes], dict[str, Any]] = _UNBOUND
    """Bytes → values by name. Bytes beyond `length` are left alone. Raises SignalError when there are fewer than
    `least`."""
    encode: Callable[[Mapping[str, Any]], bytes] = _UNBOUND
    """Values by name → bytes. A number outside of what its field holds becomes the nearest that it holds, never the
    not-available value. Raises KeyError for a name that the message does not have."""

    def signal(self, name: str) -> Signal:
        return next(each for each in self.signals if each.name == name)

    def frame(self, values: Mapping[str, Any]) -> CanFrame:
        """As one frame; for messages of at most 8 bytes."""
        return CanFrame(self.id, self.encode(values), self.extended)

    def words(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The values as people read them, those not available left out."""
        return {each.name: each.word(values[each.name]) for each in self.signals if values.get(each.name) is not None}

    def faults(self, values: Mapping[str, Any]) -> list[str]:
        """Names of the signals whose values the standard does not allow."""
        return [each.name for each in self.signals if not each.allows(values.get(each.name))]


def message(
    id: int,
    name: str,
    length: int,
    *,
    signals: Iterable[Signal],
    extended: bool = False,
    period_ms: int | None = None,
    sender: str = "",
    least: int | None = None,
    fill: bool = False,
    about: str = "",
) -> Message:
    """A message ready to read and write. `least`: None: all of `length`. Raises ValueError for a wrong table."""
    fields = tuple(signals)
    taken: dict[int, str] = {}
    for each in fields:
        for bit in _bits(each):
            if bit >= length * 8:
                raise ValueError(f"{name}.{each.name} goes beyond byte {length}")
            if bit in taken:
                raise ValueError(f"{name}.{each.name} lies on {taken[bit]}")
            taken[bit] = each.name
    if len({each.name for each in fields}) < len(fields):
        raise ValueError(f"{name} has two signals of one name")
    shortest = length if least is None else least
    return Message(
        id=id,
        name=name,
        length=length,
        signals=fields,
        extended=extended,
        period_ms=period_ms,
        sender=sender,
        least=shortest,
        fill=fill,
        about=about,
        decode=_decoder(name, fields, shortest),
        encode=_encoder(fields, length, fill),
    )


class Table:
    """All messages of a protocol, by identifier and by name."""

    __slots__ = ("by_id", "by_name", "messages", "name")

    def __init__(self, name: str, messages: Iterable[Message]) -> None:
        self.name = name
        self.messages = tuple(messages)
        self.by_id = {(each.id, each.extended): each for each in self.messages}
        self.by_name = {each.name: each for each in self.messages}

    def find(self, frame: CanFrame) -> Message | None:
        return self.by_id.get((frame.id, frame.extended))

    def decode(self, frame: CanFrame) -> tuple[Message, dict[str, Any]] | None:
        """The message and its values; None: none of ours. Raises SignalError when it is too short."""
        found = self.by_id.get((frame.id, frame.extended))
        return None if found is None else (found, found.decode(frame.data))


# ── closures, one a signal: no table is walked through when a frame comes ─────────────────────────────────────────────
def _bits(signal: Signal) -> Iterable[int]:
    if not signal.big_endian:
        return range(signal.start, signal.start + signal.length)
    bits: list[int] = []
    bit = signal.start
    for _ in range(signal.length):
        bits.append(bit)
        bit = bit - 1 if bit % 8 else bit + 15
    return bits


def _decoder(name: str, signals: tuple[Signal, ...], least: int) -> Callable[[bytes], dict[str, Any]]:
    fields = [(each.name, each.last_bit // 8 + 1, _reader(each)) for each in signals]
    whole = max((end for _, end, _ in fields), default=0)
    complete = [(field, read) for field, _, read in fields]

    def decode(data: bytes) -> dict[str, Any]:
        size = len(data)
        if size < least:
            raise SignalError(f"{name} has {size} of at least {least} bytes")
        number = int.from_bytes(data, "little")
        if size >= whole:
            return {field: read(number, size) for field, read in complete}
        return {field: read(number, size) if end <= size else None for field, end, read in fields}

    return decode


def _raw(signal: Signal) -> Read:
    """Reads the bits of a signal out of the message as a little-endian number."""
    mask = (1 << signal.length) - 1
    if not signal.big_endian:
        start = signal.start
        return lambda number, size: (number >> start) & mask
    last = signal.last_bit // 8 + 1
    # The bytes up to the last one that matters, the other way round: then it is contiguous.
    low = (signal.start % 8 + 1 - signal.length) % 8
    head = (1 << last * 8) - 1

    def big(number: int, size: int) -> int:
        return (int.from_bytes((number & head).to_bytes(last, "little"), "big") >> low) & mask

    return big


def _reader(signal: Signal) -> Read:
    raw, missing = _raw(signal), signal.missing
    if signal.kind == "flag":
        return lambda number, size: bool(raw(number, size))
    if signal.kind == "choice":
        return lambda number, size: None if (value := raw(number, size)) == missing else value
    if signal.kind in ("text", "bytes", "bcd"):
        return _octets_reader(signal)
    top, numerator, denominator = 1 << (signal.length - 1), signal.factor.numerator, signal.factor.denominator
    offset, signed = signal.offset, signal.signed

    def quantity(number: int, size: int) -> int | None:
        value = raw(number, size)
        if value == missing:
            return None
        if signed and value >= top:
            value -= top << 1
        return value * numerator // denominator + offset

    return quantity


def _octets_reader(signal: Signal) -> Read:
    size_of, raw = signal.length // 8, _raw(signal)

    def octets_(number: int, size: int) -> bytes:
        return raw(number, size).to_bytes(size_of, "little")

    def text_(number: int, size: int) -> str | None:
        data = octets_(number, size)
        if data == b"\xff" * size_of:
            return None
        return "".join(chr(each) if 32 <= each < 127 else "?" for each in data.rstrip(b"\xff\0"))

    def bcd_(number: int, size: int) -> int | None:
        digits = octets_(number, size)[::-1].hex()
        return int(digits) if digits.isdecimal() else None

    if signal.kind == "bytes":
        return octets_
    return text_ if signal.kind == "text" else bcd_


def _encoder(signals: tuple[Signal, ...], length: int, fill: bool) -> Callable[[Mapping[str, Any]], bytes]:
    fields = {each.name: _writer(each, fill) for each in signals}
    masks = {each.name: _placed(each, (1 << each.length) - 1) for each in signals}
    ground = (1 << length * 8) - 1 if fill else 0
    for each in signals:
        ground = ground & ~masks[each.name] | fields[each.name](None)

    def encode(values: Mapping[str, Any]) -> bytes:
        number = ground
        for name, value in values.items():
            number = number & ~masks[name] | fields[name](value)
        return number.to_bytes(length, "little")

    return encode


def _placed(signal: Signal, raw: int) -> int:
    """A raw value at its place in the message as a little-endian number."""
    if not signal.big_endian:
        return raw << signal.start
    last = signal.last_bit // 8 + 1
    low = (signal.start % 8 + 1 - signal.length) % 8
    return int.from_bytes((raw << low).to_bytes(last, "big"), "little")


def _writer(signal: Signal, fill: bool) -> Write:
    full = (1 << signal.length) - 1
    absent = signal.missing if signal.missing is not None else (full if fill else 0)
    to_raw = _raw_of(signal)

    def write(value: Any) -> int:
        return _placed(signal, absent if value is None else to_raw(value) & full)

    return write


def _raw_of(signal: Signal) -> Write:
    size, full = signal.length // 8, (1 << signal.length) - 1
    if signal.kind == "text":
        return lambda value: int.from_bytes(
            str(value).encode("ascii", "replace")[:size].ljust(size, b"\xff" if size > 1 else b" "), "little"
        )
    if signal.kind == "bytes":
        return lambda value: int.from_bytes(bytes(value)[:size].ljust(size, b"\xff"), "little")
    if signal.kind == "bcd":
        limit = 10 ** (2 * size) - 1
        return lambda value: int(str(max(0, min(limit, int(value)))), 16)
    if signal.kind == "flag":
        return lambda value: 1 if value else 0
    numerator, denominator, offset = signal.factor.numerator, signal.factor.denominator, signal.offset
    low, high = (-(1 << (signal.length - 1)), (1 << (signal.length - 1)) - 1) if signal.signed else (0, full)
    if signal.missing is not None and not signal.signed:
        # The not-available value is no quantity: the nearest that is one is sent.
        low, high = (low, high - 1) if signal.missing == high else (low + (signal.missing == low), high)

    def raw_of(value: Any) -> int:
        steps = (int(value) - offset) * denominator
        # To the nearest step, halves away from what is below: 2·steps + numerator over 2·numerator, floored.
        raw = (2 * steps + numerator) // (2 * numerator)
        return low if raw < low else high if raw > high else raw

    return raw_of
