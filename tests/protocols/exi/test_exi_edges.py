"""The legal messages on which other codecs have stumbled, beside the Java codec: as many as are allowed, and nothing.

Lists at their longest (the production goes away with the last one), elements that are there and empty, and messages
that a vehicle pads.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.exi.exi_messages import xml

import compile_exi
from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of

COST = {"costKind": "relativePricePercentage", "amount": 7, "amountMultiplier": -2}
CONSUMPTION = {
    "startValue": {"Multiplier": 0, "Unit": "W", "Value": 1},
    "Cost": [COST, COST | {"costKind": "CarbonDioxideEmission"}, COST | {"costKind": "RenewableGenerationPercentage"}],
}
HEADER = {"SessionID": b"\x01\x02\x03\x04\x05\x06\x07\x08", "TimeStamp": 1_767_225_600}
ZERO = {"Exponent": 0, "Value": 0}
EDGES: dict[str, tuple[str, str, Any]] = {
    "three ConsumptionCost with three Cost each": (
        "iso2",
        "SalesTariffEntry",
        {
            "RelativeTimeInterval": {"start": 0},
            "EPriceLevel": 1,
            "ConsumptionCost": [CONSUMPTION, CONSUMPTION, CONSUMPTION],
        },
    ),
    "an empty Dynamic_EVPPTControlMode": (
        "iso20-common",
        "PowerDeliveryReq",
        {
            "Header": HEADER,
            "EVProcessing": "Ongoing",
            "ChargeProgress": "Start",
            "EVPowerProfile": {
                "TimeAnchor": 1,
                "Dynamic_EVPPTControlMode": {},
                "EVPowerProfileEntries": {"EVPowerProfileEntry": [{"Duration": 1, "Power": ZERO}]},
            },
        },
    ),
    "an AC_ChargeLoopRes with the least in it": (
        "iso20-ac",
        "AC_ChargeLoopRes",
        {"Header": HEADER, "ResponseCode": "OK", "Scheduled_AC_CLResControlMode": {}},
    ),
    "requests with nothing in them": (
        "iso2",
        "V2G_Message",
        {"Header": {"SessionID": bytes(8)}, "Body": {"ChargingStatusReq": {}}},
    ),
    "twenty protocols": (
        "sap",
        "supportedAppProtocolReq",
        {
            "AppProtocol": [
                {
                    "ProtocolNamespace": "urn:din:70121:2012:MsgDef",
                    "VersionNumberMajor": 2,
                    "VersionNumberMinor": 0,
                    "SchemaID": number,
                    "Priority": number,
                }
                for number in range(1, 21)
            ]
        },
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_the_same_bytes_as_the_java_codec_and_the_same_message_again(java, edge: str) -> None:
    schema, local, value = EDGES[edge]
    grammar = grammar_of(schema)
    ours = exi.encode(schema, {local: value})
    text = xml(grammar, local, grammar.namespaces[local], dict(grammar.document)[local], value)
    assert ours == java.encode(compile_exi.ROOTS[schema], text)
    for padding in (b"", b"\x00", b"\x00\x00\x00"):
        assert exi.decode(schema, ours + padding) == {local: value}


@pytest.mark.parametrize("edge", ["three ConsumptionCost with three Cost each", "twenty protocols"])
def test_one_more_than_the_most_is_refused(edge: str) -> None:
    schema, local, value = EDGES[edge]
    name = "ConsumptionCost" if schema == "iso2" else "AppProtocol"
    too_many = value | {name: [*value[name], value[name][0]]}
    with pytest.raises(exi.EncodeError, match=name):
        exi.encode(schema, {local: too_many})


@pytest.mark.parametrize("edge", EDGES)
def test_what_follows_a_message_and_is_not_zero_is_refused(edge: str) -> None:
    schema, local, value = EDGES[edge]
    with pytest.raises(exi.DecodeError, match="follow the message"):
        exi.decode(schema, exi.encode(schema, {local: value}) + b"\x01")
