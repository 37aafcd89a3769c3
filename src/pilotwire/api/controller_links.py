"""Where boxes at sites connect: `/api/v1/sites/{site_id}/controller/link`, a WebSocket (`protocols.sitelink`).

Who may: an API key with `controllers:serve` that reaches the site (role `site-controller`, with the site); the site has
to be known here. All of that is checked before the upgrade, and refused as a problem with words that the box tells its
operator.

One box per site. When another connection comes, the one that stands is asked whether somebody is still there: if so the
newcomer is refused, else it takes over within three seconds. A box has one connection, so one that comes back has left
a dead one behind, whether we knew it or not. So neither a copied configuration nor a copied disk (which has the box's
own id, `Pilotwire-Box`, too) makes two boxes speak in turn as one site, and a box that is replaced needs no help.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from litestar.types import Receive, Scope, Send

from pilotwire.core.machines import Close
from pilotwire.core.machines import Send as SendData
from pilotwire.protocols.sitelink import (
    BOX_HEADER,
    SUBPROTOCOL,
    Busy,
    CentralEnd,
    Greeted,
    Settled,
    Ticked,
    version_of,
)
from pilotwire.protocols.sitelink.central import ANSWER_MS
from pilotwire.protocols.sitelink.frames import VERSION
from pilotwire.translate import site_link

from . import audit
from .access import Principal, access_of
from .context import ApiContext
from .guard import Guard, unslash
from .language import _
from .problems import MEDIA_TYPE, Problem, not_found, problem
from .remote_controller import RemoteController
from .resources.controllers import Controllers
from .resources.sites import SITES
from .scope import sees_site
from .tenancy import bound

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

_PATH: Final = re.compile(r"/api/v1/sites/([^/]+)/controller/link")
_BOX: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
PROBE_S: Final = 3.0
"""So long the box that is connected has to say that it is still there."""
LOOK_S: Final = 1.0
STILL_S: Final = 5.0
"""How often it is asked whether the key still counts and the site is still there."""
AUDIT_MS: Final = 3_600_000
"""A box that comes and goes is written down at most so often."""
OPEN: Final = 5
"""Questions at a time; others wait."""


def is_link(path: str) -> bool:
    """Whether this is an address at which a box connects."""
    return _PATH.fullmatch(path) is not None


class _Link:
    """One connection of a box."""

    def __init__(self, links: Links, principal: Principal, site_id: str, box: str, send: Send) -> None:
        self.principal, self.site_id, self.box = principal, site_id, box
        self.remote = links.remote(principal.tenant, site_id)
        self.end = CentralEnd(links.clock())
        self.over = asyncio.Event()
        self._links, self._send = links, send
        self._waiting: dict[int, asyncio.Future[Settled]] = {}
        self._turn = asyncio.Semaphore(OPEN)
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        self._why = ""

    async def run(self, receive: Receive) -> str:
        """Until it ends; why it did."""
        tasks = [asyncio.ensure_future(each) for each in (self._read(receive), self._write(), self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.over.set()
            self._do(self.end.lost(self._links.clock()))
            for future in self._waiting.values():
                if not future.done():
                    future.set_result(Settled(0, None, "lost", _("the connection to the site is lost")))
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            for each in done:
                if isinstance(each, Exception) and not isinstance(each, OSError):
                    log.error("a link to a site has failed", exc_info=each)
            with contextlib.suppress(Exception):  # it may be closed already, in any of a carrier's ways
                await self._send({"type": "websocket.close", "code": 1008 if self._why else 1001, "reason": self._why})
        return self._why

    async def ask(self, method: str, arguments: bytes) -> Settled:
        """A question, and what became of it; more than a few at once wait for their turn."""
        try:
            async with asyncio.timeout(ANSWER_MS / 1_000):
                await self._turn.acquire()
        except TimeoutError:
            return Settled(0, None, "busy")
        try:
            if self.over.is_set():
                return Settled(0, None, "lost", _("the connection to the site is lost"))
            try:
                id, effects = self.end.ask(method, arguments, self._links.clock())
            except Busy:
                return Settled(0, None, "busy")
            future = self._waiting[id] = asyncio.get_running_loop().create_future()
            try:
                self._do(effects)
                return await future
            finally:
                del self._waiting[id]
        finally:
            self._turn.release()

    async def alive(self) -> bool:
        """Whether the box still answers."""
        try:
            async with asyncio.timeout(PROBE_S):
                return (await self.ask("now", site_link.question("now"))).kind not in ("lost", "late", "busy")
        except TimeoutError:
            return False

    def refuse(self, why: str) -> None:
        """It does what it must not."""
        self._do(self.end.refuse(why))

    def cut(self, why: str) -> None:
        """We end it, through no fault of the box."""
        self._why = why
        self.over.set()

    def _do(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if isinstance(effect, SendData):
                try:
                    self._out.put_nowait(effect.data)
                except asyncio.QueueFull:  # small frames that a box does not read: it is not there
                    self.cut("it does not read what it is told")
            elif isinstance(effect, Close):
                self._why = effect.reason
                self._links.counts["cut"] += 1
                self.over.set()
            elif isinstance(effect, Settled):
                future = self._waiting.get(effect.id)
                if future is not None and not future.done():
                    future.set_result(effect)
            elif isinstance(effect, Greeted):
                self.remote.up(effect.hello, self.ask, self.refuse)
                self.remote.on_watching = lambda every_ms: self._do(self.end.watch(every_ms))
                self._do(self.end.watch(self.remote.every_ms))
            elif isinstance(effect, Ticked):
                self._ticked(effect.now)

    def _ticked(self, data: bytes) -> None:
        self._links.counts["ticks"] += 1
        try:
            self.remote.heard(site_link.stated(data))
        except site_link.BadContent as error:
            self.refuse(f"{self._versions()}a state is not understood: {error}")

    def _versions(self) -> str:
        """What may be why it is not understood."""
        theirs, ours = self.remote.hello.program, self._links.version
        return f"the box runs {theirs or '?'}, this system {ours}: update the older one; " if theirs != ours else ""

    async def _read(self, receive: Receive) -> None:
        while not self.over.is_set():
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.receive":
                self._do(self.end.receive(message.get("bytes") or b"", self._links.clock()))

    async def _write(self) -> None:
        """A box that takes nothing holds up nobody but itself."""
        while (data := await self._out.get()) is not None:
            async with asyncio.timeout(ANSWER_MS / 1_000):
                await self._send({"type": "websocket.send", "bytes": data, "text": None})

    async def _watch(self) -> None:
        looked = self._links.clock()
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.over.wait()
            now = self._links.clock()
            self._do(self.end.elapse(now))
            if not self.over.is_set() and now - looked >= STILL_S * 1_000:
                looked = now
                if why := await self._links.no_longer(self.principal, self.site_id):
                    self.cut(why)


class Links:
    """All boxes that are connected to this process; an ASGI application for their WebSockets."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._guard = Guard(context)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._links: dict[tuple[str, str], _Link] = {}
        self._remotes: dict[tuple[str, str], RemoteController] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._told: dict[tuple[str, ...], int] = {}

    @staticmethod
    def of(context: ApiContext) -> Links:
        """The one of a context."""
        found: Links | None = context.parts.get(Links)
        if found is None:
            found = context.parts[Links] = Links(context)
        return found

    @property
    def version(self) -> str:
        """Of this program."""
        return self._context.config.version

    def clock(self) -> int:
        """By which links wait: it never goes back."""
        return int(asyncio.get_running_loop().time() * 1_000)

    def remote(self, tenant: str, site_id: str) -> RemoteController:
        """The controller of a site, which outlives its connections."""
        key = (tenant, site_id)
        if key not in self._remotes:
            self._remotes[key] = RemoteController(site_id, lambda: int(self._context.scheduler.now()))
        return self._remotes[key]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end."""
        if (await receive())["type"] != "websocket.connect":
            return
        found = _PATH.fullmatch(scope["path"])
        try:
            if found is None:
                raise problem("not-found")
            principal, site_id, box = await self._admit(scope, unslash(found[1]))
            key = (principal.tenant, site_id)
            async with self._locks.setdefault(key, asyncio.Lock()):
                await self._make_room(principal, site_id, box)
                link = _Link(self, principal, site_id, box, send)
                self._links[key] = link
        except Problem as error:
            self.refused[error.name] += 1
            await _refuse(error, send)
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL, "headers": []})
        await self._serve(key, link, receive, scope)

    async def _admit(self, scope: Scope, site_id: str) -> tuple[Principal, str, str]:
        """Raises Problem."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        principal = await self._guard.admit_program(scope, headers)
        principal.need("controllers:serve")
        if not sees_site(principal, site_id):
            raise problem("not-allowed", _("This key does not reach the site {site}.", site=repr(site_id[:80])))
        context = bound(self._context, principal.tenant)
        if await SITES.find(context, principal.tenant, site_id) is None:
            raise not_found("site", site_id)
        version = version_of(scope.get("subprotocols") or ())
        if version != VERSION:
            said = _("no version") if version is None else _("version {n}", n=version)
            older = version is not None and version < VERSION
            raise problem(
                "bad-parameter",
                _("The box speaks {said} of the link, this central system version {n}.", said=said, n=VERSION)
                + " "
                + (_("Update the box.") if older else _("Update the central system, or the box.")),
            )
        box = headers.get(BOX_HEADER, "")
        if not _BOX.fullmatch(box):
            raise problem("bad-parameter", _("The box does not show its own id (header {header}).", header=BOX_HEADER))
        return principal, site_id, box

    async def _make_room(self, principal: Principal, site_id: str, box: str) -> None:
        """The box that is connected gives way, or is still there and this one is refused: Problem 409."""
        there = self._links.get((principal.tenant, site_id))
        if there is None or there.over.is_set():
            return
        if await there.alive():
            await self._note(principal, site_id, "controllers.refuse", box, {"box": box, "connected": there.box})
            raise problem(
                "in-use",
                _(
                    "Another box serves the site {site} and answers. Switch it off first; a box that is a copy of it "
                    "needs a site and a key of its own.",
                    site=site_id,
                ),
            )
        there.cut("the same box has come back" if there.box == box else "another box has taken over")
        self.counts["replaced"] += 1

    async def _serve(self, key: tuple[str, str], link: _Link, receive: Receive, scope: Scope) -> None:
        self.counts["connected"] += 1
        Controllers.of(self._context).add(link.site_id, link.remote, tenant=link.principal.tenant)
        client = scope.get("client")
        seen = {"box": link.box, "from": client[0] if client else ""}
        why = ""
        try:
            await self._note(link.principal, link.site_id, "controllers.link", link.box, seen)
            why = await link.run(receive)
        finally:
            if self._links.get(key) is link:
                del self._links[key]
                link.remote.down()
        if why:
            await self._note(link.principal, link.site_id, "controllers.cut", why, {"box": link.box, "why": why})
        if await SITES.find(bound(self._context, key[0]), key[0], link.site_id) is None and key not in self._links:
            self._remotes.pop(key, None)
            Controllers.of(self._context).remove(link.site_id, tenant=key[0])

    async def no_longer(self, principal: Principal, site_id: str) -> str:
        """Why a box may not go on; "" where it may."""
        if not await access_of(self._context).still(principal):
            return "its key counts no longer"
        context = bound(self._context, principal.tenant)
        return "" if await SITES.find(context, principal.tenant, site_id) else "the site is not here any more"

    async def _note(self, principal: Principal, site_id: str, action: str, of: str, detail: dict[str, Any]) -> None:
        """Written down, but not each time that a line is bad."""
        now = int(self._context.scheduler.now())
        key = (principal.tenant, site_id, action, of, principal.login)
        if now - self._told.get(key, -AUDIT_MS) < AUDIT_MS:
            return
        if len(self._told) > 10_000:
            self._told.clear()
        self._told[key] = now
        await audit.record(
            bound(self._context, principal.tenant), principal, action, f"site {site_id}", detail=detail
        )  # fmt: skip

    def metrics(self) -> Iterator[Metric]:
        """For `/metrics`."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield GaugeMetricFamily("pilotwire_site_links", "Boxes that are connected now", len(self._links))
        for name, text in _COUNTED.items():
            yield CounterMetricFamily(f"pilotwire_site_links_{name}", text, self.counts[name])
        refused = CounterMetricFamily("pilotwire_site_links_refused", "Boxes that were refused", labels=["problem"])
        for name, count in self.refused.items():
            refused.add_metric([name], count)
        yield refused


_COUNTED: Final = {
    "connected": "Connections of boxes",
    "replaced": "Connections that gave way to another one of their site",
    "cut": "Connections that ended since the box did what it must not, or was silent",
    "ticks": "States that boxes have sent",
}


async def _refuse(refused: Problem, send: Send) -> None:
    """An answer of HTTP in place of the upgrade."""
    body = refused.encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in refused.headers.items()]
    await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
