"""`pilotwire doctor`: is this machine fit, and is this installation whole? Each line says what to do when it is not."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

from pilotwire.cli import runfile
from pilotwire.cli.addresses import Address
from pilotwire.cli.options import add_data, address, data_dir, parser
from pilotwire.core.errors import ConfigError


class Finding(NamedTuple):
    state: str
    """ok, warn or fail."""
    what: str
    advice: str = ""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Check this machine and this installation. Exit status 1 when something must be mended.")
    options.add_argument("--http", type=address, default=Address("127.0.0.1", 8080), metavar="HOST:PORT")
    options.add_argument("--ocpp", type=address, default=Address("127.0.0.1", 9000), metavar="HOST:PORT")
    add_data(options)
    chosen = options.parse_args(arguments)
    failed = False
    for check in (_python, _packages, _frontend, _files, _data, _disk, _ports, _database):
        for finding in check(chosen):
            failed |= finding.state == "fail"
            print(f"{finding.state:>4}  {finding.what}" + (f"\n      → {finding.advice}" if finding.advice else ""))
    return 1 if failed else 0


Check = Callable[[argparse.Namespace], Iterator[Finding]]


def _python(options: argparse.Namespace) -> Iterator[Finding]:
    yield Finding("ok", "Python " + ".".join(map(str, sys.version_info[:3])))


def _packages(options: argparse.Namespace) -> Iterator[Finding]:
    missing = []
    for package in ("msgspec", "picows", "uvloop", "websockets", "litestar", "uvicorn", "cryptography", "argon2"):
        try:
            import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        yield Finding(
            "fail", f"missing packages: {', '.join(missing)}", "pip install --require-hashes -r requirements/run.lock"
        )
    else:
        yield Finding("ok", f"all packages are there (pilotwire {_version()})")


def _version() -> str:
    try:
        return metadata.version("pilotwire")
    except metadata.PackageNotFoundError:
        return "from a checkout"


def _frontend(options: argparse.Namespace) -> Iterator[Finding]:
    vendor = Path(__file__).parent.parent / "console" / "static" / "vendor"
    if list(vendor.glob("*.js")):
        yield Finding("ok", "the console's libraries are there")
    else:
        yield Finding(
            "fail", "the console's libraries are missing", "python tools/build_frontend.py (needs node and npm)"
        )


def _files(options: argparse.Namespace) -> Iterator[Finding]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096 and hard < 4096:
        yield Finding(
            "warn", f"at most {hard} open files, one per station", "ulimit -n 65536, or LimitNOFILE= in the unit"
        )
    else:
        yield Finding("ok", f"open files: {hard} (raised from {soft} at start)")


def _data(options: argparse.Namespace) -> Iterator[Finding]:
    try:
        path = data_dir(options.data)
    except ConfigError as error:
        yield Finding("fail", str(error))
        return
    free = shutil.disk_usage(path).free // (1 << 20)
    state = "ok" if free > 1024 else "warn"
    yield Finding(
        state,
        f"data directory {path}: {free:,} MiB free",
        "" if state == "ok" else "make room: a full disk stops charging records",
    )
    run = runfile.read(path)
    yield Finding("ok", f"a server runs over it: pid {run.pid}, {run.http}" if run else "no server runs over it now")


def _disk(options: argparse.Namespace) -> Iterator[Finding]:
    """What a commit costs here: every answer to a station waits for one."""
    probe = options.data / ".doctor"
    try:
        with probe.open("wb") as file:
            took = []
            for _ in range(20):
                begun = time.perf_counter()
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - begun)
    except OSError as error:
        yield Finding("fail", f"cannot write and sync in {options.data}: {error.strerror}")
        return
    finally:
        with suppress(OSError):  # already told
            probe.unlink()
    median = sorted(took)[len(took) // 2] * 1000
    if median < 0.02:
        yield Finding(
            "warn", f"fsync takes {median:.3f} ms", "too fast to be true: this disk may lose data when power fails"
        )
    elif median > 50:
        yield Finding(
            "warn", f"fsync takes {median:.0f} ms", "stations wait that long for an answer; use a faster disk"
        )
    else:
        yield Finding("ok", f"fsync takes {median:.1f} ms (median of {len(took)})")


def _ports(options: argparse.Namespace) -> Iterator[Finding]:
    if runfile.read(options.data):
        return
    for label, where in (("--http", options.http), ("--ocpp", options.ocpp)):
        with socket.socket(socket.AF_INET6 if ":" in where.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(where)
            except OSError as error:
                yield Finding("fail", f"{label} {where}: {error.strerror}", f"choose another with {label}")
            else:
                yield Finding("ok", f"{label} {where} is free")


def _database(options: argparse.Namespace) -> Iterator[Finding]:
    if not options.database:
        return
    import asyncio

    import asyncpg

    async def ask() -> str:
        connection = await asyncpg.connect(options.database, timeout=5)
        try:
            rows = await connection.fetch(
                "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit')"
            )
            off = [row["name"] for row in rows if row["setting"] == "off"]
            version = await connection.fetchval("show server_version")
        finally:
            await connection.close()
        return f"PostgreSQL {version}" + (f"; {' and '.join(off)} is off: what is answered may be lost" if off else "")

    try:
        said = asyncio.run(ask())
    except (OSError, asyncpg.PostgresError, TimeoutError, ValueError) as error:
        yield Finding("fail", f"the database does not answer: {error}", "check --database")
    else:
        yield Finding("warn" if "is off" in said else "ok", said)
