"""`pilotwire backup` and `pilotwire restore`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from pilotwire.cli import runfile
from pilotwire.cli.options import add_data, data_dir, parser
from pilotwire.core.errors import ConfigError

SECRETS = ("pepper",)
"""Files beside the database without which a restored installation would not know its stations."""


def main(name: str, arguments: Sequence[str]) -> int:
    if name == "backup":
        options = parser(name, "Copy the store into a new folder, while the server may go on running.")
        options.add_argument("target", type=Path, nargs="?", metavar="FOLDER", help="default: backup-DATE in here")
        add_data(options)
        chosen = options.parse_args(arguments)
        return asyncio.run(_backup(chosen.data, chosen.database, chosen.target or _dated()))
    options = parser(name, "Bring a backup back into an empty data directory or an empty database.")
    options.add_argument("source", type=Path, metavar="FOLDER")
    add_data(options)
    chosen = options.parse_args(arguments)
    return asyncio.run(_restore(chosen.data, chosen.database, chosen.source))


def _dated() -> Path:
    return Path(time.strftime("backup-%Y%m%d-%H%M%S"))


async def _backup(data: Path, database: str | None, target: Path) -> int:
    from pilotwire.storage.backup import backup

    manifest = await backup(database or data, target, data_dir=data)
    for secret in SECRETS:
        if (data / secret).exists():
            copy = target / secret
            copy.touch(mode=0o600)
            copy.write_bytes((data / secret).read_bytes())
    rows = sum(manifest.rows.values())
    print(f"{target}: {rows:,} rows, {manifest.history_files} history files. Keep it safe: it holds all secrets too.")
    return 0


async def _restore(data: Path, database: str | None, source: Path) -> int:
    from pilotwire.storage.backup import restore

    if runfile.read(data_dir(data)) is not None:
        raise ConfigError(f"a server runs over {data}; stop it first")
    manifest = await restore(source, database or data, data_dir=data)
    for secret in SECRETS:
        if (source / secret).exists() and not (data / secret).exists():
            (data / secret).touch(mode=0o600)
            (data / secret).write_bytes((source / secret).read_bytes())
    print(f"{sum(manifest.rows.values()):,} rows and {manifest.history_files} history files are back")
    return 0
