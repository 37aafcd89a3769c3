"""`pilotwire tokens`: who may charge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pilotwire.cli import table
from pilotwire.cli.api import api, path
from pilotwire.cli.options import add_data, add_tenant, parser

_COLUMNS = {
    "token": "TOKEN",
    "type": "TYPE",
    "status": "STATUS",
    "parent": "GROUP",
    "expires_at": "EXPIRES",
    "note": "NOTE",
}


def main(name: str, arguments: Sequence[str]) -> int:
    top = parser(name, "Add, list or remove the tokens (IdToken, idTag) that may charge.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="add|list|remove")
    add = verbs.add_parser("add", help="let a token charge, or change what it may")
    add.add_argument("token", metavar="TOKEN", help="as the station sends it, e.g. the RFID card's UID in hex")
    add.add_argument("--type", default="ISO14443", help="IdToken type (%(default)s)")
    add.add_argument("--status", default="Accepted", choices=["Accepted", "Blocked", "Expired", "Invalid"])
    add.add_argument("--group", default="", help="group token (parentIdTag, groupIdToken)")
    add.add_argument("--note", default="")
    listing = verbs.add_parser("list", help="list tokens")
    remove = verbs.add_parser("remove", help="forget a token")
    remove.add_argument("token", metavar="TOKEN")
    for each in (add, listing, remove):
        add_data(each)
        add_tenant(each)
        each.add_argument("--json", action="store_true", help="print JSON")
    return asyncio.run(_run(top.parse_args(arguments)))


async def _run(options: Any) -> int:
    async with api(options) as server:
        if options.verb == "add":
            body = {"token": options.token, "type": options.type, "status": options.status}
            body |= {"parent": options.group, "note": options.note}
            await server.call("POST", "/tokens", json=body)
            print(f"{options.token}: {options.status}")
        elif options.verb == "remove":
            await server.call("DELETE", path("tokens", options.token))
            print(f"{options.token} is forgotten")
        else:
            rows = [row async for row in server.items("/tokens")]
            table.show(rows, _COLUMNS, as_json=options.json, empty="no token yet; add one: pilotwire tokens add TOKEN")
    return 0
