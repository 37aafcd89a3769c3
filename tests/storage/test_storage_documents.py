"""Documents, on all three stores: versions, conflicts, order, pages, tenants, and a model that they must agree with."""

from __future__ import annotations

import asyncio
import random

import pytest

from pilotwire.storage.codec import BadCursor
from pilotwire.storage.documents import Change, Conflict, Delete, Document, DocumentTable, Put, put, sort_time, unpack
from pilotwire.storage.port import Store


def doc(id: str, body: bytes = b"1", **more: object) -> Put:
    return Put(kind="site", id=id, body=body, **more)  # type: ignore[arg-type]


async def test_a_change_for_an_old_version_conflicts(store: Store) -> None:
    assert await store.write_documents("t", [doc("a", expected=0)]) == [1]
    assert await store.write_documents("t", [doc("a", b"2", expected=1)]) == [2]
    for change in (doc("a", expected=1), doc("a", expected=0), doc("b", expected=1), Delete("site", "a", 1)):
        with pytest.raises(Conflict) as told:
            await store.write_documents("t", [change])
        assert told.value.found == (2 if change.id == "a" else 0)
    assert await store.document("t", "site", "a") == Document(id="a", version=2, sort="", body=b"2")
    assert await store.write_documents("t", [Delete("site", "a", 2), Delete("site", "a")]) == [0, 0]
    assert await store.document("t", "site", "a") is None


async def test_all_or_nothing(store: Store) -> None:
    await store.write_documents("t", [doc("a")])
    with pytest.raises(Conflict):
        await store.write_documents("t", [doc("b"), Delete("site", "a"), doc("a", expected=1)])
    assert (await store.document("t", "site", "a")) is not None
    assert (await store.document("t", "site", "b")) is None
    # The store goes on after a conflict.
    assert await store.write_documents("t", [doc("b"), doc("b")]) == [1, 2]


async def test_of_many_at_once_one_wins(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.write_documents("t", [doc("a", b"%d" % number, expected=0)]) for number in range(20)),
        return_exceptions=True,
    )
    assert sum(outcome == [1] for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_pages_in_both_directions_and_ranges(store: Store) -> None:
    times = [1_700_000_000_000 + 7 * number for number in range(25)]
    await store.write_documents("t", [doc(f"d{time}", sort=sort_time(time // 10)) for time in times])
    await store.write_documents("other", [doc("x", sort=sort_time(times[0]))])
    await store.write_documents("t", [Put(kind="group", id="x", body=b"1", sort=sort_time(times[0]))])
    for newest_first in (False, True):
        got: list[str] = []
        cursor = None
        while True:
            page = await store.documents("t", "site", cursor=cursor, limit=4, newest_first=newest_first)
            got += [one.id for one in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert got == sorted((f"d{time}" for time in times), reverse=newest_first)
    low, high = sort_time(times[5] // 10), sort_time(times[9] // 10)
    page = await store.documents("t", "site", low=low, high=high)
    assert [one.id for one in page.items] == [f"d{time}" for time in times if low <= sort_time(time // 10) < high]
    with pytest.raises(BadCursor):
        await store.documents("t", "site", cursor="nonsense")


async def test_kept_over_a_restart(kind) -> None:
    store = kind.new()
    await store.open()
    await store.write_documents("t", [put("site", "a", {"name": "Nord"}), doc("ä\N{SNOWMAN}")])
    await store.close()
    again = store if kind.name == "memory" else kind.new()
    await again.open()
    found = await again.document("t", "site", "a")
    assert found is not None and unpack(found, dict[str, str]).value == {"name": "Nord"}
    assert await again.document("t", "site", "ä\N{SNOWMAN}") is not None
    await again.close()


@pytest.mark.parametrize("seed", range(6))
async def test_every_store_agrees_with_the_table_in_memory(store: Store, seed: int) -> None:
    rng, model = random.Random(seed), DocumentTable()
    for _ in range(40):
        tenant = rng.choice("tu")
        changes: list[Change] = []
        for _ in range(rng.randint(1, 4)):
            kind, id, expected = rng.choice("kl"), rng.choice("abc"), rng.choice((None, None, 0, 1, 2, 3))
            if rng.random() < 0.3:
                changes.append(Delete(kind, id, expected))
            else:
                changes.append(
                    Put(kind=kind, id=id, body=rng.randbytes(3), sort=rng.choice(("", "1", "2")), expected=expected)
                )
        try:
            wanted: object = model.write(tenant, changes)
        except Conflict as error:
            wanted = (error.kind, error.id, error.found)
        try:
            got: object = await store.write_documents(tenant, changes)
        except Conflict as error:
            got = (error.kind, error.id, error.found)
        assert got == wanted
        newest = rng.random() < 0.5
        page = await store.documents(tenant, "k", limit=2, newest_first=newest)
        assert page == model.page(tenant, "k", "", None, None, 2, newest)
