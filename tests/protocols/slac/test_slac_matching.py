"""Both ends on a simulated power line: who is matched with whom."""

from __future__ import annotations

import itertools

import pytest
from tests.protocols.slac.slac_world import SlacWorld, ev_mac, evse_mac

from pilotwire.protocols.slac import events, mme, timers
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.protocols.slac.keys import nid_of
from pilotwire.protocols.slac.mme import BROADCAST, LOCAL_MODEM, MmeFrame, encode


def begun(world: SlacWorld) -> SlacWorld:
    for evse in world.evses:
        evse.runner.command(events.Begin())
    world.run(100)
    for ev in world.evs:
        ev.runner.start()
    return world


@pytest.mark.parametrize("modem", ["qualcomm", "lumissil"])
def test_one_vehicle_one_evse(modem: str):
    world = SlacWorld(modem=modem)
    world.plug(0, 0)
    begun(world).run(3_000)
    ev, evse = world.evs[0], world.evses[0]
    assert ev.machine.state == evse.machine.state == "matched"
    assert ev.station.nmk == evse.station.nmk == evse.machine.modem.key != b""
    assert ev.events(events.LinkUp) == evse.events(events.LinkUp) == [events.LinkUp(True)]
    assert len(ev.frames(mme.StartAttenCharInd)) == 3 and len(ev.frames(mme.MnbcSoundInd)) == 10
    assert [sound.cnt for sound in ev.frames(mme.MnbcSoundInd)] == list(range(9, -1, -1))
    at = [t for t, frame in ev.sent if frame[15:17] in (b"\x6a\x60", b"\x76\x60")]
    assert {b - a for a, b in itertools.pairwise(at)} == {40}
    assert evse.events(events.Matched)[0].nid == nid_of(evse.station.nmk)
    assert not evse.events(events.MatchingFailed) and not ev.events(events.MatchingFailed)
    assert evse.machine.malformed == ev.machine.malformed == 0


def test_the_average_and_the_offset():
    evse = SlacEvse(SlacEvseConfig(mac=evse_mac(0), modem="plain", offset_db=-3), bytes)
    evse.command(events.Begin(), 0)

    def hears(message: mme.Message, src: bytes = ev_mac(0)) -> list[mme.Message]:
        effects = evse.receive(encode(MmeFrame(evse_mac(0), src, message)), 10)
        return [mme.decode(e.data).message for e in effects if hasattr(e, "data")]

    hears(mme.SlacParmReq(run_id=bytes(8)))
    hears(mme.StartAttenCharInd(forwarding_sta=ev_mac(0), run_id=bytes(8), num_sounds=2))
    assert not hears(mme.AttenProfileInd(pev_mac=ev_mac(0), aag=bytes([1]) + bytes([10]) * 57), LOCAL_MODEM)
    assert not hears(mme.AttenProfileInd(pev_mac=ev_mac(0), aag=bytes(57), num_groups=57), LOCAL_MODEM)
    (told,) = hears(mme.AttenProfileInd(pev_mac=ev_mac(0), aag=bytes([2]) + bytes([21]) * 57), LOCAL_MODEM)
    assert isinstance(told, mme.AttenCharInd) and told.num_sounds == 2
    assert told.aag == bytes([0]) + bytes([13]) * 57, "15.5 is 16, and 3 dB less; never below 0"


def test_potentially_found_is_validated_by_toggles():
    world = SlacWorld()
    world.plug(0, 0, db=15)
    begun(world).run(5_000)
    assert world.evs[0].machine.state == "matched"
    assert world.evs[0].events(events.TogglesWanted) == [events.TogglesWanted(3, 300)]
    assert [c.toggle_num for c in world.evses[0].frames(mme.ValidateCnf)] == [0, 3]


def test_without_validation_it_is_told_that_none_is_required():
    world = SlacWorld(validation=False)
    world.plug(0, 0, db=15)
    begun(world).run(3_000)
    assert world.evs[0].machine.state == "matched" and not world.evs[0].events(events.TogglesWanted)


def test_toggles_at_another_plug_are_not_counted():
    """The vehicle hears a neighbour's EVSE faintly, and is plugged in nowhere near it."""
    world = SlacWorld()
    world.plug(0, 0, db=15)
    world.evs[0].plug = None
    begun(world).run(15_000)
    assert world.evs[0].machine.state == "given-up" and not world.evses[0].events(events.Matched)
    assert {c.result for c in world.evses[0].frames(mme.ValidateCnf)} == {mme.READY, mme.FAILURE}


def test_too_far_away():
    world = SlacWorld()
    world.plug(0, 0, db=30)
    begun(world).run(12_000)
    assert world.evs[0].machine.state == "given-up" and world.evs[0].machine.runs > 3
    assert world.evs[0].events(events.GivenUp) == [events.GivenUp(True, "no EVSE is near enough")]


