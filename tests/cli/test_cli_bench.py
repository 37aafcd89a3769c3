"""`pilotwire bench`: figures that can be, in a table and as JSON, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotwire.cli.bench import main


def test_every_figure_is_measured_and_nothing_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("bench", ["--data", str(tmp_path), "--seconds", "1", "--json"]) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["unit"] for row in rows] == ["per CPU-second", "per second", "per CPU-second", "ms", "ms"] + 2 * [
        "per second"
    ]
    assert all(float(row["figure"].replace(",", "")) >= 0 for row in rows)
    handler, durable = (float(rows[at]["figure"].replace(",", "")) for at in (0, 2))
    assert handler > durable > 0, "what is made durable costs more than what is not"
    assert [line.split("]")[0] for line in said.err.splitlines()] == [f"[{n}/4" for n in range(1, 5)]
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_headings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("bench", ["--data", str(tmp_path), "--seconds", "0.1"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["WHAT", "FIGURE", "UNIT"] and len(rows) == 7
