"""How long what is kept: shown to those who see settings, changed by platform admins, counted by whoever tidies up."""

from __future__ import annotations

from pilotwire.cli.care import DAY_MS, Care
from pilotwire.core.time import SimScheduler
from pilotwire.domain.webhooks import GIVE_UP_MS


async def test_days_are_changed_with_the_tag_that_was_read(world, api) -> None:
    found = await api.get("/api/v1/retention")
    assert found.json() == {"hot_days": 2, "delivery_days": 7, "mail_days": 30, "login_days": 7}
    tag = found.headers["etag"]
    done = await api.patch("/api/v1/retention", json={"hot_days": 30}, headers={"If-Match": tag})
    assert (done.status_code, done.json()["hot_days"]) == (200, 30)
    late = await api.patch("/api/v1/retention", json={"hot_days": 3}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert (await api.patch("/api/v1/retention", json={"hot_days": 0})).json()["errors"][0]["field"] == "hot_days"
    assert (await api.get("/api/v1/retention")).json()["hot_days"] == 30
    rows = (await api.get("/api/v1/audit")).json()["items"]
    assert (rows[0]["action"], rows[0]["detail"]) == ("retention.change", {"hot_days": 30, "before": {"hot_days": 2}})


async def test_what_is_not_given_stays(world, api) -> None:
    await api.patch("/api/v1/retention", json={"delivery_days": 4})
    done = (await api.patch("/api/v1/retention", json={"mail_days": 90})).json()
    assert (done["hot_days"], done["delivery_days"], done["mail_days"]) == (2, 4, 90)
    # What is tried for three days has to outlive its trying.
    assert 4 * DAY_MS > GIVE_UP_MS
    refused = await api.patch("/api/v1/retention", json={"delivery_days": 3})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "delivery_days")


async def test_what_was_chosen_is_what_moves_samples(world, api) -> None:
    """Samples of the seed are of this day: with the clock a week on, two days move them and thirty do not."""
    await api.patch("/api/v1/retention", json={"hot_days": 30})
    asked: list[int] = []

    async def roll_off(before: int) -> int:
        asked.append(before)
        return 0

    world.store.roll_off = roll_off
    later = SimScheduler(world.clock.now() + 7 * DAY_MS)
    await Care(world.store, later).roll_off()
    assert asked == [(later.now() // DAY_MS - 30) * DAY_MS]
    await world.store.put_setting("retention", "not JSON")
    await Care(world.store, later).roll_off()
    assert asked[1] == (later.now() // DAY_MS - 2) * DAY_MS
