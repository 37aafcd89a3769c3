"""The local controller as a process of its own, to be killed: `box_process.py STORE PORT UPSTREAM_URL`."""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256

from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
from pilotwire.site.ocpp.live import LiveController


async def main(store: str, port: str, url: str) -> None:
    config = ControllerConfig(
        upstreams=(Upstream(name="main", url=url),),
        stations=(KnownStation(identity="CS 1", password_sha256=sha256(b"secret-of-station").hexdigest()),),
        tokens=("AA11",),
        backoff_s=1,
        backoff_random_s=0,
        backoff_repeats=0,
    )
    live = LiveController(config, store)
    await live.start("127.0.0.1", int(port))
    print("ready", live.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
