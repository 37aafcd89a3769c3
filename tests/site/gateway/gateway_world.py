"""A charger that goes on by itself, in simulated time; a gateway and its station that come and go; a scripted CSMS."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Literal

from tests.station.conftest import START, CsmsDouble

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.site.gateway.config import GatewayConfig
from pilotwire.site.ports import Abilities, EvseStatus, Told, Value
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.twin.gateway import GatewayStation, gateway_station

_UJ_PER_WH = 3_600_000_000


class Charger:
    """An `EvseDriver` over a box with a contactor: a car draws what it is offered, up to what it wants."""

    def __init__(self, scheduler: SimScheduler, abilities: Abilities | None = None) -> None:
        self.id = "bay-1"
        self.abilities = abilities or Abilities(watchdog_ms=60_000, failsafe=6_000)
        self.scheduler = scheduler
        self.online = True
        self.car_ma = 0
        """What the car wants per phase; 0 while it is full."""
        self.car_phases = 3
        self.plugged = False
        self.told_ma = 0
        self.ceiling_ma = 99_000
        """What the site's control loop allows."""
        self.card = ""
        self.fault = ""
        self.pilot: str | None = None
        self.ended = False
        self.session = ""
        self.names_sessions = True
        self.counts_session = True
        self.counts_energy = True
        self.frozen = False
        self.swapped: int | None = None
        """What the register shows for the next readings, whatever it counts."""
        self.register_uj = 1_000_000 * _UJ_PER_WH
        self.shown_wh = 1_000_000
        self.offers: list[tuple[int, int]] = []
        self.unlocks = self.restarts = True
        """What it can be told beside its set-point."""
        self.deaf = False
        """Set-points are taken and not followed."""
        self.locks = True
        """Its lock opens when it is told to."""
        self.told: list[tuple[str, int]] = []
        """What it was told beside its set-point, and mA at that moment."""
        self._session_uj = 0
        self._session_ms = 0
        self._since = int(scheduler.now())
        self._number = 0

    # the box
    @property
    def enabled_ma(self) -> int:
        return min(self.told_ma, self.ceiling_ma)

    @property
    def drawn_ma(self) -> int:
        return min(self.car_ma, self.enabled_ma) if self.plugged and self.enabled_ma >= 6_000 and not self.fault else 0

    def count(self) -> None:
        now = int(self.scheduler.now())
        energy = self.drawn_ma * 230 * self.car_phases * (now - self._since)
        self.register_uj += energy
        self._session_uj += energy
        self._since = now

    def plug(self, car_ma: int = 16_000, phases: int = 3) -> None:
        self.count()
        self.plugged, self.car_ma, self.car_phases, self.ended = True, car_ma, phases, False
        self._session_uj, self._session_ms = 0, int(self.scheduler.now())
        self._number += 1
        self.session = f"S{self._number}" if self.names_sessions else ""

    def unplug(self) -> None:
        self.count()
        self.plugged, self.card = False, ""

    def wants(self, ma: int) -> None:
        self.count()
        self.car_ma = ma

    # EvseDriver
    def status(self) -> EvseStatus:
        self.count()
        if not self.online:
            return EvseStatus()
        now = int(self.scheduler.now())
        ma = self.drawn_ma
        if not self.frozen:
            self.shown_wh = self.register_uj // _UJ_PER_WH
        points: dict[str, int] = {
            "power_mw": ma * 230 * self.car_phases,
            **{f"current_l{n}_ma": ma if n <= self.car_phases else 0 for n in (1, 2, 3)},
            **{f"voltage_l{n}_mv": 230_000 for n in (1, 2, 3)},
        }
        if self.counts_energy:
            points["energy_import_wh"] = self.shown_wh if self.swapped is None else self.swapped
        if self.counts_session:
            points["session_wh"] = self._session_uj // _UJ_PER_WH
            points["session_s"] = (now - self._session_ms) // 1000
        pilot: Any = self.pilot or ("E" if self.fault else "A" if not self.plugged else "C" if ma else "B")
        return EvseStatus(
            online=True, pilot=pilot, ended=self.ended, phases=3, id_token=self.card, session=self.session,
            offered=self.enabled_ma, fault=self.fault,
            points={name: Value(value, now) for name, value in points.items()},
        )  # fmt: skip

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        self.count()
        self.offers.append((int(self.scheduler.now()), value))
        if self.online and not self.deaf:
            self.told_ma = value
        done(Told(self.online, "" if self.online else "no answer"))

    def unlock(self, done: Callable[[Told], None]) -> None:
        self.told.append(("unlock", self.drawn_ma))
        self.scheduler.call_later(300, lambda: done(Told(self.locks, "" if self.locks else "exception 4")))

    def restart(self, done: Callable[[Told], None]) -> None:
        self.told.append(("restart", self.drawn_ma))
        self.count()
        self.online = False
        self.scheduler.call_later(300, lambda: done(Told(True)))
        self.scheduler.call_later(20_000, self.restarted)

    def restarted(self) -> None:
        self.count()
        self.online = True

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        done(Told(True))


