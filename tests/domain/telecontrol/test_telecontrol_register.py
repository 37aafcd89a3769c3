"""The register of a remote terminal unit."""

from __future__ import annotations

import pytest
from msgspec import structs

from pilotwire.domain.telecontrol import (
    NO_LIMIT,
    Figure,
    RegisterRules,
    RegisterState,
    in_force,
    register_faults,
    written,
)

RULES = RegisterRules(id="rtu", source="DSO", node="grid", watchdog_ms=60_000)
START = RegisterState(written_ms=0)


@pytest.mark.parametrize(
    ("meaning", "raw", "permille", "value"),
    [("percent", 60, 600, None), ("percent", 0, 0, None), ("kw", 60, None, 60_000_000), ("w", 60, None, 60_000)],
)
def test_what_a_count_means(meaning: str, raw: int, permille: int | None, value: int | None) -> None:
    rules = structs.replace(RULES, meaning=meaning)  # pyright: ignore[reportArgumentType]
    found = in_force(rules, written(rules, raw, "10.0.0.7", 5), 6).control
    assert found is not None and (found.permille, found.value_mw, found.kind) == (permille, value, "export_limit")


def test_no_limit_and_nothing_written() -> None:
    assert in_force(RULES, written(RULES, NO_LIMIT, "c", 0), 1) == (None, NO_LIMIT, False, 59_999)
    assert in_force(RULES, START, 1) == (None, None, False, 59_999)


@pytest.mark.parametrize("raw", [101, 65_534, -1])
def test_beyond_the_range_nothing_is_written(raw: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        written(RULES, raw, "c", 0)


def test_the_watchdog() -> None:
    state = written(RULES, 60, "c", 1_000)
    assert in_force(RULES, state, 60_999).left_ms == 1
    held = in_force(RULES, state, 61_000)
    assert held.lost and held.control is not None and (held.control.permille, held.raw) == (600, 60)
    assert held.control.source == "DSO, silent"
    falls = structs.replace(RULES, lost="figure", lost_figure=Figure(permille=300))
    assert in_force(falls, state, 60_999).raw == 60
    lost = in_force(falls, state, 61_000)
    assert lost.control is not None and (lost.control.permille, lost.raw) == (300, 30)
    assert in_force(falls, START, 60_000).raw == 30, "one that has never written is silent too"
    assert in_force(structs.replace(RULES, lost="figure"), state, 61_000)[:2] == (None, NO_LIMIT)


def test_percent_of_the_import() -> None:
    rules = structs.replace(RULES, kind="import_limit", reference_mw=100_000_000)
    found = in_force(rules, written(rules, 33, "c", 0), 1).control
    assert found is not None and (found.value_mw, found.permille) == (33_000_000, None)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (structs.replace(RULES, maximum=101), "100 percent"),
        (structs.replace(RULES, maximum=65_535, meaning="w"), "65534"),
        (structs.replace(RULES, kind="import_limit"), "reference_mw"),
        (structs.replace(RULES, watchdog_ms=0), "above 0"),
        (structs.replace(RULES, lost_figure=Figure(permille=1)), "lost: figure"),
        (structs.replace(RULES, lost="figure", lost_figure=Figure()), "power or a share"),
        (structs.replace(RULES, lost="figure", lost_figure=Figure(value_mw=1)), "unit of the register"),
    ],
)
def test_mistakes_are_said(rules: RegisterRules, said: str) -> None:
    assert any(said in fault for fault in register_faults(rules)) and not register_faults(RULES)
