"""`pilotwire audit`: beside a running server and without one, and whoever touches the database file is found out."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.cli.cli_kit import done, pilotwire


def fill(data: Path) -> None:
    for token in ("A1", "B2", "C3", "D4"):
        done("tokens", "add", token, data=data)


def database(data: Path) -> Path:
    (found,) = [one for one in data.glob("*.db") if one.is_file()] or list(data.glob("*.sqlite*"))
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("audit") / "data"
    fill(made)
    return made


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "data")
    return tmp_path / "data"


def test_beside_a_running_server(csms) -> None:
    fill(csms.data)
    told = done("audit", "verify", data=csms.data)
    assert "the chain is whole" in told
    listed = [json.loads(one) for one in done("audit", "list", "--json", "--limit", "2", data=csms.data).splitlines()]
    assert [one["target"] for one in listed] == ["token D4", "token C3"]
    verdict = json.loads(done("audit", "verify", "--json", data=csms.data))
    assert verdict["sound"] and verdict["head"] == listed[0]["digest"]
    assert "the chain is whole" in done("audit", "verify", "--head", listed[1]["digest"], data=csms.data)
    other = pilotwire("audit", "verify", "--head", "0" * 64, data=csms.data)
    assert other.returncode == 1 and "replaced" in other.stderr


def test_without_a_server(filled: Path, tmp_path: Path) -> None:
    assert done("audit", "verify", data=filled).startswith("4 rows, the chain is whole")
    table = done("audit", "list", "--target", "B2", data=filled)
    assert table.split()[:6] == ["ROW", "TIME", "WHO", "WHAT", "TO", "WHY"] and "token B2" in table
    assert "token A1" not in table
    lines = done("audit", "export", data=filled).splitlines()
    assert [json.loads(one)["target"] for one in lines] == ["token A1", "token B2", "token C3", "token D4"]
    out = tmp_path / "audit.csv"
    done("audit", "export", "--format", "csv", "--output", out, "--action", "tokens", data=filled)
    assert len(out.read_text().splitlines()) == 5
    bad = pilotwire("audit", "list", "--since", "yesterday", data=filled)
    assert bad.returncode == 1 and "since" in bad.stderr


def test_a_flipped_byte_in_the_file_is_found_and_the_row_named(copy: Path) -> None:
    with sqlite3.connect(database(copy)) as file:
        (body,) = file.execute("SELECT body FROM documents WHERE kind = 'audit' AND id LIKE '%3'").fetchone()
        place = body.index(b"token C3")
        changed = bytearray(body)
        changed[place + 6] ^= 1
        file.execute("UPDATE documents SET body = ? WHERE kind = 'audit' AND id LIKE '%3'", (bytes(changed),))
    ended = pilotwire("audit", "verify", data=copy)
    assert ended.returncode == 1
    assert "row 3 was changed after it was written" in ended.stdout and "2 sound rows" in ended.stdout


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM documents WHERE kind = 'audit' AND id LIKE '%2'", "row 2 is missing"),
        ("DELETE FROM documents WHERE kind = 'audit' AND id >= '000000000003'", "rows 3 to 4 are missing at the end"),
        ("UPDATE documents SET id = '000000000009' WHERE kind = 'audit' AND id LIKE '%2'", "row 2 is missing"),
        ("UPDATE documents SET sort = '9' WHERE kind = 'audit' AND id LIKE '%1'", "row 1 is missing"),
        ("UPDATE documents SET version = 2 WHERE kind = 'audit' AND id LIKE '%1'", "row 1 was put in another place"),
        ("DELETE FROM documents WHERE kind = 'audit-head'", "the head of the chain is missing"),
    ],
)
def test_rows_deleted_moved_and_cut_off(copy: Path, statement: str, told: str) -> None:
    with sqlite3.connect(database(copy)) as file:
        assert file.execute(statement).rowcount > 0
    ended = pilotwire("audit", "verify", data=copy)
    assert ended.returncode == 1 and told in ended.stdout


def test_another_installations_secret_does_not_fit(copy: Path) -> None:
    (copy / "pepper").write_text("ab" * 32)
    ended = pilotwire("audit", "verify", data=copy)
    assert ended.returncode == 1 and "not written by this installation" in ended.stdout
