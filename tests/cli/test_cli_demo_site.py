"""The demo's site: made once, kept as people change it, with every station on its plan."""

from __future__ import annotations

import pytest

from pilotwire.api import types
from pilotwire.api.access import access_of
from pilotwire.api.context import ApiContext
from pilotwire.api.resources import sites
from pilotwire.cli.demo_site import SITE, make_site
from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus


class NoPasswords:
    def hash_human(self, password: str) -> str:
        raise AssertionError("nobody logs in here")

    def verify_human(self, password: str, verifier: str) -> bool:
        raise AssertionError("nobody logs in here")

    def hash_station(self, password: bytes) -> str:
        raise AssertionError("no station is made here")


@pytest.fixture
def context() -> ApiContext:
    clock = SimScheduler(1_767_268_800_000)
    return ApiContext(
        store=MemoryStore(), bus=LocalBus(), scheduler=clock, ids=SeededIds(1, clock.now), passwords=NoPasswords()
    )


@pytest.mark.parametrize(("posts", "rapids"), [(8, 4), (1, 0), (0, 3), (30, 10)])
async def test_every_station_has_a_place_of_its_own(context: ApiContext, posts: int, rapids: int) -> None:
    rapid = [f"DC-{number}" for number in range(rapids)]
    names = [f"AC-{number}" for number in range(posts)] + rapid
    await make_site(context, names, rapid)
    plan = (await sites.site(context, access_of(context).lab(), SITE)).value.plan
    assert plan is not None and sorted(one.station_id for one in plan.places) == sorted(names)
    assert len({(one.x, one.y) for one in plan.places}) == len(names)
    assert all(0 < one.x < plan.width for one in plan.places)


async def test_what_people_change_is_kept(context: ApiContext) -> None:
    await make_site(context, ["AC-1"], [])
    principal = access_of(context).lab()
    await sites.change(context, principal, SITE, types.SiteChange(name="Ours", power_limit_w=50_000))
    await make_site(context, ["AC-1", "AC-2"], [])
    found = (await sites.site(context, principal, SITE)).value
    assert (found.name, found.power_limit_w) == ("Ours", 50_000)
