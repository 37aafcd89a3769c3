"""What is said in a whole session of ours, in simulated time: to warm up those who need it before they can talk."""

from __future__ import annotations

from random import Random
from typing import Any

from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Offer, Service
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.config import Dialect, EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.twin.wires import Wire
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL
from pilotwire.vehicle.inside import Inside

_ISO20 = "urn:iso:std:iso:15118:-20:"
_NAMESPACES = {
    "sap": "urn:iso:15118:2:2010:AppProtocol",
    "din": "urn:din:70121:2012:MsgDef",
    "iso2": "urn:iso:15118:2:2013:MsgDef",
    v2gtp.MAIN: f"{_ISO20}CommonMessages",
    v2gtp.AC: f"{_ISO20}AC",
    v2gtp.DC: f"{_ISO20}DC",
}
_SCHEMAS = {
    "sap": "sap", "din": "din", "iso2": "iso2",
    v2gtp.MAIN: "iso20-common", v2gtp.AC: "iso20-ac", v2gtp.DC: "iso20-dc",
}  # fmt: skip


def frames(dialect: Dialect, service: Service) -> list[v2gtp.Frame]:
    """All frames of a session, supportedAppProtocol first."""
    scheduler = SimScheduler()
    dc = not service.startswith("AC")
    random = Random(1).randbytes
    wire = Wire(scheduler)
    said: list[v2gtp.Frame] = []
    wire.tap = lambda sender, frame, at: said.append(frame)
    secc = Secc(SeccConfig(dialects=(dialect,), services=(service,)), random=random, tls=True)
    evcc = Evcc(EvccConfig(dialects=(dialect,), services=(service,)), random=random, tls=True)
    outlet = Outlet(scheduler, lambda command: wire_evse.command(command), Hardware(dc=dc))
    wire_evse = Runner(secc, scheduler, send=wire.from_evse, event=outlet.event)
    inside = Inside(Vehicle(BIDIRECTIONAL, 500), scheduler, lambda command: wire_ev.command(command), dc=dc)
    wire_ev = Runner(evcc, scheduler, send=wire.from_ev, event=inside.event)
    wire.evse, wire.ev = wire_evse, wire_ev

    def watch(event: Any) -> None:
        if isinstance(event, AuthorizationAsked):
            wire_evse.command(Authorize(accepted=True))

    outlet.watch = watch
    outlet.offering(
        Offer(
            max_mv=500_000 if dc else None,
            min_mv=150_000 if dc else 0,
            max_ma=100_000 if dc else 32_000,
            max_mw=50_000_000 if dc else 22_000_000,
            max_discharge_ma=16_000,
            max_discharge_mw=11_000_000,
        )
    )
    inside.begin()
    wire_ev.start()
    scheduler.run_for(15_000)
    inside.halt()
    scheduler.run_for(10_000)
    assert inside.over is not None and inside.over.ok, f"{dialect} {service}: {inside.over}"
    return said


def warmers(sessions: list[tuple[Dialect, Service]], times: int = 2) -> list[tuple[str, str]]:
    """(EXI in hexadecimal, namespace) of every kind of message of those sessions, each so many times."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for dialect, service in sessions:
        for number, frame in enumerate(frames(dialect, service)):
            key: Any = "sap" if number < 2 else dialect if frame.type == v2gtp.SAP else frame.type
            message = exi.decode(_SCHEMAS[key], frame.payload)
            (root,) = message
            (name,) = message[root]["Body"] if root == "V2G_Message" else (root,)
            rows = found.setdefault((f"{key} {service}", name), [])
            if len(rows) < times:
                rows.append((frame.payload.hex(), _NAMESPACES[key]))
    return [row for rows in found.values() for row in rows]
