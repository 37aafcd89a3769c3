"""Tables of messages as a DBC file, for every tool that shows CAN traffic.

Values are in the same base units as ours (mV, mA, ms). Text and bytes longer than 8 bytes are cut into pieces named
after the byte with which they begin, since tools read 64 bits at most; BCD is shown as the digits' raw value.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from .signals import Message, Signal, Table

_NODES = {"ev": "EV", "evse": "EVSE"}
_OTHER = "Vector__XXX"
_EXTENDED = 1 << 31


def export(table: Table) -> str:
    """The DBC file, as text."""
    nodes = sorted({_NODES[each.sender] for each in table.messages if each.sender in _NODES})
    lines = ['VERSION ""', "", "NS_ :", "", "BS_:", "", f"BU_: {' '.join(nodes)}".rstrip(), ""]
    for message in table.messages:
        sender = _NODES.get(message.sender, _OTHER)
        receiver = {"EV": "EVSE", "EVSE": "EV"}.get(sender, _OTHER)
        lines.append(f"BO_ {_id(message)} {message.name}: {message.length} {sender}")
        for signal in message.signals:
            lines += [f" {_line(name, start, length, signal)} {receiver}" for name, start, length in pieces(signal)]
        lines.append("")
    lines += [f'CM_ BO_ {_id(each)} "{_quoted(each.about)}";' for each in table.messages if each.about]
    for message in table.messages:
        for signal in message.signals:
            if signal.about:
                name = pieces(signal)[0][0]
                lines.append(f'CM_ SG_ {_id(message)} {name} "{_quoted(signal.about)}";')
    lines += [
        'BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;',
        'BA_DEF_DEF_ "GenMsgCycleTime" 0;',
    ]
    lines += [f'BA_ "GenMsgCycleTime" BO_ {_id(each)} {each.period_ms};' for each in table.messages if each.period_ms]
    for message in table.messages:
        lines += _values(message)
    return "\n".join(lines) + "\n"


def pieces(signal: Signal) -> list[tuple[str, int, int]]:
    """Name, start and length of what a signal becomes: itself, or its pieces of 8 bytes."""
    if signal.length <= 64:
        return [(signal.name, signal.start, signal.length)]
    return [
        (f"{signal.name}_{at // 8}", signal.start + at, min(64, signal.length - at))
        for at in range(0, signal.length, 64)
    ]


def _line(name: str, start: int, length: int, signal: Signal) -> str:
    order = "0" if signal.big_endian else "1"
    sign = "-" if signal.signed else "+"
    if signal.kind != "number":
        return f'SG_ {name} : {start}|{length}@{order}{sign} (1,0) [0|0] ""'
    low, high = signal.low or 0, signal.high or 0
    return (
        f"SG_ {name} : {start}|{length}@{order}{sign} ({_factor(signal.factor)},{signal.offset}) "
        f'[{low}|{high}] "{_quoted(signal.unit)}"'
    )


def _factor(factor: Fraction) -> str:
    if factor.denominator == 1:
        return str(factor.numerator)
    return repr(factor.numerator / factor.denominator)


def _values(message: Message) -> Iterator[str]:
    for signal in message.signals:
        if signal.choices:
            named = " ".join(f'{raw} "{_quoted(word)}"' for raw, word in signal.choices.items())
            yield f"VAL_ {_id(message)} {signal.name} {named} ;"


def _id(message: Message) -> int:
    return message.id | (_EXTENDED if message.extended else 0)


def _quoted(text: str) -> str:
    # The format knows no escapes.
    return text.replace('"', "'").replace("\n", " ")
