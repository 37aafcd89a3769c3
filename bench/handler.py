"""The handler alone, without sockets: frames go in as bytes and answers come out as bytes, ours or the baseline's.

python -m bench.handler ours|theirs SECONDS     prints microseconds of CPU per message

Both read the same frames (`bench.frames`), made beforehand, for 64 stations in turn; theirs on uvloop as in its server.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Callable

import uvloop

from . import frames

STATIONS = 64
MESSAGES = 100
"""Of a station, per round."""


async def _ours() -> Callable[[int], float]:
    from pilotwire.cli.bench import in_process
    from pilotwire.storage.memory import MemoryStore

    stations = await in_process(MemoryStore(limit=2_000), STATIONS)

    def a_round(number: int) -> float:
        made = [
            [
                (station.connection.frame, frames.meter_values(f"{number}-{place}", station.transaction, place))
                for station in stations
                if station.connection is not None
            ]
            for place in range(number * MESSAGES + 1, (number + 1) * MESSAGES + 1)
        ]
        before = sum(station.answered for station in stations)
        gc.collect()
        began = time.process_time()
        for row in made:
            for receive, frame in row:
                receive(frame)
        spent = time.process_time() - began
        if sum(station.answered for station in stations) - before != STATIONS * MESSAGES:
            raise RuntimeError("not every message was answered")
        return spent

    return a_round


class _Sent:
    """What mobilityhouse's ChargePoint asks of a connection."""

    def __init__(self) -> None:
        self.answered = 0

    async def send(self, message: str) -> None:
        if not message.startswith("[3,"):
            raise RuntimeError(message)
        self.answered += 1


def _theirs(loop: asyncio.AbstractEventLoop) -> Callable[[int], float]:
    from .baseline_csms import Baseline

    logging.disable()
    stations = [(Baseline(f"S{number}", sent := _Sent()), sent) for number in range(STATIONS)]

    async def go(made: list[list[str]]) -> None:
        for row in made:
            for (station, _), frame in zip(stations, row, strict=True):
                await station.route_message(frame)

    def a_round(number: int) -> float:
        made = [
            [frames.meter_values(f"{number}-{place}", 1, place).decode() for _ in stations]
            for place in range(number * MESSAGES + 1, (number + 1) * MESSAGES + 1)
        ]
        before = sum(sent.answered for _, sent in stations)
        gc.collect()
        began = time.process_time()
        loop.run_until_complete(go(made))
        spent = time.process_time() - began
        if sum(sent.answered for _, sent in stations) - before != STATIONS * MESSAGES:
            raise RuntimeError("not every message was answered")
        return spent

    return a_round


def main(who: str, seconds: float) -> None:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    a_round = loop.run_until_complete(_ours()) if who == "ours" else _theirs(loop)
    a_round(0)
    spent, rounds = 0.0, 0
    while spent < seconds:
        rounds += 1
        spent += a_round(rounds)
    print(json.dumps({"us": spent / rounds / STATIONS / MESSAGES * 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
