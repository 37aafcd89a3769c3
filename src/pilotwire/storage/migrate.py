"""Numbered SQL migrations, forward only: `migrations/<dialect>/NNNN_name.sql`, applied in order, each in a transaction.

The number of the last one applied is kept in the database. A database that is ahead of this program is refused, for
an older program would not know what its rows mean.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from pilotwire.core.errors import ConfigError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(NamedTuple):
    """One step."""

    number: int
    name: str
    sql: str

    def statements(self) -> list[str]:
        """The single statements; our migrations hold no semicolon inside one."""
        text = re.sub(r"--[^\n]*", "", self.sql)
        return [statement.strip() for statement in text.split(";") if statement.strip()]


@cache
def migrations(dialect: str) -> tuple[Migration, ...]:
    """All migrations of "sqlite" or "postgres", in order, numbered 1, 2, 3 …"""
    folder = resources.files("pilotwire.storage") / "migrations" / dialect
    found = sorted(
        Migration(int(match[1]), item.name, item.read_text("utf-8"))
        for item in folder.iterdir()
        if (match := _NAME.fullmatch(item.name))
    )
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise ConfigError(f"the {dialect} migrations are not numbered 1 to {len(found)} without a gap")
    return tuple(found)


def outstanding(dialect: str, version: int) -> tuple[Migration, ...]:
    """What is still to be applied to a database at `version` (0: empty). Raises ConfigError when it is ahead of us."""
    known = migrations(dialect)
    if version > len(known):
        raise ConfigError(
            f"the database has schema version {version}, this Pilotwire knows up to {len(known)}: "
            "use the newer Pilotwire that made it, or restore a backup made by this one"
        )
    return known[version:]
