"""Full sessions over a real network: two processes in two network namespaces, joined by a cable.

The vehicle finds the station by multicast, connects over link-local addresses, agrees on a protocol, charges and goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.netns import Talker, cable

from pilotwire.cli.pki import main as pki_command
from pilotwire.crypto.pnc.pki import EMAID

ENDS = "tests/transport/v2g/ends.py"


class Pair(NamedTuple):
    station: Talker
    vehicle: Talker


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both ends, up and waiting."""
    with (
        cable() as (evse, ev),
        evse.python(ENDS, "station", evse.interface) as station,
        ev.python(ENDS, "vehicle", ev.interface) as vehicle,
    ):
        for end in (station, vehicle):
            end.until(lambda said: "ready" in said)
        yield Pair(station, vehicle)


class Went(NamedTuple):
    """What both ends said of a session."""

    station: list[Any]
    vehicle: list[Any]
    done: Any
    outlet: Any

    def of(self, name: str, end: str = "station") -> list[Any]:
        return [one for one in getattr(self, end) if one.get("event") == name]


def session(pair: Pair, station: dict[str, Any], vehicle: dict[str, Any]) -> Went:
    """One session to its end."""
    before = len(pair.station.said), len(pair.vehicle.said)
    pair.station.say(station)
    pair.station.until(lambda said: "listens" in said)
    pair.vehicle.say(vehicle)
    try:
        done = pair.vehicle.until(lambda said: "done" in said)
        assert done["dialect"], done["done"]
        outlet = pair.station.until(lambda said: "outlet" in said)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pair.station.account()}\n{pair.vehicle.account()}") from None
    return Went(pair.station.said[before[0] :], pair.vehicle.said[before[1] :], done, outlet)


DC = {"dialects": ["iso2"], "services": ["DC"]}


def good(went: Went, protocol: str, dialect: str, service: str) -> None:
    """It was a session of this kind, it ended in order, and nothing flows any more."""
    said = f"{went.station}\n{went.vehicle}"
    assert [one["protocol"] for one in went.of("Connected")] == [protocol], said
    assert went.done["dialect"] == dialect, said
    assert went.done["station"] == "fe80::1"
    assert service in [one["service"] for one in went.of("Limits")], said
    assert [one["ok"] for one in went.of("Ended")] == [True], said
    assert [one["ok"] for one in went.of("Parted", "vehicle")] == [True], said
    assert not went.of("Fault") and not went.of("Fault", "vehicle"), said
    assert went.outlet["outlet"] == "off" and not went.outlet["closed"], said


