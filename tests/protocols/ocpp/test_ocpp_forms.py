"""Forms and examples are made of what the messages are; every example could be sent."""

from __future__ import annotations

import msgspec
import pytest

from pilotwire.protocols.ocpp.catalogue import forms
from pilotwire.protocols.ocpp.catalogue.actions import CALLS, EXAMPLES, FIELDS, VERBS
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate import verbs

VERSIONS = ("1.6", "2.0.1", "2.1")


def test_every_action_of_every_version_is_told_and_nothing_else() -> None:
    known = {name for version in VERSIONS for name in load(version).actions}
    assert set(CALLS) == known
    assert set(VERBS) == set(verbs.VERBS)
    assert set(EXAMPLES) <= known | set(VERBS)
    for told in (*CALLS.values(), *VERBS.values()):
        assert told.title and told.text.endswith((".", "?")), told


@pytest.mark.parametrize("version", VERSIONS)
def test_every_example_is_a_payload_that_may_be_sent(version: str) -> None:
    spoken = load(version)
    for name, action in spoken.actions.items():
        if not action.by_csms or action.is_send:
            continue
        payload = forms.example(name, forms.of_message(action.request_type))
        verbs.decode(spoken, name, msgspec.json.encode(payload))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_verb_s_example_can_be_said(version: str) -> None:
    ask = verbs.Asking(version, lambda session: "17", lambda: 1)
    for name, (shape, _) in verbs.VERBS.items():
        payload = forms.example(name, forms.of_struct(shape))
        made = verbs.prepare(load(version), name, payload, ask)
        assert made.action in load(version).actions


def test_a_form_knows_types_limits_and_what_is_required() -> None:
    fields = {one.name: one for one in forms.of_message(load("1.6").actions["SetChargingProfile"].request_type)}
    assert fields["connectorId"].kind == "integer" and fields["connectorId"].required
    profile = {one.name: one for one in fields["csChargingProfiles"].fields}
    assert profile["chargingProfileKind"].values == ("Absolute", "Recurring", "Relative")
    assert not profile["validFrom"].required and profile["validFrom"].kind == "date-time"
    schedule = {one.name: one for one in profile["chargingSchedule"].fields}
    periods = schedule["chargingSchedulePeriod"]
    assert periods.kind == "array" and periods.items is not None
    assert {one.name for one in periods.items.fields} == {"startPeriod", "limit", "numberPhases"}
    tag = {one.name: one for one in forms.of_message(load("1.6").actions["RemoteStartTransaction"].request_type)}[
        "idTag"
    ]
    assert (tag.high, tag.kind, tag.text) == (20, "string", FIELDS["idTag"])
    reset = forms.of_struct(verbs.Reset)[0]
    assert (reset.kind, reset.values[0]) == ("enum", "hard")
    wanted = forms.of_struct(verbs.GetVariables)[0].items
    assert wanted is not None and wanted.kind == "object" and wanted.fields[0].name == "variable"
