"""What `pilotwire ev` and `pilotwire station --link` take and refuse, before anything is opened."""

from __future__ import annotations

import argparse
import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.cli.cli_kit import done, pilotwire

from pilotwire.cli import ev, outlets
from pilotwire.cli import station as station_command
from pilotwire.cli.can_ends import NoStation, ev_end, plug_in
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.chademo.ev import ChademoEv
from pilotwire.protocols.gbt27930.ev import GbtEv
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE


def chosen(**given: Any) -> argparse.Namespace:
    fields = {
        "protocol": "auto", "service": "dc", "contract": False, "install": False, "discharge": None, "link": "v2g",
        "can": None, "edition": None, "interface": None, "host": None, "pki": None,
    }  # fmt: skip
    return argparse.Namespace(**fields | given)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("100", 1000), ("41.55", 416), ("80", 800), ("0.04", 0)])
def test_a_percentage_is_kept_in_tenths(text: str, value: int) -> None:
    assert ev.percent(text) == value


@pytest.mark.parametrize("text", ["-1", "100.1", "nan", "inf", "x", "", "50%"])
def test_what_is_no_percentage_is_refused_with_its_own_words(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no percentage from 0 to 100"):
        ev.percent(text)


@pytest.mark.parametrize(
    ("protocol", "service", "dialects"),
    [
        ("auto", "dc", ("iso20-dc", "iso2", "din")),
        ("auto", "ac", ("iso20-ac", "iso2")),
        ("auto", "dc-bpt", ("iso20-dc",)),
        ("auto", "ac-bpt", ("iso20-ac",)),
        ("din", "dc", ("din",)),
        ("iso2", "ac", ("iso2",)),
        ("iso20", "dc-bpt", ("iso20-dc",)),
        ("auto", "wpt", ("iso20-wpt",)),
        ("iso20", "acdp", ("iso20-acdp",)),
        ("auto", "acdp-bpt", ("iso20-acdp",)),
    ],
)
def test_dialects_go_with_protocol_and_service(protocol: str, service: str, dialects: tuple[str, ...]) -> None:
    config = ev.evcc_config(chosen(protocol=protocol, service=service))
    assert config.dialects == dialects
    assert config.services == (ev.SERVICES[service],)
    assert (config.payments, config.install, config.dynamic) == (("external",), False, False)


@pytest.mark.parametrize(
    ("protocol", "service"), [("din", "ac"), ("din", "dc-bpt"), ("iso2", "ac-bpt"), ("iso2", "wpt"), ("din", "acdp")]
)
def test_a_protocol_without_the_service_is_refused(protocol: str, service: str) -> None:
    with pytest.raises(ConfigError, match=f"{protocol} has no service {service}"):
        ev.evcc_config(chosen(protocol=protocol, service=service))


def test_contract_installation_and_discharge() -> None:
    assert ev.evcc_config(chosen(contract=True)).payments == ("contract", "external")
    installing = ev.evcc_config(chosen(install=True))
    assert installing.payments == ("contract", "external") and installing.install
    assert ev.evcc_config(chosen(service="dc-bpt", discharge=20)).dynamic


WRONG = {
    ("--host", "[::1]:1", "--contract"): "Plug & Charge needs TLS: give --pki FOLDER",
    ("--host", "[::1]:1", "--protocol", "iso20"): "ISO 15118-20 is spoken over TLS alone: give --pki FOLDER",
    ("--interface", "lo", "--service", "wpt"): "ISO 15118-20 is spoken over TLS alone: give --pki FOLDER",
    (): "say where the station is: --interface NAME, --host HOST:PORT, or --link ... --can BUS",
    ("--can", "virtual:a"): "--can needs --link chademo or --link gbt27930",
    ("--interface", "lo", "--edition", "2"): "--edition is of --link chademo or gbt27930",
    ("--link", "chademo"): "--link chademo needs the bus: --can udp_multicast:",
    ("--link", "gbt27930", "--host", "[::1]:1"): "--link gbt27930 needs the bus",
    ("--link", "chademo", "--can", "virtual:a", "--pki", "x"): "chademo knows no certificates",
    ("--link", "chademo", "--can", "virtual:a", "--edition", "2015"): "has the editions 1 and 2, not 2015",
    ("--link", "gbt27930", "--can", "virtual:a", "--edition", "1"): "has the editions 2011 and 2015, not 1",
    ("--link", "chademo", "--can", "nowhere"): "'nowhere' is no CAN bus: virtual:…, udp_multicast:…, socketcan:…",
    ("--link", "chademo", "--can", "socketcan:no-such"): "the CAN bus socketcan:no-such cannot be opened",
    ("--host", "[::1]:1", "--car", "pram"): "there is no car 'pram'; `pilotwire ev --list-cars` names them",
    ("--host", "[::1]:1", "--protocol", "din", "--service", "ac"): "din has no service ac",
    ("--host", "[::1]:9"): "::1 port 9: ",
    ("--interface", "no-such"): "no-such",
    ("--host", "[::1]:1", "--pki", "nowhere"): "make one with `pilotwire pki nowhere`",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_does_not_go_together_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    ended = pilotwire("ev", *arguments)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("pilotwire ev: ") and WRONG[arguments] in line
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--soc", "101"),
        ("--energy", "-1"),
        ("--link", "plc"),
        ("--interface", "a", "--can", "b"),
        ("--host", "localhost"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    ended = pilotwire("ev", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("pilotwire ev: error: argument ")


def test_cars_and_help() -> None:
    assert done("ev", "--list-cars").splitlines() == list(CATALOGUE)
    told = done("ev", "--help")
    for name in ("--interface", "--host", "--can", "--link", "--edition", "--pki", "--json"):
        assert name in told


@pytest.mark.parametrize(
    ("link", "edition", "kind"),
    [("chademo", None, ChademoEv), ("chademo", "1", ChademoEv), ("gbt27930", "2011", GbtEv), ("gbt27930", None, GbtEv)],
)
def test_a_car_of_each_edition(link: str, edition: str | None, kind: type) -> None:
    vehicle = Vehicle(CATALOGUE["compact three-phase 11 kW"], 300)
    machine: Any = ev_end(link, edition, vehicle, gives=True)
    assert type(machine) is kind
    if link == "chademo":
        assert (machine.config.version, machine.config.discharge) == (int(edition or 2), True)
    else:
        assert machine.config.edition == (edition or "auto") and machine.config.rated_mv > 300_000


async def test_a_bus_where_nobody_answers_is_left_in_time() -> None:
    machine = ev_end("chademo", None, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300), gives=False)

    def opened(car: Any) -> Any:
        raise AssertionError("there is nobody")

    with pytest.raises(NoStation, match=r"no station answers on virtual:lonely within 0\.1 s"):
        await plug_in("chademo", "virtual:lonely", machine, opened, patience_s=0.1)


@pytest.mark.parametrize(
    ("spec", "dc", "words"),
    [
        ("chademo:virtual:x", False, "--link chademo is for DC outlets: add --dc"),
        ("gbt27930:virtual:x", False, "--link gbt27930 is for DC outlets: add --dc"),
        ("chademo:nowhere", True, "'nowhere' is no CAN bus"),
        ("chademo:", True, "--link 'chademo:': write v2g:INTERFACE, v2g:HOST:PORT, chademo:BUS or gbt27930:BUS"),
        ("plc:eth0", True, "--link 'plc:eth0': write v2g:INTERFACE"),
        ("v2g", True, "--link 'v2g': write v2g:INTERFACE"),
    ],
)
def test_a_link_that_cannot_be_is_refused(spec: str, dc: bool, words: str) -> None:
    station: Any = SimpleNamespace(config=SimpleNamespace(evses=(EvseConfig(dc=dc),)))
    with pytest.raises(ConfigError) as told:
        asyncio.run(outlets.open_outlet(station, 1, spec, SimpleNamespace(), token="", pki=None))  # type: ignore[arg-type]
    assert words in str(told.value)


def test_the_station_s_secc_offers_what_its_outlet_can() -> None:
    station: Any = SimpleNamespace(
        config=SimpleNamespace(identity="cs-1", evses=(EvseConfig(dc=True, max_discharge_w=1), EvseConfig()))
    )
    config = outlets.secc_config(station, 1, contract=True)
    assert (config.dialects, config.services) == (("iso20-dc", "iso2", "din"), ("DC_BPT", "DC"))
    assert config.payments == ("contract", "external") and config.install
    assert config.evse_id == "ZZ*PWR*ECS101"
    other = outlets.secc_config(station, 2, contract=False)
    assert (other.dialects, other.services) == (("iso20-ac", "iso2"), ("AC",))
    assert other.payments == ("external",) and not other.install


@pytest.mark.parametrize(
    ("built", "dialect", "services"),
    [
        (EvseConfig(connector_type="wInductive", max_discharge_w=1), "iso20-wpt", ("WPT",)),
        (EvseConfig(dc=True, connector_type="Pan"), "iso20-acdp", ("DC_ACDP",)),
        (EvseConfig(dc=True, connector_type="Pan", max_discharge_w=1), "iso20-acdp", ("DC_ACDP_BPT", "DC_ACDP")),
    ],
)
def test_a_pad_and_a_pantograph_speak_what_is_theirs(built: EvseConfig, dialect: str, services: Any) -> None:
    station: Any = SimpleNamespace(config=SimpleNamespace(identity="cs-1", evses=(built,)))
    config = outlets.secc_config(station, 1, contract=False)
    assert (config.dialects, config.services, config.connector) == ((dialect,), services, built.connector_type)


def fleet(*arguments: str) -> Any:
    seen: list[Any] = []

    async def run(chosen: Any, config: Any) -> int:
        seen.append(config)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(station_command, "_run", run)
        assert station_command.main("station", arguments) == 0
    return seen[0].evses[0]


def test_a_station_with_a_pad_or_a_pantograph() -> None:
    pad = fleet("--link", "v2g:lo", "--pad")
    assert (pad.dc, pad.connector_type, pad.contactless) == (False, "wInductive", True)
    bow = fleet("--link", "v2g:lo", "--pantograph", "--discharge", "20")
    assert (bow.dc, bow.connector_type, bow.max_discharge_w) == (True, "Pan", 20_000)
    assert not fleet("--link", "v2g:lo", "--dc").contactless
    for wrong in (("--pad",), ("--pantograph", "--link", "chademo:virtual:x"), ("--pad", "--dc", "--link", "v2g:lo")):
        with pytest.raises(ConfigError, match="--pad"):
            station_command.main("station", wrong)
