"""Starts the process that plans, when it is its turn (`site.turn`), and brings its answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Protocol

from ..turn import turn

LONGEST = 16_000_000
"""Bytes of an answer; more is none."""

Done = Callable[[bytes | None, str], None]
"""Told once: the answer's bytes, or None and why there are none."""


class Running(Protocol):
    """A plan that is being made."""

    @property
    def waits(self) -> bool:
        """It has not begun: another process has its turn."""
        ...

    def kill(self) -> None:
        """It is not waited for any more. `done` is told all the same, when the process is gone."""
        ...


class Spawn(Protocol):
    """Begins to plan a record."""

    def __call__(self, record: bytes, done: Done) -> Running: ...


class _Child:
    def __init__(self, record: bytes, done: Done) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self.waits = False
        self._task = asyncio.get_running_loop().create_task(self._go(record, done), name="plan")

    def kill(self) -> None:
        self._killed = True
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
        if self.waits:
            self._task.cancel()

    @property
    def over(self) -> bool:
        return self._task.done()

    async def ended(self) -> None:
        await asyncio.wait([self._task])

    async def _go(self, record: bytes, done: Done) -> None:
        data, why = None, ""
        try:
            data, why = await self._in_turn(record)
        except OSError as error:
            why = f"the planning process cannot be started: {error}"
        except BaseException:
            self.kill()
            raise
        done(data, why)

    async def _in_turn(self, record: bytes) -> tuple[bytes | None, str]:
        if self._killed:
            return None, "the planning process was killed"
        mine, self.waits = turn(), True
        try:
            await mine.acquire()
        except asyncio.CancelledError:
            if not self._killed:
                raise
            return None, "the planning process was killed"
        finally:
            self.waits = False
        try:
            return await self._run(record)
        finally:
            mine.release()

    async def _run(self, record: bytes) -> tuple[bytes | None, str]:
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pilotwire.site.planning.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if self._killed:
            process.kill()
        try:
            out, err = await process.communicate(record)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if self._killed:
            return None, "the planning process was killed"
        code = process.returncode or 0
        if code:
            lines = err.decode(errors="replace").strip().splitlines()
            last = lines[-1][:300] if lines else ""
            ended = f"by signal {-code}" if code < 0 else f"with {code}"
            return None, f"the planning process ended {ended}{': ' + last if last else ''}"
        if len(out) > LONGEST:
            return None, f"the planning process gave {len(out):,} bytes"
        return out, ""


class Workers:
    """Processes for plans; `stop` waits until none of them is left."""

    def __init__(self) -> None:
        self._children: list[_Child] = []

    def __call__(self, record: bytes, done: Done) -> Running:
        child = _Child(record, done)
        self._children = [each for each in self._children if not each.over]
        self._children.append(child)
        return child

    async def stop(self) -> None:
        for child in self._children:
            child.kill()
            await child.ended()
        self._children.clear()
