"""What our CSMS and our station do not pass today, with the kit's own words, in the form of `open_cases.toml`.

    python -m tests.check.list_open

A case that was passed and is listed now is a step back; one that is not listed any more can go from `open_cases.toml`.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path

from tests.check import check_kit

from pilotwire.check.player import Outcome

_CHANGING = re.compile(r"[0-9a-f-]{16,}|\b\d{6,}\b|(?<=is )\{.*")


def rows(side: str, version: str, outcomes: dict[str, Outcome]) -> list[str]:
    failed = [outcome for outcome in outcomes.values() if outcome.status == "failed"]
    words = {
        each.id: _CHANGING.sub("…", f"{each.step}: {each.reason}" if each.step else each.reason) for each in failed
    }
    return [
        f'[{side}."{version}"]',
        *(f"{name} = {json.dumps(text[:160], ensure_ascii=False)}" for name, text in words.items()),
        "",
    ]


def main() -> None:
    text: list[str] = []
    with tempfile.TemporaryDirectory() as folder, check_kit.our_csms(Path(folder) / "data") as ready:
        for version in check_kit.VERSIONS:
            text += rows("csms", version, asyncio.run(check_kit.check_csms(*ready, version)))
    for version in check_kit.VERSIONS:
        text += rows("station", version, asyncio.run(check_kit.check_station(version)))
    print("\n".join(text))


if __name__ == "__main__":
    main()
