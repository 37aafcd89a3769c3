"""`pilotwire journal verify|replay`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from pilotwire.cli import runfile
from pilotwire.cli.options import add_data, data_dir, parser
from pilotwire.core.errors import ConfigError


def main(name: str, arguments: Sequence[str]) -> int:
    top = parser(name, "Check the journal, or rebuild all state from it. The server must not be running.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="verify|replay")
    verify = verbs.add_parser("verify", help="checksums, gaps, readable facts, and state equal to what the facts say")
    replay = verbs.add_parser("replay", help="throw all state away and fold it anew from the facts")
    for each in (verify, replay):
        add_data(each)
    return asyncio.run(_run(top.parse_args(arguments)))


def progress(rows: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{rows:,} rows", end="", file=sys.stderr, flush=True)


async def _run(options: Any) -> int:
    from pilotwire.storage.open import open_store
    from pilotwire.storage.sqlstore import SqlStore
    from pilotwire.storage.verify import replay, verify

    if runfile.read(data_dir(options.data)) is not None:
        raise ConfigError(f"a server runs over {options.data}; stop it first, or verify a backup of it")
    store = open_store(options.database or options.data, data_dir=options.data)
    if not isinstance(store, SqlStore):
        raise ConfigError("a store in memory has no journal to look at")
    await store.open()
    try:
        work = verify if options.verb == "verify" else replay
        verdict = await work(store, progress=progress)
    finally:
        await store.close()
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    for finding in verdict.findings:
        print(f"{finding.kind:>9}  {finding.where}: {finding.text}")
    if verdict.faults > len(verdict.findings):
        print(f"… and {verdict.faults - len(verdict.findings):,} more")
    done = "compared with" if options.verb == "verify" else "rebuilt from"
    print(f"{verdict.records:,} records {done} {verdict.rows:,} journal rows: {verdict.faults:,} faults")
    if options.verb == "verify" and not verdict.sound:
        print("`pilotwire journal replay` rebuilds records; a broken journal row needs a backup", file=sys.stderr)
    return 0 if verdict.sound else 1
