"""Day-ahead prices from a file: what is read of it, what is refused, and what happens when it changes."""

from __future__ import annotations

import os
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.planning.site_planning_kit import EVENING, HOUR, Planned

from pilotwire.core.errors import ConfigError
from pilotwire.domain.steering import Price
from pilotwire.site.config import read
from pilotwire.site.planning.entries import PricesEntry
from pilotwire.site.planning.prices import PricesFile, findings, parse_prices

PLAIN = PricesEntry(file="prices.csv")
CSV = "from,until,import,export\n2027-01-15T17:00:00Z,2027-01-15T18:00:00Z,120.5,60\n2027-01-15T18:00:00Z,,-20,\n"


def test_csv_and_json_say_the_same() -> None:
    found = parse_prices(CSV, PLAIN)
    assert found == (
        Price(EVENING, EVENING + HOUR, 120_500, 60_000),
        Price(EVENING + HOUR, EVENING + 2 * HOUR, -20_000, 0),
    )
    text = (
        '{"prices": [{"from": "2027-01-15T19:00:00+01:00", "import": -20}, '
        '{"from": "2027-01-15T18:00:00+01:00", "import": 120.5, "export": 60}]}'
    )
    assert parse_prices(text, PLAIN) == found, "in order of time, whatever their order in the file"
    assert parse_prices(CSV.replace(",", ";"), PLAIN) == found


def test_what_comes_on_top_is_added_before_tax() -> None:
    entry = PricesEntry(
        file="p", per="kwh", add_price=Decimal("0.15"), factor_percent=Decimal(119), export_price=Decimal("0.08")
    )
    found = parse_prices("from,import\n2027-01-15T17:00:00Z,0.10\n", entry)
    assert found == (Price(EVENING, EVENING + HOUR, 297_500, 80_000),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no head"),
        ("when,what\n", "has no head"),
        ("from,import\nyesterday,1\n", "row 1: from is 'yesterday'"),
        ("from,import\n2027-01-15T17:00:00,1\n", "no time with an offset"),
        ('from,import\n2027-01-15T17:00:00Z,"1,5"\n', "no number"),
        ("from,import\n2027-01-15T17:00:00Z,nan\n", "no number"),
        ("from,import\n2027-01-15T17:00:00Z,\n", "no number"),
        ("from,import\n2027-01-15T17:00:00Z,1e9\n", "is `per: mwh` right?"),
        ("from,import\n2027-01-15T17:00:00Z,1\n2027-01-15T17:00:00Z,2\n", "two begin at the same time"),
        (
            "from,until,import\n2027-01-15T17:00:00Z,2027-01-15T19:00:00Z,1\n2027-01-15T18:00:00Z,,2\n",
            "at the same time",
        ),
        ("from,until,import\n2027-01-15T17:00:00Z,2027-01-15T16:00:00Z,1\n", "ends at or before it begins"),
        ("from,import\n2027-01-15T17:00:00Z,1\n2027-01-18T17:00:00Z,1\n", "longer than a day"),
        ("from,import\n2027-01-15T17:00:00Z,1e999999\n", "no number"),
        ("from\rimport\r1", "no CSV"),
        ("from,until,import\n" + "2027-01-15T17:00:00Z,,1\n2027-01-15T17:00:00Z,2027-01-15T18:00:00Z,1\n", "same time"),
        ("[1, 2]", "a list of objects"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("from,import\n" + "2027-01-15T17:00:00Z,1\n" * 20_001, "20,000 at most"),
    ],
)
def test_what_is_no_price_is_refused_with_its_row(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_prices(text, PLAIN)
    assert words in str(caught.value)


_CELL = st.one_of(
    st.sampled_from(
        ("2027-01-15T17:00:00Z", "2027-01-15T18:00:00+01:00", "1", "-0", "1e400", "NaN", "", '"', "{", "[")
    ),
    st.text(max_size=12),
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.lists(_CELL, max_size=4), max_size=5), st.sampled_from(("from,import", "from;until;import", "[", ""))
)
def test_whatever_stands_in_it_gives_prices_or_one_clear_error(rows: list[list[str]], head: str) -> None:
    text = "\n".join([head, *(",".join(row) for row in rows)])
    try:
        found = parse_prices(text, PLAIN)
    except ConfigError:
        return
    assert all(price.from_ms < price.until_ms for price in found)
    assert all(one.until_ms <= other.from_ms for one, other in pairwise(found))


def test_a_file_that_changes_is_read_again_and_a_broken_one_leaves_what_was(tmp_path: Path) -> None:
    small = Planned(plans=False)
    path = tmp_path / "prices.csv"
    later = [0]
    file = PricesFile(path, PLAIN, small.time, lambda: int(small.time.now()) + later[0], small.said.append)
    file.start(small.loop)
    small.run(10)
    assert ("prices", "no_prices") in small.marks()
    assert "cannot read" in small.said[-1]
    path.write_text(CSV)
    small.run(10)
    assert len(small.loop.external.prices) == 2
    assert ("prices", "no_prices") not in small.marks()
    said = len(small.said)
    path.write_text("nonsense")
    os.utime(path, (1, 1))
    small.run(20)
    assert len(small.loop.external.prices) == 2
    assert len(small.said) == said + 1, "said once"
    assert ("prices", "no_prices") in small.marks()
    path.write_text(CSV.replace("120.5", "99"))
    small.run(10)
    assert small.loop.external.prices[0].import_micro == 99_000
    assert ("prices", "no_prices") not in small.marks()
    later[0] = 2 * HOUR
    small.run(10)
    assert ("prices", "no_prices") in small.marks(), "they are over"
    file.stop()


def test_the_check_looks_into_the_file(tmp_path: Path) -> None:
    text = (
        "site: {id: x}\nnodes: [{id: grid, kind: connection, limits: [{source: f, current_a: 9}]}]\n"
        "prices: {file: p.csv}\n"
    )
    config, wrong = read(text)
    assert config is not None, wrong
    assert [each.severity for each in findings(config, tmp_path)] == ["warning"], "it may come"
    (tmp_path / "p.csv").write_text("nonsense")
    assert [each.severity for each in findings(config, tmp_path)] == ["error"]
    (tmp_path / "p.csv").write_text(CSV)
    assert findings(config, tmp_path) == []
