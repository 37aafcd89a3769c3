"""The commands that a station takes, as palettes and forms need them."""

from __future__ import annotations

import hashlib

from pilotwire.domain import records

PATH = "/api/v1/stations/{}/commands/available"


async def test_a_station_is_offered_its_own_version_s_actions(api) -> None:
    of_16 = {one["action"]: one for one in (await api.get(PATH.format("CP-B"))).json()["items"]}
    of_201 = {one["action"]: one for one in (await api.get(PATH.format("CP-A"))).json()["items"]}
    of_none = {one["action"]: one for one in (await api.get(PATH.format("CP-D"))).json()["items"]}
    assert "RemoteStartTransaction" in of_16 and "RemoteStartTransaction" not in of_201
    assert "SetVariables" in of_201 and "StartTransaction" not in of_16
    assert set(of_none) == {name for name, one in of_16.items() if one["neutral"]} and "start" in of_none
    reset = of_16["Reset"]
    assert (reset["dangerous"], reset["neutral"], reset["allowed"]) == (True, False, True)
    assert [(one["name"], one["kind"], one["values"]) for one in reset["fields"]] == [
        ("type", "enum", ["Hard", "Soft"])
    ]


async def test_nested_fields_are_told(api) -> None:
    form = (await api.get(PATH.format("CP-A") + "/SetVariables")).json()
    (data,) = form["fields"]
    assert (data["name"], data["kind"], data["required"]) == ("setVariableData", "array", True)
    inner = {one["name"]: one for one in data["items"]["fields"]}
    assert inner["attributeValue"]["required"] and inner["component"]["kind"] == "object"
    assert form["example"]["setVariableData"][0]["attributeValue"] == "300"
    assert (await api.get(PATH.format("CP-A") + "/Heartbeat")).status_code == 404


async def test_what_a_role_may_not_send_is_marked(world) -> None:
    digest = hashlib.sha256(b"pw_v").hexdigest()
    await world.store.put_api_key(records.ApiKey(tenant="default", id="k", name="look", role="viewer", digest=digest))
    async with world.client(headers={"Authorization": "Bearer pw_v"}) as viewer:
        found = (await viewer.get(PATH.format("CP-A"))).json()["items"]
        assert found and not any(one["allowed"] for one in found)
