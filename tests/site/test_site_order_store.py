"""Orders from outside over a restart: what is left of them counts, by a clock that nobody sets; the rest is gone."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.site_kit import TEXT, Small, config_of

from pilotwire.core.errors import ConfigError
from pilotwire.domain.energy import Limit, Moment
from pilotwire.site.audit import AuditFile, entries
from pilotwire.site.elapsed import Clocks, clocks, elapsed_ms, moved_ms
from pilotwire.site.facades.orders import ExternalLimits, Order, each
from pilotwire.site.inputs import Heard
from pilotwire.site.order_store import OrderStore
from pilotwire.site.outside import ORDERS, Outside, sections
from pilotwire.site.store import SiteStore

UTC = 1_800_000_000_000
HOUR = 3_600_000


class Machine:
    """Its clocks: `tick` begins anew with each process, `boot` with each start of the machine."""

    def __init__(self) -> None:
        self.utc, self.boot_ms, self.tick, self.boot = UTC, 77_000, 5_000, "first"

    def run(self, ms: int) -> None:
        self.utc, self.boot_ms, self.tick = self.utc + ms, self.boot_ms + ms, self.tick + ms

    def process(self) -> None:
        """A new one, whose clock is another."""
        self.tick = 1_234_567

    def restart(self, away_ms: int) -> None:
        self.run(away_ms)
        self.boot, self.boot_ms, self.tick = "second", 4_000, 99

    def now(self) -> Clocks:
        return Clocks(self.tick, self.utc, self.boot_ms, self.boot)


SECTIONS = {"modbus": "a", "ocpp": "b"}


def opened(folder: Path, machine: Machine, sections: dict[str, str] = SECTIONS) -> tuple[OrderStore, ExternalLimits]:
    store = OrderStore(folder / "orders.db", machine.now, sections)
    limits = ExternalLimits(keeper=None)
    limits.restore(store.load(), machine.tick)
    limits.keeper = store
    return store, limits


def order(machine: Machine, valid_ms: int = 60_000, **more: object) -> Order:
    base = Order(
        channel="own", client="10.0.0.7", node="grid", phases_ma=each(16_000), until_ms=machine.tick + valid_ms
    )
    return msgspec.structs.replace(base, **more)


def test_what_has_not_expired_goes_on_for_as_long_as_it_had_left(tmp_path: Path) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine), machine.tick)
    machine.run(20_000)
    store.close()  # killed: nothing more is written
    machine.process()
    store, limits = opened(tmp_path, machine)
    (limit,) = limits.at(machine.tick).limits["grid"]
    assert (limit.phases_ma, limit.source) == (each(16_000), "modbus 10.0.0.7")
    machine.run(39_999)
    assert limits.at(machine.tick).limits
    machine.run(1)
    assert not limits.at(machine.tick).limits, "a minute after it was given, and not later"
    store.close()
    store, limits = opened(tmp_path, machine)
    assert not limits.at(machine.tick).limits
    assert store._db.execute("SELECT count(*) FROM orders").fetchone() == (0,), "what has expired is forgotten"
    store.close()


@pytest.mark.parametrize("step_ms", [-5 * HOUR, 5 * HOUR])
def test_a_clock_that_is_set_while_nobody_looks_changes_nothing(step_ms: int, tmp_path: Path) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine), machine.tick)
    store.close()
    machine.run(30_000)
    machine.utc += step_ms
    machine.process()
    store, limits = opened(tmp_path, machine)
    assert limits.at(machine.tick + 29_999).limits and not limits.at(machine.tick + 30_000).limits
    store.close()


@pytest.mark.parametrize(("step_ms", "left_ms"), [(0, 20_000), (-HOUR, 60_000), (HOUR, None)])
def test_after_a_restart_of_the_machine_the_time_of_the_day_has_to_do(
    step_ms: int, left_ms: int | None, tmp_path: Path
) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine), machine.tick)
    store.close()
    machine.restart(40_000)
    machine.utc += step_ms
    store, limits = opened(tmp_path, machine)
    if left_ms is None:
        assert not limits.at(machine.tick).limits
    else:  # a clock that went back prolongs, at most to the whole: that is the safe side
        assert limits.at(machine.tick + left_ms - 1).limits and not limits.at(machine.tick + left_ms).limits
    store.close()


def test_what_is_allowed_afterwards_stays_until_the_next_order(tmp_path: Path) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine, 1_000, node="", evse="a", after_ma=each(6_000)), machine.tick)
    store.close()
    machine.run(HOUR)
    machine.process()
    store, limits = opened(tmp_path, machine)
    found = limits.at(machine.tick).evses["a"]
    assert (found.maximum_ma, found.source) == (6_000, "modbus 10.0.0.7, expired")
    store.close()
    _, limits = opened(tmp_path, machine, {"modbus": "another map", "ocpp": "b"})
    assert not limits.at(machine.tick).evses, "the file says something else of it now: nothing is left behind"


def test_what_the_file_does_not_name_any_more_is_gone(tmp_path: Path) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine), machine.tick)
    limits.put(order(machine, via="ocpp", channel="ocpp/a", node="", evse="a", after_ma=each(0)), machine.tick)
    limits.put(order(machine, channel="dropped"), machine.tick)
    limits.drop("dropped", "node grid")
    store.close()
    store, limits = opened(tmp_path, machine, {"ocpp": "changed"})
    found = limits.at(machine.tick)
    assert not found.limits and found.evses["a"].maximum_ma == 16_000, "it runs on to its end"
    assert not limits.at(machine.tick + 60_000).evses, "and leaves nothing behind"
    store.close()


def test_a_damaged_file_and_a_damaged_row_are_said(tmp_path: Path) -> None:
    machine = Machine()
    store, limits = opened(tmp_path, machine)
    limits.put(order(machine), machine.tick)
    limits.put(order(machine, node="garage"), machine.tick)
    store._db.execute("UPDATE orders SET value = X'00' WHERE key LIKE '%garage'")
    store.close()
    store, limits = opened(tmp_path, machine)
    assert set(limits.at(machine.tick).limits) == {"grid"} and "is damaged and was left out" in store.troubles[0]
    store.close()
    (tmp_path / "orders.db").write_bytes(b"rubbish" * 999)
    store, limits = opened(tmp_path, machine)
    assert not limits.at(machine.tick).limits and "was put aside" in store.troubles[0]
    assert (tmp_path / "orders.db.damaged").exists()
    store.close()
    with pytest.raises(ConfigError, match="orders from outside"):
        opened(tmp_path / "nowhere", machine)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(-(10**9), 10**9), st.booleans())
def test_no_time_is_ever_won_and_within_a_boot_none_is_lost(ran: int, away: int, step: int, rebooted: bool) -> None:
    machine = Machine()
    machine.run(ran)
    then = machine.now()
    if rebooted:
        machine.restart(away)
    else:
        machine.run(away)
        machine.process()
    machine.utc += step
    now = machine.now()
    passed = elapsed_ms(then, now)
    assert passed >= 0 and (rebooted or passed == away)
    assert moved_ms(then, now) == now.tick_ms - then.tick_ms - passed


def test_the_clocks_of_this_machine_run_on_in_another_process() -> None:
    one, other = clocks(0, UTC), clocks(0, UTC - HOUR)
    assert one.boot and one.boot == other.boot and 0 <= elapsed_ms(one, other) < 60_000


async def test_the_parts_of_a_site_keep_orders_from_its_first_tick_on(tmp_path: Path) -> None:
    text = TEXT + "modbus_servers: [{listen: '127.0.0.1:0'}]\n"
    config, said = config_of(text), list[str]()
    audit = AuditFile(tmp_path, lambda: UTC, said.append)
    small = Small(text)
    first = Outside(config, tmp_path, said.append, audit, tmp_path)
    await first.orders.start(small.loop)
    for client, amps in (("10.0.0.7", 16_000), ("10.0.0.8", 20_000)):
        until = first.orders.now + 600_000
        first.orders.put(Order(channel=client, client=client, node="grid", phases_ma=each(amps), until_ms=until))
    await first.orders.stop()
    again = Outside(config, tmp_path, said.append, audit, tmp_path)
    await again.orders.start(small.begin())
    limits = small.loop.external.limits["grid"]
    assert {limit.phases_ma for limit in limits} == {each(16_000), each(20_000)}
    small.run(5)
    assert small.loop.inputs is not None and small.loop.inputs.external.limits["grid"] == limits
    # Two that do not agree are told, and stand on record.
    assert sum("contradict each other" in each for each in said) == 1
    audit.close()
    (fight,) = [entry for entry in entries(tmp_path) if not isinstance(entry, str)]
    assert fight.by == "10.0.0.7 and 10.0.0.8" and "order different things" in fight.what
    await again.orders.stop()
    assert (tmp_path / ORDERS).exists() and set(sections(config)) == {"modbus"}
    other = config_of(text.replace("127.0.0.1:0", "127.0.0.1:1"))
    assert sections(other) != sections(config)


async def test_an_order_counts_though_it_cannot_be_kept(tmp_path: Path) -> None:
    text = TEXT + "modbus_servers: [{listen: '127.0.0.1:0'}]\n"
    small, said = Small(text), list[str]()
    outside = Outside(config_of(text), tmp_path, said.append, None, tmp_path)
    await outside.orders.start(small.loop)
    with sqlite3.connect(tmp_path / ORDERS) as other:
        other.execute("DROP TABLE orders")
    for _ in range(3):
        until = outside.orders.now + 60_000
        outside.orders.put(Order(channel="x", client="y", node="grid", phases_ma=each(9_000), until_ms=until))
    await asyncio.sleep(0)
    outside.orders.take_over(small.loop)
    assert small.loop.external.limits["grid"][0].phases_ma == each(9_000)
    assert sum("cannot be kept over a restart" in each for each in said) == 1, "it is said once"
    await outside.orders.stop()


@pytest.mark.parametrize("step_ms", [-5 * HOUR, 5 * HOUR])
def test_a_sources_limit_holds_over_a_restart_for_as_long_as_it_had_left(step_ms: int, tmp_path: Path) -> None:
    """Its source is lost a minute after its last word, whatever the time of the day did meanwhile."""
    machine = Machine()
    state = Small().loop.state
    store = SiteStore(tmp_path / "site.db", lambda tick, utc: machine.now())
    word = Heard("cloud", Limit(source="cloud", phases_ma=each(20_000)), machine.tick)
    moment = Moment(tick_ms=machine.tick, utc_ms=machine.utc)
    store.keep(state, moment)
    store.heard((word,), moment)
    store.close()
    machine.run(40_000)
    machine.utc += step_ms
    machine.process()
    store = SiteStore(tmp_path / "site.db", lambda tick, utc: machine.now())
    loaded = store.load(Moment(tick_ms=machine.tick, utc_ms=machine.utc)).state
    assert loaded is not None and loaded.heard["cloud"].limit == word.limit
    assert machine.tick - loaded.heard["cloud"].at_ms == 40_000
    store.close()
