"""What one message's samples say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain.metering import NOTHING, Reading, assign, read
from pilotwire.domain.records import Register, Sample

REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"


def sample(measurand, value, time=1000, **more):
    return Sample(1, 1, time, measurand, value, "Wh", **more)


def test_first_and_last_register_newest_power_and_soc():
    got = read(
        (
            sample(REGISTER, 3_000_000, 3000),
            sample(REGISTER, 1_000_000, 1000),
            sample(POWER, 7_000_400, 3000),
            sample(POWER, 9_000_000, 1000),
            sample("SoC", 55_500, 3000),
            sample("Voltage", 230_000, 4000),
        )
    )
    assert (got.first, got.last) == (Register(1000, 1000), Register(3000, 3000))
    assert (got.power_w, got.soc, got.newest, got.begins) == (7000, 555, 4000, False)


def test_phases_are_summed_where_there_is_no_total():
    phases = tuple(sample(POWER, 2_300_000, phase=p) for p in ("L1", "L2", "L3"))
    assert read(phases).power_w == 6900
    assert read((*phases, sample(POWER, 7_000_000))).power_w == 7000
    registers = tuple(sample(REGISTER, 1000, phase=p) for p in ("L1-N", "L2-N", "L3-N"))
    assert read(registers).last == Register(1000, 3)


def test_the_outlet_comes_before_the_inlet_and_other_meters_do_not_count():
    outlet, inlet = sample(REGISTER, 5000, location="Outlet"), sample(REGISTER, 9000, location="Inlet")
    assert read((inlet, outlet)).last == Register(1000, 5)
    assert read((inlet,)).last == Register(1000, 9)
    assert read((sample(REGISTER, 1000, location="EV"), sample(POWER, 1000, location="Cable"))).last is None


def test_contexts_outrank_times():
    got = read(
        (
            sample(REGISTER, 3000, 2000, context="Transaction.End"),
            sample(REGISTER, 2000, 5000),
            sample(REGISTER, 1000, 9000, context="Transaction.Begin"),
        )
    )
    assert (got.first, got.last, got.begins) == (Register(9000, 1), Register(2000, 3), True)


def test_nothing_measured():
    assert read(()) == NOTHING == Reading(None, None, False, None, None, 0)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**9)), min_size=1, max_size=20), st.randoms())
def test_the_order_within_a_message_does_not_matter(pairs, random):
    samples = [sample(REGISTER, value, time) for time, value in pairs]
    once = read(tuple(samples))
    random.shuffle(samples)
    assert read(tuple(samples)) == once


def test_assign_names_the_session():
    samples = (sample(POWER, 1), sample(POWER, 2))
    assign(samples, "abc")
    assert {s.session_id for s in samples} == {"abc"}
