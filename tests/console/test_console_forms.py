"""Forms keep what was typed and tell each field's error."""

from __future__ import annotations

from pilotwire.api.problems import problem
from pilotwire.api.types import SiteChange
from pilotwire.console.forms import Form


def test_what_was_typed_is_kept() -> None:
    form = Form(
        {"id": ["  CP-1 "], "sites": ["a", "b"], "on": ["on"], "limit": ["-12"], "odd": ["1e3"], "big": ["9" * 20]}
    )
    assert (form.get("id"), form.get("nothing", "x")) == ("CP-1", "x")
    assert form.all("sites") == ["a", "b"]
    assert (form.flag("on"), form.flag("off")) == (True, False)
    assert (form.number("limit"), form.number("odd"), form.number("big"), form.number("none")) == (
        -12,
        None,
        None,
        None,
    )
    assert not form.bad


def test_errors_of_a_problem_stand_at_their_fields() -> None:
    form = Form({"id": ["x"], "address.city": ["y"]})
    form.fail(
        problem(
            "bad-body",
            errors=[{"field": "id", "message": "too short"}, {"field": "address.city", "message": "odd"},
                    {"field": "plan.width", "message": "too wide"}],
        )
    )  # fmt: skip
    assert form.errors == {"id": "too short", "address.city": "odd", "width": "too wide"}
    form.wrong("id", "and taken")
    assert form.errors["id"] == "too short"
    assert form.bad and form.problem is not None


def test_a_resource_is_prefilled() -> None:
    site = SiteChange(name="North", latitude=None, note="two gates", contacts=[])
    form = Form.of(site)
    assert (form.get("name"), form.get("latitude"), form.get("note")) == ("North", "", "two gates")
    assert form.all("contacts") == []
