"""Writes docs/quirks.md from the catalogue of quirks.

python tools/quirks_page.py            write it
python tools/quirks_page.py --check    exit 1 if it is not what the catalogue says
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from pilotwire.domain.quirks import REMEDIES, Quirk, quirks

PAGE = Path(__file__).parent.parent / "docs/quirks.md"
PARTS = {
    "decoder": "Found by the decoder",
    "frames": "Frames and answers",
    "connection": "Connections",
    "messages": "Messages",
    "answers": "Answers to commands",
}
HEAD = """\
# Quirks

What charging stations do otherwise than the standard says. Each quirk has a name, is recognised in what passes between
a station and the central system, and is tolerated or answered by itself: validation is never switched off as a whole.
The catalogue is data (`src/pilotwire/domain/quirks/data`), this page is made from it (`python tools/quirks_page.py`),
and a test plays the frames of every quirk to the central system: those shown here have to be recognised under their
name, and those of a station without the quirk must not be.

What is found is the fact `quirk-seen.1` in the journal, beside the frame that shows it, once a day at most, and again
with each new firmware. A station's page of checks shows its quirks (`GET /api/v1/stations/{id}/quirks`), the page
Quirks those of the fleet by vendor, model and firmware (`GET /api/v1/quirks`). Detection costs the hot path a
dictionary look-up and a few comparisons; of meter values that go on, one message in 64 is looked at.

The examples were made after the public descriptions: `$now` stands for the time, `$bare` for the same without its
offset, `$tx` for the transactionId that was given last, `$id` for the messageId of the last command. Lines that are no
frame say what happens: a command (`ask`), time that passes (`wait`, in seconds), the connection (`drop`, `dial`).

## Remedies

What is done differently for stations with certain quirks: by itself where the quirk was seen, or because an operator
said so for a vendor, model or firmware (`POST /api/v1/quirk-settings`). An operator can also keep a remedy from being
taken. The setting that names the most counts.
"""


def _quirk(one: Quirk) -> list[str]:
    lines = [
        f"### {one.title}",
        "",
        f"`{one.id}`, {one.severity}, OCPP {', '.join(one.versions)}",
        "",
        f"- Seen: {one.seen}",
        f"- Effect elsewhere: {one.effect}",
        f"- Here: {one.ours}",
        f"- Operators: {one.operator}",
    ]
    if one.remedy:
        lines.append(f"- Remedy: `{one.remedy}`")
    lines += [f"- Reported: [{known.who}]({known.source})" for known in one.known]
    return [*lines, "", "```text", *one.frames, "```", ""]


def page() -> str:
    """The whole page."""
    every = quirks().values()
    lines = [HEAD, "| remedy | what is done | quirks |", "|---|---|---|"]
    for remedy in REMEDIES.values():
        names = ", ".join(f"`{one.id}`" for one in every if one.remedy == remedy.id)
        lines.append(f"| `{remedy.id}` | {remedy.what} | {names} |")
    lines += ["", "## All of them", "", f"{len(every)} quirks have a name.", ""]
    lines += ["| found | quirks | high | medium | low |", "|---|---|---|---|---|"]
    for part, title in PARTS.items():
        own = [one for one in every if one.found_by == part]
        counts = [sum(one.severity == severity for one in own) for severity in ("high", "medium", "low")]
        lines.append(f"| {title} | {len(own)} | {' | '.join(map(str, counts))} |")
    lines.append("")
    for part, title in PARTS.items():
        lines += [f"## {title}", ""]
        for one in every:
            if one.found_by == part:
                lines += _quirk(one)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """See the module."""
    if "--check" in sys.argv[1:]:
        return int(not PAGE.exists() or PAGE.read_text("utf-8") != page())
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
