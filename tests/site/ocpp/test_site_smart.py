"""Limits of the site and of upstreams at a managed station: the lower holds, and neither sees the other's profiles."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilotwire.core.time import from_rfc3339
from pilotwire.domain.schedules.model import Place
from pilotwire.site.ocpp.evse import ManagedStation
from pilotwire.site.ports import Abilities, Restful
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

VERSIONS = ("1.6", "2.0.1", "2.1")


class Managed:
    """A site whose station is managed, with a car that takes what it gets."""

    def __init__(
        self,
        make_site: Any,
        version: str,
        *,
        failsafe: int | None = 6_000,
        abilities: Abilities = Abilities(),  # noqa: B008 - frozen
        **options: Any,
    ) -> None:
        self.version, self.abilities = version, abilities
        self.site = make_site(
            version,
            known={"managed": True, "places": {1: Place(max_ma=32_000)}},
            tokens=("CARD1",),
            **options,
        )
        self.told: list[Any] = []
        self.manage()
        self.station = self.site.power_on(sample_s=10)
        self.site.run(10)
        if failsafe is not None:
            self.driver.failsafe(failsafe, 90_000, self.told.append)
            self.site.run(5)
            assert [each.ok for each in self.told] == [True], self.told

    def manage(self) -> None:
        self.unit = ManagedStation(self.site.seat, {1: self.abilities}, sample_s=5)
        self.driver = self.unit.drivers[1]

    def charge(self) -> None:
        self.station.plug(1, self.site.car())
        self.station.tap(1, "CARD1", "ISO14443")
        self.site.run(20)

    def offer(self, value: int, valid_ms: int = 60_000) -> None:
        self.driver.offer(value, None, valid_ms, self.told.append)
        self.site.run(5)

    @property
    def current(self) -> int:
        return self.station.evses[0].meter.currents[0] if self.station.evses[0].meter.currents else 0

    def profile(self, limit: float, *, purpose: str = "TxDefaultProfile", number: int = 1, stack: int = 1) -> Any:
        schedule = {
            "startSchedule": "2026-01-04T00:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        if self.version == "1.6":
            name = "ChargePointMaxProfile" if purpose == "ChargingStationMaxProfile" else purpose
            return {
                "chargingProfileId": number, "stackLevel": stack, "chargingProfilePurpose": name,
                "chargingProfileKind": "Absolute", "chargingSchedule": schedule,
            }  # fmt: skip
        return {
            "id": number, "stackLevel": stack, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute",
            "chargingSchedule": [{"id": 1, **schedule}],
        }  # fmt: skip

    def ask(self, action: str, payload: dict[str, Any]) -> Any:
        asked = self.site.central.ask(action, payload, f"ask-{len(self.site.central.answers)}")
        self.site.run(8)
        return self.site.central.answered(asked)[2]

    def set(self, profile: Any, evse: int = 1) -> Any:
        if profile.get("chargingProfilePurpose") == "TxProfile" and "transactionId" not in profile:
            name = self.driver.status().session
            profile = profile | {"transactionId": int(name) if self.version == "1.6" else name}
        if self.version == "1.6":
            return self.ask("SetChargingProfile", {"connectorId": evse, "csChargingProfiles": profile})
        return self.ask("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})

    def composite(self, duration: int = 3600) -> list[tuple[int, float]]:
        key = "connectorId" if self.version == "1.6" else "evseId"
        answer = self.ask("GetCompositeSchedule", {key: 1, "duration": duration, "chargingRateUnit": "A"})
        schedule = answer["chargingSchedule" if self.version == "1.6" else "schedule"]
        return [(row["startPeriod"], row["limit"]) for row in schedule["chargingSchedulePeriod"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_lower_of_both_holds(make_site, version) -> None:
    here = Managed(make_site, version)
    here.charge()
    here.offer(16_000)
    assert here.told[-1].ok
    assert here.current == 16_000
    assert here.set(here.profile(10))["status"] == "Accepted"
    assert here.current == 10_000
    here.offer(8_000)
    assert here.current == 8_000
    here.offer(13_500)
    assert here.current == 10_000
    assert here.driver.status().offered == 10_000


@pytest.mark.parametrize("version", VERSIONS)
def test_the_composite_schedule_is_the_merge(make_site, version) -> None:
    here = Managed(make_site, version)
    here.charge()
    assert here.set(here.profile(10))["status"] == "Accepted"
    here.offer(16_000, 60_000)
    first, *rest = here.composite()
    assert first == (0, 10)
    assert [limit for _, limit in rest] == [6]  # then the fail-safe, unless it is offered anew
    assert 30 <= rest[0][0] <= 60
    here.offer(8_000, 60_000)
    assert here.composite()[0] == (0, 8)


@pytest.mark.parametrize("version", VERSIONS)
def test_upstream_neither_clears_nor_sees_what_is_ours(make_site, version) -> None:
    here = Managed(make_site, version)
    here.charge()
    here.offer(9_000)
    installed = {profile.id for profile in here.station.smart_charging.store}
    assert installed and all(number >= 8_800_000 for number in installed)
    assert here.ask("ClearChargingProfile", {})["status"] == "Unknown"
    assert {profile.id for profile in here.station.smart_charging.store} == installed
    assert here.current == 9_000
    if version != "1.6":
        assert here.ask("GetChargingProfiles", {"requestId": 1, "chargingProfile": {}})["status"] == "NoProfiles"
    assert here.set(here.profile(8, number=8_800_010, stack=0))["status"] == "Accepted"  # an id of ours, in vain
    assert here.current == 8_000
    if version != "1.6":
        answer = here.ask("GetChargingProfiles", {"requestId": 2, "chargingProfile": {"stackLevel": 0}})
        assert answer["status"] == "Accepted"
        (report,) = here.site.central.of("ReportChargingProfiles")
        assert report["requestId"] == 2
        assert [
            row["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] for row in report["chargingProfile"]
        ] == [8]
    assert here.ask("ClearChargingProfile", {})["status"] == "Accepted"
    assert here.current == 9_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_box_that_dies_leaves_the_charger_at_its_fail_safe(make_site, version) -> None:
    here = Managed(make_site, version)
    assert here.driver.abilities.failsafe == 6_000
    assert here.driver.abilities.watchdog_ms == 90_000
    here.charge()
    here.offer(20_000)
    assert here.current == 16_000  # what the car takes at most
    here.site.kill_box()
    here.site.run(100)
    assert here.current == 6_000


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_left_alone_falls_back_by_itself_and_is_taken_up_again(make_site, version) -> None:
    here = Managed(make_site, version)
    here.charge()
    here.offer(16_000)
    assert isinstance(here.driver, Restful) and here.current == 16_000
    asked = list[str]()
    tell = here.site.seat.tell
    here.site.seat.tell = lambda action, *more: asked.append(action) or tell(action, *more)
    here.driver.rest(100_000)
    here.offer(9_000, 200_000)
    assert not here.told[-1].ok and "left alone" in here.told[-1].error
    assert here.set(here.profile(8))["status"] == "Accepted", "upstream's is kept, and told when it is over"
    here.site.run(79)
    here.offer(9_000)  # the site goes on deciding
    assert not here.driver.status().online and "SetChargingProfile" not in asked
    assert here.current == 6_000, "its profile has ended, its default one holds"
    here.site.run(15)
    assert here.driver.status().online and here.current == 8_000
    here.offer(7_000)
    assert here.told[-1].ok and here.current == 7_000


def test_an_offer_that_is_not_renewed_runs_out(make_site) -> None:
    here = Managed(make_site, "1.6")
    here.charge()
    here.offer(12_000, 30_000)
    assert here.current == 12_000
    here.site.run(40)
    assert here.current == 6_000


def test_a_set_point_that_stands_is_written_again_only_to_keep_it(make_site) -> None:
    here = Managed(make_site, "2.0.1")
    here.charge()
    here.offer(12_000)
    before = here.site.box.counters.own_down
    for _ in range(120):
        here.driver.offer(12_000, None, 60_000, here.told.append)
        here.site.run(1)
    assert all(told.ok for told in here.told)
    assert 2 <= here.site.box.counters.own_down - before <= 8
    assert here.current == 12_000


@pytest.mark.parametrize("version", VERSIONS)
def test_upstream_profiles_outlive_the_box(make_site, version) -> None:
    here = Managed(make_site, version)
    here.charge()
    here.offer(16_000)
    assert here.set(here.profile(10))["status"] == "Accepted"
    here.site.kill_box()
    here.site.run(1)
    here.site.start_box()
    here.manage()
    here.site.run(30)
    here.offer(16_000)
    assert here.current == 10_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_brings_a_profile_for_its_transaction_alone(make_site, version) -> None:
    here = Managed(make_site, version)
    here.offer(16_000, 90_000)
    here.station.plug(1, here.site.car())
    profile = here.profile(7, purpose="TxProfile")
    if version == "1.6":
        request = {"idTag": "R", "connectorId": 1, "chargingProfile": profile}
        answer = here.ask("RemoteStartTransaction", request)
    else:
        request = {
            "idToken": {"idToken": "R", "type": "Central"},
            "remoteStartId": 3,
            "evseId": 1,
            "chargingProfile": profile,
        }
        answer = here.ask("RequestStartTransaction", request)
    assert answer["status"] == "Accepted"
    here.site.run(10)
    here.offer(16_000)
    assert here.current == 7_000
    assert all(each.id >= 8_800_000 for each in here.station.smart_charging.store)
    here.station.tap(1, "R", "Central")
    here.site.run(5)
    here.station.unplug(1)
    here.site.run(5)
    here.charge()
    here.offer(16_000)
    assert here.current == 16_000


def test_a_station_maximum_is_shared_by_those_that_charge(make_site) -> None:
    here = Managed(make_site, "2.0.1")
    here.charge()
    here.offer(16_000)
    assert here.set(here.profile(11, purpose="ChargingStationMaxProfile"), 0)["status"] == "Accepted"
    assert here.current == 11_000
    assert here.unit.profiles.upstream_limit(1, int(here.site.scheduler.now()))[0] == 11_000


def test_bad_profiles_are_refused_as_a_station_would(make_site) -> None:
    here = Managed(make_site, "2.0.1")
    bad = here.profile(10, purpose="TxProfile") | {"transactionId": "nobody"}
    answer = here.set(bad)
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "TxNotFound"
    asked = here.site.central.ask("SetChargingProfile", {"evseId": "x"}, "bad-1")
    here.site.run(2)
    assert here.site.central.answered(asked)[0] == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_the_driver_says_what_the_station_says(make_site, version) -> None:
    here = Managed(make_site, version)
    driver = here.driver
    assert driver.status().pilot == "A"
    assert driver.status().online
    here.station.plug(1, here.site.car())
    here.site.run(2)
    assert driver.status().pilot == "B"
    here.station.tap(1, "CARD1", "ISO14443")
    here.site.run(2)
    here.offer(10_000)
    here.site.run(20)
    status = driver.status()
    assert status.pilot == "C"
    assert status.id_token == "CARD1"
    assert status.session
    assert status.arrived_ms is not None
    assert status.points["energy_import_wh"].value >= 0
    assert int(here.site.scheduler.now()) - status.points["energy_import_wh"].at_ms <= 6_000  # as often as was asked
    here.station.tap(1, "CARD1", "ISO14443")
    here.site.run(5)
    assert driver.status().ended
    assert not driver.status().session
    here.station.unplug(1)
    here.site.run(5)
    assert driver.status().pilot == "A"
    here.station.power_off()
    here.site.run(5)
    assert not driver.status().online
    here.driver.offer(9_000, None, 60_000, here.told.append)
    here.site.run(1)
    assert not here.told[-1].ok


@pytest.mark.parametrize("version", VERSIONS)
def test_one_phase_or_three_as_the_site_wants_it(make_site, version) -> None:
    here = Managed(make_site, version, abilities=Abilities(phase_switching=True))
    here.charge()
    here.driver.offer(10_000, 3, 60_000, here.told.append)
    here.site.run(20)
    currents = here.station.evses[0].meter
    assert here.told[-1].ok and list(currents.currents) == [10_000] * 3
    here.driver.offer(0, 3, 60_000, here.told.append)
    here.site.run(5)
    here.driver.offer(0, 1, 60_000, here.told.append)
    here.site.run(5)
    assert here.driver.status().phases is None, "nothing flows: nobody has seen that it is so"
    here.driver.offer(12_000, 1, 60_000, here.told.append)
    here.site.run(5)
    assert here.told[-1].ok and [ma for ma in currents.currents if ma] == [12_000]
    for _ in range(4):
        here.driver.offer(12_000, 1, 60_000, here.told.append)
        here.site.run(10)
    assert here.driver.status().phases == 1
    here.driver.offer(10_000, 3, 60_000, here.told.append)
    here.site.run(10)
    assert list(currents.currents) == [10_000] * 3
    assert here.driver.status().phases is None


def test_who_cannot_switch_refuses_to(make_site) -> None:
    here = Managed(make_site, "2.0.1")
    here.driver.offer(10_000, 1, 60_000, here.told.append)
    here.site.run(5)
    assert not here.told[-1].ok


@pytest.mark.parametrize("version", VERSIONS)
def test_a_car_with_one_conductor_is_seen_in_what_it_draws(make_site, version) -> None:
    here = Managed(make_site, version)
    here.station.plug(1, Vehicle(CATALOGUE["plug-in hybrid one-phase 3.7 kW"], 300))
    here.station.tap(1, "CARD1", "ISO14443")
    for _ in range(12):
        here.offer(16_000)
    assert here.driver.status().phases == 1
    here.station.tap(1, "CARD1", "ISO14443")
    here.station.unplug(1)
    here.site.run(5)
    assert here.driver.status().phases is None, "the next car is another one"


def test_what_a_car_needs_and_until_when(make_site) -> None:
    here = Managed(make_site, "2.0.1")
    here.charge()
    here.offer(16_000)
    here.site.run(600)
    observer = here.unit.observer
    had = here.driver.status().points["session_wh"].value
    assert had > 0
    needs = {
        "requestedEnergyTransfer": "AC_three_phase", "departureTime": "2026-01-05T18:00:00Z",
        "acChargingParameters": {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 400},
    }  # fmt: skip
    observer.said("NotifyEVChargingNeeds", msgspec.json.encode({"evseId": 1, "chargingNeeds": needs}))
    status = here.driver.status()
    assert status.target_energy_wh == had + 20_000
    assert status.departure_ms == int(from_rfc3339("2026-01-05T18:00:00Z"))
    observer.said("NotifyEVChargingNeeds", b'{"evseId": 1, "chargingNeeds": "soon"}')
    dc = {"requestedEnergyTransfer": "DC", "dcChargingParameters": {"stateOfCharge": 40, "energyAmount": 1_000}}
    observer.said("NotifyEVChargingNeeds", msgspec.json.encode({"evseId": 1, "chargingNeeds": dc}))
    status = here.driver.status()
    assert (status.target_energy_wh, status.soc) == (had + 1_000, 400)
    assert status.departure_ms is not None, "what is not said anew stays"
    here.station.tap(1, "CARD1", "ISO14443")
    here.station.unplug(1)
    here.site.run(5)
    status = here.driver.status()
    assert (status.target_energy_wh, status.departure_ms) == (None, None), "the next car needs something else"
