"""Fuzzes what a plan reads from outside: files of prices, records, and answers of the process that plans.

python fuzz/fuzz_site_planning.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte says what the rest is: a text of prices, rows of prices that look right, or what is written over a part
of a record or an answer that is right.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire.core", "pilotwire.domain.energy", "pilotwire.site.planning"]):
    from pilotwire.core.errors import ConfigError
    from pilotwire.domain.energy import Evse, Limit, Node, SiteTree
    from pilotwire.domain.planning import CarPlan, Need, Options, Plan
    from pilotwire.site.planning.checked import fault_of, followed
    from pilotwire.site.planning.entries import PricesEntry
    from pilotwire.site.planning.prices import parse_prices
    from pilotwire.site.planning.record import Answer, Record, answer_of, digest, encoded, problem_of, record_of

ENTRY = PricesEntry(file="prices")
HEADS = (
    "",
    "from,import\n",
    "from;until;import;export\n",
    '[{"from": "2026-01-01T00:00:00Z", "import": ',
    '{"prices": [',
)
TREE = SiteTree(
    nodes=(Node(id="grid", kind="connection", limits=(Limit(source="fuse", phases_ma=(63_000, 63_000, 63_000)),)),),
    evses=(Evse(id="a", node="grid", maximum=32_000),),
)
NOW = 1_800_000_000_000
RECORD = Record(
    site="s", tree=TREE, now_ms=NOW, needs=(Need(evse="a", energy_wh=9_000),), options=Options(steps=2), steered=("a",)
)
ASKED = encoded(RECORD)
PLAN = Plan(
    now_ms=NOW, starts_ms=NOW, step_ms=900_000, steps=2,
    cars=(CarPlan(evse="a", unit="mA", phases=3, targets=(6_000, 0), free=(0, 1), energy_wh=1_000, unmet_wh=8_000),),
    batteries=(), windows=(), grid_mw=(4_000_000, 0), curtailed_mw=(0, 0), peaks_mw=(), cost_micro=1, status="optimal",
)  # fmt: skip
ANSWERED = encoded(Answer(digest(ASKED), plan=PLAN))


def rows(data: bytes) -> str:
    """A price for each three bytes: when, how much, and whether it says until when."""
    lines = ["from,until,import,export"]
    for at in range(0, len(data) - 2, 3):
        hour, price, how = data[at : at + 3]
        begin = f"2026-01-{1 + hour // 24 % 28:02}T{hour % 24:02}:00:00Z"
        until = f"2026-01-{1 + hour // 24 % 28:02}T{hour % 24:02}:30:00Z" if how & 1 else ""
        lines.append(f"{begin},{until},{price - 128},{price if how & 2 else ''}")
    return "\n".join(lines)


def over(good: bytes, data: bytes) -> bytes:
    """`good` with `data` written over a part of it."""
    at = (data[0] * 251 + data[-1]) % len(good) if data else 0
    return good[:at] + data + good[at + len(data) :]


def one(raw: bytes) -> None:
    """One input."""
    kind, data = (raw[0], raw[1:]) if raw else (0, b"")
    text = rows(data) if kind & 1 else HEADS[kind % len(HEADS)] + data.decode("utf-8", "replace")
    with suppress(ConfigError):
        prices = parse_prices(text, ENTRY)
        assert all(each.from_ms < each.until_ms for each in prices)
        assert all(a.until_ms <= b.from_ms for a, b in pairwise(prices))
    with suppress(ValueError, ConfigError):
        problem_of(record_of(over(ASKED, data)))
    with suppress(ValueError):
        answer = answer_of(over(ANSWERED, data))
        if not fault_of(RECORD, digest(ASKED), answer) and answer.plan is not None:
            followed(RECORD, answer.plan)


if __name__ == "__main__":
    run(one, "-max_len=512")
