"""Vehicles that talk, seen from the station: whatever the link, sessions, needs, limits and faults travel alike."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Certificate,
    CertificateAsked,
    Connected,
    ContactorAsked,
    Ended,
    Fault,
    Identified,
    Isolation,
    IsolationAsked,
    Limits,
    LockAsked,
    Measured,
    Needs,
    Offer,
    Requested,
    Stop,
)
from pilotwire.station.config import EvseConfig

DC = EvseConfig(dc=True, max_ma=200_000, max_w=60_000, max_mv=500_000, connector_type="cCCS2", fixed_cable=True)


class Car:
    """Says what it is told to, and keeps what it hears."""

    def __init__(self, world: Any, evse: int = 1) -> None:
        self.world = world
        self.heard: list[Any] = []
        self.plugged = world.station.links.plug(evse)
        self.plugged.attach(self.heard.append)

    def say(self, *events: Any) -> None:
        for event in events:
            self.plugged.event(event)

    def last(self, kind: type) -> Any:
        return [one for one in self.heard if type(one) is kind][-1]

    def count(self, kind: type) -> int:
        return sum(type(one) is kind for one in self.heard)

    def arrives(self, protocol: str = "iso15118-2") -> None:
        self.say(
            Connected(protocol=protocol, session_id="0011"),
            Identified(mac="02:00:00:00:00:01", evccid="020000000001"),
            AuthorizationAsked(by="external"),
        )

    def charges(self, ma: int = 100_000) -> None:
        self.say(
            Limits(service="DC", max_mv=450_000, max_ma=150_000),
            Needs(soc=420, energy_wh=20_000, departure_ms=7_200_000),
            LockAsked(True),
            IsolationAsked(),
        )
        self.world.run(3)
        self.say(Requested(mv=400_000, ma=2_000, phase="precharge"))
        self.world.run(2)
        self.say(ContactorAsked(True))
        self.world.run(1)
        self.say(Requested(mv=400_000, ma=ma))
        self.world.run(10)


@pytest.fixture
def make(make_world: Callable[..., Any]) -> Callable[..., Any]:
    def build(version: str = "2.0.1", **more: Any) -> Any:
        world = make_world(version, evses=(DC,), model="DC-60", **more)
        if version != "1.6":
            answer = world.csms.messages.NotifyEVChargingNeedsResponse(status="Accepted")
            world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: answer
            done = world.csms.messages.NotifyEVChargingScheduleResponse(status="Accepted")
            world.csms.scripts["NotifyEVChargingSchedule"] = lambda request: done
        world.station.power_on()
        world.run(2)
        return world

    return build


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_car_that_talks_charges_as_soon_as_somebody_is_let_in(make: Any, version: str) -> None:
    world = make(version)
    car = Car(world)
    car.arrives()
    world.run(5)
    assert car.count(Authorize) == 0
    world.station.tap(1, "CARD1")
    world.run(1)
    assert car.last(Authorize) == Authorize(accepted=True)
    car.charges()
    evse = world.station.evses[0]
    assert evse.phase == "Charging"
    assert evse.meter.power_mw == 40_000_000
    assert car.last(Isolation) == Isolation("valid")
    assert car.last(Measured).ma == 100_000
    world.run(3_600)
    assert evse.meter.register_wh == pytest.approx(40_000, abs=200)
    car.say(Requested(), ContactorAsked(False), Ended(reason="the car has enough", by="ev"))
    world.run(1)
    assert evse.meter.power_mw == 0 and evse.session is None
    world.station.links.unplug(1)
    world.run(1)
    assert evse.car is None and evse.phase == "Idle"


def test_state_of_charge_is_what_the_car_says_and_silence_where_it_says_none(make: Any) -> None:
    world = make("2.0.1", settings={"sampled": "SoC,Power.Active.Import", "sample_interval": "30"})
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    world.run(40)
    said = [
        value
        for request in world.csms.heard("TransactionEvent")
        for meter in request.meter_value or ()
        for value in meter.sampled_value
        if value.measurand == "SoC"
    ]
    assert said and {value.value for value in said} == {42}
    car.say(Needs(soc=None))
    before = len(world.csms.heard("TransactionEvent"))
    world.run(60)
    later = world.csms.heard("TransactionEvent")[before:]
    assert later and not [
        value for r in later for m in r.meter_value or () for value in m.sampled_value if value.measurand == "SoC"
    ]


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_what_the_car_needs_reaches_the_central_system_once(make: Any, version: str) -> None:
    world = make(version)
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    car.say(Needs(soc=430, energy_wh=19_000, departure_ms=7_000_000))
    world.run(5)
    (needs,) = world.csms.heard("NotifyEVChargingNeeds")
    assert needs.charging_needs.dc_charging_parameters.energy_amount == 20_000
    assert needs.charging_needs.departure_time is not None


def test_a_limit_of_the_station_reaches_the_car_and_what_flows_goes_down_at_once(make: Any) -> None:
    world = make("1.6")
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    m = world.csms.messages
    world.csms.command(
        "SetChargingProfile",
        m.SetChargingProfileRequest(
            connector_id=1,
            cs_charging_profiles=m.ChargingProfile(
                charging_profile_id=1,
                stack_level=0,
                charging_profile_purpose="TxDefaultProfile",
                charging_profile_kind="Relative",
                charging_schedule=m.ChargingSchedule(
                    charging_rate_unit="W",
                    charging_schedule_period=[m.ChargingSchedulePeriod(start_period=0, limit=10_000)],
                ),
            ),
        ),
    )
    world.run(1)
    assert car.last(Offer).max_mw == 10_000_000
    assert world.station.evses[0].meter.power_mw <= 10_000_000
    assert car.last(Measured).mw <= 10_000_000


def test_a_stop_from_outside_reaches_the_car(make: Any) -> None:
    world = make("1.6")
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    world.station.tap(1, "CARD1")
    world.run(1)
    assert car.count(Stop) == 1
    assert world.station.evses[0].meter.power_mw == 0


def test_somebody_who_is_not_let_in_does_not_charge(make: Any) -> None:
    world = make("2.0.1")
    world.csms.token_status = "Blocked"
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(60)
    assert car.count(Authorize) == 0
    assert world.station.evses[0].meter.power_mw == 0


@pytest.mark.parametrize(("version", "type_"), [("1.6", None), ("2.0.1", "MacAddress"), ("2.1", "MacAddress")])
def test_autocharge_shows_the_name_of_the_car_as_a_card(make: Any, version: str, type_: str | None) -> None:
    world = make(version, autocharge=True)
    car = Car(world)
    car.arrives()
    world.run(2)
    assert car.last(Authorize) == Authorize(accepted=True)
    asked = world.csms.heard("Authorize")[0]
    if type_ is None:
        assert asked.id_tag == "020000000001"
    else:
        assert (asked.id_token.id_token, asked.id_token.type) == ("020000000001", type_)


def test_a_conversation_that_breaks_off_ends_the_session_and_says_so(make: Any) -> None:
    world = make("2.0.1")
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    car.say(Requested(), Ended(reason="no message for 60 s", by="ev", ok=False))
    world.run(2)
    assert world.station.evses[0].meter.power_mw == 0
    triggers = [request.trigger_reason for request in world.csms.heard("TransactionEvent")]
    assert "EVCommunicationLost" in triggers


def test_a_fault_of_the_outlet_makes_it_unavailable(make: Any) -> None:
    world = make("2.0.1")
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    car.say(Fault(code="GroundFailure", by="evse", text="isolation"))
    world.run(2)
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Faulted"
    assert world.station.evses[0].meter.power_mw == 0


def test_a_car_without_plug_and_charge_here_is_told_no(make: Any) -> None:
    world = make("2.0.1")
    car = Car(world)
    car.say(
        Connected(protocol="iso15118-2"),
        Identified(emaid="DEPWRC0000001", contract=(b"\x30\x03\x02\x01\x01",)),
        AuthorizationAsked(by="contract"),
    )
    world.run(2)
    assert not car.last(Authorize).accepted and "Plug & Charge" in car.last(Authorize).reason


def test_a_contract_is_installed_by_the_central_system(make: Any) -> None:
    world = make("2.0.1", plug_and_charge=True, settings={"contract_install": "true", "pnc_enabled": "true"})
    m = world.csms.messages
    world.csms.scripts["Get15118EVCertificate"] = lambda request: m.Get15118EVCertificateResponse(
        status="Accepted", exi_response=b64encode(b"\x80answer").decode()
    )
    car = Car(world)
    car.say(
        Connected(protocol="iso15118-2"),
        CertificateAsked(action="install", schema="urn:iso:15118:2:2013:MsgDef", exi=b"\x80ask"),
    )
    world.run(2)
    assert car.last(Certificate).exi == b"\x80answer"
    (asked,) = world.csms.heard("Get15118EVCertificate")
    assert asked.exi_request == b64encode(b"\x80ask").decode() and asked.action == "Install"


def test_the_power_of_the_station_goes_and_comes_back(make: Any) -> None:
    world = make("2.0.1")
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    world.station.power_off()
    assert car.last(Stop).emergency
    car.say(Requested(), Ended(reason="stopped", by="evse", ok=False))
    world.run(5)
    world.station.power_on()
    world.run(5)
    assert world.station.evses[0].meter.power_mw == 0
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    assert world.station.evses[0].phase == "Charging"


def test_a_plug_that_is_taken_is_taken(make: Any) -> None:
    world = make("2.0.1")
    Car(world)
    with pytest.raises(LocalError, match="taken"):
        Car(world)
    world.station.links.unplug(1)
    world.station.links.unplug(1)
    Car(world)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_the_name_of_the_vehicle_stands_beside_the_token(make: Any, version: str) -> None:
    world = make(version)
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    named = [
        (info.additional_id_token, info.type)
        for request in world.csms.heard("TransactionEvent")
        if request.id_token is not None
        for info in request.id_token.additional_info or ()
    ]
    assert named == [("020000000001", "MacAddress")]


@pytest.mark.parametrize(("version", "waits"), [("1.6", "Preparing"), ("2.1", "EVConnected")])
def test_cable_check_and_precharge_are_no_pause_of_the_car(make: Any, version: str, waits: str) -> None:
    world = make(version)
    car = Car(world)
    car.arrives()
    world.station.tap(1, "CARD1")
    world.run(2)
    car.charges()
    if version == "1.6":
        states = [request.status for request in world.csms.heard("StatusNotification") if request.connector_id == 1]
    else:
        states = [request.transaction_info.charging_state for request in world.csms.heard("TransactionEvent")]
    assert "SuspendedEV" not in states
    assert states.index(waits) < states.index("Charging")
    car.say(Requested(mv=400_000))
    world.run(2)
    last = world.csms.heard("StatusNotification" if version == "1.6" else "TransactionEvent")[-1]
    assert (last.status if version == "1.6" else last.transaction_info.charging_state) == "SuspendedEV"
