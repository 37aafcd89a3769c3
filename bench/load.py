"""The load: N stations over picows, in a process of its own. Prints one JSON line with what it saw.

    python -m bench.load URL_PREFIX MODE --stations N --seconds S [--rate R]

closed  each station sends its next MeterValues when the last was answered: the server's capacity.
open    MeterValues at R per second over all stations, latency from the *intended* time of sending.
idle    connect, boot, and hold until standard input closes.
storm   connect and boot as fast as the server allows; prints how long each took.
probe   one Authorize after another, 20 a second, until standard input closes; latency of each.

With --deflate, permessage-deflate without context takeover is agreed and every message of the load is compressed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import time
import zlib
from collections import deque
from typing import Any

import picows
import uvloop

from . import frames


class Station(picows.WSListener):
    """One station: boot, start a transaction, then whatever the mode asks."""

    def __init__(self, load: Load, name: str) -> None:
        self.load = load
        self.name = name
        self.transport: picows.WSTransport | None = None
        self.transaction = 0
        self.count = 0
        self.serial = 0
        self.intended: deque[float] = deque()
        self.busy = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.born = time.perf_counter()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        self.send(frames.boot(self.next_id()))

    def next_id(self) -> str:
        self.serial += 1
        return f"{self.name}-{self.serial}"

    def send(self, frame: bytes) -> None:
        assert self.transport is not None
        if self.load.options.deflate:
            squeeze = zlib.compressobj(1, zlib.DEFLATED, -12)
            data = (squeeze.compress(frame) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
            self.transport.send(picows.WSMsgType.TEXT, data, rsv1=True)
        else:
            self.transport.send(picows.WSMsgType.TEXT, frame)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        if self.intended:
            self.answered(frame)
            return
        message = json.loads(frame.get_payload_as_memoryview().tobytes())
        if message[0] != 3:
            if message[0] == 4:
                self.load.errors += 1
            return
        if message[2].get("status", "Accepted") != "Accepted":  # a boot that was not accepted
            self.load.errors += 1
        if "transactionId" in message[2]:
            self.transaction = message[2]["transactionId"]
            self.finish()
        elif self.load.transactions:
            self.send(frames.start(self.next_id()))
        else:
            self.finish()

    def finish(self) -> None:
        if not self.ready.done():
            self.load.connected_in.append(time.perf_counter() - self.born)
            self.ready.set_result(None)

    def answered(self, frame: picows.WSFrame) -> None:
        if frame.get_payload_as_memoryview()[1] != 0x33:
            self.load.errors += 1
        now = time.perf_counter()
        self.load.answered += 1
        self.load.latencies.append(now - self.intended.popleft())
        self.busy = False
        if self.load.closed_loop:
            self.meter(now)
        elif self.intended and self.load.transactions:
            self.transmit()

    def meter(self, intended: float) -> None:
        self.intended.append(intended)
        if not self.busy:
            self.transmit()

    def authorize(self, intended: float) -> None:
        """One Authorize, unless the last is still unanswered (its latency then tells)."""
        if not self.busy:
            self.busy = True
            self.intended.append(intended)
            self.send(frames.authorize(self.next_id()))

    def transmit(self) -> None:
        self.busy = True
        self.count += 1
        self.send(frames.meter_values(self.next_id(), self.transaction, self.count))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.transport = None
        self.load.lost += 1


class Load:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.transactions = options.mode in {"closed", "open"}
        self.closed_loop = False
        self.answered = self.errors = self.lost = 0
        self.latencies: list[float] = []
        self.connected_in: list[float] = []
        self.stations: list[Station] = []
        self.headers = {"Sec-WebSocket-Protocol": "ocpp1.6"}
        if options.deflate:
            self.headers["Sec-WebSocket-Extensions"] = (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            )
        self.tls: ssl.SSLContext | None = None
        if options.url.startswith("wss:"):
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE

    async def connect(self, name: str) -> Station:
        while True:
            try:
                _, listener = await picows.ws_connect(
                    lambda: Station(self, name),
                    f"{self.options.url}/{name}",
                    ssl_context=self.tls,
                    extra_headers=self.headers,
                )
                break
            except (OSError, picows.WSError, TimeoutError):
                await asyncio.sleep(0.2)
        assert isinstance(listener, Station)
        self.stations.append(listener)
        await listener.ready
        return listener

    async def connect_all(self, width: int) -> None:
        names = iter([f"{self.options.prefix}{n:05d}" for n in range(self.options.stations)])

        async def worker() -> None:
            for name in names:
                await self.connect(name)

        await asyncio.gather(*(worker() for _ in range(width)))

    async def run(self) -> dict[str, Any]:
        started = time.perf_counter()
        await self.connect_all(self.options.width)
        took = time.perf_counter() - started
        print(json.dumps({"connected": len(self.stations), "seconds": took, "errors": self.errors}), flush=True)
        mode = self.options.mode
        if mode == "idle":
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        elif mode == "closed":
            self.closed_loop = True
            for station in self.stations:
                station.meter(time.perf_counter())
            await asyncio.sleep(self.options.warmup)
            self.answered = 0
            self.latencies.clear()
            print(json.dumps({"measuring": True}), flush=True)
            await asyncio.sleep(self.options.seconds)
            # The server's CPU time is read at this line, while all are still connected and busy.
            print(json.dumps(self.report(took)), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            self.closed_loop = False
        elif mode == "open":
            await self.open_loop()
        elif mode == "probe":
            await self.probe()
        return self.report(took)

    async def probe(self) -> None:
        until = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        station = self.stations[0]
        while not until.done():
            station.authorize(time.perf_counter())
            await asyncio.sleep(0.05)

    async def open_loop(self) -> None:
        print(json.dumps({"measuring": True}), flush=True)
        begun = time.perf_counter()
        total = int(self.options.rate * self.options.seconds)
        sent = 0
        while sent < total:
            due = min(total, int((time.perf_counter() - begun) * self.options.rate))
            while sent < due:
                self.stations[sent % len(self.stations)].meter(begun + sent / self.options.rate)
                sent += 1
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)

    def report(self, took: float) -> dict[str, Any]:
        ordered = sorted(self.latencies)

        def at(share: float) -> float | None:
            return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) if ordered else None

        joined = sorted(self.connected_in)
        return {
            "answered": self.answered,
            "errors": self.errors,
            "lost": self.lost,
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "connect_s": round(took, 3),
            "connect_p99_s": round(joined[int(len(joined) * 0.99) - 1], 3) if joined else None,
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("mode", choices=["closed", "open", "idle", "storm", "probe"])
    parser.add_argument("--stations", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warmup", type=float, default=0.7)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--prefix", default="BENCH-")
    parser.add_argument("--deflate", action="store_true")
    options = parser.parse_args()
    print(json.dumps(uvloop.run(Load(options).run())), flush=True)


if __name__ == "__main__":
    main()
