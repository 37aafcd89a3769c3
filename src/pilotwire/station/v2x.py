"""Bidirectional power transfer (2.1 Q): what car and station agree on, and the power that follows from profiles.

A car that speaks ISO 15118-20 is asked over which service energy flows: charging only, or both ways where the CSMS
allows it (AuthorizeResponse, NotifyAllowedEnergyTransfer). What it says of its needs goes to the CSMS. From then on the
set-point is followed: the one of the profile, an external system's, or one that the station works out of frequency,
signal or the load of the building.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import CHARGING_ONLY, EXTERNAL_SETPOINT, Interval, Limits
from pilotwire.domain.v2x import Thresholds, balanced, local_frequency, residual
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .parts import Part
from .ports import Planner
from .sessions import Sampled

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

PROTOCOL = "urn:iso:std:iso:15118:-20:AC,1,0"
PROTOCOL_DC = "urn:iso:std:iso:15118:-20:DC,1,0"
_BOTH_WAYS = ("AC_BPT_DER", "AC_BPT", "DC_BPT", "DC_ACDP_BPT")
_SIGNALS = 100
_KEY = "afrr"


class Connected(NamedTuple):
    """The component ConnectedEV of one EVSE."""

    available: bool = False
    vehicle: str = ""
    protocol: str = ""


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """An AFRRSignal: from `at` (station clock, ms) on."""

    at: int
    value: int


_decoder = msgspec.json.Decoder(list[Signal])


class _Talk:
    """What car and station have agreed in one session."""

    __slots__ = ("allowed", "answered", "asked", "transfer")

    def __init__(self, allowed: tuple[str, ...] | None, transfer: str) -> None:
        self.allowed = allowed
        """allowedEnergyTransfer; None: the CSMS has not said."""
        self.asked = transfer
        """requestedEnergyTransfer of the last NotifyEVChargingNeeds."""
        self.transfer = ""
        """What the CSMS has agreed to."""
        self.answered = False


class V2x(Part):
    """Everything of one station that energy in both directions needs."""

    __slots__ = ("_granted", "_mhz", "_modes", "_setpoints", "_signals", "_sleeping", "_talks")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._talks: dict[str, _Talk] = {}
        """By session."""
        self._granted: dict[str, tuple[str, ...]] = {}
        """Token → allowedEnergyTransfer of its last AuthorizeResponse."""
        self._modes: dict[int, str] = {}
        """EVSE → operationMode at present."""
        self._sleeping: set[int] = set()
        self._setpoints: dict[int, int] = {}
        self._mhz: dict[int, int] = {}
        """EVSE → the frequency that its set-point was worked out for."""
        self._signals: list[Signal] = []

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._signals = _decoder.decode(stored.get(_KEY, b"[]"))
        for known in (self._talks, self._granted, self._modes, self._setpoints, self._mhz):
            known.clear()
        self._sleeping.clear()

    def session_began(self, session: Session) -> None:
        if not self.enabled:
            return
        evse = self._station.evses[session.evse - 1]
        if not self.speaks(evse) or evse.car is None or not evse.car.told or session.key in self._talks:
            return
        talk = _Talk(self._granted.get(session.token), "")
        talk.asked = self._choice(evse, talk.allowed)
        self._talks[session.key] = talk
        self._tell_needs(session, talk)

    def session_ended(self, session: Session) -> None:
        self._talks.pop(session.key, None)
        self._granted.pop(session.token, None)
        for known in (self._modes, self._setpoints, self._mhz):
            known.pop(session.evse, None)
        self._sleeping.discard(session.evse)

    # ── who can what ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def enabled(self) -> bool:
        """Energy may flow both ways here (V2XChargingCtrlr.Enabled, ISO15118Ctrlr.Enabled)."""
        station = self._station
        return (
            "v2x" in station.features
            and station.settings.flag("v2x_enabled")
            and station.settings.flag("iso15118_enabled")
        )

    def speaks(self, evse: Evse) -> bool:
        """The car there talks with the station by ISO 15118-20, or by CHAdeMO and can give energy back."""
        linked = self._station.links.car(evse)
        return evse.car is not None and (bool(evse.car.evccid) or (linked is not None and linked.gives_by_chademo))

    def connected(self, evse: Evse) -> Connected:
        """ConnectedEV of `evse` (Q01.FR.36)."""
        linked = self._station.links.car(evse)
        if linked is not None:
            return Connected(True, linked.name, linked.protocol)
        if evse.car is None or not self.speaks(evse):
            return Connected(evse.car is not None)
        return Connected(True, evse.car.evccid, PROTOCOL_DC if evse.config.dc else PROTOCOL)

    def setpoint(self, evse: Evse) -> int | None:
        """What is to flow there (mW, negative from the car); None: what the car likes."""
        return self._setpoints.get(evse.id)

    def evccid(self, evse: Evse) -> str:
        """To be sent with the token of a session's begin (Q01.FR.02); empty: no such session."""
        return evse.car.evccid if self.enabled and evse.car is not None else ""

    def transfers(self, evse: Evse | None = None) -> tuple[str, ...]:
        """EnergyTransferModeEnumTypes of `evse` with the car there, or of the station."""
        found: list[str] = []
        for each in self._station.evses if evse is None else (evse,):
            config = each.config
            if config.dc:
                plain = "DC_ACDP" if config.connector_type == "Pan" else "DC"
            elif config.contactless:
                plain = "WPT"
            else:
                plain = ("AC_single_phase", "AC_two_phase", "AC_three_phase")[config.phases - 1]
            found.append(plain)
            gives = evse is None or (each.car is not None and each.car.most_given(dc=config.dc) > 0)
            if config.bidirectional and gives:
                found.append(f"{plain}_BPT" if config.dc else "AC_BPT")
                if not config.dc and self._station.der.active:
                    found.append("AC_BPT_DER")
        return tuple(dict.fromkeys(found))

    def _choice(self, evse: Evse, allowed: tuple[str, ...] | None) -> str:
        """Both ways where that is allowed, else what needs no permission (Q01.FR.09, Q02.FR.04)."""
        can = self.transfers(evse)
        both = [each for each in _BOTH_WAYS if each in can and each in (allowed or ())]
        if both:
            return both[0]
        return next((each for each in can if each in (allowed or can)), can[0])

    def both_ways(self, evse: Evse) -> bool:
        """Energy may come back from the car there."""
        talk = self._talks.get(evse.session.key) if evse.session is not None else None
        return talk is not None and talk.transfer in _BOTH_WAYS and self.enabled

    # ── agreement ────────────────────────────────────────────────────────────────────────────────────────────────

    def granted(self, token: str, allowed: list[str] | None) -> None:
        """An AuthorizeResponse has said which transfers `token` may have."""
        self._granted.pop(token, None)
        if allowed:
            self._granted[token] = tuple(allowed)

    def knows(self, transaction: str) -> bool:
        """A session of that id runs whose car can be asked."""
        return transaction in self._talks

    def allow(self, transaction: str, allowed: list[str]) -> None:
        """NotifyAllowedEnergyTransfer: the service is negotiated anew (Q02.FR.06, .07)."""
        talk = self._talks.get(transaction)
        session = self._station.transactions.of_key(transaction)
        if talk is None or session is None:
            return
        talk.allowed = tuple(allowed)
        talk.asked = self._choice(self._station.evses[session.evse - 1], talk.allowed)
        self._tell_needs(session, talk)

    def agreed(self, transaction: str) -> str:
        """The EnergyTransferModeEnumType of a session; empty: none yet."""
        talk = self._talks.get(transaction)
        return "" if talk is None else talk.transfer

    def _tell_needs(self, session: Session, talk: _Talk) -> None:
        station = self._station
        m = station.messages
        evse = station.evses[session.evse - 1]
        car = evse.car
        if car is None:
            return
        config = evse.config
        most = min(config.max_discharge_w * 1000, car.most_given(dc=config.dc)) // 1000
        parameters = m.V2XChargingParametersType(
            max_charge_power=Decimal(evse.max_mw // 1000),
            min_charge_power=Decimal(0),
            max_discharge_power=Decimal(most),
            min_discharge_power=Decimal(0),
        )
        if config.dc:
            parameters.max_charge_current = Decimal(config.max_ma // 1000)
            parameters.max_voltage = Decimal(config.max_mv // 1000)
        # In place of those for AC and DC, which are of ISO 15118-2 (K18.FR.06, K19.FR.06).
        fields: dict[str, Any] = {"v2x_charging_parameters": parameters}
        more: dict[str, Any] = {} if station.online else {"timestamp": station.clock.wall()}
        scheduled = isinstance(car, Planner) and car.scheduled
        if isinstance(car, Planner):
            parameters.ev_target_energy_request = Decimal(car.energy_wh)
            if car.departure is not None:
                fields["departure_time"] = to_datetime(car.departure)
            if car.tuples is not None:
                more["max_schedule_tuples"] = car.tuples
        if talk.asked == "AC_BPT_DER":
            # R02.FR.01: what the inverter in the car is able to do, within what the EVSE allows.
            fields["der_charging_parameters"] = m.DERChargingParametersType(
                ev_supported_der_control=list(station.config.der_controls),
                max_apparent_power=Decimal(max(most, evse.max_mw // 1000)),
                max_charge_apparent_power=Decimal(evse.max_mw // 1000),
                max_discharge_apparent_power=Decimal(most),
                nominal_voltage=Decimal(230),
            )
        asked = talk.asked
        station.conversation.call(
            "NotifyEVChargingNeeds",
            m.NotifyEVChargingNeedsRequest(
                evse_id=evse.id,
                charging_needs=m.ChargingNeedsType(
                    requested_energy_transfer=asked,
                    available_energy_transfer=list(self.transfers(evse)),
                    control_mode="ScheduledControl" if scheduled else "DynamicControl",
                    mobility_needs_mode="EVCC",
                    **fields,
                ),
                **more,
            ),
            lambda response, error: self._answered(session, asked, response, error),
            keep=True,
        )
        if scheduled and not station.online:
            station.smart_charging.planning.alone(session.key)  # K18.FR.15

    def tell_again(self, transaction: str) -> bool:
        """The vehicle needs something else by now (K20); False: it has not told its needs this way."""
        talk = self._talks.get(transaction)
        session = self._station.transactions.of_key(transaction)
        if talk is None or session is None:
            return False
        self._tell_needs(session, talk)
        return True

    def _answered(self, session: Session, asked: str, response: Any, error: RpcError | None) -> None:
        station = self._station
        talk = self._talks.get(session.key)
        if talk is None or talk.asked != asked:
            return
        if response is None:
            # K15.FR.15: nobody has agreed, so it is charging by the default profile.
            station.smart_charging.planning.alone(session.key)
            return
        if response.status == "Rejected":
            evse = station.evses[session.evse - 1]
            rest = tuple(each for each in self.transfers(evse) if each != asked)
            if asked in _BOTH_WAYS and rest and station.settings.flag("renegotiation"):
                talk.allowed = rest
                talk.asked = self._choice(evse, rest)
                self._tell_needs(session, talk)  # Q01.FR.05
            else:
                # Q01.FR.06
                station.transactions.stop(session.key, "ReqEnergyTransferRejected", "AbnormalCondition")
            return
        talk.transfer = asked
        car = station.evses[session.evse - 1].car
        scheduled = isinstance(car, Planner) and car.scheduled
        station.smart_charging.planning.tell(session.key, dynamic=not scheduled)
        if response.status == "NoChargingProfile":
            station.smart_charging.planning.alone(session.key)  # K18.FR.04, .15, K19.FR.04, .11
        station.energy.refresh(station.evses[session.evse - 1])

    # ── the signal of the grid's operator ────────────────────────────────────────────────────────────────────────

    def hears_signals(self) -> bool:
        """A period of LocalFrequency with a signal curve is followed somewhere (Q08.FR.11)."""
        station = self._station
        for evse in station.evses:
            if evse.session is not None and self.both_ways(evse):
                rich = station.energy.limit(evse).rich
                if rich is not None and rich.mode == "LocalFrequency" and rich.signal_watt:
                    return True
        return False

    def signal(self, at: int, value: int) -> None:
        """From `at` (station clock, ms) on."""
        now = self._station.clock.now()
        rows = sorted([each for each in self._signals if each.at != at] + [Signal(at, value)], key=lambda each: each.at)
        past = [each for each in rows if each.at <= now][-1:]
        self._signals = (past + [each for each in rows if each.at > now])[:_SIGNALS]
        self._station.store({_KEY: msgspec.json.encode(self._signals)})
        self.refresh()

    def refresh(self) -> None:
        """Work all set-points out anew."""
        for evse in self._station.evses:
            if evse.session is not None and not evse.session.ending:
                self._station.energy.refresh(evse)

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────

    def drive(self, evse: Evse, limit: Limits) -> tuple[bool | None, int | None]:
        """Let flow what `limit` and all else ask for: (`Evse.drive`, when to look again by true time)."""
        station = self._station
        rich = limit.rich
        mode = CHARGING_ONLY if rich is None else rich.mode
        sleeps = rich is not None and mode == "Idle" and rich.sleep and station.settings.flag("sleep_supported")
        self._mode(evse, mode, sleeping=sleeps)  # Q10.FR.05
        both = self.both_ways(evse)
        if not both and not station.der.active:
            return evse.drive(limit), None
        high = evse.max_mw if limit.mw is None else min(limit.mw, evse.max_mw)
        if limit.ma is not None and not evse.config.dc:
            high = min(high, limit.ma * 230 * min(evse.config.phases, limit.phases or evse.config.phases))
        low = 0
        if both and evse.car is not None:
            low = -min(evse.config.max_discharge_w * 1000, evse.car.most_given(dc=evse.config.dc))
            least = self._lowest(rich)
            if least is not None:
                low = max(low, least)
        wanted, until = self._wanted(evse, rich, mode) if both else (None, None)
        if wanted is None:
            self._setpoints.pop(evse.id, None)
        else:
            wanted = self._setpoints[evse.id] = max(low, min(high, wanted))
        reactive = None if rich is None else _sum(rich.reactive, rich.reactive_l2, rich.reactive_l3)
        power, again = station.der.apply(evse, high if wanted is None else wanted, low, high, reactive)
        if again is not None:
            until = again if until is None else min(until, again)
        if power < 0:
            flows = evse.feed(-power)
        elif power < high:
            flows = evse.drive(limit.lowest(Limits(mw=power)), fine=both)
        else:
            flows = evse.drive(limit, fine=both)
        station.der.flowing(evse)
        return flows, until

    def _wanted(self, evse: Evse, rich: Interval | None, mode: str) -> tuple[int | None, int | None]:
        """(set-point, when it may be another by itself in true time); None: what the car likes."""
        station = self._station
        if rich is None:
            return None, None
        if mode == "Idle":
            return 0, None
        if mode == "LocalFrequency":
            mhz = station.grid.now.mhz
            used = self._mhz.get(evse.id)
            if used is not None and abs(mhz - used) < station.settings.number("frequency_threshold"):
                mhz = used  # Q08.FR.07
            self._mhz[evse.id] = mhz
            now = station.clock.now()
            signal = next((each.value for each in reversed(self._signals) if each.at <= now), None)
            later = next((each.at for each in self._signals if each.at > now), None)
            wanted = local_frequency(rich.baseline or 0, rich.freq_watt, mhz, rich.signal_watt, signal)
            return wanted, None if later is None else station.clock.true(later)
        if mode == "LocalLoadBalancing":
            thresholds = self.thresholds()
            if thresholds is None:
                return None, None
            load = station.grid.upstream_mw(without=evse.id) + evse.meter.power_mw
            # What flows is the set-point as far as it was followed, so that a car that cannot is not wound up.
            return balanced(evse.meter.power_mw, load, thresholds), None
        if rich.setpoint is None:
            return None, None
        return self.asked(rich), None

    # ── what is for the whole station ────────────────────────────────────────────────────────────────────────────

    def asked(self, rich: Interval) -> int:
        """The set-point of a period for one EVSE: of one for the whole station its part (Q06.FR.31)."""
        asked = _sum(rich.setpoint, rich.setpoint_l2, rich.setpoint_l3) or 0
        if rich.mode != EXTERNAL_SETPOINT:
            return asked
        whole = self._whole()
        if whole is None or _sum(whole.setpoint, whole.setpoint_l2, whole.setpoint_l3) != asked:
            return asked
        return _part(asked, self._parties(back=asked < 0))

    def _lowest(self, rich: Interval | None) -> int | None:
        """How far an EVSE may discharge by all profiles, of what is for the whole station its part (Q06.FR.30)."""
        own = None if rich is None else _sum(rich.discharge, rich.discharge_l2, rich.discharge_l3)
        whole = self._whole()
        common = None if whole is None else _sum(whole.discharge, whole.discharge_l2, whole.discharge_l3)
        if common is None:
            return own
        part = _part(common, self._parties(back=True))
        return part if own is None else max(own, part)

    def _whole(self) -> Interval | None:
        """What binds all EVSEs together, where it is more than a limit."""
        smart = self._station.smart_charging
        return smart.station_limits(self._station.clock.now()).rich if smart.bound_together else None

    def _parties(self, *, back: bool) -> int:
        """Among how many it is shared; `back`: among those that can give energy back."""
        sharing = [
            evse
            for evse in self._station.evses
            if evse.session is not None
            and not evse.session.held
            and not evse.session.ending
            and (not back or self.both_ways(evse))
        ]
        return max(1, len(sharing))

    def thresholds(self) -> Thresholds | None:
        """V2XLocalLoadBalancing; None where it is not wholly set, or upside down (Q09.FR.02)."""
        settings = self._station.settings
        texts = [settings.text(f"balance_{name}") for name in ("upper", "lower", "upper_offset", "lower_offset")]
        if not all(texts):
            return None
        found = Thresholds(*(int(Decimal(text) * 1000) for text in texts))
        return found if found.upper > found.lower else None

    def _mode(self, evse: Evse, mode: str, *, sleeping: bool) -> None:
        """K01.FR.110: another operation mode is told at once; Q10.FR.04: so is that the electronics sleep."""
        station = self._station
        session = evse.session
        if station.config.version != "2.1" or session is None:
            return
        before = self._modes.get(evse.id, CHARGING_ONLY)
        self._modes[evse.id] = mode
        (self._sleeping.add if sleeping else self._sleeping.discard)(evse.id)
        if mode != before:
            self._mhz.pop(evse.id, None)
            station.dialect.sampled(
                evse, session, station.energy.read(evse, "sampled", "Other"), "OperationModeChanged"
            )

    def mode(self, evse: Evse) -> str:
        """operationMode of the session on `evse`."""
        return self._modes.get(evse.id, CHARGING_ONLY)

    def sleeping(self, evse: Evse) -> bool:
        """Its electronics are off for the time being (evseSleep)."""
        return evse.id in self._sleeping

    # ── readings ─────────────────────────────────────────────────────────────────────────────────────────────────

    def measurands(self, evse: Evse, setting: str) -> tuple[str, ...]:
        """What is measured besides in the present mode (Q01.FR.33 to .35)."""
        if not self.enabled or evse.session is None or setting not in ("started", "sampled", "ended"):
            return ()
        return self._station.settings.members(f"v2x_{setting}.{self.mode(evse)}")

    def measure(self, evse: Evse, measurands: tuple[str, ...]) -> tuple[Sampled, ...]:
        """Those that are about the set-point."""
        setpoint = self._setpoints.get(evse.id)
        rows: list[Sampled] = []
        for name in measurands:
            if name == "Power.Active.Setpoint" and setpoint is not None:
                rows.append(Sampled(name, _watts(setpoint), "W", None, "Outlet"))
            elif name == "Power.Active.Residual":
                power = evse.meter.power_mw
                rows.append(Sampled(name, _watts(residual(setpoint, max(0, power), max(0, -power))), "W"))
            elif name == "Power.Reactive.Import":
                rows.append(Sampled(name, _watts(max(0, self._station.der.reactive(evse))), "var", None, "Outlet"))
            elif name == "Power.Reactive.Export":
                rows.append(Sampled(name, _watts(max(0, -self._station.der.reactive(evse))), "var", None, "Outlet"))
        return tuple(rows)


def _sum(*values: int | None) -> int | None:
    """Of all phases; None where the first is not said."""
    return None if values[0] is None else sum(value or 0 for value in values)


def _part(value: int, parties: int) -> int:
    """An equal part, rounded towards zero."""
    return value // parties if value >= 0 else -(-value // parties)


def _watts(mw: int) -> Decimal:
    size = Decimal((abs(mw) + 50) // 100).scaleb(-1)
    return size if mw >= 0 else -size