def test_nobody_there():
    world = SlacWorld(evses=0)
    begun(world).run(12_000)
    requests = world.evs[0].frames(mme.SlacParmReq)
    assert world.evs[0].events(events.GivenUp) == [events.GivenUp(False, "CM_SLAC_PARM was not answered")]
    runs = world.evs[0].machine.runs
    assert len(requests) == 3 * runs and len({r.run_id for r in requests}) == runs


@pytest.mark.parametrize("crosstalk", [12, 18, 25])
def test_three_vehicles_and_three_evses_that_hear_each_other(crosstalk: int):
    world = SlacWorld(evses=3, evs=3, seed=crosstalk)
    world.line.crosstalk_db = crosstalk
    for n in range(3):
        world.plug(n, n, db=4 + n)
    begun(world).run(10_000)
    for n in range(3):
        assert [m.mac for m in world.evses[n].events(events.Matched)] == [ev_mac(n)]
        assert world.evs[n].station.nmk == world.evses[n].station.nmk
    assert len({host.station.nmk for host in world.evses}) == 3


@pytest.mark.parametrize("seed", range(12))
def test_a_line_that_loses_frames(seed: int):
    world = SlacWorld(evses=2, evs=2, seed=seed, loss=100)
    world.line.crosstalk_db = 25
    for n in range(2):
        world.plug(n, n)
    begun(world).run(25_000)
    for n in range(2):
        assert world.evs[n].machine.state == "matched", (world.evs[n].said, world.evses[n].said)
        assert world.evses[n].events(events.Matched)[-1].mac == ev_mac(n)
        assert world.evs[n].station.nmk == world.evses[n].station.nmk
    assert world.line.lost > 0


def test_the_plug_is_pulled_and_the_next_one_gets_another_key():
    world = SlacWorld()
    world.plug(0, 0)
    begun(world).run(3_000)
    first = world.evses[0].station.nmk
    world.evses[0].runner.command(events.Leave())
    world.evs[0].runner.command(events.Leave())
    world.run(100)
    assert world.evses[0].station.nmk not in (b"", first) and world.evs[0].station.nmk != first
    assert world.evses[0].events(events.LinkUp)[-1] == events.LinkUp(False)
    begun(world).run(3_000)
    assert world.evs[0].machine.state == "matched"
    assert world.evs[0].station.nmk == world.evses[0].station.nmk not in (b"", first)


def test_a_link_that_is_lost_is_made_anew():
    world = SlacWorld()
    world.plug(0, 0)
    begun(world).run(3_000)
    world.line.attenuate(ev_mac(0), evse_mac(0), None)
    world.run(1_000)
    assert world.evses[0].events(events.StepWanted) and world.evs[0].events(events.LinkUp)[-1] == events.LinkUp(False)
    world.plug(0, 0)
    world.run(8_000)
    assert world.evs[0].machine.state == world.evses[0].machine.state == "matched"


def test_no_vehicle_speaks_e_twice_then_it_is_given_up():
    world = SlacWorld(evs=0)
    begun(world).run(200_000)
    evse = world.evses[0]
    assert [at for at, e in evse.said if isinstance(e, events.StepWanted)] == [50_000, 104_000]
    assert evse.said[-1] == (158_000, events.GivenUp(False, "no vehicle began to match"))


def test_more_vehicles_than_it_can_listen_to():
    world = SlacWorld(evs=0)
    begun(world)
    for n in range(8):
        frame = encode(MmeFrame(BROADCAST, ev_mac(n), mme.SlacParmReq(run_id=bytes([n]) * 8)))
        world.evses[0].runner.received(frame)
    machine = world.evses[0].machine
    assert len(machine.runs) == timers.C_EVSE_MATCH_PARALLEL and machine.refused == 3


def test_the_amplitude_map():
    world = SlacWorld(amp_map=(1, 2, 3))
    world.plug(0, 0)
    begun(world).run(3_000)
    assert world.evs[0].events(events.AmpMap) == [events.AmpMap((1, 2, 3))]
    assert len(world.evses[0].frames(mme.AmpMapReq)) == 1


def test_what_is_malformed_is_counted_and_ignored():
    world = SlacWorld()
    world.plug(0, 0)
    for evse in world.evses:
        evse.runner.command(events.Begin())
    world.evs[0].runner.start()
    for _ in range(700):
        for host in (*world.evses, *world.evs):
            host.runner.received(b"")
            host.runner.received(bytes.fromhex("ffffffffffff02000000000988e1017d60") + bytes(3))
        world.run(1)
    assert world.evs[0].machine.state == "matched"
    assert world.evs[0].machine.malformed == world.evses[0].machine.malformed == 1_400


