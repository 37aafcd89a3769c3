"""The stores under test, behind one fixture: what is asserted of one is asserted of all three."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.durability.postgres import server

from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.open import open_store
from pilotwire.storage.port import Store

sys.path.insert(0, str(Path(__file__).parent))  # for storage_kit, which tests share


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A server of our own, on a socket in a temporary folder; stopped and deleted at the end."""
    with server() as made:
        yield made


@pytest.fixture(scope="session")
def postgres_server(postgres: Any) -> str:
    """The server's URL."""
    return postgres.get_uri()


class Databases:
    """Makes empty PostgreSQL databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.made = 0

    def new(self) -> str:
        """The URL of a fresh database."""
        self.made += 1
        name = f"t{self.made}"
        asyncio.run(self._create(name))
        head, _, tail = self.url.partition("/postgres?")
        return f"{head}/{name}?{tail}"

    async def _create(self, name: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            # Copying from template0 with the file system is several times faster than replaying it through the log.
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def databases(postgres_server: str) -> Databases:
    return Databases(postgres_server)


class Kind:
    """One kind of store and where this test's lies: `new()` gives a store over the same data, not yet opened."""

    def __init__(self, name: str, new: Callable[..., Store]) -> None:
        self.name = name
        self.new = new


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "memory":
        kept = MemoryStore()
        return Kind("memory", lambda **_: kept)
    if request.param == "sqlite":
        return Kind("sqlite", lambda **options: open_store(tmp_path / "data", **options))
    url = request.getfixturevalue("databases").new()
    return Kind("postgres", lambda **options: open_store(url, data_dir=tmp_path / "data", **options))


@pytest.fixture
async def store(kind: Kind) -> AsyncIterator[Store]:
    made = kind.new()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def reopen(kind: Kind) -> AsyncIterator[Callable[[Store], Awaitable[Store]]]:
    """Close a store and open the next process's over the same data."""
    opened: list[Store] = []

    async def again(old: Store) -> Store:
        await old.close()
        new = kind.new()
        await new.open()
        opened.append(new)
        return new

    yield again
    for one in opened:
        await one.close()
