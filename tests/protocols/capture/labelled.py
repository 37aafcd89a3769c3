"""Sessions of our own machines that went wrong in a known way, each with what `explain` has to find in its capture.

A case is right when the kind is right and every word of `words` is in the sentence or the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from tests.protocols.capture.capture_kit import V2gSession
from tests.protocols.chademo.chademo_kit import FAST, OFFER, Plug
from tests.protocols.gbt27930.gbt_world import World

from pilotwire.core.ev_link import Halt, Rest
from pilotwire.core.evse_link import Fault, Offer, Stop
from pilotwire.protocols import exi
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.capture import Timeline, can_timeline_of, read_timeline
from pilotwire.protocols.capture.build import Recording
from pilotwire.protocols.iso15118 import sdp, v2gtp
from pilotwire.protocols.slac import mme
from pilotwire.station.outlet import Hardware


class Case(NamedTuple):
    """One capture whose reason is known."""

    label: str
    make: Callable[[], Timeline]
    kind: str
    words: tuple[str, ...] = ()


# ── V2G ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def read(session: V2gSession) -> Timeline:
    return read_timeline(session.file())


def name_of(frame: v2gtp.Frame, schema: str) -> str:
    """The message of a frame, by trying."""
    own = schema.startswith("iso20")
    by_type = {
        v2gtp.MAIN: ("iso20-common",), v2gtp.SAP: ("sap",) if own else (schema, "sap"), v2gtp.DC: ("iso20-dc",),
    }  # fmt: skip
    for each in by_type.get(frame.type, (schema, "iso20-common")):
        try:
            message = exi.decode(each, frame.payload)
        except exi.DecodeError:
            continue
        ((root, body),) = message.items()
        return next(iter(body["Body"])) if root == "V2G_Message" else root
    return ""


def lose(session: V2gSession, schema: str, name: str) -> None:
    """This answer, and all behind it, never come."""
    gone: list[bool] = []

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        if side == "evse" and (gone or name_of(frame, schema) == name):
            gone.append(True)
            return []
        return [frame]

    session.spoil = spoil


def change(session: V2gSession, schema: str, name: str, how: Callable[[dict[str, Any]], None], skip: int = 0) -> None:
    """A message of this name is altered once, after `skip` others of it."""
    seen: list[int] = []

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        if name_of(frame, schema) != name:
            return [frame]
        seen.append(1)
        if len(seen) != skip + 1:
            return [frame]
        message = exi.decode(schema, frame.payload)
        how(message)
        return [frame._replace(payload=exi.encode(schema, message))]

    session.spoil = spoil


def orderly(dialect: str, service: str) -> Callable[[], Timeline]:
    return lambda: read(V2gSession(dialect, service).begin(5_000).halt())


def station_stops(dialect: str, service: str) -> Callable[[], Timeline]:
    def make() -> Timeline:
        session = V2gSession(dialect, service).begin(5_000)
        session.secc.command(Stop("the station wants it"))
        return read(session.run(40_000))

    return make


def loses(dialect: str, service: str, name: str, schema: str = "") -> Callable[[], Timeline]:
    def make() -> Timeline:
        session = V2gSession(dialect, service)
        lose(session, schema or dialect, name)
        return read(session.begin(20_000))

    return make


def hardware(dialect: str, service: str, ms: int = 90_000, **how: Any) -> Callable[[], Timeline]:
    dc = service == "DC"
    how.setdefault("isolation_ms", 300)
    return lambda: read(V2gSession(dialect, service, hardware=Hardware(dc=dc, **how)).begin(ms))


def altered(
    dialect: str, service: str, name: str, how: Callable[[dict[str, Any]], None], schema: str = "", skip: int = 0
) -> Callable[[], Timeline]:
    def make() -> Timeline:
        session = V2gSession(dialect, service)
        change(session, schema or dialect, name, how, skip)
        return read(session.begin(15_000))

    return make


def body(message: dict[str, Any]) -> dict[str, Any]:
    return next(iter(message["V2G_Message"]["Body"].values()))


def hot_then_silent() -> Timeline:
    """Two things go wrong; the first is the reason."""
    session = V2gSession("iso2", "DC")
    change(session, "iso2", "CurrentDemandReq", hot_battery, skip=2)
    alter = session.spoil
    assert alter is not None
    demands: list[int] = []

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        demands.extend([1] if name_of(frame, "iso2") == "CurrentDemandReq" else [])
        return [] if side == "evse" and len(demands) > 6 else alter(frame, side)

    session.spoil = spoil
    return read(session.begin(15_000))


def other_session(message: dict[str, Any]) -> None:
    message["V2G_Message"]["Header"]["SessionID"] = b"\x11" * 8


def hot_battery(message: dict[str, Any]) -> None:
    body(message)["DC_EVStatus"]["EVErrorCode"] = "FAILED_RESSTemperatureInhibit"


def tripped(message: dict[str, Any]) -> None:
    body(message)["AC_EVSEStatus"]["RCD"] = True


def malfunction(message: dict[str, Any]) -> None:
    body(message)["DC_EVSEStatus"]["EVSEStatusCode"] = "EVSE_Malfunction"


def out_of_order(schema: str) -> Callable[[dict[str, Any]], None]:
    def how(message: dict[str, Any]) -> None:
        status = body(message)["DC_EVStatus"]
        message["V2G_Message"]["Body"] = {"WeldingDetectionReq": {"DC_EVStatus": status}}

    del schema
    return how


def in_loop(then: Callable[[V2gSession], None], ms: int = 70_000, dialect: str = "iso2") -> Callable[[], Timeline]:
    def make() -> Timeline:
        session = V2gSession(dialect, "DC").begin(5_000)
        then(session)
        return read(session.run(ms))

    return make


def inlet_dead(dialect: str) -> Callable[[], Timeline]:
    """The vehicle's own contactors never close."""

    def make() -> Timeline:
        session = V2gSession(dialect, "DC")
        session.contacts_work = False
        return read(session.begin(20_000))

    return make


