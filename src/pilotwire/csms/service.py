"""The central system as a part of a process: books, actors, and the bus around them. The only file here that awaits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from pilotwire.core.ids import Ids, StationKey
from pilotwire.core.time import Scheduler
from pilotwire.crypto.vault import Vault
from pilotwire.domain.records import Command, StationAccount
from pilotwire.storage.port import Store
from pilotwire.transport.bus import Bus, CommandReply, CommandRequest, HandshakesAsked, Refused, Subscription
from pilotwire.transport.port import Endpoint, Handshake, Receiver

from . import remedies
from .actor import StationActor
from .admission import Admission, Verify
from .around import Around, CsmsConfig
from .certificates.desk import Desk
from .certificates.keeper import StoreKeeper
from .certificates.revoked import Revocations
from .certificates.shown import Shown
from .counters import Counters
from .prices import supply

__all__ = ["SETTINGS", "CentralSystem", "CsmsConfig"]

SETTINGS = "settings.>"
"""Subjects on which whoever changes accounts or tokens says so; the message does not matter."""
SETTINGS_CHANGED = "settings.changed"
"""The same as a request: the answer comes when the change counts."""

_log = structlog.get_logger("pilotwire.csms")


def _say(event: str, key: StationKey, **details: Any) -> None:
    _log.warning(event, station=str(key), **details)


class CentralSystem:
    """Serve `endpoint` by a listener between `start` and `stop`.

    Commands come as requests on `command.<tenant>.<station>`; facts, frames and powers go out as `transport.bus` says.
    """

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        scheduler: Scheduler,
        ids: Ids,
        config: CsmsConfig | None = None,
        verify: Verify,
        hash_password: Callable[[bytes], str] | None = None,
        secret: bytes | None = None,
        spawn: Callable[[Coroutine[Any, Any, None]], None] | None = None,
        log: Any = _say,
    ) -> None:
        """`verify(verifier, password)` judges a station's password, in the same time for right and wrong;
        `hash_password` makes such a verifier, for passwords that are changed by command. `secret`: the installation's,
        which locks the certificate authority's keys. `spawn` runs coroutines that nobody waits for; a simulation, whose
        store never waits, runs them at once, and then nobody outside is asked about certificates.
        """
        self._around = Around(
            store=store,
            bus=bus,
            scheduler=scheduler,
            ids=ids,
            config=config or CsmsConfig(),
            log=log,
            keep_account=self._keep_account,
        )
        self._bus = bus
        self._store = store
        outward = self._spawn if spawn is None else None
        keeper = self._keeper = StoreKeeper(store, spawn or self._spawn, log)
        self._around.actor = self.actor
        run = spawn or self._spawn
        self._around.history = lambda key, most, found: run(self._history(key, most, found))
        self._around.certificates = self.certificates = Desk(
            self._around,
            self.actor,
            keeper,
            vault=Vault(secret) if secret is not None else None,
            spawn=outward,
            hash_password=hash_password,
        )
        self._actors: dict[StationKey, StationActor] = {}
        self._shown = Shown(self._around, keeper)
        self._revocations = Revocations(self._around, self.certificates)
        self._admission = Admission(
            self._around,
            self._connect,
            verify,
            by_certificate=self._came_with,
            is_revoked=self._revocations.is_revoked,
        )
        self._unserve: list[Callable[[], None]] = []
        self._refreshing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: set[StationKey] = set()
        """Accounts of the lab on their way to the store."""

    @property
    def endpoint(self) -> Endpoint:
        """What listeners call."""
        return self._admission

    @property
    def counters(self) -> Counters:
        return self._around.counters

    def actor(self, key: StationKey) -> StationActor:
        """The station's actor, made on first use."""
        actor = self._actors.get(key)
        if actor is None:
            actor = self._actors[key] = StationActor(key, self._around)
        return actor

    def connected(self) -> list[StationKey]:
        """The stations that are connected now."""
        return [key for key, actor in self._actors.items() if actor.connected]

    # -- life ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Read the books and begin to listen on the bus."""
        self._unserve = [
            self._bus.serve("command.>", self._on_command),
            self._bus.serve(SETTINGS_CHANGED, self._on_settings_changed),
            self._bus.serve("handshakes.>", self._on_handshakes_asked),
        ]
        self._spawn(self._hear_of_changes(self._bus.subscribe(SETTINGS, limit=1)))
        await self.refresh()  # after subscribing: a change in between is then heard of

    async def stop(self) -> None:
        """Hang up on everybody, let go of the bus. What was answered is durable already."""
        while self._unserve:
            self._unserve.pop()()
        self._revocations.stop()
        for actor in self._actors.values():
            actor.stop()
        keeping = [task for task in self._tasks if task.get_name() == "keep account"]
        await asyncio.gather(*keeping, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Read accounts and tokens again. A station whose account was taken away is hung up on."""
        async with self._refreshing:  # what was read later must not be replaced by what was read before it
            await self._refresh()
            await self.certificates.load()
            await self._shown.load()

    async def _refresh(self) -> None:
        around = self._around
        accounts, tokens = await self._store.accounts(), await self._store.tokens()
        known = {StationKey(account.tenant, account.id) for account in accounts}
        keeping = [
            account for key in self._keeping if key not in known and (account := around.accounts.get(key)) is not None
        ]
        # What is on its way to the store is newer than what was read from it.
        around.accounts.replace([*accounts, *keeping])
        for account in self._keeper.accounts.values():
            around.accounts.put(account)
        around.tokens.replace(tokens)
        tenants = {account.tenant for account in accounts}
        around.remedies = {tenant: said for tenant in tenants if (said := await remedies.load(self._store, tenant))}
        repriced = await around.prices.load(self._store, around.accounts.tenants(), self._site)
        for key, actor in self._actors.items():
            account = around.accounts.get(key)
            if actor.connected and (account is None or not account.enabled):
                around.log("a station whose account is gone or disabled was disconnected", key)
                actor.hang_up(1008, "the account is gone or disabled")
            elif actor.connected and key.tenant in repriced:
                actor.when_ready(partial(self._reprice, actor))

    async def _history(self, key: StationKey, most: int, found: Callable[[list[Command]], None]) -> None:
        try:
            commands = await self._store.commands(key, limit=most)
        except Exception as error:  # whatever the store has: then nothing is known
            self._around.log("the commands of a station could not be read", key, error=repr(error))
            commands = []
        found(commands)

    def _site(self, key: StationKey) -> str:
        account = self._around.accounts.get(key)
        return "" if account is None else account.site

    def _reprice(self, actor: StationActor) -> None:
        """The tenant's tariffs are others now."""
        if actor.acceptance == "Accepted":
            supply(actor)

    # -- inner --------------------------------------------------------------------------------------------------------
    def _connect(self, key: StationKey, handshake: Handshake, version: str, security_profile: int) -> Receiver:
        return self.actor(key).connect(handshake, self._around.speech(version), security_profile)

    def _came_with(self, key: StationKey, der: bytes) -> None:
        self._shown.came_with(key, der)
        self._revocations.came_with(key, der)

    async def _hear_of_changes(self, changes: Subscription) -> None:
        try:
            async for _ in changes:
                try:
                    await self.refresh()
                except Exception as error:  # the books as they were are better than none
                    _log.error("accounts and tokens could not be read again", error=repr(error))
        finally:
            changes.close()

    async def _on_settings_changed(self, _: object) -> bool:
        """Whoever asks is answered when the books have been read: what was set counts from then on."""
        await self.refresh()
        return True

    async def _on_handshakes_asked(self, asked: HandshakesAsked) -> list[Refused]:
        return self._around.door.recent(StationKey(asked.tenant, asked.station))

    async def _on_command(self, asked: CommandRequest) -> CommandReply:
        waiting: asyncio.Future[CommandReply] = asyncio.get_running_loop().create_future()

        def reply(answer: CommandReply) -> None:
            if not waiting.done():
                waiting.set_result(answer)

        self.actor(StationKey(asked.tenant, asked.station)).command(asked, reply)
        return await waiting

    def _keep_account(self, account: StationAccount) -> None:
        self._keeping.add(StationKey(account.tenant, account.id))
        self._spawn(self._put_account(account), name="keep account")

    async def _put_account(self, account: StationAccount) -> None:
        key = StationKey(account.tenant, account.id)
        try:
            if await self._store.account(key) is None:
                await self._store.put_account(account)
        except Exception as error:
            _log.error("an account of the lab could not be stored", station=str(key), error=repr(error))
        finally:
            self._keeping.discard(key)

    def _spawn(self, work: Any, name: str | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
