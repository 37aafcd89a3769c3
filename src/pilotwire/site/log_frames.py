"""The frames of a log's file: packed, with length and checksum, so that a torn or altered one is noticed.

Ticks are packed by LZMA, whose window holds what is the same in all ticks of a minute: a third of what zlib makes of a
site with real meters, in the same time. Where Python has no LZMA they are packed by zlib, as they were before; what is
read may be either.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

try:
    import lzma
except ImportError:  # Python can be built without it
    lzma = None

MAGIC = b"PWSITE1\n"
FRAME = struct.Struct("<cII")
"""Kind (h head, t ticks by zlib, x ticks by LZMA), length, CRC-32 of kind and packed payload."""
MOST = 64_000_000
"""No frame is longer."""
_MEMORY = 32_000_000
"""Bytes that unpacking may take beside; what is written needs less than one."""

What = Literal["head", "ticks"]


class Damage(Exception):
    """A segment cannot be read from some byte on: the text says which, where and why."""


def packed(what: What, payload: bytes) -> bytes:
    """A frame."""
    if what == "ticks" and lzma is not None:
        kind, data = b"x", lzma.compress(payload, check=lzma.CHECK_NONE, preset=0)
    else:
        kind, data = b"h" if what == "head" else b"t", zlib.compress(payload, 6)
    return FRAME.pack(kind, len(data), zlib.crc32(kind + data)) + data


def frames(path: Path) -> Iterator[tuple[What, bytes, int]]:
    """What each holds, and the byte at which it begins. Raises Damage."""
    size = os.path.getsize(path)
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Damage(f"{path.name} is no log of a site")
        while True:
            at = file.tell()
            header = file.read(FRAME.size)
            if not header:
                return
            if len(header) < FRAME.size:
                raise Damage(f"{path.name} ends in the middle of a frame, at byte {at}")
            kind, length, crc = FRAME.unpack(header)
            if length > MOST or at + FRAME.size + length > size:
                raise Damage(f"{path.name} ends in the middle of a frame, at byte {at}")
            data = file.read(length)
            if zlib.crc32(kind + data) != crc:
                raise Damage(f"{path.name}, byte {at}: the checksum does not fit")
            try:
                payload = _by_lzma(data) if kind == b"x" else _by_zlib(data)
            except ValueError as error:
                raise Damage(f"{path.name}, byte {at}: {error}") from error
            if kind not in (b"h", b"t", b"x"):
                raise Damage(f"{path.name}, byte {at}: a frame of kind {kind!r}, which does not belong here")
            yield "head" if kind == b"h" else "ticks", payload, at


def _by_zlib(data: bytes) -> bytes:
    unpack = zlib.decompressobj()
    try:
        payload = unpack.decompress(data, MOST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if unpack.unconsumed_tail or not unpack.eof:
        raise ValueError(f"a frame of more than {MOST} bytes")
    return payload


def _by_lzma(data: bytes) -> bytes:
    if lzma is None:
        raise ValueError("it is packed by LZMA, which this Python is built without")
    unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    try:
        payload = unpack.decompress(data, MOST)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error
    if not unpack.eof:
        raise ValueError(f"a frame of more than {MOST} bytes")
    return payload
