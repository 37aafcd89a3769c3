"""`pilotwire sessions`: what has been charged, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pilotwire.cli import table
from pilotwire.cli.api import api
from pilotwire.cli.options import add_data, add_tenant, parser

_COLUMNS = {
    "id": "SESSION",
    "station_id": "STATION",
    "evse": "EVSE",
    "token": "TOKEN",
    "status": "STATUS",
    "started_at": "STARTED",
    "ended_at": "ENDED",
    "energy": "ENERGY",
    "stop_reason": "STOPPED BY",
}


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "List charging sessions, newest first.")
    options.add_argument("--station", help="of one station")
    options.add_argument("--status", choices=["active", "ended"])
    options.add_argument("--limit", type=int, default=50, help="at most so many (%(default)s)")
    options.add_argument("--json", action="store_true", help="print JSON Lines, all fields")
    add_data(options)
    add_tenant(options)
    return asyncio.run(_run(options.parse_args(arguments)))


async def _run(options: Any) -> int:
    wanted = {key: value for key in ("station", "status") if (value := getattr(options, key))}
    rows: list[dict[str, Any]] = []
    async with api(options) as server:
        async for row in server.items("/sessions", **wanted):
            if len(rows) >= options.limit:
                break
            rows.append(row if options.json else row | {"energy": kwh(row["energy_wh"])})
    table.show(rows, _COLUMNS, as_json=options.json, empty="no session yet")
    return 0


def kwh(wh: int) -> str:
    """`2500` → `2.500 kWh`."""
    return f"{Decimal(wh).scaleb(-3):.3f} kWh"
