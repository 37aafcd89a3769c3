"""The draft: what is written says what was meant, whatever it is; edits go over what is there; the rest stays."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.commissioning import Edit, Refused
from pilotwire.site.commissioning.draft import FRESH, DraftFile
from pilotwire.site.commissioning.text import file_text
from pilotwire.site.config import plain

ROOT = Path(__file__).resolve().parents[3]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text(max_size=12),
    st.decimals(-10_000, 10_000, allow_nan=False, places=3),
    st.sampled_from(["yes", "0x10", "1_000", "2026-01-01", "12:30", "- a", "a: b", "#", "~", "1e3", ".5", "é"]),
)  # fmt: skip
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from(["site", "nodes", "evses", "failsafe", "mqtt", "other"]), TREES, max_size=4))
def test_the_file_says_what_the_draft_says(data: dict[str, Any]) -> None:
    text = file_text(data)
    found, wrong = plain(text) if data else ({}, [])
    assert not wrong, (text, wrong)
    assert found == data, text


def test_the_example_with_everything_in_it_goes_through_unchanged() -> None:
    example = (ROOT / "docs/examples/site.yaml").read_text("utf-8")
    draft = DraftFile.of_text(example, ROOT / "docs/examples")
    again = DraftFile.of_text(draft.text, ROOT / "docs/examples")
    assert again.data == draft.data
    assert again.checked() == draft.checked()


def test_edits_go_over_what_is_there_and_leave_the_rest() -> None:
    first = DraftFile(FRESH, Path()).edited(
        Edit(evses=({"id": "a", "node": "grid", "maximum_a": 16.5, "priority": 3, "charger": {"ocpp": "A"}},))
    )
    second = first.edited(Edit(evses=({"id": "a", "maximum_a": 32, "rotation": "STR"}, {"id": "b"})))
    assert first.data["evses"][0]["maximum_a"] == Decimal("16.5")
    assert second.data["evses"][0] == {
        "id": "a", "node": "grid", "maximum_a": 32, "priority": 3, "charger": {"ocpp": "A"}, "rotation": "STR",
    }  # fmt: skip
    third = second.edited(Edit(evses=({"id": "a", "rotation": None},), remove=("b",)))
    assert "rotation" not in third.data["evses"][0] and len(third.data["evses"]) == 1
    assert "evses" not in third.edited(Edit(remove=("a",))).data
    with pytest.raises(Refused, match="needs an id"):
        first.edited(Edit(nodes=({"kind": "feeder"},)))


def test_a_draft_that_is_no_site_is_shown_all_the_same() -> None:
    """Whatever somebody writes into the whole file, the page that lets him mend it can be drawn."""
    for text in (
        "site: 5\nnodes: 7\n",
        "nodes: [{id: a, parent: b}, {id: b, parent: a}]\n",
        "evses: [{charger: 3}]\n",
        "nodes: [1, null]\nfailsafe: []\n",
        "nodes: [{id: grid, limits: [{current_a: [1, 2]}, 4]}]\n",
    ):
        shown = DraftFile.of_text(text, Path()).shown()
        assert not shown.sound and shown.findings
