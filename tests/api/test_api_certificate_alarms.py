"""Alarms of certificates that end: raised in time, more loudly when they have ended, cleared when another is shown."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import NOW, World
from tests.api.happenings_kit import Running

from pilotwire.domain import trust
from pilotwire.storage.documents import put, sort_time

DAY = 86_400_000


async def shows(world: World, station: str, days: float) -> None:
    """It comes in with a certificate that ends in so many days."""
    end = world.clock.now() + int(days * DAY)
    one = trust.ShownCertificate(station=station, common_name=station, not_before=NOW, not_after=end, seen_at=NOW)
    await world.store.write_documents("default", [put(trust.SHOWN, station, one, sort=sort_time(end))])


async def open_alarms(api: Any) -> set[tuple[str, str, str]]:
    found = (await api.get("/api/v1/alarms", params={"state": "open"})).json()["items"]
    return {(a["station_id"], a["rule_id"], a["summary"]) for a in found if a["rule_id"].startswith("certificate")}


async def test_a_certificate_that_nobody_renews(world: World, api) -> None:
    await shows(world, "CP-A", 22.5)
    await shows(world, "CP-D", 90)
    await shows(world, "GONE", 1)  # a station that was deleted
    running = await Running(world).start()
    try:
        await running.pass_time(1)
        assert await open_alarms(api) == set()
        await running.pass_time(2 * 86_400)
        assert await open_alarms(api) == {("CP-A", "certificate-ending", "certificate ends in 20 d")}
        await running.pass_time(20.6 * 86_400)
        assert {rule for _, rule, _ in await open_alarms(api)} == {"certificate-ending", "certificate-ended"}
        assert ("CP-A", "certificate-ended", "certificate has ended") in await open_alarms(api)
        await shows(world, "CP-A", 300)
        await running.pass_time(3_601)
        assert await open_alarms(api) == set()
    finally:
        await running.stop()


async def test_what_was_renewed_while_nobody_looked_is_cleared(world: World, api) -> None:
    await shows(world, "CP-A", 5)
    running = await Running(world).start()
    await running.pass_time(1)
    assert len(await open_alarms(api)) == 1
    await running.stop()
    await shows(world, "CP-A", 365)
    running = await Running(world).start()
    try:
        await running.pass_time(1)
        assert await open_alarms(api) == set()
    finally:
        await running.stop()
