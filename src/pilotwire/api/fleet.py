"""The stations of a tenant in memory: what ten thousand of them are listed, filtered and sorted from.

Read from the store once, then kept: facts on the bus say which stations have changed, and those are read again, all at
once, before the next answer; so an answer holds what was committed before it was asked for. Present power comes on
`power.>`. Accounts are read again when the store says that one was written. Where several processes share a database,
what the others did is seen within `SHARED_MS`. Nobody asks for a while: nothing is kept and nothing is listened to.

Stations are shown and encoded once per change, however often they are asked for.
"""

from __future__ import annotations

import asyncio
import secrets
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from pilotwire.domain.records import Station, StationAccount
from pilotwire.transport.bus import Event, PowerNow, Subscription

from . import mapping, types
from .context import ApiContext
from .cursors import bad_cursor
from .listing import Key, Sort, cursor_after, order_of, place_in, question, sort_of

IDLE_S: Final = 300
SHARED_MS: Final = 2_000
_DRAIN_S: Final = 2
_WAITING: Final = 50_000
_REREAD: Final = 500
"""Stations read again with one question to the store; of more than four times as many, all are."""
_PAGES: Final = 256
"""Encoded pages that are kept."""

_encode = msgspec.json.encode


class StationQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for. Everything given has to hold; of several values of one field, one. In any case of letters."""

    connected: bool | None = None
    enabled: bool | None = None
    registered: bool | None = None
    status: tuple[str, ...] = ()
    """A connector says one of these."""
    vendor: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    ocpp_version: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    """Ids; "-" stands for none."""
    q: str = ""
    """Part of id, vendor, model, serial, firmware or note."""

    @property
    def everything(self) -> bool:
        return self == _EVERYTHING


_EVERYTHING: Final = StationQuery()


class Member:
    """One station as it is kept."""

    __slots__ = ("_json", "_power", "_shown", "_text", "account", "id", "record")

    def __init__(self, id: str, record: Station | None, account: StationAccount | None) -> None:
        self.id = id
        self.record = record
        self.account = account
        self._power: dict[tuple[int, int], tuple[str, int]] | None = None
        self._shown: types.Station | None = None
        self._json: bytes | None = None
        self._text = ""

    def changed(self, record: Station | None) -> None:
        """It was read again. What the bus said of its power holds on while the same session runs."""
        self.record = record
        if record is not None and self._power:
            running = {(one.evse, one.connector): one for one in record.connectors}
            for place, (session, power_w) in list(self._power.items()):
                one = running.get(place)
                if one is not None and one.session_id == session and session:
                    one.power_w = power_w
                else:
                    del self._power[place]
        self.forget()

    def power(self, news: PowerNow) -> bool:
        """Take in a present power; whether it is news."""
        if self._power is None:
            self._power = {}
        self._power[news.evse, news.connector] = (news.session_id, news.power_w)
        for one in self.record.connectors if self.record is not None else ():
            if (one.evse, one.connector) == (news.evse, news.connector):
                if one.power_w == news.power_w:
                    return False
                one.power_w = news.power_w
                self.forget()
                return True
        return False

    def forget(self) -> None:
        self._shown = self._json = None
        self._text = ""

    @property
    def shown(self) -> types.Station:
        """As the API shows it. Not to be changed."""
        if self._shown is None:
            self._shown = mapping.station(self.id, self.record, self.account)
        return self._shown

    @property
    def share(self) -> tuple[int, int, int]:
        """What it adds to the totals: online, connectors, faulted connectors."""
        record = self.record
        if record is None:
            return 0, 0, 0
        connectors = faulted = 0
        for one in record.connectors:
            if one.evse > 0:
                connectors += 1
            if one.status == "Faulted":
                faulted += 1
        return int(record.connected), connectors, faulted

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = _encode(self.shown)
        return self._json

    @property
    def text(self) -> str:
        """What is searched, case folded."""
        if not self._text:
            one = self.shown
            texts = (one.id, one.vendor, one.model, one.serial, one.firmware, one.note)
            self._text = "\n".join(texts).casefold()
        return self._text


SORTS: Final[dict[str, Callable[[types.Station], Key]]] = {
    "id": lambda one: one.id,
    "site": lambda one: one.site or None,
    "vendor": lambda one: one.vendor or None,
    "model": lambda one: one.model or None,
    "firmware": lambda one: one.firmware or None,
    "ocpp_version": lambda one: one.ocpp_version,
    "connected": lambda one: one.connected,
    "power_w": lambda one: one.power_w,
    "last_seen": lambda one: one.last_seen,
    "connected_at": lambda one: one.connected_at,
    "booted_at": lambda one: one.booted_at,
}
"""What the list can be sorted by."""


_Check = Callable[[types.Station], bool]


def _is(checks: list[_Check], name: str, value: bool | None) -> None:
    if value is not None:
        checks.append(lambda one: getattr(one, name) is value)


def _one_of(checks: list[_Check], name: str, values: tuple[str, ...]) -> None:
    if values:
        folded = frozenset(text.casefold() for text in values)
        checks.append(lambda one: (getattr(one, name) or "").casefold() in folded)


def _filter(wanted: StationQuery) -> Callable[[Member], bool]:
    checks: list[_Check] = []
    for name in ("connected", "enabled", "registered"):
        _is(checks, name, getattr(wanted, name))
    for name in ("vendor", "model", "firmware", "ocpp_version"):
        _one_of(checks, name, getattr(wanted, name))
    if wanted.site:
        sites = frozenset("" if one == "-" else one for one in wanted.site)
        checks.append(lambda one: one.site in sites)
    if wanted.status:
        states = frozenset(text.casefold() for text in wanted.status)
        checks.append(lambda one: any(connector.status.casefold() in states for connector in one.connectors))
    needle = wanted.q.casefold()

    def fits(member: Member) -> bool:
        shown = member.shown
        return all(check(shown) for check in checks) and (not needle or needle in member.text)

    return fits


class _Order:
    """The stations by one field, up or down."""

    __slots__ = ("ids", "key", "keys", "sort")

    def __init__(self, sort: Sort, members: Iterable[Member]) -> None:
        self.sort = sort
        self.key = SORTS[sort.field]
        rows: list[tuple[str, Any]] = sorted(
            ((one.id, order_of(self.key(one.shown))) for one in members), key=lambda row: row[0]
        )
        self.keys = dict(rows)
        # Sorting is stable: equal ones stay in order of their ids, up and down alike. What has no value comes last.
        present = sorted((row for row in rows if not row[1][0]), key=lambda row: row[1][1], reverse=sort.descending)
        self.ids = [id for id, _ in present] + [id for id, key in rows if key[0]]

    def after(self, place: tuple[Key, str]) -> int:
        """Where the list goes on after an item that had this key and id then, wherever that is now."""
        missing, key = order_of(place[0])
        descending = self.sort.descending
        wanted = (missing, _Turned(key) if descending else key, place[1])

        def of(id: str) -> Any:
            absent, its = self.keys[id]
            return (absent, _Turned(its) if descending else its, id)

        try:
            return bisect_right(self.ids, wanted, key=of)
        except TypeError:  # a key of another kind than this field's: made up
            raise bad_cursor() from None

    def still(self, member: Member | None, id: str) -> bool:
        """Whether a changed station keeps its place."""
        known = self.keys.get(id)
        if member is None or known is None:
            return member is None and known is None
        return order_of(self.key(member.shown)) == known


class _Turned:
    """Compares the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Turned) -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Turned) and other.key == self.key


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
        self._orders: dict[Sort, _Order] = {}
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
            order = self._orders[chosen] = _Order(chosen, self._members.values())
        start = order.after(place) if place is not None else 0
        fits = None if wanted.everything else _filter(wanted)
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
