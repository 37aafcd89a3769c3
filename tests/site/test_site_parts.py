"""The drivers of a configuration, as the loop finds them before anybody has connected."""

from __future__ import annotations

from pathlib import Path

from tests.site.site_kit import TEXT

from pilotwire.site.config import read
from pilotwire.site.parts import Built, findings
from pilotwire.transport.runtime import SteadyScheduler

SITE = (
    TEXT.replace("file: none", "file: eastron-sdm630").replace("endpoint: none", "endpoint: 'tcp://127.0.0.1:9'")
    + """
ocpp:
  listen: 127.0.0.1:0
  upstreams: [{name: csms, url: 'ws://127.0.0.1:9/ocpp'}]
  stations: [{identity: A, security_profile: 0}, {identity: B, security_profile: 0}, {identity: C, security_profile: 0},
             {identity: D, security_profile: 0}]
"""
)


async def test_ocpp_chargers_are_there_before_their_stations(tmp_path: Path) -> None:
    config, wrong = read(SITE)
    assert config is not None and not wrong
    assert [each for each in findings(config, tmp_path) if each.severity == "error"] == []
    built = Built(config, tmp_path, SteadyScheduler())
    try:
        assert sorted(driver.id for driver in built.evses) == ["a", "b", "c", "d"]
        assert not any(driver.status().online for driver in built.evses)
        await built.start()  # what is ready is not made a second time: each EVSE still has one driver
        assert len(built.evses) == 4
    finally:
        await built.stop()


async def test_a_site_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    config, _ = read(SITE)
    assert config is not None
    await Built(config, tmp_path, SteadyScheduler()).stop()


async def test_stations_without_a_central_system_are_refused(tmp_path: Path) -> None:
    """Nobody could say who may charge there, and nobody would ever take what they report."""
    config, _ = read(SITE.replace("  upstreams: [{name: csms, url: 'ws://127.0.0.1:9/ocpp'}]\n", ""))
    assert config is not None
    assert [each.where for each in findings(config, tmp_path) if each.severity == "error"] == ["ocpp.upstreams"]
