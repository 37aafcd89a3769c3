"""What every fuzz target begins and ends with: where the code is, and the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]


def run(one: Callable[[bytes], None], *options: str) -> None:
    """Fuzzes `one` with these options of libFuzzer and those of the command line; `--seconds 60` is for people."""
    given = sys.argv[1:]
    if "--seconds" in given:
        at = given.index("--seconds")
        given[at : at + 2] = [f"-max_total_time={int(given[at + 1])}"]
    atheris.Setup([sys.argv[0], *options, *given], one)
    atheris.Fuzz()
