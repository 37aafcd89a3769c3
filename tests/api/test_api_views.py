"""Saved views: one's own, shared, and nobody else's."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from pilotwire.domain import records

PATH = "/api/v1/views"
VIEW = {"table": "stations", "name": "Faulted", "query": "status=Faulted&sort=-last_seen", "columns": ["id", "status"]}


@pytest.fixture
async def as_role(world) -> Any:
    clients: list[httpx.AsyncClient] = []

    async def made(role: str, name: str) -> httpx.AsyncClient:
        digest = hashlib.sha256(f"pw_{name}".encode()).hexdigest()
        await world.store.put_api_key(
            records.ApiKey(tenant="default", id=f"k-{name}", name=name, role=role, digest=digest)
        )
        clients.append(world.client(headers={"Authorization": f"Bearer pw_{name}"}))
        return clients[-1]

    yield made
    for client in clients:
        await client.aclose()


async def names(client: httpx.AsyncClient, **query: str) -> list[str]:
    return [one["name"] for one in (await client.get(PATH, params=query)).json()["items"]]


async def test_a_view_round_trips(api) -> None:
    made = await api.post(PATH, json=VIEW)
    assert made.status_code == 201
    told = made.json()
    assert {key: told[key] for key in VIEW} == VIEW and told["mine"] and not told["shared"]
    path = f"{PATH}/{told['id']}"
    changed = await api.patch(path, json={"name": "Broken"}, headers={"If-Match": made.headers["etag"]})
    assert changed.json()["name"] == "Broken" and changed.json()["query"] == VIEW["query"]
    assert (await api.patch(path, json={"name": "x"}, headers={"If-Match": made.headers["etag"]})).status_code == 412
    await api.post(PATH, json={**VIEW, "table": "sessions", "name": "Long ones"})
    assert await names(api) == ["Broken", "Long ones"]
    assert await names(api, table="sessions") == ["Long ones"]
    assert (await api.delete(path)).status_code == 204
    assert await names(api) == ["Long ones"]


async def test_others_see_what_is_shared_alone(as_role) -> None:
    ada, ben, vic = await as_role("operator", "ada"), await as_role("operator", "ben"), await as_role("viewer", "vic")
    admin = await as_role("admin", "root")
    own = (await ada.post(PATH, json=VIEW)).json()
    shared = (await ada.post(PATH, json={**VIEW, "name": "Ours", "shared": True})).json()
    assert await names(ben) == ["Ours"] == await names(vic)
    assert (await ben.get(f"{PATH}/{own['id']}")).status_code == 404
    assert (await ben.patch(f"{PATH}/{shared['id']}", json={"name": "Mine"})).status_code == 403
    assert (await ben.delete(f"{PATH}/{shared['id']}")).status_code == 403
    assert (await vic.post(PATH, json={**VIEW, "shared": True})).status_code == 403
    mine = (await vic.post(PATH, json=VIEW)).json()
    assert (await vic.patch(f"{PATH}/{mine['id']}", json={"shared": True})).status_code == 403
    assert (await admin.delete(f"{PATH}/{shared['id']}")).status_code == 204


@pytest.mark.parametrize("wrong", [{"table": "secrets"}, {"name": ""}, {"query": "a b"}, {"columns": ["DROP TABLE"]}])
async def test_what_is_no_view_is_refused(api, wrong: dict) -> None:
    assert (await api.post(PATH, json={**VIEW, **wrong})).status_code == 422
