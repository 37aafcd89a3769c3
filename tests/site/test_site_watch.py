"""A site for all who look at it: nothing is made that nobody looks at, and slow readers hold nobody up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from tests.site.watch_kit import START, Seen

from pilotwire.domain.seen import Controller, NotKnown, Now, Outlook
from pilotwire.domain.steering import Plan, Slot
from pilotwire.site import watch
from pilotwire.site.config import read
from pilotwire.site.demo import TEXT as DEMO
from pilotwire.site.demo import Demo
from pilotwire.site.run import run_site
from pilotwire.site.watch import Watched


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


async def test_now_is_made_when_somebody_looks_and_once_for_all(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = watch.now_of

    def counted(*given: object) -> Now:
        made.append(1)
        return plain(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(watch, "now_of", counted)
    watched: Controller = seen.watched
    with pytest.raises(NotKnown, match="not decided anything yet"):
        await watched.now()
    assert (watched.heard_ms, watched.id, watched.name, watched.time_zone) == (
        None,
        "seen",
        "A seen site",
        "Europe/Berlin",
    )
    seen.run(60)
    assert made == []
    one, other = await watched.now(), await watched.now()
    assert one is other and len(made) == 1
    assert one.picture.seq == seen.loop.state.seq and watched.heard_ms == one.picture.at_ms
    assert one.why["a"][0] == "a: it is paused" and set(one.why) == set("abcd")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Now) == one
    assert msgspec.json.decode(msgspec.json.encode(one), type=Now) == one


async def test_ticks_come_once_a_second_to_many_and_never_queue(seen: Seen) -> None:
    got: list[list[float]] = [[], [], []]

    async def read(at: int, slow: float) -> None:
        async for now in seen.watched.ticks():
            # The newest there is, not what had been waiting.
            assert now.picture.seq == seen.loop.state.seq
            got[at].append(time.monotonic())
            await asyncio.sleep(slow)

    begun = time.monotonic()
    readers = [asyncio.create_task(read(at, slow)) for at, slow in enumerate((0, 0, 1.2))]
    for _ in range(50):
        await asyncio.sleep(0.05)
        seen.run(1)
    await seen.watched.stop()
    await asyncio.gather(*readers)
    passed = time.monotonic() - begun
    for each in got:
        assert 2 <= len(each) <= passed + 2
        assert all(after - before > 0.4 for before, after in pairwise(each))
    assert len(got[2]) <= len(got[0]) and seen.watched._news == set()


async def test_the_moment_itself_is_the_past_of_now(seen: Seen) -> None:
    seen.run(10)
    now = await seen.watched.now()
    found = await seen.watched.at(now.picture.at_ms + 900)
    assert found.same and found.now is now
    with pytest.raises(NotKnown, match="still to come; the last decision was at 2027-01-15T08:00:"):
        await seen.watched.at(now.picture.at_ms + 60_000)
    with pytest.raises(NotKnown, match="keeps no record"):
        await seen.watched.at(now.picture.at_ms - 60_000)


async def test_what_is_remembered_reaches_up_to_this_moment(seen: Seen) -> None:
    seen.run(90)
    course = await seen.watched.course(START, START + 180_000, 60_000)
    assert [step.pv_mw for step in course.steps] == [-6_000_000, -6_000_000, None]
    assert (await seen.watched.changes("a", START, seen.utc))[-1].code == "no_demand"
    assert await seen.watched.windows(START, seen.utc) == () and await seen.watched.peaks(START, seen.utc) == ()
    with ThreadPoolExecutor(1) as thread:
        seen.watched.join(history=seen.history, thread=thread)
        assert await seen.watched.course(START, START + 60_000, 60_000)
    await seen.watched.stop()
    with pytest.raises(ConnectionError, match="has ended"):
        await seen.watched.course(START, START + 60_000, 60_000)
    other = Watched(seen.config)
    with pytest.raises(NotKnown, match="keeps no history"):
        await other.windows(0, 1)


async def test_the_plan_that_is_followed(seen: Seen) -> None:
    seen.run(5)
    assert await seen.watched.outlook() is None
    begin = START // 900_000 * 900_000
    quarter = 900_000
    seen.loop.plan = Plan(
        made_ms=START, until_ms=START + 3_600_000,
        cars={"a": (Slot(begin, begin + quarter, 11_000_000), Slot(begin + quarter, begin + 2 * quarter, 4_000_000))},
        batteries={"cellar": (Slot(begin, begin + quarter // 2, 1_000),)},
        sides={"grid": (Slot(begin, begin + 2 * quarter, 2_000_000),)},
    )  # fmt: skip
    seen.run(1)
    found = await seen.watched.outlook()
    assert found is not None and found.from_ms == begin and found.step_ms == quarter
    assert found.grid_mw == (13_000_500, 6_000_000) and found.batteries == {"cellar": (500, 0)}
    (car,) = found.cars
    left = seen.shown[-1][0].now.utc_ms - begin
    assert car.energy_wh == (11_000_000 * (quarter - left) + 4_000_000 * quarter) // 3_600_000_000
    own = Outlook(made_ms=1, until_ms=2, words="", step_ms=1, grid_mw=(), batteries={}, cars=())
    seen.watched.outlook_of = lambda: own
    assert await seen.watched.outlook() is own


async def test_a_site_that_runs_is_remembered_over_a_restart(tmp_path: Path) -> None:
    """The whole program twice, in its own time: history, record and what is shown live agree."""
    config, _ = read(DEMO)
    assert config is not None
    said: list[str] = []
    seqs: list[int] = []
    for _ in range(2):
        watched, stop = Watched(config), asyncio.Event()
        runs = asyncio.create_task(
            run_site(
                config, DEMO, tmp_path, lambda scheduler: Demo(config, scheduler), stop=stop, watched=watched,
                report=said.append,
            )
        )  # fmt: skip
        async with asyncio.timeout(60):
            async for now in watched.ticks():
                seqs.append(now.picture.seq)
                if now.picture.seq > seqs[0] + 3:
                    break
            found = await watched.at(now.picture.at_ms)
            assert found.same and found.now.picture.flows == now.picture.flows
            stop.set()
            await runs
        with pytest.raises(ConnectionError):
            await watched.windows(0, 1)
    assert said == [] and seqs == sorted(seqs)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"site.db", "history.db", "log"}  # ended cleanly: nothing is left open


_SITE = """
import asyncio, json, sys
from pathlib import Path
from pilotwire.site.config import read
from pilotwire.site.demo import TEXT, Demo
from pilotwire.site.run import run_site
from pilotwire.site.watch import Watched

async def main():
    config, _ = read(TEXT)
    watched = Watched(config)
    make = lambda scheduler: Demo(config, scheduler)
    site = run_site(config, TEXT, Path(sys.argv[1]), make, stop=asyncio.Event(), watched=watched)
    run = asyncio.create_task(site)
    async for now in watched.ticks():
        course = await watched.course(now.picture.at_ms - 120_000, now.picture.at_ms + 1, 60_000)
        print(json.dumps([now.picture.at_ms, sum(s.cars_mw is not None for s in course.steps)]), flush=True)

asyncio.run(main())
"""


def test_a_site_that_is_killed_has_its_history(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _SITE, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert child.stdout is not None and child.stderr is not None
    for _ in range(3):
        line = child.stdout.readline()
        assert line, child.stderr.read().decode()
    at_ms, known = json.loads(line)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    from pilotwire.site.history_file import HistoryFile

    file = HistoryFile(tmp_path / "history.db")
    assert file.set_aside == "" and known >= 1
    course = file.course(at_ms - 120_000, at_ms + 1, 60_000)
    assert sum(step.cars_mw is not None for step in course.steps) >= known
    file.close()
