"""PyPI `iso15118` with its Java codec: its vehicle at our station, and our vehicle at its station.

Over a cable between two network namespaces, found by SDP, for every kind of session that it can hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import tests.interop.v2g.their_keys as their_keys
from tests.interop.v2g.recorded import warmers
from tests.netns import ROOT, Talker, cable

from pilotwire.crypto.pnc import pki

OURS = "tests/transport/v2g/ends.py"
THEIRS = "tests/interop/v2g/peer.py"
SLOW = 10
"""Its codec takes longer than the timers of the standards allow, on a machine that has other things to do."""
PYTHON = str(ROOT / ".venv/iso15118/bin/python")


class Cable(NamedTuple):
    """Our station and their vehicle on one cable, their station and our vehicle on another."""

    our_station: Talker
    our_vehicle: Talker
    their_station: Talker
    their_vehicle: Talker


class Keys(NamedTuple):
    """One PKI on P-256, which is what they have for both editions; in our files and in theirs."""

    ours: Path
    station: dict[str, str]
    vehicle: dict[str, str]
    theirs: Path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    ours, theirs = folder / "ours", folder / "theirs"
    made = pki.make("iso2", random=Random(3).randbytes, now=datetime.now(UTC))
    their_keys.write(made, theirs)
    (ours / "iso2").mkdir(parents=True)
    for name, content, _ in made.files():
        (ours / "iso2" / name).write_text(content)
    (ours / "v2g-roots.pem").write_text((ours / "iso2/v2g-root.pem").read_text())
    file = {name: str(ours / "iso2" / name) for name in ("secc.pem", "secc.key", "v2g-root.pem", "oem-root.pem")}
    station = {"chain": file["secc.pem"], "key": file["secc.key"], "vehicle_roots": file["oem-root.pem"]}
    vehicle = {"roots": file["v2g-root.pem"]}
    mutual = {"chain": str(ours / "iso2/oem.pem"), "key": str(ours / "iso2/oem.key")}
    return Keys(ours, station, vehicle | mutual, theirs)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cable]:
    warm = tmp_path_factory.mktemp("v2g") / "warm.json"
    sessions: Any = [("iso2", "AC"), ("iso2", "DC"), ("iso20-ac", "AC_BPT"), ("iso20-dc", "DC"), ("iso20-dc", "DC_BPT")]
    warm.write_text(json.dumps(warmers(sessions, times=1)))
    with (
        cable() as (evse, ev),
        cable() as (other_evse, other_ev),  # one port of discovery is for one station
        other_evse.python(THEIRS, other_evse.interface, str(warm), python=PYTHON) as their_station,
        ev.python(THEIRS, ev.interface, str(warm), python=PYTHON) as their_vehicle,
        evse.python(OURS, "station", evse.interface) as our_station,
        other_ev.python(OURS, "vehicle", other_ev.interface) as our_vehicle,
    ):
        for end in (our_station, our_vehicle, their_station, their_vehicle):
            end.until(lambda said: "ready" in said, 120)
        yield Cable(our_station, our_vehicle, their_station, their_vehicle)


def evcc(protocol: str, service: str, mode: str, **more: Any) -> dict[str, Any]:
    """Configuration of their vehicle."""
    return {
        "supportedProtocols": [protocol], "supportedEnergyServices": [service], "energyTransferMode": mode,
        "isCertInstallNeeded": False, "useTls": False, "chargeLoopCycle": 5, "sdpRetryCycles": 1, **more,
    }  # fmt: skip


def at_our_station(ends: Cable, ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    before = len(ends.our_station.said), len(ends.their_vehicle.said)
    try:
        ends.our_station.say({"slow": SLOW} | ours)
        ends.our_station.until(lambda said: "listens" in said)
        ends.their_vehicle.say(theirs | {"be": "evcc"})
        done = ends.their_vehicle.until(lambda said: "done" in said, 100)
        ends.our_station.until(lambda said: "outlet" in said)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{ends.our_station.account()}\n{ends.their_vehicle.account()}") from None
    said = ends.our_station.said[before[0] :], ends.their_vehicle.said[before[1] :]
    account = f"{ends.our_station.account()}\n{ends.their_vehicle.account()}"
    assert done["done"], account
    assert [one["ok"] for one in said[0] if one.get("event") == "Ended"] == [True], account
    assert not [one for one in said[0] if one.get("event") == "Fault"], account
    assert [one["outlet"] for one in said[0] if "outlet" in one] == ["off"], account
    return said


def at_their_station(ends: Cable, ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    before = len(ends.our_vehicle.said), len(ends.their_station.said)
    try:
        ends.their_station.say(theirs | {"be": "secc"})
        ends.their_station.until(lambda said: "listens" in said)
        ends.our_vehicle.say({"slow": SLOW} | ours)
        ends.our_vehicle.until(lambda said: "done" in said, 100)
        done = ends.their_station.until(lambda said: "done" in said, 100)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{ends.our_vehicle.account()}\n{ends.their_station.account()}") from None
    said = ends.our_vehicle.said[before[0] :], ends.their_station.said[before[1] :]
    account = f"{ends.our_vehicle.account()}\n{ends.their_station.account()}"
    assert done["done"], account
    assert [one["ok"] for one in said[0] if one.get("event") == "Parted"] == [True], account
    return said


def test_their_vehicle_charges_ac_by_iso_2(ends: Cable) -> None:
    ours, _ = at_our_station(
        ends,
        {"config": {"dialects": ["iso2"], "services": ["AC"]}, "dc": False},
        {"config": evcc("ISO_15118_2", "AC", "AC_three_phase_core")},
    )
    assert [one["protocol"] for one in ours if one.get("event") == "Connected"] == ["iso15118-2"]


def test_their_vehicle_charges_dc_by_iso_2(ends: Cable) -> None:
    at_our_station(
        ends,
        {"config": {"dialects": ["iso2"], "services": ["DC"]}},
        {"config": evcc("ISO_15118_2", "DC", "DC_extended")},
    )


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_our_vehicle_charges_by_iso_2(ends: Cable, service: str) -> None:
    at_their_station(
        ends,
        {"config": {"dialects": ["iso2"], "services": [service]}, "dc": service == "DC"},
        {"protocols": ["ISO_15118_2"], "auth": ["EIM"]},
    )


# ── ISO 15118-20 over TLS 1.3 ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("service", ["AC_BPT", "DC", "DC_BPT"])
def test_their_vehicle_charges_by_iso_20(ends: Cable, keys: Keys, service: str) -> None:
    current = service[:2]
    at_our_station(
        ends,
        {
            "config": {"dialects": [f"iso20-{current.lower()}"], "services": [service]}, "dc": current == "DC",
            "tls": keys.station, "plain": False,
        },
        {
            "config": evcc(f"ISO_15118_20_{current}", service, "DC_extended", useTls=True),
            "tls13": True, "pki": str(keys.theirs),
        },
    )  # fmt: skip


@pytest.mark.parametrize("service", ["AC_BPT", "DC", "DC_BPT"])
def test_our_vehicle_charges_by_iso_20(ends: Cable, keys: Keys, service: str) -> None:
    current = service[:2]
    at_their_station(
        ends,
        {
            "config": {"dialects": [f"iso20-{current.lower()}"], "services": [service]}, "dc": current == "DC",
            "tls": keys.vehicle, "security": "required",
        },
        {
            "protocols": [f"ISO_15118_20_{current}"], "auth": ["EIM"], "tls13": True, "enforce_tls": True,
            "pki": str(keys.theirs),
        },
    )  # fmt: skip


# ── Plug & Charge by ISO 15118-2 over TLS 1.2 ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("install", [False, True], ids=["contract", "installation"])
def test_their_vehicle_pays_by_contract(ends: Cable, keys: Keys, install: bool) -> None:
    said, _ = at_our_station(
        ends,
        {
            "config": {"dialects": ["iso2"], "services": ["AC"], "payments": ["contract", "external"], "install": True},
            "dc": False, "tls": keys.station, "plain": False, "pki": str(keys.ours),
        },
        {
            "config": evcc("ISO_15118_2", "AC", "AC_three_phase_core", useTls=True, isCertInstallNeeded=install),
            "pki": str(keys.theirs),
        },
    )  # fmt: skip
    assert [one["by"] for one in said if one.get("event") == "AuthorizationAsked"] == ["contract"]
    assert bool([one for one in said if one.get("event") == "CertificateAsked"]) == install


@pytest.mark.parametrize("install", [False, True], ids=["contract", "installation"])
def test_our_vehicle_pays_by_contract(ends: Cable, keys: Keys, install: bool) -> None:
    said, _ = at_their_station(
        ends,
        {
            "config": {"dialects": ["iso2"], "services": ["AC"], "payments": ["contract"], "install": install},
            "dc": False, "tls": keys.vehicle | {"newest": False}, "security": "required", "pki": str(keys.ours),
            "contract": not install,
        },
        {"protocols": ["ISO_15118_2"], "auth": ["PNC", "EIM"], "enforce_tls": True, "pki": str(keys.theirs)},
    )  # fmt: skip
    assert [one for one in said if one.get("event") == "Allowed"]
