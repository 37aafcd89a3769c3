"""Facts in plain words."""

from __future__ import annotations

import typing
from decimal import Decimal

import msgspec
import pytest

from pilotwire.api.language import spoken, translate
from pilotwire.api.words import level, news_of, say, spaced
from pilotwire.domain import facts

KINDS = typing.get_args(facts.AnyFact)


def filled(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The struct with every needed field filled by its type."""
    fill: dict[str, typing.Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            text = str(field.type)
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                fill[field.name] = filled(field.type)
            elif field.type is Decimal:
                fill[field.name] = Decimal(1)
            else:
                fill[field.name] = () if "tuple" in text else 1 if "int" in text else "SomeText"
    return kind(**fill)


def made(kind: type[facts.Fact]) -> facts.AnyFact:
    return typing.cast("facts.AnyFact", filled(kind))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_fact_has_its_own_words(kind: type[facts.Fact]) -> None:
    fact = made(kind)
    words = say(fact)
    assert words and words != kind.__name__, "a fact without words falls back to its class"
    assert level(fact) in ("info", "good", "warn", "bad")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SuspendedEVSE", "Suspended EVSE"),
        ("EVDisconnected", "EV Disconnected"),
        ("Available", "Available"),
        ("DeAuthorized", "De Authorized"),
        ("", ""),
    ],
)
def test_spaced(name: str, words: str) -> None:
    assert spaced(name) == words


def test_nothing_is_nothing_in_every_language() -> None:
    fact = facts.SessionUpdated(event_time=0, session_id="s")
    assert say(fact) == "session: meter values"
    with spoken("de"):
        assert translate("") == ""


def test_news_leaves_out_what_goes_with_every_session() -> None:
    def status(name: str, error: str = "") -> facts.ConnectorStatusChanged:
        return facts.ConnectorStatusChanged(event_time=0, evse=1, connector=1, status=name, error_code=error)

    assert news_of(1, "CP", 0, status("Charging")) is None
    assert news_of(1, "CP", 0, status("Charging", "NoError")) is None
    warned = news_of(1, "CP", 0, status("Charging", "HighTemperature"))
    assert warned is not None and warned.line().summary == "EVSE 1: charging (HighTemperature)"
    fault = news_of(1, "CP", 0, status("Faulted", "GroundFailure"))
    assert fault is not None and fault.line().level == "bad"
    accepted = facts.TokenPresented(event_time=0, token="T", token_type="ISO14443", verdict="Accepted")
    assert news_of(1, "CP", 0, accepted) is None
    refused = facts.TokenPresented(event_time=0, token="T", token_type="ISO14443", verdict="Invalid")
    told = news_of(1, "CP", 0, refused)
    assert told is not None and (told.line().level, told.line().summary) == ("warn", "token T presented: invalid")
    asked = facts.InventoryAsked(event_time=0, firmware="1", status="Accepted")
    assert news_of(1, "CP", 0, asked) is None, "every station is asked, a whole fleet after its start"
    assert news_of(1, "CP", 0, facts.InventoryAsked(event_time=0, firmware="1", status="NotSupported")) is not None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_fact_is_said_in_german_too(kind: type[facts.Fact]) -> None:
    fact = made(kind)
    with spoken("de"):
        german = say(fact)
    same = {
        "EventNotified",
        "LogStatusChanged",
        "ConnectorStatusChanged",
        "CommandSettled",
    }  # names and codes of the standard alone
    assert kind.__name__ in same or german != say(fact)


def test_codes_of_the_standard_are_said_in_german() -> None:
    fault = facts.ConnectorStatusChanged(
        event_time=0, evse=2, connector=3, status="Faulted", error_code="GroundFailure"
    )
    ended = facts.SessionEnded(event_time=0, session_id="s", reason="EVDisconnected")
    with spoken("de"):
        assert say(fault) == "EVSE 2, Anschluss 3: gestört (GroundFailure)"
        assert say(ended) == "Ladevorgang beendet (Fahrzeug abgesteckt)"
    assert say(ended) == "session ended (ev disconnected)"
