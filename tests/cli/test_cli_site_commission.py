"""`pilotwire site commission` in a terminal: how far it is, a draft taken and given back, a file that runs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.cli_kit import pilotwire

DRAFT = """\
site: {id: yard, time_zone: Europe/Berlin}
nodes:
  - {id: grid, kind: connection, limits: [{source: fuse, current_a: 40}]}
evses:
  - id: bay-1
    node: grid
    maximum_a: 16
    charger: {file: keba-p30, endpoint: "tcp://127.0.0.1:9", unit: 255}
"""


def test_from_nothing_to_a_file_that_passes_the_check(tmp_path: Path) -> None:
    file, data = tmp_path / "site.yaml", ("--data", tmp_path / "data")
    first = pilotwire("site", "commission", file, *data)
    assert first.returncode == 0, first.stderr
    assert "enter the main fuse" in first.stdout and "next: look for devices" in first.stdout
    early = pilotwire("site", "commission", file, *data, "--write")
    assert early.returncode != 0 and "to mend first" in early.stderr and not file.exists()
    nowhere = pilotwire("site", "commission", file, *data, "--scan", "8.8.8.8")
    assert nowhere.returncode == 1 and "no private address" in nowhere.stderr
    (tmp_path / "draft.yaml").write_text(DRAFT)
    taken = pilotwire("site", "commission", file, *data, "--draft", tmp_path / "draft.yaml", "--write", "--json")
    assert taken.returncode == 0, taken.stderr
    state = json.loads(taken.stdout)
    assert (state["stage"], state["draft"]["evses"][0]["id"]) == ("phases", "bay-1")
    assert pilotwire("site", "check", file).returncode == 0
    shown = pilotwire("site", "commission", file, *data, "--show")
    assert shown.stdout == file.read_text()
