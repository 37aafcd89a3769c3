"""supportedAppProtocol: who decides, and what is said when nothing fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import sap
from pilotwire.protocols.iso15118.config import Dialect

ALL: tuple[Dialect, ...] = tuple(sap.VERSIONS)


def entry(dialect: Dialect, priority: int, number: int = 0, **other: Any) -> Any:
    version = sap.VERSIONS[dialect]
    return {
        "ProtocolNamespace": version.namespace,
        "VersionNumberMajor": version.major,
        "VersionNumberMinor": version.minor,
        "SchemaID": number or priority,
        "Priority": priority,
    } | other


def test_the_vehicles_priority_decides_and_not_the_order_of_either() -> None:
    offered = [entry("din", 2), entry("iso2", 1), entry("iso20-dc", 3)]
    assert sap.choose(offered, ("iso20-dc", "din", "iso2")) == ("iso2", "OK_SuccessfulNegotiation", 1)
    assert sap.choose(offered, ("iso20-dc", "din")) == ("din", "OK_SuccessfulNegotiation", 2)


def test_another_minor_version_is_no_obstacle_but_told() -> None:
    offered = [entry("iso2", 1, 7, VersionNumberMinor=1)]
    assert sap.choose(offered, ALL) == ("iso2", "OK_SuccessfulNegotiationWithMinorDeviation", 7)


@pytest.mark.parametrize(
    "wrong",
    [{"VersionNumberMajor": 3}, {"ProtocolNamespace": "urn:iso:15118:2:2010:MsgDef"}, {"ProtocolNamespace": ""}],
)
def test_another_major_version_or_namespace_is_passed_over(wrong: dict[str, Any]) -> None:
    assert sap.choose([entry("iso2", 1, **wrong)], ALL) == (None, "Failed_NoNegotiation", None)
    assert sap.choose([entry("iso2", 1, **wrong), entry("din", 2)], ALL).dialect == "din"


def test_iso_20_wants_tls_and_every_dialect_a_service_of_its_own() -> None:
    assert sap.usable(ALL, ("DC", "AC"), tls=True) == ("din", "iso2", "iso20-ac", "iso20-dc")
    assert sap.usable(ALL, ("DC", "AC"), tls=False) == ("din", "iso2")
    assert sap.usable(ALL, ("AC",), tls=True) == ("iso2", "iso20-ac")
    assert sap.usable(ALL, ("DC_BPT",), tls=True) == ("iso20-dc",)
    assert sap.usable(ALL, ("WPT", "DC_ACDP"), tls=True) == ("iso20-wpt", "iso20-acdp")
    assert sap.usable(ALL, ("WPT",), tls=False) == ()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.permutations(ALL), st.sets(st.sampled_from(ALL)))
def test_what_is_asked_is_what_is_chosen(preferred: list[Dialect], known: set[Dialect]) -> None:
    """Both ends' bytes: the first that the station knows, by its number; or none."""
    offered = sap.read(sap.request(tuple(preferred)))["supportedAppProtocolReq"]["AppProtocol"]
    choice = sap.choose(offered, tuple(known))
    first = next((place for place, dialect in enumerate(preferred, 1) if dialect in known), None)
    answer = sap.read(sap.response(choice))["supportedAppProtocolRes"]
    assert answer.get("SchemaID") == first
    assert (answer["ResponseCode"] == "Failed_NoNegotiation") == (first is None)
    assert choice.dialect == (None if first is None else preferred[first - 1])


def test_twenty_protocols_are_read_and_one_more_is_not() -> None:
    entries = [entry("din", place, VersionNumberMajor=9) for place in range(1, 20)] + [entry("iso2", 20)]
    stream = exi.encode("sap", {"supportedAppProtocolReq": {"AppProtocol": entries}})
    assert sap.choose(sap.read(stream)["supportedAppProtocolReq"]["AppProtocol"], ALL).schema_id == 20
    with pytest.raises(exi.EncodeError):
        exi.encode("sap", {"supportedAppProtocolReq": {"AppProtocol": [*entries, entry("din", 1)]}})
