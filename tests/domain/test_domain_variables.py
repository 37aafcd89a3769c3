"""A variable's kind outlives the answers that tell its value alone."""

from __future__ import annotations

from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import ReportedVariable, VariablesReported
from pilotwire.domain.records import Variable
from pilotwire.domain.state import StationState, variable_key
from pilotwire.domain.variables import merged

KEY = StationKey("default", "CP1")


def kept_after(*reports: ReportedVariable, restarted: bool) -> list[Variable]:
    """What a store holds after these reports, each heard a second later; `restarted`: each by another process."""
    rows: dict[tuple[object, ...], Variable] = {}
    state = StationState.fresh(KEY)
    for number, one in enumerate(reports):
        if restarted:
            state = StationState.fresh(KEY)
        state.apply(VariablesReported(event_time=0, variables=(one,)), 1_000 * (number + 1), 1)
        for record in state.touched():
            if isinstance(record, Variable):
                rows[variable_key(record)] = record
    return merged(rows.values())


REPORT = ReportedVariable(
    component="OCPPCommCtrlr",
    variable="HeartbeatInterval",
    value="300",
    mutability="ReadWrite",
    data_type="integer",
    unit="s",
)
ANSWER = ReportedVariable(component="OCPPCommCtrlr", variable="HeartbeatInterval", value="60")


def test_an_answer_changes_the_value_and_leaves_the_kind() -> None:
    for restarted in (False, True):
        for order, value in (((REPORT, ANSWER), "60"), ((ANSWER, REPORT), "300"), ((REPORT, ANSWER, REPORT), "300")):
            (one,) = kept_after(*order, restarted=restarted)
            assert (one.value, one.attribute) == (value, "Actual")
            assert (one.mutability, one.data_type, one.unit) == ("ReadWrite", "integer", "s")


def test_what_no_report_told_has_a_value_alone() -> None:
    (one,) = kept_after(ANSWER, restarted=False)
    assert (one.value, one.attribute, one.unit) == ("60", "Actual", "")


def test_attributes_and_places_stay_apart() -> None:
    found = kept_after(
        REPORT,
        ReportedVariable(component="OCPPCommCtrlr", variable="HeartbeatInterval", attribute="MaxSet", value="900"),
        ReportedVariable(component="OCPPCommCtrlr", variable="HeartbeatInterval", evse=1, value="1"),
        restarted=True,
    )
    assert sorted((one.attribute, one.evse, one.value) for one in found if one.evse is None) == [
        ("Actual", None, "300"),
        ("MaxSet", None, "900"),
    ]
    assert len(found) == 3


def test_a_configuration_key_is_one_record() -> None:
    key = ReportedVariable(component="", variable="HeartbeatInterval", value="300")
    (one,) = kept_after(key, ReportedVariable(component="", variable="HeartbeatInterval", value="60"), restarted=True)
    assert (one.attribute, one.value) == ("Actual", "60")
