"""Tariffs, their revisions, who has them, and the bills of sessions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pilotwire.core.ids import StationKey
from pilotwire.domain import facts, records
from pilotwire.domain.state import StationState
from pilotwire.domain.tariffs import model
from pilotwire.domain.tariffs.bill import Told
from pilotwire.transport.bus import CommandReply, CommandRequest

TERMS: dict[str, Any] = {
    "currency": "EUR",
    "energy": {"prices": [{"priceKwh": "0.39"}], "taxRates": [{"type": "VAT", "tax": "19"}]},
    "idleTime": {"prices": [{"priceMinute": "0.1", "conditions": {"minIdleTime": 600}}]},
}


async def made(client: Any, tariff_id: str = "standard", **terms: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/tariffs", json={"id": tariff_id, "name": "Standard", "terms": TERMS | terms})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_other_terms_are_a_new_revision_and_the_old_one_stays(api) -> None:
    first = await made(api)
    assert (first["revision"], first["in_force"], first["text"]) == (1, 1, "0.4641 EUR/kWh, 0.10 EUR/min idle")
    assert first["terms"] == TERMS
    path = "/api/v1/tariffs/standard"
    changed = (await api.patch(path, json={"name": "Standard AC"})).json()
    assert (changed["name"], changed["revision"]) == ("Standard AC", 1)
    same = (await api.patch(path, json={"terms": TERMS})).json()
    assert same["revision"] == 1
    later = TERMS | {"validFrom": "2030-01-01T00:00:00Z", "energy": {"prices": [{"priceKwh": "0.5"}]}}
    second = (await api.patch(path, json={"terms": later})).json()
    assert (second["revision"], second["in_force"]) == (2, 1)
    assert [one["tariff_id"] for one in second["revisions"]] == ["standard.1", "standard.2"]
    assert second["terms"]["energy"]["prices"] == [{"priceKwh": "0.5"}]
    listed = (await api.get("/api/v1/tariffs", params={"q": "standard"})).json()["items"]
    assert [(one["id"], one["revision"]) for one in listed] == [("standard", 2)]
    stale = await api.patch(path, json={"note": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"energy": None, "idleTime": None}, "terms.energy"),
        ({"energy": {"prices": [{"priceKwh": "1", "conditions": {"minEnergy": 5, "maxEnergy": 5}}]}},
         "terms.energy.prices[0].conditions.maxEnergy"),
        ({"minCost": {}}, "terms.minCost"),
        ({"energy": {"prices": [{"priceKwh": "1", "conditions": {"validFromDate": "2026-02-30"}}]}},
         "terms.energy.prices[0].conditions.validFromDate"),
    ],
)  # fmt: skip
async def test_terms_that_make_no_sense_are_refused_by_name(api, terms: dict[str, Any], field: str) -> None:
    body = {"id": "bad", "name": "Bad", "terms": TERMS | terms}
    answer = await api.post("/api/v1/tariffs", json=body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_the_currency_of_a_tariff_stays(api) -> None:
    await made(api)
    answer = await api.patch("/api/v1/tariffs/standard", json={"terms": TERMS | {"currency": "CHF"}})
    assert answer.status_code == 422 and "currency" in answer.text


async def test_a_place_has_one_tariff_at_a_time(api) -> None:
    await made(api)
    await made(api, "night")
    path = "/api/v1/tariff-assignments"
    for body, status in (
        ({"tariff_id": "standard", "scope": "all"}, 201),
        ({"tariff_id": "standard", "scope": "evse", "target": "CP-A", "evse": 1}, 201),
        ({"tariff_id": "night", "scope": "evse", "target": "CP-A", "evse": 1}, 201),
        ({"tariff_id": "night", "scope": "evse", "target": "CP-A"}, 422),
        ({"tariff_id": "night", "scope": "station", "target": "nobody"}, 422),
        ({"tariff_id": "none", "scope": "all"}, 422),
        ({"tariff_id": "night", "scope": "token", "target": "no such"}, 422),
    ):
        answer = await api.post(path, json=body)
        assert answer.status_code == status, answer.text
    rows = (await api.get(path)).json()["items"]
    assert [(one["scope"], one["target"], one["evse"], one["tariff_id"]) for one in rows] == [
        ("all", "", 0, "standard"),
        ("evse", "CP-A", 1, "night"),
    ]
    refused = await api.delete("/api/v1/tariffs/night")
    assert refused.status_code == 409 and "1 places" in refused.json()["detail"]
    assert (await api.delete(f"{path}/{rows[1]['id']}")).status_code == 204
    assert (await api.delete("/api/v1/tariffs/night")).status_code == 204
    assert [one["id"] for one in (await api.get(path, params={"tariff": "standard"})).json()["items"]] == ["all  0"]


def charged(world: Any, told: str) -> str:
    """A session of 10 kWh, which the station says costs so much; its id."""
    start = world.clock.now() - 3_600_000
    tariff = model.decode(model.encode({"tariffId": "standard.1", **TERMS}))
    state = StationState.fresh(StationKey("default", "CP-A"))
    said: list[facts.AnyFact] = [
        facts.SessionStarted(
            event_time=start, session_id="billed", transaction="t-billed", start_key="", ocpp_version="2.1", evse=1,
            connector=1, token="AA", meter_start_wh=1000, seq_no=0, charging_state="Charging",
        ),
        facts.SessionTariffSet(
            event_time=start, session_id="billed", tariff=tariff, why="station", begins=True, local=True, seq_no=0
        ),
        facts.SessionEnded(
            event_time=start + 1_800_000, session_id="billed", seq_no=1, meter_stop_wh=11_000, reason="Local"
        ),
        facts.SessionCostTold(
            event_time=start + 1_800_000, session_id="billed",
            told=Told("EUR", incl_tax=Decimal(told), final=True),
        ),
    ]  # fmt: skip
    for fact in said:
        state.apply(fact, fact.event_time, 1)
    touched = tuple(one for one in state.touched() if isinstance(one, records.Session))
    world.commit("CP-A", *said, touched=touched)
    return "billed"


@pytest.mark.parametrize(("told", "agrees"), [("4.64", True), ("4.65", False)])
async def test_the_bill_of_a_session_line_by_line(world, api, told: str, agrees: bool) -> None:
    session = charged(world, told)
    shown = (await api.get(f"/api/v1/sessions/{session}")).json()["cost"]
    assert shown == {
        "amount": "4.64",
        "currency": "EUR",
        "tariff_id": "standard.1",
        "chosen": "station",
        "final": True,
        "station_amount": told,
        "agrees": agrees,
    }
    bill = (await api.get(f"/api/v1/sessions/{session}/cost")).json()
    assert bill["cost"] == shown
    assert (bill["kind"], bill["excl_tax"], bill["incl_tax"]) == ("NormalCost", "3.90", "4.64")
    assert [(one["name"], one["excl_tax"], one["incl_tax"], one["taxes"]) for one in bill["parts"]] == [
        ("energy", "3.90", "4.64", ["VAT 19 %"]),
        ("idle_time", "0.00", "0.00", []),
    ]
    assert (bill["energy_wh"], bill["charging_s"], bill["idle_s"]) == (10_000.0, 1800, 0)
    assert [one["tariff_id"] for one in bill["periods"]] == ["standard.1"]
    assert (await api.get("/api/v1/sessions/nothing/cost")).status_code == 404
    free = next(one for one in (await api.get("/api/v1/sessions")).json()["items"] if one["id"] != session)
    assert free["cost"] is None
    assert (await api.get(f"/api/v1/sessions/{free['id']}/cost")).json()["parts"] == []


async def test_another_tariff_for_a_running_session_is_a_command(world, api) -> None:
    heard: list[CommandRequest] = []

    async def gateway(asked: CommandRequest) -> CommandReply:
        heard.append(asked)
        return CommandReply(command_id="", outcome="answered", action=asked.action, answer={"status": "Accepted"})

    world.bus.serve("command.default.CP-A", gateway)
    answer = await api.post("/api/v1/sessions/s-1/tariff", json={"tariff_id": "standard"})
    assert answer.status_code == 200, answer.text
    [asked] = heard
    assert (asked.action, asked.payload) == ("change-tariff", {"session": "s-1", "tariff": "standard"})
