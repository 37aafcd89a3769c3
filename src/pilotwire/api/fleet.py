"""The stations of a tenant in memory: what ten thousand of them are listed, filtered and sorted from.

Read from the store once, then kept: facts on the bus say which stations have changed, and those are read again, all at
once, before the next answer; so an answer holds what was committed before it was asked for. Present power comes on
`power.>`. Accounts are read again when the store says that one was written. Where several processes share a database,
what the others did is seen within `SHARED_MS`. Nobody asks for a while: nothing is kept and nothing is listened to.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from pilotwire.domain.records import Station, StationAccount
from pilotwire.transport.bus import Event, PowerNow, Subscription

from .context import ApiContext
from .fleet_member import Member
from .fleet_query import SORTS, Order, StationQuery, filter_of
from .listing import Sort, cursor_after, place_in, question, sort_of

IDLE_S: Final = 300
SHARED_MS: Final = 2_000
_DRAIN_S: Final = 2
_WAITING: Final = 50_000
_REREAD: Final = 500
"""Stations read again with one question to the store; of more than four times as many, all are."""
_PAGES: Final = 256
"""Encoded pages that are kept."""

_encode = msgspec.json.encode


class Found(msgspec.Struct, frozen=True):
    """A page of members."""

    members: list[Member]
    next: str | None
    total: int | None


class Fleet:
    """The stations of one tenant."""

    def __init__(self, context: ApiContext, tenant: str) -> None:
        self._context = context
        self._store = context.store
        self.tenant = tenant
        self.version = 0
        """Rises with every change of any station."""
        self.name = secrets.token_hex(4)
        """Of this run of the index: versions of another one mean something else."""
        self._members: dict[str, Member] = {}
        self._orders: dict[Sort, Order] = {}
        self._pages: OrderedDict[object, tuple[int, bytes, str]] = OrderedDict()
        self._dirty: set[str] = set()
        self._lock = asyncio.Lock()
        self._subscription: tuple[Subscription, Subscription] | None = None
        self._shed = 0
        self._accounts_at = -1
        self._read_at = 0
        self._used_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # -- keeping up ---------------------------------------------------------------------------------------------------
    def touch(self, station_id: str) -> None:
        """A person changed something about it."""
        self._dirty.add(station_id)

    async def fresh(self) -> None:
        """Bring it up to now."""
        loop = asyncio.get_running_loop()
        self._used_at = loop.time()
        if self._subscription is not None and not self._lock.locked() and not self._behind():
            return
        async with self._lock:
            if self._subscription is None:
                await self._load(loop)
            elif self._behind():
                await self._catch_up()

    def _behind(self) -> bool:
        """Whether anything is to be read again."""
        self.hear()
        if self._dirty or self._accounts_at != self._store.account_changes:
            return True
        return self._store.shared and self._context.scheduler.now() - self._read_at >= SHARED_MS

    def hear(self) -> None:
        """Take in what the bus said: present power at once, what is to be read again when it is asked for."""
        if self._subscription is None:
            return
        facts, powers = self._subscription
        for _, news in facts.drain(_WAITING):
            if isinstance(news, Event):
                self._dirty.add(news.station)
        for _, news in powers.drain(_WAITING):
            member = self._members.get(news.station) if isinstance(news, PowerNow) else None
            if member is not None and member.power(news):
                self._moved(member, member.id)
        if facts.shed != self._shed:
            self._shed = facts.shed
            self._read_at = -SHARED_MS
            self._dirty.update(self._members)

    async def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        bus = self._context.bus
        self._subscription = (
            bus.subscribe(f"facts.{self.tenant}.>", limit=_WAITING),
            bus.subscribe(f"power.{self.tenant}.>", limit=_WAITING),
        )
        self._shed = 0
        self._dirty.clear()
        try:
            await self._read_all()
        except BaseException:
            self._rest()
            raise
        if self._timer is None:
            self._timer = loop.call_later(_DRAIN_S, self._look, loop)

    async def _read_all(self) -> None:
        changes = self._store.account_changes
        self._read_at = self._context.scheduler.now()
        accounts = {one.id: one for one in await self._store.accounts(self.tenant)}
        records = {one.id: one for one in await self._store.some_stations(self.tenant, None)}
        before = self._members
        members: dict[str, Member] = {}
        for id in {*records, *accounts}:
            member = before.get(id) or Member(id, None, None)
            member.account = accounts.get(id)
            member.changed(records.get(id))
            members[id] = member
        self._members = members
        self._accounts_at = changes
        self._orders.clear()
        self.version += 1

    async def _catch_up(self) -> None:
        if self._store.shared and self._context.scheduler.now() - self._read_at >= SHARED_MS:
            self._dirty.clear()
            await self._read_all()
            return
        if self._accounts_at != self._store.account_changes:
            changes = self._store.account_changes
            self._take_accounts({one.id: one for one in await self._store.accounts(self.tenant)})
            self._accounts_at = changes
        dirty, self._dirty = sorted(self._dirty), set()
        try:
            if len(dirty) > 4 * _REREAD:
                self._take(dirty, await self._store.some_stations(self.tenant, None))
                return
            for start in range(0, len(dirty), _REREAD):
                part = dirty[start : start + _REREAD]
                self._take(part, await self._store.some_stations(self.tenant, part))
        except BaseException:
            self._dirty.update(dirty)
            raise

    def _take(self, ids: Sequence[str], found: Iterable[Station]) -> None:
        records = {one.id: one for one in found}
        for id in ids:
            record, member = records.get(id), self._members.get(id)
            if member is None:
                if record is None:
                    continue
                member = self._members[id] = Member(id, record, None)
            else:
                member.changed(record)
            self._settle(member)

    def _take_accounts(self, accounts: dict[str, StationAccount]) -> None:
        for id in {*accounts, *(id for id, member in self._members.items() if member.account is not None)}:
            account, member = accounts.get(id), self._members.get(id)
            if member is None:
                member = self._members[id] = Member(id, None, account)
            elif member.account == account:
                continue
            member.account = account
            member.forget()
            self._settle(member)

    def _settle(self, member: Member) -> None:
        if member.record is None and member.account is None:
            del self._members[member.id]
            self._moved(None, member.id)
        else:
            self._moved(member, member.id)

    def _moved(self, member: Member | None, id: str) -> None:
        self.version += 1
        for sort, order in list(self._orders.items()):
            if not order.still(member, id):
                del self._orders[sort]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """From time to time: keep the queues short, and stop when nobody has asked for long."""
        self._timer = None
        if loop.time() - self._used_at > IDLE_S or self._context.closing.is_set():
            self._rest()
            return
        self.hear()
        self._timer = loop.call_later(_DRAIN_S, self._look, loop)

    def _rest(self) -> None:
        for one in self._subscription or ():
            one.close()
        self._subscription = None
        self._members, self._dirty = {}, set()
        self._orders.clear()
        self._pages.clear()

    # -- reading ------------------------------------------------------------------------------------------------------
    async def member(self, id: str) -> Member | None:
        """One station."""
        await self.fresh()
        return self._members.get(id)

    def known(self, id: str) -> Member | None:
        """One station as it was when last looked at."""
        return self._members.get(id)

    async def members(self, visible: frozenset[str] | None = None) -> list[Member]:
        """All that are seen, in no order."""
        await self.fresh()
        return list(self._seen(visible))

    def _seen(self, visible: frozenset[str] | None) -> Iterator[Member]:
        if visible is None:
            yield from self._members.values()
        else:
            for id in visible:
                if (member := self._members.get(id)) is not None:
                    yield member

    async def page(
        self,
        wanted: StationQuery,
        *,
        visible: frozenset[str] | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
    ) -> Found:
        """A page. Raises Problem 400 for a sort or cursor that is none."""
        await self.fresh()
        return self._page(wanted, visible, sort, cursor, limit, count)

    def _page(
        self,
        wanted: StationQuery,
        visible: frozenset[str] | None,
        sort: str | None,
        cursor: str | None,
        limit: int,
        count: bool,
    ) -> Found:
        chosen = sort_of(sort, SORTS, "id")
        asked = question("stations", chosen, msgspec.to_builtins(wanted)) if not wanted.everything else chosen.text
        place = place_in(cursor, asked, tuple[str | float | int | bool | None, str])
        order = self._orders.get(chosen)
        if order is None:
            order = self._orders[chosen] = Order(chosen, self._members.values())
        start = order.after(place) if place is not None else 0
        fits = None if wanted.everything else filter_of(wanted)
        found: list[Member] = []
        for id in (
            order.ids[start:] if fits is not None or visible is not None else order.ids[start : start + limit + 1]
        ):
            member = self._members[id]
            if (visible is None or id in visible) and (fits is None or fits(member)):
                found.append(member)
                if len(found) > limit:
                    break
        following = None
        if len(found) > limit:
            del found[limit:]
            last = found[-1]
            following = cursor_after(asked, (SORTS[chosen.field](last.shown), last.id))
        total = None
        if count:
            seen = self._members.values() if visible is None else self._seen(visible)
            total = sum(1 for one in seen if fits is None or fits(one))
        return Found(found, following, total)

    async def encoded(
        self,
        wanted: StationQuery,
        *,
        visible: frozenset[str] | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
    ) -> tuple[bytes, str]:
        """A page as the JSON of a StationPage, and its ETag. Kept until a station changes."""
        await self.fresh()
        asked = (wanted, visible, sort, cursor, limit, count)
        kept = self._pages.get(asked)
        if kept is not None and kept[0] == self.version:
            return kept[1], kept[2]
        page = self._page(*asked)
        total = b"" if page.total is None else b',"total":%d' % page.total
        items = b",".join([one.json for one in page.members])
        body = b'{"items":[%b],"next":%b%b}' % (items, _encode(page.next), total)
        seen = "" if visible is None else f".{hash(visible) & 0xFFFFFFFF:x}"
        tag = f'W/"{self.name}.{self.version:x}{seen}"'
        self._pages[asked] = (self.version, body, tag)
        self._pages.move_to_end(asked)
        if len(self._pages) > _PAGES:
            self._pages.popitem(last=False)
        return body, tag

    async def facets(self, visible: frozenset[str] | None = None) -> dict[str, dict[str, int]]:
        """What there is to filter by: field → value → how many stations."""
        await self.fresh()
        found: dict[str, dict[str, int]] = {
            name: {} for name in ("vendor", "model", "firmware", "ocpp_version", "site")
        }
        for member in self._seen(visible):
            for name, counts in found.items():
                value = getattr(member.shown, name) or ""
                counts[value] = counts.get(value, 0) + 1
        return found


def fleet_of(context: ApiContext, tenant: str) -> Fleet:
    """The one index of a tenant's stations."""
    fleets: dict[str, Fleet] = context.parts.setdefault(Fleet, {})
    if tenant not in fleets:
        fleets[tenant] = Fleet(context, tenant)
    return fleets[tenant]


WARM_FROM: Final = 500


async def warm_fleet(context: ApiContext, tenant: str) -> bool:
    """Read a large fleet before anybody asks, in small steps. False: it is a small one, which is read fast enough when
    it is asked for; and a server whose stations only come now has nothing to read."""
    page = await context.store.stations(tenant, limit=WARM_FROM)
    if page.next is None:
        return False
    for number, member in enumerate(await fleet_of(context, tenant).members()):
        _ = member.shown
        if number % 100 == 0:
            await asyncio.sleep(0)
    return True
