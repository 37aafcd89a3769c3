"""The catalogue of quirks: complete, told in words, with sources, and the page that is made from it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import QuirkSeen, StationBooted
from pilotwire.domain.quirks import REMEDIES, Quirk, Setting, active, catalogue, quirks
from pilotwire.domain.records import QuirkRecord, Station
from pilotwire.domain.stations import StationState

ROOT = Path(__file__).parents[2]
ALL = list(quirks().values())


def test_there_are_many() -> None:
    assert len(ALL) >= 110
    assert {one.found_by for one in ALL} == {"decoder", "messages", "frames", "answers", "connection"}
    assert {version for one in ALL for version in one.versions} == {"1.6", "2.0.1", "2.1"}


@pytest.mark.parametrize("quirk", ALL, ids=lambda one: one.id)
def test_each_is_told(quirk: Quirk) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", quirk.id)
    for text in (quirk.seen, quirk.effect, quirk.ours, quirk.operator):
        assert text[0].isupper() or text.split()[0].rstrip(",.").isascii()
        assert text.endswith("."), text
    assert quirk.frames and quirk.clean and quirk.frames != quirk.clean and quirk.versions
    assert quirk.remedy in ("", *REMEDIES)
    for known in quirk.known:
        assert known.who and re.match(r"https://[a-z.-]+/\S+$", known.source), known


def test_most_name_where_they_were_reported() -> None:
    assert sum(bool(one.known) for one in ALL) >= 70


def test_the_page_is_what_the_catalogue_says() -> None:
    page = runpy.run_path(str(ROOT / "tools/quirks_page.py"))["page"]
    assert (ROOT / "docs/quirks.md").read_text("utf-8") == page(), "run: python tools/quirks_page.py"


def test_a_file_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd.toml").write_text('[[quirk]]\nid = "x"\n')
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"odd\.toml"):
        catalogue.quirks.__wrapped__()


def test_a_station_keeps_what_was_seen_with_its_firmware() -> None:
    state = StationState.fresh(StationKey("default", "CP1"))
    state.apply(StationBooted(event_time=1, vendor="V", model="M", firmware="1.0"), 1, 1)
    state.apply(QuirkSeen(event_time=5, quirk="clock-1970"), 10, 1)
    state.apply(StationBooted(event_time=1, vendor="V", model="M", firmware="1.1"), 20, 1)
    state.apply(QuirkSeen(event_time=5, quirk="clock-1970"), 30, 1)
    assert state.station.quirks == {"clock-1970": QuirkRecord(10, 30, "1.1")}
    assert state.station in state.touched()


def test_names_of_a_peer_cannot_fill_a_station() -> None:
    state = StationState.fresh(StationKey("default", "CP1"))
    for number in range(1_000):
        state.apply(QuirkSeen(event_time=1, quirk=f"made-up-{number}"), number, 1)
    assert len(state.station.quirks) == 200


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ([], True),
        ([Setting(remedy="whole-seconds", on=False)], False),
        ([Setting(remedy="whole-seconds", on=False, vendor="other")], True),
        ([Setting(remedy="whole-seconds", on=False, firmware="1."), Setting(remedy="whole-seconds", model="m")], False),
        ([Setting(remedy="whole-seconds", model="m"), Setting(remedy="whole-seconds", on=False, vendor="V")], True),
    ],
)
def test_an_operators_word_counts_where_it_fits_best(settings: list[Setting], counts: bool) -> None:
    station = Station(tenant="default", id="CP1", vendor="V", model="M", firmware="1.0")
    station.quirks["clock-not-set"] = QuirkRecord(1, 1, "1.0")
    assert ("whole-seconds" in active(station, settings)) is counts
