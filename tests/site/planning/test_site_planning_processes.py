"""Plans by real processes: one that is killed in the middle, one that cannot be started, and the whole command."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from tests.site.planning.site_planning_kit import EVENING, HOUR, TEXT, Planned

from pilotwire.cli.main import main
from pilotwire.site.planning.kept import Kept, last_plan
from pilotwire.site.planning.learned import Learned, Stay
from pilotwire.site.planning.part import FILE
from pilotwire.site.planning.record import answer_of, digest
from pilotwire.site.planning.worker import Workers
from pilotwire.site.turn import turn

PATIENCE_S = 90


def asked() -> tuple[bytes, bytes]:
    """A record, and what was answered in this process."""
    small = Planned()
    small.run(5)
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(60)
    return small.kept.plans[-1]


async def result(workers: Workers, record: bytes, kill_after_s: float | None = None) -> tuple[bytes | None, str]:
    told: asyncio.Future[tuple[bytes | None, str]] = asyncio.get_running_loop().create_future()
    running = workers(record, lambda data, why: told.set_result((data, why)))
    if kill_after_s is not None:
        await asyncio.sleep(kill_after_s)
        running.kill()
    return await asyncio.wait_for(told, PATIENCE_S)


async def test_another_process_makes_the_same_plan() -> None:
    record, said = asked()
    workers = Workers()
    data, why = await result(workers, record)
    assert data is not None, why
    answer = answer_of(data)
    assert answer.of == digest(record)
    assert answer.plan == answer_of(said).plan
    assert answer.peak_kb > 10_000
    await workers.stop()


async def test_one_that_is_killed_says_so_and_leaves_nothing() -> None:
    record, _ = asked()
    workers = Workers()
    data, why = await result(workers, record, kill_after_s=0.05)
    assert data is None
    assert "killed" in why
    data, why = await result(workers, record)
    assert data is not None, why
    await workers.stop()


async def test_it_waits_for_its_turn_and_can_be_killed_meanwhile() -> None:
    """What makes a moment of the past again has the turn: the two weigh too much together for a small box."""
    record, said = asked()
    workers = Workers()
    told: asyncio.Queue[tuple[bytes | None, str]] = asyncio.Queue()
    async with turn():
        first, second = (workers(record, lambda *found: told.put_nowait(found)) for _ in range(2))
        for _ in range(3):
            await asyncio.sleep(0)
        assert first.waits and second.waits
        first.kill()
        assert await told.get() == (None, "the planning process was killed")
        assert second.waits
    data, why = await asyncio.wait_for(told.get(), PATIENCE_S)
    assert data is not None, why
    assert not second.waits
    assert answer_of(data).plan == answer_of(said).plan
    assert not turn().locked()
    await workers.stop()


async def test_what_is_no_record_is_answered_with_why() -> None:
    workers = Workers()
    data, why = await result(workers, b"\xc1\xc1 nonsense")
    assert data is not None, why
    assert answer_of(data).plan is None
    assert answer_of(data).error
    await workers.stop()


async def test_a_process_that_cannot_be_started_is_a_plan_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    data, why = await result(Workers(), b"")
    assert data is None
    assert "cannot be started" in why


async def test_who_stops_leaves_no_process_behind() -> None:
    record, _ = asked()
    workers = Workers()
    told: list[str] = []
    workers(record, lambda data, why: told.append(why))
    await workers.stop()
    assert told == ["the planning process was killed"]


def test_what_is_kept_is_there_again_and_what_is_torn_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / FILE
    kept = Kept(path)
    learned = Learned(stays={"a": Stay(arrived_ms=1, session="s", driver="")})
    kept.learned(learned)
    record, said = asked()
    kept.made(record, said)
    kept.close()
    again = Kept(path)
    assert again.load() == (learned, "")
    assert last_plan(path) == (record, said)
    assert last_plan(path, before_ms=EVENING) is None
    again.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE memory SET value = x'00'")
    db.close()
    third = Kept(path)
    assert third.load()[0] == Learned()
    assert "damaged" in third.load()[1]
    third.close()
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4_000)
    fourth = Kept(path)
    assert "put aside" in fourth.set_aside
    assert fourth.load() == (Learned(), "")
    fourth.close()


def test_the_command_shows_the_last_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(TEXT.replace("file: none, endpoint: none", "file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:1'"))
    assert main(["site", "plan", str(file), "--data", str(tmp_path)]) != 0
    assert "no plan has been made yet" in capsys.readouterr().err
    folder = tmp_path / "small"
    folder.mkdir()
    kept = Kept(folder / FILE)
    kept.made(*asked())
    kept.close()
    assert main(["site", "plan", str(file), "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Fri 20:00" in shown
    assert "energy as it said" in shown
    assert "mind: made again" not in shown
    assert main(["site", "plan", str(file), "--data", str(tmp_path), "--json"]) == 0
    assert '"same": true' in capsys.readouterr().out
    assert main(["site", "plan", str(file), "--data", str(tmp_path), "--at", "2020-01-01T00:00:00Z"]) != 0
    assert "no plan is kept of that time" in capsys.readouterr().err
