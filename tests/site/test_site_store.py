"""What a restart finds again, and what it does not believe."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from tests.site.site_kit import Small

from pilotwire.domain.energy import Evidence, EvseState, Limit, Moment, Phasing, State
from pilotwire.domain.energy.state import Moves, Seen
from pilotwire.site.decide import SiteState, resumed
from pilotwire.site.store import OLD_MS, SiteStore, moved


def running(path: Path, seconds: int = 60) -> tuple[Small, SiteStore]:
    store = SiteStore(path / "site.db")
    small = Small(memory=store, keep_ms=30_000)
    for id in "abd":
        small.chargers[id].plug(32_000)
    small.chargers["c"].plug(16_000, 1)
    small.loop.hear("cloud", Limit(source="cloud", power_mw=30_000_000))
    small.run(seconds - 1)
    small.loop.hear("cloud", Limit(source="cloud", power_mw=30_000_000))
    small.run(1)
    return small, store


def killed(small: Small) -> None:
    """As by SIGKILL: the process says nothing to anybody."""
    small.loop._running = False
    small.loop._timer.cancel()  # type: ignore[union-attr]


def now(small: Small) -> Moment:
    return Moment(int(small.time.now()), int(small.time.now()))


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    small, store = running(tmp_path, 50)
    before, drawn = small.set_points(), small.drawn()
    killed(small)
    store.close()
    small.run(4)
    store = SiteStore(tmp_path / "site.db")
    loaded = store.load(now(small))
    assert loaded.why == "" and loaded.state is not None
    small.options["memory"] = store
    small.begin(resumed(small.site, loaded.state, now(small)))
    dips: list[dict[str, int]] = []
    for _ in range(10):
        small.run(0.5)
        dips.append(small.set_points())
    assert all(each == before for each in dips), "no set-point moves because we were away for a moment"
    assert small.drawn() == drawn
    assert small.loop.state.heard["cloud"].limit is not None, "the limit from outside is still in force"


def test_what_was_told_last_is_known_even_if_the_state_is_older(tmp_path: Path) -> None:
    small, store = running(tmp_path, 31)
    kept = {id: charger.base for id, charger in small.loop.state.chargers.items()}
    small.loop.hear("cloud", None)
    small.side("grid", (0, 0, 0))
    small.run(15)
    told = small.set_points()
    assert any(told[id] > (kept[id] or 0) for id in told)
    killed(small)
    loaded = store.load(now(small)).state
    assert loaded is not None
    assert all((loaded.chargers[id].base or 0) >= value for id, value in told.items())
    # And the allocation begins with it: room is not given away a second time.
    energy = resumed(small.site, loaded, now(small)).energy
    assert {id: energy.evses[id].value for id in told} == told


def test_a_limit_from_outside_is_kept_at_once(tmp_path: Path) -> None:
    small, store = running(tmp_path, 31)
    small.loop.hear("cloud", Limit(source="cloud", power_mw=7_000_000))
    small.run(1.2)
    killed(small)
    loaded = store.load(now(small)).state
    assert loaded is not None and loaded.heard["cloud"].limit == Limit(source="cloud", power_mw=7_000_000)


def test_a_word_counts_from_when_it_was_heard_though_the_state_is_older(tmp_path: Path) -> None:
    """The whole state is written each 30 s: until then a source must not seem to be silent for longer than it is."""
    small, store = running(tmp_path, 31)
    limit = Limit(source="cloud", power_mw=30_000_000)
    small.run(25)
    small.loop.hear("cloud", limit)
    heard_ms = int(small.time.now())
    small.run(1.2)
    killed(small)
    small.run(40)
    loaded = store.load(now(small)).state
    assert loaded is not None and loaded.heard["cloud"].at_ms == heard_ms
    small.options["memory"] = store
    small.begin(resumed(small.site, loaded, now(small)))
    small.run(18)
    assert ("cloud", "source_lost") not in small.marks()
    small.run(2)
    assert ("cloud", "source_lost") in small.marks(), "60 s after its last word, not 60 s after our start"


def _times(value: object, path: str = "") -> dict[str, int]:
    """Everything in it that is a time of the steady clock, by where it is."""
    if isinstance(value, dict):
        found: dict[str, int] = {}
        for key, each in value.items():
            if str(key).endswith("_ms") and isinstance(each, int) and key not in ("settle_ms",):
                found[f"{path}.{key}"] = each
            elif key == "told" and isinstance(each, (list, tuple)):
                found |= {f"{path}.told.{at}": until for at, (_, until) in enumerate(each)}
            else:
                found |= _times(each, f"{path}.{key}")
        return found
    return {}


def test_no_time_in_a_state_is_forgotten_when_it_is_moved() -> None:
    seen = Seen(at_ms=80, ma=1, phases_ma=(1, 2, 3), count=1)
    evse = EvseState(
        changed_ms=10, ceiling_until_ms=20, since_ms=30, turn_ms=40, odd_ms=50, drawn_ms=60, switched_ms=70,
        told=((16_000, 75),), phasing=Phasing(since_ms=80, quiet_ms=90, last_ms=100, room_ms=110),
    )  # fmt: skip
    energy = State(
        evses={"a": evse},
        rotations={"a": Evidence(starts=1, start_votes=2, voted_ms=5, base=seen, last=seen)},
        moves={"grid": Moves("a", 70, 60)},
    )
    before = _times(msgspec.to_builtins(energy))
    after = _times(msgspec.to_builtins(moved(SiteState(energy=energy), 1_000).energy))
    assert len(before) >= 15
    assert after == {key: at + 1_000 for key, at in before.items()}


def test_what_was_learned_of_rotations_outlives_a_tick_and_a_restart(tmp_path: Path) -> None:
    small, store = running(tmp_path, 31)
    learned = Evidence(starts=1, start_votes=3, voted_ms=5)
    energy = msgspec.structs.replace(small.loop.state.energy, rotations={"c": learned})
    small.loop.state = msgspec.structs.replace(small.loop.state, energy=energy)
    small.run(40)
    assert small.loop.state.energy.rotations["c"].learned(1) == 1
    killed(small)
    loaded = store.load(now(small)).state
    assert loaded is not None
    assert resumed(small.site, loaded, now(small)).energy.rotations["c"].learned(1) == 1


def test_times_are_moved_onto_the_new_clock(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    tick = int(small.time.now())
    store.keep(small.loop.state, Moment(tick, tick))
    # After the restart the steady clock begins at 1000; we were away for 7 s.
    loaded = store.load(Moment(1_000, tick + 7_000)).state
    assert loaded is not None
    shift = 1_000 - tick - 7_000
    assert loaded.chargers["a"].heard_ms == (small.loop.state.chargers["a"].heard_ms or 0) + shift
    assert loaded.energy.evses["a"].changed_ms == (small.loop.state.energy.evses["a"].changed_ms or 0) + shift
    assert loaded.meters["grid"].at_ms == small.loop.state.meters["grid"].at_ms + shift
    assert loaded.heard["cloud"].at_ms == small.loop.state.heard["cloud"].at_ms + shift
    # Who was away while the clock was set back has been away for no time at all.
    back = store.load(Moment(tick, tick - 3_600_000)).state
    assert back is not None and back.meters["grid"].at_ms == small.loop.state.meters["grid"].at_ms


def test_moving_by_nothing_changes_nothing(tmp_path: Path) -> None:
    small, _ = running(tmp_path)
    assert moved(small.loop.state, 0) == small.loop.state
    assert moved(moved(small.loop.state, 500), -500) == small.loop.state


def test_the_first_start_has_nothing_and_says_nothing(tmp_path: Path) -> None:
    assert SiteStore(tmp_path / "site.db").load(Moment(0, 0)) == (None, "", ())


def test_an_old_state_is_not_believed(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    at = int(small.time.now())
    store.keep(small.loop.state, Moment(at, at))
    assert store.load(Moment(at, at + OLD_MS)).state is not None
    loaded = store.load(Moment(at, at + OLD_MS + 1))
    assert loaded.state is None and "24 h old" in loaded.why


@pytest.mark.parametrize("key", ["state", "told", "heard"])
def test_a_damaged_value_is_not_believed(tmp_path: Path, key: str) -> None:
    small, store = running(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "site.db") as db:
        (value,) = db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        db.execute("UPDATE memory SET value = ? WHERE key = ?", (value[:-3] + b"\x00\x01\x02", key))
    loaded = SiteStore(tmp_path / "site.db").load(now(small))
    assert loaded.state is None and "checksum" in loaded.why


def test_values_that_were_exchanged_are_not_believed(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "site.db") as db:
        row = db.execute("SELECT value, sum FROM memory WHERE key = 'told'").fetchone()
        db.execute("UPDATE memory SET value = ?, sum = ? WHERE key = 'state'", row)
    loaded = SiteStore(tmp_path / "site.db").load(now(small))
    assert loaded.state is None and "checksum" in loaded.why


def test_a_torn_file_is_put_aside_and_the_site_begins_in_the_safe_state(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    killed(small)
    store.close()
    path = tmp_path / "site.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 200))
    store = SiteStore(path)
    assert "put aside" in store.set_aside
    assert (tmp_path / "site.db.damaged").exists()
    assert store.load(now(small)) == (None, "", ())
    small.chargers["d"].link = False
    small.run(4)
    small.options["memory"] = store
    small.begin(None)
    small.run(0.05)
    # Nothing is known: what cannot be asked may be drawing all that it can, the others have their fail-safe value.
    assert small.loop.state.chargers["d"].may == 32_000
    assert {id: value for id, value in small.set_points().items() if id != "d"} == dict.fromkeys("abc", 6_000)
    small.run(1)
    assert store.load(now(small)).state is not None, "the state is kept from the first tick on"


def test_what_is_told_is_written_before_it_is_told(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    order: list[str] = []
    written = store.told

    class Spy:
        def told(self, chargers: object) -> None:
            order.append("written")
            written(chargers)  # type: ignore[arg-type]

        def heard(self, words: object, at: Moment) -> None: ...

        def keep(self, state: SiteState, at: Moment) -> None: ...

    small.loop._memory = Spy()
    small.chargers["d"].offer = lambda *arguments: order.append("told")  # type: ignore[method-assign]
    small.side("grid", (30_000, 30_000, 30_000))
    small.run(1.3)
    assert order.index("written") < order.index("told")


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    small, store = running(tmp_path)
    writes: list[str] = []
    real = store._write
    store._write = lambda key, data: (writes.append(key), real(key, data))  # type: ignore[assignment,func-returns-value]
    small.run(58)
    assert writes == ["state", "state"]
