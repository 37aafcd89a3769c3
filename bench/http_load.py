"""Asks a server the same over and over on connections that stay open, and counts the answers. A process of its own.

    python -m bench.http_load HOST PORT PATH SECONDS CONNECTIONS [HEADER: VALUE …]

Prints one line of JSON when warm, then one with the counts when done.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


class Asker(asyncio.Protocol):
    """One connection: asks again as soon as it is answered."""

    def __init__(self, request: bytes, counts: dict[str, int]) -> None:
        self.request = request
        self.counts = counts
        self.buffer = bytearray()
        self.needed = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.needed < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            self.counts["bad"] += not head.startswith((b"http/1.1 200", b"http/1.1 304"))
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.needed = end + 4 + length
        if len(self.buffer) >= self.needed:
            self.counts["answers"] += 1
            self.counts["bytes"] += self.needed
            self.buffer.clear()
            self.needed = -1
            self.transport.write(self.request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self.counts["lost"] += 1


async def main(host: str, port: int, path: str, seconds: float, connections: int, headers: list[str]) -> None:
    """Ask for `seconds`, after half a second of warming up."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Accept: application/json", "User-Agent: bench", *headers]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    counts = {"answers": 0, "bytes": 0, "bad": 0, "lost": 0}
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: Asker(request, counts), host, port) for _ in range(connections)]
    await asyncio.sleep(0.5)
    print(json.dumps({"warm": True}), flush=True)
    before, begun = dict(counts), time.perf_counter()
    await asyncio.sleep(seconds)
    taken = time.perf_counter() - begun
    print(json.dumps({name: counts[name] - before[name] for name in counts} | {"seconds": taken}), flush=True)
    await asyncio.sleep(0.2)
    for transport, _ in opened:
        transport.close()


if __name__ == "__main__":
    import uvloop

    _, host, port, path, seconds, connections, *headers = sys.argv
    uvloop.run(main(host, int(port), path, float(seconds), int(connections), headers))
