"""Firmware that a station offers to others, as a Local Controller does (2.x L03, L04).

What is fetched, and where it can then be had, is the business of `ports.Files`; a station without one publishes
nothing. What is published survives a restart; a download does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Timer

from .parts import Part
from .ports import Files

if TYPE_CHECKING:
    from .program import Station

_KEY = "published"
_decoder = msgspec.json.Decoder(dict[str, list[str]])


class Task(msgspec.Struct):
    """A PublishFirmware on its way."""

    request_id: int
    location: str
    checksum: str
    """MD5, hexadecimal, lower case."""
    retries: int
    interval_ms: int


class Publishing(Part):
    """What one station publishes: one download at a time, any number of files."""

    __slots__ = ("_files", "_published", "_status", "_task", "_timer")

    def __init__(self, station: Station, files: Files | None) -> None:
        super().__init__(station)
        self._files = files
        self._published: dict[str, list[str]] = {}
        """Where each file can be had, by its checksum."""
        self._task: Task | None = None
        self._status = "Idle"
        self._timer: Timer | None = None

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._published = _decoder.decode(stored[_KEY]) if _KEY in stored else {}
        self._task = None
        self._status = "Idle"

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task = None

    @property
    def possible(self) -> bool:
        """The station can fetch and offer files."""
        return self._files is not None

    @property
    def busy(self) -> bool:
        """A file is being fetched."""
        return self._task is not None

    @property
    def status(self) -> tuple[str, int | None]:
        """(PublishFirmwareStatusEnumType, requestId) for a trigger: Idle once published (L03.FR.10, .11)."""
        task = self._task
        return ("Idle", None) if self._status == "Published" else (self._status, task.request_id if task else None)

    def begin(self, task: Task) -> None:
        """Fetch, check, publish; each step is told."""
        self._task = task
        self._download()

    def _download(self) -> None:
        self._timer = None
        task = self._task
        if task is None or self._files is None:
            return
        self._tell("Downloading")
        self._files.fetch(task.location, lambda data: self._fetched(task, data))
        self._station.finish()

    def _fetched(self, task: Task, data: bytes | None) -> None:
        if task is not self._task or not self._station.powered:
            return
        if data is None:
            if task.retries > 0:
                task.retries -= 1
                self._timer = self._station.scheduler.call_later(task.interval_ms, self._download)
                return
            self._end("DownloadFailed")
            return
        self._tell("Downloaded")
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != task.checksum:
            self._end("InvalidChecksum")
            return
        self._tell("ChecksumVerified")
        places = list(self._files.publish(task.checksum, data)) if self._files is not None else []
        if not places:
            self._end("PublishFailed")
            return
        self._published[task.checksum] = places
        self._store()
        self._end("Published", places)

    def withdraw(self, checksum: str) -> str:
        """UnpublishFirmwareStatusEnumType: Unpublished, NoFirmware or DownloadOngoing."""
        checksum = checksum.lower()
        if self._task is not None and self._task.checksum == checksum:
            return "DownloadOngoing"
        if checksum not in self._published or self._files is None:
            return "NoFirmware"
        if not self._files.withdraw(checksum):
            return "DownloadOngoing"  # L04.FR.04: a station is fetching it just now
        del self._published[checksum]
        self._store()
        return "Unpublished"

    def _store(self) -> None:
        self._station.store({_KEY: msgspec.json.encode(self._published) if self._published else None})

    def _end(self, status: str, places: list[str] | None = None) -> None:
        self._tell(status, places)
        self._task = None
        self._station.finish()

    def _tell(self, status: str, places: list[str] | None = None) -> None:
        self._status = status
        self._station.dialect.publish_status(status, self._task.request_id if self._task else None, places)
