"""Sites that run a controller, over HTTP: what is shown is what the controller says, to whom it may be shown."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.conftest import MINUTE, NOW
from tests.api.controller_kit import site

from pilotwire.api.access import Principal, system
from pilotwire.api.problems import Problem
from pilotwire.api.resources import controllers
from pilotwire.api.resources.controllers import Controllers
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.seen import Outlook

BEGAN = NOW - 15 * MINUTE
PATH = "/api/v1/sites/north/controller"


@pytest.fixture
def north(world) -> Any:
    """The site's controller, of which the API knows."""
    controller = site().watched
    Controllers.of(world.context).add("north", controller)
    return controller


class Away:
    """A controller at the other end of a link that is down."""

    id, name, time_zone, heard_ms = "far", "Far away", "Europe/Brussels", NOW - 90_000

    async def now(self) -> Any:
        raise ConnectionError("the box has not been heard of for 90 s")

    at = changes = course = windows = peaks = outlook = lambda self, *given: self.now()

    async def ticks(self) -> AsyncIterator[Any]:
        yield await site().watched.now()
        raise ConnectionError("the box has gone")


def w(mw: int | None) -> int | None:
    return None if mw is None else round(mw / 1_000)


async def test_now_is_what_the_controller_says(api, north) -> None:
    answer = await api.get(PATH)
    assert answer.status_code == 200, answer.text
    shown, right = answer.json(), await north.now()
    picture = right.picture
    assert (shown["site_id"], shown["name"], shown["time_zone"]) == ("north", "A seen site", "Europe/Berlin")
    assert (shown["time"], shown["seq"]) == (to_rfc3339(picture.at_ms), picture.seq)
    assert shown["flows"] == {f"{name}_w": w(getattr(picture.flows, name)) for name in picture.flows.__struct_fields__}
    grid = shown["nodes"][0]
    assert (grid["current_ma"], grid["power_w"], grid["parent"]) == (
        list(picture.nodes[0].phases_ma), w(picture.nodes[0].power_mw), None,
    )  # fmt: skip
    assert {(one["what"], one["unit"]) for one in grid["limits"]} >= {("L1", "mA"), ("power", "W")}
    evse, own = shown["evses"][0], picture.evses[0]
    assert (evse["id"], evse["set_point"], evse["unit"], evse["power_w"]) == ("a", own.set_point, "mA", w(own.power_mw))
    assert evse["why"] == list(right.why["a"]) and evse["charging"]
    cellar = next(one for one in shown["devices"] if one["id"] == "cellar")
    assert cellar["points"] == {"power_w": 1_500, "soc_permille": 555}
    assert len(shown["limits"]) == len(right.limits)
    contract = next(one for one in shown["limits"] if one["source"] == "contracted capacity")
    assert (contract["node"], contract["kind"], contract["power_w"], contract["begin"]) == (
        "yard",
        "file",
        25_000,
        None,
    )
    (window,) = shown["windows"]
    assert (window["id"], window["energy_wh"]) == ("quarters", right.windows[0].energy_wh)
    # As everywhere: a tag, 304 for who has it, and only some fields for who wants no more.
    again = await api.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert set((await api.get(f"{PATH}?fields=time,flows")).json()) == {"time", "flows"}


async def test_the_list_says_in_short_how_each_does(api, world, north) -> None:
    registry = Controllers.of(world.context)
    registry.add("far", Away())
    registry.add("other", north, tenant="somebody-else")
    found = (await api.get("/api/v1/controllers")).json()["items"]
    assert [(one["site_id"], one["state"]) for one in found] == [("north", "running"), ("far", "away")]
    assert (found[0]["evses"], found[0]["charging"]) == (
        4,
        sum(one.charging for one in (await north.now()).picture.evses),
    )
    assert (found[1]["flows"], found[1]["heard_at"]) == (None, to_rfc3339(NOW - 90_000))
    world.clock.run_for(11_000)
    assert (await api.get("/api/v1/controllers")).json()["items"][0]["state"] == "silent"
    registry.remove("north")
    registry.remove("north")
    assert (await api.get(PATH)).status_code == 404


ADDRESSES = (
    "", "/stream", f"/past?at={to_rfc3339(NOW - MINUTE)}", "/changes?evse=a", "/course", "/course.csv", "/windows",
    "/windows.csv", "/plan",
)  # fmt: skip


@pytest.mark.parametrize("rest", ADDRESSES)
async def test_who_may_not_see_a_site_does_not_hear_of_its_controller(api, world, north, rest: str) -> None:
    answer = await api.get(f"/api/v1/sites/nowhere/controller{rest}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/api#problem-not-found")
    async with world.client() as nobody:
        assert (await nobody.get(f"{PATH}{rest}")).status_code == 401


