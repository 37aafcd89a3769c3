"""Every named quirk has a frame; played to the central system it is recognised, and a station without it is not."""

from __future__ import annotations

import pytest
from quirks_kit import Player

from pilotwire.domain.facts import QuirkSeen
from pilotwire.domain.quirks import Quirk, quirks
from pilotwire.protocols.ocpp.tolerance import RULES

ALL = list(quirks().values())


@pytest.mark.parametrize("quirk", ALL, ids=lambda one: one.id)
def test_its_frames_show_it(quirk: Quirk) -> None:
    played = Player(quirk.versions[0], bare=quirk.bare).play(quirk.frames)
    assert quirk.id in played.seen
    assert played.seen.count(quirk.id) == 1, "it is told once"
    kept = played.world.record().quirks[quirk.id]
    assert kept.first <= kept.last <= played.world.clock.now()
    assert played.world.system.counters.faults == 0


@pytest.mark.parametrize("quirk", ALL, ids=lambda one: one.id)
def test_a_clean_conversation_does_not(quirk: Quirk) -> None:
    played = Player(quirk.versions[0], bare=quirk.bare).play(quirk.clean)
    assert played.seen == []
    assert played.world.system.counters.faults == 0


def test_every_tolerance_is_a_quirk_and_the_other_way_round() -> None:
    assert {rule.name for rule in RULES} == {one.id for one in ALL if one.found_by == "decoder"}


def test_the_frame_is_kept_beside_the_fact() -> None:
    quirk = quirks()["null-for-absent"]
    played = Player().play(quirk.frames)
    (entry,) = [one for one in played.world.store._entries if any(isinstance(fact, QuirkSeen) for fact in one.facts)]
    assert b'"info":null' in entry.frame
