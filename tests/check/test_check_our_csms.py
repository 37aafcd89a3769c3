"""Our CSMS, judged by the kit in each version. What is open is listed in `open_cases.toml`: it never is "passed"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.check import check_kit
from tests.interop import csms_process

from pilotwire.check.player import Outcome


@pytest.fixture(scope="module")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[csms_process.Csms, str]]:
    data: Path = tmp_path_factory.mktemp("check") / "data"
    with check_kit.our_csms(data) as ready:
        yield ready


@pytest.fixture(scope="module")
def played() -> dict[str, dict[str, Outcome]]:
    return {}


@pytest.mark.parametrize(("version", "case"), check_kit.parameters("csms"))
def test_case(
    csms: tuple[csms_process.Csms, str], played: dict[str, dict[str, Outcome]], version: str, case: str
) -> None:
    if version not in played:
        played[version] = asyncio.run(check_kit.check_csms(*csms, version))
    check_kit.judge(played[version][case], "csms")
