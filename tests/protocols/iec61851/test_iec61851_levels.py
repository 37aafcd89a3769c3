"""The circuit, the windows, proximity, connectors and the error codes as data."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.iec61851.connectors import CONNECTORS, NACS, NACS_500, of_ocpp
from pilotwire.protocols.iec61851.errors import MREC, by_number
from pilotwire.protocols.iec61851.levels import (
    LOADS,
    STATE_E,
    STATE_F,
    X1,
    PilotLoad,
    PilotSample,
    diode_missing,
    measure,
    pwm,
    state_of,
)
from pilotwire.protocols.iec61851.proximity import OHMS, Cable, cable_of, latch_of
from pilotwire.protocols.iec61851.reader import PilotReader
from pilotwire.protocols.ocpp.v16.messages import ChargePointErrorCode


@pytest.mark.parametrize("state", "ABCDE")
@pytest.mark.parametrize("level", [X1, pwm(266), pwm(50)])
def test_a_vehicle_in_order_is_seen_in_the_state_that_it_shows(state: str, level):
    sample = measure(level, LOADS[state])
    assert state_of(sample.high_mv) == state
    assert not diode_missing(sample) or state == "E"
    nominal = {"A": 12_000, "B": 9_000, "C": 6_000, "D": 3_000, "E": 0}[state]
    assert abs(sample.high_mv - nominal) <= 100


@pytest.mark.parametrize("state", "BCD")
def test_a_missing_diode_shows_on_the_lower_half(state: str):
    load = PilotLoad(LOADS[state].ohm, diode=False)
    assert diode_missing(measure(pwm(300), load))
    assert not diode_missing(measure(X1, load)), "without oscillation nobody can tell"


def test_e_and_f_are_the_evses_own_levels():
    assert state_of(measure(STATE_E, LOADS["B"]).high_mv) == "E"
    assert state_of(measure(STATE_F, LOADS["B"]).high_mv) == "F"


@settings(derandomize=True, max_examples=300)
@given(st.integers(-15_000, 15_000), st.sampled_from("ABCDE"))
def test_between_two_windows_it_stays_what_it_was(mv: int, before: str):
    found = state_of(mv, before)  # type: ignore[arg-type]
    fresh = state_of(mv)
    assert found == (fresh or (before if abs(mv) <= 13_000 else None))


def test_a_state_counts_after_10_ms_and_noise_begins_it_anew():
    reader = PilotReader()
    b, c = measure(X1, LOADS["B"]), measure(X1, LOADS["C"])
    assert not reader.sample(b, 0) and reader.elapse(10) and reader.seen == "B"
    assert not reader.sample(c, 100) and not reader.sample(b, 105) and not reader.sample(c, 107)
    assert not reader.elapse(116) and reader.seen == "B"
    assert reader.elapse(117) and reader.seen == "C" and reader.since == 107
    assert not reader.sample(PilotSample(7_500, 7_500), 200) and reader.deadline is None, "a gap keeps the state"


@pytest.mark.parametrize("ma", OHMS)
def test_cables(ma: int):
    cable = cable_of(OHMS[ma])
    assert isinstance(cable, Cable) and cable.max_ma == ma
    assert cable.single_ma == (70_000 if ma == 63_000 else ma)


def test_what_is_no_cable():
    assert cable_of(None) == cable_of(10_000) == "open"
    assert [cable_of(ohm) for ohm in (0, 79, 141, 350, 1_000, 3_000)] == ["fault"] * 6
    assert [latch_of(ohm) for ohm in (None, 150, 480, 300)] == ["open", "closed", "pressed", "fault"]


def test_connectors():
    assert NACS.shared_pins and NACS.ac and NACS.dc and NACS.digital and NACS.ac_max_mv == 277_000
    assert (NACS_500.dc_max_mv, NACS.dc_max_mv) == (500_000, 1_000_000)
    assert of_ocpp("cNACS") is NACS
    for connector in CONNECTORS.values():
        assert of_ocpp(connector.ocpp).ocpp == connector.ocpp
        assert connector.ac or connector.dc
        assert (connector.pilot in connector.pins) == (connector.pilot is not None)
        assert connector.digital == ("plc" in connector.talks)
        assert bool(connector.ac_max_ma) == connector.ac and bool(connector.dc_max_mv) == connector.dc
    with pytest.raises(LookupError):
        of_ocpp("wInductive")


def test_error_codes():
    assert [code.number for code in MREC.values()] == list(range(1, 27))
    assert [code.tech_code for code in MREC.values()][::25] == ["CX001", "CX026"]
    for name, code in MREC.items():
        assert name.startswith(f"MREC{code.number}") and by_number(code.number) is code
        assert code.ocpp16 in ChargePointErrorCode.__args__  # type: ignore[attr-defined]
    with pytest.raises(LookupError):
        by_number(27)