async def test_scope_tenant_and_permission(world, north) -> None:
    def one(**more: Any) -> Principal:
        return Principal(**{"tenant": "default", "name": "o", "role": "site-owner", "by": "key", **more})

    context = world.context
    assert (await controllers.now(context, one(sites=frozenset(("north",))), "north")).site_id == "north"
    assert await controllers.controllers(context, one(sites=frozenset(("yard",)))) == []
    for principal, status in (
        (one(sites=frozenset(("yard",))), 404),
        (one(tenant="somebody-else", role="admin"), 404),
        (one(role="driver"), 403),
    ):
        for ask in (
            controllers.now(context, principal, "north"),
            controllers.past(context, principal, "north", NOW),
            controllers.changes(context, principal, "north", "a", 0, NOW),
            controllers.course(context, principal, "north", NOW - MINUTE, NOW, 60),
            controllers.windows(context, principal, "north", 0, NOW),
            controllers.peaks(context, principal, "north", 0, NOW),
            controllers.plan(context, principal, "north"),
            controllers.stream(context, principal, "north"),
        ):
            with pytest.raises(Problem) as refused:
                await ask
            assert refused.value.status == status


async def test_a_site_that_cannot_be_reached_says_so(api, world) -> None:
    Controllers.of(world.context).add("north", Away())
    for rest in ADDRESSES:
        if rest == "/stream":
            continue
        answer = await api.get(f"{PATH}{rest}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/api#problem-controller-away"), rest
        assert "has not been heard of for 90 s" in answer.json()["detail"] and answer.headers["retry-after"] == "5"


async def test_the_past_is_what_was_shown(api, north) -> None:
    seen = site()
    for at in (3, 400, len(seen.shown) - 1):
        utc = seen.shown[at][0].now.utc_ms
        found = (await api.get(f"{PATH}/past?at={to_rfc3339(utc)}")).json()
        assert found["same"] and found["asked_at"] == found["now"]["time"] == to_rfc3339(utc)
        assert found["now"]["seq"] == seen.shown[at][1].seq
    assert found["now"] == (await api.get(PATH)).json()
    early = await api.get(f"{PATH}/past?at=2020-01-01T00:00:00Z")
    assert (early.status_code, early.json()["type"]) == (404, "/api#problem-nothing-known")
    assert f"the log begins at {to_rfc3339(seen.shown[0][0].now.utc_ms)}" in early.json()["detail"]
    assert (await api.get(f"{PATH}/past?at=yesterday")).status_code == 400
    assert (await api.get(f"{PATH}/past")).status_code == 400


async def test_what_an_evse_was_given(api, north) -> None:
    found = (await api.get(f"{PATH}/changes?evse=a&from={to_rfc3339(BEGAN)}")).json()
    assert found["next"] is None and found["items"][-1]["unit"] == "mA"
    right = await north.changes("a", BEGAN, NOW)
    assert [(one["time"], one["value"], one["code"], one["words"]) for one in found["items"]] == [
        (to_rfc3339(one.at_ms), one.value, one.code, one.words) for one in right
    ]
    unknown = await api.get(f"{PATH}/changes?evse=z9")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/api#problem-nothing-known")
    assert "there are a, b, c, d" in unknown.json()["detail"]


