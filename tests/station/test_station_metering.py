"""What a station measures and with which message it goes (J01, J02, and what E says of meter values)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pilotwire.station.config import EvseConfig
from pilotwire.station.costs import Limit

VERSIONS = ("2.0.1", "2.1")
REGISTER = "Energy.Active.Import.Register"


def make(make_world: Callable[..., Any], version: str, *, signing_meter: bool = False, **settings: Any) -> Any:
    world = make_world(version, settings={"sample_interval": "0", **settings}, signing_meter=signing_meter)
    world.station.power_on()
    world.run(5)
    return world


def begin(world: Any, how: str = "cable first", evse: int = 1, token: str = "AA11") -> Any:
    """A session begins; the card comes before or after the cable."""
    car = world.car()
    for what in ("plug", "tap") if how == "cable first" else ("tap", "plug"):
        if what == "plug":
            world.station.plug(evse, car)
        else:
            world.station.tap(evse, token)
        world.run(2)
    return car


def events(world: Any, kind: str = "") -> list[Any]:
    return [e for e in world.csms.heard("TransactionEvent") if not kind or e.event_type == kind]


def rows(event: Any) -> list[tuple[str, str]]:
    """(context, measurand) of what an event carries, without those that there is one of for each phase twice."""
    found = [(s.context, s.measurand) for value in event.meter_value or [] for s in value.sampled_value]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["cable first", "card first", "offline", "not accepted"])
def test_the_start_carries_what_is_asked_for(make_world, version, how):
    """E01.FR.09 and its kin: the measurands of TxStartedMeasurands, read at the beginning."""
    world = make(make_world, version, started=f"{REGISTER},Voltage", offline_unknown="true")
    if how == "offline":
        world.offline()
    if how == "not accepted":
        m = world.csms.messages
        world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
            id_token_info=m.IdTokenInfoType(status="Blocked") if request.id_token else None
        )
    begin(world, "card first" if how == "card first" else "cable first")
    world.online()
    world.run(100)
    [started] = events(world, "Started")
    assert rows(started) == [("Transaction.Begin", REGISTER), ("Transaction.Begin", "Voltage")]
    [value] = started.meter_value
    assert value.timestamp == started.timestamp
    assert bool(started.offline) is (how == "offline")
    assert [e.seq_no for e in events(world)] == list(range(len(events(world))))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["cable first", "card first", "offline", "lost meanwhile"])
def test_updates_carry_what_is_asked_for(make_world, version, how):
    """J02.FR.11 and its kin, .FR.10: every interval, each reading of its own moment."""
    world = make(
        make_world, version, sampled=f"{REGISTER},Power.Active.Import", sample_interval="30", offline_unknown="true"
    )
    if how == "offline":
        world.offline()
    begin(world, "card first" if how == "card first" else "cable first")
    if how == "lost meanwhile":
        world.offline()
    world.run(130)
    world.online()
    world.run(20)
    world.run(30)
    periodic = [e for e in events(world, "Updated") if e.trigger_reason == "MeterValuePeriodic"]
    assert len(periodic) >= 4
    for event in periodic:
        assert rows(event) == [("Sample.Periodic", REGISTER), ("Sample.Periodic", "Power.Active.Import")]
        assert [value.timestamp for value in event.meter_value] == [event.timestamp]
    if how in ("offline", "lost meanwhile"):
        assert sum(bool(e.offline) for e in periodic) >= 4
    gaps = {round((b.timestamp - a.timestamp).total_seconds()) for a, b in pairwise(periodic)}
    assert gaps == {30}


ENDINGS: dict[str, Callable[[Any], object]] = {
    "card": lambda world: world.station.tap(1, "AA11"),
    "card, offline": lambda world: (world.offline(), world.run(1), world.station.tap(1, "AA11")),
    "cable": lambda world: world.station.unplug(1),
    "cable, suspended before": lambda world: (world.station.unplug(1), world.run(5), world.station.tap(1, "AA11")),
    "car": lambda world: world.station.end_by_car(1),
    "fault": lambda world: world.station.break_down(1),
}


def ended_by(make_world: Callable[..., Any], version: str, ending: str, minutes: int, **settings: Any) -> Any:
    if ending == "cable, suspended before":
        settings |= {"stop_on_disconnect": "false", "start_point": "Authorized", "stop_point": "Authorized"}
    world = make(make_world, version, **settings)
    begin(world)
    world.run(60 * minutes)
    ENDINGS[ending](world)
    world.run(5)
    world.online()
    world.run(100)
    return world


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_end_carries_what_is_asked_for(make_world, version, ending):
    """E06.FR.11 and its kin: the measurands of TxEndedMeasurands from begin to end, every interval."""
    world = ended_by(make_world, version, ending, 20, ended=f"{REGISTER},SoC,Voltage", ended_interval="300")
    [ended] = events(world, "Ended")
    contexts = [value.sampled_value[0].context for value in ended.meter_value]
    assert contexts == ["Transaction.Begin", *["Sample.Periodic"] * (len(contexts) - 2), "Transaction.End"]
    assert len(contexts) in (6, 7)
    assert rows(ended)[-2:] == [("Transaction.End", REGISTER), ("Transaction.End", "Voltage")]
    registers = [int(value.sampled_value[0].value) for value in ended.meter_value]
    truth = world.station.truth[0]
    assert registers == sorted(registers) and (registers[0], registers[-1]) == (
        truth.register_start,
        truth.register_end,
    )
    assert bool(ended.offline) is (ending == "card, offline")
    assert [e.seq_no for e in events(world)] == list(range(len(events(world))))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_of_too_many_values_the_intermediate_ones_go_first(make_world, version, ending):
    """E06.FR.12, .13 and their kin, J02.FR.20: begin and end stay, and what is between stays spread."""
    world = ended_by(make_world, version, ending, 50, ended=REGISTER, ended_interval="10")
    [ended] = events(world, "Ended")
    values = ended.meter_value
    assert len(values) < 220
    assert values[0].sampled_value[0].context == "Transaction.Begin"
    assert values[-1].sampled_value[0].context == "Transaction.End"
    times = [value.timestamp.timestamp() for value in values]
    gaps = [b - a for a, b in pairwise(times)]
    # 300 were taken: the older, the thinner, and nowhere is there a hole.
    assert 20 in gaps and set(gaps[1:-1]) <= {10, 20, 40}
    assert gaps[1:-1] == sorted(gaps[1:-1], reverse=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_of_too_many_messages_every_second_reading_goes_first(make_world, version):
    """E04.FR.08 and its kin: what is left is spread over the whole time, and nothing but readings goes."""
    world = make_world(version, settings={"sample_interval": "10"}, queue_limit=60)
    world.station.power_on()
    world.run(5)
    begin(world)
    world.offline()
    world.run(1200)
    world.station.costs.limit(1, Limit(max_time=86_400))
    world.run(600)
    world.station.tap(1, "AA11")
    world.online()
    world.run(300)
    told = events(world)
    assert world.station.outbox.shed > 100
    periodic = [e for e in told if e.trigger_reason == "MeterValuePeriodic"]
    times = [e.timestamp.timestamp() for e in periodic]
    gaps = [round(b - a) for a, b in pairwise(times)]
    # The older, the thinner; no stretch of time is without any.
    assert times[0] - told[0].timestamp.timestamp() < 200 and told[-1].timestamp.timestamp() - times[-1] <= 10
    assert gaps == sorted(gaps, reverse=True) and gaps[0] <= 320 and gaps[-1] == 10
    others = [e for e in told if e.trigger_reason != "MeterValuePeriodic"]
    assert [e.trigger_reason for e in others[:2]] == ["Authorized", "ChargingStateChanged"]
    assert others[-1].event_type == "Ended"
    if version == "2.1":
        assert "LimitSet" in [e.trigger_reason for e in others]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_waits_when_the_connection_is_lost_is_of_the_time_offline(make_world, version):
    """E11.FR.07."""
    world = make(make_world, version, sample_interval="10")
    begin(world)
    world.csms.silent.add("TransactionEvent")
    world.run(35)
    assert len(world.station.outbox) == 3
    waiting = [entry.offline for entry in world.station.outbox]
    assert not any(waiting)
    world.offline()
    world.run(1)
    world.csms.silent.clear()
    world.station.power_off()
    world.station.power_on()
    world.online()
    world.run(60)
    by_number = {e.seq_no: e for e in events(world)}
    # The first of them was on its way; the others had not left.
    assert [bool(by_number[n].offline) for n in (2, 3, 4)] == [False, True, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_value_says_what_where_why_and_when_it_is(make_world, version):
    """J01.FR.02, .05 to .11, .17, .22, J02.FR.03 to .07, .18."""
    names = (REGISTER, "Power.Active.Import", "Current.Import", "Voltage", "SoC", "Current.Offered")
    asked = ",".join(names)
    world = make_world(
        version,
        settings={"sampled": asked, "aligned": asked, "aligned_interval": "60", "sample_interval": "45"},
        soc_over_ac=True,
        evses=(EvseConfig(), EvseConfig()),
    )
    world.station.power_on()
    world.run(5)
    # The car of the second EVSE uses one phase alone.
    world.station.plug(2, world.car("compact one-phase 7 kW"))
    world.station.tap(2, "AA11")
    world.run(200)
    idle = world.csms.heard("MeterValues")
    assert len(idle) == 3 and {request.evse_id for request in idle} == {1}
    clock = [e for e in events(world) if e.trigger_reason == "MeterValueClock"]
    periodic = [e for e in events(world) if e.trigger_reason == "MeterValuePeriodic"]
    assert len(clock) == 3 and len(periodic) == 4
    for messages, context in ((idle, "Sample.Clock"), (clock, "Sample.Clock"), (periodic, "Sample.Periodic")):
        for message in messages:
            [value] = message.meter_value
            assert value.timestamp is not None and value.sampled_value
            if context == "Sample.Clock":
                assert value.timestamp.timestamp() % 60 == 0
            places = {"SoC": "EV", "Current.Offered": None}
            for sample in value.sampled_value:
                assert sample.context == context and sample.measurand in names
                assert sample.location == places.get(sample.measurand, "Outlet")
            phases = {m: [s.phase for s in value.sampled_value if s.measurand == m] for m in names}
            assert phases["Current.Import"] == ["L1", "L2", "L3"]
            assert phases["Voltage"] == ["L1-N", "L2-N", "L3-N"]
            assert phases[REGISTER] == [None]
    currents = [s.value for s in periodic[-1].meter_value[0].sampled_value if s.measurand == "Current.Import"]
    assert currents[0] > 20 and currents[1:] == [0, 0]


@pytest.mark.parametrize("version", VERSIONS)
def test_aligned_values_of_an_idle_station_alone(make_world, version):
    """J01.FR.20: AlignedDataSendDuringIdle."""
    world = make_world(
        version,
        settings={"aligned_interval": "60", "aligned_idle": "true", "sample_interval": "0"},
        evses=(EvseConfig(), EvseConfig()),
    )
    world.station.power_on()
    world.run(130)
    assert [request.evse_id for request in world.csms.heard("MeterValues")] == [1, 2, 1, 2]
    begin(world)
    world.run(300)
    assert len(world.csms.heard("MeterValues")) == 4
    assert not [e for e in events(world) if e.trigger_reason == "MeterValueClock"]
    world.station.unplug(1)
    world.run(60)
    assert len(world.csms.heard("MeterValues")) == 6


@pytest.mark.parametrize("version", VERSIONS)
def test_registers_go_on_and_belong_to_their_evse(make_world, version):
    """J02.FR.16, .17, .22: from one transaction to the next, over restarts, and never another EVSE's."""
    world = make_world(version, settings={"sample_interval": "60"}, evses=(EvseConfig(), EvseConfig(max_ma=16_000)))
    world.station.power_on()
    world.run(5)
    for round_ in range(3):
        begin(world, evse=1)
        begin(world, evse=2, token="BB22")
        world.run(400 + 60 * round_)
        world.station.unplug(1)
        world.station.unplug(2)
        world.run(5)
        if round_ == 1:
            world.station.power_off()
            world.run(60)
            world.station.power_on()
            world.run(10)
    ends = {e.transaction_info.transaction_id: e for e in events(world, "Ended")}
    for evse in (1, 2):
        own = [t for t in world.station.truth if t.evse == evse]
        assert len({t.session for t in own}) == 3
        registers: list[int] = []
        for truth in own:
            told = [
                int(s.value)
                for e in events(world)
                if e.transaction_info.transaction_id == truth.session
                if e.event_type != "Ended"
                for value in e.meter_value or []
                for s in value.sampled_value
                if s.measurand == REGISTER
            ]
            told += [int(s.value) for s in ends[truth.session].meter_value[-1].sampled_value]
            assert (told[0], told[-1]) == (truth.register_start, truth.register_end)
            assert not registers or told[0] == registers[-1]
            registers += told
        assert registers == sorted(registers) and registers[0] == 0
    first, second = (sum(t.energy_wh for t in world.station.truth if t.evse == evse) for evse in (1, 2))
    assert first > second > 1000 or second > first > 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_the_number_of_phases_is_told_when_it_changes(make_world, version):
    """E02.FR.18, .19."""
    world = make(make_world, version, sample_interval="60")
    begin(world)
    world.run(130)
    numbers = [e.number_of_phases_used for e in events(world)]
    assert numbers == [None, 3, None, None]
    m = world.csms.messages
    profile = m.ChargingProfileType(
        id=1,
        stack_level=0,
        charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Relative",
        charging_schedule=[
            m.ChargingScheduleType(
                id=1,
                charging_rate_unit="A",
                charging_schedule_period=[
                    m.ChargingSchedulePeriodType(start_period=0, limit=Decimal(16), number_phases=1)
                ],
            )
        ],
    )
    world.csms.command("SetChargingProfile", m.SetChargingProfileRequest(evse_id=1, charging_profile=profile))
    world.run(120)
    assert [n for n in (e.number_of_phases_used for e in events(world)[4:]) if n] == [1]


