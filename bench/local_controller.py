"""What the local controller costs: `python -m bench.local_controller [stations] [messages of each]`.

A box on loopback whose upstream does not exist: how fast cards are answered, how many readings a second are written
down and answered, and what the process weighs with that many stations. Box and stations share one process and core.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.ports import free_port
from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
from pilotwire.site.ocpp.live import LiveController
from pilotwire.transport.ocpp.client import connect

PASSWORD = b"secret-of-station"


class Station:
    """Says one thing at a time and waits for the answer."""

    def __init__(self) -> None:
        self.link: Any = None
        self._answer: asyncio.Future[bytes] | None = None

    def opened(self, link: Any) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(data)

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...

    async def ask(self, number: int, action: str, payload: object) -> float:
        """Seconds until the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        begin = time.perf_counter()
        self.link.send(json.dumps([2, f"message-of-{number}", action, payload]).encode())
        assert json.loads(await self._answer)[0] == 3
        return time.perf_counter() - begin


def _reading(number: int) -> object:
    rows = [
        {
            "value": str(number),
            "context": "Sample.Periodic",
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        },
        *({"value": "16.0", "measurand": "Current.Import", "phase": f"L{n}", "unit": "A"} for n in (1, 2, 3)),
    ]
    at = f"2026-01-{1 + number // 86_400:02}T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return {"connectorId": 1, "transactionId": 7, "meterValue": [{"timestamp": at, "sampledValue": rows}]}


def _shown(name: str, seconds: list[float]) -> None:
    seconds.sort()
    p50, p99 = (seconds[int(len(seconds) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {seconds[-1] * 1000:.2f} ms")


async def main(stations: int, messages: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = ControllerConfig(
            upstreams=(Upstream(name="nobody", url=f"ws://127.0.0.1:{free_port()}/ocpp"),),
            stations=tuple(
                KnownStation(identity=f"CS{n}", password_sha256=sha256(PASSWORD).hexdigest()) for n in range(stations)
            ),
            tokens=("CARD",),
        )
        live = LiveController(config, Path(folder) / "forwarding.sqlite")
        await live.start("127.0.0.1", 0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends = [Station() for _ in range(stations)]
        for n, end in enumerate(ends):
            url = f"ws://127.0.0.1:{live.port}/ocpp/CS{n}"
            await connect(url, end, subprotocols=("ocpp1.6",), user=f"CS{n}", password=PASSWORD)
        await asyncio.sleep(1)  # by then every first attempt to reach the upstream has failed
        cards = [await end.ask(n, "Authorize", {"idTag": "CARD"}) for n, end in enumerate(ends) for _ in range(5)]
        _shown(f"a card, {stations} stations, upstream away", cards)

        async def read(end: Station) -> list[float]:
            return [await end.ask(n, "MeterValues", _reading(n)) for n in range(messages)]

        begin, cpu = time.perf_counter(), time.process_time()
        kept = [each for rows in await asyncio.gather(*(read(end) for end in ends)) for each in rows]
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        _shown("a reading, written down and answered, all stations at once", kept)
        total = stations * messages
        print(f"{total} readings in {wall:.2f} s: {total / wall:.0f}/s, {total / cpu:.0f}/s of CPU (with the stations)")
        print(f"{live.store.commits} commits; {live.controller.status().queued} wait")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"memory: {before / 1024:.0f} MiB before, {after / 1024:.0f} MiB after, stations' ends among it")
        card = await ends[0].ask(0, "Authorize", {"idTag": "CARD"})
        print(f"a card beside that queue: {card * 1000:.2f} ms")
        await live.stop(0.1)


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(main(*(given + [100, 50][len(given) :])))
