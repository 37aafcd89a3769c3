"""One running central system per module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop import csms_process


@pytest.fixture(scope="module")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[csms_process.Csms]:
    with csms_process.running(tmp_path_factory.mktemp("cli") / "data") as server:
        yield server


@pytest.fixture(scope="module", params=["beside a server", "alone"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a server is running over, and one that nobody uses."""
    if request.param == "alone":
        return tmp_path_factory.mktemp("alone") / "data"
    return request.getfixturevalue("csms").data
