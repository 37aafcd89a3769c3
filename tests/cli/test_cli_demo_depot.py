"""`pilotwire run` brings a depot that a real site controller runs: the process, looked at from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tests.interop import csms_process

PATIENCE_S = 90


def wait(server: csms_process.Csms, what: str, holds: Callable[[], Any]) -> Any:
    """Until it is so; an answer other than 200 is not yet."""
    end = time.monotonic() + PATIENCE_S
    last: object = None
    while time.monotonic() < end:
        assert server.process.poll() is None, server.log.read_text()[-3_000:]
        try:
            if last := holds():
                return last
        except httpx.HTTPStatusError as error:
            last = error.response.text
        time.sleep(0.2)
    raise AssertionError(f"{what}: {last}; the server says: {server.log.read_text()[-3_000:]}")


def test_the_depot_is_controlled_and_its_stations_are_at_the_central_system(tmp_path: Path) -> None:
    with csms_process.running(tmp_path / "data", "--lab", command="run") as server:

        def charging() -> Any:
            now: Any = server.get("/sites/depot/controller")
            return now if (now["flows"]["cars_w"] or 0) > 0 else None

        now = wait(server, "cars of the depot charge", charging)
        assert {node["id"] for node in now["nodes"]} == {"grid", "hall", "yard"}
        assert now["flows"]["pv_w"] <= 0, "what the sun gives is not import"

        def connected() -> Any:
            found: Any = server.get("/stations", limit=200)
            ours = {each["id"] for each in found["items"] if each["id"].startswith("DEPOT-") and each["connected"]}
            return ours if len(ours) == 6 else None

        wait(server, "its stations are connected through the box", connected)

        def session() -> Any:
            found: Any = server.get("/sessions", limit=200)
            return [each for each in found["items"] if str(each).count("DEPOT-")]

        wait(server, "what they charge is in the central system's sessions", session)
        sites: Any = server.get("/sites")
        assert {each["id"] for each in sites["items"]} >= {"demo", "depot"}
    assert server.process.returncode == 0
    said = server.log.read_text()
    assert "depot has ended" not in said, said
    assert (tmp_path / "data" / "depot" / "site.db").exists()
