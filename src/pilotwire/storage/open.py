"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotwire.core.errors import ConfigError

from .port import Store

DATABASE_NAME = "pilotwire.db"
HISTORY_NAME = "history"
MEMORY_LIMIT = 2_000
"""Messages that `memory:` keeps: about 8 MB of meter values, an hour of the demo site."""


def open_store(
    url_or_dir: str | Path, *, stream: str = "main", data_dir: Path | str | None = None, **options: Any
) -> Store:
    """A store, not yet opened (`await store.open()`).

    - a folder: SQLite in `<folder>/pilotwire.db`, Parquet days in `<folder>/history`
    - `sqlite:///path/to/file.db`: that file, Parquet days beside it
    - `postgresql://…`: PostgreSQL; `data_dir` is where the Parquet days go (without it nothing is rolled off);
      `stream` is the gateway's name, one writer per name
    - `memory:`: nothing outlives the process, and of journal and samples only the newest messages are kept

    `options` go to the store's constructor. Raises ConfigError for anything else.
    """
    text = str(url_or_dir)
    scheme = text.split(":", 1)[0] if ":" in text else ""
    if scheme in ("postgresql", "postgres"):
        from .postgres import PostgresStore

        history = Path(data_dir) / HISTORY_NAME if data_dir is not None else None
        return PostgresStore(text, stream=stream, history=history, **options)
    if scheme == "memory":
        from .memory import MemoryStore

        return MemoryStore(stream=stream, **{"limit": MEMORY_LIMIT, **options})
    from .sqlite import SqliteStore

    if scheme == "sqlite":
        if not text.startswith("sqlite:///") or len(text) == len("sqlite:///"):
            raise ConfigError(f"a SQLite database is written sqlite:///path/to/file.db, not {text!r}")
        path = Path(text.removeprefix("sqlite:///"))
        return SqliteStore(path, stream=stream, history=path.parent / HISTORY_NAME, **options)
    if "://" in text:
        raise ConfigError(f"no store speaks {scheme}://; use a folder, sqlite:///file.db or postgresql://…")
    folder = Path(url_or_dir)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: --data wants a folder (for a single file write sqlite:///{folder})")
    return SqliteStore(folder / DATABASE_NAME, stream=stream, history=folder / HISTORY_NAME, **options)
