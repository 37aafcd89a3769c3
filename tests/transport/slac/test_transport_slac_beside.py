"""Pilot, SLAC and a conversation over V2G as one link to the station, which has simulated hardware."""

from __future__ import annotations

import random
from typing import Any

from pilotwire.core import evse_link as link
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.iec61851.ev import PilotEv
from pilotwire.protocols.iec61851.high_level import FellBack, HighLevel, LinkOver
from pilotwire.protocols.iec61851.levels import STATE_F, UNPLUGGED, X1, PilotLevel, PilotLoad, measure
from pilotwire.protocols.slac import events as slac
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.transport.slac import Beside, EvPlug, EvsePlug, Powerline

EVSE, EV = bytes([2, 0, 0, 0, 1, 0]), bytes([2, 0, 0, 0, 2, 0])


class Bay:
    """One vehicle at one outlet; V2G is played by the test: `told` is what it was told."""

    def __init__(self, *, ac: bool = True) -> None:
        self.time = SimScheduler(0)
        self.level: PilotLevel = X1
        self.load: PilotLoad = UNPLUGGED
        self.said: list[Any] = []
        self.watched: list[Any] = []
        self.told: list[Any] = []
        self.closed = False
        line = Powerline(self.time)
        line.attenuate(EVSE, EV, 4)
        chance = random.Random(1)
        self.beside = Beside(self._said, self._watch)
        at_evse = line.station(EVSE, lambda frame: self.evse.slac.received(frame))
        at_ev = line.station(EV, lambda frame: self.ev.slac.received(frame))
        matching = SlacEvse(SlacEvseConfig(mac=EVSE, modem="qualcomm"), chance.randbytes)
        self.evse = EvsePlug(
            self.time, HighLevel(ac=ac), matching, drive=self._drive, frame=at_evse.send, event=self.beside.plug_event
        )
        self.beside.plug = self.evse
        vehicle = SlacEv(SlacEvConfig(mac=EV, modem="qualcomm"), chance.randbytes)
        self.ev = EvPlug(self.time, PilotEv(), vehicle, load=self._show, frame=at_ev.send, event=lambda event: None)

    def run(self, ms: int) -> None:
        self.time.run_for(ms)

    def charging(self) -> Bay:
        self.ev.start()
        self.run(2_500)
        assert self.beside.talking
        self.beside.v2g_event(link.Connected(protocol="iso15118-2"))
        self.beside.v2g_event(link.ContactorAsked(True))
        self.ev.show("C")
        self.run(200)
        assert self.closed and link.Contactor(True) in self.told
        return self

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
            self.time.call_later(50, lambda: self._switch(event.closed))

    def _switch(self, closed: bool) -> None:
        self.closed = closed
        self.beside.command(link.Contactor(closed))

    def _watch(self, event: Any) -> None:
        self.watched.append(event)
        if event == slac.LinkUp(True):
            self.beside.begin(self.told.append)


def test_v2g_has_the_word_and_the_pilot_the_switch():
    bay = Bay().charging()
    assert [type(e) for e in bay.said] == [link.Identified, link.Connected, link.ContactorAsked]
    bay.beside.command(link.Stop("remote stop"))
    assert bay.told[-1] == link.Stop("remote stop") and bay.closed and bay.level.duty == 50, "in order: V2G first"
    bay.beside.v2g_event(link.ContactorAsked(False))
    bay.ev.show("B")
    bay.run(200)
    assert not bay.closed and not any(isinstance(e, LinkOver) for e in bay.watched)
    bay.beside.v2g_event(link.Ended(reason="SessionStop", by="ev"))
    bay.run(100)
    assert bay.said[-1] == link.Ended(reason="SessionStop", by="ev") and bay.level == X1


def test_an_emergency_stop_reaches_both_at_once():
    bay = Bay().charging()
    bay.beside.command(link.Stop("the button", emergency=True))
    assert bay.level == STATE_F and bay.told[-1] == link.Stop("the button", emergency=True)
    bay.run(100)
    assert not bay.closed


def test_a_fault_reaches_both():
    bay = Bay().charging()
    bay.beside.command(link.Fault(code="MREC2GroundFailure", by="evse"))
    bay.run(100)
    assert not bay.closed and any(isinstance(e, link.Fault) for e in bay.told)
    assert any(isinstance(e, link.Stop) and e.emergency for e in bay.told)


def test_the_plug_is_pulled():
    bay = Bay().charging()
    bay.ev.lost()
    bay._show(UNPLUGGED)
    bay.run(100)
    assert not bay.closed and [e.reason for e in bay.told if isinstance(e, link.Stop)] == ["the vehicle was unplugged"]
    bay.beside.over()
    assert bay.said[-1] == link.Ended(reason="the connection was lost", by="ev", ok=False)
    assert not bay.beside.talking


def test_the_connection_is_lost_under_load():
    bay = Bay().charging()
    bay.beside.over()
    bay.run(100)
    assert not bay.closed and link.ContactorAsked(False) in bay.said
    assert [e.ok for e in bay.said if isinstance(e, link.Ended)] == [False]


def test_back_to_the_pilot():
    bay = Bay()
    bay.beside.command(link.Offer(max_ma=16_000))
    bay.ev.start()
    bay.run(2_500)
    bay.beside.over()
    bay.evse.v2g_failed("no SDP request")
    bay.beside.command(link.Authorize(accepted=True))
    bay.run(5_000)
    assert any(isinstance(e, FellBack) for e in bay.watched) and bay.level.duty == 266
    assert link.Connected(protocol="iec61851") in bay.said