@pytest.fixture
def tls(pki: Any, tmp_path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Files of both ends: P-256 for -2, P-521 for -20."""
    both = tmp_path / "roots.pem"
    both.write_text("".join(pki[kind].root.read_text().partition("-----BEGIN PRIVATE")[0] for kind in ("p256", "p521")))
    station = {
        "chain": pki["p256"].station, "key": pki["p256"].station, "chain20": pki["p521"].station,
        "key20": pki["p521"].station, "vehicle_roots": pki["p521"].root,
    }  # fmt: skip
    vehicle = {"roots": both, "chain": pki["p521"].vehicle, "key": pki["p521"].vehicle}
    return {key: str(path) for key, path in station.items()}, {key: str(path) for key, path in vehicle.items()}


def test_iso_2_dc(pair: Pair) -> None:
    went = session(
        pair,
        {"config": {"dialects": ["iso2", "din"], "services": ["DC"]}},
        {"config": {"dialects": ["iso2"], "services": ["DC"]}},
    )
    good(went, "iso15118-2", "iso2", "DC")
    assert went.outlet["most_ma"] > 50_000 and went.done["most_mw"] > 10_000_000
    assert went.done["secured"] == ""


def test_iso_2_ac(pair: Pair) -> None:
    went = session(
        pair,
        {"config": {"dialects": ["iso2"], "services": ["AC"]}, "dc": False},
        {"config": {"dialects": ["iso2"], "services": ["AC"]}, "dc": False, "most_s": 0.3},
    )
    good(went, "iso15118-2", "iso2", "AC")


def test_iso_2_over_tls_1_2(pair: Pair, tls: Any) -> None:
    went = session(
        pair,
        {"config": {"dialects": ["iso2"], "services": ["DC"]}, "tls": tls[0]},
        {
            "config": {"dialects": ["iso2"], "services": ["DC"]},
            "tls": tls[1] | {"newest": False},
            "security": "required",
        },
    )
    good(went, "iso15118-2", "iso2", "DC")
    assert went.done["secured"] == "TLSv1.2"


def test_din(pair: Pair) -> None:
    went = session(
        pair,
        {"config": {"dialects": ["iso2", "din"], "services": ["DC"]}},
        {"config": {"dialects": ["din"], "services": ["DC"]}},
    )
    good(went, "din70121", "din", "DC")
    assert went.outlet["most_ma"] > 50_000 and went.done["most_mw"] > 10_000_000


ISO_20 = {
    "AC": ("iso20-ac", False, 0),
    "DC": ("iso20-dc", True, 0),
    "AC_BPT": ("iso20-ac", False, 8_000),
    "DC_BPT": ("iso20-dc", True, 20_000),
    "WPT": ("iso20-wpt", True, 0),
    "DC_ACDP": ("iso20-acdp", True, 0),
    "DC_ACDP_BPT": ("iso20-acdp", True, 20_000),
}


@pytest.mark.parametrize(
    ("service", "dynamic"),
    [(service, False) for service in ISO_20] + [(service, True) for service in ("AC", "DC", "AC_BPT", "DC_BPT")],
    ids=lambda value: {False: "scheduled", True: "dynamic"}.get(value, value),
)
def test_iso_20_over_tls_1_3(pair: Pair, tls: Any, service: str, dynamic: bool) -> None:
    dialect, dc, give = ISO_20[service]
    went = session(
        pair,
        {
            "config": {"dialects": [dialect], "services": [service]},
            "dc": dc and service != "WPT",  # a pad is told a power, as AC is
            "tls": tls[0],
            "plain": False,
            "offer": {"setpoint_mw": -5_000_000} if give and dynamic else {},
        },
        {
            "config": {"dialects": [dialect], "services": [service], "dynamic": dynamic},
            "dc": dc,
            "tls": tls[1] | {"oldest": False},
            "give_ma": give,
        },
    )
    good(went, "iso15118-20", dialect, service)
    assert went.done["secured"] == "TLSv1.3"
    if not give:
        assert went.done["most_mw"] > 5_000_000, "energy has come"
    else:
        assert went.outlet["least_ma"] < 0 or went.done["least_mw"] < 0, "it has given something back"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that `pilotwire pki` makes."""
    folder = tmp_path_factory.mktemp("pnc") / "pki"
    assert pki_command("pki", [str(folder)]) == 0
    return str(folder)


@pytest.mark.parametrize("installed", [False, True], ids=["by contract", "with installation"])
@pytest.mark.parametrize(
    ("protocol", "dialect", "service"),
    [("iso15118-2", "iso2", "DC"), ("iso15118-2", "iso2", "AC"), ("iso15118-20", "iso20-dc", "DC")],
)
def test_plug_and_charge(
    pair: Pair, certificates: str, protocol: str, dialect: str, service: str, installed: bool
) -> None:
    config = {"dialects": [dialect], "services": [service], "payments": ["contract"], "install": True}
    both: dict[str, Any] = {"config": config, "dc": service == "DC", "pki": certificates}
    went = session(pair, both, both | {"contract": not installed, "most_s": 0.5})
    good(went, protocol, dialect, service)
    assert went.done["secured"] == ("TLSv1.2" if dialect == "iso2" else "TLSv1.3")
    assert [one["by"] for one in went.of("AuthorizationAsked")] == ["contract"]
    assert went.of("Identified")[-1]["emaid"] == EMAID and len(went.of("Identified")[-1]["contract"]) == 3
    assert bool(went.of("CertificateAsked")) == installed


@pytest.mark.parametrize(("protocol", "dialect"), [("iso15118-2", "iso2"), ("iso15118-20", "iso20-dc")])
def test_a_vehicle_that_sleeps_comes_back_to_its_session(pair: Pair, tls: Any, protocol: str, dialect: str) -> None:
    config = {"dialects": [dialect], "services": ["DC"]}
    station, vehicle = {"config": config, "tls": tls[0]}, {"config": config, "tls": tls[1]}
    went = session(pair, station, vehicle | {"then": "rest"})
    assert went.of("Paused") and went.of("Parted", "vehicle")[0]["paused"], f"{went.station}\n{went.vehicle}"
    assert went.outlet["outlet"] == "off" and not went.outlet["closed"]
    again = session(pair, station, vehicle | {"resume": True})
    good(again, protocol, dialect, "DC")
    (first,), (second,) = went.of("Connected"), again.of("Connected")
    assert second["resumed"] and second["session_id"] == first["session_id"]


def test_a_vehicle_that_vanishes_leaves_nothing_on(pair: Pair) -> None:
    went = session(pair, {"config": DC}, {"config": DC, "then": "vanish"})
    (ended,) = went.of("Ended")
    assert not ended["ok"] and went.outlet["most_ma"] > 0
    assert went.outlet["outlet"] == "off" and not went.outlet["closed"]
    good(session(pair, {"config": DC}, {"config": DC}), "iso15118-2", "iso2", "DC")


def test_a_station_that_is_found_as_over_wlan(pair: Pair) -> None:
    went = session(pair, {"config": DC}, {"config": DC, "wireless": True})
    good(went, "iso15118-2", "iso2", "DC")


def test_no_common_protocol_is_said_by_both(pair: Pair) -> None:
    pair.station.say({"config": DC})
    pair.station.until(lambda said: "listens" in said)
    pair.vehicle.say({"config": {"dialects": ["din"], "services": ["DC"]}})
    parted = pair.vehicle.until(lambda said: said.get("event") == "Parted")
    assert not parted["ok"] and "urn:din:70121:2012:MsgDef" in parted["reason"]
    assert pair.vehicle.until(lambda said: "done" in said)["dialect"] is None
    ended = pair.station.until(lambda said: said.get("event") == "Ended")
    assert "none of the vehicle's protocols" in ended["reason"]
    pair.station.until(lambda said: "outlet" in said)
