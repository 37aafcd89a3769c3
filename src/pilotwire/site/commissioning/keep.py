"""What a commissioning remembers over a restart: one file, written whole, that nobody else may read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pilotwire.domain.commissioning import DryReport, FailsafeResult, Found, Job, Verdict

FORMAT = 1
NAME = "commissioning.json"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`draft` is the file's text. `passwords`: SHA-256 of those that stations have knocked with, by identity."""

    format: int = FORMAT
    draft: str
    found: tuple[Found, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    failsafes: tuple[FailsafeResult, ...] = ()
    overloads: tuple[str, ...] = ()
    dry_run: DryReport | None = None
    job: Job | None = None
    passwords: Mapping[str, str] = {}
    written_ms: int | None = None


_DECODER = msgspec.json.Decoder(Kept)
_ENCODER = msgspec.json.Encoder()


def load(folder: Path) -> tuple[Kept | None, str]:
    """What is kept there, or None and why ("" where there was nothing). What cannot be read is put aside."""
    path = folder / NAME
    try:
        kept = _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, _aside(path, str(error))
    if kept.format != FORMAT:
        return None, _aside(path, f"it is of format {kept.format}")
    return kept, ""


def _aside(path: Path, why: str) -> str:
    try:
        path.replace(path.with_name(path.name + ".damaged"))
    except OSError:
        return f"{path} cannot be read: {why}"
    return f"{path} could not be read ({why}) and was put aside; the commissioning begins anew"


def save(folder: Path, kept: Kept) -> None:
    """Raises OSError."""
    write_whole(folder / NAME, _ENCODER.encode(kept), mode=0o600)


def write_whole(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """A file is the old one or the new one, never half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
