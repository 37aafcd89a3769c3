"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from pilotwire.cli.addresses import Address
from pilotwire.core.errors import ConfigError


def address(text: str) -> Address:
    """`HOST:PORT`, `[v6]:PORT` or `:PORT` (all interfaces)."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - asked for by name


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def tiles(text: str) -> str:
    """The address of map tiles: http or https, with {z}, {x} and {y} once each in its path. Browsers are allowed to
    load pictures from its origin, so nothing else may stand in it."""
    parts = urlsplit(text)
    names = all(parts.path.count(f"{{{name}}}") + parts.query.count(f"{{{name}}}") == 1 for name in "xyz")
    host = re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", parts.netloc)
    if parts.scheme not in ("http", "https") or not host or not names or not re.fullmatch(r"[!-~]+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of map tiles: write https://HOST/…/{{z}}/{{x}}/{{y}}.png, without {{s}}"
        )
    return text


def files_url(text: str) -> str:
    """Where stations reach the file server: http or https, its path ending with /files/ as ours does."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.rstrip("/").endswith("/files"):
        raise argparse.ArgumentTypeError(f"{text!r} is no address of files: write https://HOST/files/")
    return text


def receipts(text: str) -> str:
    """Where drivers find receipts: http or https, with {reference} in the path or after it."""
    parts = urlsplit(text)
    named = (parts.path + parts.query).count("{reference}") == 1 and "{" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or not named or len(text) > 500:
        raise argparse.ArgumentTypeError(f"{text!r} is no address of receipts: write https://HOST/…/{{reference}}")
    return text


def default_data() -> Path:
    """$PILOTWIRE_DATA, or where this user's programs keep their data."""
    if chosen := os.environ.get("PILOTWIRE_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "pilotwire"


def parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"pilotwire {name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_data(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--data", type=Path, default=default_data(), metavar="DIR", help="where state is kept (%(default)s)"
    )
    to.add_argument(
        "--database",
        default=os.environ.get("PILOTWIRE_DATABASE"),
        metavar="URL",
        help="postgresql://user:password@host/name; default: SQLite in the data directory",
    )


def add_tenant(to: argparse.ArgumentParser) -> None:
    to.add_argument("--tenant", default="default", help="tenant (%(default)s)")


def data_dir(path: Path) -> Path:
    """The directory, made if need be, readable by its owner alone. Raises ConfigError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"cannot use {path} as the data directory: {error.strerror}; choose another with --data"
        ) from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"cannot write to the data directory {path}; choose another with --data")
    return path
