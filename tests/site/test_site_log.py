"""The log: every decision again, bit for bit; what was altered, lost or torn is noticed; it grows to its bound."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.site_kit import TEXT, Small

from pilotwire.domain.energy import Limit
from pilotwire.site import log_frames
from pilotwire.site import replay as replay_module
from pilotwire.site.decide import SiteState
from pilotwire.site.log import Damage, SiteLog, read_segment, segments
from pilotwire.site.replay import Note, Step, replay


def recorded(folder: Path, seed: int, seconds: int = 90, **options: Any) -> Small:
    """A run with cars that come and go, faults and limits, all of it logged."""
    draw = random.Random(seed)
    log = SiteLog(folder, TEXT, version="test", **options)
    log.begin(SiteState())
    small = Small(record=log)
    small.said.clear()
    for _ in range(seconds // 5):
        charger = small.chargers[draw.choice("abcd")]
        what = draw.randrange(8)
        if what == 0:
            charger.link = not charger.link
        elif what == 1:
            charger.deaf = not charger.deaf
        elif what == 2:
            small.meters["main"].lie = draw.choice(("", "nan", "sign"))
        elif what == 3:
            small.loop.hear("cloud", draw.choice((None, Limit(source="cloud", power_mw=draw.randint(0, 40_000_000)))))
        elif what == 4:
            small.side("grid", (draw.randint(-5_000, 40_000), draw.randint(0, 40_000), 0))
        elif what == 5:
            charger.unplug()
        else:
            charger.plug(draw.choice((10_000, 16_000, 32_000)), draw.choice((1, 3)))
        small.run(5)
    log.close()
    assert not small.said
    return small


def replayed(folder: Path) -> tuple[list[Step], list[Note]]:
    items = list(replay(folder))
    return [item for item in items if isinstance(item, Step)], [item for item in items if isinstance(item, Note)]


@settings(max_examples=6, derandomize=True, deadline=None)
@given(st.integers(0, 1 << 20))
def test_random_runs_replay_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    small = recorded(folder, seed)
    steps, notes = replayed(folder)
    assert len(steps) == small.loop.counts.ticks
    assert [step.difference for step in steps if step.difference] == []
    assert [note for note in notes if note.fault] == []
    assert steps[-1].decision == small.loop.decision
    assert steps[-1].inputs == small.loop.inputs


def test_an_altered_byte_is_noticed(tmp_path: Path) -> None:
    recorded(tmp_path, 1, 60)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    draw = random.Random(2)
    for at in [0, 5, 8, 9, 14, *(draw.randrange(len(whole)) for _ in range(150)), len(whole) - 1]:
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << draw.randrange(8)
        path.write_bytes(spoilt)
        items = list(_until_noticed(tmp_path))
        assert any(isinstance(item, Note) and item.fault for item in items), f"byte {at}"


def _until_noticed(folder: Path):  # type: ignore[no-untyped-def]
    """Only what reading needs: the checksums must find it, whatever is decided."""
    for path in segments(folder):
        try:
            for _ in read_segment(path):
                pass
        except Damage as damage:
            yield Note(str(damage), fault=True)


def test_whoever_alters_a_log_with_its_checksums_is_found_by_the_replay(tmp_path: Path) -> None:
    small = recorded(tmp_path, 3, 60)
    (path,) = segments(tmp_path)
    _, *ticks = list(read_segment(path))
    path.unlink()
    log = SiteLog(tmp_path, TEXT, version="test")
    log.begin(SiteState())
    import msgspec

    from pilotwire.site import log as log_module

    forged = 0

    def forge(chain: bytes, inputs: Any, decision: Any) -> bytes:
        return ticks[forged].hash  # type: ignore[union-attr]

    original = log_module.chained
    log_module.chained = forge
    try:
        for forged, entry in enumerate(ticks):
            inputs = entry.inputs  # type: ignore[union-attr]
            if forged == 20:
                inputs = msgspec.structs.replace(inputs, now=msgspec.structs.replace(inputs.now, utc_ms=5))
            log.tick(inputs, small.loop.decision)  # type: ignore[arg-type]
        log.close()
    finally:
        log_module.chained = original
    steps, _ = replayed(tmp_path)
    assert next(at for at, step in enumerate(steps) if step.difference) == 20


def test_another_rule_is_a_difference_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, 4, 60)
    real = replay_module.decide

    def other(site: Any, inputs: Any, state: Any) -> Any:
        import msgspec

        said = real(site, inputs, state)
        first = msgspec.structs.replace(said.set_points[0], value=said.set_points[0].value + 1_000)
        return msgspec.structs.replace(said, set_points=(first, *said.set_points[1:]))

    monkeypatch.setattr(replay_module, "decide", other)
    steps, _ = replayed(tmp_path)
    assert steps[0].difference.startswith("a was given ")


def test_a_log_that_ends_in_the_middle_is_replayed_up_to_there(tmp_path: Path) -> None:
    recorded(tmp_path, 5, 90, flush_ms=10_000)
    whole, _ = replayed(tmp_path)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    steps, notes = replayed(tmp_path)
    assert 0 < len(steps) < len(whole)
    assert not any(step.difference for step in steps)
    assert any(note.fault and "ends in the middle" in note.text for note in notes)


def test_it_grows_to_its_bound_and_each_segment_replays_by_itself(tmp_path: Path) -> None:
    small = recorded(tmp_path, 6, 300, limit_bytes=24_000, segment_bytes=6_000, flush_ms=5_000)
    there = segments(tmp_path)
    assert sum(path.stat().st_size for path in there) <= 24_000
    assert int(there[0].stem) > 1, "the oldest are gone"
    steps, notes = replayed(tmp_path)
    assert not any(step.difference for step in steps)
    assert not any(note.fault for note in notes)
    assert steps[-1].decision == small.loop.decision
    late = list(replay(tmp_path, from_utc_ms=steps[-1].inputs.now.utc_ms))
    assert sum(isinstance(item, Step) for item in late) < len(steps)


def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    recorded(tmp_path, 7, 200, segment_bytes=3_000, flush_ms=5_000)
    there = segments(tmp_path)
    assert len(there) > 3
    there[1].unlink()
    _, notes = replayed(tmp_path)
    assert any("a piece is missing" in note.text for note in notes)


def test_what_is_held_back_is_written_in_time(tmp_path: Path) -> None:
    log = SiteLog(tmp_path, TEXT, version="test", flush_ms=20_000)
    log.begin(SiteState())
    small = Small(record=log)
    small.run(19)
    small.run(5)
    steps, _ = replayed(tmp_path)
    assert len(steps) >= 18
    assert (tmp_path / "configurations").exists()
    log.close()


def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    class Full:
        def tick(self, *arguments: object) -> None:
            raise OSError(28, "No space left on device")

    small = Small(record=Full())
    small.chargers["a"].plug(32_000)
    small.run(60)
    assert small.drawn()["a"] == 32_000
    assert small.loop.counts.record_failures == small.loop.counts.ticks
    assert len(small.said) == 2, "said once, and at the tenth"


def test_logs_of_before_and_of_a_python_without_lzma_are_replayed_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By zlib as they all were, then by LZMA; the bytes of a frame name what they are packed by."""
    with monkeypatch.context() as without:
        without.setattr(log_frames, "lzma", None)
        recorded(tmp_path, 8, 60)
    (old,) = segments(tmp_path)
    small = recorded(tmp_path, 8, 60)
    assert {kinds(path) for path in segments(tmp_path)} == {b"ht", b"hx"}
    steps, notes = replayed(tmp_path)
    assert not any(step.difference for step in steps) and not any(note.fault for note in notes)
    assert steps[-1].decision == small.loop.decision
    monkeypatch.setattr(log_frames, "lzma", None)
    steps, notes = replayed(tmp_path)
    assert {step.segment for step in steps} == {old.name}
    assert any("this Python is built without" in note.text for note in notes if note.fault)


def kinds(path: Path) -> bytes:
    """Of its frames, in their order, each once."""
    data, at, found = path.read_bytes(), len(log_frames.MAGIC), b""
    while at < len(data):
        kind, length, _ = log_frames.FRAME.unpack_from(data, at)
        found += kind if kind not in found else b""
        at += log_frames.FRAME.size + length
    return found


def test_a_frame_that_unpacks_to_too_much_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, 9, 60)
    monkeypatch.setattr(log_frames, "MOST", 10_000)
    _, notes = replayed(tmp_path)
    assert any("a frame of more than 10000 bytes" in note.text for note in notes if note.fault)
