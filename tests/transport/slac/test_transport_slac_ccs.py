"""From the plug to energy and back: pilot, SLAC and ISO 15118 or DIN 70121 of both ends together, with hardware.

The vehicle's inside is a simulated car, the outlet's the simulated power stage; between them is nothing but the pilot
wire, the power line and the frames of V2G, which only get through while both modems have the same key.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from pilotwire.core import ev_link, evse_link
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.iec61851.ev import PilotEv
from pilotwire.protocols.iec61851.high_level import HighLevel, LinkOver, PilotState
from pilotwire.protocols.iec61851.levels import UNPLUGGED, X1, PilotLevel, PilotLoad, measure
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.protocols.iso15118.v2gtp import read, write
from pilotwire.protocols.slac import events as slac
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.transport.slac import Beside, EvBeside, EvPlug, EvsePlug, Powerline
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE
from pilotwire.vehicle.inside import Habits, Inside

EVSE, EV = bytes([2, 0, 0, 0, 1, 0]), bytes([2, 0, 0, 0, 2, 0])
V2G = b"\x86\xdd"
"""V2GTP travels in frames of another type than SLAC; the header of IP and TCP is left out here."""


class Ccs:
    """One vehicle at one outlet."""

    def __init__(self, dialect: Any, service: Any) -> None:
        self.time = SimScheduler(0)
        self.service, self.dialect = service, dialect
        self.dc = service == "DC"
        self.level: PilotLevel = X1
        self.load: PilotLoad = UNPLUGGED
        self.said: list[Any] = []
        self.heard: list[Any] = []
        self.watched: list[Any] = []
        chance = self.chance = random.Random(5)
        line = Powerline(self.time)
        line.attenuate(EVSE, EV, 4)
        self.secc: Runner | None = None
        self.evcc: Runner | None = None
        self.at_evse = line.station(EVSE, lambda frame: self._frame(frame, self.evse.slac, self.secc))
        self.at_ev = line.station(EV, lambda frame: self._frame(frame, self.ev.slac, self.evcc))
        # the station
        self.beside = Beside(self._said, self._evse_watch)
        matching = SlacEvse(SlacEvseConfig(mac=EVSE, modem="qualcomm"), chance.randbytes)
        self.evse = EvsePlug(
            self.time,
            HighLevel(ac=not self.dc),
            matching,
            drive=self._drive,
            frame=self.at_evse.send,
            event=self.beside.plug_event,
        )
        self.beside.plug = self.evse
        self.outlet = Outlet(self.time, self.beside.command, Hardware(dc=self.dc))
        # the vehicle
        self.ev_beside = EvBeside(self._heard, self._ev_watch)
        joining = SlacEv(SlacEvConfig(mac=EV, modem="qualcomm"), chance.randbytes)
        self.ev = EvPlug(
            self.time, PilotEv(), joining, load=self._show, frame=self.at_ev.send, event=self.ev_beside.plug_event
        )
        self.ev_beside.plug = self.ev
        self.car = Vehicle(CATALOGUE["compact three-phase 11 kW"], 400, max_taken_wh=300)
        self.inside = Inside(self.car, self.time, self.ev_beside.command, dc=self.dc, habits=Habits())

    def plug(self) -> None:
        offer = evse_link.Offer(
            max_mv=500_000 if self.dc else None, max_ma=100_000 if self.dc else 16_000, max_mw=50_000_000, phases=3
        )
        self.outlet.offering(offer)
        self.inside.begin()
        self.ev.start()

    def run(self, ms: int) -> None:
        self.time.run_for(ms)

    def kinds(self, events: list[Any], kind: type) -> list[Any]:
        return [event for event in events if type(event) is kind]

    # ── the wires ────────────────────────────────────────────────────────────────────────────────────────────────
    def _frame(self, frame: bytes, matching: Runner, v2g: Runner | None) -> None:
        if frame[12:14] != V2G:
            matching.received(frame)
        elif v2g is not None:
            v2g.received(read(frame[14:]))

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

    # ── the station's side ───────────────────────────────────────────────────────────────────────────────────────
    def _said(self, event: Any) -> None:
        self.said.append(event)
        self.outlet.event(event)
        if isinstance(event, evse_link.AuthorizationAsked):
            self.beside.command(evse_link.Authorize(accepted=True))

    def _evse_watch(self, event: Any) -> None:
        self.watched.append(event)
        if event == slac.LinkUp(True):
            config = SeccConfig(dialects=(self.dialect,), services=(self.service,))
            secc = Secc(config, random=self.chance.randbytes, tls=True)
            self.secc = Runner(
                secc,
                self.time,
                send=lambda f: self.at_evse.send(EV + EVSE + V2G + write(f)),
                event=self.beside.v2g_event,
            )
            self.beside.begin(self.secc.command)
            self.beside.command(self.outlet.offer)
        elif event == slac.LinkUp(False) and self.secc is not None:
            self.secc.lost()
            self.beside.over()

    # ── the vehicle's side ───────────────────────────────────────────────────────────────────────────────────────
    def _heard(self, event: Any) -> None:
        self.heard.append(event)
        self.inside.event(event)

    def _ev_watch(self, event: Any) -> None:
        if event == slac.LinkUp(True):
            config = EvccConfig(dialects=(self.dialect,), services=(self.service,), mac=EV)
            evcc = Evcc(config, random=self.chance.randbytes, tls=True)
            self.evcc = Runner(
                evcc,
                self.time,
                send=lambda f: self.at_ev.send(EVSE + EV + V2G + write(f)),
                event=self.ev_beside.v2g_event,
            )
            self.ev_beside.begin(self.evcc.command)
            self.evcc.command(self.inside.drive())
            self.time.call_later(1_000, self.evcc.start)


@pytest.mark.parametrize(
    ("dialect", "service"), [("din", "DC"), ("iso2", "DC"), ("iso2", "AC"), ("iso20-dc", "DC"), ("iso20-ac", "AC")]
)
def test_from_the_plug_to_energy_and_back(dialect: str, service: str):
    ccs = Ccs(dialect, service)
    ccs.plug()
    ccs.run(60_000)
    if not ccs.dc:  # over AC nobody tells the vehicle what flows: its driver has enough
        assert ccs.outlet.closed and ccs.outlet.ma == 16_000
        ccs.inside.halt()
    ccs.run(120_000)
    account = f"{ccs.said[-12:]}\n{ccs.heard[-6:]}\n{ccs.watched[-6:]}"
    assert ccs.kinds(ccs.said, evse_link.Connected), account
    assert evse_link.ContactorAsked(True) in ccs.said, account
    assert ccs.outlet.register_wh >= 100, account
    (ended,) = ccs.kinds(ccs.said, evse_link.Ended)
    assert ended.ok, account
    assert not ccs.outlet.closed and not ccs.kinds(ccs.said, evse_link.Fault), account
    assert not ccs.kinds(ccs.watched, LinkOver), account
    assert [e.state for e in ccs.kinds(ccs.watched, PilotState)] == ["B", "C", "B"], account
    assert ccs.kinds(ccs.heard, ev_link.Parted)[0].ok


@pytest.mark.parametrize("service", ["DC", "AC"])
def test_pulled_out_under_load_it_is_off_within_100_ms(service: str):
    ccs = Ccs("iso2", service)
    ccs.plug()
    for _ in range(600):
        ccs.run(100)
        if ccs.outlet.closed and ccs.outlet.ma:
            break
    assert ccs.outlet.closed and ccs.outlet.ma
    ccs.ev.lost()
    ccs._show(UNPLUGGED)
    ccs.run(100)
    assert not ccs.outlet.closed and ccs.outlet.ma == 0
    ccs.run(5_000)
    assert [e.ok for e in ccs.kinds(ccs.said, evse_link.Ended)] == [False]
