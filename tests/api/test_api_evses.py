"""What a station is made of, and how it stands."""

from __future__ import annotations

from pilotwire.domain import records


async def test_evses_hold_their_connectors(api) -> None:
    found = (await api.get("/api/v1/stations/CP-B/evses")).json()["items"]
    assert [(one["evse"], one["status"], len(one["connectors"])) for one in found] == [
        (1, "Available", 1),
        (2, "Faulted", 1),
    ]
    one = (await api.get("/api/v1/stations/CP-A/evses/1")).json()
    assert (one["power_w"], one["session_id"]) == (11_000, "s-1")
    assert (await api.get("/api/v1/stations/CP-A/evses/7")).status_code == 404
    assert (await api.get("/api/v1/stations/CP-Z/evses")).status_code == 404
    flat = (await api.get("/api/v1/stations/CP-B/connectors")).json()["items"]
    assert [(one["evse"], one["connector"]) for one in flat] == [(1, 1), (2, 1)]


async def test_the_worst_status_of_an_evse_is_shown(world, api) -> None:
    station = records.Station(
        tenant="default",
        id="CP-X",
        connectors=[records.Connector(1, 1, "Available"), records.Connector(1, 2, "Faulted"), records.Connector(0, 0)],
    )
    world.commit("CP-X", touched=(station,))
    found = (await api.get("/api/v1/stations/CP-X/evses")).json()["items"]
    assert [(one["evse"], one["status"]) for one in found] == [(1, "Faulted")]


async def test_details_say_how_to_connect_and_how_it_did(world, api) -> None:
    told = (await api.get("/api/v1/stations/CP-A/details")).json()
    assert told["url"] == "ws://localhost:9000/ocpp/CP-A" and told["user"] == "CP-A"
    assert (told["ocpp_version"], told["subprotocol"], told["silent_s"]) == ("2.0.1", "ocpp2.0.1", 5)
    assert (told["clock_verdict"], told["password_set"]) == ("unknown", False)
    assert (await api.get("/api/v1/stations/CP-C/details")).json()["heartbeat_interval_s"] == 300
    late = records.Station(tenant="default", id="CP-Y", skew_ms=-3_600_000, clock=records.ClockEstimate(at=1))
    world.commit("CP-Y", touched=(late,))
    assert (await api.get("/api/v1/stations/CP-Y/details")).json()["clock_verdict"] == "wrong"
