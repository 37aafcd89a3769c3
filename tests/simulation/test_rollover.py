"""A fleet's certificates roll over while every station charges. `make soak` does it with 1,000 stations."""

from __future__ import annotations

import pytest
from tests.simulation.rollover import Rollover


@pytest.mark.parametrize("seed", [1, 2])
def test_no_session_is_lost(seed: int) -> None:
    report = Rollover(10, seed=seed, trouble=0.5).run()
    assert report.faults == []
    assert (report.renewed, report.sessions) == (10, 10)
    assert report.enrollments["delivered"] >= 10


def test_control_who_does_not_change_over_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Did a station never ask for its new certificate, this world would see it."""
    monkeypatch.setattr("pilotwire.station.certificates.Certificates.enroll", lambda *_: None)
    report = Rollover(3).run()
    assert report.renewed == 0 and len(report.faults) >= 6
