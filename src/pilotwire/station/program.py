"""The program of a charging station: what a `Station` is, does, and remembers.

    station = Station(config, scheduler, dialer, ids, random, storage)
    station.power_on()            boot, connect, take up what the storage holds
    station.plug(1, vehicle)      a car's cable goes into EVSE 1
    station.tap(1, "04A1B2C3")    somebody shows an RFID card there
    station.unplug(1)             returns the car
    station.leave(1)              it drives off
    station.power_off()           killed without goodbye; power_on() boots it again
    station.truth                 what really happened, session by session

Callback code: it runs live over an asyncio loop and in simulated time over `SimScheduler`, unchanged. Every entry (a
method below, a timer, a frame) ends with `_finish`: first everything that changed is stored in one write, then the next
message is sent. So a killed station knows at least what it has told.

How the versions say it is in `dialect_16` and `dialect_2`; what the CSMS may ask in `blocks`; sessions in
`transactions`; what flows, and when, in `energy` and `evse`; who is let in in `entrance` and `authorization`; the
states in `availability`; the talk in `conversation`; resets and updates in `maintenance`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.transport.port import Dialer

from .authorization import ACCEPTED, Authorizer
from .availability import Availability
from .blocks import table
from .certificates import Certificates, Dialing, Identity
from .clock import StationClock
from .config import StationConfig
from .contracts import Contracts
from .conversation import Conversation
from .costs import Costs
from .der import Der
from .displays import Displays
from .energy import Energy
from .entrance import Entrance
from .evse import Evse
from .grid import GridConnection
from .host import BootVerdict, Later, Reply
from .links import Links
from .maintenance import Maintenance
from .meter import Meter
from .meter_watch import MeterWatch
from .monitors import Monitors
from .networks import Dialers, Networks
from .outbox import Queued, TransactionQueue
from .parts import Part
from .payment import Payments
from .points import BAY, CONNECTED, SIGNED, Points
from .ports import Car, Files, Outlets, Terminal
from .publishing import Publishing
from .reservations import Reservations
from .security import Security
from .sessions import RFID, Session, Truth
from .settings import BY_NAME, Settings
from .signing import MeterSigning
from .smart_charging import SmartCharging
from .storage import StationStorage
from .streams import Streams
from .swap import SwapStation
from .tariffs import Tariffs
from .transactions import ALIVE, Transactions
from .v2x import V2x

_json = msgspec.json.encode

_TOKEN_LENGTH = {"1.6": 20, "2.0.1": 36, "2.1": 255}


class Station:
    """One charging station. See the head of this file."""

    __slots__ = (
        "_announced",
        "_changes",
        "_offline_since",
        "_on_password",
        "_outlets",
        "_powered",
        "_reboot_timer",
        "_storage",
        "authorizer",
        "availability",
        "boot_reason",
        "certificates",
        "clock",
        "config",
        "contracts",
        "conversation",
        "costs",
        "der",
        "dialect",
        "displays",
        "energy",
        "entrance",
        "evses",
        "features",
        "grid",
        "ids",
        "links",
        "maintenance",
        "messages",
        "meter_watch",
        "monitors",
        "networks",
        "outbox",
        "parts",
        "payment",
        "points",
        "publishing",
        "random",
        "reservations",
        "scheduler",
        "security",
        "settings",
        "signing",
        "smart_charging",
        "streams",
        "swap",
        "tariffs",
        "transactions",
        "v2x",
    )  # fmt: skip

    def __init__(
        self,
        config: StationConfig,
        scheduler: Scheduler,
        dialer: Dialer,
        ids: Ids,
        random: Random,
        storage: StationStorage,
        *,
        on_password: Callable[[str], None] | None = None,
        networks: Dialers | None = None,
        files: Files | None = None,
        terminal: Terminal | None = None,
        on_identity: Callable[[Identity], None] | None = None,
        truth_limit: int = 100_000,
        outlets: Outlets | None = None,
    ) -> None:
        """`dialer` knows where to connect and as whom. `on_password` is told a new password that the CSMS has set;
        whoever owns the dialer puts it there (1.6 AuthorizationKey as hexadecimal, 2.x BasicAuthPassword as text).
        `networks` makes dialers for the network connection profiles that the CSMS sets; without it, it can set none.
        `files` fetches, leaves and offers files; without it updates are played, logs go nowhere, and no firmware is
        published.
        `terminal` takes cards, where the configuration says that there is one.
        `on_identity` is told, before an attempt to connect, the security profile, certificate and roots to use.
        `truth_limit`: how many sessions `truth` remembers.
        `outlets`: the station stands for a real charger that measures by itself, and charges on while the station's
        program is not running (see `bridge`).
        """
        self.config = config
        self.features = config.features
        self.scheduler = scheduler
        self.ids = ids
        self.random = random
        self._storage = storage
        self._on_password = on_password
        self.clock = StationClock(scheduler, config.quirks)
        points = {"start_point": "EVConnected", "stop_point": "EVConnected"} if "swap" in self.features else {}
        if config.version == "1.6":
            points = {"ended": ""}  # StopTxnSampledData: nothing is repeated that MeterValues has told
        self.settings = Settings({**points, **config.settings} if points else config.settings, self._setting_changed)
        self.authorizer = Authorizer(self.settings, config.version)
        self.outbox = TransactionQueue(config.queue_limit)
        self.evses = tuple(
            Evse(number, evse, Meter(0, int(scheduler.now()))) for number, evse in enumerate(config.evses, 1)
        )
        self._outlets = outlets
        if outlets is not None:
            for evse in self.evses:
                evse.meter = outlets.meter(evse.id)
        self._changes: dict[str, bytes | None] = {}
        self._powered = False
        self._announced = False
        self._offline_since: int | None = None
        self._reboot_timer: Timer | None = None
        self.boot_reason = "PowerUp"
        version = ocpp.load(config.version)
        dialer = self.networks = Networks(self, dialer, networks)
        self.security = Security(self)
        self.certificates = Certificates(self, on_identity)
        dialer = Dialing(dialer, self.certificates.tell, self.certificates.dialed)
        self.conversation = Conversation(
            self, config, version, scheduler, dialer, ids, random, self.settings, self.outbox
        )
        self.contracts = Contracts(self)
        self.availability = Availability(self)
        self.points = Points(self)
        self.signing = MeterSigning(self)
        self.transactions = Transactions(self, truth_limit)
        self.smart_charging = SmartCharging(self)
        self.energy = Energy(self)
        self.grid = GridConnection(self)
        self.v2x = V2x(self)
        self.der = Der(self)
        self.entrance = Entrance(self)
        self.maintenance = Maintenance(self, files)
        self.reservations = Reservations(self)
        self.displays = Displays(self)
        self.monitors = Monitors(self)
        self.streams = Streams(self)
        self.swap = SwapStation(self)
        self.payment = Payments(self, terminal)
        self.tariffs = Tariffs(self)
        self.costs = Costs(self)
        self.meter_watch = MeterWatch(self)
        self.publishing = Publishing(self, files)
        self.links = Links(self)
        self.parts: tuple[Part, ...] = (
            self.security,
            self.certificates,
            self.contracts,
            self.availability,
            self.maintenance,
            self.reservations,
            self.displays,
            self.monitors,
            self.streams,
            self.swap,
            self.payment,
            self.costs,
            self.meter_watch,
            self.tariffs,
            self.smart_charging,
            self.v2x,
            self.der,
            self.networks,
            self.publishing,
            self.links,
        )
        if config.version == "1.6":
            from .dialect_16 import Dialect16

            self.dialect: Any = Dialect16(self)
        else:
            from .dialect_2 import Dialect2

            self.dialect = Dialect2(self, version)
        self.messages: Any = self.dialect.m
        """The message types of the station's version."""

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def powered(self) -> bool:
        return self._powered

    @property
    def truth(self) -> list[Truth]:
        """Every session, oldest first; open ones have no end."""
        return self.transactions.truth

    @property
    def real(self) -> bool:
        """It stands for a charger that goes on without it."""
        return self._outlets is not None

    @property
    def online(self) -> bool:
        """Connected and accepted by the CSMS."""
        return self._powered and self.conversation.online

    def power_on(self) -> None:
        """Boot: take up what the storage holds, end what a loss of power left open, connect."""
        self._stop_reboot()
        if self._powered:
            return
        self._powered = True
        self._announced = False
        now = int(self.scheduler.now())
        self.clock = StationClock(self.scheduler, self.config.quirks)
        stored = self._storage.load()
        self._restore(stored, now)
        for evse in self.evses:
            evse.reported = ""
            evse.phase = "Plugged" if evse.car is not None else "Idle"
            evse.session = None
            evse.pending = None
            evse.open()
        self._use_password()
        for part in self.parts:
            part.restore(stored)
        self.transactions.recover(stored)
        self.payment.recovered()
        self.energy.align()
        self.conversation.start()
        for evse in self.evses:
            if evse.car is not None and (evse.phase == "Plugged" or self.swap.active):
                self.entrance.autostart(evse)
            if evse.phase in ("Idle", "Plugged") and self.points.reached(evse, authorized=False):
                # What is there already when the power comes.
                connected = evse.car is not None and CONNECTED in self.points.start
                self._begin_alone(evse, "CablePluggedIn" if connected else "EVDetected")
        self._finish()

    def power_off(self) -> None:
        """The power is cut, or the process killed: no goodbye, and nothing more is stored than the meter's register
        and the time.

        Cars stay on their cables.
        """
        self._halt(None)

    def shut_down(self) -> None:
        """An orderly end of the program: the connection is closed with 1001; sessions are not ended."""
        self._halt(1001)

    def _halt(self, code: int | None) -> None:
        self._stop_reboot()
        if not self._powered:
            return
        now = int(self.scheduler.now())
        self.conversation.stop(code=code)
        for evse in self.evses:
            evse.settle(now)
            evse.open()
            self.store_meter(evse)
        self._changes[ALIVE] = str(now).encode()
        self.energy.stop()
        for part in self.parts:
            part.stop()
        self.entrance.forget()
        self._powered = False
        self.commit()

    def reboot(self, reason: str) -> None:
        """Restart now; `reason` is a 2.x BootReasonEnumType for the next BootNotification."""
        if self._outlets is not None:
            self._outlets.reset()
        self.store({"boot-reason": reason.encode()})
        self._halt(1001)
        self._reboot_timer = self.scheduler.call_later(self.config.reboot_ms, self.power_on)

    def stay_off(self) -> None:
        """The restart that is under way does not come: somebody has to go there."""
        self._stop_reboot()

    def _stop_reboot(self) -> None:
        if self._reboot_timer is not None:
            self._reboot_timer.cancel()
            self._reboot_timer = None

    def _restore(self, stored: dict[str, bytes], now: int) -> None:
        self.settings.restore(msgspec.json.decode(stored.get("settings", b"{}"), type=dict[str, str]))
        self.outbox.load(stored)
        self.authorizer.load(stored)
        self.boot_reason = stored.get("boot-reason", b"PowerUp").decode()
        self.dialect.load(stored)
        for evse in self.evses:
            if self._outlets is not None:
                continue
            supply = evse.meter.supply_mv
            evse.meter = Meter(
                int(stored.get(f"meter.{evse.id}", b"0")), now, int(stored.get(f"export.{evse.id}", b"0"))
            )
            evse.meter.supply_mv = supply
        self.transactions.restore(stored)

    # ── what people do ───────────────────────────────────────────────────────────────────────────────────────────

    def plug(self, evse_id: int, vehicle: Car) -> None:
        """A car's cable goes in. Raises LocalError when one is in already."""
        evse = self.evse(evse_id)
        if evse.car is not None:
            raise LocalError(f"EVSE {evse_id} of {self.config.identity} is taken")
        evse.settle(int(self.scheduler.now()))
        self.arrive(evse_id)
        evse.car = vehicle
        if not self._powered:
            return
        if evse.session is not None and self.config.version != "1.6":
            self.transactions.connected(evse, evse.session)
            self.entrance.autostart(evse)
        elif evse.session is not None:
            # 1.6 with StopTransactionOnEVSideDisconnect false: the cable is back, charging goes on.
            self.energy.refresh(evse)
        else:
            self.availability.advance(evse, "plug")
            pending = evse.pending
            if pending is not None and evse.available and not evse.fault:
                evse.pending = None
                self.transactions.start(evse, pending, pending.trigger or "CablePluggedIn")
            else:
                self.entrance.autostart(evse)
                if CONNECTED in self.points.start:
                    self._begin_alone(evse, "CablePluggedIn")
        self._finish()

    def arrive(self, evse_id: int) -> None:
        """Something drives into the parking bay of an EVSE."""
        evse = self.evse(evse_id)
        if evse.bay:
            return
        evse.bay = True
        if self._powered and evse.session is not None and self.config.version != "1.6":
            self.dialect.progressed(evse, evse.session, "EVDetected")
        elif self._powered and BAY in self.points.start:
            self._begin_alone(evse, "EVDetected")
        self.finish()

    def leave(self, evse_id: int) -> None:
        """The parking bay of an EVSE is empty again, and no cable is in a car there (E06.FR.01)."""
        evse = self.evse(evse_id)
        self.unplug(evse_id)
        if not evse.bay:
            return
        evse.bay = False
        if self._powered and evse.session is not None and self.config.version != "1.6":
            if BAY in self.points.stop or (evse.car is None and not evse.session.authorized):
                self.transactions.end(evse, "EVDisconnected", "EVDeparted")
            else:
                self.dialect.progressed(evse, evse.session, "EVDeparted")
        self.finish()

    def _begin_alone(self, evse: Evse, trigger: str) -> None:
        """A transaction begins although nobody has been let in yet (TxStartPoint; 2.x)."""
        if evse.session is None and evse.pending is None and evse.available and not evse.fault:
            self.transactions.start(evse, None, trigger)

    def end_by_car(self, evse_id: int) -> None:
        """The car ends the session (ISO 15118 SessionStopReq, Terminate; E15.FR.04, .05)."""
        evse = self.evse(evse_id)
        if self._powered and evse.session is not None and evse.session.authorized:
            self.transactions.release(evse, "StoppedByEV", "StopAuthorized")
            self._finish()

    def unplug(self, evse_id: int) -> Car | None:
        """The cable is pulled; returns the car. A running session ends (or is suspended, if it is set so)."""
        evse = self.evse(evse_id)
        now = int(self.scheduler.now())
        evse.settle(now)
        car, evse.car = evse.car, None
        if car is None:
            return None
        evse.open()
        if not self._powered:
            return car
        if evse.session is not None:
            if self.config.version == "1.6" and not self.settings.flag("stop_on_disconnect"):
                self.energy.refresh(evse)
                self._finish()
                return car
            self.transactions.parted(evse, evse.session)
        if not evse.locked_for:
            self.availability.advance(evse, "unplug")
        self.costs.unplugged(evse)
        self._finish()
        return car

    def tap(self, evse_id: int, token: str, token_type: str = RFID) -> None:
        """A token is presented: starts a session, ends the one that it started, or is turned away.

        Raises LocalError for one that the version cannot carry (1.6: 20 characters, 2.0.1: 36, 2.1: 255).
        """
        if not self.carries(token):
            raise LocalError(f"OCPP {self.config.version} cannot carry a token of {len(token)} characters")
        if not self._powered or self.entrance.wary(token_type):
            return
        evse = self.evse(evse_id)
        session = evse.session
        if session is not None and session.authorized and self._is_same(token, token_type, session):
            self.transactions.release(evse, "Local", "StopAuthorized", token=token, token_type=token_type)
        elif session is not None and session.authorized:
            self.entrance.stops(evse, session, token, token_type)
        elif evse.cable_left:
            if evse.locked_for == token.casefold():
                self.availability.unlock(evse)
        elif evse.fault or not evse.available or evse.pending is not None or self.payment.locked(evse):
            return
        else:
            self.entrance.authorize(
                token, token_type, lambda grant: self.entrance.presented(evse, token, token_type, grant)
            )
        self._finish()

    def _is_same(self, token: str, token_type: str, session: Session) -> bool:
        """The token that has begun the session is shown again."""
        key = self.authorizer.key
        return key(token, token_type) == key(session.token, session.token_type)

    def carries(self, token: str) -> bool:
        """Whether the version's messages can hold `token`."""
        return 1 <= len(token) <= _TOKEN_LENGTH[self.config.version]

    def touch(self, evse_id: int) -> None:
        """Something about the car changed by itself (a timer in it): look again."""
        if self._powered:
            self.energy.refresh(self.evse(evse_id))
            self._finish()

    def mute_meter(self, evse_id: int) -> None:
        """The meter of an EVSE signs its values no more (E06.FR.05)."""
        evse = self.evse(evse_id)
        self.signing.fail(evse)
        if self._powered and evse.session is not None and SIGNED in self.points.stop:
            self.transactions.end(evse, "Other", "AbnormalCondition")
            self._finish()

    def break_down(self, evse_id: int, error_code: str = "OtherError") -> None:
        """A hardware fault (1.6 ChargePointErrorCode); a running session ends."""
        evse = self.evse(evse_id)
        evse.fault = error_code
        if not self._powered:
            return
        if evse.session is not None:
            self.transactions.end(evse, "Other", "AbnormalCondition")
        self.reservations.evse_lost()
        self.availability.report_all()
        self._finish()

    def repair(self, evse_id: int) -> None:
        """The fault is over."""
        evse = self.evse(evse_id)
        evse.fault = ""
        if self._powered:
            self.availability.report_all()
            self._finish()

    def evse(self, evse_id: int) -> Evse:
        """Raises LocalError where there is none."""
        if not 1 <= evse_id <= len(self.evses):
            raise LocalError(f"{self.config.identity} has no EVSE {evse_id}")
        return self.evses[evse_id - 1]

    def unlock(self, evse: Evse, done: Callable[[bool], None]) -> None:
        """The CSMS wants the plug to be free; `done` says, once, whether it is."""

        def tried(free: bool) -> None:
            if free:
                self.availability.unlock(evse)
            done(free)

        if self._outlets is None:
            tried(True)
        else:
            self._outlets.unlock(evse.id, tried)

    @property
    def restarts(self) -> bool:
        """A reset restarts the hardware, not this program alone."""
        return self._outlets is None or self._outlets.restarts

    # ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def takes_passwords(self) -> bool:
        """Somebody hands a new password to the dialer."""
        return self._on_password is not None

    def _use_password(self) -> None:
        password = self.settings.text("password")
        if password and self._on_password is not None:
            self._on_password(password)

    def _setting_changed(self, name: str) -> None:
        if name == "password":
            self._use_password()
        self._changes["settings"] = _json(dict(self.settings.overrides))
        if name == "heartbeat_interval":
            self.conversation.heartbeat_interval_changed()
        elif name == "ping_interval":
            self.conversation.ping_interval_changed()
        elif name in ("aligned_interval", "aligned_ended_interval"):
            self.energy.align()
        elif name in ("sample_interval", "ended_interval"):
            now = int(self.scheduler.now())
            for evse in self.evses:
                if evse.session is not None:
                    self.transactions.plan_samples(evse.session, now)
                    self.energy.refresh(evse)
        for part in self.parts:
            part.setting_changed(name)

    # ── Host: what the conversation asks ─────────────────────────────────────────────────────────────────────────

    def boot_request(self, triggered: bool) -> msgspec.Struct:
        return self.dialect.boot_request("Triggered" if triggered else self.boot_reason)

    def boot_verdict(self, response: Any) -> BootVerdict:
        verdict: BootVerdict = self.dialect.boot_verdict(response)
        self._set_clock(verdict.current_time)
        if verdict.status == ACCEPTED:
            if verdict.interval_s > 0:
                self.settings.put(BY_NAME["heartbeat_interval"], str(verdict.interval_s))
            self.boot_reason = "PowerUp"
            self._changes["boot-reason"] = None
        return verdict

    def heartbeat_answered(self, response: Any) -> None:
        self._set_clock(self.dialect.current_time(response))

    def _set_clock(self, current_time: int) -> None:
        if self.clock.set(current_time):
            self.energy.align()
            for part in self.parts:
                part.clock_moved()
            for evse in self.evses:
                if evse.session is not None:
                    self.energy.refresh(evse)

    def accepted(self, *, booted: bool) -> None:
        now = int(self.scheduler.now())
        threshold = self.settings.number("offline_threshold") * 1000
        back = self._offline_since is not None and not booted
        long_away = self._offline_since is not None and now - self._offline_since > threshold
        self._offline_since = None
        if booted or not self._announced or long_away:
            self._announced = True
            self.dialect.report_station()
            for evse in self.evses:
                evse.reported = ""
        self.availability.report_all(back=back)
        for part in self.parts:
            part.accepted(booted=booted)

    def offline(self) -> None:
        if self._offline_since is None:
            self._offline_since = int(self.scheduler.now())
            self.outbox.went_offline(self._changes)
            for part in self.parts:
                part.offline()

    def serve(self, action: str, request: Any) -> Reply | Later:
        return table.serve(self, action, request)

    def prepare(self, entry: Queued) -> msgspec.Struct:
        return self.dialect.prepare(entry)

    def delivered(self, entry: Queued, response: Any, changes: dict[str, bytes | None]) -> None:
        self.store(changes)
        self.dialect.delivered(entry, response)
        self._forget_if_done(entry)

    def given_up(self, entry: Queued, changes: dict[str, bytes | None]) -> None:
        self.store(changes)
        self.dialect.given_up(entry)
        self._forget_if_done(entry)

    def _forget_if_done(self, entry: Queued) -> None:
        if self.transactions.of_key(entry.session) is None and not self.outbox.any(
            lambda e: e.session == entry.session
        ):
            self.dialect.forget(entry.session)

    # ── storage ──────────────────────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, evse: Evse, session: Session, action: str, payload: bytes, *, periodic: bool = False) -> None:
        """A transaction message: into the outbox, together with the state that it tells of."""
        self.outbox.push(
            self._changes,
            action=action,
            session=session.key,
            payload=payload,
            periodic=periodic,
            offline=not self.online,
        )
        if not session.ending:
            self.store_session(session)
        self.store_meter(evse)

    def tell_durably(self, action: str, key: str, request: msgspec.Struct) -> None:
        """What must not be lost although it is no transaction message; 2.x. `key` says what it belongs to."""
        self.outbox.push(
            self._changes, action=action, session=key, payload=self.dialect.encode(request), periodic=False
        )

    def store(self, changes: dict[str, bytes | None]) -> None:
        self._changes.update(changes)

    def store_session(self, session: Session) -> None:
        if not session.ending:
            self._changes[ALIVE] = str(int(self.scheduler.now())).encode()
            self._changes[f"session.{session.evse}"] = _json(session)

    def store_meter(self, evse: Evse) -> None:
        self._changes[f"meter.{evse.id}"] = str(evse.meter.energy_uj).encode()
        if evse.meter.export_uj:
            self._changes[f"export.{evse.id}"] = str(evse.meter.export_uj).encode()

    def commit(self) -> None:
        self.monitors.look()
        if self.authorizer.dirty:
            self.authorizer.save(self._changes)
        if self._changes:
            changes, self._changes = self._changes, {}
            self._storage.write(changes)

    def _finish(self) -> None:
        """The end of every entry: store, then speak."""
        self.commit()
        self.conversation.pump()

    def finish(self) -> None:
        """For what acts on the station from its timers (`maintenance`)."""
        if self._powered:
            self._finish()
