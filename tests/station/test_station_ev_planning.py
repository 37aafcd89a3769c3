"""Vehicles that plan with the station (K15 to K20): what they need, what they are offered, how they draw."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.catalogue import BIDIRECTIONAL, CATALOGUE
from pilotwire.vehicle.planner import PlanningVehicle

_spec = importlib.util.spec_from_file_location("station_profiles", Path(__file__).with_name("test_station_profiles.py"))
profiles = sys.modules.setdefault("station_profiles", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(profiles)
wire, install, begin, currents = profiles.wire, profiles.install, profiles.begin, profiles.currents

V2 = ("2.0.1", "2.1")
AC = EvseConfig(max_discharge_w=11_000)
DC = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000, max_discharge_w=20_000)
KIND = CATALOGUE["compact three-phase 11 kW"]


class Stubborn(PlanningVehicle):
    """Says what it is told to say."""

    __slots__ = ("offers", "says")

    def __init__(self, *args, **more) -> None:
        super().__init__(*args, **more)
        self.offers = []
        self.says = None
        """(which offer, [(s, W), ...] or None: as offered)."""

    def plan(self, offers):
        self.offers.append(offers)
        if self.says is None:
            return super().plan(offers)
        chosen, rows = self.says
        if rows is None:
            return chosen, None
        first = offers[chosen].intervals[0]
        intervals = tuple(first._replace(start_ms=at * 1000, limit=watts * 1000) for at, watts in rows)
        return chosen, offers[chosen]._replace(intervals=intervals)


def ready(make_world, version, *, answer="Accepted", schedule="Accepted", **more):
    world = make_world(version, **more)
    m = world.csms.messages
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status=answer)
    world.csms.scripts["NotifyEVChargingSchedule"] = lambda request: m.NotifyEVChargingScheduleResponse(status=schedule)
    world.station.power_on()
    world.run(5)
    return world


def plug(world, evse=1, kind=KIND, **more):
    car = Stubborn(kind, more.pop("soc", 300), **more)
    world.station.plug(evse, car)
    world.station.tap(evse, f"TOKEN{evse}")
    world.run(30)
    return car


def key_of(world):
    return world.station.truth[-1].transaction


def schedules(world, *limits, unit="A", id_=2, evse=1, duration=3600):
    """A TxProfile with one schedule for each list of periods, as the CSMS sends it."""
    profile = wire(world, purpose="TxProfile", periods=limits[0], unit=unit, id_=id_, transaction_id=key_of(world),
                   duration=duration)  # fmt: skip
    for number, periods in enumerate(limits[1:], 2):
        more = wire(world, purpose="TxProfile", periods=periods, unit=unit, duration=duration).charging_schedule[0]
        more.id = number
        profile.charging_schedule.append(more)
    assert install(world, evse, profile) == "Accepted"
    world.run(2)
    return profile


def told(world, action="NotifyEVChargingSchedule"):
    return world.csms.heard(action)


def rows(request):
    return [(row.start_period, int(row.limit)) for row in request.charging_schedule.charging_schedule_period]


def composite(world, duration=1800):
    """The limits in W that the station itself expects."""
    m = world.csms.messages
    request = m.GetCompositeScheduleRequest(evse_id=1, duration=duration, charging_rate_unit="W")
    world.csms.command("GetCompositeSchedule", request)
    world.run(1)
    return [int(row.limit) for row in world.csms.answers[-1][1].schedule.charging_schedule_period]


@pytest.mark.parametrize("version", V2)
def test_from_the_needs_to_what_the_vehicle_draws(make_world, version):
    """K15: the needs at once, the best of the offers, the vehicle's own schedule, which then counts."""
    world = ready(make_world, version)
    departure = int(world.scheduler.now()) + 7_200_000
    car = plug(world, departure=departure, tuples=12)
    [asked] = told(world, "NotifyEVChargingNeeds")
    needs = asked.charging_needs
    assert (asked.evse_id, asked.max_schedule_tuples, needs.departure_time) == (1, 12, to_datetime(departure))
    assert needs.ac_charging_parameters is not None and needs.dc_charging_parameters is None
    assert getattr(asked, "timestamp", None) is None
    assert world.station.evses[0].session is not None
    car.says = (1, [(0, 5000), (600, 3000)])
    schedules(world, [(0, 10)], [(0, 16), (1200, 9)])
    assert [[each.limit for each in offer.intervals] for offer in car.offers[-1]] == [
        [6_900_000],
        [11_040_000, 6_210_000],
    ]
    [chosen] = told(world)
    assert (chosen.evse_id, chosen.charging_schedule.id, rows(chosen)) == (1, 2, [(0, 5000), (600, 3000)])
    if version == "2.1":
        assert chosen.selected_charging_schedule_id == 2
    assert composite(world) == [5000, 3000]  # it is agreed: what the station expects
    assert world.station.evses[0].meter.power_mw / 1e6 == pytest.approx(5, rel=0.05)
    world.run(600)
    assert world.station.evses[0].meter.power_mw <= 3_000_000 * 1.01
    world.station.unplug(1)
    world.run(5)
    assert len(world.station.energy.profiles) == 0


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("wrong", [[(0, 9000)], [(0, 5000), (600, 6911)], [(60, 1000)]])
def test_what_is_above_the_offer_is_not_taken_from_a_vehicle(make_world, version, wrong):
    """It is held to the offer, and that is what the CSMS hears."""
    world = ready(make_world, version)
    car = plug(world)
    car.says = (0, wrong)
    schedules(world, [(0, 10)])
    assert rows(told(world)[0]) == [(0, 6900)]
    assert composite(world) == [6900]
    assert currents(world)[0] == 10_000


