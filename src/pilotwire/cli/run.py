"""`pilotwire run` and `pilotwire csms`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli import https, runfile
from pilotwire.cli.addresses import Address, local, outward
from pilotwire.cli.options import add_data, address, data_dir, files_url, parser, receipts, tiles
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.cli.compose import Node, NodeOptions


def main(name: str, arguments: Sequence[str]) -> int:
    text = {
        "run": "Bring up everything on one machine: central system, console and a living demo site beside which real "
        "chargers connect.",
        "csms": "The central system: OCPP 1.6, 2.0.1 and 2.1 on one port, the API and the console. No demo.",
    }[name]
    options = parser(name, text)
    add_data(options)
    options.add_argument(
        "--http",
        type=address,
        default=Address("127.0.0.1", 8080),
        metavar="HOST:PORT",
        help="console and API (%(default)s)",
    )
    https.add(options)
    options.add_argument(
        "--ocpp",
        type=address,
        default=Address("127.0.0.1", 9000),
        metavar="HOST:PORT",
        help="chargers, ws:// (%(default)s)",
    )
    options.add_argument("--ocpps", type=address, metavar="HOST:PORT", help="chargers over TLS, wss:// (off)")
    options.add_argument(
        "--lab", action="store_true", help="accept unknown stations and tokens, no login; on loopback only"
    )
    options.add_argument("--no-demo", action="store_true", help="no demo site")
    options.add_argument(
        "--message-rate",
        type=float,
        default=20.0,
        metavar="N",
        help="messages a second that one station may send for long; 0: any (%(default)s)",
    )
    options.add_argument(
        "--api-rate",
        type=float,
        default=200.0,
        metavar="N",
        help="requests a second that one login or API key may make for long; 0: any (%(default)s)",
    )
    options.add_argument(
        "--allow-private-webhooks",
        action="store_true",
        help="webhooks may go to loopback and private addresses, and without TLS",
    )
    options.add_argument(
        "--allow-private-ocsp",
        action="store_true",
        help="whether a certificate was revoked may be asked at loopback and private addresses, at any port: for a PKI "
        "in the house",
    )
    options.add_argument(
        "--files",
        type=files_url,
        metavar="URL",
        help="where chargers reach this server's /files/ to fetch firmware and leave logs, as "
        "https://csms.example/files/ behind a proxy (http:// at --http)",
    )
    options.add_argument(
        "--tiles",
        type=tiles,
        metavar="URL",
        help="map tiles below the sites, as https://tiles.example/{z}/{x}/{y}.png; the map works without",
    )
    options.add_argument(
        "--tiles-attribution", default="", metavar="TEXT", help="whom the tiles are owed to, told below the map"
    )
    options.add_argument(
        "--receipts",
        type=receipts,
        metavar="URL",
        help="where drivers find the receipts of payments at the charger, as https://pay.example/{reference}: told to "
        "OCPP 2.1 chargers when they have settled one",
    )
    options.add_argument(
        "--no-inventory",
        action="store_true",
        help="do not ask chargers by ourselves for their configuration and variables (once for each firmware, "
        "after a boot)",
    )
    chosen = options.parse_args(arguments)
    from pilotwire.cli.compose import NodeOptions

    node = NodeOptions(
        data=data_dir(chosen.data),
        http=chosen.http,
        ocpp=chosen.ocpp,
        ocpps=chosen.ocpps,
        https=https.chosen(chosen),
        database=chosen.database,
        demo=name == "run" and not chosen.no_demo,
        lab=chosen.lab,
        message_rate=chosen.message_rate,
        api_rate=chosen.api_rate,
        private_webhooks=chosen.allow_private_webhooks,
        private_ocsp=chosen.allow_private_ocsp,
        files=chosen.files or "",
        tiles=chosen.tiles or "",
        tiles_attribution=chosen.tiles_attribution,
        inventory=not chosen.no_inventory,
        receipts=chosen.receipts or "",
    )
    check_lab(node)
    raise_file_limit()
    import uvloop

    return uvloop.run(serve(node))


def check_lab(options: NodeOptions) -> None:
    """The lab is for this machine alone."""
    if not options.lab:
        return
    secure = options.https.address if options.https else None
    for where in (options.http, secure, options.ocpp, options.ocpps):
        if where is not None and where.host not in https.LOOPBACK:
            raise ConfigError(f"--lab accepts anybody, so it listens on loopback only, not on {where}")


def raise_file_limit() -> None:
    """One open file per station: take all that the system allows."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(options: NodeOptions) -> int:
    from pilotwire.cli.compose import Node

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    node = Node(options)
    await node.start()
    runfile.write(options.data, runfile.RunFile(os.getpid(), f"http://{local(options.http)}", node.key))
    try:
        greet(node)
        # What is loaded now lives as long as the process: the collector need not look at it again. What comes and goes
        # with messages are trees that reference counting frees, so it may come round more rarely than by default.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        # The store's writer waits for the interpreter at each statement: 5 ms each time, by default, while the loop is
        # busy, which is when a stall is being worked off.
        sys.setswitchinterval(0.0005)
        node.up = True
        await stop.wait()
        print("stopping: stations are told to come back", file=sys.stderr)
        await node.drain()
    finally:
        runfile.remove(options.data)
        await node.stop()
    return 0


def greet(node: Node) -> None:
    """What a newcomer needs: where to look, how to log in, how to add a charger."""
    options = node.options
    data = "" if options.data == _default() else f" --data {options.data}"
    lines = ["", f"  Pilotwire is running.   Console  http://{local(options.http)}/"]
    if options.https and node.https:
        lines += [f"  over TLS             https://{outward(options.https.address)}/", *https.told(node.https)]
    if options.lab:
        lines += ["  LAB MODE: no login, unknown stations and tokens are accepted. Never do this on a network."]
    elif node.password is not None:
        lines += [f"  Login    admin / {node.password}    (shown once; `pilotwire users add admin` sets another)"]
    lines += [f"  Chargers connect to  ws://{outward(options.ocpp)}/ocpp/IDENTITY   (OCPP 1.6, 2.0.1, 2.1)"]
    if options.ocpps:
        lines += [f"  over TLS             wss://{outward(options.ocpps)}/ocpp/IDENTITY"]
    lines += [f"  Add one: pilotwire stations add IDENTITY{data}", "  Stop: Ctrl-C", ""]
    print("\n".join(lines), flush=True)
    if warning := https.open_to_all(options.http):
        print(warning, file=sys.stderr, flush=True)


def _default() -> Path:
    from pilotwire.cli.options import default_data

    return default_data()
