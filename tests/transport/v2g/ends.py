"""One end of sessions over a real network, as a process of its own: `python ends.py station|vehicle INTERFACE`.

It is told what to do by lines of JSON on its standard input, and says what happens by lines on its standard output:

    station   {"config": {…}, "tls": {…}, "plain": true, "dc": true, "offer": {…}}     →  {"listens": […]}, events
    vehicle   {"config": {…}, "tls": {…}, "dc": true, "charge_s": 0.2, "give_ma": 0}   →  events, {"done": …}
              "then": halt | rest | vanish: what it does so long after energy came, or "most_s" after its contactors;
              "resume": with what it kept of its last session; "wireless": it looks for the station as over WLAN

    either    "pki": a folder of `pilotwire pki`, for Plug & Charge, and for "tls" where that is
              left out ("contract": false, it has none yet);
              "slow": its machine's clock runs so many times slower, for peers that are slower than the standards allow

Both end with their standard input.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pilotwire.cli.v2g_keys import editions, station_of, trust_of, vehicle_of
from pilotwire.core.errors import PilotwireError
from pilotwire.core.ev_link import ContactsAsked, Flowing, Offered, Parted, Rest
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Certificate,
    CertificateAsked,
    Ended,
    Offer,
    Paused,
    Requested,
)
from pilotwire.core.time import Scheduler, Timer, Timestamp
from pilotwire.crypto.pnc.pki import EMAID
from pilotwire.crypto.pnc.provisioning import Provisioning, Refused, TestOperator
from pilotwire.crypto.pnc.vehicle import Identity
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.sdp import Wireless
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.transport.runtime import LoopScheduler
from pilotwire.transport.v2g import EvccTls, SeccServer, SeccTls, V2gLink, dial_secc, run_secc
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL
from pilotwire.vehicle.inside import Habits, Inside

QUICK = {
    "contactor_ms": 20, "lock_ms": 20, "isolation_ms": 100, "volts_ramp": 8_000_000, "amperes_ramp": 2_000_000,
    "tick_ms": 20, "report_ms": 100,
}  # fmt: skip
SETTLED_MS = 50
"""After the end: hardware takes a moment."""
OFFER = {
    "max_mv": 500_000, "min_mv": 150_000, "max_ma": 200_000, "max_mw": 60_000_000,
    "max_discharge_ma": 50_000, "max_discharge_mw": 20_000_000,
}  # fmt: skip
OFFER_AC = {"max_ma": 16_000, "max_mw": 11_000_000, "max_discharge_ma": 16_000, "max_discharge_mw": 11_000_000}


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def told(event: Any) -> None:
    say(event=type(event).__name__, **msgspec.to_builtins(event))


class Slowed:
    """A clock that runs `times` slower."""

    def __init__(self, scheduler: Scheduler, times: int) -> None:
        self._scheduler = scheduler
        self._times = times
        self._start = int(scheduler.now())

    def now(self) -> Timestamp:
        return Timestamp(self._start + (int(self._scheduler.now()) - self._start) // self._times)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        return self._scheduler.call_later(delay_ms * self._times, callback)


def slowed(scheduler: Scheduler, times: int) -> Scheduler:
    return scheduler if times == 1 else Slowed(scheduler, times)


def contract_for(asked: CertificateAsked, folder: str) -> bytes:
    """What a provisioning service answers that has the keys of this PKI; empty: it refuses."""
    edition: Any = "iso20" if ":-20:" in asked.schema else "iso2"
    made = editions(Path(folder))
    pki = made[edition]
    operator = TestOperator(pki["mo-sub2"], secrets.token_bytes, lambda pcid: EMAID)
    service = Provisioning(trust_of(made), Identity(pki["cps"].chain, pki["cps"].key), operator, secrets.token_bytes)
    try:
        return service.answer(edition, asked.exi, time.time_ns() // 1_000_000)
    except Refused as error:
        say(refused=str(error))
        return b""


class Station:
    """Waits for vehicles, with one outlet."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.server: SeccServer | None = None
        self.paused: dict[bytes, Any] = {}

    async def do(self, order: Any) -> None:
        if self.server is not None:
            await self.server.close()
        dc, scheduler = order.get("dc", True), LoopScheduler()
        offer = msgspec.convert((OFFER if dc else OFFER_AC) | order.get("offer", {}), Offer)
        tls, pnc = station_of(Path(order["pki"])) if order.get("pki") else (None, None)
        if order.get("tls"):
            tls = SeccTls(**order["tls"])

        def opened(link: V2gLink) -> Any:
            outlet = Outlet(scheduler, link.command, Hardware(dc=dc, **QUICK), meter_id="METER1")
            seen: dict[str, Any] = {"most_ma": 0, "least_ma": 0}
            say(opened=list(link.peer), secured=link.secured.version if link.secured else "")

            def settled() -> None:
                outlet.stop()
                say(outlet="off" if not outlet.ma else "on", closed=outlet.closed, **seen)

            def event(one: Any) -> None:
                if isinstance(one, Requested):
                    seen["most_ma"], seen["least_ma"] = max(seen["most_ma"], one.ma), min(seen["least_ma"], one.ma)
                else:
                    told(one)
                outlet.event(one)
                if isinstance(one, AuthorizationAsked):
                    link.command(Authorize(accepted=True))
                if isinstance(one, CertificateAsked):
                    link.command(Certificate(exi=contract_for(one, order["pki"])))
                if isinstance(one, Ended | Paused):
                    scheduler.call_later(SETTLED_MS, settled)

            outlet.offering(offer)
            return event

        self.server = await run_secc(
            msgspec.convert(order["config"], SeccConfig), opened, interface=self.interface, tls=tls,
            tcp_port=0 if order.get("plain", True) else None, paused=self.paused,
            scheduler=slowed(scheduler, order.get("slow", 1)),
            pnc=pnc,
        )  # fmt: skip
        say(listens=[self.server.tcp_port, self.server.tls_port])

    async def close(self) -> None:
        if self.server is not None:
            await self.server.close()