@pytest.mark.parametrize("version", V2)
def test_a_vehicle_that_says_nothing_takes_what_it_has_chosen(make_world, version):
    world = ready(make_world, version)
    car = plug(world)
    car.says = (1, None)
    schedules(world, [(0, 10)], [(0, 9), (600, 7)])
    [chosen] = told(world)
    assert chosen.charging_schedule.id == 2 and [limit for _, limit in rows(chosen)] == [6210, 4830]
    if version == "2.1":
        assert chosen.selected_charging_schedule_id == 2
    assert currents(world)[0] == 9_000


@pytest.mark.parametrize("version", V2)
def test_what_the_csms_rejects_does_not_count_and_a_new_profile_is_planned_anew(make_world, version):
    """K16: renegotiation, without the needs being told again; a lower limit holds at once."""
    world = ready(make_world, version, schedule="Rejected")
    car = plug(world)
    car.says = (0, [(0, 4000)])
    schedules(world, [(0, 10)])
    assert rows(told(world)[0]) == [(0, 4000)] and composite(world) == [6900]
    m = world.csms.messages
    world.csms.scripts["NotifyEVChargingSchedule"] = lambda request: m.NotifyEVChargingScheduleResponse(
        status="Accepted"
    )
    asked = len(car.offers)
    car.says = (0, [(0, 4830), (600, 4200)])
    assert install(world, 1, wire(world, purpose="TxProfile", periods=[(0, 7)], id_=2, duration=3600,
                                  transaction_id=key_of(world))) == "Accepted"  # fmt: skip
    assert currents(world)[0] <= 7_000
    world.run(2)
    assert len(car.offers) == asked + 1
    assert [each.limit for each in car.offers[-1][0].intervals] == [4_830_000]
    assert rows(told(world)[-1]) == [(0, 4830), (600, 4200)] and composite(world) == [4830, 4200]
    if version == "2.1":
        assert told(world)[-1].selected_charging_schedule_id == 1
    car.says = (0, [(0, 9999)])
    schedules(world, [(0, 8)])
    assert rows(told(world)[-1]) == [(0, 5520)] and composite(world) == [5520]
    car.says = (0, None)
    schedules(world, [(0, 9)])
    assert rows(told(world)[-1]) == [(0, 6210)]
    assert len(told(world, "NotifyEVChargingNeeds")) == 1


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("dc", [False, True])
def test_a_vehicle_that_needs_something_else_says_so(make_world, version, dc):
    """K17: its needs once more, then as before."""
    evse = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000)
    world = ready(make_world, version, evses=(evse if dc else EvseConfig(),))
    car = plug(world, kind=CATALOGUE["sedan three-phase 11 kW 400 V"])
    schedules(world, [(0, 9000)], unit="W")
    car.departure = int(world.scheduler.now()) + 1_800_000
    world.station.smart_charging.planning.renew(1)
    world.run(2)
    first, second = (each.charging_needs for each in told(world, "NotifyEVChargingNeeds"))
    assert first.departure_time is None and second.departure_time == to_datetime(car.departure)
    for needs in (first, second):
        assert (needs.dc_charging_parameters is not None) == dc == (needs.ac_charging_parameters is None)
        assert needs.requested_energy_transfer == ("DC" if dc else "AC_three_phase")
    car.says = (0, [(0, 5000), (600, 4000)])
    schedules(world, [(0, 8000)], unit="W")
    assert rows(told(world)[-1]) == [(0, 5000), (600, 4000)] and composite(world) == [5000, 4000]
    if version == "2.1":
        assert told(world)[-1].selected_charging_schedule_id == 1
    car.says = (0, [(0, 8001)])
    schedules(world, [(0, 8000)], unit="W")
    assert rows(told(world)[-1]) == [(0, 8000)] and composite(world) == [8000]
    car.says = (0, None)
    schedules(world, [(0, 7000)], unit="W")
    assert rows(told(world)[-1]) == [(0, 7000)]
    with pytest.raises(LocalError):
        world.station.unplug(1)
        world.run(2)
        world.station.smart_charging.planning.renew(1)


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("answer", ["Rejected", "error", "offline", "Processing"])
def test_when_nobody_plans_the_default_profile_holds(make_world, version, answer):
    """K15.FR.04, .05, .15: the vehicle plans within the default profile; where an offer is still to come it waits."""
    world = ready(make_world, version, answer="Accepted" if answer in ("offline", "error") else answer,
                  settings={"offline_unknown": "true"})  # fmt: skip
    assert install(world, 0, wire(world, purpose="TxDefaultProfile", periods=[(0, 9)], id_=7)) == "Accepted"
    if answer == "offline":
        world.offline()
    elif answer == "error":
        world.csms.refuse["NotifyEVChargingNeeds"] = 1
    before = int(world.scheduler.now())
    car = plug(world)
    world.run(5)
    assert world.station.evses[0].session is not None and currents(world)[0] == 9_000
    offers = [[each.limit for each in offers[0].intervals] for offers in car.offers]
    assert offers == ([] if answer == "Processing" else [[6_210_000]])
    if answer == "offline":
        world.run(600)
        world.online()
        world.run(600)
        asked = told(world, "NotifyEVChargingNeeds")[0]
        if version == "2.1":
            assert 0 <= (asked.timestamp - to_datetime(before)).total_seconds() < 30
    if answer == "Processing":
        schedules(world, [(0, 12)])
        assert len(car.offers) == 1 and currents(world)[0] == 12_000


