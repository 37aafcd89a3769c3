"""A whole ISO 15118-2 DC session, both ends in one process, and many stations answering CurrentDemand on one core.

    python -m bench.v2g_sessions [--stations 500] [--seconds 10] [--rounds 20]

Goals: a session under 50 ms of CPU; 500 stations, each asked every 250 ms, the slowest answer within 100 ms.
"""

from __future__ import annotations

import argparse
import time
from random import Random
from typing import Any, NamedTuple

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Flowing, Halt
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Contactor,
    ContactorAsked,
    Ended,
    Isolation,
    IsolationAsked,
    Measured,
    Offer,
    Requested,
)
from pilotwire.core.machines import Send
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.iso2.evcc import Iso2Evcc
from pilotwire.protocols.iso15118.iso2.secc import Iso2Secc
from pilotwire.protocols.iso15118.v2gtp import SAP, Frame

OFFER = Offer(max_mv=920_000, min_mv=150_000, max_ma=250_000, max_mw=150_000_000)
DEMANDS = 16
"""CurrentDemands of the session: 30 exchanges in all."""


class Session(NamedTuple):
    """ms of CPU and exchanges of a session."""

    cpu_ms: float
    exchanges: int


class Loop(NamedTuple):
    """What many stations on one core do: µs of CPU per answer, share of the core, ms until an answer."""

    cpu_us: float
    busy: float
    p50_ms: float
    p99_ms: float
    worst_ms: float


def _answer(event: Any, tell: Any) -> None:
    """A station whose hardware is done at once."""
    kind = type(event)
    if kind is AuthorizationAsked:
        tell(Authorize(accepted=True))
    elif kind is IsolationAsked:
        tell(Isolation("valid"))
    elif kind is ContactorAsked:
        tell(Contactor(event.closed))
    elif kind is Requested:
        tell(Measured(mv=event.mv, ma=event.ma, energy_wh=1_234, meter_id="METER-1"))


def session(seed: int = 1) -> Session:
    """From SessionSetup to SessionStop in simulated time, what the CPU did for both ends."""
    scheduler, random = SimScheduler(), Random(seed)
    secc = Iso2Secc(SeccConfig(), "iso2", random=random.randbytes, tls=False, paused={})
    evcc = Iso2Evcc(EvccConfig(), "iso2", random=random.randbytes, tls=False)
    counts = {"answers": 0, "demands": 0}
    ended: list[Ended] = []

    def of_station(event: Any) -> None:
        _answer(event, station.command)
        if type(event) is Ended:
            ended.append(event)

    def of_car(event: Any) -> None:
        if type(event) is ContactsAsked:
            car.command(Contacts(event.closed))
        elif type(event) is Flowing and event.ma:
            counts["demands"] += 1
            if counts["demands"] == DEMANDS:
                car.command(Halt())

    def to_car(frame: Frame) -> None:
        counts["answers"] += 1
        scheduler.call_later(0, lambda: car.received(frame))

    station = Runner(secc, scheduler, send=to_car, event=of_station)
    car = Runner(
        evcc, scheduler, event=of_car, send=lambda frame: scheduler.call_later(0, lambda: station.received(frame))
    )
    begun = time.process_time()
    station.command(OFFER)
    car.command(Drive(target_ma=125_000))
    car.start()
    scheduler.run_for(60_000)
    took = time.process_time() - begun
    if [one.ok for one in ended] != [True]:
        raise RuntimeError(f"the session did not end in order: {ended}")
    return Session(took * 1_000, counts["answers"])


