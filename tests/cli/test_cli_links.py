"""`pilotwire station --link` and `pilotwire ev` as real commands: sessions by all carriers, seen in the central system.

All of them live in one network namespace with nothing but a loopback in it: CAN is UDP multicast there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_kit import done, loop_until
from tests.netns import ROOT, Namespace, check

EMAID = "ZZPWRC000000017"
CHADEMO = "udp_multicast:239.74.163.2:43113"
GBT = "udp_multicast:239.74.163.2:43114"
DIES = "udp_multicast:239.74.163.2:43116"
NOBODY = "udp_multicast:239.74.163.2:43115"
SAMPLED = json.dumps({
    "setVariableData": [
        {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}, "attributeValue": "1"}
    ]
})  # fmt: skip
STATIONS = {
    "CS-CHADEMO": ["--version", "2.1", "--link", f"chademo:{CHADEMO}"],
    "CS-GBT": ["--version", "2.0.1", "--link", f"gbt27930:{GBT}"],
    "CS-DEATH": ["--version", "2.1", "--link", f"gbt27930:{DIES}"],
    "CS-PNC": ["--version", "2.1", "--link", "v2g:[::1]:15118", "--pki", "KEYS", "--no-card"],
    "CS-STRICT": ["--version", "2.1", "--link", "v2g:[::1]:15119", "--pki", "WATCHED", "--no-card"],
}
CARS = {
    "CS-CHADEMO": ["--link", "chademo", "--can", CHADEMO],
    "CS-GBT": ["--link", "gbt27930", "--edition", "2015", "--can", GBT],
    "CS-PNC": ["--host", "[::1]:15118", "--pki", "KEYS", "--contract"],
}


class Site:
    """A namespace with a central system and stations; what each program has said is in a file."""

    def __init__(self, place: Namespace, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.data = folder / "data"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """`pilotwire` with `arguments`, within."""
        within = ["nsenter", f"--net=/proc/{self.place.pid}/ns/net", "--", sys.executable, "-m", "pilotwire"]
        keys = {"KEYS": str(self.folder / "keys"), "WATCHED": str(self.folder / "watched")}
        line = [*within, *(keys.get(each, each) for each in arguments)]
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.err").open("wb") as err:
            process = subprocess.Popen(
                line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        self.running[name] = process
        return process

    def said(self, name: str, stream: str = "err") -> str:
        return (self.folder / f"{name}.{stream}").read_text()

    def wait(self, name: str, words: str, stream: str = "err") -> None:
        """Until it has said so."""
        process = self.running[name]
        loop_until(lambda: words in self.said(name, stream) or process.poll() is not None, f"{name}: {words}")
        assert words in self.said(name, stream), self.said(name)

    def end(self, name: str, seconds: float = 40) -> int:
        """Its exit status."""
        return self.running.pop(name).wait(seconds)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a car has told with --json."""
        return [json.loads(line) for line in self.said(name, "out").splitlines(keepends=True) if line.endswith("\n")]

    def sessions(self) -> dict[str, list[dict[str, Any]]]:
        """Those of each station, as the central system tells of them."""
        told = self.place.run(sys.executable, "-m", "pilotwire", "sessions", "--json", "--data", str(self.data))
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in STATIONS}
        for line in told.splitlines():
            row = json.loads(line)
            found[row["station_id"]].append(row)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A central system and a station of each link, all of them online."""
    check()
    with contextlib.ExitStack() as stack:
        place = Namespace("lab")
        stack.callback(place.close)
        place.run("ip", "link", "set", "lo", "up", "multicast", "on")
        place.run("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
        site = Site(place, tmp_path_factory.mktemp("links"))
        stack.callback(lambda: [stop(process) for process in reversed(site.running.values())])
        site.start("csms", "csms", "--lab", "--no-demo", "--data", str(site.data), "--http", "127.0.0.1:8080",
                   "--ocpp", "127.0.0.1:9000")  # fmt: skip
        done("pki", site.folder / "keys", "--emaid", EMAID)
        # Nobody answers for these certificates, so the central system does not vouch for them.
        done("pki", site.folder / "watched", "--emaid", EMAID, "--ocsp-url", "http://ocsp.test/")
        site.wait("csms", "Chargers connect to", "out")
        for name, options in STATIONS.items():
            site.start(name, "station", "--id", name, "--dc", *options)
        for name in STATIONS:
            site.wait(name, "1/1 online")
        for number, name in enumerate(("CS-CHADEMO", "CS-GBT", "CS-PNC")):
            site.start(f"send-{number}", "send", name, "SetVariables", SAMPLED, "--data", str(site.data))
        for number in range(3):
            assert site.end(f"send-{number}") == 0, site.said(f"send-{number}")
        yield site


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to this very process, and wait."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def charged(site: Site) -> dict[str, int]:
    """A car has been at each station, all at the same time: exit status by station."""
    for station, options in CARS.items():
        site.start(f"ev-{station}", "ev", "--json", "--soc", "42", "--energy", "5", *options)
    # Who plugs in where there is no station waits in vain meanwhile.
    site.start("ev-lost", "ev", "--link", "chademo", "--can", NOBODY)
    site.start("ev-strict", "ev", "--json", "--host", "[::1]:15119", "--pki", "WATCHED", "--contract",
               "--protocol", "iso2")  # fmt: skip
    dying = site.start("ev-dying", "ev", "--json", "--link", "gbt27930", "--can", DIES)
    loop_until(lambda: any(row.get("ma", 0) > 5_000 for row in site.events("ev-dying")), "it charges")
    dying.kill()
    ends = {station: site.end(f"ev-{station}") for station in CARS}
    return ends | {name: site.end(f"ev-{name}") for name in ("lost", "strict")}


@pytest.fixture(scope="module")
def sessions(site: Site, charged: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    """Of each station, once all of them are over."""
    found: dict[str, list[dict[str, Any]]] = {}

    def over() -> bool:
        found.update(site.sessions())
        return all([row["status"] for row in found[name]] == ["ended"] for name in (*CARS, "CS-DEATH"))

    loop_until(over, "the sessions are over")
    return found


@pytest.mark.parametrize("station", CARS)
def test_a_car_by_each_link_has_its_session_in_the_central_system(
    site: Site, charged: dict[str, int], sessions: dict[str, list[dict[str, Any]]], station: str
) -> None:
    assert charged[station] == 0, site.said(f"ev-{station}")
    last = site.said(f"ev-{station}").splitlines()[-1]
    assert last.startswith("ended in order: ")
    (session,) = sessions[station]
    taken = int(last.split("; ")[1].split()[0])
    assert taken >= 5
    assert abs(session["energy_wh"] - taken) <= 2, "what the station counts, and what the car has heard"
    assert session["soc_percent"] == pytest.approx(42, abs=1)
    if station == "CS-PNC":
        assert (session["token"], session["token_type"]) == (EMAID, "eMAID")
    if station == "CS-GBT":
        assert session["vehicle"]["name_type"] == "VIN"


@pytest.mark.parametrize(("station", "protocol"), [("CS-CHADEMO", "chademo2"), ("CS-GBT", "gbt27930-2015"),
                                                   ("CS-PNC", "iso15118-20")])  # fmt: skip
def test_its_events_are_lines_of_json(site: Site, charged: dict[str, int], station: str, protocol: str) -> None:
    events = site.events(f"ev-{station}")
    names = [row["event"] for row in events]
    assert events[0]["event"] == "Linked" and events[0]["protocol"] == protocol
    assert names[-1] == "Parted" and events[-1]["ok"] is True
    assert {"Allowed", "Offered", "ContactsAsked", "Flowing"} <= set(names)
    assert max(row.get("ma", 0) for row in events) > 10_000
    assert [row["closed"] for row in events if row["event"] == "ContactsAsked"][:1] == [True]
    assert [row["time"] for row in events] == sorted(row["time"] for row in events)


def test_a_refused_car_ends_with_1_and_says_why(
    site: Site, charged: dict[str, int], sessions: dict[str, list[dict[str, Any]]]
) -> None:
    assert charged["strict"] == 1
    assert site.events("ev-strict")[-1]["ok"] is False
    assert site.said("ev-strict").splitlines()[-1].startswith("failed: AuthorizationRes says FAILED; 0 Wh taken")
    assert sessions["CS-STRICT"] == []


def test_a_bus_without_a_station_is_left_with_one_line(site: Site, charged: dict[str, int]) -> None:
    assert charged["lost"] == 1
    (line,) = site.said("ev-lost").splitlines()
    assert line == (
        f"pilotwire ev: no station answers on {NOBODY} within 10 s: is `pilotwire station --dc --link chademo:{NOBODY}`"
        " there?"
    )


def test_a_car_that_dies_while_it_charges_leaves_nothing_on(
    site: Site, sessions: dict[str, list[dict[str, Any]]]
) -> None:
    (session,) = sessions["CS-DEATH"]
    assert (session["stop_reason"], session["power_w"]) == ("Other", 0)
    told = site.place.run(sys.executable, "-m", "pilotwire", "stations", "show", "CS-DEATH", "--data", str(site.data))
    assert "Available" in told and "Faulted" not in told, told