def test_a_confirmation_with_a_name_that_is_not_its_keys_is_not_believed():
    world = SlacWorld()
    world.plug(0, 0)
    begun(world).run(600)
    ev = world.evs[0].machine
    assert isinstance(ev, SlacEv)
    while ev.state != "matching":
        world.run(1)
    forged = mme.SlacMatchCnf(pev_mac=ev_mac(0), evse_mac=evse_mac(0), run_id=ev.run_id, nid=bytes(7), nmk=bytes(16))
    assert not ev.receive(encode(MmeFrame(ev_mac(0), evse_mac(0), forged)), world.now)
    assert ev.state == "matching" and ev.ignored == 1


def test_a_wire_without_modems():
    world = SlacWorld(modem="none", wire_db=3)
    world.plug(0, 0)
    begun(world).run(2_000)
    assert world.evs[0].machine.state == world.evses[0].machine.state == "matched"


def test_a_vehicle_that_validates_always():
    world = SlacWorld(evs=0)
    host = type(world.evses[0])(
        world, SlacEv(SlacEvConfig(mac=ev_mac(7), modem="qualcomm", always_validate=True), bytes)
    )
    world.line.attenuate(ev_mac(7), evse_mac(0), 3)
    host.plug = world.evses[0]
    world.evses[0].runner.command(events.Begin())
    host.runner.start()
    world.run(5_000)
    assert host.machine.state == "matched" and host.events(events.TogglesWanted)


class Waiting:
    """An EVSE that has told `n` vehicles how it heard them, and waits for what they say."""

    def __init__(self, n: int = 1) -> None:
        self.machine = SlacEvse(SlacEvseConfig(mac=evse_mac(0), modem="plain"), bytes)
        self.machine.command(events.Begin(), 0)
        for car in range(n):
            run = bytes([car]) * 8
            self.says(car, mme.SlacParmReq(run_id=run))
            self.says(car, mme.StartAttenCharInd(forwarding_sta=ev_mac(car), run_id=run, num_sounds=1))
            profile = mme.AttenProfileInd(pev_mac=ev_mac(car), aag=bytes([12]) * 58)
            self.machine.receive(encode(MmeFrame(evse_mac(0), LOCAL_MODEM, profile)), 10)
            self.says(car, mme.AttenCharRsp(source_address=ev_mac(car), run_id=run))

    def says(self, car: int, message: mme.Message) -> list[mme.Message]:
        effects = self.machine.receive(encode(MmeFrame(evse_mac(0), ev_mac(car), message)), 10)
        return [mme.decode(e.data).message for e in effects if hasattr(e, "data")]


def test_one_validates_at_a_time():
    evse = Waiting(2)
    assert evse.says(0, mme.ValidateReq()) == [mme.ValidateCnf(result=mme.READY)]
    assert evse.says(1, mme.ValidateReq()) == [mme.ValidateCnf(result=mme.NOT_READY)]
    assert evse.says(0, mme.ValidateReq(timer=20)) == []
    evse.machine.command(events.Toggled(), 500)
    said = [mme.decode(effect.data).message for effect in evse.machine.elapse(10 + 2_100)]
    assert mme.ValidateCnf(result=mme.SUCCESS, toggle_num=1) in said
    assert evse.says(1, mme.ValidateReq()) == [mme.ValidateCnf(result=mme.READY)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"evse_mac": evse_mac(7)}, "it is for another EVSE"),
        ({"run_id": b"\x09" * 8}, "of no run"),
    ],
)
def test_no_key_for_a_request_that_is_not_for_us(change: dict[str, bytes], why: str):
    evse = Waiting()
    fields = {"pev_mac": ev_mac(0), "evse_mac": evse_mac(0), "run_id": bytes(8)}
    assert evse.says(0, mme.SlacMatchReq(**(fields | change))) == [], why
    assert evse.says(3, mme.SlacMatchReq(**fields)) == [], "a stranger"
    assert evse.machine.state == "listening" and evse.machine.ignored == 2
    (confirmed,) = evse.says(0, mme.SlacMatchReq(**fields))
    assert isinstance(confirmed, mme.SlacMatchCnf) and evse.machine.state == "joining"
    assert evse.says(0, mme.SlacMatchReq(**fields)) == [confirmed], "the confirmation was lost; it is said again"


def test_no_key_before_the_result_was_answered():
    evse = Waiting(0)
    assert evse.says(0, mme.SlacParmReq(run_id=bytes(8)))
    assert evse.says(0, mme.SlacMatchReq(pev_mac=ev_mac(0), evse_mac=evse_mac(0), run_id=bytes(8))) == []


def test_the_nearest_of_several_is_chosen_whoever_told_first():
    world = SlacWorld(evses=3, evs=1)
    for n, db in enumerate((9, 6, 3)):
        world.plug(0, n, db=db)
    begun(world).run(3_000)
    assert [bool(evse.events(events.Matched)) for evse in world.evses] == [False, False, True]
