"""Stations, sessions and the other lists."""

from __future__ import annotations

import pytest

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import records

NOW = 1_767_268_800_000
MINUTE = 60_000


async def test_stations_are_those_that_told_something_and_those_with_an_account(api) -> None:
    page = (await api.get("/api/v1/stations")).json()
    assert [one["id"] for one in page["items"]] == ["CP-A", "CP-B", "CP-C", "CP-D"]
    assert page["next"] is None
    a, b, c, d = page["items"]
    assert (a["connected"], a["ocpp_version"], a["vendor"], a["power_w"]) == (True, "2.0.1", "Voltwerk", 11_000)
    assert a["last_seen"] == to_rfc3339(NOW - 5_000)
    assert a["connectors"][0] == {
        "evse": 1,
        "connector": 1,
        "status": "Occupied",
        "status_since": to_rfc3339(NOW),
        "error_code": "",
        "info": "",
        "power_w": 11_000,
        "session_id": "s-1",
    }
    assert (a["registered"], b["registered"], c["connected"]) == (True, False, False)
    assert (d["registered"], d["connected"], d["ocpp_version"], d["note"]) == (True, False, None, "north gate")


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_pages_are_complete_and_without_repeats(world, api, limit: int) -> None:
    for number in range(7):
        await world.store.put_account(records.StationAccount(tenant="default", id=f"AA-{number}"))
        await world.store.put_account(records.StationAccount(tenant="default", id=f"CP-B{number}"))
    await world.store.put_account(records.StationAccount(tenant="other", id="not-ours"))
    whole = [one["id"] for one in (await api.get("/api/v1/stations?limit=500")).json()["items"]]
    assert len(whole) == 18 and whole == sorted(whole) and "not-ours" not in whole
    seen: list[str] = []
    cursor = None
    while True:
        page = (
            await api.get("/api/v1/stations", params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
        ).json()
        assert len(page["items"]) <= limit
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == whole


async def test_filters(api) -> None:
    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await api.get(f"/api/v1/stations?{query}")).json()["items"]]

    assert await ids("connected=true") == ["CP-A", "CP-B"]
    assert await ids("connected=false") == ["CP-C", "CP-D"]
    assert await ids("q=wall") == ["CP-B"]
    assert await ids("q=NORTH") == ["CP-D"]
    assert await ids("q=cp-a&unknown=ignored") == ["CP-A"]


async def test_a_station_with_a_slash_and_other_odd_names(world, api) -> None:
    for name in ("a/b", "ä ö", "x%2Fy", "q?z#"):
        made = await api.post("/api/v1/stations", json={"id": name})
        assert made.status_code == 201, made.text
        from urllib.parse import quote

        path = f"/api/v1/stations/{quote(name, safe='')}"
        assert (await api.get(path)).json()["id"] == name
        assert made.json()["url"] == f"ws://localhost:9000/ocpp/{quote(name, safe='')}"
        assert (await api.delete(path)).status_code == 204
        assert (await api.get(path)).status_code == 404


async def test_an_account_is_made_changed_and_deleted(world, api) -> None:
    asked = []

    async def gateway(message: object) -> bool:
        asked.append({one.id: one for one in await world.store.accounts("default")})
        return True

    world.bus.serve("settings.changed", gateway)
    made = (await api.post("/api/v1/stations", json={"id": "NEW-1", "security_profile": 2})).json()
    assert len(made["password"]) == 20
    account = await world.store.account(("default", "NEW-1"))
    assert account.password == f"station:{made['password']}"
    assert "NEW-1" in asked[0], "the gateway knows it before we answer"
    again = await api.post("/api/v1/stations", json={"id": "NEW-1"})
    assert (again.status_code, again.json()["type"]) == (409, "/api#problem-exists")
    changed = await api.patch("/api/v1/stations/NEW-1", json={"enabled": False, "note": "moved"})
    assert (changed.json()["enabled"], changed.json()["note"]) == (False, "moved")
    account = await world.store.account(("default", "NEW-1"))
    assert (account.enabled, account.security_profile, account.password) == (False, 2, f"station:{made['password']}")
    chosen = await api.post("/api/v1/stations", json={"id": "NEW-2", "password": "a chosen password"})
    assert chosen.json()["password"] == "a chosen password"
    certificate = await api.post("/api/v1/stations", json={"id": "NEW-3", "security_profile": 3, "organization": "O"})
    assert certificate.json()["password"] is None
    assert (await api.delete("/api/v1/stations/NEW-1")).status_code == 204
    assert "NEW-1" not in asked[-1]
    assert (await api.delete("/api/v1/stations/NEW-1")).status_code == 404
    assert (await api.patch("/api/v1/stations/CP-B", json={"note": "x"})).status_code == 404, "it has no account"


