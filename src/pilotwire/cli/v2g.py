"""`pilotwire decode v2g`: what a car and a charger said over power line, from a capture or from V2GTP bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pilotwire.cli.options import parser
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.capture import Entry, Recording, Timeline, read_timeline, timeline_of

PCAPS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
"""How pcap and pcapng files begin."""
V2GTP = b"\x01\xfe"
SHOWN = 6
"""Values of a message in one line."""
SCHEMAS = ("din", "iso2")
"""Those that share a payload type, so that a capture may not say which it is."""
ARROWS = {"ev": "car  →", "evse": "  ← EVSE", None: "   ·"}


def decode_main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        f"{name} v2g",
        "Read a capture (pcap, pcapng) or V2GTP bytes as a timeline of what car and charger said: SLAC, discovery, "
        "DIN 70121, ISO 15118-2 and -20. TLS is named, not read.",
    )
    options.add_argument("capture", help="a file, or V2GTP messages as hexadecimal digits")
    options.add_argument("--schema", choices=SCHEMAS, help="for a capture that begins after the protocol was agreed on")
    options.add_argument("--gap", type=int, default=0, metavar="MS", help="mark pauses longer than this")
    options.add_argument("--all", action="store_true", help="show every value of a message")
    options.add_argument("--json", action="store_true", help="print one JSON object per message")
    chosen = options.parse_args(arguments)
    timeline = timeline_from(chosen.capture, schema=chosen.schema or "", gap_ms=chosen.gap)
    for entry in timeline.entries:
        print(_as_json(entry) if chosen.json else line_of(entry, timeline.entries[0].at_us, every=chosen.all))
    if not chosen.json:
        for note in timeline.notes:
            print(f"note: {note}")
        if not timeline.entries:
            print("There is no conversation of a car and a charger in it.")
    read = [entry for entry in timeline.entries if not entry.error]
    return 0 if read else 1


def timeline_from(text: str, *, schema: str = "", gap_ms: int = 0) -> Timeline:
    """The timeline of a file or of hexadecimal digits. Raises ConfigError and CaptureError."""
    data = bytes_of(text)
    if data[:4] in PCAPS:
        return read_timeline(data, schema=schema, gap_ms=gap_ms)
    if data.startswith(V2GTP):
        recording = Recording()
        recording.add(0, "ev", data)
        made = timeline_of(recording.packets[2:], schema=schema, gap_ms=gap_ms)
        return made
    raise ConfigError(f"{text[:60]!r} is neither a capture (pcap, pcapng) nor V2GTP: it begins with {data[:4].hex()}")


def bytes_of(text: str) -> bytes:
    """The bytes that digits say, or that a file has, or that the digits in a file say."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        data = Path(text).read_bytes()
    except OSError:
        raise ConfigError(f"{text[:60]!r} is neither hexadecimal digits nor a file") from None
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        return data


def line_of(entry: Entry, start_us: int, *, every: bool = False) -> str:
    """One line: number, seconds since the beginning, who, what, and the values that matter."""
    shown = list(entry.values.items())[: None if every else SHOWN]
    values = ", ".join(f"{path.rsplit('.', 1)[-1]} {value}" for path, value in shown)
    more = "" if every or len(entry.values) <= SHOWN else ", ..."
    pause = f"   [{entry.pause_ms} ms later]" if entry.pause_ms is not None else ""
    error = f"   cannot be read: {entry.error}" if entry.error else ""
    seconds = (entry.at_us - start_us) / 1_000_000
    name = f"{entry.name}" if entry.carrier in ("v2g", "chademo", "gbt27930") else f"{entry.carrier} {entry.name}"
    return f"{entry.index:>5} {seconds:>10.3f}  {ARROWS[entry.side]:<8} {name}  {values}{more}{error}{pause}".rstrip()


def _as_json(entry: Entry) -> str:
    stamp = datetime.fromtimestamp(entry.at_us / 1_000_000, UTC).isoformat(timespec="microseconds")
    return json.dumps(
        {
            "index": entry.index, "at": stamp, "carrier": entry.carrier, "from": entry.side, "name": entry.name,
            "schema": entry.schema or None, "session": entry.session or None, "packet": entry.packet,
            "values": dict(entry.values), "body": dict(entry.body), "error": entry.error or None,
            "pause_ms": entry.pause_ms,
        },
        ensure_ascii=False, default=_octets,
    )  # fmt: skip


def _octets(value: Any) -> Any:
    return bytes(value).hex().upper() if isinstance(value, bytes | bytearray) else str(value)
