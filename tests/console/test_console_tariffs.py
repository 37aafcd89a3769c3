"""The pages of tariffs, and the cost on the pages of sessions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import KEY, World, seed

from pilotwire.console.app import create_app

_place = Path(__file__).parents[1] / "api/test_api_tariffs.py"
_spec = importlib.util.spec_from_file_location("api_tariffs", _place)
assert _spec is not None and _spec.loader is not None
kit = sys.modules.setdefault("api_tariffs", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(kit)

PAGE = "/access/tariffs"


@pytest.fixture
async def world() -> World:
    made = World()
    seed(made)
    return made


@pytest.fixture
async def console(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with every right; forms come from the console's own pages."""
    transport = httpx.ASGITransport(app=create_app(world.context), client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


async def test_a_tariff_is_made_given_changed_taken_away_and_deleted(console) -> None:
    assert "No tariff yet" in (await console.get(PAGE)).text
    form = {"id": "ac", "currency": "EUR", "tax": "19", "price_kwh": "0.39", "price_idle": "0.1", "idle_after": "10"}
    made = await console.post(PAGE, data=form)
    assert made.status_code == 303 and made.headers["location"] == f"{PAGE}/ac"
    assert "0.4641 EUR/kWh" in (await console.get(PAGE)).text
    text = (await console.get(f"{PAGE}/ac")).text
    assert "Nobody and nothing has it yet" in text and "minIdleTime" in text and "600" in text
    given = await console.post(f"{PAGE}/ac/places", data={"scope": "station", "target": "CP-A", "evse": ""})
    assert given.status_code == 303
    assert "CP-A" in (await console.get(f"{PAGE}/ac")).text
    terms = '{"currency": "EUR", "energy": {"prices": [{"priceKwh": "0.5"}]}}'
    saved = await console.post(f"{PAGE}/ac", data={"name": "AC", "note": "", "terms": terms})
    assert saved.status_code == 303
    text = (await console.get(f"{PAGE}/ac")).text
    assert "Revision 2" in text and "Earlier terms" in text
    await console.post(f"{PAGE}/ac/places/delete", data={"place": "station CP-A 0"})
    assert (await console.post(f"{PAGE}/ac/delete")).status_code == 303
    assert "No tariff yet" in (await console.get(PAGE)).text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"id": "a b", "currency": "EUR", "price_kwh": "1"}, "a b"),
        ({"id": "a", "currency": "EUR", "price_kwh": "cheap"}, "cheap"),
        ({"id": "a", "currency": "EUR"}, "a tariff needs a price"),
    ],
)
async def test_what_is_wrong_with_a_new_one_is_said_at_the_field(console, form: dict[str, str], said: str) -> None:
    answer = await console.post(PAGE, data=form)
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text
    assert said in answer.text
    assert "No tariff yet" in (await console.get(PAGE)).text


async def test_terms_that_are_wrong_stay_in_the_form(console) -> None:
    await console.post(PAGE, data={"id": "ac", "currency": "EUR", "price_kwh": "0.39"})
    for terms, said in (
        ("{", "terms"),
        ('{"currency": "EUR", "energie": 1}', "energie"),
        ('{"currency": "EUR"}', "needs"),
    ):
        answer = await console.post(f"{PAGE}/ac", data={"name": "AC", "note": "", "terms": terms})
        assert answer.status_code == 422 and said in answer.text, answer.text[:3000]
    refused = await console.post(f"{PAGE}/ac/places", data={"scope": "station", "target": "nobody"})
    assert refused.status_code == 422 and "there is no such one" in refused.text


async def test_sessions_show_what_they_cost(console, world: World) -> None:
    plain = (await console.get("/sessions")).text
    assert ">Cost<" not in plain
    session = kit.charged(world, "4.65")
    listed = (await console.get("/sessions")).text
    assert ">Cost<" in listed and "4.64 EUR" in listed
    page = (await console.get(f"/sessions/{session}")).text
    assert "4.64 EUR" in page and "VAT 19 %" in page and "The station says 4.65 EUR" in page
    assert "<h2>Cost</h2>" not in (await console.get("/sessions/s-1")).text
