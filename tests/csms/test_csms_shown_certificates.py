"""Which certificate each station comes in with is kept, once, and again when it is another."""

from __future__ import annotations

from typing import Any

from csms_kit import World, now_of

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.core.time import to_datetime
from pilotwire.crypto import pem
from pilotwire.crypto.certificates import make_authority, make_station
from pilotwire.domain.trust import SHOWN, ShownCertificate
from pilotwire.storage.documents import unpack

DAY = 86_400_000
START = 1_767_225_600_000
CA = make_authority("Netz AG", now=to_datetime(START))


def leaf(name: str = "CP1", days: int = 30) -> bytes:
    return pem.blocks(make_station(CA, name, "Netz AG", now=to_datetime(START), days=days).certificate_pem)[0]


def kept(world: World) -> list[tuple[int, ShownCertificate]]:
    page = now_of(world.store.documents(DEFAULT_TENANT, SHOWN))
    return [(one.version, unpack(one, ShownCertificate).value) for one in page.items]


def ready(**more: Any) -> World:
    world = World()
    world.account(security_profile=3, organization="Netz AG", **more)
    return world


def come(world: World, der: bytes | None, name: str = "CP1") -> Any:
    return world.station(name, "2.1", tls=True, user=None, password=None, certificate=der).result


def test_what_a_station_shows_is_kept_by_its_end() -> None:
    world = ready()
    world.account("CP2", security_profile=3, organization="Netz AG")
    first = leaf()
    assert come(world, leaf("CP2", 10), "CP2").opened
    assert come(world, first).opened
    world.run()
    (_, soon), (version, later) = kept(world)  # sorted by their ends
    assert (soon.station, later.station, version) == ("CP2", "CP1", 1)
    assert (later.common_name, later.organization) == ("CP1", "Netz AG")
    assert 29 * DAY < later.not_after - START <= 30 * DAY
    assert later.not_before < later.seen_at < later.not_after


def test_the_same_again_writes_nothing_and_another_does() -> None:
    world = ready()
    first, second = leaf(), leaf(days=60)
    for der in (first, first):
        come(world, der)
    assert [version for version, _ in kept(world)] == [1]
    world.boot()  # another process knows of it
    come(world, first)
    assert [version for version, _ in kept(world)] == [1]
    come(world, second)
    ((version, one),) = kept(world)
    assert version == 2 and one.not_after - START > 59 * DAY


def test_who_is_not_let_in_leaves_nothing() -> None:
    world = ready()
    assert not come(world, leaf("CP2")).opened
    assert not come(world, None).opened
    world.account("PW", security_profile=2, password="hash of a station's password")
    assert world.station("PW", "2.1", tls=True, certificate=leaf("PW")).result.opened
    assert kept(world) == []
