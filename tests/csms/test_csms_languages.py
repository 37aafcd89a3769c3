"""Messages for a display: their languages are named by tags, or they do not go out."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import World

VERSIONS = ("2.0.1", "2.1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("language", "goes"), [("en-US", True), ("de", True), ("zh-Hant", True), ("Englis!", False), ("en_US", False)]
)
@pytest.mark.parametrize("transaction", [None, "tx-1"])
def test_languages_are_named_by_their_tags(version: str, language: str, goes: bool, transaction: str | None) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    station.on["SetDisplayMessage"] = lambda payload: {"status": "Accepted"}
    text = {"format": "UTF8", "content": "hello", "language": language}
    info: dict[str, Any] = {"id": 1, "priority": "NormalCycle", "message": text}
    if transaction:
        info["transactionId"] = transaction
    replies = world.command("SetDisplayMessage", {"message": info})
    world.run()
    assert replies[0].outcome == ("answered" if goes else "invalid")
    assert bool(station.calls) is goes
    if not goes:
        assert language in replies[0].answer["description"]
