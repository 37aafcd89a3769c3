"""A Modbus charger under the control loop, in simulated time: offers, keepalives, lapses, fail-safes, other masters."""

from __future__ import annotations

import msgspec
from tests.site.devices.rig import Rig

from pilotwire.site.devices.behaviour import ChargerBehaviour
from pilotwire.site.devices.evse import ModbusEvse, abilities_of
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.site.ports import Told

KEBA = find_device("keba-p30")
HEIDELBERG = find_device("heidelberg-energy-control")
P40 = msgspec.structs.replace(
    find_device("keba-p40"), modbus=msgspec.structs.replace(find_device("keba-p40").modbus, pause_ms=0, timeout_ms=500)
)


class Site:
    """A charger with a car, and its driver."""

    def __init__(self, device: DeviceFile, unit: int | None = None) -> None:
        self.rig = Rig()
        inside = self.rig.simulator.add(device, unit=unit)
        assert isinstance(inside, ChargerBehaviour)
        self.charger = inside
        self.charger.plugged, self.charger.car_ma = True, 32_000
        self.evse = ModbusEvse("c", device, self.rig.link(), self.rig.clock, unit=unit)
        self.evse.start()
        self.answers: list[Told] = []
        self.rig.run(4_000)

    def offer(self, value: int, valid_ms: int = 60_000, phases: int | None = None, wait: int = 3_000) -> Told:
        before = len(self.answers)
        self.evse.offer(value, phases, valid_ms, self.answers.append)  # type: ignore[arg-type]
        self.rig.run(wait)
        assert len(self.answers) == before + 1, "told exactly once"
        return self.answers[-1]

    def written(self) -> list[tuple[int, ...]]:
        """Since the last call."""
        found = self.rig.written()
        self.rig.audits.clear()
        return found


def test_what_stands_in_the_charger_is_read_first_and_not_written_again() -> None:
    site = Site(KEBA)
    assert site.evse.status().offered == 32_000
    assert site.offer(32_000) == Told(True)
    assert site.written() == [(5014, 1)], "whether it is enabled cannot be read: that is said once"
    assert site.offer(32_000) == Told(True)
    assert site.written() == []
    assert site.evse.counts.spared == 1


def test_an_offer_reaches_the_car() -> None:
    site = Site(KEBA)
    assert site.offer(10_000).ok
    status = site.evse.status()
    assert status.online and status.pilot == "C" and status.offered == 10_000 and status.fault == ""
    site.rig.run(5_000)
    assert site.evse.status().points["current_l1_ma"].value == 10_000


def test_lower_at_once_raise_when_the_charger_bears_it() -> None:
    site = Site(KEBA)  # it wants writes to be five seconds apart
    assert site.offer(10_000, wait=500).ok
    assert site.offer(16_000, wait=500).ok
    assert site.offer(12_000, wait=500).ok
    assert site.charger.limit_ma == 10_000
    site.rig.run(5_000)
    assert site.charger.limit_ma == 12_000, "the last that was offered, when its time has come"
    assert site.offer(6_000, wait=500).ok
    assert site.charger.limit_ma == 6_000


def test_a_pause_is_written_as_the_charger_wants_it() -> None:
    site = Site(KEBA)  # by enable
    assert site.offer(0).ok
    assert site.written() == [(5014, 0)]
    assert site.evse.status().offered == 0
    assert site.offer(8_000).ok
    assert site.written() == [(5004, 8_000), (5014, 1)]
    site = Site(HEIDELBERG)  # by the limit itself
    assert site.offer(0).ok
    assert site.written() == [(261, 0)]


def test_what_a_charger_cannot_be_offered() -> None:
    site = Site(KEBA)
    assert "below the charger's minimum 6000" in site.offer(5_999).error
    assert "is none" in site.offer(-1).error
    assert site.written() == []
    assert site.offer(99_000).ok
    assert site.evse.status().offered == 32_000
    site = Site(HEIDELBERG)
    assert site.offer(7_077).ok
    assert site.charger.limit_ma == 7_000, "down to the step"


