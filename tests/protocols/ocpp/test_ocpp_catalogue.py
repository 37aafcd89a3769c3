"""The catalogue of variables is whole, agrees with what our own station has, and says something of each."""

from __future__ import annotations

import pytest

from pilotwire.protocols.ocpp.catalogue import described, entries
from pilotwire.station.settings import TABLE

REQUIRED_16 = {
    "AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation",
    "GetConfigurationMaxKeys", "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize",
    "MeterValuesAlignedData", "MeterValuesSampledData", "MeterValueSampleInterval", "NumberOfConnectors",
    "ResetRetries", "StopTransactionOnEVSideDisconnect", "StopTransactionOnInvalidId", "StopTxnAlignedData",
    "StopTxnSampledData", "SupportedFeatureProfiles", "TransactionMessageAttempts",
    "TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect", "LocalAuthListEnabled",
    "LocalAuthListMaxLength", "SendLocalListMaxLength", "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods", "MaxChargingProfilesInstalled",
}  # fmt: skip


def test_16_has_every_required_key() -> None:
    assert {name for (_, name), one in entries("1.6").items() if one.required} == REQUIRED_16
    assert len(entries("1.6")) >= 60


def test_2_has_the_most_used_variables() -> None:
    assert len(entries("2.0.1")) >= 150
    assert entries("2.1") is not entries("2.0.1") and set(entries("2.1")) == set(entries("2.0.1"))
    assert entries("9") == {}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_each_says_what_it_does(version: str) -> None:
    for entry in entries(version).values():
        assert entry.text.endswith(".") and len(entry.text) >= 9, entry
        assert entry.unit in ("", "s", "Wh", "W", "A", "V", "B", "Percent", "Celsius", "dBm"), entry
        assert not (entry.kind == "integer" and entry.low is not None and (entry.high or 1 << 40) < entry.low), entry
    assert len({(one.component, one.variable.casefold()) for one in entries(version).values()}) == len(entries(version))


def test_it_agrees_with_our_own_station() -> None:
    """Two tables written at different times: where both know a setting they say the same of it."""
    kinds = {"password": "string"}
    compared = 0
    for setting in TABLE:
        places = [("1.6", "", setting.key)] if setting.key else []
        places += [("2.0.1", setting.variable.component, setting.variable.variable)] if setting.variable else []
        for version, component, name in places:
            entry = described(version, component, name)
            if entry is None or entry.component == "*" or name == "ActiveNetworkProfile":  # a number in the standard
                continue
            compared += 1
            mine = (entry.kind in ("integer", "boolean"), entry.mutability == "WriteOnly")
            theirs = (setting.kind in ("integer", "boolean"), setting.secret)
            assert mine == theirs, (version, component, name)
            if mine[0]:
                assert entry.kind == kinds.get(setting.kind, setting.kind), (version, component, name)
    assert compared > 60


def test_names_are_found_in_any_case_and_of_any_component() -> None:
    found = described("1.6", "", "heartbeatinterval")
    assert found is not None and (found.variable, found.unit) == ("HeartbeatInterval", "s")
    fan = described("2.0.1", "CoolingFan", "Problem")
    assert fan is not None and fan.component == "*"
    assert described("2.0.1", "CoolingFan", "Whirl") is None
