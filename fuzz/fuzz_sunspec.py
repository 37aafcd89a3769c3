"""Fuzzes what a device may answer to our walk along its SunSpec models, and the models themselves.

    python fuzz/fuzz_sunspec.py [--seconds 60] [corpus directory] [libFuzzer options]

The input is a device's memory, from address 0 on, as far as it goes; beyond it every read fails. The walk has to end
within its limits, and each model that it finds has values or an error of ours.
"""

from __future__ import annotations

from contextlib import suppress

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.errors import PilotwireError
    from pilotwire.protocols.sunspec.models import decode_model
    from pilotwire.protocols.sunspec.tables import MODELS
    from pilotwire.protocols.sunspec.walk import MOST_MODELS, SUNS, Walk

NUMBERS = sorted(MODELS)


def one(raw: bytes) -> None:
    """One input."""
    memory = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw) - 1, 2)]
    memory = [*SUNS, *memory]
    if len(memory) > 2:
        memory[2] = NUMBERS[memory[2] % len(NUMBERS)]  # a number by chance is hardly ever a model of ours
    walk, asked = Walk((0,)), 0
    while (want := walk.want) is not None:
        asked += 1
        assert asked <= MOST_MODELS + 2
        end = want.address + want.count
        walk.answer(memory[want.address : end] if end <= len(memory) else None)
    chain = walk.chain
    assert chain is not None
    for placed in chain.models:
        body = memory[placed.address : placed.address + placed.length + 2]
        if placed.number in MODELS:
            with suppress(PilotwireError):
                decode_model(body)
        chain.locate(f"{placed.number}.W")


if __name__ == "__main__":
    run(one, "-max_len=2048")