def test_the_watchdog_is_kept_content_while_offers_go_on_and_not_a_moment_longer() -> None:
    site = Site(KEBA)
    done: list[Told] = []
    site.evse.failsafe(6_000, 15_000, done.append)
    site.rig.run(3_000)
    assert done == [Told(True)]
    assert (site.charger.failsafe_ma, site.charger.watchdog_ms) == (6_000, 15_000)
    assert site.evse.abilities.failsafe == 6_000 and site.evse.abilities.watchdog_ms == 15_000
    site.written()
    for _ in range(12):
        assert site.offer(16_000, valid_ms=20_000, wait=10_000).ok
        assert not site.charger.fallen
    writes = [value for address, value in site.written() if address == 5004]
    assert set(writes) == {16_000}
    assert 20 <= len(writes) <= 30, "every five seconds: a third of the watchdog"
    site.rig.run(25_000)
    assert site.evse.counts.lapsed == 1
    assert site.charger.limit_ma == 6_000, "the offer is over: the fall-back is written"
    site.rig.run(20_000)
    assert site.evse.status().points["current_l1_ma"].value == 6_000


def test_when_we_are_gone_the_charger_falls_back_by_itself() -> None:
    site = Site(HEIDELBERG)
    site.evse.failsafe(6_000, 15_000, site.answers.append)
    site.rig.run(3_000)
    assert site.offer(16_000, valid_ms=600_000).ok
    site.evse.stop()
    site.rig.run(10_000)
    assert not site.charger.fallen
    site.rig.run(10_000)
    assert site.charger.fallen and site.charger.offered_ma == 6_000


def test_a_fail_safe_that_stands_already_is_not_written_again() -> None:
    site = Site(HEIDELBERG)
    for _ in range(2):
        site.evse.failsafe(8_000, 15_000, site.answers.append)
        site.rig.run(25_000)
    addresses = [address for address, *_ in site.written()]
    assert addresses.count(262) == 1
    assert site.answers == [Told(True), Told(True)]


def test_a_charger_without_fail_safe_says_so_and_still_gets_the_fall_back_from_us() -> None:
    device = find_device("victron-evcs")
    site = Site(device)
    done: list[Told] = []
    site.evse.failsafe(8_000, 30_000, done.append)
    site.rig.run(1_000)
    assert len(done) == 1 and not done[0].ok and "no fail-safe" in done[0].error
    assert site.offer(16_000, valid_ms=10_000).ok
    site.rig.run(12_000)
    assert site.charger.limit_ma == 8_000


def test_another_master_is_noticed_and_written_over_but_not_in_a_frenzy() -> None:
    site = Site(HEIDELBERG)
    assert site.offer(10_000, valid_ms=600_000).ok
    for _ in range(30):
        want = site.evse.driver.layout.orders["limit_ma"].want
        site.rig.simulator.bank.write(site.evse.driver.layout.unit, "holding", want.address, [320])
        site.rig.run(2_000)
    assert site.evse.counts.contested >= 2
    ours = [value for address, value in site.written() if address == 261 and value == 100]
    assert 2 <= len(ours) <= 40
    site.rig.run(30_000)
    assert site.charger.limit_ma == 10_000, "when the other is quiet, ours stands"


def test_phases_are_switched_without_current() -> None:
    site = Site(P40)
    assert site.evse.status().phases == 3
    assert site.offer(16_000).ok
    site.written()
    told = site.offer(10_000, phases=1, wait=40_000)
    assert told.ok, told
    assert site.charger.phases == 1
    addresses = [address for address, *_ in site.written()]
    assert addresses.index(5004) < addresses.index(5052), "paused first"
    assert site.charger.limit_ma == 10_000


def test_phases_that_cannot_be_read_are_never_confirmed_and_nothing_is_raised() -> None:
    bare = msgspec.structs.replace(P40, points={name: each for name, each in P40.points.items() if name != "phases"})
    commands = {**P40.commands, "phase_switch": msgspec.structs.replace(P40.commands["phase_switch"], verify="none")}
    site = Site(msgspec.structs.replace(bare, commands=commands))
    assert site.offer(16_000).ok
    assert not site.offer(10_000, phases=1).ok
    assert site.charger.limit_ma == 10_000, "lowered all the same"
    assert not site.offer(20_000, phases=1).ok
    assert site.charger.limit_ma == 10_000
    assert site.offer(20_000).ok and site.charger.limit_ma == 20_000
    assert not Site(KEBA).offer(10_000, phases=1).ok, "it cannot switch at all"


