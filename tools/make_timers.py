"""The table of timers: every one that the code has, and what was seen just inside and just outside of its limit.

PILOTWIRE_TIMERS=build/timers pytest -m timer      the tests write what they see
python tools/make_timers.py build/timers           makes docs/guide/timers.md of it
python tools/make_timers.py --check                are the page's timers those of the code? (exit 1 if not)
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pilotwire
from pilotwire.core.timers import TimerRule

PAGE = Path(__file__).parent.parent / "docs/guide/timers.md"
_HEAD = """# Timers

Every timer of the vehicle links that the machines know, read from the code, and what the tests saw one millisecond
inside and one millisecond outside of its limit, under a clock that they set. Where no clause stands, the figure is the
field's. `make timers` makes this page anew.
"""
_COLUMNS = "| timer | watched by | limit | inside | outside | clause |\n|---|---|---|---|---|---|"


def rules() -> list[TimerRule]:
    """Of every module that has some, each once."""
    found: dict[tuple[str, str, str], TimerRule] = {}
    for module in pkgutil.walk_packages(pilotwire.__path__, "pilotwire."):
        if module.name.rpartition(".")[2] == "timers" and module.name != "pilotwire.core.timers":
            for rule in importlib.import_module(module.name).TIMERS:
                found[key(rule)] = rule
    return list(found.values())


def key(rule: TimerRule) -> tuple[str, str, str]:
    return rule.protocol, rule.name, rule.side


def limit(rule: TimerRule) -> str:
    text = f"{rule.ms / 1000:g} s" if rule.ms >= 1000 else f"{rule.ms} ms"
    return f"at least {text}" if rule.least else text


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ").strip()


def page(folder: Path) -> str:
    """The whole page. Raises SystemExit when a timer was not seen at both edges."""
    seen = {}
    for path in folder.glob("*.json"):
        row = json.loads(path.read_text())
        seen[row["protocol"], row["name"], row["side"], row["edge"]] = row["seen"]
    every = rules()
    missing = [
        f"{rule.protocol} {rule.name} ({rule.side}), {edge}"
        for rule in every
        for edge in ("inside", "outside")
        if (*key(rule), edge) not in seen
    ]
    if missing:
        raise SystemExit(f"{len(missing)} edges were not seen, among them " + "; ".join(missing[:8]))
    parts = [_HEAD]
    for protocol in sorted({rule.protocol for rule in every}):
        parts.append(f"\n## {protocol}\n\n{_COLUMNS}")
        for rule in (one for one in every if one.protocol == protocol):
            cells = (
                f"`{rule.name}`", "EVSE" if rule.side == "evse" else "vehicle", limit(rule),
                seen[*key(rule), "inside"], seen[*key(rule), "outside"], rule.clause or "the field's",
            )  # fmt: skip
            parts.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    parts.append(f"\n{len(every)} timers.")
    return "\n".join(parts) + "\n"


def check() -> int:
    """Whether the page's timers and limits are those of the code."""
    shown = set()
    protocol = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            protocol = line[3:]
        elif found := re.match(r"\| `([^`]+)` \| (EVSE|vehicle) \| ([^|]+) \|", line):
            shown.add((protocol, found[1], found[2].lower().replace("vehicle", "ev"), found[3].strip()))
    wanted = {(*key(rule), limit(rule)) for rule in rules()}
    for row in sorted(wanted - shown):
        print("the page lacks", *row)
    for row in sorted(shown - wanted):
        print("the code lacks", *row)
    return 0 if shown == wanted else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(check())
    PAGE.write_text(page(Path(sys.argv[1])), "utf-8")
