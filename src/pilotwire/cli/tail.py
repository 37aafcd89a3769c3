"""`pilotwire tail`: frames as they pass through a running server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from pilotwire.cli.api import ApiFailed, api, problem
from pilotwire.cli.options import add_data, add_tenant, parser, positive
from pilotwire.core.errors import LocalError, TransientError


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Watch OCPP frames as they pass: > to the station, < from it. Ctrl-C ends it.")
    options.add_argument("station", nargs="?", metavar="STATION", help="only of this station")
    options.add_argument("--action", help="only frames in which this text occurs, e.g. MeterValues")
    options.add_argument("--count", type=positive, metavar="N", help="stop after N frames")
    options.add_argument("--json", action="store_true", help="print JSON Lines")
    add_data(options)
    add_tenant(options)
    return asyncio.run(_run(options.parse_args(arguments)))


async def _run(options: Any) -> int:
    import httpx

    async with api(options) as server:
        if not server.live:
            raise LocalError("no server runs over this data directory; start one: pilotwire run")
        params = {"station": options.station} if options.station else {}
        left = options.count
        try:
            async with server.http.stream("GET", "/api/v1/frames", params=params, timeout=None) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise ApiFailed(problem(answer))
                async for line in answer.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    frame = json.loads(line[5:])
                    if "text" not in frame or (options.action and options.action not in frame["text"]):
                        continue
                    print(json.dumps(frame, ensure_ascii=False) if options.json else render(frame), flush=True)
                    if left is not None:
                        left -= 1
                        if left <= 0:
                            return 0
        except httpx.TransportError as error:
            raise TransientError(f"the server went away: {error}") from error
    raise TransientError("the server has stopped")


def render(frame: dict[str, Any]) -> str:
    """`12:00:00.000  CP-1  <  [2,…]`"""
    arrow = "<" if frame["direction"] == "in" else ">"
    return f"{frame['time'][11:23]}  {frame['station_id']:<20}  {arrow}  {frame['text']}"