async def test_sessions_show_the_fields_that_are_promised(api) -> None:
    page = (await api.get("/api/v1/sessions")).json()
    assert [one["id"] for one in page["items"]] == ["s-1", "s-0"]
    running, ended = page["items"]
    assert running["status"] == "active" and running["ended_at"] is None and running["stop_reason"] is None
    assert (running["energy_wh"], running["power_w"], running["soc_percent"]) == (5_500, 11_000, 45.5)
    assert {key: ended[key] for key in ("station_id", "evse", "connector", "token", "status", "ocpp_version")} == {
        "station_id": "CP-B",
        "evse": 1,
        "connector": 1,
        "token": "04A1B2C3",
        "status": "ended",
        "ocpp_version": "1.6",
    }
    assert (ended["meter_start_wh"], ended["meter_stop_wh"], ended["energy_wh"]) == (1_000, 8_250, 7_250)
    assert (ended["started_at"], ended["ended_at"]) == (to_rfc3339(NOW - 200 * MINUTE), to_rfc3339(NOW - 100 * MINUTE))
    assert ended["stop_reason"] == "EVDisconnected"
    assert not {"seen", "start_key", "first", "last", "ended_seq", "tenant"} & set(ended), "our own matters"


async def test_sessions_by_station_status_and_page(api) -> None:
    async def ids(**query: object) -> list[str]:
        return [one["id"] for one in (await api.get("/api/v1/sessions", params=query)).json()["items"]]

    assert await ids(status="active") == ["s-1"]
    assert await ids(status="ended") == ["s-0"]
    assert await ids(station="CP-B") == ["s-0"]
    assert await ids(station="CP-B", status="active") == []
    first = (await api.get("/api/v1/sessions?limit=1")).json()
    second = (await api.get("/api/v1/sessions", params={"limit": 1, "cursor": first["next"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ["s-1", "s-0"]
    assert second["next"] is None


async def test_samples_and_curve(api) -> None:
    samples = (await api.get("/api/v1/sessions/s-1/samples")).json()["items"]
    assert len(samples) == 30
    assert (samples[1]["value"], samples[1]["unit"], samples[1]["measurand"]) == (500.0, "W", "Power.Active.Import")
    assert (await api.get("/api/v1/sessions/s-1/samples?measurand=Voltage")).json()["items"] == []
    curve = (await api.get("/api/v1/sessions/s-1/curve")).json()
    assert curve["source"] == "power"
    assert curve["points"][0] == {"time": to_rfc3339(NOW - 30 * MINUTE), "power_w": 100}
    assert (await api.get("/api/v1/sessions/s-0/curve")).json() == {"session_id": "s-0", "source": "none", "points": []}
    assert (await api.get("/api/v1/sessions/none/samples")).status_code == 404


async def test_the_curve_of_a_long_session_reaches_its_end(world, api) -> None:
    """Three phases, one reading in ten seconds, most of a day."""
    begin, steps = NOW - 40_000_000, 4_000
    session = records.Session(
        tenant="default", id="s-long", station_id="CP-A", transaction="t", ocpp_version="2.0.1", evse=1, connector=1,
        started_at=begin,
    )  # fmt: skip
    samples = tuple(
        records.Sample(1, 1, begin + n * 10_000, "Power.Active.Import", (1000 + n) * 1000, "W", phase=phase,
                       session_id="s-long")
        for n in range(steps) for phase in ("L1", "L2", "L3")
    )  # fmt: skip
    world.commit("CP-A", touched=(session,), samples=samples)
    curve = (await api.get("/api/v1/sessions/s-long/curve?points=50")).json()
    last = {"time": to_rfc3339(begin + (steps - 1) * 10_000), "power_w": 3 * (1000 + steps - 1)}
    assert curve["points"][-1] == last
    (power, *_) = (await api.get("/api/v1/sessions/s-long/curves?points=50")).json()["series"]
    assert (power["kind"], power["times"][-1], power["values"][-1]) == ("power", begin + (steps - 1) * 10_000, 14_997)


async def test_variables_and_commands_of_a_station(world, api) -> None:
    variables = (await api.get("/api/v1/stations/CP-C/variables")).json()["items"]
    assert [(one["component"], one["variable"], one["value"]) for one in variables] == [
        ("OCPPCommCtrlr", "HeartbeatInterval", "300")
    ]
    command = records.Command(
        tenant="default",
        id="c-9",
        station_id="CP-A",
        action="Reset",
        payload='{"type":"Immediate"}',
        requested_at=NOW,
        expires_at=NOW + 1000,
        outcome="answered",
        answer='{"status":"Accepted"}',
        settled_at=NOW + 20,
    )
    world.commit("CP-A", touched=(command,))
    listed = (await api.get("/api/v1/stations/CP-A/commands")).json()["items"]
    assert listed == [(await api.get("/api/v1/commands/c-9")).json()]
    assert (listed[0]["payload"], listed[0]["answer"]) == ({"type": "Immediate"}, {"status": "Accepted"})
    assert (await api.get("/api/v1/commands/none")).status_code == 404
    assert (await api.get("/api/v1/stations/none/commands")).status_code == 404


async def test_totals_count_only_today(world, api) -> None:
    """12:00 UTC: what a session delivered before midnight is yesterday's."""
    midnight = NOW - 12 * 60 * MINUTE
    overnight = records.Session(
        tenant="default",
        id="s-night",
        station_id="CP-B",
        transaction="n",
        ocpp_version="1.6",
        evse=2,
        connector=1,
        started_at=midnight - 60 * MINUTE,
        ended_at=midnight + 60 * MINUTE,
        status="ended",
        meter_start_wh=10_000,
        meter_stop_wh=20_000,
        energy_wh=10_000,
    )
    yesterday = records.Session(
        tenant="default",
        id="s-yesterday",
        station_id="CP-B",
        transaction="y",
        ocpp_version="1.6",
        evse=2,
        connector=1,
        started_at=midnight - 300 * MINUTE,
        ended_at=midnight - 200 * MINUTE,
        status="ended",
        energy_wh=99_999,
    )
    readings = tuple(
        records.Sample(
            2, 1, midnight + at * MINUTE, "Energy.Active.Import.Register", wh * 1000, "Wh", session_id="s-night"
        )
        for at, wh in ((-30, 12_000), (0, 14_000), (30, 17_000))
    )
    world.commit("CP-B", touched=(overnight, yesterday), samples=readings)
    totals = (await api.get("/api/v1/totals")).json()
    assert totals["energy_today_wh"] == 5_500 + 7_250 + 6_000
    assert totals["sessions_today"] == 3
    assert (totals["charging_now"], totals["power_w"], totals["sessions_active"]) == (1, 11_000, 1)
    assert (totals["stations"], totals["stations_online"]) == (4, 2)
    assert (totals["connectors"], totals["connectors_faulted"]) == (4, 1)


async def test_tokens(world, api) -> None:
    put = await api.post(
        "/api/v1/tokens", json={"token": "T1", "parent": "G", "expires_at": "2027-01-01T00:00:00+01:00"}
    )
    assert put.status_code == 200
    assert put.json()["expires_at"] == "2026-12-31T23:00:00.000Z"
    world.clock.run_for(5_000)
    again = await api.post("/api/v1/tokens", json={"token": "T1", "status": "Blocked"})
    assert (again.json()["status"], again.json()["created_at"]) == ("Blocked", to_rfc3339(NOW)), "replaced, not renewed"
    for name in ("T0", "T2"):
        await api.post("/api/v1/tokens", json={"token": name})
    first = (await api.get("/api/v1/tokens?limit=2")).json()
    rest = (await api.get("/api/v1/tokens", params={"cursor": first["next"]})).json()
    assert [one["token"] for one in first["items"] + rest["items"]] == ["T0", "T1", "T2"]
    assert (await api.get("/api/v1/tokens/T1")).json()["status"] == "Blocked"
    assert (await api.delete("/api/v1/tokens/T1")).status_code == 204
    assert (await api.get("/api/v1/tokens/T1")).status_code == 404
    naive = await api.post("/api/v1/tokens", json={"token": "T", "expires_at": "2027-01-01T00:00:00"})
    assert (naive.status_code, naive.json()["errors"][0]["field"]) == (422, "expires_at")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind", "field"),
    [
        ("GET", "/api/v1/stations?limit=0", None, 400, "bad-parameter", "limit"),
        ("GET", "/api/v1/stations?limit=many", None, 400, "bad-parameter", "limit"),
        ("GET", "/api/v1/stations?connected=perhaps", None, 400, "bad-parameter", "connected"),
        ("GET", "/api/v1/stations?cursor=AAAA", None, 400, "bad-cursor", "cursor"),
        ("GET", "/api/v1/sessions?cursor=bm9uZQ", None, 400, "bad-cursor", "cursor"),
        ("GET", "/api/v1/sessions?cursor=Im5vbmUi", None, 400, "bad-cursor", "cursor"),
        ("GET", "/api/v1/sessions?status=done", None, 400, "bad-parameter", "status"),
        ("GET", "/api/v1/sessions?station=%00", None, 400, "bad-parameter", "station"),
        ("GET", "/api/v1/stations/%00", None, 404, "not-found", None),
        ("GET", "/api/v1/nothing", None, 404, "not-found", None),
        ("PUT", "/api/v1/stations", None, 405, "bad-method", None),
        ("POST", "/api/v1/stations", b"{", 400, "bad-json", None),
        ("POST", "/api/v1/stations", b'{"id":"\xff"}', 400, "bad-json", None),
        ("POST", "/api/v1/stations", b"[]", 422, "bad-body", "body"),
        ("POST", "/api/v1/stations", b"{}", 422, "bad-body", "id"),
        ("POST", "/api/v1/stations", b'{"id":"a:b"}', 422, "bad-body", "id"),
        ("POST", "/api/v1/stations", b'{"id":"x","colour":1}', 422, "bad-body", "colour"),
        ("POST", "/api/v1/stations", b'{"id":"x","security_profile":"1"}', 422, "bad-body", "security_profile"),
        ("POST", "/api/v1/stations", b'{"id":"x","note":"' + b"n" * 1_100_000 + b'"}', 413, "too-large", None),
        ("POST", "/api/v1/users", b'{"name":"a","password":"short"}', 422, "bad-body", "password"),
    ],
)
async def test_problems(api, method, path, body, status, kind, field) -> None:
    answer = await api.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (answer.status_code, told["status"], told["type"]) == (status, status, f"/api#problem-{kind}")
    assert told["title"] and told["detail"].endswith(".")
    if field is not None:
        assert [one["field"] for one in told["errors"]] == [field]
    if status == 405:
        assert "GET" in answer.headers["allow"]


async def test_a_body_of_another_type_is_refused(api) -> None:
    answer = await api.post("/api/v1/stations", content="id=x", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["type"]) == (415, "/api#problem-bad-media-type")


async def test_operations(world) -> None:
    async with world.client(address="127.0.0.1") as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        assert (await client.get("/readyz")).status_code == 200
        text = (await client.get("/metrics")).text
        assert "pilotwire_ready 1.0" in text
        world.store.fail()
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "/api#problem-not-ready")
        assert "pilotwire_ready 0.0" in (await client.get("/metrics")).text
        assert (await client.get("/healthz")).status_code == 200, "alive, though not ready"
        world.context.ready = lambda: "The gateway is still starting."
        assert "still starting" in (await client.get("/readyz")).json()["detail"]


async def test_metrics_of_other_parts_are_scraped(world) -> None:
    from prometheus_client.core import CounterMetricFamily

    world.context.metrics = lambda: [CounterMetricFamily("pilotwire_frames", "Frames", value=42)]
    async with world.client(address="127.0.0.1") as client:
        answer = await client.get("/metrics")
    assert "pilotwire_frames_total 42.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
