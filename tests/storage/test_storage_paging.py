"""Pages and order under any interleaving: nothing skipped, nothing repeated, told in the order of appending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_kit import appended, entry, session

from pilotwire.domain.records import Station
from pilotwire.storage.codec import BadCursor, decode_cursor, encode_cursor
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Store
from pilotwire.storage.sqlite import SqliteStore

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def on_both(folder: Path, check: Callable[[Store], Awaitable[None]]) -> None:
    for store in (MemoryStore(), SqliteStore(folder / "pilotwire.db")):
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()


def run(tmp_path_factory: pytest.TempPathFactory, check: Callable[[Store], Awaitable[None]]) -> None:
    asyncio.run(on_both(tmp_path_factory.mktemp("case"), check))


@QUICK
@given(
    first=st.lists(st.integers(0, 5), min_size=0, max_size=25),
    later=st.lists(st.integers(0, 9), min_size=0, max_size=25),
    limit=st.integers(1, 7),
    status=st.sampled_from([None, "active"]),
)
def test_sessions_pages_neither_skip_nor_repeat_while_rows_come(
    tmp_path_factory, first: list[int], later: list[int], limit: int, status: str | None
) -> None:
    async def check(store: Store) -> None:
        old = [session(f"a{n}", started_at=at) for n, at in enumerate(first)]
        await appended(store, entry(touched=tuple(old)))
        fresh = iter([session(f"b{n}", started_at=at) for n, at in enumerate(later)])
        seen: list[tuple[int, str]] = []
        cursor = None
        while True:
            page = await store.sessions("default", status=status, cursor=cursor, limit=limit)
            assert len(page.items) <= limit
            seen += [(one.started_at, one.id) for one in page.items]  # type: ignore[attr-defined]
            cursor = page.next
            if cursor is None:
                break
            assert len(page.items) == limit, "only the last page is short"
            if (new := next(fresh, None)) is not None:
                await appended(store, entry(touched=(new,)))
        assert [at for at, _ in seen] == sorted((at for at, _ in seen), reverse=True)
        assert len(seen) == len(set(seen)), "none is repeated"
        assert {(one.started_at, one.id) for one in old} <= set(seen), "none that was there is skipped"

    run(tmp_path_factory, check)


@QUICK
@given(
    names=st.lists(st.text("ABab-é\U0001f50c", min_size=1, max_size=4), unique=True, max_size=20),
    limit=st.integers(1, 7),
)
def test_stations_are_paged_by_id(tmp_path_factory, names: list[str], limit: int) -> None:
    async def check(store: Store) -> None:
        await appended(store, entry(touched=tuple(Station(tenant="default", id=name) for name in names)))
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.stations("default", cursor=cursor, limit=limit)
            seen += [one.id for one in page.items]  # type: ignore[attr-defined]
            cursor = page.next
            if cursor is None:
                break
        assert seen == sorted(names)

    run(tmp_path_factory, check)


@QUICK
@given(batches=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=20))
def test_told_in_the_order_of_appending_and_kept_in_it(tmp_path_factory, batches: list[tuple[int, int]]) -> None:
    """Batches of entries, each followed by some turns of the loop, so that groups are cut anywhere."""

    async def check(store: Store) -> None:
        told: list[int] = []
        count = 0
        for size, turns in batches:
            for _ in range(size):
                store.append(entry(count), lambda error, number=count: told.append(number if error is None else -1))
                count += 1
            for _ in range(turns):
                await asyncio.sleep(0)
        await appended(store, entry(count))
        assert told == list(range(count))
        rows = [(row.seq, row.frame) async for row in store.journal()]
        assert rows == [(number + 1, entry(number).frame) for number in range(count + 1)]

    run(tmp_path_factory, check)


@given(st.tuples(st.integers(-(2**62), 2**62), st.text()))
def test_a_cursor_is_read_as_it_was_made(parts: tuple[int, str]) -> None:
    cursor = encode_cursor(*parts)
    assert decode_cursor(cursor, tuple[int, str]) == parts
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&?# ")


@given(st.text(max_size=40))
def test_no_text_makes_a_cursor_raise_anything_else(text: str) -> None:
    try:
        decode_cursor(text, tuple[int, str])
    except BadCursor:
        return
    assert text, "an empty cursor is no cursor"