# ── ISO 15118-20 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def bpt(world, scheduled, evse=1, **more):
    return plug(world, evse, BIDIRECTIONAL, evccid="0001020304AB", scheduled=scheduled, soc=600, **more)


@pytest.mark.parametrize("scheduled", [True, False])
@pytest.mark.parametrize("evse", [1, 2])
def test_what_a_vehicle_needs_by_iso_15118_20(make_world, scheduled, evse):
    """K18, K19: the control mode, and V2XChargingParameters in place of those for AC and DC."""
    world = ready(make_world, "2.1", evses=(AC, DC))
    departure = int(world.scheduler.now()) + 7_200_000
    car = bpt(world, scheduled, evse, departure=departure, tuples=9)
    [asked] = told(world, "NotifyEVChargingNeeds")
    needs = asked.charging_needs
    assert needs.control_mode == ("ScheduledControl" if scheduled else "DynamicControl")
    assert needs.ac_charging_parameters is None and needs.dc_charging_parameters is None
    assert 0 <= needs.v2x_charging_parameters.ev_target_energy_request - car.energy_wh < 500
    assert (needs.departure_time, asked.max_schedule_tuples) == (to_datetime(departure), 9)
    car.departure = departure - 3_600_000
    world.station.smart_charging.planning.renew(evse)
    world.run(2)
    again = told(world, "NotifyEVChargingNeeds")[-1].charging_needs
    assert again.departure_time == to_datetime(departure - 3_600_000)  # K20.FR.01
    assert again.control_mode == needs.control_mode


@pytest.mark.parametrize("agreed", [True, False])
def test_scheduled_control(make_world, agreed):
    """K18: as K15, and the CSMS hears which schedule it is."""
    world = ready(make_world, "2.1", evses=(AC,), schedule="Accepted" if agreed else "Rejected")
    car = bpt(world, True)
    car.says = (1, [(0, 4000), (600, 3000)])
    schedules(world, [(0, 9000)], [(0, 7000)], unit="W")
    assert [[each.limit for each in offer.intervals] for offer in car.offers[-1]] == [[9_000_000], [7_000_000]]
    [chosen] = told(world)
    assert (rows(chosen), chosen.selected_charging_schedule_id) == ([(0, 4000), (600, 3000)], 2)
    assert composite(world) == ([4000, 3000] if agreed else [7000])
    car.says = (1, [(0, 7100)])
    schedules(world, [(0, 9000)], [(0, 7000)], unit="W")
    assert rows(told(world)[-1]) == [(0, 7000)] and composite(world) == [7000]
    car.says = (0, None)
    schedules(world, [(0, 9000)], [(0, 7000)], unit="W")
    assert (rows(told(world)[-1]), told(world)[-1].selected_charging_schedule_id) == ([(0, 9000)], 1)
    world.station.smart_charging.planning.renew(1)
    world.run(2)
    assert len(told(world, "NotifyEVChargingNeeds")) == 2  # K20.FR.02: as by ISO 15118-2


