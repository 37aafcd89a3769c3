"""Bits that fall over on the way, at both ends and at any message: never an exception, always an end, always off."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from tests.protocols.iso15118.v2g_world import ScriptedCar, ScriptedStation, World, said

from pilotwire.core.ev_link import Contacts, ContactsAsked, Halt, Parted
from pilotwire.core.evse_link import Ended
from pilotwire.protocols.iso15118.v2gtp import SAP, Frame

ROUNDS = 150


def mangled(random: Random, payload: bytes) -> bytes:
    """Truncated, flipped, padded or replaced."""
    kind = random.randrange(4)
    if kind == 0:
        return payload[: random.randrange(len(payload))]
    if kind == 1:
        return payload + random.randbytes(random.randrange(1, 9))
    if kind == 2:
        return b"\x80" + random.randbytes(random.randrange(1, 60))
    found = bytearray(payload)
    for _ in range(random.randrange(1, 4)):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def recorded(dialect: str, service: str) -> tuple[list[bytes], list[bytes]]:
    """The payloads of a whole session: the vehicle's, the station's."""
    world = World(dialect, service)
    requests: list[bytes] = []
    answers: list[bytes] = []
    to_car, to_station = world._to_car, world._to_station
    world.secc._send = lambda frame: (answers.append(frame.payload), to_car(frame))
    world.evcc._send = lambda frame: (requests.append(frame.payload), to_station(frame))
    world.begin(4_000)
    world.evcc.command(Halt())
    world.run()
    assert world.ended.ok and len(requests) == len(answers) > 12
    return requests, answers


CASES = [("iso2", "DC"), ("iso2", "AC"), ("din", "DC")]


@pytest.mark.parametrize(("dialect", "service"), CASES)
def test_a_station_survives_any_request(dialect: str, service: str) -> None:
    random, (requests, _) = Random(11), recorded(dialect, service)
    kinds = set[str]()
    for _ in range(ROUNDS):
        station = ScriptedStation(dialect, services=(service,))
        broken = random.randrange(len(requests))
        for place, payload in enumerate(requests):
            station.send(mangled(random, payload) if place == broken else payload)
        station.wait(400_000)
        ended = said(station.all, Ended)
        assert len(ended) == 1 and station.is_off() and station.evse.deadline is None
        kinds.add(ended[0].reason.split(" ")[0])
        assert station.send(payload) is None
    assert len(kinds) > 2


@pytest.mark.parametrize(("dialect", "service"), CASES)
def test_a_vehicle_survives_any_answer(dialect: str, service: str) -> None:
    random, (_, answers) = Random(12), recorded(dialect, service)
    for _ in range(ROUNDS):
        car = ScriptedCar(dialect, services=(service,))
        car.start()
        broken, place = random.randrange(len(answers)), 0
        while place < len(answers) and not car.ev.over:
            if not car.ev.asked:
                car.wait((car.ev.deadline or car.now) - car.now)
                continue
            payload = answers[place]
            car.send(mangled(random, payload) if place == broken else payload)
            place += 1
        car.wait(400_000)
        assert len(said(car.all, Parted)) == 1 and car.ev.deadline is None
        asked = said(car.all, ContactsAsked)
        assert not asked or not asked[-1].closed


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_requests_in_a_random_order(dialect: str) -> None:
    random, (requests, _) = Random(13), recorded(dialect, "DC")
    for _ in range(ROUNDS):
        station = ScriptedStation(dialect)
        for payload in random.sample(requests, len(requests)):
            station.send(payload)
        assert station.evse.over and station.is_off() and not said(station.all, Ended)[0].ok


def test_commands_at_any_time_raise_nothing() -> None:
    """Every command of the seam in every state, before the first and behind the last message too."""
    from tests.protocols.iso15118.iso2.iso2_script import WAYS, at

    from pilotwire.core import evse_link

    plain: list[Any] = [
        evse_link.Offer(max_ma=1), evse_link.Authorize(accepted=True), evse_link.Isolation("fault"),
        evse_link.Locked(True), evse_link.Contactor(True), evse_link.Measured(), evse_link.Certificate(),
        evse_link.Schedule(points=((0, 1),)), evse_link.ReceiptWanted(), evse_link.Pause(), evse_link.Resume(),
        evse_link.Renegotiate(),
    ]  # fmt: skip
    plain.append(object())  # what is for other protocols is passed over
    for state in WAYS:
        station = at(state)
        for command in plain:
            station.command(command)
        assert not station.evse.over and isinstance(station.evse.deadline, int | None)
        station.command(evse_link.Fault(code="OverVoltage", by="evse"))
        assert station.is_off()
        station.wait(100_000)
        assert station.evse.over
        for command in plain:
            assert not station.evse.command(command, station.now)


def test_frames_behind_the_end_are_counted() -> None:
    car = ScriptedCar()
    car.start()
    car.wait(3_000)
    assert car.ev.over
    assert not car.ev.receive(Frame(SAP, b""), car.now) and car.ev.bad == 1
    assert not car.ev.command(Contacts(True), car.now) and not car.ev.lost(car.now)
