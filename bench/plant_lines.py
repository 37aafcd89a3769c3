"""A line to a simulated plant, a process of its own, and a line of JSON from it."""

from __future__ import annotations

import json
import subprocess
from typing import Any


def tell(process: subprocess.Popen[str], text: str) -> None:
    """Writes a line."""
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> Any:
    """Waits for one. Raises RuntimeError when the plant has ended."""
    assert process.stdout is not None
    found = process.stdout.readline()
    if not found:
        raise RuntimeError(f"the plant ended with status {process.wait()}")
    return json.loads(found)