def test_dynamic_control(make_world):
    """K19: what the vehicle says of its plans does not count; the schedule of the CSMS is told, and followed."""
    world = ready(make_world, "2.1", evses=(AC,))
    car = bpt(world, False)
    car.says = (0, [(0, 1000)])
    profile = schedules(world, [(0, 9), (600, 7)])
    [chosen] = told(world)
    assert chosen.charging_schedule == profile.charging_schedule[0]
    assert chosen.selected_charging_schedule_id == 1 and car.offers == []
    assert currents(world)[0] == 9_000
    world.run(600)
    assert currents(world)[0] == 7_000
    world.station.smart_charging.planning.renew(1)
    schedules(world, [(0, 12)])
    assert currents(world)[0] == 12_000  # K20.FR.03, .04


@pytest.mark.parametrize("scheduled", [True, False])
@pytest.mark.parametrize("answer", ["NoChargingProfile", "Processing", "Rejected", "error", "offline"])
def test_answers_to_needs_by_iso_15118_20(make_world, scheduled, answer):
    world = ready(make_world, "2.1", evses=(AC,), answer="Accepted" if answer in ("offline", "error") else answer,
                  settings={"offline_unknown": "true", "renegotiation": "false"})  # fmt: skip
    assert install(world, 0, wire(world, purpose="TxDefaultProfile", periods=[(0, 9)], id_=7)) == "Accepted"
    if answer == "offline":
        world.offline()
    elif answer == "error":
        world.csms.refuse["NotifyEVChargingNeeds"] = 1
    before = int(world.scheduler.now())
    car = bpt(world, scheduled)
    world.run(5)
    if answer == "Rejected":
        ended = told(world, "TransactionEvent")[-1]
        assert (ended.event_type, ended.trigger_reason) == ("Ended", "AbnormalCondition")
        assert ended.transaction_info.stopped_reason == "ReqEnergyTransferRejected"
        return
    assert currents(world)[0] == 9_000
    alone = scheduled and answer != "Processing"
    assert [[each.limit for each in offers[0].intervals] for offers in car.offers] == ([[6_210_000]] if alone else [])
    if answer == "offline":
        world.station.smart_charging.planning.renew(1)
        world.online()
        world.run(900)
        first, second = told(world, "NotifyEVChargingNeeds")[:2]
        for asked in (first, second):
            assert 0 <= (asked.timestamp - to_datetime(before)).total_seconds() < 60
    elif answer == "Processing":
        schedules(world, [(0, 8)])
        assert currents(world)[0] == 8_000


@pytest.mark.parametrize(("version", "newer"), [("2.0.1", False), ("2.1", False), ("2.1", True)])
@pytest.mark.parametrize("scheduled", [True, False])
def test_a_profile_before_the_needs_is_too_early(make_world, version, newer, scheduled):
    world = ready(make_world, version, evses=(AC,))
    m = world.csms.messages
    answers = []

    def started(request):
        if request.event_type == "Started":
            profile = wire(world, purpose="TxProfile", periods=[(0, 9)],
                           transaction_id=request.transaction_info.transaction_id)  # fmt: skip
            world.csms.command("SetChargingProfile", m.SetChargingProfileRequest(evse_id=1, charging_profile=profile))
        return m.TransactionEventResponse()

    world.csms.scripts["TransactionEvent"] = started
    if newer:
        bpt(world, scheduled)
    else:
        plug(world, scheduled=scheduled)
    answers = [answer for name, answer in world.csms.answers if name == "SetChargingProfile"]
    assert [(each.status, each.status_info.reason_code) for each in answers] == [("Rejected", "InvalidMessageSeq")]
    assert len(told(world, "NotifyEVChargingNeeds")) == 1
    schedules(world, [(0, 9)])
    assert currents(world)[0] == 9_000


@pytest.mark.parametrize("version", V2)
def test_a_vehicle_is_asked_once_somebody_is_let_in(make_world, version):
    world = ready(make_world, version, settings={"start_point": "EVConnected"})
    car = Stubborn(KIND, 300)
    world.station.plug(1, car)
    world.run(60)
    assert len(told(world, "TransactionEvent")) > 0 and told(world, "NotifyEVChargingNeeds") == []
    world.station.tap(1, "TOKEN1")
    world.run(30)
    assert len(told(world, "NotifyEVChargingNeeds")) == 1
