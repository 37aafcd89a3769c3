"""The page of a station's limits."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import KEY, World, seed

from pilotwire.api import types
from pilotwire.console.app import create_app
from pilotwire.console.pages.station_charging import curve_of

_place = Path(__file__).parents[1] / "api/test_api_charging.py"
_spec = importlib.util.spec_from_file_location("api_charging", _place)
assert _spec is not None and _spec.loader is not None
kit = sys.modules.setdefault("api_charging", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(kit)


@pytest.fixture
async def world() -> World:
    made = World()
    seed(made)
    return made


@pytest.fixture
async def console(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(world.context), client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


async def test_profiles_and_curves_are_shown(console, world: World) -> None:
    assert "Nothing limits it that we know of" in (await console.get("/stations/CP-A/charging")).text
    kit.limited(world)
    answer = await console.get("/stations/CP-A/charging", params={"hours": 2})
    assert answer.status_code == 200, answer.text
    text = answer.text
    assert "EMS 0" in text and "<polyline" in text and "Whole station" in text and "EVSE 1" in text
    assert "11.04 kW" in text and "1.38 kW" in text and "16.0 A" in text
    assert (await console.get("/stations/nobody/charging")).status_code == 404


def test_a_curve_is_drawn_in_steps_and_runs_along_the_edge_where_nothing_limits() -> None:
    start = "2026-01-01T12:00:00.000Z"
    steps = [
        types.ScheduleStep(time=start, limit=10_000.0),
        types.ScheduleStep(time="2026-01-01T12:30:00.000Z", limit=None),
    ]
    curve = curve_of(types.ExpectedSchedule(evse=1, unit="W", start=start, duration_s=3600, steps=steps))
    assert curve.points == "0.0,12.7 360.0,12.7 360.0,0.0 720.0,0.0"
    assert curve.top == "11.00 kW"
    free = curve_of(types.ExpectedSchedule(evse=1, unit="A", start=start, duration_s=60, steps=steps[1:]))
    assert free.top == ""
