"""`pilotwire backup` and `pilotwire restore`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from pilotwire.cli import runfile
from pilotwire.cli.options import add_data, data_dir, parser
from pilotwire.core.errors import ConfigError

SECRETS = ("pepper", "tls")
"""What lies beside the database and without which a restored installation would not know its stations, nor they it."""


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
    copy_secrets(data, target)
    rows = sum(manifest.rows.values())
    print(
        f"{target}: {rows:,} rows, {manifest.history_files} history files, {manifest.files} files of firmware and "
        "logs. Keep it safe: it holds all secrets too."
    )
    return 0


async def _restore(data: Path, database: str | None, source: Path) -> int:
    from pilotwire.storage.backup import restore

    if runfile.read(data_dir(data)) is not None:
        raise ConfigError(f"a server runs over {data}; stop it first")
    check_secrets(source, data)
    manifest = await restore(source, database or data, data_dir=data)
    copy_secrets(source, data)
    print(
        f"{sum(manifest.rows.values()):,} rows, {manifest.history_files} history files and {manifest.files} files of "
        "firmware and logs are back"
    )
    return 0


def secret_files(folder: Path) -> list[Path]:
    """The secrets in a data directory or a backup, relative to it."""
    found = [folder / name for name in SECRETS if (folder / name).is_file()]
    found += [file for name in SECRETS for file in sorted((folder / name).glob("*")) if file.is_file()]
    return [file.relative_to(folder) for file in found]


def check_secrets(source: Path, data: Path) -> None:
    """Two installations must not be mixed: with another pepper no station's password would fit any more."""
    for name in secret_files(source):
        if (data / name).exists() and (data / name).read_bytes() != (source / name).read_bytes():
            raise ConfigError(f"{data / name} is another installation's; restore into an empty data directory")


def copy_secrets(source: Path, target: Path) -> None:
    for name in secret_files(source):
        copy = target / name
        if not copy.exists():
            copy.parent.mkdir(mode=0o700, exist_ok=True)
            copy.touch(mode=0o600)
            copy.write_bytes((source / name).read_bytes())
