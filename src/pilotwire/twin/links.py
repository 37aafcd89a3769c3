"""Cars that really talk: both ends of every vehicle link, joined in one process.

    link = LinkedCarAtEvse(station, 1, vehicle, "iso2-dc", scheduler, random=os.urandom)
    link.plug()          the plug goes in; the two ends begin
    link.pull()          it is out again

The station's end hangs on the station (`station.links`), the vehicle's on the battery (`vehicle.inside`); between them
nothing is known that the link has not carried. `LINKS` has a row for every link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from pilotwire.core.evse_link import Service
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler
from pilotwire.protocols.iso15118.config import Dialect, EvccConfig, SeccConfig
from pilotwire.station.config import EvseConfig
from pilotwire.station.outlet import Hardware
from pilotwire.station.plugged import Plugged
from pilotwire.station.program import Station
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.inside import Habits, Inside

from .wires import CanWire, GbtWire, PilotWire, Tap, Wire

Random = Callable[[int], bytes]


class Ends(msgspec.Struct, frozen=True):
    """What has been made for one plug."""

    evse: Any
    ev: Any
    wire: Wire


class LinkKind(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which cars and stations talk."""

    name: str
    words: str
    """For people."""
    service: Service
    make: Callable[[LinkedCarAtEvse], Ends]

    @property
    def dc(self) -> bool:
        """The station's outlet gives DC. A pad takes AC, and nothing else of it can be measured at the station."""
        return not self.service.startswith("AC") and self.service != "WPT"

    @property
    def battery(self) -> bool:
        """The vehicle asks for what its battery wants, past its onboard charger."""
        return not self.service.startswith("AC")


