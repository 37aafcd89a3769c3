"""Whatever is asked of the sessions, the SQL stores answer as the plain one in memory, page by page."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from storage_kit import appended, entry, session

from pilotwire.domain.records import Session
from pilotwire.storage import session_list
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.migrate import migrations
from pilotwire.storage.port import Store
from pilotwire.storage.session_list import SessionQuery, StationTotal

STATIONS = [f"CP-{n}" for n in range(8)] + ["odd%_\\id"]
TOKENS = ["", "04AA", "04ab", "Visitor 1", "100%"]
REASONS = ["", "EVDisconnected", "Remote", "PowerLoss"]
FLAGS = ["seq-gap", "started-offline", "meter-went-back"]


def made(seed: int, count: int) -> list[Session]:
    chance = random.Random(seed)
    sessions = []
    for n in range(count):
        active = chance.random() < 0.2
        began = chance.randrange(50) * 1000
        sessions.append(
            session(
                f"s-{n}",
                station_id=chance.choice(STATIONS),
                started_at=began,
                status="active" if active else "ended",
                ended_at=None if active or chance.random() < 0.1 else began + chance.randrange(40) * 1000,
                updated_at=began + 500,
                energy_wh=chance.randrange(20) * 500,
                token=chance.choice(TOKENS),
                stop_reason="" if active else chance.choice(REASONS),
                flags=chance.sample(FLAGS, chance.choice([0, 0, 0, 1, 2])),
            )
        )
    return sessions


def question(chance: random.Random) -> SessionQuery:
    """A random question; fields are given rarely enough that something is found now and then."""

    def maybe(value: Any, share: float = 0.2) -> Any:
        return value if chance.random() < share else None

    given: dict[str, Any] = {
        "stations": maybe(tuple(chance.sample(STATIONS, chance.randrange(4)))),
        "status": maybe(chance.choice(["active", "ended"])),
        "tokens": maybe(tuple(one.swapcase() for one in chance.sample(TOKENS, 2))),
        "started_from": maybe(chance.randrange(30) * 1000),
        "started_before": maybe(chance.randrange(20, 60) * 1000),
        "ended_from": maybe(chance.randrange(30) * 1000),
        "ended_before": maybe(chance.randrange(20, 90) * 1000),
        "energy_from": maybe(chance.randrange(10) * 500),
        "energy_to": maybe(chance.randrange(5, 20) * 500),
        "reasons": maybe(tuple(chance.sample(REASONS, 2))),
        "flags": maybe(tuple(chance.sample(FLAGS, 1))),
        "flagged": maybe(chance.choice([True, False])),
        "q": maybe(chance.choice(["cp-3", "04A", "%", "_", "s-7", "\\", "isitor"])),
        "within": maybe(frozenset(chance.sample(STATIONS, 5))),
        "by": maybe(frozenset(chance.sample(TOKENS, 3))),
    }
    sort = chance.choice(["started_at", "started_at", "ended_at", "energy_wh"])
    kept = {name: value for name, value in given.items() if value is not None}
    return SessionQuery(sort=sort, descending=chance.random() < 0.7, **kept)


async def pages(store: Store, wanted: SessionQuery, limit: int) -> list[str]:
    seen: list[str] = []
    cursor = None
    for _ in range(1000):
        page = await store.find_sessions("default", wanted, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        seen += [one.id for one in page.items]  # type: ignore[attr-defined]
        cursor = page.next
        if cursor is None:
            return seen
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_as_the_plain_store_says(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = MemoryStore()
    await plain.open()
    for one in (plain, store):
        await appended(one, *(entry(n, touched=(each,)) for n, each in enumerate(made(1, 300))))
        await appended(one, entry(999, touched=(session("x", tenant="other", station_id="CP-1"),), tenant="other"))
    known = {one.id: one for one in made(1, 300)}
    chance = random.Random(2)
    found = 0
    for number in range(150):
        # A window as small as a page, so that most questions need several looks.
        monkeypatch.setattr(session_list, "WINDOW", chance.choice([3, 17, 20_000]))
        monkeypatch.setattr(session_list, "_LEADING", chance.choice([0, 2, 64]))
        wanted = question(chance)
        expected = await pages(plain, wanted, 500)
        seen = await pages(store, wanted, chance.choice([1, 7, 500]))
        assert sorted(seen) == sorted(expected), (number, wanted)
        keys = [session_list.sort_key(wanted, known[one]) for one in seen]
        assert keys == sorted(keys, reverse=wanted.descending), (number, wanted)
        count = await store.count_sessions("default", wanted)
        assert count in (None, len(expected)), wanted
        assert await store.sum_sessions("default", wanted) == await plain.sum_sessions("default", wanted), wanted
        found += len(expected)
    assert found > 1000, "the questions are not all in vain"


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"], indirect=True)
async def test_what_is_mended_later_is_found_by_what_it_is_now(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one = session("s", status="ended", ended_at=5_000, energy_wh=100, token="A", station_id="CP-1")
    await appended(store, entry(1, touched=(one,)))
    one.energy_wh, one.flags, one.stop_reason = 900, ["meter-went-back"], "Remote"
    await appended(store, entry(2, touched=(one,)))

    async def ids(**asked: Any) -> list[str]:
        return await pages(store, SessionQuery(**asked), 10)

    assert (
        await ids(energy_from=500) == ["s"] == await ids(flags=("meter-went-back",)) == await ids(reasons=("Remote",))
    )
    assert await ids(energy_to=500) == []
    assert await store.session_totals("default", 5_000) == {"CP-1": StationTotal(1, 900)}
    assert await store.session_totals("default", 0, 5_000) == {}
    assert await store.sum_sessions("default", SessionQuery()) == (1, 900, 0)
    assert await store.sum_sessions("default", SessionQuery(status="active")) == (0, 0, 0)
    monkeypatch.setattr(session_list, "SUMMED", 0)
    assert (await store.sum_sessions("default", SessionQuery()) is None) is not isinstance(store, MemoryStore)
    await store.rebuild([one])
    assert await ids(flagged=True) == ["s"]
    await store.rebuild([])
    assert await ids() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_the_migration_fills_the_list_as_the_writer_does(store: Store) -> None:
    await appended(store, *(entry(n, touched=(each,)) for n, each in enumerate(made(3, 60))))
    fill = next(one for one in _statements(type(store).__name__) if one.startswith("INSERT INTO session_list"))
    columns = ", ".join(session_list.COLUMNS)

    def rows() -> Any:
        return (yield f"SELECT {columns} FROM session_list ORDER BY n", ())

    def again() -> Any:
        yield "DELETE FROM session_list", ()
        yield fill, ()

    written = [tuple(row) for row in await store.read(rows())]  # type: ignore[attr-defined]
    await store.change(again())  # type: ignore[attr-defined]
    assert [tuple(row) for row in await store.read(rows())] == written  # type: ignore[attr-defined]
    assert len(written) == 60


def _statements(name: str) -> list[str]:
    dialect = "sqlite" if name.startswith("Sqlite") else "postgres"
    return next(one for one in migrations(dialect) if "session_list" in one.name).statements()


def test_a_question_is_plain_data() -> None:
    wanted = SessionQuery(stations=("a",), q="b")
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=SessionQuery) == wanted