def unreadable() -> Timeline:
    session = V2gSession("iso2", "DC")

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        if name_of(frame, "iso2") == "CableCheckReq":
            return [frame._replace(payload=frame.payload[:-3] + b"\xff\xff\xff\xff")]
        return [frame]

    session.spoil = spoil
    return read(session.begin(10_000))


def garbage(session: V2gSession) -> None:
    session.recording.add(int(session.time.now()) * 1000, "ev", b"GET / HTTP/1.1\r\n\r\n")
    session.evcc.stop()
    session.close("evse")


def late() -> Timeline:
    session = V2gSession("iso2", "DC").begin(5_000)

    def spoil(frame: v2gtp.Frame, side: str) -> list[v2gtp.Frame]:
        if side == "evse" and name_of(frame, "iso2") == "CurrentDemandRes":
            session.spoil = None
            session.time.call_later(400, lambda: session._carry(frame, side))
            return []
        return [frame]

    session.spoil = spoil
    session.run(600)
    # The car had given up at 250 ms and closed; a station that is late all the same is what the capture shows.
    return read(session)


def late_then_closed() -> Timeline:
    """The same, where the capture was taken at the station, and the car's end came after the answer."""
    packets = V2gSession("iso2", "DC").begin(5_000).recording
    timeline = read_timeline(packets.file())
    last = [entry for entry in timeline.entries if entry.name == "CurrentDemandRes"][-1]
    kept = packets.packets[: last.packet]
    kept[-1] = kept[-1]._replace(at_us=kept[-1].at_us + 400_000)
    recording = Recording()
    recording.packets = kept
    recording._next = packets._next
    recording.end(kept[-1].at_us + 5_000, "ev")
    return read_timeline(recording.file())


def nobody_pays() -> Timeline:
    return read(V2gSession("iso2", "DC", authorize=None).begin(90_000))


def no_common() -> Timeline:
    return read(V2gSession("iso2", "DC", evcc={"dialects": ("din",)}).begin(5_000))


# ── discovery and SLAC ───────────────────────────────────────────────────────────────────────────────────────────────
ASK, ANSWER = v2gtp.write(v2gtp.Frame(v2gtp.SDP_REQUEST, b"\x10\0")), v2gtp.write(
    v2gtp.Frame(v2gtp.SDP_RESPONSE, bytes.fromhex("fe80000000000000") + bytes(7) + b"\x02" + b"\xfa\x6d" + b"\x10\0")
)  # fmt: skip


def discovered(*, answered: bool, then: Callable[[Recording], None] = lambda recording: None) -> Callable[[], Timeline]:
    def make() -> Timeline:
        recording = Recording()
        for count in range(1 if answered else 50):
            recording.datagram(count * 250_000, "ev", ASK)
        if answered:
            recording.datagram(20_000, "evse", ANSWER)
        then(recording)
        return read_timeline(recording.file())

    assert sdp.PORT == 15118
    return make