class _Station:
    """A station in the charging loop, and what its vehicle sends."""

    def __init__(self, seed: int) -> None:
        self.secc = Iso2Secc(SeccConfig(), "iso2", random=Random(seed).randbytes, tls=False, paused={})
        self.session = bytes(8)
        self._now = 0
        self._tell(OFFER)
        status = {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 55}
        most = {
            "EVMaximumCurrentLimit": _physical(2_000, "A"),
            "EVMaximumVoltageLimit": _physical(4_500, "V"),
        }
        for name, body in (
            ("SessionSetupReq", {"EVCCID": b"\x02\0\0\0\0\x01"}),
            ("ServiceDiscoveryReq", {}),
            (
                "PaymentServiceSelectionReq",
                {
                    "SelectedPaymentOption": "ExternalPayment",
                    "SelectedServiceList": {"SelectedService": [{"ServiceID": 1}]},
                },
            ),
            ("AuthorizationReq", {}),
            ("AuthorizationReq", {}),
            (
                "ChargeParameterDiscoveryReq",
                {
                    "RequestedEnergyTransferMode": "DC_extended",
                    "DC_EVChargeParameter": {"DC_EVStatus": status, **most},
                },
            ),
            ("CableCheckReq", {"DC_EVStatus": status}),
            ("CableCheckReq", {"DC_EVStatus": status}),
            (
                "PreChargeReq",
                {
                    "DC_EVStatus": status,
                    "EVTargetVoltage": _physical(4_000, "V"),
                    "EVTargetCurrent": _physical(20, "A"),
                },
            ),
            ("PowerDeliveryReq", {"ChargeProgress": "Start", "SAScheduleTupleID": 1}),
        ):
            self.ask(Frame(SAP, self._encode(name, body)))
        self.demand = Frame(
            SAP,
            self._encode(
                "CurrentDemandReq",
                {
                    "DC_EVStatus": status,
                    "EVTargetCurrent": _physical(1_000, "A"),
                    "EVMaximumPowerLimit": {"Multiplier": 1, "Unit": "W", "Value": 10_000},
                    **most,
                    "BulkChargingComplete": False,
                    "ChargingComplete": False,
                    "RemainingTimeToFullSoC": {"Multiplier": 0, "Unit": "s", "Value": 1_200},
                    "RemainingTimeToBulkSoC": {"Multiplier": 0, "Unit": "s", "Value": 800},
                    "EVTargetVoltage": _physical(4_000, "V"),
                },
            ),
        )

    def _encode(self, name: str, body: dict[str, Any]) -> bytes:
        message = {"V2G_Message": {"Header": {"SessionID": self.session}, "Body": {name: body}}}
        return exi.encode("iso2", message)

    def _tell(self, command: Any) -> None:
        for effect in self.secc.command(command, self._now):
            _answer(effect, self._tell)

    def ask(self, frame: Frame) -> Frame:
        """The answer to a request; what the hardware has to do is done."""
        found: Frame | None = None
        for effect in self.secc.receive(frame, self._now):
            if type(effect) is Send:
                found = effect.data
            else:
                _answer(effect, self._tell)
        if found is None:
            raise RuntimeError(f"no answer in {self.secc.state}")
        self.session = self.secc.session_id
        return found


def _physical(value: int, unit: str) -> dict[str, Any]:
    return {"Multiplier": -1, "Unit": unit, "Value": value}


def loop(stations: int, seconds: float, period: float = 0.25) -> Loop:
    """`stations` in the loop, asked each `period` s in real time, spread evenly over it."""
    all_ = [_Station(seed) for seed in range(stations)]
    waits: list[float] = []
    used = 0.0
    begun = time.perf_counter()
    due = [(begun + period * place / stations, station) for place, station in enumerate(all_)]
    while due[0][0] < begun + seconds:
        again: list[tuple[float, _Station]] = []
        for at, station in due:
            ahead = at - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            cpu = time.thread_time()
            answer = station.ask(station.demand)
            used += time.thread_time() - cpu
            waits.append(time.perf_counter() - at)
            if not answer.payload:
                raise RuntimeError("an empty answer")
            again.append((at + period, station))
        due = again
    waits.sort()
    count = len(waits)
    return Loop(
        used / count * 1e6, used / seconds, waits[count // 2] * 1e3, waits[count * 99 // 100] * 1e3, waits[-1] * 1e3
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    session()
    found = sorted(session(seed) for seed in range(options.rounds))
    middle = found[len(found) // 2]
    print(f"session: {middle.cpu_ms:.1f} ms of CPU for {middle.exchanges} exchanges, both ends (goal: under 50)")
    seen = loop(options.stations, options.seconds)
    print(
        f"{options.stations} stations, a CurrentDemand each 250 ms: {seen.cpu_us:.0f} µs of CPU an answer, "
        f"{100 * seen.busy:.0f} % of a core; answered within {seen.p50_ms:.2f} ms (median), "
        f"{seen.p99_ms:.2f} ms (p99), {seen.worst_ms:.2f} ms (slowest; goal: 100)"
    )


if __name__ == "__main__":
    main()
