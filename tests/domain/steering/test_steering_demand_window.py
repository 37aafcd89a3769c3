"""A demand window through what may happen to it: restarts, lost meters, clocks that are set."""

from msgspec import structs

from pilotwire.domain.energy import Moment
from pilotwire.domain.steering import DemandWindow, Meter, Plan, Slot, WindowSummary
from pilotwire.domain.steering.demand_window import Ran, run, untouched
from pilotwire.domain.steering.registers import resumed
from pilotwire.domain.steering.state import DemandState

KW = 1_000_000
BEGIN = 1_783_296_000_000
WINDOW = DemandWindow(id="w", node="grid", worst_mw=200 * KW, side_lost_mw=20 * KW, contracted_mw=50 * KW)


class Tour:
    """Ticks of one contract; `utc_s` and `tick_s` may be moved apart."""

    def __init__(self, contract: DemandWindow = WINDOW, at_s: int = 0) -> None:
        self.contract, self.state, self.before = contract, DemandState(), None
        self.utc_s = self.tick_s = at_s
        self.uj = 0
        self.closed: list[WindowSummary] = []
        self.plan: Plan | None = None

    def go(self, seconds: int, kw: int | None, step_s: int = 1, register: bool = True, cars_kw: int = 0) -> Ran:
        found: Ran | None = None
        for _ in range(0, max(1, seconds), step_s):
            now = Moment(self.tick_s * 1_000, BEGIN + self.utc_s * 1_000)
            wh = self.uj // 3_600_000_000 if register else None
            meter = None if kw is None else Meter(kw * KW, now.tick_ms, None, wh)
            side = None if kw is None else (kw - cars_kw) * KW
            causes = {"car": cars_kw * KW} if cars_kw else {}
            found = run(self.contract, self.state, meter, causes, side, self.plan, self.before, now, 11_000)
            self.state, self.before = found.state, now
            self.closed += found.closed
            self.utc_s += step_s
            self.tick_s += step_s
            self.uj += (kw or 0) * KW * step_s * 1_000
        assert found is not None
        return found


def test_a_window_is_summed_up_with_who_caused_it() -> None:
    tour = Tour()
    found = tour.go(901, 72, cars_kw=50)
    (window,) = found.closed
    assert (window.from_ms, window.until_ms) == (BEGIN, BEGIN + 900_000)
    assert (window.energy_wh, window.known_wh, window.peak_mw) == (18_000, 18_000, 72 * KW)
    assert (window.target_mw, window.overshoot_mw, window.quality) == (50 * KW, 22 * KW, "register")
    assert window.causes["car"] // KW in (49, 50) and window.causes["side"] // KW in (21, 22)
    # The ratchet: so much again costs no more.
    assert found.view.target_mw == 72 * KW and found.view.peak_mw == 72 * KW


def test_a_start_in_the_middle_of_a_window_assumes_the_worst() -> None:
    found = Tour(at_s=300).go(1, 10)
    assert found.view.energy_wh == 200_000 * 300 // 3_600 and found.view.quality == "assumed"
    assert found.limit_mw == 0  # 200 kW for 300 s are more than 50 kW for 900 s
    tour = Tour(at_s=300)
    after = tour.go(602, 10)
    (closed,) = tour.closed
    assert abs(closed.known_wh - 1_666) <= 3 and closed.quality == "assumed" and closed.peak_mw > 70 * KW
    # An assumption raises no peak: the next target is what was contracted.
    assert after.view.target_mw == 50 * KW


def test_where_nothing_has_flowed_before_the_start_the_whole_window_is_left() -> None:
    tour = Tour(at_s=450)
    tour.state = untouched(WINDOW, Moment(450_000, BEGIN + 450_000))
    found = tour.go(1, 0)
    assert found.view.energy_wh == 0 and found.view.quality != "assumed"
    assert found.limit_mw is not None and found.limit_mw >= 50 * KW  # 12.5 kWh in half of its time
    tour.go(451, 80)
    (window,) = tour.closed
    assert window.known_wh == window.energy_wh and abs(window.energy_wh - 10_000) <= 25


