"""What takes longest begins first, so that the end of a run is short tests alone and every worker is busy to it."""

from __future__ import annotations

import pytest

from tests.requirement_marks import pytest_addoption, pytest_configure, pytest_itemcollected

__all__ = ["pytest_addoption", "pytest_configure", "pytest_itemcollected"]

LONG = (
    "tests/browser/test_browser_walk", "tests/browser/", "tests/durability/", "tests/bench/", "tests/cli/",
    "tests/site/test_site_joined_process", "tests/site/test_site_run_", "tests/interop/", "tests/api/test_api_schema",
    "tests/protocols/ocpp/messages/test_messages_oracle", "tests/check/", "tests/fuzz/",
    "tests/twin/test_twin_with_csms", "tests/simulation/",
)  # fmt: skip


def _rank(item: pytest.Item) -> int:
    return next((place for place, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
