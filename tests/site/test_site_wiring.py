"""A file that was edited between two runs: nothing of one charger, meter or contract is believed of another."""

from __future__ import annotations

from pathlib import Path

from tests.site.site_kit import Small, config_of
from tests.site.test_site_store import killed, now

from pilotwire.site.decide import resumed
from pilotwire.site.store import SiteStore
from pilotwire.site.wiring import others, wiring

HEAD = """
site: {id: small, time_zone: Europe/Berlin}
nodes:
  - {id: grid, kind: connection, meter: main, side_lost_a: 2, limits: [{source: fuse, current_a: 80}]}
devices: [{id: main, kind: meter, file: none, endpoint: METER}]
failsafe: {current_a: 6, power_kw: 5, watchdog_s: 30}
steering: {windows: [{id: w, node: grid, minutes: 15, contracted_kw: 30, worst_kw: 60, side_lost_kw: 2}]}
"""
AC = (
    HEAD
    + """
evses:
  - {id: a, node: grid, rotation: RST, maximum_a: 32, charger: {ocpp: A}}
  - {id: b, node: grid, rotation: RST, maximum_a: 32, charger: {ocpp: B}}
"""
)
DC = AC.replace("rotation: RST, maximum_a: 32, charger: {ocpp: A}", "current: DC, maximum_kw: 22, charger: {ocpp: A}")


def begun_anew(tmp_path: Path, first: str, second: str) -> Small:
    """The site of `second`, two seconds after one of `first` was killed; no charger is heard."""
    tmp_path.mkdir(exist_ok=True)
    store = SiteStore(tmp_path / "site.db", wiring=wiring(config_of(first)))
    small = Small(first, memory=store, keep_ms=1_000)
    for charger in small.chargers.values():
        charger.plug(charger.evse.maximum)
    small.run(120)
    killed(small)
    store.close()
    store = SiteStore(tmp_path / "site.db", wiring=wiring(config_of(second)))
    loaded = store.load(now(small))
    assert loaded.state is not None
    again = Small(second, start=int(small.time.now()))
    again.loop._running = False
    again.loop._timer.cancel()  # type: ignore[union-attr]
    for charger in again.chargers.values():
        charger.link = False
        charger._seen_ms = 0
    again.begin(resumed(again.site, loaded.state, now(small)))
    again.run(2)
    store.close()
    return again


def kept(small: Small, id: str) -> int | None:
    assert small.loop.decision is not None
    return small.loop.decision.reasons[id].kept_ma


def test_what_was_told_in_one_unit_is_not_believed_in_another(tmp_path: Path) -> None:
    small = begun_anew(tmp_path, AC, DC)
    assert kept(small, "a") == 33_563, "its maximum: nobody knows this charger"
    assert small.set_points()["a"] == 5_000_000, "its fail-safe value, not 32 W"


def test_another_charger_behind_the_same_id_has_fail_safe_registers_that_nobody_has_set(tmp_path: Path) -> None:
    small = begun_anew(tmp_path, AC, AC.replace("ocpp: A", "ocpp: X"))
    assert not small.loop.state.chargers["a"].verified
    assert small.loop.state.chargers["b"].verified, "the other is the one that it was"
    assert small.loop.state.chargers["b"].base is not None
    assert small.loop.state.chargers["a"].base is None
    assert kept(small, "a") == 32_000


def test_a_file_that_says_the_same_forgets_nothing(tmp_path: Path) -> None:
    more = AC + "  - {id: c, node: grid, maximum_a: 16, charger: {ocpp: C}}\n"
    small = begun_anew(tmp_path, AC, more)
    assert [small.loop.state.chargers[id].base is None for id in "abc"] == [False, False, True]


def test_a_window_at_another_meter_begins_with_the_worst(tmp_path: Path) -> None:
    same = begun_anew(tmp_path / "one", AC, AC).loop.decision
    other = begun_anew(tmp_path / "two", AC, AC.replace("METER", "another")).loop.decision
    assert same is not None and other is not None
    assert same.windows[0].energy_wh < other.windows[0].energy_wh


def test_a_store_of_a_program_that_wrote_no_wiring_is_believed(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    store._db.execute("DELETE FROM memory WHERE key = 'wiring'")
    small = Small(AC, memory=store, keep_ms=1_000)
    small.run(30)
    killed(small)
    store._db.execute("DELETE FROM memory WHERE key = 'wiring'")
    store.close()
    loaded = SiteStore(tmp_path / "site.db", wiring=wiring(config_of(DC))).load(now(small))
    assert loaded.state is not None and loaded.others == () and "a" in loaded.state.chargers


def test_what_is_new_or_gone_is_no_other() -> None:
    assert others({"evse a": "1", "evse b": "1"}, {"evse b": "2", "evse c": "1"}) == ("evse b",)


def test_a_file_may_steer_without_windows() -> None:
    text = AC.replace(
        "windows: [{id: w, node: grid, minutes: 15, contracted_kw: 30, worst_kw: 60, side_lost_kw: 2}]", ""
    )
    assert text != AC
    assert sorted(wiring(config_of(text))) == ["evse a", "evse b", "meter grid"]
