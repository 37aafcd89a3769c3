"""The past is what was shown: any decision of the log again, bit for bit, and clear words where there is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.site.watch_kit import START, TEXT, Seen

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.seen import NotKnown, Now
from pilotwire.site.log import SiteLog, segments, started_ms
from pilotwire.site.past import KEPT, WAITING, Record, past
from pilotwire.site.turn import turn
from pilotwire.site.watch import now_of

KINDS: Any = {"main": "meter", "roof": "inverter", "cellar": "battery"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Twelve minutes in which things happen, the last of them not yet on disk."""
    made = Seen(tmp_path_factory.mktemp("past"))
    made.log._segment_ms = 240_000
    for minute in range(12):
        made.side("grid", (1_000 * minute, 500 * minute, 0))
        charger = made.chargers["abcd"[minute % 4]]
        if charger.arrived_ms is None:
            charger.plug(32_000, 3)
        else:
            charger.unplug()
        made.roof.said["power_mw"] = -1_000_000 * (minute % 9)
        made.run(57.3)
    return made


def live(seen: Seen, at: int) -> Now:
    return now_of(seen.site, KINDS, *seen.shown[at])


def test_the_past_is_what_was_shown(seen: Seen) -> None:
    seen.log.flush()
    assert len(segments(seen.folder / "log")) >= 3
    ticks = [inputs.now.utc_ms for inputs, _ in seen.shown]
    for at in (0, 1, 77, 239, 240, 241, 242, 300, 450, len(ticks) - 1):
        found = past(seen.folder / "log", ticks[at])
        assert found.same and found.now == live(seen, at)
    # In force until the next one.
    assert past(seen.folder / "log", ticks[78] - 1).now == live(seen, 77)
    assert past(seen.folder / "log", ticks[77] + 1).now == live(seen, 77)


def test_of_what_is_not_there_it_says_what_there_is(seen: Seen, tmp_path: Path) -> None:
    seen.log.flush()
    folder = seen.folder / "log"
    with pytest.raises(NotKnown, match=f"the log begins at {to_rfc3339(started_ms(segments(folder)[0]))}"):
        past(folder, START - 1)
    last = seen.shown[-1][0].now.utc_ms
    assert past(folder, last + 30_000).now == live(seen, len(seen.shown) - 1)
    with pytest.raises(NotKnown, match=f"did not run then.*last decision before was at {to_rfc3339(last)}"):
        past(folder, last + 30_001)
    with pytest.raises(NotKnown, match="there is no log yet"):
        past(tmp_path, START)


def test_a_damaged_segment_is_known_up_to_the_damage_and_others_wholly(seen: Seen, tmp_path: Path) -> None:
    seen.log.flush()
    for path in segments(seen.folder / "log"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first, second, *_ = segments(tmp_path)
    data = bytearray(first.read_bytes())
    data[-40] ^= 1  # in its last frame
    first.write_bytes(data)
    ticks = [inputs.now.utc_ms for inputs, _ in seen.shown]
    assert past(tmp_path, ticks[10]).now == live(seen, 10)
    with pytest.raises(NotKnown, match="did not run then, or its log is torn"):
        past(tmp_path, started_ms(second) - 500)
    second.write_bytes(b"PWSITE1\n")
    assert past(tmp_path, ticks[-1]).now == live(seen, len(ticks) - 1)
    first.write_bytes(b"")
    with pytest.raises(NotKnown, match="the log begins at"):
        past(tmp_path, ticks[10])


def test_what_was_altered_is_not_the_same(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with another program: the decision is made, and told to be another."""
    from pilotwire.site import past as module

    seen.log.flush()
    plain = module.decide

    def other(site: Any, inputs: Any, state: Any) -> Any:
        import msgspec

        found = plain(site, inputs, state)
        return msgspec.structs.replace(found, marks=())

    monkeypatch.setattr(module, "decide", other)
    assert not past(seen.folder / "log", seen.shown[30][0].now.utc_ms).same


def test_another_configuration_has_its_own_past(tmp_path: Path) -> None:
    one = Seen(tmp_path)
    one.run(20)
    one.log.close()
    middle = one.shown[-1][0].now.utc_ms
    two = Seen(tmp_path, TEXT.replace("current_a: 63}", "current_a: 55}"), start=START + 60_000)
    two.run(20)
    two.log.close()
    before, after = past(tmp_path / "log", middle).now, past(tmp_path / "log", two.utc).now
    fuses = [
        row.phases_ma for now in (before, after) for row in now.limits if (row.node, row.source) == ("grid", "fuse")
    ]
    assert fuses == [(63_000,) * 3, (55_000,) * 3]
    assert before == live(one, -1) and after == live(two, -1)


def test_segments_end_by_time_and_by_ticks(tmp_path: Path) -> None:
    for name, more, least in (("time", {"segment_ms": 120_000}, 3), ("ticks", {"segment_ticks": 100}, 3)):
        seen = Seen(tmp_path / name)
        seen.log = SiteLog(tmp_path / name / "log", TEXT, version="test", **more)  # type: ignore[arg-type]
        seen.log.begin(seen.loop.state)
        seen.loop._record = seen.log
        seen.run(360)
        seen.log.close()
        paths = segments(tmp_path / name / "log")
        assert least <= len(paths) <= least + 2
        assert [started_ms(path) for path in paths] == sorted(started_ms(path) for path in paths)


async def test_a_disk_that_is_full_when_somebody_looks_tears_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(tmp_path)
    seen.run(30)
    seen.log.flush()
    before = seen.shown[-1][0].now.utc_ms
    seen.run(10)
    whole = seen.log._file

    class Full:
        def write(self, data: bytes) -> None:
            whole.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            whole.close()

    monkeypatch.setattr(seen.log, "_file", Full())
    with pytest.raises(NotKnown, match=r"what was decided last cannot be written: .*No space left"):
        await Record(tmp_path / "log", flush=seen.log.flush).at(before + 5_000)
    seen.run(20)
    seen.log.flush()
    assert past(tmp_path / "log", before).same and past(tmp_path / "log", seen.utc).now == live(seen, -1)


async def test_a_child_makes_it_again_also_of_the_last_minute(seen: Seen) -> None:
    flushed: list[int] = []

    def flush() -> None:
        flushed.append(1)
        seen.log.flush()

    seen.run(2)  # these are still held back
    record = Record(seen.folder / "log", flush=flush, timeout_s=120)
    at = len(seen.shown) - 2
    utc = seen.shown[at][0].now.utc_ms
    found = await record.at(utc)
    assert found.same and found.now == live(seen, at) and flushed
    assert await record.at(utc) is found and record.children == 1  # kept
    with pytest.raises(NotKnown, match="the log begins at"):
        await record.at(5)


async def test_one_at_a_time_a_few_wait_and_who_takes_too_long_is_ended(seen: Seen) -> None:
    record = Record(seen.folder / "log", timeout_s=0.01)
    asked = [asyncio.create_task(record.at(START + 1_000 * k)) for k in range(WAITING + 3)]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    texts = [str(each) for each in ended]
    assert all(isinstance(each, NotKnown) for each in ended)
    assert sum("too many moments" in text for text in texts) == 3
    assert sum("within 0.01 s" in text for text in texts) == WAITING
    assert record.children == WAITING and not record._running and len(record._kept) <= KEPT


async def test_it_does_not_wait_for_ever_for_a_plan(seen: Seen) -> None:
    record = Record(seen.folder / "log", timeout_s=0.01)
    async with turn():
        with pytest.raises(NotKnown, match="a plan is being made"):
            await record.at(START + 1_000)
    assert record.children == 0 and not turn().locked()
