"""`pilotwire doctor`: all well, and each thing that is not, with what to do about it."""

from __future__ import annotations

import resource
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from tests.cli.cli_kit import Ended, done, pilotwire, process
from tests.durability.postgres import postgres
from tests.interop import csms_process

from pilotwire.cli import doctor


def free(*more: str, data: Path) -> Ended:
    """With ports that nobody has."""
    ports = [f"127.0.0.1:{csms_process.free_port()}" for _ in range(2)]
    return pilotwire("doctor", "--http", ports[0], "--ocpp", ports[1], *more, data=data)


def test_all_well(tmp_path: Path):
    ended = process("doctor", "--http", "127.0.0.1:0", "--ocpp", "127.0.0.1:0", data=tmp_path / "data")
    assert ended.returncode == 0, ended.stdout
    assert "fail" not in ended.stdout
    for said in ("ok  Python 3.", "all packages are there", "open files", "no server runs over it now", "is free"):
        assert said in ended.stdout
    assert "fsync takes" in ended.stdout
    assert not (tmp_path / "data" / ".doctor").exists()


def test_beside_a_running_server(csms):
    text = done("doctor", data=csms.data)
    assert f"a server runs over it: pid {csms.process.pid}, {csms.http}" in text
    assert "is free" not in text


def test_a_port_that_somebody_has(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        where = f"127.0.0.1:{holder.getsockname()[1]}"
        ended = pilotwire("doctor", "--http", where, "--ocpp", where, data=tmp_path / "data")
    assert ended.returncode == 1
    for option in ("--http", "--ocpp"):
        assert f"fail  {option} {where}: Address already in use\n      → choose another with {option}" in ended.stdout


def test_a_data_directory_that_is_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("")
    ended = free(data=tmp_path / "file")
    assert ended.returncode == 1
    assert "choose another with --data" in ended.stdout and "cannot write and sync" in ended.stdout


def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "argon2", None)
    ended = free(data=tmp_path / "data")
    assert ended.returncode == 1
    assert "fail  missing packages: argon2\n      → pip install" in ended.stdout


def test_a_console_without_its_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "cli" / "doctor.py"))
    ended = free(data=tmp_path / "data")
    assert ended.returncode == 1
    assert "fail  the console's libraries are missing\n      → python tools/build_frontend.py" in ended.stdout


def test_few_open_files_and_a_full_disk_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1 << 30, 1 << 30, 1 << 20))
    ended = free(data=tmp_path / "data")
    assert ended.returncode == 0
    assert "warn  at most 1024 open files" in ended.stdout and "ulimit -n" in ended.stdout
    assert "1 MiB free\n      → make room" in ended.stdout


@pytest.mark.parametrize(("step", "told"), [(0.000_001, "too fast to be true"), (0.2, "use a faster disk")])
def test_a_disk_that_is_too_fast_or_too_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float, told: str):
    ticks = iter(range(100))
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(ticks) * step)
    (finding,) = doctor._disk(doctor.argparse.Namespace(data=tmp_path))
    assert finding.state == "warn" and told in finding.advice


def test_the_database(tmp_path: Path):
    where = f"127.0.0.1:{csms_process.free_port()}"
    ended = free("--database", f"postgresql://nobody@{where}/x", data=tmp_path / "data")
    assert ended.returncode == 1
    assert "fail  the database does not answer" in ended.stdout and "check --database" in ended.stdout
    ended = free("--database", "nonsense", data=tmp_path / "data")
    assert ended.returncode == 1 and "the database does not answer" in ended.stdout
    with postgres() as url:
        ended = free("--database", url, data=tmp_path / "data")
        assert ended.returncode == 0
        assert "ok  PostgreSQL " in ended.stdout or "warn  PostgreSQL " in ended.stdout
