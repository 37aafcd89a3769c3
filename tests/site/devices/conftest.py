"""Two serial ports with a cable between them, of pseudo-terminals."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def cable() -> AsyncIterator[tuple[str, str]]:
    """The paths of both ends."""
    loop = asyncio.get_running_loop()
    pairs = [os.openpty(), os.openpty()]
    for _, slave in pairs:
        tty.setraw(slave)

    def pump(source: int, sink: int) -> None:
        os.write(sink, os.read(source, 4096))

    one, two = pairs[0][0], pairs[1][0]
    loop.add_reader(one, pump, one, two)
    loop.add_reader(two, pump, two, one)
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        for master, slave in pairs:
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)
