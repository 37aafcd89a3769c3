"""Both ends of basic charging on one wire: the sequences of table A.6."""

from __future__ import annotations

import pytest
from tests.protocols.iec61851.pilot_world import PilotWorld

from pilotwire.core import ev_link
from pilotwire.core import evse_link as link
from pilotwire.protocols.iec61851.duty import current
from pilotwire.protocols.iec61851.ev import PilotEv, PilotEvConfig
from pilotwire.protocols.iec61851.evse import PhasesAsked, PilotEvse, PilotEvseConfig
from pilotwire.protocols.iec61851.levels import LOADS, STATE_F, UNPLUGGED, X1, PilotLoad
from pilotwire.protocols.iec61851.proximity import ProximitySample


def charging(config: PilotEvseConfig | None = None, ev: PilotEvConfig | None = None, ma: int = 16_000) -> PilotWorld:
    world = PilotWorld(PilotEvse(config), PilotEv(ev))
    world.run(1_000)
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.run(1_000)
    world.charge(ma)
    world.run(1_000)
    assert world.closed
    return world


def test_a_whole_session():
    world = charging()
    assert world.level.duty == 266 and current(266) == 15_960
    kinds = [type(event) for _, event in world.said]
    assert kinds[:2] == [link.Connected, link.AuthorizationAsked]
    assert world.events(link.Requested) == [link.Requested(ma=15_960)]
    assert world.evs(ev_link.Offered)[0].offer.max_ma == 15_960
    assert world.evs(ev_link.Linked)[0].service == "AC"
    assert world.ev
    world.ev.command(ev_link.Drive(ready=False))
    stopped = world.now
    world.run(500)
    assert not world.closed and world.at(link.ContactorAsked(False)) - stopped <= 20
    assert world.events(link.Requested)[-1] == link.Requested(ma=0) and world.events(link.Paused) == [link.Paused("ev")]
    world.ev.command(ev_link.Drive(ready=True))
    world.run(500)
    assert world.closed
    world.unplug()
    world.run(100)
    assert not world.closed
    assert world.events(link.Ended)[0] == link.Ended(reason="the vehicle was unplugged", by="ev", ok=True)
    assert world.evs(ev_link.Parted) and world.level == X1 and not world.faults()


def test_nothing_is_offered_before_it_is_authorised():
    world = PilotWorld(PilotEvse(), PilotEv())
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.evse.command(link.Offer(max_ma=32_000))
    world.run(60_000)
    assert world.level == X1 and not world.closed
    world.evse.command(link.Authorize(accepted=False))
    world.run(1_000)
    assert world.level == X1
    world.evse.command(link.Authorize(accepted=True))
    world.run(100)
    assert world.closed


def test_less_is_told_at_once_and_the_vehicle_has_five_seconds():
    world = charging(ma=32_000)
    world.run(10_000)
    world.evse.command(link.Offer(max_ma=10_000))
    world.run(100)
    assert world.level.duty == 166 and isinstance(world.vehicle, PilotEv)
    assert not world.vehicle.overdrawn(31_000, world.now)
    world.run(5_000)
    assert world.vehicle.overdrawn(31_000, world.now) and not world.vehicle.overdrawn(9_900, world.now)
    world.evse.command(link.Offer(max_ma=20_000))
    world.run(10)
    assert world.level.duty == 333, "five seconds have gone by since the last change"
    world.evse.command(link.Offer(max_ma=25_000))
    world.run(4_000)
    assert world.level.duty == 333
    world.run(1_000)
    assert world.level.duty == 416


def test_a_pause_and_its_end():
    world = charging()
    world.evse.command(link.Pause())
    world.run(1_000)
    assert world.level == X1 and not world.closed and world.load == LOADS["B"]
    assert link.Paused("evse") in world.events(link.Paused)
    world.evse.command(link.Resume())
    world.run(5_000)
    assert world.closed and world.events(link.Requested)[-1].ma == 15_960


def test_no_oscillation_and_a_vehicle_that_draws_on_opens_under_load():
    world = PilotWorld()
    world.show(LOADS["B"])
    world.run(100)
    world.charge()
    world.show(LOADS["C"])
    world.run(1_000)
    world.evse.command(link.Offer(max_ma=0))
    world.run(5_990)
    assert world.level == X1 and world.closed
    world.run(100)
    assert not world.closed


def test_a_vehicle_that_never_shows_b_gets_10_a():
    world = charging(ev=PilotEvConfig(simplified=True), ma=32_000)
    assert isinstance(world.machine, PilotEvse) and world.machine.simplified
    assert current(world.level.duty) == 9_960


def test_ventilation():
    world = charging(PilotEvseConfig(ventilation=True), PilotEvConfig(ventilation=True))
    assert isinstance(world.machine, PilotEvse) and world.machine.seen == "D"
    without = PilotWorld(PilotEvse(), PilotEv(PilotEvConfig(ventilation=True)))
    without.plug()
    without.charge()
    assert without.ev
    without.ev.command(ev_link.Drive())
    without.run(5_000)
    assert not without.closed and without.faults() == ["MREC10InvalidVehicleMode"]


