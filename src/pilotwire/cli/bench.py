"""`pilotwire bench`: the benchmarks of a checkout. They bring a baseline along that an installation does not need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pilotwire.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def main(name: str, arguments: Sequence[str]) -> int:
    if not (ROOT / "bench" / "__main__.py").exists():
        raise ConfigError("the benchmarks are in the source: get a checkout of Pilotwire and type `make bench`")
    return subprocess.call([sys.executable, "-m", "bench", *arguments], cwd=ROOT)  # noqa: S603 - our own module
