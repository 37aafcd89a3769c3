"""`pilotwire users`: people who may log in, and API keys for programs."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Sequence
from typing import Any

from pilotwire.cli import table
from pilotwire.cli.api import api, path
from pilotwire.cli.options import add_data, add_tenant, parser
from pilotwire.domain.permissions import ROLES


def main(name: str, arguments: Sequence[str]) -> int:
    top = parser(name, "Add, list or remove people who may log in; make or revoke API keys for programs.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="add|list|remove|reset|key|keys|revoke")
    add = verbs.add_parser("add", help="add a person, or set a new password; asks for it")
    add.add_argument("user", metavar="NAME")
    add.add_argument(
        "--role",
        choices=list(ROLES),
        help="what they may do; default: as it was, operator for somebody new",
    )
    add.add_argument("--site", action="append", metavar="SITE", help="a site that the person sees; may be repeated")
    add.add_argument("--token", action="append", metavar="TOKEN", help="a driver's own token; may be repeated")
    add.add_argument("--email", metavar="ADDRESS")
    listing = verbs.add_parser("list", help="list people")
    remove = verbs.add_parser("remove", help="remove a person")
    remove.add_argument("user", metavar="NAME")
    reset = verbs.add_parser("reset", help="forget a second factor: for a phone that is lost")
    reset.add_argument("user", metavar="NAME")
    key = verbs.add_parser("key", help="make an API key; it is shown once")
    key.add_argument("user", metavar="NAME", help="what the key is for")
    key.add_argument("--role", choices=list(ROLES), default="service", help="what it may do (%(default)s)")
    key.add_argument("--site", action="append", metavar="SITE", help="a site that it reaches; default: every one")
    keys = verbs.add_parser("keys", help="list API keys")
    revoke = verbs.add_parser("revoke", help="revoke an API key")
    revoke.add_argument("user", metavar="KEY-ID")
    for each in (add, listing, remove, reset, key, keys, revoke):
        add_data(each)
        add_tenant(each)
        each.add_argument("--json", action="store_true", help="print JSON")
    return asyncio.run(_run(top.parse_args(arguments)))


def _ask() -> str:
    """The new password: asked for on a terminal, else one line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass("new password (12 characters or more): ")
    return sys.stdin.readline().rstrip("\n")


async def _run(options: Any) -> int:
    async with api(options) as server:
        if options.verb == "add":
            known = {row["name"]: row["role"] async for row in server.items("/users")}
            role = options.role or known.get(options.user, "operator")
            more = {"sites": options.site, "tokens": options.token, "email": options.email}
            person = {"name": options.user, "password": _ask(), "role": role}
            person |= {name: value for name, value in more.items() if value is not None}
            await server.call("POST", "/users", json=person)
            print(f"{options.user} may log in as {role}")
        elif options.verb == "remove":
            await server.call("DELETE", path("users", options.user))
            print(f"{options.user} may no longer log in")
        elif options.verb == "reset":
            await server.call("DELETE", path("users", options.user, "second-factor"))
            print(f"{options.user} logs in with the password alone")
        elif options.verb == "key":
            key = {"name": options.user, "role": options.role, "sites": options.site}
            print((await server.call("POST", "/api-keys", json=key))["key"])
        elif options.verb == "revoke":
            await server.call("DELETE", path("api-keys", options.user))
            print(f"key {options.user} is revoked")
        elif options.verb == "keys":
            rows = [row async for row in server.items("/api-keys")]
            columns = {"id": "ID", "name": "FOR", "role": "ROLE", "created_at": "MADE", "last_used_at": "LAST USED"}
            table.show(rows, columns, as_json=options.json, empty="no API key yet; make one: pilotwire users key NAME")
        else:
            rows = [row async for row in server.items("/users")]
            columns = {"name": "NAME", "role": "ROLE", "created_at": "ADDED", "last_login_at": "LAST LOGIN"}
            table.show(rows, columns, as_json=options.json, empty="nobody yet; add someone: pilotwire users add NAME")
    return 0
