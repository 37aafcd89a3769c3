"""How often `explain` names the reason that is known: at least nine times in ten, over every protocol."""

from __future__ import annotations

import pytest
from tests.protocols.capture.labelled import CASES, Case

from pilotwire.protocols.capture import Recording, explain, read_timeline
from pilotwire.protocols.iso15118.quirks import QUIRKS, matching
from pilotwire.protocols.slac import mme


def right(case: Case) -> tuple[bool, str]:
    """Whether the reason is found, and what was said."""
    found = explain(case.make())
    said = f"{found.sentence} {found.rule}"
    return found.kind == case.kind and all(word in said for word in case.words), f"{found.kind}: {found.sentence}"


def test_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[str] = []
    for case in CASES:
        fits, said = right(case)
        if not fits:
            wrong.append(f"  {case.label}: expected {case.kind} {case.words}, said {said}")
    score = len(CASES) - len(wrong)
    with capsys.disabled():
        print(f"\nexplain: {score} of {len(CASES)} labelled sessions explained ({100 * score // len(CASES)} %)")
        print("\n".join(wrong))
    assert len(CASES) >= 40
    assert score * 10 >= len(CASES) * 9, "\n".join(wrong)


def test_every_sentence_is_one_and_names_its_message() -> None:
    for case in CASES[::7]:
        timeline = case.make()
        found = explain(timeline)
        assert found.sentence.endswith(".") and "\n" not in found.sentence
        assert found.index is not None and 1 <= found.index <= len(timeline.entries)
        assert str(found.index) in found.sentence, "the message is named"


def test_nothing_to_explain() -> None:
    assert explain(read_timeline(Recording().file())).kind == "nothing"


def test_a_known_vehicle_is_named_with_the_evidence() -> None:
    recording = Recording()
    tesla = bytes.fromhex("98ed5c000001")
    recording.ethernet(0, mme.encode(mme.MmeFrame(mme.BROADCAST, tesla, mme.SlacParmReq(run_id=b"TESLA EV"))))
    found = explain(read_timeline(recording.file()))
    assert any("SmartEVSE/SmartEVSE-3#25" in quirk for quirk in found.quirks)


def test_quirks_are_data_with_evidence() -> None:
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS) >= 10
    for quirk in QUIRKS:
        assert quirk.evidence and all("#" in place and "/" in place for place in quirk.evidence)
        assert quirk.does and quirk.override
        for oui in quirk.ouis:
            assert quirk in matching(oui + "000001") and quirk in matching(f"0000{oui}000001")
    assert [quirk.name for quirk in matching("", "", ("urn:tesla:din:2018:MsgDef",))] == ["tesla-din"]
    assert [quirk.name for quirk in matching("00" * 8)] == ["long-evccid"]
    assert matching("020000000001", "RUN", ("urn:din:70121:2012:MsgDef",)) == () == matching("")
