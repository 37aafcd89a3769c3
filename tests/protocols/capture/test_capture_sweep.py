"""`explain` at every step of every dialect: the same fault behind each message in turn."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.capture.capture_kit import V2gSession
from tests.protocols.capture.labelled import lose, name_of, read

from pilotwire.protocols import exi
from pilotwire.protocols.capture import explain
from pilotwire.protocols.iso15118 import v2gtp

DIALECTS = [
    ("iso2", "DC"),
    ("iso2", "AC"),
    ("din", "DC"),
    ("iso20-dc", "DC"),
    ("iso20-ac", "AC"),
    ("iso20-wpt", "WPT"),
    ("iso20-acdp", "DC_ACDP"),
]


def answers(dialect: str, service: str) -> list[str]:
    """Every answer of an orderly session, in the order of its first coming."""
    entries = read(V2gSession(dialect, service).begin(2_500).halt(8_000)).entries
    return list(dict.fromkeys(entry.name for entry in entries if entry.name.endswith("Res")))


def refuse(session: V2gSession, dialect: str, name: str) -> None:
    """This answer says FAILED."""

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        if side != "evse" or name_of(frame, dialect) != name:
            return [frame]
        for schema in (dialect, "iso20-common", "iso20-dc"):
            try:
                message = exi.decode(schema, frame.payload)
            except exi.DecodeError:
                continue
            ((root, body),) = message.items()
            fields: dict[str, Any] = next(iter(body["Body"].values())) if root == "V2G_Message" else body
            fields["ResponseCode"] = "FAILED"
            return [frame._replace(payload=exi.encode(schema, message))]
        return [frame]

    session.spoil = spoil


@pytest.mark.parametrize(("dialect", "service"), DIALECTS)
def test_an_answer_that_is_lost_is_named_with_its_timer(dialect: str, service: str) -> None:
    for name in answers(dialect, service):
        if name == "ACDP_SystemStatusRes":
            continue  # what the main stream waits for has been waited for longer
        session = V2gSession(dialect, service)
        lose(session, dialect, name)
        found = explain(read(session.begin(2_500).halt(12_000)))
        assert (found.kind, found.side) == ("no answer", "evse"), found.sentence
        # Every answer is lost from there on: a side stream that was open has been waited for as well.
        named = {f"V2G_EVCC_Msg_Timeout_{name.removesuffix('Res')}Req"}
        named |= {"V2G_EVCC_Msg_Timeout_ACDP_SystemStatusReq"} if dialect == "iso20-acdp" else set()
        assert found.rule in named


@pytest.mark.parametrize(("dialect", "service"), DIALECTS)
def test_an_answer_that_refuses_is_named_with_what_it_answers(dialect: str, service: str) -> None:
    for name in answers(dialect, service)[1:]:
        session = V2gSession(dialect, service)
        refuse(session, dialect, name)
        found = explain(read(session.begin(2_500).halt(8_000)))
        assert (found.kind, found.rule) == ("failed answer", "FAILED"), f"{name}: {found.sentence}"
        assert f"({name.removesuffix('Res')}Req)" in found.sentence


@pytest.mark.parametrize(("dialect", "service"), DIALECTS)
@pytest.mark.parametrize("side", ["ev", "evse"])
def test_a_connection_that_breaks_behind_an_answer_is_named_with_who_broke_it(
    dialect: str, service: str, side: str
) -> None:
    for name in answers(dialect, service)[:-1]:
        if name == "ACDP_SystemStatusRes":
            continue  # a side stream: others speak in the same millisecond
        session = V2gSession(dialect, service)

        def spoil(frame: v2gtp.Frame, who: str, name: str = name, session: V2gSession = session) -> list[v2gtp.Frame]:
            if who == "evse" and name_of(frame, dialect) == name:
                session.time.call_later(1, lambda: session.close(side, "rst"))
            return [frame]

        session.spoil = spoil
        found = explain(read(session.begin(2_500).halt(8_000)))
        assert (found.kind, found.side) == ("left without stop", side), f"{name}: {found.sentence}"
        assert f"({name})" in found.sentence and "reset" in found.sentence