def refused(recording: Recording) -> None:
    recording._segment(30_000, "ev", b"", 0x02)
    recording.end(31_000, "evse", "rst")


def empty(recording: Recording) -> None:
    recording.add(30_000, "ev", b"")
    recording.end(20_000_000, "evse")


def encrypted(recording: Recording) -> None:
    recording.add(30_000, "ev", b"\x16\x03\x01\x02\x00" + bytes(512))
    recording.add(40_000, "evse", b"\x16\x03\x03\x00\x7a" + bytes(122))
    recording.end(9_000_000, "ev")


CAR, EVSE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
RUN = b"RUNRUN12"


def matched(*messages: Any) -> Callable[[], Timeline]:
    def make() -> Timeline:
        recording = Recording()
        for count, message in enumerate(messages):
            recording.ethernet(count * 50_000, mme.encode(mme.MmeFrame(EVSE, CAR, message)))
        return read_timeline(recording.file())

    return make


# ── CHAdeMO ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def chademo(
    then: Callable[[Plug], None] | None = None,
    *,
    before: Callable[[Plug], None] | None = None,
    ms: int = 15_000,
    **how: Any,
) -> Callable[[], Timeline]:
    """A session; `before` the plug goes in, `then` after eight seconds of power."""

    def make() -> Timeline:
        plug = Plug(**how)
        bus: list[tuple[int, CanFrame]] = []
        inner = plug._carry

        def carry(data: Any, sender: str) -> None:
            units = [data] if plug.spoil is None else plug.spoil(data, sender)
            bus.extend((int(plug.time.now()) * 1000, unit) for unit in units if isinstance(unit, CanFrame))
            inner(data, sender)

        plug._carry = carry  # type: ignore[method-assign]
        if before is not None:
            before(plug)
        plug.plug()
        if then is not None:
            plug.until("power").run(8_000)
            then(plug)
        plug.run(ms)
        return msgspec.structs.replace(can_timeline_of(bus), end_us=int(plug.time.now()) * 1000)

    return make


def spoiled(spoil: Callable[[Any, str], list[Any]]) -> Callable[[Plug], None]:
    def then(plug: Plug) -> None:
        plug.spoil = spoil

    return then


def bit(side: str, id: int, byte: int, number: int) -> Callable[[Plug], None]:
    from tests.protocols.chademo.test_chademo_timers import change as altered_frame

    return spoiled(altered_frame(side, id, byte, lambda raw: raw | 1 << number))


def dead(side: str) -> Callable[[Plug], None]:
    def then(plug: Plug) -> None:
        (plug.b if side == "ev" else plug.a).stop()

    return then


def no_target(plug: Plug) -> None:
    from tests.protocols.chademo.test_chademo_timers import change as altered_frame

    low, high = altered_frame("ev", 0x102, 1, lambda raw: 0), altered_frame("ev", 0x102, 2, lambda raw: 0)
    plug.spoil = lambda data, who: high(low(data, who)[0], who)


def stays_open(plug: Plug) -> None:
    plug.silent = True


# ── GB/T 27930 ───────────────────────────────────────────────────────────────────────────────────────────────────────
def gbt(then: Callable[[World], None], ms: int = 20_000, *, charging: bool = True) -> Callable[[], Timeline]:
    def make() -> Timeline:
        world = World()
        if charging:
            world.charge()
        then(world)
        world.run(ms)
        log = [(at * 1000, frame) for at, frame in world.bus.log or []]
        return msgspec.structs.replace(can_timeline_of(log), end_us=int(world.time.now()) * 1000)

    return make


def no_isolation(world: World) -> None:
    world.isolation = "fault"
    world.plug()


def car_absent(world: World) -> None:
    world.plug(ev=False)


def dc(**how: Any) -> dict[str, Any]:
    return how


