"""Drivers, the tokens they carry, and what is left when a person is forgotten."""

from __future__ import annotations

from pilotwire.domain import records

KIM = {
    "name": "Kim Example",
    "email": "kim@example.com",
    "phone": "+49 30 1",
    "language": "de",
    "note": "works nights",
    "consents": [{"purpose": "invoices by e-mail", "given_at": "2026-01-02T03:04:05Z"}],
}


async def tokens(api, *names: str) -> None:
    for name in names:
        assert (await api.post("/api/v1/tokens", json={"token": name, "note": f"of {name}"})).status_code == 200


async def test_a_driver_round_trips_with_tokens(api) -> None:
    await tokens(api, "T1", "T2")
    made = await api.post("/api/v1/drivers", json={**KIM, "tokens": ["t1"]})
    assert made.status_code == 201, made.text
    told = made.json()
    assert {key: told[key] for key in KIM if key != "consents"} == {k: v for k, v in KIM.items() if k != "consents"}
    assert told["tokens"] == ["T1"]
    assert told["consents"][0]["given_at"].startswith("2026-01-02T03:04:05")
    path = f"/api/v1/drivers/{told['id']}"
    assert (await api.get(path)).json() == told
    assert (await api.get("/api/v1/tokens/T1")).json()["driver_id"] == told["id"]
    swapped = await api.patch(path, json={"tokens": ["T2"]}, headers={"If-Match": made.headers["etag"]})
    assert swapped.json()["tokens"] == ["T2"]
    assert (await api.get("/api/v1/tokens/T1")).json()["driver_id"] is None
    assert (await api.patch(path, json={"note": "x"}, headers={"If-Match": made.headers["etag"]})).status_code == 412
    found = (await api.get("/api/v1/drivers?q=kim@")).json()["items"]
    assert [one["id"] for one in found] == [told["id"]]


async def test_a_token_has_one_driver_at_most(api) -> None:
    await tokens(api, "T1", "T2")
    first = (await api.post("/api/v1/drivers", json={"name": "A", "tokens": ["T1"]})).json()
    taken = await api.post("/api/v1/drivers", json={"name": "B", "tokens": ["T2", "T1"]})
    assert (taken.status_code, taken.json()["errors"][0]["field"]) == (409, "tokens[1]")
    assert len((await api.get("/api/v1/drivers")).json()["items"]) == 1
    assert (await api.get("/api/v1/tokens/T2")).json()["driver_id"] is None
    unknown = await api.post("/api/v1/drivers", json={"name": "B", "tokens": ["T9"]})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "tokens[0]")
    assert (await api.delete(f"/api/v1/drivers/{first['id']}")).status_code == 204
    assert (await api.post("/api/v1/drivers", json={"name": "B", "tokens": ["T1"]})).status_code == 201


async def test_an_export_holds_everything_and_an_erasure_leaves_no_name(world, api) -> None:
    await world.store.put_token(records.Token(tenant="default", token="04a1b2c3", note="Kim's card"))
    driver = (await api.post("/api/v1/drivers", json={**KIM, "tokens": ["04A1B2C3"]})).json()
    path = f"/api/v1/drivers/{driver['id']}"
    export = (await api.get(f"{path}/export")).json()
    assert export["driver"] == driver
    assert [one["note"] for one in export["tokens"]] == ["Kim's card"]
    assert sorted(one["id"] for one in export["sessions"]) == ["s-0", "s-1"]
    short = await api.post(f"{path}/erase", json={"reason": "no"})
    assert short.status_code == 422
    erased = await api.post(f"{path}/erase", json={"reason": "asked for by the person"})
    assert erased.json() == {"driver_id": driver["id"], "tokens_deleted": 1, "tokens_kept": 0, "sessions_kept": 2}
    assert (await api.get(path)).status_code == 404
    assert await world.store.tokens("default") == []
    left = repr([one async for one in world.store.journal(tenant="default")])
    kinds = ("driver", "token-driver", "audit")
    for kind in kinds:
        left += repr((await world.store.documents("default", kind, limit=500)).items)
    for secret in ("Kim", "kim@example.com", "works nights", "+49 30 1"):
        assert secret not in left
    assert "asked for by the person" in left
