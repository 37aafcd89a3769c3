"""What booked rows change in the documents of reports: days, tables and totals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import add
from typing import TypeVar

from pilotwire.domain.ledger import Row, Sums
from pilotwire.storage.documents import Change, Delete, put, unpack
from pilotwire.storage.port import Store

from .books import every
from .records import END
from .report_records import DAY, TABLE, TOTAL, DayRows, Table, Totals, read, shard_of, table_names, total_id

K = TypeVar("K")


class Tables:
    """The figures of one tenant, as they are kept."""

    def __init__(self, store: Store, tenant: str, site_of: Callable[[str], str]) -> None:
        self._store, self._tenant, self._site_of = store, tenant, site_of
        self._orders: dict[str, dict[str, int]] = {}
        """Of stations and of sites: id → place in every table."""
        self._swept = ""

    async def changes(self, pending: dict[Row, Sums], fine: str) -> list[Change]:
        """What pending rows change; single days have tables from `fine` on. Gives way now and then: a large fleet has
        tens of thousands of rows."""
        days: dict[str, dict[Row, Sums]] = {}
        stations: dict[str, dict[str, Sums]] = {}
        sites: dict[str, dict[str, Sums]] = {}
        for count, (row, sums) in enumerate(pending.items()):
            days.setdefault(f"{shard_of(row.station)} {row.day}", {})[row] = sums
            into(stations.setdefault(row.day, {}), row.station, sums)
            into(sites.setdefault(row.day, {}), self._site_of(row.station), sums)
            if count % 2_000 == 1_999:
                await asyncio.sleep(0)
        changes: list[Change] = []
        for name, rows in sorted(days.items()):
            changes.append(await self._merge_day(name, rows))
            await asyncio.sleep(0)
        tables: dict[str, list[dict[str, Sums]]] = {}
        totals: dict[str, dict[str, Sums]] = {}
        for day in sorted(stations):
            for of_stations, of_sites in table_names(day, fine):
                tables.setdefault(of_stations, []).append(stations[day])
                tables.setdefault(of_sites, []).append(sites[day])
            for site, sums in sites[day].items():
                into(totals.setdefault(total_id(day[:7], ""), {}), day, sums)
                if site:
                    into(totals.setdefault(total_id(day[:7], site), {}), day, sums)
        for name, several in sorted(tables.items()):
            changes.append(await self._merge_table(name, several))
            await asyncio.sleep(0)
        for name, cells in sorted(totals.items()):
            known = await read(self._store, self._tenant, TOTAL, name, Totals) or {}
            for day, sums in cells.items():
                into(known, day, sums)
            changes.append(put(TOTAL, name, known, sort=name))
        return [*changes, *await self._old_tables(fine)]

    async def _old_tables(self, fine: str) -> list[Change]:
        """Tables of single days that nobody needs any more; looked for once a day."""
        if self._swept == fine:
            return []
        self._swept = fine
        found = await every(self._store, self._tenant, TABLE, "day ", f"day {fine}")
        found += await every(self._store, self._tenant, TABLE, "site-day ", f"site-day {fine}")
        return [Delete(TABLE, one.id) for one in found]

    async def _merge_day(self, name: str, rows: dict[Row, Sums]) -> Change:
        known = await read(self._store, self._tenant, DAY, name, DayRows) or {}
        for row, sums in rows.items():
            evses = known.setdefault(row.station, [])
            for one in evses:
                if one[0] == row.evse:
                    one[1:] = map(add, one[1:], sums)
                    break
            else:
                evses.append([row.evse, *sums])
        return put(DAY, name, known, sort=name)

    async def _merge_table(self, name: str, several: list[dict[str, Sums]]) -> Change:
        """Every table lists its ids in one order, as far as it goes, so that tables can be added column by column."""
        kind = "site-year " if name.startswith("site-") else "year "
        order = self._orders.get(kind)
        if order is None:
            longest: list[str] = []
            for one in await every(self._store, self._tenant, TABLE, kind, kind + END):
                longest = max(longest, unpack(one, Table).value.ids, key=len)
            order = self._orders[kind] = {id: place for place, id in enumerate(longest)}
        last = 0
        for sums in several:
            for id in sorted(sums.keys() - order.keys()):
                order[id] = len(order)
            last = max(last, max(order[id] for id in sums))
        table = await read(self._store, self._tenant, TABLE, name, Table) or Table()
        if last >= len(table.ids):
            more = list(order)[len(table.ids) : last + 1]
            table.ids += more
            for column in table.columns:
                column += [0] * len(more)
        for sums in several:
            places = [order[id] for id in sums]
            for column, values in zip(table.columns, zip(*sums.values(), strict=True), strict=True):
                if any(values):  # old sessions have nothing in half of the columns
                    for place, value in zip(places, values, strict=True):
                        column[place] += value
            await asyncio.sleep(0)
        return put(TABLE, name, table, sort=name)


def into(table: dict[K, Sums], key: K, sums: Sums) -> None:
    """Add sums to those of a key."""
    known = table.get(key)
    table[key] = list(sums) if known is None else list(map(add, known, sums))
