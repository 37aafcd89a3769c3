"""A charger without OCPP as a station: whole sessions in 1.6 and 2.0.1, commands, faults, set-points."""

from __future__ import annotations

import pytest
from tests.site.gateway.gateway_world import Gateway

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v201 import messages as v201
from pilotwire.site.facades.orders import EvseOrder, ExternalLimits
from pilotwire.site.gateway.config import GatewayConfig
from pilotwire.site.gateway.gateway import to_driver, to_limits
from pilotwire.site.ports import Abilities

BOTH = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


@BOTH
def test_a_card_begins_a_session_and_the_register_says_what_it_took(version: str):
    world = Gateway(version)
    world.run(10)
    assert world.statuses() == ["Available"]
    world.charger.plug()
    world.run(5)
    assert world.statuses()[-1] == ("Preparing" if version == "1.6" else "Occupied")
    assert world.charger.enabled_ma == 0, "nobody is let in yet"
    world.charger.card = "04AABBCC"
    world.run(3)
    assert world.charger.enabled_ma == 32_000
    world.run(3600)
    world.charger.unplug()
    world.run(10)
    (session,) = world.sessions()
    assert session["token"] == "04AABBCC" and session["start"] == 1_000_000
    assert session["stop"] == world.charger.register_uj // 3_600_000_000
    assert 11_030 <= session["stop"] - session["start"] <= 11_050
    assert world.charger.enabled_ma == 0 and world.statuses()[-1] == "Available"
    if version == "1.6":
        assert world.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]
        assert len(world.csms.heard("Authorize")) == 1
        values = world.csms.heard("MeterValues")
        assert len(values) == 60
    else:
        states = [each.transaction_info.charging_state for each in world.csms.heard("TransactionEvent")]
        assert "Charging" in states and states[-1] == "Idle"


