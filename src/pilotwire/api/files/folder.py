"""Where files lie: below one folder of the data directory, by tenant. Read and written in pieces, never as a whole.

A file is first written beside its place and moved there when it is complete, so that nobody finds half a file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, NamedTuple

from pilotwire.core.errors import LocalError

PIECE = 256 * 1024
"""Bytes that are read or written at once."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class TooLarge(LocalError):
    """More came than may come."""


class Digests(NamedTuple):
    """Of a whole file."""

    size: int
    sha256: str
    md5: str
    """What PublishFirmware asks for (L03): a checksum, no protection."""


class Incoming:
    """A file on its way in. `write` and `commit` run in a thread; `drop` leaves nothing behind."""

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._part = path.with_name(f"{path.name}.part-{os.urandom(6).hex()}")
        self._limit = limit
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file: IO[bytes] | None = os.fdopen(os.open(self._part, flags, 0o600), "wb")
        self._held: list[bytes] = []
        self._waiting = 0

    async def write(self, data: bytes) -> None:
        """Raises TooLarge."""
        if self.size + len(data) > self._limit:
            raise TooLarge(f"more than {self._limit} bytes")
        self.size += len(data)
        self._held.append(data)
        self._waiting += len(data)
        if self._waiting >= PIECE:
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        assert self._file is not None
        held, self._held, self._waiting = b"".join(self._held), [], 0
        self._sha256.update(held)
        self._md5.update(held)
        self._file.write(held)

    async def commit(self) -> Digests:
        """It is complete: let it be found."""
        await asyncio.to_thread(self._commit)
        return Digests(self.size, self._sha256.hexdigest(), self._md5.hexdigest())

    def _commit(self) -> None:
        self._flush()
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._part.replace(self._path)

    def drop(self) -> None:
        """Forget what came. Harmless after `commit`."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._part.unlink(missing_ok=True)


class Folder:
    """The files of an installation."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, tenant: str, area: str, name: str) -> Path:
        """Where a file lies, or would. Raises LocalError for names that are not of our making."""
        if not _TENANT.fullmatch(tenant) or not _NAME.fullmatch(area) or not _NAME.fullmatch(name):
            raise LocalError("no name of a file of ours")
        return self._root / tenant / area / name

    def incoming(self, tenant: str, area: str, name: str, limit: int) -> Incoming:
        """A new file of at most `limit` bytes."""
        return Incoming(self.path(tenant, area, name), limit)

    async def size(self, tenant: str, area: str, name: str) -> int | None:
        """Bytes; None where it is not there."""
        path = self.path(tenant, area, name)
        try:
            return (await asyncio.to_thread(path.stat)).st_size
        except FileNotFoundError:
            return None

    async def read(
        self, tenant: str, area: str, name: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in pieces. Raises FileNotFoundError before the first."""
        file = await asyncio.to_thread(self.path(tenant, area, name).open, "rb")
        try:
            await asyncio.to_thread(file.seek, start)
            left = None if end is None else end - start
            while left is None or left > 0:
                piece = await asyncio.to_thread(file.read, PIECE if left is None else min(PIECE, left))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            file.close()

    async def remove(self, tenant: str, area: str, name: str) -> None:
        """Delete it, where it is there."""
        path = self.path(tenant, area, name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, older_than: Callable[[float], bool]) -> int:
        """Delete what a killed process left half-written; `older_than` gets the time of the last write (s)."""
        return await asyncio.to_thread(self._sweep, older_than)

    def _sweep(self, older_than: Callable[[float], bool]) -> int:
        swept = 0
        for path in self._root.glob("*/*/*.part-*"):
            if older_than(path.stat().st_mtime):
                path.unlink(missing_ok=True)
                swept += 1
        return swept
