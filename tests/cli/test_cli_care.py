"""Backup, restore and the journal: what was charged and who may connect outlives the machine."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import httpx
import pytest
from tests.cli.cli_kit import done, pilotwire, raw_station
from tests.durability.postgres import postgres
from tests.interop import csms_process

PASSWORD = "a-password-of-16+"


def facts(data: Path, *more: str) -> tuple[list[dict], list[str], list[str]]:
    """(sessions, stations, tokens) as the commands show them."""
    sessions = [json.loads(row) for row in done("sessions", "--json", *more, data=data).splitlines()]
    stations = [json.loads(row)["id"] for row in done("stations", "list", "--json", *more, data=data).splitlines()]
    tokens = [json.loads(row)["token"] for row in done("tokens", "list", "--json", *more, data=data).splitlines()]
    return sessions, stations, tokens


def new_image(csms: csms_process.Csms) -> str:
    """The id of a firmware image that the server has."""
    key = json.loads((csms.data / "run.json").read_text())["key"]
    with httpx.Client(base_url=f"{csms.http}/api/v1/firmware", headers={"Authorization": f"Bearer {key}"}) as api:
        made = api.post("", json={"version": "2.0.0"}).json()
        api.put(f"/{made['id']}/content", content=b"an image").raise_for_status()
    return made["id"]


class Made:
    """A backup that was taken while a server ran and a station was connected, and what the server then showed."""

    def __init__(self, folder: Path) -> None:
        self.data, self.backup = folder / "data", folder / "backup"
        with csms_process.running(self.data, "--ocpps", f"127.0.0.1:{csms_process.free_port()}") as csms:
            done("stations", "add", "CP-1", "--password", PASSWORD, data=self.data)
            done("tokens", "add", "T1", data=self.data)
            with raw_station(csms.ocpp, "CP-1", PASSWORD) as station:
                station.boot()
                station.charge("T1")
                self.image = new_image(csms)
                self.text = done("backup", self.backup, data=self.data)
                self.facts = facts(self.data)
                assert station.call("Heartbeat", {})["currentTime"]
            self.again = pilotwire("backup", self.backup, data=self.data)
            self.beside = pilotwire("restore", self.backup, data=self.data)
            self.journal = pilotwire("journal", "verify", data=self.data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("care"))


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """The data directory as the server left it."""
    return Path(shutil.copytree(made.data, tmp_path / "copy"))


def works(data: Path, *extra: str) -> None:
    """A server over it knows the station by its password, and the token; its sessions are there."""
    with csms_process.running(data, *extra) as csms:
        with raw_station(csms.ocpp, "CP-1", PASSWORD) as station:
            station.boot()
            assert station.call("Authorize", {"idTag": "T1"})["idTagInfo"]["status"] == "Accepted"
        assert "is running" in csms.log.read_text() and "Login" not in csms.log.read_text()


def test_a_backup_is_made_beside_the_running_server(made: Made):
    assert "rows" in made.text and "holds all secrets" in made.text
    assert {"backup.json", "pilotwire.db", "pepper", "tls"} <= {path.name for path in made.backup.iterdir()}
    assert (made.backup / "pepper").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made.backup / "tls").glob("*.key"))
    assert made.again.returncode == 1 and str(made.backup) in made.again.stderr
    assert made.facts[0][0]["energy_wh"] == 2500


def test_what_may_not_be_done_beside_a_running_server(made: Made):
    assert made.beside.returncode == 1 and "a server runs over" in made.beside.stderr
    assert made.journal.returncode == 1 and "a server runs over" in made.journal.stderr


def test_a_backup_restored_into_an_empty_folder_is_the_installation(made: Made, tmp_path: Path):
    data = tmp_path / "data"
    assert "are back" in done("restore", made.backup, data=data)
    assert facts(data) == made.facts
    for name in ("ca.pem", "ca.key", "ec.pem", "rsa.key"):
        assert (data / "tls" / name).read_bytes() == (made.data / "tls" / name).read_bytes()
    works(data)
    images = [path for path in (data / "files").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in images] == [b"an image"] and made.image in images[0].name
    full = pilotwire("restore", made.backup, data=data)
    assert full.returncode == 1 and "empty" in full.stderr


def test_two_installations_are_not_mixed(made: Made, tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "pepper").write_text("00" * 32)
    ended = pilotwire("restore", made.backup, data=data)
    assert ended.returncode == 1 and "another installation" in ended.stderr
    assert not (data / "pilotwire.db").exists()


def test_what_is_no_backup(tmp_path: Path):
    ended = pilotwire("restore", tmp_path / "nothing", data=tmp_path / "data")
    assert ended.returncode == 1 and "no backup" in ended.stderr
    ended = pilotwire("backup", tmp_path / "copy", data=tmp_path / "never")
    assert ended.returncode == 1 and not (tmp_path / "copy").exists()


def test_from_sqlite_to_postgresql(made: Made, tmp_path: Path):
    with postgres() as url:
        data = tmp_path / "data"
        done("restore", made.backup, "--database", url, data=data)
        assert facts(data, "--database", url) == made.facts
        assert "0 faults" in done("journal", "verify", "--database", url, data=data)
        works(data, "--database", url)
        # And back again, from the one to the other.
        done("backup", tmp_path / "tables", "--database", url, data=data)
        done("restore", tmp_path / "tables", data=tmp_path / "home")
        assert facts(tmp_path / "home") == made.facts


def test_a_sound_journal(copy: Path):
    text = done("journal", "verify", data=copy)
    assert text.endswith("0 faults\n") and not text.startswith("0 records")


def test_a_changed_byte_is_found(copy: Path):
    with sqlite3.connect(copy / "pilotwire.db") as db:
        number, frame = db.execute(
            "SELECT id, frame FROM journal WHERE instr(frame, CAST('StopTransaction' AS BLOB))"
        ).fetchone()
        broken = bytes(frame).replace(b"3500", b"9500")
        assert broken != bytes(frame)
        db.execute("UPDATE journal SET frame = ? WHERE id = ?", (broken, number))
    db.close()
    ended = pilotwire("journal", "verify", data=copy)
    assert ended.returncode == 1
    assert "1 faults" in ended.stdout and "needs a backup" in ended.stderr


def test_a_changed_record_is_found_and_rebuilt(made: Made, copy: Path):
    with sqlite3.connect(copy / "pilotwire.db") as db:
        (body,) = db.execute("SELECT body FROM sessions").fetchone()
        assert b"3500" in body
        db.execute("UPDATE sessions SET body = ?", (body.replace(b"3500", b"9999"),))
    db.close()
    assert facts(copy)[0] != made.facts[0]
    assert pilotwire("journal", "verify", data=copy).returncode == 1
    assert "rebuilt from" in done("journal", "replay", data=copy)
    assert "0 faults" in done("journal", "verify", data=copy)
    assert facts(copy) == made.facts


def test_the_api_shows_what_was_restored(made: Made, tmp_path: Path) -> None:
    data = tmp_path / "data"
    done("restore", made.backup, data=data)
    key = done("users", "key", "test", data=data).strip()
    with csms_process.running(data) as csms:
        answer = httpx.get(f"{csms.http}/api/v1/sessions", headers={"Authorization": f"Bearer {key}"})
        assert [row["energy_wh"] for row in answer.json()["items"]] == [2500]
