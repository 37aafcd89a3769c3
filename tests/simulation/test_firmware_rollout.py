"""A roll-out stops itself where firmware goes wrong, and reaches everybody where it does not.

`python -m tests.soak --only rollout` does it with 1,000 stations.
"""

from __future__ import annotations

import pytest
from tests.simulation.firmware_rollout import Rollout

from pilotwire.api import types


@pytest.mark.parametrize("seed", [1, 2])
def test_with_some_bad_stations_it_stops_itself(seed: int) -> None:
    report = Rollout(150, seed=seed, share=4.0).run()
    assert report.faults == []
    assert report.status == "stopped" and "failed or fell silent" in report.why
    assert report.failed + report.silent >= 1 and report.pending >= 30 and report.kills >= 1


def test_where_nothing_is_wrong_it_reaches_everybody() -> None:
    report = Rollout(60, share=0).run()
    assert report.faults == []
    assert (report.status, report.installed, report.failed, report.silent) == ("done", 60, 0, 0)
    assert report.fetched >= 60 and report.kills >= 2


def test_control_who_allows_everything_is_not_stopped() -> None:
    """It is the policy that stops it: with a blind one the bad stations get the firmware too, and are found out."""
    blind = types.RolloutPolicy(
        stages=[100], watch_s=900, silent_s=900, wait_s=7200, max_failed_percent=100, max_lost_percent=100,
        max_security_events=1_000, max_session_failures_percent=100,
    )  # fmt: skip
    run = Rollout(60, share=10, policy=blind, kill=False)
    report = run.run()
    assert report.faults == []
    assert (report.status, report.failed + report.silent, report.bad) == ("done", 6, 6)
    assert report.installed == 54
