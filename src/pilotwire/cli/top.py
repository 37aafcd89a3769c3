"""`pilotwire top`: what the stations of a server do, in a terminal."""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pilotwire.cli import runfile
from pilotwire.cli.options import add_data, add_tenant, data_dir, parser, positive
from pilotwire.core.errors import LocalError
from pilotwire.core.ids import DEFAULT_TENANT, check_identity
from pilotwire.crypto.trust import server_trust


class Where(NamedTuple):
    """A server, the key for it, and whom to believe there (`verify` of the client)."""

    url: str
    key: str | None
    trust: ssl.SSLContext | bool = True


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        name,
        "Watch stations, sessions, messages, lag and alarms of a running server. Within it, ? shows the keys.\n"
        "Without a terminal, or with --once, a snapshot is printed.",
    )
    options.add_argument("--url", help="a server elsewhere, e.g. https://csms.example.com")
    options.add_argument("--key", help="API key for it (also $PILOTWIRE_KEY)")
    options.add_argument("--ca", type=Path, metavar="FILE", help="PEM of who vouches for it (the system's authorities)")
    options.add_argument("--fingerprint", metavar="SHA256", help="believe the certificate or key that has it")
    options.add_argument("--once", action="store_true", help="print a snapshot and end")
    options.add_argument("--rows", type=positive, metavar="N", help="with --once: at most N rows of each table")
    add_data(options)
    add_tenant(options)
    chosen = options.parse_args(arguments)
    if chosen.once or not sys.stdout.isatty() or not sys.stdin.isatty():
        return asyncio.run(once(chosen))
    from pilotwire.cli.top_app import Top

    app = Top(lambda: where(chosen))
    app.run()
    return app.return_code or 0


def where(options: argparse.Namespace) -> Where | None:
    """The server that was asked for, or the one that runs over the data directory; None while none does."""
    if options.url:
        trust = True
        if options.ca or options.fingerprint:
            trust = server_trust(ca=options.ca, fingerprint=options.fingerprint)
        return Where(options.url, options.key or os.environ.get("PILOTWIRE_KEY"), trust)
    run = runfile.read(data_dir(options.data))
    if run is None:
        return None
    tenant = check_identity(options.tenant)
    key = run.key + ("" if tenant == DEFAULT_TENANT else f"@{quote(tenant, safe='')}")
    return Where(run.http, key, run.trust())


async def once(options: argparse.Namespace) -> int:
    """Measure for a second, print, end."""
    from pilotwire.cli.top_model import Model, gauges, plain
    from pilotwire.client import ApiProblem, AsyncClient, Retry

    found = where(options)
    if found is None:
        raise LocalError("no server runs over this data directory; start one: pilotwire run, or give --url")
    model = Model()
    async with AsyncClient(found.url, found.key, verify=found.trust, retry=Retry(attempts=2)) as client:
        async with aclosing(client.live()) as messages:
            model.take(await anext(messages))
        try:
            model.measure(gauges(await client.get_metrics(), time.monotonic()))
            await asyncio.sleep(1)
            model.measure(gauges(await client.get_metrics(), time.monotonic()))
        except ApiProblem as problem:
            if problem.status not in (401, 403):
                raise
        try:
            model.alarms = (await client.list_alarms(state="open", limit=500)).items
        except ApiProblem as problem:
            if problem.name != "not-allowed":
                raise
    print(plain(model, found.url, options.rows))
    return 0
