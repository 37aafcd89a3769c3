"""A car by every link at a real station with a real central system, in simulated time: the session is theirs alike."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from tests.twin.shop_kit import Shop

from pilotwire.station.config import EvseConfig
from pilotwire.station.outlet import Hardware
from pilotwire.twin.links import LINKS, LinkedCarAtEvse
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

AC = EvseConfig(max_ma=32_000, max_w=22_080, max_discharge_w=11_000)
DC = EvseConfig(
    dc=True,
    max_ma=200_000,
    max_w=60_000,
    max_mv=500_000,
    connector_type="cCCS2",
    fixed_cable=True,
    max_discharge_w=10_000,
)
BUILT = {
    "wpt": msgspec.structs.replace(AC, connector_type="wInductive", max_w=11_000, fixed_cable=True),
    "acdp": msgspec.structs.replace(DC, connector_type="Pan"),
    "acdp-bpt": msgspec.structs.replace(DC, connector_type="Pan"),
}
KIND = msgspec.structs.replace(CATALOGUE["compact three-phase 11 kW"], dc_discharge_w=10_000, ac_discharge_w=7_000)
SAYS_SOC = {
    "din",
    "iso2-dc",
    "iso20-dc",
    "iso20-dc-bpt",
    "iso20-ac",
    "iso20-ac-bpt",
    "wpt",
    "acdp",
    "acdp-bpt",
    "chademo1",
    "chademo2",
    "gbt2011",
    "gbt2015",
}


def newest(link: str) -> bool:
    """It speaks ISO 15118-20."""
    return link.startswith(("iso20", "wpt", "acdp"))


class Place:
    """One outlet, one car, one central system."""

    def __init__(self, link: str, version: str = "2.1", **more: Any) -> None:
        self.shop = Shop(1)
        self.kind = LINKS[link]
        self.station = self.shop.station(version, BUILT.get(link, DC if self.kind.dc else AC))
        self.shop.run(3)
        self.wanted = 7_000 if self.kind.dc else 3_000
        self.vehicle = Vehicle(KIND, 400, max_taken_wh=self.wanted, evccid="ZZPWRV00000001X" if newest(link) else "")
        self.link = LinkedCarAtEvse(
            self.station, 1, self.vehicle, link, self.shop.clock, random=Random(7).randbytes, **more
        )

    def session(self) -> Any:
        (row,) = self.shop.sessions("CS-1")
        return row


GIVES_BACK = ("iso20-dc-bpt", "iso20-ac-bpt", "acdp-bpt", "chademo2")
OLDER = ("pilot", "iso2-dc", "iso20-dc", "gbt2015")


@pytest.mark.parametrize(
    ("link", "version"), [*((link, "2.1") for link in LINKS), *((link, "2.0.1") for link in OLDER)]
)
def test_a_car_by_every_link_has_its_session_with_energy_and_state_of_charge(link: str, version: str) -> None:
    place = Place(link, version)
    place.link.plug()
    place.shop.run(5)
    place.station.tap(1, "AA11")
    place.shop.run(60)
    evse = place.station.evses[0]
    assert evse.phase == "Charging", evse.phase
    assert evse.meter.power_mw > 5_000_000
    place.shop.run(120)
    live = place.session()
    assert live.status == "active" and live.token == "AA11"
    if link in SAYS_SOC:
        assert live.soc is not None and abs(live.soc - place.vehicle.soc) <= 25
    place.shop.run(1_800)
    assert abs(place.vehicle.taken_uj / 3.6e9 - place.wanted) <= 150, "the car has what it wanted"
    assert evse.meter.power_mw == 0
    place.link.pull()
    place.shop.run(10)
    over = place.session()
    assert over.status == "ended"
    assert over.energy_wh == pytest.approx(place.vehicle.taken_uj / 3.6e9, abs=1)
    assert evse.phase == "Idle" and evse.car is None


@pytest.mark.parametrize("link", ["wpt", "acdp"])
def test_nothing_flows_before_the_vehicle_stands_in_its_place(link: str) -> None:
    place = Place(link)
    place.link.plug(Hardware(dc=place.kind.dc, contactless=True, positioning_ms=20_000))
    place.station.tap(1, "AA11")
    place.shop.run(18)
    evse = place.station.evses[0]
    assert evse.meter.power_mw == 0 and not place.link.plugged.outlet.closed  # type: ignore[union-attr]
    place.shop.run(40)
    assert evse.meter.power_mw > 5_000_000


def setpoint(place: Place, watts: int) -> None:
    """A profile that says what is to flow; below zero: to be given back."""
    place.shop.ask(
        "SetChargingProfile",
        {
            "evseId": 1,
            "chargingProfile": {
                "id": 7,
                "stackLevel": 1,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": [
                    {
                        "id": 1,
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": watts}
                        ],
                    }
                ],
            },
        },
    )


@pytest.mark.parametrize("link", GIVES_BACK)
def test_a_car_gives_back_what_a_profile_asks_for_and_the_meter_counts_it(link: str) -> None:
    place = Place(link)
    place.link.plug()
    place.shop.run(5)
    place.station.tap(1, "AA11")
    place.shop.run(60)
    evse = place.station.evses[0]
    assert evse.meter.power_mw > 3_000_000
    assert evse.session is not None
    both = {"acdp-bpt": "DC_ACDP_BPT", "iso20-ac-bpt": "AC_BPT"}.get(link, "DC_BPT")
    place.shop.ask("NotifyAllowedEnergyTransfer", {"transactionId": evse.session.key, "allowedEnergyTransfer": [both]})
    setpoint(place, -4_000)
    place.shop.run(30)
    assert evse.meter.power_mw == pytest.approx(-4_000_000, rel=0.03)
    place.shop.run(60)
    setpoint(place, 3_000)
    place.shop.run(30)
    assert 2_500_000 < evse.meter.power_mw <= 3_000_000
    setpoint(place, -4_000)
    place.shop.run(60)
    assert evse.meter.power_mw == pytest.approx(-4_000_000, rel=0.03)
    place.station.tap(1, "AA11")
    place.shop.run(20)
    given = place.vehicle.given_uj / 3.6e9
    assert given > 120
    assert evse.meter.export_wh == pytest.approx(given, abs=1)
    assert evse.meter.power_mw == 0 and not place.link.plugged.outlet.closed  # type: ignore[union-attr]
    place.link.pull()
    place.shop.run(10)
    over = place.session()
    assert over.status == "ended"
    assert over.energy_wh == pytest.approx(place.vehicle.taken_uj / 3.6e9, abs=1)


@pytest.mark.parametrize("link", ["iso2-dc", "din"])
def test_an_outlet_that_has_let_a_car_not_in_is_as_good_as_before(link: str) -> None:
    place = Place(link)
    place.link.plug()
    place.shop.run(5)
    assert place.link.plugged is not None and place.link.inside is not None
    place.link.plugged.refuse("unknown")
    place.shop.run(10)
    assert place.link.inside.over is not None and not place.link.inside.over.ok
    assert place.station.evses[0].fault == ""
    place.link.pull()
    place.shop.run(5)
    place.link.plug()
    place.shop.run(5)
    place.station.tap(1, "AA11")
    place.shop.run(60)
    assert place.station.evses[0].meter.power_mw > 5_000_000