class Car:
    """Comes, charges for a moment, and goes."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.kept: Any = None

    async def do(self, order: Any) -> None:
        dc = order.get("dc", True)
        habits = Habits(contacts_ms=20, look_ms=50, halt_when_full=False, discharge_ma=order.get("give_ma", 0))
        scheduler = LoopScheduler()
        seen = {"most_mw": 0, "least_mw": 0}

        def opened(link: V2gLink) -> Any:
            inside = Inside(Vehicle(BIDIRECTIONAL, 500), scheduler, link.command, dc=dc, habits=habits)
            inside.begin()
            gone: list[bool] = []
            ways = {
                "halt": inside.halt,
                "rest": lambda: link.command(Rest()),
                "vanish": lambda: link.close("the cable is cut"),
            }

            def leave() -> None:
                if not gone:
                    gone.append(True)
                    ways[order.get("then", "halt")]()

            def event(one: Any) -> None:
                if isinstance(one, Flowing):
                    mw = one.mw if one.mw is not None else one.mv * one.ma // 1000
                    if mw and not seen["most_mw"] and not seen["least_mw"]:
                        scheduler.call_later(int(order.get("charge_s", 0.2) * 1000), leave)
                    seen["most_mw"], seen["least_mw"] = max(seen["most_mw"], mw), min(seen["least_mw"], mw)
                elif not isinstance(one, Offered):
                    told(one)
                inside.event(one)
                if isinstance(one, ContactsAsked) and one.closed:
                    scheduler.call_later(int(order.get("most_s", 3) * 1000), leave)
                if isinstance(one, Parted):
                    inside.stop()

            return event

        tls, pnc = None, None
        if order.get("pki"):
            tls, pnc = vehicle_of(Path(order["pki"]), contract=order.get("contract", True))
        if order.get("tls"):
            tls = EvccTls(**order["tls"])
        try:
            link = await dial_secc(
                msgspec.convert(order["config"], EvccConfig), opened, interface=self.interface, tls=tls,
                security=order.get("security"), resume=self.kept if order.get("resume") else None,
                wireless=Wireless(evid="ZZPWRV00000001X") if order.get("wireless") else None,
                scheduler=slowed(scheduler, order.get("slow", 1)), pnc=pnc,
            )  # fmt: skip
        except PilotwireError as error:
            say(done=str(error), dialect=None)
            return
        why = await link.done
        self.kept = link.machine.kept
        say(
            done=why, dialect=link.machine.dialect, secured=link.secured.version if link.secured else "",
            station=link.peer[0], **seen,
        )  # fmt: skip

    async def close(self) -> None:
        """It holds nothing."""


async def main(end: str, interface: str) -> None:
    loop = asyncio.get_running_loop()
    served = Station(interface) if end == "station" else Car(interface)
    say(ready=end)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await served.do(json.loads(line))
    await served.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