class LinkedCarAtEvse:
    """One vehicle at one EVSE, and the link between them."""

    __slots__ = (
        "_ev", "_evse", "_random", "_scheduler", "_wire", "habits", "inside", "kind", "number", "plugged", "pnc",
        "station", "tap", "vehicle",
    )  # fmt: skip

    def __init__(
        self,
        station: Station,
        evse: int,
        vehicle: Vehicle,
        kind: str,
        scheduler: Scheduler,
        *,
        random: Random,
        habits: Habits | None = None,
        pnc: tuple[Any, Any] | None = None,
        tap: Tap | None = None,
    ) -> None:
        """`kind`: a name of LINKS. `pnc`: (`SeccPnc`, `EvccPnc`) for Plug & Charge. `tap` sees every unit."""
        self.station = station
        self.number = evse
        self.vehicle = vehicle
        self.kind = LINKS[kind]
        self.habits = habits or Habits()
        self.pnc = pnc
        self.tap = tap
        self.plugged: Plugged | None = None
        self.inside: Inside | None = None
        self._scheduler = scheduler
        self._random = random
        self._wire: Wire | None = None
        self._evse: Runner | None = None
        self._ev: Runner | None = None

    @property
    def scheduler(self) -> Scheduler:
        return self._scheduler

    @property
    def random(self) -> Random:
        return self._random

    @property
    def config(self) -> EvseConfig:
        """Of the EVSE."""
        return self.station.config.evses[self.number - 1]

    def plug(self, hardware: Hardware | None = None) -> None:
        """The plug goes in. Raises LocalError when a car is there."""
        plugged = self.plugged = self.station.links.plug(self.number, hardware, physical=self.vehicle)
        ends = self.kind.make(self)
        wire = self._wire = ends.wire
        wire.tap = self.tap
        evse = Runner(ends.evse, self._scheduler, send=wire.from_evse, event=plugged.event)
        inside = self.inside = Inside(
            self.vehicle, self._scheduler, lambda command: ev.command(command), dc=self.kind.battery,
            habits=self.habits, settle=self._settle,
        )  # fmt: skip
        ev = Runner(ends.ev, self._scheduler, send=wire.from_ev, event=inside.event)
        self._evse, self._ev = evse, ev
        wire.evse, wire.ev = evse, ev
        plugged.attach(evse.command)
        wire.plugged()
        inside.begin()
        ev.start()

    def _settle(self) -> None:
        """The meter hands over what has flowed so far."""
        self.station.evses[self.number - 1].settle(int(self._scheduler.now()))

    def pull(self) -> None:
        """The plug is out."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self.inside is not None:
            self.inside.stop()
        for runner in (self._ev, self._evse):
            if runner is not None:
                runner.stop()
        self._ev = self._evse = None
        self.station.links.unplug(self.number)


# ── the links ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pilot(link: LinkedCarAtEvse) -> Ends:
    from pilotwire.protocols.iec61851.ev import PilotEv, PilotEvConfig
    from pilotwire.protocols.iec61851.evse import PilotEvse, PilotEvseConfig

    cable = link.config.max_ma if link.config.fixed_cable else 32_000
    return Ends(PilotEvse(PilotEvseConfig(cable_ma=cable)), PilotEv(PilotEvConfig()), PilotWire(link.scheduler))


def _v2g(dialect: Dialect) -> Callable[[LinkedCarAtEvse], Ends]:
    def make(link: LinkedCarAtEvse) -> Ends:
        from pilotwire.protocols.iso15118.evcc import Evcc
        from pilotwire.protocols.iso15118.secc import Secc

        service = link.kind.service
        contract = link.pnc is not None
        evse_pnc, ev_pnc = link.pnc or (None, None)
        secc = SeccConfig(
            evse_id=f"DE*PWR*E{link.station.config.identity.replace('-', '')}{link.number:02d}",
            dialects=(dialect,),
            services=(service,),
            connector=link.config.connector_type,
            payments=("contract", "external") if contract else ("external",),
            install=contract,
        )
        evcc = EvccConfig(
            dialects=(dialect,),
            services=(service,),
            mac=link.random(6),
            evccid=link.vehicle.evccid or EvccConfig().evccid,
            payments=("contract",) if contract else ("external",),
            install=contract,
            dynamic=service.endswith("BPT"),  # the station says which way it is to flow
        )
        # The wire is inside the process; what a TLS connection would have secured is secure.
        return Ends(
            Secc(secc, random=link.random, tls=True, pnc=evse_pnc),
            Evcc(evcc, random=link.random, tls=True, pnc=ev_pnc),
            Wire(link.scheduler),
        )

    return make


def _chademo(version: int) -> Callable[[LinkedCarAtEvse], Ends]:
    def make(link: LinkedCarAtEvse) -> Ends:
        from pilotwire.protocols.chademo.config import ChademoEvConfig, ChademoEvseConfig
        from pilotwire.protocols.chademo.ev import ChademoEv
        from pilotwire.protocols.chademo.evse import ChademoEvse

        gives = link.config.bidirectional and link.vehicle.most_given(dc=True) > 0
        return Ends(
            ChademoEvse(ChademoEvseConfig(version=version, discharge=gives)),
            ChademoEv(ChademoEvConfig(version=version, discharge=gives)),
            CanWire(link.scheduler, 500_000),
        )

    return make


def _gbt(edition: Literal["2011", "2015"]) -> Callable[[LinkedCarAtEvse], Ends]:
    def make(link: LinkedCarAtEvse) -> Ends:
        from pilotwire.protocols.gbt27930.ev import EvConfig as GbtEvConfig
        from pilotwire.protocols.gbt27930.ev import GbtEv
        from pilotwire.protocols.gbt27930.evse import EvseConfig as GbtEvseConfig
        from pilotwire.protocols.gbt27930.evse import GbtEvse

        kind = link.vehicle.kind
        rated = (kind.pack_empty_mv + kind.pack_full_mv) // 2
        car = GbtEvConfig(
            vin=VIN, capacity_mah=kind.capacity_wh * 1_000_000 // rated, rated_mv=rated, maker="PWR", edition=edition
        )
        config = GbtEvseConfig(edition=edition, max_mv=link.config.max_mv, max_ma=link.config.max_ma)
        return Ends(GbtEvse(config), GbtEv(car), GbtWire(link.scheduler))

    return make


VIN = "LZZPW00R0S0000001"
"""Of cars on GB/T 27930: a model year and plant that nobody uses."""

LINKS: Mapping[str, LinkKind] = {
    kind.name: kind
    for kind in (
        LinkKind(name="pilot", words="control pilot (IEC 61851-1)", service="AC", make=_pilot),
        LinkKind(name="din", words="DIN SPEC 70121", service="DC", make=_v2g("din")),
        LinkKind(name="iso2-ac", words="ISO 15118-2, AC", service="AC", make=_v2g("iso2")),
        LinkKind(name="iso2-dc", words="ISO 15118-2, DC", service="DC", make=_v2g("iso2")),
        LinkKind(name="iso20-ac", words="ISO 15118-20, AC", service="AC", make=_v2g("iso20-ac")),
        LinkKind(name="iso20-dc", words="ISO 15118-20, DC", service="DC", make=_v2g("iso20-dc")),
        LinkKind(name="iso20-ac-bpt", words="ISO 15118-20, AC both ways", service="AC_BPT", make=_v2g("iso20-ac")),
        LinkKind(name="iso20-dc-bpt", words="ISO 15118-20, DC both ways", service="DC_BPT", make=_v2g("iso20-dc")),
        LinkKind(name="wpt", words="ISO 15118-20, over a pad", service="WPT", make=_v2g("iso20-wpt")),
        LinkKind(name="acdp", words="ISO 15118-20, pantograph", service="DC_ACDP", make=_v2g("iso20-acdp")),
        LinkKind(
            name="acdp-bpt", words="ISO 15118-20, pantograph both ways", service="DC_ACDP_BPT", make=_v2g("iso20-acdp")
        ),
        LinkKind(name="chademo1", words="CHAdeMO 1.x", service="DC", make=_chademo(1)),
        LinkKind(name="chademo2", words="CHAdeMO 2.0", service="DC_BPT", make=_chademo(2)),
        LinkKind(name="gbt2011", words="GB/T 27930-2011", service="DC", make=_gbt("2011")),
        LinkKind(name="gbt2015", words="GB/T 27930-2015", service="DC", make=_gbt("2015")),
    )
}
"""Every link by its name."""
