"""Our station, judged by the kit in each version. What is open is listed in `open_cases.toml`: it never is "passed"."""

from __future__ import annotations

import asyncio

import pytest
from tests.check import check_kit

from pilotwire.check.player import Outcome


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> dict[str, dict[str, Outcome]]:
    """What became of the cases by version: those that are asked for, side by side, for a station mostly waits."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    versions = sorted({str(item.callspec.params["version"]) for item in functions if item.module is request.module})

    async def play() -> list[dict[str, Outcome]]:
        return await asyncio.gather(*(check_kit.check_station(version) for version in versions))

    return dict(zip(versions, asyncio.run(play()), strict=True))


@pytest.mark.parametrize(("version", "case"), check_kit.parameters("station"))
def test_case(played: dict[str, dict[str, Outcome]], version: str, case: str) -> None:
    check_kit.judge(played[version][case], "station")