@BOTH
def test_free_vend_with_the_cable(version: str):
    world = Gateway(version, free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(600)
    world.charger.unplug()
    world.run(5)
    (session,) = world.sessions()
    assert session["token"] == "FREE" and session["stop"] - session["start"] in range(1836, 1841)


def test_free_vend_while_the_csms_is_away_is_told_when_it_is_back():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.offline()
    world.run(60)
    world.charger.plug()
    began = world.now
    world.run(600)
    world.charger.unplug()
    world.run(600)
    assert world.sessions() == []
    world.online()
    world.run(300)
    (session,) = world.sessions()
    assert began <= session["begin"] <= began + 1 and 600 <= session["end"] - session["begin"] <= 601
    assert 1830 <= session["stop"] - session["start"] <= 1840


def test_readings_are_those_of_the_charger_by_phase():
    measurands = "Energy.Active.Import.Register,Current.Import,Voltage,Power.Active.Import,Current.Offered"
    world = Gateway("1.6", free_vend=True, token="FREE", settings={"sampled": measurands})
    world.run(5)
    world.charger.plug(10_000, phases=2)
    world.run(70)
    (values,) = world.csms.heard("MeterValues")
    rows = {(row.measurand, row.phase): row.value for row in values.meter_value[0].sampled_value}
    assert rows["Current.Import", "L1"] == rows["Current.Import", "L2"] == "10.00"
    assert rows["Current.Import", "L3"] == "0.00" and rows["Voltage", "L3-N"] == "230.0"
    assert rows["Power.Active.Import", None] == "4600.0" and rows["Current.Offered", None] == "32.00"


def test_a_profile_becomes_a_set_point_at_once_and_is_told_again():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug(32_000)
    world.run(30)
    assert world.charger.enabled_ma == 32_000
    profile = v16.ChargingProfile(
        charging_profile_id=1, stack_level=0, charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Relative",
        charging_schedule=v16.ChargingSchedule(
            charging_rate_unit="A",
            charging_schedule_period=[v16.ChargingSchedulePeriod(start_period=0, limit=10.6)],  # type: ignore[arg-type]
        ),
    )  # fmt: skip
    world.csms.command(
        "SetChargingProfile", v16.SetChargingProfileRequest(connector_id=1, cs_charging_profiles=profile)
    )
    world.run(1)
    assert world.charger.enabled_ma == 10_000, "set-points are whole steps, rounded down"
    before = len(world.charger.offers)
    world.run(120)
    told = [at for at, _ in world.charger.offers[before:]]
    assert len(told) == 6, "a third of the watchdog of 60 s"
    world.csms.command("ClearChargingProfile", v16.ClearChargingProfileRequest())
    world.run(1)
    assert world.charger.enabled_ma == 32_000


def test_a_limit_in_watts_goes_by_the_phases_that_the_car_uses():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug(32_000, phases=1)
    world.run(30)
    profile = v16.ChargingProfile(
        charging_profile_id=1, stack_level=0, charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Relative",
        charging_schedule=v16.ChargingSchedule(
            charging_rate_unit="W",
            charging_schedule_period=[v16.ChargingSchedulePeriod(start_period=0, limit=4600)],  # type: ignore[arg-type]
        ),
    )  # fmt: skip
    world.csms.command(
        "SetChargingProfile", v16.SetChargingProfileRequest(connector_id=1, cs_charging_profiles=profile)
    )
    world.run(15)
    assert world.charger.enabled_ma == 20_000
    assert world.statuses()[-1] == "Charging"


def test_remote_start_and_stop():
    world = Gateway("1.6")
    world.run(5)
    world.charger.plug()
    world.run(5)
    world.csms.command("RemoteStartTransaction", v16.RemoteStartTransactionRequest(id_tag="APP", connector_id=1))
    world.run(60)
    assert world.charger.drawn_ma == 16_000
    world.csms.command("RemoteStopTransaction", v16.RemoteStopTransactionRequest(transaction_id=7001))
    world.run(3)
    assert world.charger.enabled_ma == 0 and world.statuses()[-1] == "Finishing"
    (session,) = world.sessions()
    assert session["reason"] == "Remote" and session["stop"] - session["start"] > 100
    world.run(60)
    assert len(world.sessions()) == 1


def test_a_car_that_is_full_and_one_that_is_held_back():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(30)
    world.charger.wants(0)
    world.run(5)
    assert world.statuses()[-1] == "SuspendedEV"
    world.charger.wants(16_000)
    world.run(5)
    assert world.statuses()[-1] == "Charging"
    world.charger.count()
    world.charger.ceiling_ma = 0
    world.run(3)
    assert world.statuses()[-1] == "SuspendedEVSE"
    assert len(world.sessions()) == 1


def test_the_charger_ends_the_session_by_itself():
    world = Gateway("1.6")
    world.run(5)
    world.charger.plug()
    world.charger.card = "04AA"
    world.run(30)
    world.charger.ended = True
    world.run(3)
    (session,) = world.sessions()
    assert session["reason"] in (None, "Local") and world.statuses()[-1] == "Finishing"
    world.charger.unplug()
    world.run(3)
    assert world.statuses()[-1] == "Available"


def test_faults_in_the_words_of_ocpp():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(30)
    world.charger.fault = "residual current 6 mA DC"
    world.run(3)
    said = world.csms.heard("StatusNotification")[-1]
    assert (said.status, said.error_code, said.vendor_error_code) == ("Faulted", "GroundFailure", "CX002")
    assert said.info == "residual current 6 mA DC"
    world.charger.fault = ""
    world.run(3)
    assert world.statuses()[-1] == "Charging" and len(world.sessions()) == 1
    world.charger.pilot = "F"
    world.charger.unplug()
    world.run(3)
    world.charger.pilot = None
    world.run(3)
    assert world.statuses()[-1] == "Available"


def test_faults_in_2x_are_told_beside_the_status():
    world = Gateway("2.0.1")
    world.run(5)
    world.charger.fault = "contactor welded"
    world.run(3)
    (row,) = [row for each in world.csms.heard("NotifyEvent") for row in each.event_data if row.tech_code]
    assert (row.tech_code, row.tech_info, row.actual_value) == ("CX017", "contactor welded", "true")
    assert world.statuses()[-1] == "Faulted"
    world.charger.fault = ""
    world.run(3)
    rows = [row for each in world.csms.heard("NotifyEvent") for row in each.event_data if row.tech_code]
    assert rows[-1].actual_value == "false"
    assert world.statuses()[-1] == "Available"


def test_out_of_service():
    world = Gateway("1.6")
    world.run(5)
    world.charger.pilot = "F"
    world.run(3)
    assert world.statuses()[-1] == "Unavailable"
    world.charger.pilot = None
    world.run(3)
    assert world.statuses()[-1] == "Available"


def test_a_card_that_the_csms_refuses_gets_nothing():
    world = Gateway("1.6")
    world.csms.token_status = "Invalid"
    world.run(5)
    world.charger.plug()
    world.charger.card = "BAD"
    world.run(60)
    assert world.charger.drawn_ma == 0 and world.sessions() == [] and len(world.csms.heard("Authorize")) == 1
    world.charger.card = "B" * 21
    world.run(5)
    assert world.box.gateway.outlets[0].counts.refused == 1


def test_configuration_faults():
    with pytest.raises(ValueError, match="free vend"):
        GatewayConfig(identity="X", url="", version="1.6", evses=("a",), free_vend=True)
    with pytest.raises(ConfigError, match="bay-9"):
        from pilotwire.site.gateway.gateway import Gateway as Bare

        Bare(GatewayConfig(identity="X", url="", evses=("bay-9",)), {}, Gateway().scheduler, Gateway().storage, print)


def test_a_dc_charger_is_told_power():
    world = Gateway("2.0.1", abilities=Abilities(unit="mW", minimum=0, maximum=50_000_000, step=1_000), free_vend=True)
    world.run(5)
    world.charger.plug()
    world.run(5)
    assert world.charger.offers[-1][1] == 50_000_000


def test_set_points_as_limits_of_the_control_loop():
    world = Gateway("1.6")
    limits = ExternalLimits()
    tell = to_limits({"bay-1": world.charger}, limits, world.scheduler)
    tell("bay-1", 16_000, 60_000)
    now = int(world.scheduler.now())
    assert limits.at(now).evses == {"bay-1": EvseOrder(maximum_ma=16_000, source="ocpp csms")}
    assert limits.at(now + 60_000).evses["bay-1"].maximum_ma == 0, "a gateway that is gone lets nobody charge"
    tell("bay-1", 0, 60_000)
    assert not limits.at(now).evses["bay-1"].enable


def test_set_points_fit_the_charger():
    world = Gateway("1.6")
    tell = to_driver({"bay-1": world.charger})
    for value, written in ((5_999, 0), (6_000, 6_000), (10_999, 10_000), (40_000, 32_000), (0, 0)):
        tell("bay-1", value, 60_000)
        assert world.charger.offers[-1][1] == written


def test_a_charger_that_does_not_take_its_set_point_is_said():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.charger.online = False
    world.run(30)
    assert any("did not take 0" in each for each in world.said)


@BOTH
def test_free_vend_begins_once_with_a_cable(version: str):
    world = Gateway(version, free_vend=True, token="FREE")
    world.run(5)
    world.charger.plug()
    world.run(60)
    if version == "1.6":
        world.csms.command("RemoteStopTransaction", v16.RemoteStopTransactionRequest(transaction_id=7001))
    else:
        key = world.csms.heard("TransactionEvent")[0].transaction_info.transaction_id
        world.csms.command("RequestStopTransaction", v201.RequestStopTransactionRequest(transaction_id=key))
    world.run(120)
    assert len(world.sessions()) == 1 and world.charger.drawn_ma == 0
    world.charger.unplug()
    world.run(5)
    world.charger.plug()
    world.run(60)
    assert len(world.sessions()) == 2 and world.charger.drawn_ma == 16_000


def test_free_vend_with_a_token_that_the_csms_refuses_is_tried_once():
    world = Gateway("1.6", free_vend=True, token="FREE")
    world.csms.token_status = "Invalid"
    world.run(5)
    world.charger.plug()
    world.run(300)
    assert len(world.csms.heard("StartTransaction")) == 1 and world.charger.drawn_ma == 0


def test_a_card_that_is_still_shown_lets_in_nobody_else():
    world = Gateway("1.6")
    world.run(5)
    world.charger.card = "04AA"
    world.run(3)
    world.charger.plug()
    world.run(60)
    assert world.charger.drawn_ma == 16_000, "the card came first, then the cable"
    world.charger.unplug()
    world.charger.card = "04AA"  # this charger leaves it in its register
    world.run(30)
    world.charger.plug()
    world.run(60)
    assert world.charger.drawn_ma == 0 and len(world.sessions()) == 1
    world.kill()
    world.run(10)
    world.start()
    world.run(60)
    assert len(world.sessions()) == 1 and len(world.csms.heard("Authorize")) == 1
    world.charger.card = "04BB"
    world.run(5)
    assert world.charger.drawn_ma == 16_000 and world.sessions()[1]["token"] == "04BB"


def test_cards_while_the_csms_is_away():
    world = Gateway("1.6")
    world.run(5)
    world.charger.plug()
    world.charger.card = "04AA"
    world.run(30)
    world.charger.unplug()
    world.run(10)
    world.offline()
    world.run(60)
    world.charger.plug()
    world.charger.card = "04AA"
    world.run(10)
    assert world.charger.drawn_ma == 16_000, "known from before"
    world.charger.unplug()
    world.run(10)
    world.charger.plug()
    world.charger.card = "04CC"
    world.run(60)
    assert world.charger.drawn_ma == 0, "not known"
    world.online()
    world.run(300)
    assert world.charger.drawn_ma == 16_000, "asked again when there was somebody to ask"
    assert [each["token"] for each in world.sessions()] == ["04AA", "04AA", "04CC"]
