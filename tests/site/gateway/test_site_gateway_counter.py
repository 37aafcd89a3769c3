"""An energy register that stands still, begins anew, goes round, jumps, or shows nonsense for a moment."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.gateway.gateway_world import Gateway

from pilotwire.site.gateway.counter import CounterRules, CounterState, Noticed, look

RULES = CounterRules(max_power_mw=22_000_000)


def run(
    readings: list[int], rules: CounterRules = RULES, power_mw: int = 11_000_000
) -> tuple[CounterState, list[Noticed]]:
    """One reading a second."""
    state, noticed = CounterState(), []
    for at, wh in enumerate(readings):
        state, what = look(rules, state, wh, 1000 * at, power_mw)
        noticed.append(what)
    return state, noticed


def test_it_counts():
    state, noticed = run([100, 103, 106, 109])
    assert state.total_wh == 109 and not any(noticed) and state.settled


def test_nonsense_for_a_moment_is_not_believed():
    state, noticed = run([1_000_000, 1_000_003, 16, 1_000_009, 65_536_000, 1_000_015])
    assert state.total_wh == 1_000_015 and noticed == ["", "", "odd", "", "odd", ""]


def test_it_begins_anew():
    state, noticed = run([1_000_000, 1_000_003, 3, 6, 9, 12])
    assert state.total_wh == 1_000_003 + 12 and noticed[2:5] == ["odd", "odd", "reset"] and state.settled


def test_another_meter():
    state, noticed = run([1_000_000, 500_000, 500_003, 500_006, 500_009])
    assert state.total_wh == 1_000_003 and noticed[3] == "reset"


def test_it_goes_round():
    rules = CounterRules(max_power_mw=22_000_000, rollover_wh=1_000_000)
    state, noticed = run([999_994, 999_997, 0, 3, 6], rules)
    assert state.total_wh == 1_000_006 and noticed[-1] == "rollover"


def test_a_jump_is_not_counted():
    state, noticed = run([1000, 1003, 900_000, 900_003, 900_006, 900_009])
    assert noticed[4] == "jump" and state.total_wh == 1006


def test_frozen_it_is_estimated_and_what_it_catches_up_counts_once():
    still = [1000] * 400
    state, noticed = run(still)
    assert "frozen" in noticed and state.total_wh in range(2215, 2223), "400 s at 11 kW"
    caught, noticed = run([*still, 2225])
    assert noticed[-1] == "moves again" and caught.total_wh == 2225
    lost, _ = run([*still, 1003])
    assert lost.total_wh == state.total_wh + 3, "it goes on where it stood: the estimate stays"
    idle, noticed = run(still, power_mw=0)
    assert not any(noticed) and idle.total_wh == 1000


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(1000, 1100), max_size=40), st.integers(0, 30_000_000))
def test_it_never_goes_back(readings: list[int], power: int):
    state, total = CounterState(), None
    for at, wh in enumerate(readings):
        state, _ = look(RULES, state, wh, 1000 * at, power)
        assert total is None or state.total_wh >= total
        total = state.total_wh


def test_a_session_over_a_reset_of_the_register():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(600)
    world.charger.count()
    world.charger.register_uj = 0
    world.run(600)
    world.charger.unplug()
    world.run(10)
    (session,) = world.sessions()
    assert session["stop"] - session["start"] in range(3660, 3680)
    assert world.box.gateway.outlets[0].counts.resets == 1


def test_a_session_over_a_frozen_register():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(300)
    world.charger.frozen = True
    world.run(600)
    said = world.csms.heard("StatusNotification")[-1]
    assert (said.status, said.error_code) == ("Faulted", "PowerMeterFailure")
    world.charger.frozen = False
    world.run(300)
    assert world.statuses()[-1] == "Charging"
    world.charger.unplug()
    world.run(5)
    (session,) = world.sessions()
    assert session["stop"] == world.charger.register_uj // 3_600_000_000


def test_chargers_without_a_total():
    for registers in ("session", "none"):
        world = Gateway("1.6", free_vend=True, token="FREE", registers=registers)
        world.run(5)
        for _ in range(2):
            world.charger.plug()
            world.run(600)
            world.charger.unplug()
            world.run(60)
        one, two = world.sessions()
        assert one["stop"] - one["start"] in range(1830, 1842) and two["stop"] - two["start"] in range(1820, 1842)
        assert two["start"] - one["stop"] in range(0, 12)
