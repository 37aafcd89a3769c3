"""SIGKILL under load loses nothing that was answered. CI runs a slice; `make soak` runs 100 kills on each store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.durability.killing import kill_again_and_again
from tests.durability.postgres import postgres

KILLS = 6


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


async def test_sqlite_keeps_what_it_answered(tmp_path: Path) -> None:
    result = await kill_again_and_again(tmp_path, kills=KILLS)
    assert result.faults == []
    assert result.resent >= KILLS  # the kills did hit messages that were under way
    assert result.sessions > 20


async def test_postgres_keeps_what_it_answered(tmp_path: Path, database: str) -> None:
    result = await kill_again_and_again(tmp_path, "--database", database, kills=KILLS, seed=2)
    assert result.faults == []
    assert result.resent >= KILLS
    assert result.sessions > 20
