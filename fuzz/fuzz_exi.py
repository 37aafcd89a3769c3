"""Fuzzes the EXI decoders of every schema: whatever comes in, a message or a DecodeError comes out, and nothing else.

    python fuzz/fuzz_exi.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks schema and grammar (of documents, of fragments), the rest is the stream. What is read must be
written again, and be read as the same.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.protocols import exi

WAYS = [(schema, exi.decode, exi.encode) for schema in exi.SCHEMAS]
WAYS += [(schema, exi.decode_fragment, exi.encode_fragment) for schema in exi.SCHEMAS]


def one(raw: bytes) -> None:
    """One input."""
    if not raw:
        return
    schema, read, write = WAYS[raw[0] % len(WAYS)]
    try:
        message = read(schema, b"\x80" + raw[1:])
    except exi.DecodeError:
        return
    assert read(schema, write(schema, message)) == message


if __name__ == "__main__":
    run(one, "-max_len=1024")