# ── signed values ────────────────────────────────────────────────────────────────────────────────────────────────────


def verified(signed: Any, public_key: str) -> dict[str, Any]:
    """The OCMF payload of a signed value, if the signature is that key's."""
    marker, encoding, kind, text = base64.b64decode(public_key).decode().split(":")
    assert (marker, encoding, kind) == ("oca", "base16", "asn1")
    key = serialization.load_der_public_key(bytes.fromhex(text))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert signed.encoding_method == "OCMF" and not signed.signing_method
    header, body, signature = base64.b64decode(signed.signed_meter_data).split(b"|")
    assert header == b"OCMF"
    said = json.loads(signature)
    assert said["SA"] == "ECDSA-secp256r1-SHA256"
    key.verify(bytes.fromhex(said["SD"]), body, ec.ECDSA(hashes.SHA256()))
    return json.loads(body)


def signed_of(event: Any) -> list[tuple[Any, Any]]:
    """(value, signedMeterValue) of an event's energy registers."""
    return [
        (s.value, s.signed_meter_value)
        for value in event.meter_value or []
        for s in value.sampled_value
        if s.measurand == REGISTER
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("how", "ending"),
    [
        *(("cable first", ending) for ending in ENDINGS),
        *((how, "card") for how in ("card first", "offline", "not accepted")),
    ],
)
def test_registers_are_signed(make_world, version, how, ending):
    """E02.FR.14 and its kin, J02.FR.21, .23: every register of every event, by the key that is told."""
    settings = {"sign_readings": "true", "sample_interval": "30", "offline_unknown": "true", "stop_on_invalid": "false"}
    settings["public_key"] = "EveryMeterValue"
    settings["max_energy_invalid"] = "100000"
    if ending == "cable, suspended before":
        settings |= {"stop_on_disconnect": "false", "start_point": "Authorized", "stop_point": "Authorized"}
    world = make(make_world, version, signing_meter=True, **settings)
    if how == "offline":
        world.offline()
    if how == "not accepted":
        m = world.csms.messages
        world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
            id_token_info=m.IdTokenInfoType(status="Blocked") if request.id_token else None
        )
    begin(world, "card first" if how == "card first" else "cable first")
    world.run(65)
    ENDINGS[ending](world)
    world.run(2)
    world.online()
    world.run(100)
    kinds: dict[str, int] = {}
    for event in events(world):
        for value, signed in signed_of(event):
            payload = verified(signed, signed.public_key)
            assert Decimal(str(payload["RD"][0]["RV"])) * 1000 == value
            assert payload["ID"] == "AA11" and payload["MS"] == "CS-1-1"
            kinds[event.event_type] = kinds.get(event.event_type, 0) + 1
    assert kinds == {"Started": 1, "Updated": 2, "Ended": 2}
    # What was changed on the way is noticed.
    value, signed = signed_of(events(world)[0])[0]
    data = base64.b64decode(signed.signed_meter_data).replace(b'"RV":0', b'"RV":1')
    signed.signed_meter_data = base64.b64encode(data).decode()
    with pytest.raises(InvalidSignature):
        verified(signed, signed.public_key)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("key", "told"), [("Never", 0), ("OncePerTransaction", 1), ("EveryMeterValue", 5)])
