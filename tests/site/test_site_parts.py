"""The drivers of a configuration, as the loop finds them before anybody has connected."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.site.site_kit import TEXT

from pilotwire.site.config import read
from pilotwire.site.devices.fallback import lacks
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.schema import Abilities
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


@pytest.mark.parametrize(
    ("file", "entry", "words"),
    [
        ("keba-p30", "failsafe_a: 6, watchdog_s: 60", ""),
        ("heidelberg-energy-control", "failsafe_a: 6, watchdog_s: 60", ""),
        ("phoenix-em-cp-pp-eth", "failsafe_a: 6, watchdog_s: 60", "has no watchdog"),
        ("phoenix-em-cp-pp-eth", "has_failsafe: false", ""),
        ("alpitronic-hyc", "failsafe_a: 6, watchdog_s: 60", "has no watchdog"),
    ],
)
def test_a_failsafe_that_the_charger_does_not_have_is_refused(file: str, entry: str, words: str) -> None:
    """What the file of the site says is added up by `site check`: it has to be what the device can do."""
    charger = f"charger: {{file: {file}, endpoint: 'tcp://127.0.0.1:9'}}, {entry}"
    text = re.sub(r"charger: \{ocpp: A[^}]*\}", charger, SITE, count=1)
    assert file in text
    config, wrong = read(text)
    assert config is not None, wrong
    found = [each.text for each in findings(config) if each.where == "evses[a]"]
    assert [words in each for each in found] == ([True] if words else []), found


def test_a_fixed_watchdog_or_failsafe_has_to_be_good_enough() -> None:
    keba = find_device("keba-p30")
    limit = {"limit_ma": keba.commands["limit_ma"]}
    fixed = msgspec.structs.replace(
        keba, commands=limit, abilities=Abilities(keepalive="limit_ma", watchdog_ms=60_000, failsafe_ma=10_000)
    )
    assert lacks(fixed, "failsafe_ma", 10_000, 60_000) == ""
    assert lacks(fixed, "failsafe_ma", 10_000, 59_000) == "has a watchdog of 60 s that cannot be set"
    assert lacks(fixed, "failsafe_ma", 9_999, 60_000) == "cannot be told what to fall back to"
    assert lacks(fixed, "failsafe_mw", 10_000_000, 60_000) == "cannot be told what to fall back to"


async def test_who_is_let_in_without_the_central_system_is_in_the_file(tmp_path: Path) -> None:
    text = SITE.replace("ocpp:\n", "ocpp:\n  tokens: [04AA]\n  unknown_tokens: accept\n  authorize_first: true\n")
    config, wrong = read(text)
    assert config is not None and not wrong
    built = Built(config, tmp_path, SteadyScheduler())
    try:
        assert built._ocpp is not None
        told = built._ocpp.controller.around.config
        assert (told.tokens, told.unknown_tokens, told.authorize_first) == (("04AA",), "accept", True)
    finally:
        await built.stop()
