"""Entries, sessions and samples for the tests, and ways to wait for callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import SessionUpdated
from pilotwire.domain.records import Sample, Session
from pilotwire.storage.port import Entry, Store

KEY = StationKey("default", "CP1")


def session(name: str = "s1", **fields: Any) -> Session:
    """A session of CP1."""
    known: dict[str, Any] = {
        "tenant": "default",
        "station_id": "CP1",
        "transaction": f"t-{name}",
        "start_key": f"k-{name}",
        "ocpp_version": "2.0.1",
        "evse": 1,
        "connector": 1,
        "started_at": 1_700_000_000_000,
    }
    return Session(id=name, **{**known, **fields})


def entry(number: int = 0, **fields: Any) -> Entry:
    """An entry of CP1 whose frame tells `number`."""
    known: dict[str, Any] = {
        "tenant": "default",
        "station": "CP1",
        "recv_time": 1_700_000_000_000 + number,
        "epoch": 1,
        "direction": "in",
        "frame": f'[2,"{number}","MeterValues",{{}}]'.encode(),
        "facts": (SessionUpdated(event_time=number, session_id="s1", register_wh=number),),
    }
    return Entry(**{**known, **fields})


def sample(time: int, value: int = 1, measurand: str = "Power.Active.Import", **fields: Any) -> Sample:
    """A sample of session s1."""
    return Sample(evse=1, connector=1, time=time, measurand=measurand, value=value, unit="W", session_id="s1", **fields)


async def appended(store: Store, *entries: Entry) -> None:
    """Append and wait until the last one is told; raises what any of them was told."""
    loop = asyncio.get_running_loop()
    futures = []
    for one in entries:
        future: asyncio.Future[None] = loop.create_future()
        futures.append(future)

        def done(error: BaseException | None, future: asyncio.Future[None] = future) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        store.append(one, done)
    await asyncio.gather(*futures)


async def looked_up(ask: Callable[[Callable[[Any], None]], None]) -> Any:
    """The answer of a lookup that takes a callback."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ask(future.set_result)
    return await asyncio.wait_for(future, 60)