def test_the_key_goes_along_as_often_as_is_asked_for(make_world, version, key, told):
    world = make(make_world, version, signing_meter=True, sign_readings="true", sample_interval="30", public_key=key)
    begin(world)
    world.run(65)
    world.station.tap(1, "AA11")
    world.run(2)
    keys = [signed.public_key for event in events(world) for _, signed in signed_of(event)]
    assert len(keys) == 5 and len([each for each in keys if each]) == told
    if version == "2.0.1":
        assert None not in keys


@pytest.mark.parametrize("version", VERSIONS)
def test_what_need_not_be_signed_is_not(make_world, version):
    world = make(
        make_world,
        version,
        signing_meter=True,
        sign_readings="true",
        sign_started="false",
        sign_updated="false",
        sample_interval="30",
    )
    begin(world)
    world.run(65)
    world.station.tap(1, "AA11")
    world.run(2)
    assert [(e.event_type, signed is not None) for e in events(world) for _, signed in signed_of(e)] == [
        ("Started", False),
        ("Updated", False),
        ("Updated", False),
        ("Ended", True),
        ("Ended", True),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_aligned_registers_are_signed_where_that_is_asked_for(make_world, version):
    """J01.FR.21."""
    world = make(make_world, version, signing_meter=True, sign_aligned="true", aligned_interval="60")
    world.run(70)
    begin(world)
    world.run(60)
    [idle] = world.csms.heard("MeterValues")
    [running] = [e for e in events(world) if e.trigger_reason == "MeterValueClock"]
    for message in (idle, running):
        [(value, signed)] = signed_of(message)
        payload = verified(signed, world.station.signing.public_key(world.station.evses[0]))
        assert Decimal(str(payload["RD"][0]["RV"])) * 1000 == value
    assert not [s for e in events(world, "Started") for _, s in signed_of(e) if s]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_without_such_meters_has_none_of_it(make_world, version):
    world = make(make_world, version, sample_interval="30")
    begin(world)
    world.run(65)
    assert not [s for e in events(world) for _, s in signed_of(e) if s]
    m = world.csms.messages
    asked = m.GetVariableDataType(
        component=m.ComponentType(name="SampledDataCtrlr"), variable=m.VariableType(name="SignReadings")
    )
    world.csms.command("GetVariables", m.GetVariablesRequest(get_variable_data=[asked]))
    world.run(1)
    assert world.csms.answers[-1][1].get_variable_result[0].attribute_status == "UnknownVariable"
