"""Commissioning over the API: who may, which site, what is refused and what to do first, and what is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pilotwire.api.resources.commissioning import Commissionings
from pilotwire.site.commissioning.wizard import Wizard

PATH = "/api/v1/sites/yard/commissioning"


def wizard(site: Any, tmp_path: Path, name: str = "yard", tenant: str = "default") -> Wizard:
    made = Wizard(tmp_path / name, tmp_path / f"{name}.yaml", report=lambda text: None)
    Commissionings.of(site.context).add(name, made, tenant=tenant)
    return made


async def over(api: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            state = (await api.get(PATH)).json()
            if state["job"] and state["job"]["status"] != "running":
                return state
            await asyncio.sleep(0.02)


async def test_a_draft_is_made_step_by_step_and_every_step_is_on_record(api, world, tmp_path) -> None:
    wizard(world, tmp_path)
    read = await api.get(PATH)
    state = read.json()
    assert (state["stage"], state["live"], state["draft"]["sound"]) == ("scan", False, False)
    assert {"where": "nodes[grid].limits", "severity": "error"}.items() <= next(
        one for one in state["draft"]["findings"] if one["where"] == "nodes[grid].limits"
    ).items()
    edited = await api.patch(
        PATH + "/draft",
        json={
            "site": {"id": "yard", "name": "The yard", "time_zone": "Europe/Berlin"},
            "nodes": [{"id": "grid", "limits": [{"source": "fuse", "current_a": 63}], "side_lost_a": 20.5}],
            "evses": [
                {"id": "bay-1", "node": "grid", "maximum_a": 32, "has_failsafe": False,
                 "charger": {"file": "keba-p30", "endpoint": "tcp://127.0.0.1:9", "unit": 255}}
            ],
        },
    )  # fmt: skip
    assert edited.status_code == 200, edited.text
    draft = edited.json()["draft"]
    assert draft["sound"], draft["findings"]
    assert draft["nodes"][0] == {
        "id": "grid", "kind": "connection", "parent": "", "fuse_a": "63", "meter": "", "side_lost_a": "20.5",
        "depth": 0,
    }  # fmt: skip
    assert draft["evses"][0]["reached"] == "keba-p30 at tcp://127.0.0.1:9, unit 255"
    late = await api.patch(PATH + "/draft", json={"remove": ["bay-1"]}, headers={"If-Match": read.headers["etag"]})
    assert (late.status_code, late.json()["version"]) == (412, late.headers["etag"])
    same = {"If-Match": edited.headers["etag"]}
    wrong = (await api.patch(PATH + "/draft", json={"evses": [{"id": "bay-1", "node": "gird"}]}, headers=same)).json()
    wrong = wrong["draft"]
    assert not wrong["sound"] and any("evses[bay-1]" in one["where"] for one in wrong["findings"])
    refused = await api.post(PATH + "/dry-run", json={"seconds": 5})
    assert (refused.status_code, refused.json()["type"]) == (409, "/api#problem-not-now")
    assert "to mend first" in refused.json()["detail"]
    await api.patch(PATH + "/draft", json={"evses": [{"id": "bay-1", "node": "grid"}]})
    early = await api.post(PATH + "/go-live", json={"live": True})
    assert early.status_code == 409 and "the dry run" in early.json()["detail"]
    written = await api.post(PATH + "/go-live", json={})
    assert written.json() == {"path": str(tmp_path / "yard.yaml"), "live": False}
    assert "current_a: 63" in (tmp_path / "yard.yaml").read_text()
    rows = (await api.get("/api/v1/audit")).json()["items"]
    said = [(one["action"], one["target"]) for one in rows]
    assert said.count(("commissioning.edit", "site yard")) == 3
    assert said.count(("commissioning.write", "site yard")) == 1
    assert not any(action == "commissioning.dry-run" for action, _ in said), "what was refused was not done"


async def test_a_scan_goes_on_in_the_background_and_says_what_is_wrong(api, world, tmp_path) -> None:
    wizard(world, tmp_path)
    begun = await api.post(PATH + "/scan", json={"hosts": ["127.0.0.1:1"]})
    assert begun.status_code == 202 and begun.json()["job"]["kind"] == "scan"
    state = await over(api)
    assert state["job"]["status"] == "done" and state["found"] == []
    await api.post(PATH + "/scan", json={"hosts": ["8.8.8.8"]})
    state = await over(api)
    assert state["job"]["status"] == "failed" and "no private address" in state["job"]["words"]
    assert state["job"]["todo"]
    for body in ({"hosts": ["a\nb"]}, {"serial": ["/etc/passwd"]}, {"ports": [0]}, {"unknown": 1}):
        assert (await api.post(PATH + "/scan", json=body)).status_code == 422, body
    assert (await api.post(PATH + "/cancel")).status_code == 409


async def test_a_draft_keeps_its_secrets_out_of_the_audit_log(api, world, tmp_path) -> None:
    wizard(world, tmp_path)
    text = "site: {id: yard}\nnodes: [{id: grid, kind: connection}]\nmqtt: {url: 'mqtt://a:hush@10.0.0.1'}\n"
    assert (await api.patch(PATH + "/draft", json={"text": text})).status_code == 200
    assert (await api.patch(PATH + "/draft", json={"text": "- no\n"})).status_code == 409
    assert "hush" not in (await api.get("/api/v1/audit")).text


async def test_only_who_may_commission_and_only_his_tenant_and_sites(api, world, tmp_path) -> None:
    wizard(world, tmp_path)
    wizard(world, tmp_path, "far", tenant="other")
    assert (await api.get("/api/v1/sites/nowhere/commissioning")).status_code == 404
    assert (await api.get("/api/v1/sites/far/commissioning")).status_code == 404
    assert (await api.get(PATH, headers={"Authorization": "Bearer pw_wrong"})).status_code == 401
    for id in ("yard", "north"):
        await api.post("/api/v1/sites", json={"id": id, "name": id})
    for role, sites, status in (
        ("viewer", None, 403),
        ("site-owner", ["north"], 404),
        ("site-owner", ["yard"], 200),
        ("operator", None, 200),
    ):
        body = {"name": f"key {role} {status}", "role": role} | ({"sites": sites} if sites else {})
        made = await api.post("/api/v1/api-keys", json=body)
        assert made.status_code == 201, made.text
        header = {"Authorization": f"Bearer {made.json()['key']}"}
        assert (await api.get(PATH, headers=header)).status_code == status, role
        assert (await api.post(PATH + "/cancel", headers=header)).status_code == (409 if status == 200 else status)
