"""Who has told the site what, by Modbus, MQTT or a central system, and whether it was refused: `audit.jsonl`.

A line is written before the next thing happens. The same again within a minute is counted, and told in one line with
how often it came; so a master that writes each second fills nothing. Two files of at most `limit_bytes` are kept: the
older one is `audit.1.jsonl`.

    {"at":"2026-01-31T12:00:00.000Z","by":"modbus 10.0.0.7","what":"unit 1: register 1080 = 80","refused":""}
    {"at":"...","by":"...","what":"...","refused":"","times":59,"until":"2026-01-31T12:00:59.000Z"}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedWriter
from pathlib import Path

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.modbus.pdu import (
    MaskWriteRegister,
    ReadWriteRegisters,
    Request,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from pilotwire.transport.modbus.guard import Audit

from .loop import Loop

NAME = "audit.jsonl"
OLDER = "audit.1.jsonl"
TOGETHER_MS = 60_000
_MOST_KINDS = 256
_MOST_TEXT = 400


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `times`: so often until `until`, beside the first time, which has a line of its own."""

    at: str
    """RFC 3339."""
    by: str
    what: str
    refused: str = ""
    """Why it was not followed; "" where it was."""
    times: int = 1
    until: str = ""


class _Again(msgspec.Struct):
    first_ms: int
    times: int = 0
    begin_ms: int = 0
    last_ms: int = 0


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


class AuditFile:
    """The file; a `run.Part`. A disk that is full stops nobody from charging: it is reported, once."""

    def __init__(
        self, folder: Path, utc: Callable[[], int], report: Callable[[str], None], *, limit_bytes: int = 5_000_000
    ) -> None:
        self._folder, self._utc, self._report, self._limit = folder, utc, report, limit_bytes
        self._file: BufferedWriter | None = None
        self._again: dict[tuple[str, str, str], _Again] = {}
        self._trouble = ""

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        self._append()

    async def stop(self) -> None:
        """See `run.Part`."""
        self.close()

    def close(self) -> None:
        """All that was counted is written."""
        self._flush(None)
        if self._file is not None:
            self._file.close()
            self._file = None

    def modbus(self, audit: Audit) -> None:
        """See `transport.modbus.guard.Guard`."""
        what = "a connection" if audit.request is None else f"unit {audit.unit}: {text_of(audit.request)}"
        if audit.done is not None and audit.done != audit.request:
            what += f", as {text_of(audit.done)}"
        self.note(f"modbus {audit.client}", what, audit.refused)

    def note(self, by: str, what: str, refused: str = "") -> None:
        """Somebody has told the site something."""
        now = self._utc()
        key = (by[:_MOST_TEXT], what[:_MOST_TEXT], refused[:_MOST_TEXT])
        again = self._again.get(key)
        if again is not None and 0 <= now - again.first_ms < TOGETHER_MS:
            again.begin_ms = again.begin_ms or now
            again.times, again.last_ms = again.times + 1, now
            return
        self._flush(now)
        self._again[key] = _Again(now)
        self._write(Entry(at=to_rfc3339(now), by=key[0], what=key[1], refused=key[2]))

    def _flush(self, now: int | None) -> None:
        """What was counted for long enough; None: all of it."""
        all_ = now is None or len(self._again) >= _MOST_KINDS
        for key, again in list(self._again.items()):
            if not all_ and now is not None and 0 <= now - again.first_ms < TOGETHER_MS:
                continue
            del self._again[key]
            if again.times:
                by, what, refused = key
                self._write(
                    Entry(
                        at=to_rfc3339(again.begin_ms), by=by, what=what, refused=refused, times=again.times,
                        until=to_rfc3339(again.last_ms),
                    )
                )  # fmt: skip

    def _append(self) -> BufferedWriter | None:
        if self._file is None:
            try:
                self._file = (self._folder / NAME).open("ab")
                if self._file.tell():
                    self._mend()
            except OSError as error:
                self._say(error)
        return self._file

    def _mend(self) -> None:
        """A line that a power cut has left half is ended, so that the next one stands by itself."""
        with (self._folder / NAME).open("rb") as old:
            old.seek(-1, 2)
            if old.read(1) != b"\n" and self._file is not None:
                self._file.write(b"\n")

    def _write(self, entry: Entry) -> None:
        file = self._append()
        if file is None:
            return
        try:
            file.write(_ENCODER.encode(entry) + b"\n")
            file.flush()
            if file.tell() >= self._limit:
                file.close()
                self._file = None
                (self._folder / NAME).replace(self._folder / OLDER)
        except OSError as error:
            self._say(error)
        else:
            self._trouble = ""

    def _say(self, error: OSError) -> None:
        text = f"{self._folder / NAME} cannot be written: {error}; who orders what is not recorded"
        if text != self._trouble:
            self._report(text)
        self._trouble = text


def entries(folder: Path) -> Iterator[Entry | str]:
    """Of a site's folder, oldest first; a text in place of what cannot be read. Raises FileNotFoundError."""
    paths = [path for path in (folder / OLDER, folder / NAME) if path.exists()]
    if not paths:
        raise FileNotFoundError(folder / NAME)
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield _DECODER.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    yield f"{path.name}, line {number}: cannot be read"


def text_of(request: Request) -> str:
    """A write in words."""
    match request:
        case WriteRegister(address, value):
            return f"register {address} = {value}"
        case WriteRegisters(address, values) | ReadWriteRegisters(_, _, address, values):
            return f"registers {address} to {address + len(values) - 1} = {', '.join(map(str, values))}"
        case MaskWriteRegister(address, and_mask, or_mask):
            return f"register {address} & {and_mask:#06x} | {or_mask:#06x}"
        case WriteCoil(address, value):
            return f"coil {address} = {int(value)}"
        case WriteCoils(address, values):
            return f"coils {address} to {address + len(values) - 1} = {', '.join(str(int(each)) for each in values)}"
        case _:
            return type(request).__name__
