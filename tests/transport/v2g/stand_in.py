"""Stands for the machines of a dialect where only the way to them is tested, and for asyncio's transports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotwire.core.machines import Close, Send
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.v2gtp import Frame

STOP = b"stop"


class Dialect:
    """Both ends: the vehicle says hello, the station answers every word with the same, and `stop` ends it."""

    deadline: int | None = None

    def __init__(self, config: Any, dialect: str, **given: Any) -> None:
        self.dialect = dialect
        self.vehicle = "resume" in given

    def start(self, now: int) -> Sequence[Any]:
        return [Send(Frame(v2gtp.SAP, b"hello")), f"speaks {self.dialect}"]

    def command(self, command: Any, now: int) -> Sequence[Any]:
        if command == "fail":
            raise RuntimeError("planted")
        return [Send(Frame(v2gtp.SAP, command))] if type(command) is bytes else ()

    def receive(self, data: Frame, now: int) -> Sequence[Any]:
        if self.vehicle:
            return ["ended", Close(reason="all was said")] if data.payload == STOP else [data.payload]
        if data.payload == b"fail":
            raise RuntimeError("planted")
        after = [Close(after_ms=5_000, reason="stopped")] if data.payload == STOP else []
        return [data.payload, Send(data), *after]

    def elapse(self, now: int) -> Sequence[Any]:
        return ()

    def lost(self, now: int) -> Sequence[Any]:
        return ["lost"]


class Wire:
    """An asyncio transport that keeps what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = ""
        self.high = 0

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("fe80::2%ev0", 50_000, 0, 7), "sockname": ("fe80::1", 50_001, 0, 7)}.get(name)

    def set_write_buffer_limits(self, *, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"
