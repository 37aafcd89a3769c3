"""The decision that was in force at a moment of the past, made again from the log.

    record = Record(folder_of_the_log, flush=log.flush)
    await record.at(utc_ms) -> seen.Past            # in a child process, so that the loop is not disturbed

    python -m pilotwire.site.past FOLDER UTC_MS     # that child: a Past in msgpack, or {"why": …} with exit code 3

The segment that begins last before the moment is replayed up to it. Segments are ended after ten minutes or a thousand
ticks (`log.SiteLog`), which bounds the work. What is held back of the last minute is written before. At most one child
runs and a few wait, also for a plan that is being made (`turn`); answers that were just given are given again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.seen import NotKnown, Past

from .compiled import Site, compile_site
from .config import read
from .decide import Decision, decide
from .inputs import TickInputs
from .log import Damage, Entry, Head, chained, read_segment, segments, started_ms
from .picture import DeviceKind
from .turn import turn
from .watch import now_of

AT_ONCE = 1
WAITING = 4
TIMEOUT_S = 30.0
KEPT = 16
GONE_MS = 30_000
"""A decision is in force for as long as ticks may be apart; after this the site did not run."""
_NOT_KNOWN = 3

_ENCODER = msgspec.msgpack.Encoder()
_PAST = msgspec.msgpack.Decoder(Past)


class _Why(msgspec.Struct):
    why: str


_WHY = msgspec.msgpack.Decoder(_Why)


def past(folder: Path, utc_ms: int) -> Past:
    """See the module; in this process. Raises NotKnown with what there is."""
    chosen = _segment(folder, utc_ms)
    site: Site | None = None
    kinds: Mapping[str, DeviceKind] = {}
    last: tuple[TickInputs, Decision, bool] | None = None
    try:
        for item in read_segment(chosen):
            if isinstance(item, Head):
                config, _ = read(item.config)
                if config is None:
                    raise NotKnown("this program cannot read the configuration of that time")
                site, kinds = compile_site(config), {device.id: device.kind for device in config.devices}
                state, chain = item.state, item.chain
            elif isinstance(item, Entry) and site is not None:
                if item.inputs.now.utc_ms > utc_ms and last is not None:
                    break
                decision = decide(site, item.inputs, state)
                # The state carries what went before, so it is enough to look at the last hash.
                last, state = (
                    (item.inputs, decision, chained(chain, item.inputs, decision) == item.hash),
                    decision.state,
                )
                chain = item.hash
    except (Damage, OSError) as error:
        if last is None:
            raise NotKnown(f"the log of that time cannot be read: {error}") from error
    if site is None or last is None:
        raise NotKnown("there is no decision of that time in the log")
    inputs, decision, same = last
    if utc_ms - inputs.now.utc_ms > GONE_MS:
        raise NotKnown(f"the site did not run then, or its log is torn; its last decision before was at {_at(inputs)}")
    return Past(now=now_of(site, kinds, inputs, decision), same=same)


def _at(inputs: TickInputs) -> str:
    return to_rfc3339(inputs.now.utc_ms)


def _segment(folder: Path, utc_ms: int) -> Path:
    """The one in which the moment lies, by bisection. Where the clock was set back a time may have come twice: one of
    the two is found."""
    paths = segments(folder)
    begins: dict[int, int | None] = {}

    def begin(at: int) -> int | None:
        """Of one that is damaged, or has just been let go of: of the one before."""
        while at >= 0:
            if at not in begins:
                try:
                    begins[at] = started_ms(paths[at])
                except (Damage, OSError):
                    begins[at] = None
            if (found := begins[at]) is not None:
                return found
            at -= 1
        return None

    low, high = 0, len(paths)
    while low < high:
        middle = (low + high) // 2
        began = begin(middle)
        if began is None or began <= utc_ms:
            low = middle + 1
        else:
            high = middle
    for at in range(low - 1, -1, -1):
        if begin(at) is not None and begins[at] is not None:
            return paths[at]
    first = next((found for at in range(len(paths)) if (found := begin(at)) is not None), None)
    if first is None:
        raise NotKnown("there is no log yet")
    raise NotKnown(f"the log begins at {to_rfc3339(first)}")


class Record:
    """The past of a running site. `flush` writes what its log still holds back."""

    def __init__(
        self,
        folder: Path,
        *,
        flush: Callable[[], None] = lambda: None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.folder = folder
        self.children = 0
        """Started so far."""
        self._flush, self._timeout_s = flush, timeout_s
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._kept: OrderedDict[int, Past] = OrderedDict()
        self._running: set[asyncio.subprocess.Process] = set()

    async def at(self, utc_ms: int) -> Past:
        """Raises NotKnown with what there is, also where too many ask at once."""
        if (kept := self._kept.get(utc_ms)) is not None:
            self._kept.move_to_end(utc_ms)
            return kept
        if self._waiting >= WAITING:
            raise NotKnown("too many moments are being looked up: ask again in a few seconds")
        self._waiting += 1
        try:
            async with self._gate:
                found = await self._child(utc_ms)
        finally:
            self._waiting -= 1
        self._kept[utc_ms] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _child(self, utc_ms: int) -> Past:
        mine = turn()
        try:
            async with asyncio.timeout(self._timeout_s):
                await mine.acquire()
        except TimeoutError:
            raise NotKnown("a plan is being made, which takes long: ask again in a minute") from None
        try:
            return await self._made(utc_ms)
        finally:
            mine.release()

    async def _made(self, utc_ms: int) -> Past:
        try:
            self._flush()
        except OSError as error:
            raise NotKnown(f"what was decided last cannot be written: {error}") from error
        self.children += 1
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pilotwire.site.past", str(self.folder), str(utc_ms),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
        self._running.add(child)
        try:
            async with asyncio.timeout(self._timeout_s):
                out, err = await child.communicate()
        except TimeoutError:
            raise NotKnown(
                f"that moment could not be made again within {self._timeout_s:g} s: the machine is busy"
            ) from None
        finally:
            self._running.discard(child)
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode == _NOT_KNOWN:
            raise NotKnown(_WHY.decode(out).why)
        if child.returncode:
            said = err.decode(errors="replace").strip().splitlines()
            raise NotKnown(f"that moment could not be made again: {said[-1] if said else f'exit {child.returncode}'}")
        return _PAST.decode(out)

    async def stop(self) -> None:
        """Ends what still runs."""
        for child in list(self._running):
            if child.returncode is None:
                child.kill()


def main(arguments: list[str]) -> int:
    """The child. It is nice to the loop, which goes first."""
    os.nice(10)
    folder, utc_ms = Path(arguments[0]), int(arguments[1])
    try:
        made = _ENCODER.encode(past(folder, utc_ms))
    except NotKnown as error:
        sys.stdout.buffer.write(_ENCODER.encode(_Why(str(error))))
        return _NOT_KNOWN
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