def test_a_missing_diode_is_no_vehicle():
    world = PilotWorld(PilotEvse(), PilotEv(PilotEvConfig(diode=False)))
    world.plug()
    world.charge()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.run(250)
    assert world.faults() == ["MREC14PilotFault"] and world.level == STATE_F and not world.closed
    world.run(5_000)
    assert world.level == X1, "F was long enough; without oscillation the plug's end is seen"
    world.unplug()
    world.run(100)
    assert not world.events(link.Ended)[-1].ok
    assert isinstance(world.machine, PilotEvse) and not world.machine.faults


def test_a_short_opens_and_heals():
    world = PilotWorld(PilotEvse(PilotEvseConfig(lock=True, cable_ma=32_000)))
    world.charge()
    world.show(LOADS["C"])
    world.run(1_000)
    assert world.closed
    world.show(PilotLoad(0, diode=False))
    world.run(100)
    assert not world.closed and world.faults() == ["MREC14PilotFault"] and world.level == X1
    assert world.at(link.LockAsked(False)) >= world.at(link.ContactorAsked(False))
    world.show(LOADS["C"])
    world.run(5_000)
    assert world.closed


def test_a_residual_current_device_trips():
    world = charging()
    world.evse.command(link.Fault(code="MREC2GroundFailure", by="evse"))
    world.run(50)
    assert not world.closed and world.level == STATE_F
    world.run(60_000)
    assert world.level == STATE_F
    world.evse.command(link.Resume())
    world.run(10_000)
    assert world.closed, "somebody reset it"


def test_the_emergency_stop():
    world = charging()
    world.evse.command(link.Stop(reason="the button", emergency=True))
    assert world.level == STATE_F and link.ContactorAsked(False) in world.events(link.ContactorAsked)
    world.run(1_000)
    assert world.events(link.Ended)[-1] == link.Ended(reason="the button", by="evse", ok=False)
    assert world.level == X1


def test_stopped_in_order_and_begun_anew_without_replugging():
    world = charging(PilotEvseConfig(lock=True, cable_ma=32_000))
    world.evse.command(link.Stop(reason="remote stop"))
    world.run(1_000)
    assert not world.closed and world.events(link.Ended)[-1].ok
    assert world.events(link.LockAsked) == [link.LockAsked(True), link.LockAsked(False)]
    world.evse.command(link.Authorize(accepted=True))
    world.run(5_000)
    assert world.closed and len(world.events(link.Connected)) == 2


def test_a_welded_contactor_is_noticed():
    world = charging()
    world.contactor_ms = None
    assert world.ev
    world.ev.command(ev_link.Drive(ready=False))
    world.run(600)
    assert world.faults() == ["MREC17EVSEContactorFault"] and world.level == STATE_F
    world.evse.command(link.Resume())
    world.run(1_000)
    assert world.faults() == ["MREC17EVSEContactorFault"] * 2, "it is still closed"


@pytest.mark.parametrize("closed", [True, False])
def test_a_contactor_that_moves_by_itself(closed: bool):
    world = charging() if not closed else PilotWorld()
    world.evse.command(link.Contactor(closed))
    world.run(1)
    assert world.faults() == ["MREC17EVSEContactorFault"] and world.level == STATE_F


def test_current_without_a_closed_contactor():
    world = charging()
    assert world.ev
    world.ev.command(ev_link.Drive(ready=False))
    world.run(5_000)
    world.evse.command(link.Measured(ma=6_000, mv=230_000, mw=4_000_000))
    assert world.faults() == ["MREC17EVSEContactorFault"]


def test_a_lock_that_does_not_lock():
    world = PilotWorld(PilotEvse(PilotEvseConfig(lock=True, cable_ma=32_000)), PilotEv())
    world.lock_works = False
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.charge()
    world.run(5_000)
    assert not world.closed and world.faults() == ["MREC1ConnectorLockFailure"]


def test_the_cable_limits_and_a_socket_without_one_gives_nothing():
    world = PilotWorld(PilotEvse(PilotEvseConfig(lock=True)), PilotEv())
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.charge(32_000)
    world.run(5_000)
    assert not world.closed and world.level == X1
    world.evse.received(ProximitySample(680))
    world.run(1_000)
    assert world.closed and current(world.level.duty) == 19_980
    assert world.events(link.Limits)[-1].max_ma == 20_000
    world.evse.received(ProximitySample(50))
    world.run(100)
    assert not world.closed and "MREC23ProximityFault" in world.faults()


def test_in_f_the_proximity_contact_tells_that_the_plug_is_out():
    world = PilotWorld(PilotEvse(PilotEvseConfig(lock=True)), PilotEv())
    world.plug()
    world.evse.received(ProximitySample(220))
    world.run(100)
    world.evse.command(link.Fault(code="MREC8EmergencyStop", by="evse"))
    world.run(4_900)
    assert link.LockAsked(False) not in world.events(link.LockAsked)
    world.run(200)
    assert link.LockAsked(False) in world.events(link.LockAsked)
    world.unplug()
    world.evse.received(ProximitySample(None))
    assert world.events(link.Ended)


