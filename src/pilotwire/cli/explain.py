"""`pilotwire explain`: why a charging session ended, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pilotwire.cli.options import parser
from pilotwire.cli.v2g import PCAPS, V2GTP, bytes_of, line_of, timeline_from
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.can.logs import Skipped, frames
from pilotwire.protocols.capture import Timeline, can_timeline_of, explain

AROUND = 3
"""Messages shown before and behind the one that matters."""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        name,
        "Say in one sentence why a charging session ended, with the message and the rule. Reads pcap and pcapng "
        "(ISO 15118, DIN 70121, discovery, SLAC, SocketCAN) and logs of CAN buses (candump, ASC; CHAdeMO, GB/T 27930).",
    )
    options.add_argument("capture", help="a file, or V2GTP messages as hexadecimal digits")
    options.add_argument("--protocol", choices=("chademo", "gbt27930"), help="of a CAN log; default: whichever fits")
    options.add_argument("--context", action="store_true", help="show the messages around it too")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = options.parse_args(arguments)
    timeline = _timeline(chosen.capture, chosen.protocol or "")
    found = explain(timeline)
    if chosen.json:
        print(
            json.dumps(
                {
                    "sentence": found.sentence, "message": found.index, "rule": found.rule, "kind": found.kind,
                    "by": found.side, "in_order": found.ok, "quirks": list(found.quirks), "notes": list(timeline.notes),
                },
                ensure_ascii=False,
            )
        )  # fmt: skip
    else:
        print(found.sentence)
        if chosen.context and found.index is not None:
            first = max(0, found.index - 1 - AROUND)
            for entry in timeline.entries[first : found.index + AROUND]:
                print(line_of(entry, timeline.entries[0].at_us))
        for quirk in found.quirks:
            print(f"known of this vehicle: {quirk}")
        for note in timeline.notes:
            print(f"note: {note}")
    return 0 if found.kind != "nothing" else 1


def _timeline(text: str, protocol: str) -> Timeline:
    """Of a capture, of V2GTP bytes, or of a CAN log."""
    path = Path(text)
    if not path.is_file():
        return timeline_from(text)
    data = bytes_of(text)
    if data[:4] in PCAPS or data.startswith(V2GTP):
        return timeline_from(text)
    skipped = Skipped()
    log = [(logged.at_us, logged.frame) for logged in frames(data.decode("latin-1").splitlines(), skipped)]
    if not log:
        raise ConfigError(
            f"{text!r} is no capture (pcap, pcapng) and no log of a CAN bus ({skipped.unread} lines not understood)"
        )
    return can_timeline_of(log, protocol)
