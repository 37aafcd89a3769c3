"""Writes documents and accounts in the order in which actors told of them, one after the other, while they go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import StationAccount
from pilotwire.storage.documents import Change
from pilotwire.storage.port import Store

Spawn = Callable[[Coroutine[Any, Any, None]], None]
Log = Callable[..., None]
_MOST = 10_000


class StoreKeeper:
    """`Keeper` over a store. `spawn` runs a coroutine; a simulation runs it at once."""

    def __init__(self, store: Store, spawn: Spawn, log: Log) -> None:
        self._store = store
        self._spawn = spawn
        self._log = log
        self._queue: deque[tuple[StationKey, Callable[[], Coroutine[Any, Any, Any]], Callable[[bool], None]]] = deque()
        self._working = False
        self.accounts: dict[StationKey, StationAccount] = {}
        """Those that are on their way: whoever reads the store meanwhile has older ones."""
        self.dropped = 0

    def change(self, tenant: str, change: Change) -> None:
        """See `Keeper`."""
        key = StationKey(tenant, change.id)
        self._add(key, lambda: self._store.write_documents(tenant, [change]), lambda durable: None)

    def account(self, account: StationAccount, done: Callable[[bool], None]) -> None:
        """See `Keeper`."""
        key = StationKey(account.tenant, account.id)
        self.accounts[key] = account

        def kept(durable: bool) -> None:
            if self.accounts.get(key) is account:
                del self.accounts[key]
            done(durable)

        self._add(key, lambda: self._store.put_account(account), kept)

    def _add(self, key: StationKey, work: Callable[[], Coroutine[Any, Any, Any]], done: Callable[[bool], None]) -> None:
        if len(self._queue) >= _MOST:
            self.dropped += 1
            self._log("too much waits to be written", key)
            done(False)
            return
        self._queue.append((key, work, done))
        if not self._working:
            self._working = True
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._queue:
                key, work, done = self._queue.popleft()
                try:
                    await work()
                except Exception as error:  # whatever the store has: it is not durable, and said so
                    self._log("something about a station could not be written", key, error=repr(error))
                    done(False)
                else:
                    done(True)
        finally:
            self._working = False
