"""`pilotwire stations`: who may connect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from pilotwire.cli import table
from pilotwire.cli.api import api, path
from pilotwire.cli.options import add_data, add_tenant, parser

_COLUMNS = {
    "id": "STATION",
    "connected": "ONLINE",
    "ocpp_version": "OCPP",
    "vendor": "VENDOR",
    "model": "MODEL",
    "firmware": "FIRMWARE",
    "last_seen": "LAST SEEN",
}


def main(name: str, arguments: Sequence[str]) -> int:
    top = parser(name, "Add, list or show charging stations.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="add|list|show|remove")
    add = verbs.add_parser("add", help="let a station connect; prints its address and password")
    add.add_argument("id", metavar="ID", help="identity: the last part of the station's WebSocket URL")
    add.add_argument("--password", help="16 to 40 characters (1.6: also 40 hex digits); default: a new random one")
    add.add_argument(
        "--profile",
        type=int,
        choices=[1, 2, 3],
        default=1,
        help="security profile: 1 password, 2 password over TLS, 3 client certificate (%(default)s)",
    )
    add.add_argument("--organization", default="", help="profile 3: the O of its certificate")
    add.add_argument("--serial", default="", help="profile 3: the CN of its certificate, where it is not the identity")
    listing = verbs.add_parser("list", help="list stations")
    show = verbs.add_parser("show", help="all that is known of one station")
    show.add_argument("id", metavar="ID")
    remove = verbs.add_parser("remove", help="let a station connect no longer (its sessions stay)")
    remove.add_argument("id", metavar="ID")
    for each in (add, listing, show, remove):
        add_data(each)
        add_tenant(each)
        each.add_argument("--json", action="store_true", help="print JSON")
    return asyncio.run(_run(top.parse_args(arguments)))


async def _run(options: Any) -> int:
    async with api(options) as server:
        if options.verb == "add":
            return await _add(server, options)
        if options.verb == "remove":
            await server.call("DELETE", path("stations", options.id))
            print(f"{options.id} may no longer connect")
        elif options.verb == "show":
            print(json.dumps(await server.call("GET", path("stations", options.id)), indent=2, ensure_ascii=False))
        else:
            rows = [row async for row in server.items("/stations")]
            table.show(rows, _COLUMNS, as_json=options.json, empty="no station yet; add one: pilotwire stations add ID")
    return 0


async def _add(server: Any, options: Any) -> int:
    body = {"id": options.id, "security_profile": options.profile}
    body |= {key: value for key in ("password", "organization", "serial") if (value := getattr(options, key))}
    made = await server.call("POST", "/stations", json=body)
    if options.json:
        print(json.dumps(made, ensure_ascii=False))
        return 0
    print(f"{made['id']} may connect with security profile {options.profile}")
    print(f"  URL       {made.get('url') or 'ws(s)://HOST:PORT/ocpp/' + made['id']}")
    if made.get("password"):
        print(f"  user      {made['id']}")
        print(f"  password  {made['password']}    (shown once)")
    if options.profile == 3:
        print(f"  client certificate with CN={options.serial or options.id} and O={options.organization}")
    return 0
