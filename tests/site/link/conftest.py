"""What the tests of the link share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.site.link.link_kit import Central

from pilotwire.api import controller_links
from pilotwire.site.link import dial


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in less time."""
    for module, name, value in (
        (dial, "FIRST_PAUSE_S", 0.02), (dial, "MOST_PAUSE_S", 0.05), (dial, "TELL_S", 0.01), (dial, "LOOK_S", 0.05),
        (controller_links, "PROBE_S", 0.5), (controller_links, "LOOK_S", 0.05), (controller_links, "STILL_S", 0.1),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@pytest.fixture
async def central() -> AsyncIterator[Central]:
    made = Central()
    await made.start()
    await made.site()
    await made.key()
    yield made
    for box in made.boxes:
        await box.stop()
    await made.stop()
