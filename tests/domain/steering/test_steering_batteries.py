"""What batteries can, and how they share."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.steering import Battery, Cell, Measured
from pilotwire.domain.steering.batteries import charge_most, discharge_most, fading_mw, free_wh, split, usable_wh

KW = 1_000_000
B = Battery(
    id="B", node="grid", capacity_wh=100_000, charge_mw=50 * KW, discharge_mw=60 * KW, backup_permille=100,
    full_permille=900, efficiency=900,
)  # fmt: skip


def at(soc: int, **changes: int) -> Measured:
    return Measured(batteries={"B": Cell(0, soc, 0, **changes)})


def test_energy_with_losses() -> None:
    assert usable_wh(B, at(500), 100) == 36_000 and usable_wh(B, at(50), 100) == 0
    assert free_wh(B, at(500)) == 44_444 and free_wh(B, at(950)) == 0
    assert usable_wh(B, Measured(), 0) == free_wh(B, Measured()) == 0


def test_power_by_its_own_limits_and_fading_at_the_ends() -> None:
    assert discharge_most(B, at(500), 0) == 60 * KW
    assert discharge_most(B, at(500, discharge_mw=7 * KW), 0) == 7 * KW
    assert discharge_most(B, at(101), 0) == 1_080_000  # 90 Wh in five minutes
    assert discharge_most(B, at(100), 0) == discharge_most(B, at(450), 450) == 0
    assert charge_most(B, at(500)) == 50 * KW and charge_most(B, at(500, charge_mw=0)) == 0
    assert charge_most(B, at(900)) == 0 and 0 < charge_most(B, at(899)) < 2 * KW
    assert (
        fading_mw(B, at(101), 1_080_000) == 28_800 + 1_080_000
        and fading_mw(B, at(157), 60 * KW) > 0
        and fading_mw(B, at(500), 60 * KW) == 0
    )
    assert discharge_most(B, Measured(), 0) == charge_most(B, Measured()) == 0


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(0, 500), st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 90), st.integers(0, 9))))
def test_split_gives_all_that_can_be_taken_and_no_more(total: int, of: dict[str, tuple[int, int]]) -> None:
    most = {id: each[0] for id, each in of.items()}
    shares = split(total, most, {id: each[1] for id, each in of.items()})
    assert sum(shares.values()) == min(total, sum(most.values()))
    assert all(0 <= shares[id] <= most[id] for id in most)


def test_the_fuller_gives_more() -> None:
    assert split(30, {"a": 100, "b": 100}, {"a": 2, "b": 1}) == {"a": 20, "b": 10}
    assert split(30, {"a": 5, "b": 100}, {"a": 2, "b": 1}) == {"a": 5, "b": 25}
