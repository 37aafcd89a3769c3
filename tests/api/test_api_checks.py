"""Why does it not work? Each fault is found, told in plain words, and named as the cause."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.domain import facts, records
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import HandshakesAsked, Refused

NOW = 1_767_268_800_000


async def look(api, station: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    answer = await api.get(f"/api/v1/stations/{station}/checks")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told, {one["id"]: one for one in told["checks"]}


async def stands(world, name: str, *said: facts.AnyFact, account: Any = None, **fields: Any) -> None:
    """A station that is well but for `fields`."""
    given = {
        "connected": True, "ocpp_version": "1.6", "boot_status": "Accepted", "epoch": 1, "last_seen": NOW - 1_000,
        "connected_at": NOW - 60_000, "firmware": "1.0", "clock": records.ClockEstimate(at=NOW),
        "connectors": [records.Connector(1, 1, "Available")],
    }  # fmt: skip
    await world.store.put_account(account or records.StationAccount(tenant="default", id=name, password="v"))
    await world.store.put_token(records.Token(tenant="default", token="T1"))
    world.commit(name, *said, touched=(records.Station(tenant="default", id=name, **{**given, **fields}),))


async def test_a_station_that_is_well_has_nothing_wrong(world, api) -> None:
    await stands(world, "W")
    told, found = await look(api, "W")
    assert (told["verdict"], told["summary"]) == ("ok", "Nothing is wrong, as far as can be seen from here.")
    assert list(found) == [
        "account", "handshake", "certificate", "link", "boot", "clock", "heartbeat", "connectors", "tokens", "meter",
        "messages", "firmware", "commands",
    ]  # fmt: skip
    assert not [one for one in found.values() if one["verdict"] in ("warn", "bad")]
    assert all(one["title"] and one["seen"] for one in found.values())


@pytest.mark.parametrize(
    ("fields", "check", "verdict", "seen"),
    [
        ({"connected": False, "disconnected_at": NOW - 5_000}, "link", "bad", "not connected"),
        ({"connected": False, "epoch": 0}, "link", "bad", "never connected"),
        ({"boot_status": "Pending"}, "boot", "bad", "Pending"),
        ({"boot_status": ""}, "boot", "warn", "not sent a BootNotification"),
        ({"skew_ms": -7_200_000}, "clock", "bad", "2 hours behind"),
        ({"skew_ms": 60_000}, "clock", "warn", "60 seconds ahead"),
        ({"last_seen": NOW - 3_600_000}, "heartbeat", "bad", "60 minutes ago"),
        ({"connectors": [records.Connector(1, 1, "Faulted", "GroundFailure")]}, "connectors", "bad", "Ground Failure"),
        ({"connectors": [records.Connector(2, 1, "Unavailable")]}, "connectors", "warn", "EVSE 2"),
        ({"firmware_status": "InstallationFailed"}, "firmware", "bad", "Installation Failed"),
        ({"firmware_status": "Downloading"}, "firmware", "warn", "under way"),
    ],
)
async def test_what_is_wrong_is_found(world, api, fields: dict, check: str, verdict: str, seen: str) -> None:
    await stands(world, "W", **fields)
    told, found = await look(api, "W")
    assert (found[check]["verdict"], told["verdict"]) == (verdict, verdict)
    assert seen in found[check]["seen"] and found[check]["advice"]
    if verdict == "bad":
        assert told["summary"] == found[check]["seen"]


@pytest.mark.parametrize(
    ("account", "seen"),
    [
        ({"enabled": False}, "switched off"),
        ({"password": ""}, "no password"),
        ({"boot": "Rejected"}, "answers BootNotification with Rejected"),
        ({"security_profile": 3}, "no organization"),
    ],
)
async def test_what_is_wrong_with_the_account_is_found(world, api, account: dict, seen: str) -> None:
    given = {"tenant": "default", "id": "W", "password": "v", **account}
    await stands(world, "W", account=records.StationAccount(**given))
    told, _ = await look(api, "W")
    assert told["verdict"] == "bad" and seen in told["summary"]


@pytest.mark.parametrize(
    ("fact", "check", "verdict", "seen"),
    [
        (
            facts.TokenPresented(event_time=NOW, token="T9", token_type="ISO14443", verdict="Invalid"),
            "tokens", "warn", "T9",
        ),
        (facts.SecurityEventNotified(event_time=NOW, kind="InvalidCsmsCertificate"), "certificate", "bad", "Csms"),
        (
            facts.OrphanReceived(event_time=NOW, action="StopTransaction", transaction="7", why="no such"),
            "messages", "warn", "1 of its messages",
        ),
    ],
)  # fmt: skip
async def test_what_it_said_is_looked_at(world, api, fact: Any, check: str, verdict: str, seen: str) -> None:
    await stands(world, "W", fact)
    _, found = await look(api, "W")
    assert found[check]["verdict"] == verdict and seen in found[check]["seen"]


async def test_a_refused_handshake_is_the_cause(world, api) -> None:
    await stands(world, "W", connected=False, epoch=0)

    async def gateway(asked: HandshakesAsked) -> list[Refused]:
        return [
            Refused(tenant="default", station=asked.station, time=NOW, peer="192.0.2.1:5", status=401,
                    reason="wrong-credential", path="/ocpp/W", user="W", offered=("ocpp1.6",))
        ]  # fmt: skip

    world.bus.serve("handshakes.>", gateway)
    told, found = await look(api, "W")
    assert told["summary"] == "The password is wrong." == found["handshake"]["seen"]


async def test_commands_that_hang_and_errors_are_told(world, api) -> None:
    await stands(world, "W")
    command = records.Command(
        tenant="default", id="c-1", station_id="W", action="Reset", payload="{}", requested_at=NOW - 1_000,
        expires_at=NOW, outcome="timed-out",
    )  # fmt: skip
    world.store.append(
        Entry(tenant="default", station="W", recv_time=NOW, epoch=1, direction="in",
              frame=b'[4,"1","InternalError","",{}]', touched=(command,))
    )  # fmt: skip
    _, found = await look(api, "W")
    assert found["commands"]["verdict"] == "warn" and "Reset" in found["commands"]["details"][0]
    assert "InternalError" in found["messages"]["details"][0]


async def test_meter_values_that_are_switched_off_are_told(world, api) -> None:
    await stands(world, "W")
    world.commit(
        "W",
        touched=(records.Variable(tenant="default", station_id="W", component="", variable="MeterValueSampleInterval",
                                  value="0"),),
    )  # fmt: skip
    _, found = await look(api, "W")
    assert (found["meter"]["verdict"], "30 or 60" in found["meter"]["advice"]) == ("warn", True)


async def test_an_unknown_station_has_no_checks(api) -> None:
    assert (await api.get("/api/v1/stations/NOBODY/checks")).status_code == 404
