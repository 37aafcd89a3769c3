"""The plain words cover the standards: no reason, trigger, state or error code of any version is left unexplained."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from types import ModuleType

import pytest

import pilotwire.domain
from pilotwire.console.words import TABLES, word
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.protocols.ocpp.v201 import messages as v201

STANDARD = [
    (v16, "Reason", "stop"),
    (v201, "ReasonEnumType", "stop"),
    (v21, "ReasonEnumType", "stop"),
    (v201, "TriggerReasonEnumType", "trigger"),
    (v21, "TriggerReasonEnumType", "trigger"),
    (v201, "ChargingStateEnumType", "state"),
    (v21, "ChargingStateEnumType", "state"),
    (v16, "ChargePointStatus", "connector"),
    (v21, "ConnectorStatusEnumType", "connector"),
    (v16, "ChargePointErrorCode", "error"),
    (v16, "Measurand", "measurand"),
    (v16, "ReadingContext", "context"),
    (v21, "ReadingContextEnumType", "context"),
    (v16, "Location", "location"),
    (v21, "LocationEnumType", "location"),
    (v16, "AuthorizationStatus", "token-status"),
    (v21, "AuthorizationStatusEnumType", "token-status"),
    (v201, "IdTokenEnumType", "token-type"),
]


@pytest.mark.parametrize(("version", "enum", "table"), STANDARD)
def test_every_code_of_the_standard_has_words(version: ModuleType, enum: str, table: str) -> None:
    codes = set(typing.get_args(getattr(version, enum)))
    assert codes, enum
    assert codes - set(TABLES[table]) == set()


def test_every_flag_that_the_domain_raises_is_explained() -> None:
    sources = Path(pilotwire.domain.__path__[0]).glob("*.py")
    raised = {
        name
        for source in sources
        for line in source.read_text().splitlines()
        if "flag(session" in line
        for name in re.findall(r'"([a-z0-9-]+)"', line)
    }
    assert len(raised) > 10
    assert raised == set(TABLES["flag"])
    assert all(known.text.endswith(".") for known in TABLES["flag"].values())


def test_what_no_table_knows_is_shown_as_it_came() -> None:
    assert word("stop", "VendorThing").name == "Vendor Thing"
    assert word("flag", "odd-thing").name == "Odd thing"
    assert word("stop", None).name == ""
    assert word("stop", "StoppedByEV").name == "Stopped by the car"
    with pytest.raises(KeyError):
        word("weather", "Rain")