async def test_the_course_as_json_and_as_csv(api, north) -> None:
    query = f"from={to_rfc3339(BEGAN)}&until={to_rfc3339(NOW + 2 * MINUTE)}&step=60"
    found = (await api.get(f"{PATH}/course?{query}")).json()
    right = await north.course(BEGAN, NOW + 2 * MINUTE, MINUTE)
    assert (found["step_s"], found["begin"], len(found["steps"])) == (60, to_rfc3339(BEGAN), 17)
    for one, other in zip(found["steps"], right.steps, strict=True):
        assert (one["time"], one["grid_w"], one["cars_w"]) == (
            to_rfc3339(other.from_ms),
            w(other.grid_mw),
            w(other.cars_mw),
        )
        assert (one["pv_w"], one["battery_w"]) == (w(other.pv_mw), w(other.battery_mw))
    assert found["steps"][12]["soc_percent"] == 55.5 and found["steps"][-1]["grid_w"] is None
    file = await api.get(f"{PATH}/course.csv?{query}")
    assert file.headers["content-type"].startswith("text/csv")
    assert file.headers["content-disposition"] == 'attachment; filename="course-north-2026-01-01.csv"'
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["grid_w"] for row in rows] == [
        "" if one["grid_w"] is None else str(one["grid_w"]) for one in found["steps"]
    ]
    assert list(rows[0]) == list(found["steps"][0]) and rows[12]["soc_percent"] == "55.5"
    # The energy of a coarse step is that of the fine ones in it.
    quarter = f"from={to_rfc3339(BEGAN)}&until={to_rfc3339(BEGAN + 15 * MINUTE)}"
    (coarse,) = (await api.get(f"{PATH}/course?{quarter}&step=900")).json()["steps"]
    assert abs(coarse["cars_w"] * 15 - sum(one["cars_w"] for one in found["steps"][:15])) <= 15


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("step=90", "step"), ("step=60&from=2020-01-01T00:00:00Z", "step"),
        ("from=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "until"), ("from=2026-01-01T00:00:00", "from"),
    ],
)  # fmt: skip
async def test_what_is_no_course_is_refused(api, north, query: str, field: str) -> None:
    answer = await api.get(f"{PATH}/course?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_windows_and_the_peaks_of_the_month(api, north) -> None:
    found = (await api.get(f"{PATH}/windows?from={to_rfc3339(BEGAN)}")).json()
    right = await north.windows(BEGAN, NOW)
    assert [one["begin"] for one in found["items"]] == [to_rfc3339(one.from_ms) for one in right] and right
    first = found["items"][0]
    assert (first["peak_w"], first["energy_wh"]) == (w(right[0].peak_mw), right[0].energy_wh)
    assert first["causes_w"] == {who: w(mw) for who, mw in right[0].causes.items()}
    (peak,) = found["peaks"]
    (known,) = await north.peaks(BEGAN, NOW)
    assert (peak["month"], peak["peak_w"], peak["time"]) == ("2026-01", w(known.peak_mw), to_rfc3339(BEGAN))
    rows = list(csv.DictReader(io.StringIO((await api.get(f"{PATH}/windows.csv?from={to_rfc3339(BEGAN)}")).text)))
    assert [row["energy_wh"] for row in rows] == [str(one["energy_wh"]) for one in found["items"]]
    assert "causes_w" not in rows[0]


async def test_the_plan(api, north) -> None:
    none = await api.get(f"{PATH}/plan")
    assert (none.status_code, none.json()["type"]) == (404, "/api#problem-nothing-known")
    north.outlook_of = lambda: Outlook(
        made_ms=NOW, until_ms=NOW + MINUTE, words="optimal", step_ms=900_000, grid_mw=(1_499, 1_500),
        batteries={"cellar": (-2_000_000,)}, cars=(), from_ms=NOW - MINUTE,
    )  # fmt: skip
    try:
        found = (await api.get(f"{PATH}/plan")).json()
    finally:
        north.outlook_of = None
    assert (found["begin"], found["step_s"], found["grid_w"]) == (to_rfc3339(NOW - MINUTE), 900, [1, 2])
    assert found["batteries_w"] == {"cellar": [-2_000]} and found["words"] == "optimal"


async def told(pieces: Any, count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(60):
        async for piece in pieces:
            lines = dict(line.split(": ", 1) for line in piece.decode().splitlines() if ": " in line)
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
            if len(found) == count:
                break
    await pieces.aclose()
    return found


async def test_the_stream_tells_what_is_new_and_ends_when_the_site_is_away(world, api, north) -> None:
    seen, context = site(), world.context
    pieces = await controllers.stream(context, system("default"), "north")
    other = await controllers.stream(context, system("default"), "north")
    following = asyncio.create_task(told(pieces, 2))
    ((event, first),) = await told(other, 1)
    assert (event, first) == ("now", (await api.get(PATH)).json())
    ((_, brief),) = await told(await controllers.stream(context, system("default"), "north", brief=True), 1)
    assert first["evses"][0]["why"] and not any(one["why"] for one in brief["evses"])
    assert [one | {"why": []} for one in first["evses"]] == brief["evses"] and first | {"evses": []} == brief | {
        "evses": []
    }
    await asyncio.sleep(0.05)
    north.show(seen.loop, *seen.shown[10])
    try:
        (_, one), (_, two) = await following
    finally:
        north.show(seen.loop, *seen.shown[-1])
    assert (one["seq"], two["seq"]) == (seen.shown[-1][1].seq, seen.shown[10][1].seq)
    assert Controllers.of(context).watching == 0
    Controllers.of(context).add("far", Away())
    ended = await told(await controllers.stream(context, system("default"), "far"), 9)
    assert [event for event, _ in ended] == ["now", "away"] and ended[1][1] == {"detail": "the box has gone"}


async def test_streams_are_limited_and_end_with_the_server(world, north, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controllers, "WATCHERS", 1)
    pieces = await controllers.stream(world.context, system("default"), "north")
    assert await anext(pieces) == b"retry: 2000\n\n"
    with pytest.raises(Problem) as refused:
        await controllers.stream(world.context, system("default"), "north")
    assert refused.value.name == "busy"
    assert (await anext(pieces)).startswith(b"event: now\n")
    rest = asyncio.create_task(told(pieces, 9))
    await asyncio.sleep(0)
    world.context.closing.set()
    assert await rest == []
    assert Controllers.of(world.context).watching == 0
