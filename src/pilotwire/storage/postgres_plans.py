"""What every connection to PostgreSQL needs: plans run over it, its kinds of failure, its schema brought up to date."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, TypeVar, cast

import asyncpg

from .migrate import outstanding
from .queries import Plan

T = TypeVar("T")
Connection = Any
"""asyncpg's connection, or a pool's stand-in for one; asyncpg ships no types for both at once."""

LOCK_MIGRATE: Final = 0x70690002

DATA_FAULTS = (
    OverflowError,
    TypeError,
    ValueError,
    LookupError,
    asyncpg.DataError,
    asyncpg.NotNullViolationError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.ProgramLimitExceededError,
)
"""An entry's own fault: a value that PostgreSQL cannot keep."""

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""The server is gone, going, or no longer the one that takes writes. How a commit under way ended is not known."""


@cache
def dollar(sql: str) -> str:
    """A plan's SQL with PostgreSQL's placeholders."""
    return re.sub(r"\?(\d+)", r"$\1", sql)


def text(value: str) -> str:
    """A string as a text column can hold it: PostgreSQL has no NUL in text, so keys show its picture instead.

    Bodies, facts and frames are bytes and keep everything.
    """
    return value.replace("\0", "\u2400") if "\0" in value else value


def arguments(args: Sequence[object]) -> list[object]:
    """The values of a plan as they are bound."""
    return [text(one) if isinstance(one, str) else one for one in args]


async def run(connection: Connection, plan: Plan[T]) -> T:
    """Drive a plan over a connection or pool."""
    try:
        sql, args = next(plan)
        while True:
            sql, args = plan.send(await connection.fetch(dollar(sql), *arguments(args)))
    except StopIteration as end:
        return end.value


async def read_rows(url: str, sql: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """One query over a connection of its own, for child processes."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(dollar(sql), *arguments(args))]
    finally:
        await connection.close()


async def migrate_schema(connection: Connection) -> None:
    """Bring the database to our schema, each step in a transaction together with its number; one process at a time."""
    await connection.execute("SELECT pg_advisory_lock($1, 0)", LOCK_MIGRATE)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
        version = cast("int | None", await connection.fetchval("SELECT max(version) FROM schema_version")) or 0
        for step in outstanding("postgres", version):
            async with connection.transaction():
                for statement in step.statements():
                    await connection.execute(statement)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", step.number)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1, 0)", LOCK_MIGRATE)