CASES: tuple[Case, ...] = (
    # orderly
    Case("the car ends, -2 DC", orderly("iso2", "DC"), "stopped by the car", ("SessionStopReq Terminate",)),
    Case("the car ends, -2 AC", orderly("iso2", "AC"), "stopped by the car", ("SessionStopReq",)),
    Case("the car ends, DIN", orderly("din", "DC"), "stopped by the car", ("SessionStopReq",)),
    Case("the car ends, -20 DC", orderly("iso20-dc", "DC"), "stopped by the car", ("the driver ends it",)),
    Case("the car ends, -20 AC", orderly("iso20-ac", "AC"), "stopped by the car", ("SessionStopReq",)),
    Case("the station stops, -2 DC", station_stops("iso2", "DC"), "stopped by the station", ("StopCharging",)),
    Case("the station stops, -2 AC", station_stops("iso2", "AC"), "stopped by the station", ("StopCharging",)),
    Case("the station stops, DIN", station_stops("din", "DC"), "stopped by the station", ("EVSE asked to stop",)),
    Case("the station stops, -20 DC", station_stops("iso20-dc", "DC"), "stopped by the station", ("Terminate",)),
    Case("the car pauses, -2", in_loop(lambda s: s.evcc.command(Rest()), 15_000), "paused", ("Pause",)),
    Case("the capture ends early", lambda: read(V2gSession("iso2", "DC").begin(4_000)), "goes on", ("CurrentDemand",)),
    # silence of the station
    Case("no CurrentDemandRes, -2", loses("iso2", "DC", "CurrentDemandRes"), "no answer",
         ("V2G_EVCC_Msg_Timeout_CurrentDemandReq", "250 ms")),
    Case("no CurrentDemandRes, DIN", loses("din", "DC", "CurrentDemandRes"), "no answer", ("CurrentDemandReq", "250")),
    Case("no DC_ChargeLoopRes, -20", loses("iso20-dc", "DC", "DC_ChargeLoopRes"), "no answer",
         ("DC_ChargeLoopReq", "500")),
    Case("no AC_ChargeLoopRes, -20", loses("iso20-ac", "AC", "AC_ChargeLoopRes"), "no answer", ("AC_ChargeLoopReq",)),
    Case("no ChargingStatusRes, -2", loses("iso2", "AC", "ChargingStatusRes"), "no answer", ("2000 ms",)),
    Case("no PreChargeRes, -2", loses("iso2", "DC", "PreChargeRes"), "no answer", ("PreChargeReq",)),
    Case("no PowerDeliveryRes, -2", loses("iso2", "DC", "PowerDeliveryRes"), "no answer", ("5000 ms",)),
    Case("no SessionSetupRes, -20", loses("iso20-dc", "DC", "SessionSetupRes"), "no answer", ("SessionSetupReq",)),
    Case("no supportedAppProtocolRes", loses("iso2", "DC", "supportedAppProtocolRes"), "no answer",
         ("supportedAppProtocol",)),
    Case("an answer too late", late_then_closed, "late answer", ("402 ms", "250 ms")),
    Case("an answer behind the end", late, "no answer", ("CurrentDemandReq",)),
    # the station refuses
    Case("not let in, -2", lambda: read(V2gSession("iso2", "DC", authorize=False).begin(8_000)), "failed answer",
         ("AuthorizationReq",)),
    Case("not let in, -20", lambda: read(V2gSession("iso20-dc", "DC", authorize=False).begin(8_000)),
         "warning", ("AuthorizationReq", "WARNING_EIMAuthorizationFailure")),
    Case("out of order, -2", altered("iso2", "DC", "CableCheckReq", out_of_order("iso2"), skip=1), "failed answer",
         ("FAILED_SequenceError", "WeldingDetectionReq")),
    Case("out of order, DIN", altered("din", "DC", "CableCheckReq", out_of_order("din"), skip=1), "failed answer",
         ("FAILED_SequenceError",)),
    Case("another session, -2", altered("iso2", "DC", "PreChargeReq", other_session), "failed answer",
         ("FAILED_UnknownSession",)),
    Case("another session, DIN", altered("din", "DC", "CurrentDemandReq", other_session, skip=3), "failed answer",
         ("FAILED_UnknownSession", "CurrentDemandReq")),
    Case("no protocol in common", no_common, "no protocol in common", ("urn:din:70121:2012:MsgDef",)),
    Case("nobody pays, -2", nobody_pays, "took too long", ("V2G_EVCC_Ongoing_Timeout",)),
    Case("isolation fault, -2", hardware("iso2", "DC", isolation="fault"), "failed answer", ("CableCheckReq",)),
    Case("isolation fault, DIN", hardware("din", "DC", isolation="fault"), "failed answer", ("CableCheckReq",)),
    Case("isolation fault, -20", hardware("iso20-dc", "DC", isolation="fault"), "failed answer", ("DC_CableCheckReq",)),
    Case("isolation takes too long, -2", hardware("iso2", "DC", isolation_ms=80_000), "failed answer",
         ("CableCheckReq",)),
    Case("voltage does not rise, -2", hardware("iso2", "DC", volts_ramp=1_000), "took too long",
         ("V2G_EVCC_PreCharge_Timeout",)),
    Case("voltage does not rise, DIN", hardware("din", "DC", volts_ramp=1_000), "took too long",
         ("V2G_EVCC_PreCharge_Timeout",)),
    Case("voltage does not rise, -20", hardware("iso20-dc", "DC", volts_ramp=1_000), "took too long",
         ("V2G_EVCC_PreCharge_Timeout",)),
    Case("the contactor sticks, -2 AC", hardware("iso2", "AC", contactor_fails=True), "failed answer",
         ("FAILED_ContactorError",)),
    # faults in what is said
    Case("a hot battery, -2", altered("iso2", "DC", "CurrentDemandReq", hot_battery, skip=4), "vehicle error",
         ("FAILED_RESSTemperatureInhibit",)),
    Case("a hot battery, then silence", hot_then_silent, "vehicle error", ("FAILED_RESSTemperatureInhibit",)),
    Case("a hot battery, DIN", altered("din", "DC", "PreChargeReq", hot_battery), "vehicle error",
         ("FAILED_RESSTemperatureInhibit",)),
    Case("the station is broken, -2", altered("iso2", "DC", "CurrentDemandRes", malfunction, skip=4), "station status",
         ("EVSE_Malfunction",)),
    Case("the station's emergency stop, -2", in_loop(lambda s: s.secc.command(Stop("mushroom", True)), 10_000),
         "station status", ("EVSE_EmergencyShutdown",)),
    Case("a residual current, -2 AC", altered("iso2", "AC", "ChargingStatusRes", tripped, skip=2), "residual current",
         ("RCD",)),
    Case("a message that is none", unreadable, "unreadable message", ("iso2",)),
    Case("bytes that are no V2GTP", in_loop(garbage, 1_000), "no V2GTP", ("01FE",)),
    # who goes
    Case("the car is dead", in_loop(lambda s: s.evcc.stop(), 90_000), "no next request",
         ("V2G_SECC_Sequence_Timeout",)),
    Case("the car is dead, -20", in_loop(lambda s: s.evcc.stop(), 90_000, "iso20-dc"), "no next request",
         ("V2G_SECC_Sequence_Timeout_CL",)),
    Case("the car is dead, DIN", in_loop(lambda s: s.evcc.stop(), 90_000, "din"), "no next request",
         ("V2G_SECC_Sequence_Timeout",)),
    Case("the inlet stays open, -2", inlet_dead("iso2"), "took too long", ("V2G_EVCC_PreCharge_Timeout",)),
    Case("the inlet stays open, DIN", inlet_dead("din"), "took too long", ("V2G_EVCC_PreCharge_Timeout",)),
    Case("the inlet stays open, -20", inlet_dead("iso20-dc"), "took too long", ("V2G_EVCC_PreCharge_Timeout",)),
    Case("the station's emergency stop, DIN", in_loop(lambda s: s.secc.command(Stop("mushroom", True)), 10_000, "din"),
         "station status", ("EVSE_EmergencyShutdown",)),
    Case("a fault of the station, -2", in_loop(lambda s: s.secc.command(Fault(code="RCD", by="evse")), 10_000),
         "station status", ("EVSE_Malfunction",)),
    Case("the car's emergency stop, -2", in_loop(lambda s: s.evcc.command(Halt("fuse", True)), 10_000),
         "vehicle error", ("FAILED_EVRESSMalfunction",)),
    Case("the lock fails, -2", hardware("iso2", "DC", lock_fails=True), "station status", ("EVSE_Malfunction",)),
    Case("the contactor sticks, DIN", hardware("din", "DC", contactor_fails=True), "failed answer",
         ("PowerDeliveryReq",)),
    Case("the contactor sticks, -20", hardware("iso20-dc", "DC", contactor_fails=True), "failed answer",
         ("FAILED_ContactorError",)),
    Case("the car pauses, -20", in_loop(lambda s: s.evcc.command(Rest()), 15_000, "iso20-dc"), "paused", ("Pause",)),
    Case("the car hangs up", in_loop(lambda s: s.close("ev", "rst"), 500), "left without stop", ("The car reset",)),
    Case("the station hangs up", in_loop(lambda s: s.close("evse"), 500), "left without stop", ("The EVSE closed",)),
    # before the first message
    Case("nobody answers discovery", discovered(answered=False), "no SDP response", ("50 SDP requests",)),
    Case("the car does not connect", discovered(answered=True), "no connection", ("[fe80::2]:64109",)),
    Case("the station refuses", discovered(answered=True, then=refused), "refused connection", ("refused",)),
    Case("the car says nothing", discovered(answered=True, then=empty), "empty connection", ("said nothing",)),
    Case("TLS", discovered(answered=True, then=encrypted), "encrypted", ("cannot be seen",)),
    Case("SLAC: no answer", matched(mme.SlacParmReq(run_id=RUN)), "SLAC", ("CM_SLAC_PARM.CNF",)),
    Case("SLAC: the car goes", matched(mme.SlacParmReq(run_id=RUN),
         mme.SlacMatchReq(pev_mac=CAR, evse_mac=EVSE, run_id=RUN)), "SLAC", ("CM_SLAC_MATCH.CNF",)),
    # CHAdeMO
    Case("CHAdeMO: the car ends", chademo(lambda p: p.b.command(Halt())), "chademo stopped by the vehicle",
         ("102.5.0",)),
    Case("CHAdeMO: the charger ends", chademo(lambda p: p.a.command(Stop())), "chademo stopped by the charger",
         ("109.5.5",)),
    *(
        Case(f"CHAdeMO: {rule}", chademo(bit("ev", 0x102, byte, number)), "chademo vehicle fault", (rule,))
        for rule, byte, number in (
            ("102.4.0", 4, 0), ("102.4.1", 4, 1), ("102.4.2", 4, 2), ("102.4.3", 4, 3), ("102.4.4", 4, 4),
            ("102.5.2", 5, 2), ("102.5.3", 5, 3),
        )
    ),
    *(
        Case(f"CHAdeMO: {rule}", chademo(bit("evse", 0x109, 5, number)), "chademo charger fault", (rule,))
        for rule, number in (("109.5.1", 1), ("109.5.3", 3), ("109.5.4", 4))
    ),
    Case("CHAdeMO: not in park", chademo(bit("ev", 0x102, 5, 1)), "chademo stopped by the vehicle", ("102.5.1",)),
    Case("CHAdeMO: target zero", chademo(no_target), "chademo stopped by the vehicle", ("102.1-2",)),
    Case("CHAdeMO: dead car", chademo(dead("ev")), "chademo 102 missing", ("1000 ms",)),
    Case("CHAdeMO: dead charger", chademo(dead("evse")), "chademo 109 missing", ("1000 ms",)),
    Case("CHAdeMO: a fault of the station",
         chademo(lambda p: p.a.command(Fault(code="GroundFailure", by="evse"))), "chademo charger fault", ("109.5.1",)),
    Case("CHAdeMO: the wrong battery", chademo(offer=Offer(max_mv=400_000, max_ma=100_000)), "chademo charger fault",
         ("109.5.3",)),
    Case("CHAdeMO: insulation", chademo(hardware=msgspec.structs.replace(FAST, isolation="fault")),
         "chademo charger fault", ("109.5.1",)),
    Case("CHAdeMO: contactors stay open", chademo(before=stays_open, ms=3_000), "chademo contactors open",
         ("102.5.3",)),
    Case("CHAdeMO: it goes on", chademo(offer=OFFER, ms=9_000), "chademo goes on"),
    # GB/T 27930
    Case("GB/T: the car ends", gbt(lambda w: w.halt("full")), "gbt BST", ("The car ended",)),
    Case("GB/T: the charger ends", gbt(lambda w: w.evse.command(Stop())), "gbt CST", ("The charger ended",)),
    Case("GB/T: emergency stop", gbt(lambda w: w.evse.command(Stop("mushroom", True))), "gbt CST", ("emergency stop",)),
    Case("GB/T: dead car", gbt(lambda w: w.ev.stop()), "gbt CEM", ("BCL",)),
    Case("GB/T: dead charger", gbt(lambda w: w.evse.stop()), "gbt BEM", ("CCS",)),
    Case("GB/T: insulation", gbt(no_isolation, 30_000, charging=False), "gbt no CRM", ("insulation test",)),
    Case("GB/T: a car without CAN", gbt(car_absent, 30_000, charging=False), "gbt CEM", ("no BRM",)),
    Case("GB/T: it goes on", gbt(lambda w: None, 1_000), "gbt goes on"),
)  # fmt: skip
