"""Times of a site are its own, whoever looks, and written as people of the language do."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from pilotwire.api.language import spoken
from pilotwire.console import site_times

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("zone", "time", "english", "german"),
    [
        (BERLIN, "2026-07-01T22:30:05Z", "Jul 2, 00:30", "2. Juli, 00:30"),
        (BERLIN, "2026-01-05T11:00:00Z", "Jan 5, 12:00", "5. Jan., 12:00"),
        (BERLIN, "2025-12-31T23:30:00Z", "Jan 1, 00:30", "1. Jan., 00:30"),  # there it is the new year
        (BERLIN, "2025-12-31T22:30:00Z", "Dec 31, 2025, 23:30", "31. Dez. 2025, 23:30"),
        (ZoneInfo("Asia/Kolkata"), "2026-01-05T20:00:00+02:00", "Jan 5, 23:30", "5. Jan., 23:30"),
    ],
)
def test_a_time_is_that_of_the_site(zone: ZoneInfo, time: str, english: str, german: str) -> None:
    with site_times.of_site(zone, NOW):
        said = site_times.when(time)
        assert f">{english}<" in said and f'datetime="{time}"' in said and "data-" not in said, "no browser changes it"
        assert str(zone) in said, "its title says which zone"
        with spoken("de"):
            assert f">{german}<" in site_times.when(time)


def test_to_the_second_and_nothing_at_all() -> None:
    with site_times.of_site(BERLIN, NOW):
        assert ">13:00:07<" in site_times.clock("2026-01-01T12:00:07Z")
        assert ">Jan 1, 13:00:07<" in site_times.when("2026-01-01T12:00:07Z", seconds=True)
        said = site_times.ago("2026-01-01T12:00:07Z")
        assert " data-ago>" in said and 'title="2026-01-01 13:00:07 Europe/Berlin"' in said
        assert site_times.when(None) == "–" and site_times.clock(None, "<b>") == "<b>"
    assert ">12:00:07<" in site_times.clock("2026-01-01T12:00:07Z"), "outside a site it is UTC"