def test_a_car_with_one_conductor_is_seen_in_what_it_draws() -> None:
    site = Site(KEBA)
    site.charger.car_phases = 1
    assert site.offer(16_000, valid_ms=600_000).ok
    site.rig.run(20_000)
    assert site.evse.status().phases is None
    site.rig.run(30_000)
    assert site.evse.status().phases == 1
    site.charger.plugged = False
    site.rig.run(5_000)
    assert site.evse.status().phases is None, "the next car is another one"


def test_a_restart_of_the_charger_is_noticed_and_the_offer_told_again() -> None:
    site = Site(KEBA)
    assert site.offer(10_000, valid_ms=600_000).ok
    site.rig.deaf = True
    site.rig.run(30_000)
    assert not site.evse.status().online and site.evse.status().fault
    site.rig.deaf = False
    site.charger.limit_ma = 32_000  # it has forgotten
    site.rig.run(60_000)
    assert site.evse.status().online
    site.written()
    assert site.offer(10_000).ok
    assert (5014, 1) in site.written(), "whether it is enabled is not known any more"
    site.rig.run(5_000)
    assert site.charger.limit_ma == 10_000


def test_abilities_are_the_file_s() -> None:
    able = abilities_of(find_device("alpitronic-hyc"))
    assert able.unit == "mW" and able.minimum >= 1_000_000
    able = abilities_of(KEBA)
    assert (able.unit, able.minimum, able.maximum, able.step) == ("mA", 6_000, 32_000, 1)


def deaf_when_it_lapses() -> Site:
    """It is offered 16 A for ten seconds, and takes no set-point from then on; it goes on being read."""
    site = Site(KEBA)
    site.evse.failsafe(6_000, 600_000, site.answers.append)
    site.rig.run(3_000)
    assert site.offer(16_000, valid_ms=10_000).ok
    site.rig.deaf_to.add(5004)
    site.rig.run(30_000)
    assert site.evse.status().online and site.evse.counts.lapsed == 1
    assert site.charger.limit_ma == 16_000
    return site


def test_a_fall_back_that_does_not_arrive_is_written_until_it_does() -> None:
    site = deaf_when_it_lapses()
    site.rig.deaf_to.clear()
    site.rig.run(5_000)
    assert site.charger.limit_ma == 6_000
    site.written()
    site.rig.run(30_000)
    assert site.written() == [], "once it stands, nothing more is written"


def test_an_offer_ends_what_a_lapse_began() -> None:
    site = deaf_when_it_lapses()
    site.rig.deaf_to.clear()
    assert site.offer(20_000, wait=8_000).ok
    site.rig.run(20_000)
    assert site.charger.limit_ma == 20_000


def test_who_takes_no_fall_back_and_is_fed_by_being_read_is_not_even_read_until_the_next_offer() -> None:
    site = Site(HEIDELBERG)
    site.evse.failsafe(6_000, 15_000, site.answers.append)
    site.rig.run(3_000)
    assert site.offer(16_000, valid_ms=10_000).ok
    site.rig.deaf_to.add(261)
    site.rig.run(10_000)
    assert not site.charger.fallen
    site.rig.run(20_000)
    assert site.charger.fallen and site.charger.offered_ma == 6_000
    site.rig.run(600_000)
    assert site.charger.fallen, "it is left alone for as long as nobody wants anything"
    site.rig.deaf_to.clear()
    site.offer(12_000)  # its link may not ask a unit yet that has not answered
    assert site.offer(12_000).ok
    assert site.evse.status().online and site.charger.limit_ma == 12_000 and not site.charger.fallen


def test_who_is_stopped_while_it_is_left_alone_stays_so() -> None:
    site = Site(HEIDELBERG)
    assert site.offer(16_000).ok
    site.evse.rest(20_000)
    site.rig.run(10_000)
    site.evse.stop()
    asked = site.evse.driver.counts.cycles
    site.rig.run(60_000)
    assert site.evse.driver.counts.cycles == asked
