"""Fuzzes what a plan reads from outside: files of prices, records, and answers of the process that plans.

python fuzz/fuzz_site_planning.py [--seconds 60] [corpus directory] [libFuzzer options]
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.errors import ConfigError
    from pilotwire.site.planning.entries import PricesEntry
    from pilotwire.site.planning.prices import parse_prices
    from pilotwire.site.planning.record import answer_of, record_of

ENTRY = PricesEntry(file="prices")
HEADS = (
    "",
    "from,import\n",
    "from;until;import;export\n",
    '[{"from": "2026-01-01T00:00:00Z", "import": ',
    '{"prices": [',
)


def one(raw: bytes) -> None:
    """One input."""
    kind, data = (raw[0], raw[1:]) if raw else (0, b"")
    text = HEADS[kind % len(HEADS)] + data.decode("utf-8", "replace").replace("~", "2026-01-01T0").replace(
        "|", ":00:00Z,"
    )
    with suppress(ConfigError):
        prices = parse_prices(text, ENTRY)
        assert all(each.from_ms < each.until_ms for each in prices)
        assert all(a.until_ms <= b.from_ms for a, b in pairwise(prices))
    for decode in (record_of, answer_of):
        with suppress(ValueError):
            decode(data)


if __name__ == "__main__":
    run(one, "-max_len=512")
