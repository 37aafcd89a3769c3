"""From the plug to the link: pilot and SLAC of both ends together, on a pilot wire and a simulated power line."""

from __future__ import annotations

import random
from typing import Any

from pilotwire.core import ev_link
from pilotwire.core import evse_link as link
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.iec61851.ev import PilotEv, PilotEvConfig, ShowState
from pilotwire.protocols.iec61851.evse import PilotEvseConfig
from pilotwire.protocols.iec61851.high_level import FellBack, HighLevel, LinkOver
from pilotwire.protocols.iec61851.levels import UNPLUGGED, X1, PilotLevel, PilotLoad, measure
from pilotwire.protocols.slac import events as slac
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.transport.slac import EvPlug, EvsePlug, Powerline


class Site:
    """So many plugs and vehicles, each vehicle at the plug of its number; all hear each other a little."""

    def __init__(self, plugs: int = 1, *, db: int = 4, talks: bool = True, seed: int = 1) -> None:
        self.time = SimScheduler(0)
        self.line = Powerline(self.time, seed=seed, crosstalk_db=25)
        self.places = [Place(self, n, random.Random(seed + n), db, talks) for n in range(plugs)]

    def run(self, ms: int) -> None:
        self.time.run_for(ms)


class Place:
    """One of them."""

    def __init__(self, site: Site, n: int, chance: random.Random, db: int, talks: bool) -> None:
        self.site = site
        self.level: PilotLevel = X1
        self.load: PilotLoad = UNPLUGGED
        self.said: list[Any] = []
        self.heard: list[Any] = []
        self.closed = False
        evse_mac, ev_mac = bytes([2, 0, 0, 0, 1, n]), bytes([2, 0, 0, 0, 2, n])
        at_evse = site.line.station(evse_mac, lambda frame: self.evse.slac.received(frame))
        at_ev = site.line.station(ev_mac, lambda frame: self.ev.slac.received(frame))
        site.line.attenuate(evse_mac, ev_mac, db)
        self.stations = (at_evse, at_ev)
        self.evse = EvsePlug(
            site.time,
            HighLevel(PilotEvseConfig(cable_ma=32_000)),
            SlacEvse(SlacEvseConfig(mac=evse_mac, modem="qualcomm"), chance.randbytes),
            drive=self._drive,
            frame=at_evse.send,
            event=self._said,
        )
        self.ev = EvPlug(
            site.time,
            PilotEv(PilotEvConfig(digital=talks)),
            SlacEv(SlacEvConfig(mac=ev_mac, modem="qualcomm"), chance.randbytes),
            load=self._show,
            frame=at_ev.send,
            event=self.heard.append,
        )

    def plug(self) -> None:
        self.ev.start()

    def pull(self) -> None:
        self.ev.lost()
        self._show(UNPLUGGED)

    def events(self, kind: type) -> list[Any]:
        return [event for event in self.said if type(event) is kind]

    def _drive(self, level: PilotLevel) -> None:
        self.level = level
        self._sample()

    def _show(self, load: PilotLoad) -> None:
        self.load = load
        self._sample()

    def _sample(self) -> None:
        sample = measure(self.level, self.load)
        self.evse.pilot.received(sample)
        if self.load != UNPLUGGED:
            self.ev.pilot.received(sample)

    def _said(self, event: Any) -> None:
        self.said.append(event)
        if isinstance(event, link.ContactorAsked):
            self.site.time.call_later(50, lambda: self._switch(event.closed))

    def _switch(self, closed: bool) -> None:
        self.closed = closed
        self.evse.command(link.Contactor(closed))


def test_plugged_matched_powered_and_pulled():
    site = Site()
    (place,) = site.places
    place.plug()
    site.run(2_500)
    assert place.events(slac.LinkUp) == [slac.LinkUp(True)] and slac.LinkUp(True) in place.heard
    assert place.stations[0].nmk == place.stations[1].nmk != b""
    assert place.events(link.Identified) == [link.Identified(mac="02:00:00:00:02:00")]
    place.evse.command(link.ContactorAsked(True))
    place.ev.show("C")
    site.run(200)
    assert place.closed
    place.pull()
    site.run(200)
    assert not place.closed and place.events(LinkOver)[-1].unplugged
    assert place.events(slac.LinkUp)[-1] == slac.LinkUp(False)
    assert place.stations[0].nmk != place.stations[1].nmk, "the network was left by both"


def test_validation_toggles_the_real_pilot():
    site = Site(db=15)
    (place,) = site.places
    place.plug()
    site.run(6_000)
    assert [e for e in place.heard if isinstance(e, slac.TogglesWanted)] == [slac.TogglesWanted(3, 300)]
    assert slac.LinkUp(True) in place.heard and not place.closed and not place.events(LinkOver)


def test_four_plugs_at_once():
    site = Site(4, seed=3)
    for place in site.places:
        place.plug()
    site.run(5_000)
    assert len({place.stations[0].nmk for place in site.places}) == 4
    for place in site.places:
        assert place.stations[0].nmk == place.stations[1].nmk
        assert place.events(slac.LinkUp) == [slac.LinkUp(True)]


def test_a_vehicle_that_does_not_talk_is_charged_by_pilot():
    site = Site(talks=False)
    (place,) = site.places
    place.evse.command(link.Offer(max_ma=16_000))
    place.plug()
    place.ev.command(ev_link.Drive())
    site.run(170_000)
    assert place.events(slac.StepWanted) == [slac.StepWanted()] * 2
    assert place.events(FellBack) and place.events(link.Connected) == [link.Connected(protocol="iec61851")]
    place.evse.command(link.Authorize(accepted=True))
    site.run(5_000)
    assert place.closed and place.level.duty == 266
    assert ev_link.Allowed() in place.heard


def test_v2g_that_fails_is_tried_again_or_left_to_the_pilot():
    site = Site()
    (place,) = site.places
    place.plug()
    site.run(2_500)
    place.evse.v2g_failed("no answer to SDP", comeback=True)
    site.run(8_000)
    assert place.events(slac.LinkUp) == [slac.LinkUp(True), slac.LinkUp(False), slac.LinkUp(True)]
    place.evse.v2g_failed("no answer to SDP")
    place.evse.command(link.Offer(max_ma=16_000))
    place.evse.command(link.Authorize(accepted=True))
    place.ev.command(ev_link.Drive())
    site.run(5_000)
    assert place.events(FellBack) and place.closed


def test_the_vehicle_leaves_c_under_load():
    site = Site()
    (place,) = site.places
    place.plug()
    site.run(2_500)
    place.evse.command(link.ContactorAsked(True))
    place.ev.pilot.command(ShowState("C"))
    site.run(200)
    place.ev.show("B")
    site.run(90)
    assert not place.closed and place.events(LinkOver)[0].reason == "the vehicle went to B while energy flowed"
    assert place.events(slac.LinkUp)[-1] == slac.LinkUp(False)


def test_the_hardware_is_gone():
    site = Site()
    (place,) = site.places
    place.plug()
    site.run(2_500)
    place.evse.lost()
    assert place.events(slac.LinkUp)[-1] == slac.LinkUp(False) and place.events(LinkOver)
    place.evse.stop()
    before = len(place.said)
    site.run(60_000)
    assert len(place.said) == before