def test_a_restart_goes_on_with_what_was_stored_and_the_register() -> None:
    tour = Tour()
    tour.go(300, 36)
    away = 120
    now = Moment(5_000, BEGIN + (tour.utc_s + away) * 1_000)
    tour.state = structs.replace(tour.state, tracker=resumed(tour.state.tracker, now, tour.contract.worst_mw))
    tour.uj += 36 * KW * away * 1_000
    tour.utc_s, tour.tick_s, tour.before = tour.utc_s + away, 5, None
    found = tour.go(2, 36)
    assert abs(found.view.energy_wh - 36_000 * 420 // 3_600) <= 15
    assert found.view.quality == "register"


def test_a_restart_without_a_register_assumes_the_worst_for_the_time_away() -> None:
    tour = Tour()
    tour.go(300, 36, register=False)
    now = Moment(5_000, BEGIN + (tour.utc_s + 60) * 1_000)
    tour.state = structs.replace(tour.state, tracker=resumed(tour.state.tracker, now, tour.contract.worst_mw))
    tour.utc_s, tour.tick_s, tour.before = tour.utc_s + 60, 5, None
    found = tour.go(1, 36, register=False)
    assert found.view.energy_wh >= (36_000 * 300 + 200_000 * 60) // 3_600 - 15
    assert found.view.quality == "assumed"


def test_a_lost_meter_counts_side_loads_as_lost_and_cars_as_they_are() -> None:
    tour = Tour()
    tour.go(100, 36, register=False)
    found = tour.go(100, None, cars_kw=15)
    assert found.reason.rule == "window_lost" and not found.fresh
    assert abs(found.view.energy_wh - (36_000 * 100 + 35_000 * 100) // 3_600) <= 25
    assert found.limit_mw > 0


def test_a_lost_meter_never_assumes_more_than_can_flow() -> None:
    tour = Tour(structs.replace(WINDOW, worst_mw=30 * KW))
    tour.go(1, 10)
    found = tour.go(100, None, cars_kw=500)
    assert found.view.energy_wh <= 30_000 * 101 // 3_600


def test_a_clock_set_forward_inside_a_window_gives_no_burst() -> None:
    tour = Tour()
    before = tour.go(300, 50)
    tour.utc_s += 240
    after = tour.go(1, 50)
    assert after.view.from_ms == before.view.from_ms
    assert after.limit_mw <= before.limit_mw + KW // 2


def test_a_clock_set_back_over_a_boundary_by_seconds_stays_in_its_window() -> None:
    tour = Tour()
    tour.go(902, 50)
    assert len(tour.closed) == 1
    tour.utc_s -= 6
    found = tour.go(10, 50)
    assert len(tour.closed) == 1 and found.view.from_ms == BEGIN + 900_000
    assert found.limit_mw >= 49 * KW


def test_a_clock_set_back_by_minutes_assumes_the_worst() -> None:
    tour = Tour()
    tour.go(1_000, 50)
    tour.utc_s -= 400
    found = tour.go(1, 50)
    assert found.view.from_ms == BEGIN and found.view.quality == "assumed" and found.limit_mw == 0


def test_the_end_of_a_window_is_calm_and_the_next_begins_with_its_own() -> None:
    tour = Tour()
    tour.go(600, 20)
    found = tour.go(285, 20)
    last = found.limit_mw
    assert 74 * KW < last <= 75 * KW  # no more than half as much again, though four times would fit
    held = tour.go(14, 20)
    assert held.reason.rule == "window_hold" and held.limit_mw == last
    found = tour.go(10, 20)
    assert found.limit_mw == 50 * KW and found.view.from_ms == BEGIN + 900_000


def test_a_forecast_side_load_is_saved_up_for() -> None:
    tour = Tour()
    tour.plan = Plan(0, BEGIN * 2, sides={"grid": (Slot(0, BEGIN * 2, 30 * KW),)})
    assert tour.go(1, 20).limit_mw == 40 * KW


def test_a_long_time_without_ticks_closes_the_old_window_and_counts_the_new_from_its_begin() -> None:
    tour = Tour()
    tour.go(800, 36)
    tour.uj += 36 * KW * 400 * 1_000
    tour.utc_s += 400
    tour.tick_s += 400
    found = tour.go(1, 36)
    assert len(tour.closed) == 1 and found.view.from_ms == BEGIN + 900_000
    assert abs(found.view.energy_wh - 36_000 * 300 // 3_600) <= 30