def test_three_phases_to_one():
    world = charging(ma=16_000)
    world.evse.command(link.Offer(max_ma=16_000, phases=1))
    world.run(500)
    assert not world.closed and world.level == X1 and PhasesAsked(1) in world.events(PhasesAsked)
    opened = world.at(PhasesAsked(1))
    world.run(9_000)
    assert world.level == X1
    world.run(1_000)
    assert world.closed and world.at(link.ContactorAsked(True)) - opened >= 10_000


def test_more_than_was_granted():
    world = charging(ma=16_000)
    world.run(10_000)
    for _ in range(6):
        world.evse.command(link.Measured(ma=18_000, mv=230_000, mw=12_420_000))
        world.run(1_000)
    assert not world.faults()
    world.evse.command(link.Measured(ma=17_000, mv=230_000, mw=11_730_000))
    world.evse.command(link.Measured(ma=18_000, mv=230_000, mw=12_420_000))
    world.run(6_900)
    assert not world.faults()
    world.run(200)
    assert world.faults() == ["MREC4OverCurrentFailure"] and not world.closed


def test_a_meter_that_cannot_be_right():
    world = charging()
    for wh in (1_000, 999, 999, 5_000):
        world.evse.command(link.Measured(ma=16_000, mv=230_000, mw=11_000_000, energy_wh=wh))
        world.run(60_000)
    assert world.faults() == ["PowerMeterFailure"] * 3 and world.closed, "back, standing still, leaping"
    for _ in range(60):
        world.evse.command(link.Measured(ma=16_000, mv=230_000, mw=11_000_000, energy_wh=5_000))
        world.run(60_000)
    assert len(world.faults()) > 4, "it stands still while eleven kilowatts flow"


def test_a_meter_in_order_is_believed():
    world = charging()
    for minute in range(120):
        world.evse.command(link.Measured(ma=16_000, mv=230_000, mw=11_040_000, energy_wh=1_000 + minute * 184))
        world.run(60_000)
    assert not world.faults()


def test_a_sleeping_vehicle_is_woken_by_b1_and_then_by_e():
    world = PilotWorld()
    world.show(LOADS["B"])
    world.run(100)
    world.charge()
    world.run(200_000)
    drives = [(at - world.levels[0][0], level.drive) for at, level in world.levels]
    assert drives == [(0, "pwm"), (30_000, "steady"), (33_000, "pwm"), (63_000, "off"), (67_000, "pwm")]


def test_an_open_pilot_is_silence():
    world = PilotWorld()
    world.run(10_000)
    assert not world.said and not world.levels
    world.show(UNPLUGGED)
    assert world.evse.machine.deadline is None


def test_b_opens_within_100_ms_with_a_contactor_that_takes_80():
    world = charging()
    world.contactor_ms = 80
    world.show(LOADS["B"])
    world.run(99)
    assert not world.closed and not world.faults()


def test_the_pilot_is_gone_while_energy_flows():
    world = charging()
    world.evse.lost()
    assert [type(e) for _, e in world.said[-3:]] == [link.Fault, link.Ended, link.ContactorAsked]
    assert not world.events(link.Ended)[0].ok


def test_the_plug_is_out_and_the_wire_with_it():
    world = charging()
    world.show(UNPLUGGED)
    world.evse.lost()
    assert world.events(link.Ended)[0].ok and not world.faults()
    assert world.events(link.ContactorAsked)[-1] == link.ContactorAsked(False)


def test_the_latch_of_a_type_1_plug():
    world = PilotWorld(PilotEvse(), PilotEv(PilotEvConfig(latch=True)))
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.charge()
    world.run(1_000)
    assert not world.closed, "the latch was not seen closed"
    world.ev.received(ProximitySample(150))
    world.run(1_000)
    assert world.closed
    world.ev.received(ProximitySample(480))
    world.run(100)
    assert not world.closed, "the button is pressed: the current is off before the pins part"


def test_the_plug_stays_locked_while_the_contactor_is_not_open():
    world = charging(PilotEvseConfig(lock=True, cable_ma=32_000))
    world.contactor_ms = None
    world.evse.command(link.Stop(emergency=True))
    world.run(60_000)
    assert world.events(link.LockAsked) == [link.LockAsked(True)] and not world.events(link.Ended)
    world.evse.command(link.Contactor(False))
    world.run(100)
    assert world.events(link.LockAsked)[-1] == link.LockAsked(False) and world.events(link.Ended)


def test_a_63_a_cable_carries_70_a_in_one_phase():
    world = PilotWorld(PilotEvse(PilotEvseConfig(lock=True)), PilotEv())
    world.plug()
    assert world.ev
    world.ev.command(ev_link.Drive())
    world.evse.received(ProximitySample(100))
    world.charge(80_000)
    world.run(1_000)
    assert current(world.level.duty) == 63_000
    world.evse.command(link.Offer(max_ma=80_000, phases=1))
    world.run(15_000)
    assert current(world.level.duty) == 70_000 and world.closed