class Gateway:
    """`run(seconds)`; `box.kill()` and `start()` again over the same storage."""

    def __init__(
        self, version: str = "1.6", *, abilities: Abilities | None = None, registers: str = "both",
        unlocks: bool = True, restarts: bool = True, **more: Any,
    ) -> None:  # fmt: skip
        self.scheduler = SimScheduler(START)
        self.network = MemoryNetwork(self.scheduler, latency_ms=10)
        self.csms = CsmsDouble(self.scheduler, version)
        self.network.serve(self.csms)
        self.storage = MemoryStorage()
        self.ids = SeededIds(1, self.scheduler.now)
        self.charger = Charger(self.scheduler, abilities)
        self.charger.unlocks, self.charger.restarts = unlocks, restarts
        self.charger.counts_energy = registers in ("both", "total")
        self.charger.counts_session = registers in ("both", "session")
        self.said: list[str] = []
        settings = {"sample_interval": "60", **more.pop("settings", {})}
        self.config = GatewayConfig(
            identity="GW-1", url="ws://csms/ocpp", version=version, evses=("bay-1",), settings=settings, **more  # type: ignore[arg-type]
        )  # fmt: skip
        self.box: GatewayStation = self.start()

    def start(self) -> GatewayStation:
        self.box = gateway_station(
            self.config, {"bay-1": self.charger}, self.scheduler,
            self.network.dialer("GW-1", user="GW-1", password=b"secret"), self.ids, Random(1), self.storage,
            told=self.said.append,
        )  # fmt: skip
        self.box.start()
        return self.box

    def kill(self) -> None:
        """SIGKILL: the storage is as the last write left it, whatever the dying program would still write."""
        kept = self.storage.load()
        self.box.kill()
        self.storage.write({**dict.fromkeys(self.storage.load()), **kept})

    def run(self, seconds: float) -> None:
        self.scheduler.run_for(int(seconds * 1000))

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return (int(self.scheduler.now()) - START) / 1000

    def offline(self) -> None:
        self.network.serve(None)
        for connection in list(self.network.connections.values()):
            connection.cut()

    def online(self) -> None:
        self.network.serve(self.csms)

    # what the CSMS has heard, in the words of both versions
    def sessions(self) -> list[dict[str, Any]]:
        """{begin, start, end, stop, token, reason} by session: seconds since the world began, Wh."""
        found: dict[Any, dict[str, Any]] = {}
        for said in self.csms.said:
            request = said.request
            if said.action == "StartTransaction":
                number = 7001 + len(found)
                found[number] = {"begin": _at(request.timestamp), "start": request.meter_start, "token": request.id_tag}
            elif said.action == "StopTransaction":
                found[request.transaction_id] |= {
                    "end": _at(request.timestamp), "stop": request.meter_stop, "reason": request.reason,
                }  # fmt: skip
            elif said.action == "TransactionEvent":
                row = found.setdefault(request.transaction_info.transaction_id, {})
                if request.event_type == "Started":
                    row |= {"begin": _at(request.timestamp), "start": _wh(request)}
                elif request.event_type == "Ended":
                    reason = request.transaction_info.stopped_reason
                    row |= {"end": _at(request.timestamp), "stop": _wh(request), "reason": reason}
                if request.id_token is not None:
                    row.setdefault("token", request.id_token.id_token)
        return list(found.values())

    def statuses(self) -> list[str]:
        rows = [each for each in self.csms.heard("StatusNotification") if getattr(each, "connector_id", 1) != 0]
        return [getattr(each, "status", None) or each.connector_status for each in rows]


def _at(moment: Any) -> float:
    return round(moment.timestamp() - START / 1000, 3)


def _wh(request: Any) -> int | None:
    for value in reversed(request.meter_value or []):
        for row in value.sampled_value:
            if row.measurand == "Energy.Active.Import.Register":
                return int(row.value)
    return None
