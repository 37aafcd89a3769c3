"""`pilotwire audit`: who did what, and whether the log of it is whole."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilotwire.cli import table
from pilotwire.cli.api import ApiFailed, api, problem
from pilotwire.cli.options import add_data, add_tenant, parser, positive

_FILTERS = ("actor", "action", "target", "since", "until")


def main(name: str, arguments: Sequence[str]) -> int:
    top = parser(name, "Read, export or verify the audit log of a tenant, beside a running server or without one.")
    top.epilog = "exit status of verify: 0 the chain is whole, 1 it is not (the first bad row is named)"
    verbs = top.add_subparsers(dest="verb", required=True, metavar="verify|list|export")
    verify = verbs.add_parser("verify", help="look at every row: changed, deleted, moved or cut off?")
    verify.add_argument("--head", metavar="DIGEST", help="a digest noted before: the chain must still hold it")
    listing = verbs.add_parser("list", help="the newest rows")
    listing.add_argument("--limit", type=positive, default=50, metavar="N", help="at most so many (%(default)s)")
    export = verbs.add_parser("export", help="every row, the oldest first")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="%(default)s")
    export.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    for each in (listing, export):
        each.add_argument("--actor", metavar="NAME", help="only what this person or key did")
        each.add_argument("--action", metavar="ACTION", help="only this, or all of a resource, e.g. stations")
        each.add_argument("--target", metavar="TEXT", help="only of targets that hold this text")
        each.add_argument("--since", metavar="TIME", help="only from then on, e.g. 2026-03-01T00:00:00Z")
        each.add_argument("--until", metavar="TIME", help="only before then")
    for each in (verify, listing, export):
        add_data(each)
        add_tenant(each)
        each.add_argument("--json", action="store_true", help="print JSON")
    return asyncio.run(_run(top.parse_args(arguments)))


async def _run(options: Any) -> int:
    async with api(options) as server:
        match options.verb:
            case "verify":
                return await _verify(server, options)
            case "list":
                return await _list(server, options)
            case _:
                return await _export(server, options)


async def _verify(server: Any, options: Any) -> int:
    verdict = await server.call("GET", "/audit/verify", timeout=600)
    if options.json:
        import json

        print(json.dumps(verdict))
    elif verdict["sound"]:
        print(f"{verdict['rows']:,} rows, the chain is whole; its head is {verdict['head']}")
    else:
        print(f"the audit log was tampered with: {verdict['fault']} ({verdict['rows']:,} sound rows before it)")
    if verdict["sound"] and options.head and not await _holds(server, options.head):
        print(f"the chain does not hold {options.head}: it was replaced by another", file=sys.stderr)
        return 1
    return 0 if verdict["sound"] else 1


async def _holds(server: Any, digest: str) -> bool:
    async for row in server.items("/audit"):
        if row["digest"] == digest.lower():
            return True
    return False


def _wanted(options: Any) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _FILTERS if getattr(options, name)}


async def _list(server: Any, options: Any) -> int:
    rows: list[dict[str, Any]] = []
    async for row in server.items("/audit", **_wanted(options)):
        rows.append(row)
        if len(rows) == options.limit:
            break
    columns = {"seq": "ROW", "time": "TIME", "actor": "WHO", "action": "WHAT", "target": "TO", "reason": "WHY"}
    table.show(rows, columns, as_json=options.json, empty="nothing is in the audit log")
    return 0


async def _export(server: Any, options: Any) -> int:
    params = {"format": options.format, **_wanted(options)}
    async with server.http.stream("GET", "/api/v1/audit/export", params=params, timeout=None) as answer:
        if answer.is_error:
            await answer.aread()
            raise ApiFailed(problem(answer))
        if options.output is None:
            async for piece in answer.aiter_text():
                sys.stdout.write(piece)
            return 0
        with options.output.open("wb") as file:
            async for piece in answer.aiter_bytes():
                file.write(piece)
    print(f"written to {options.output}", file=sys.stderr)
    return 0
