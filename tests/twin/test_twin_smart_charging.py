"""What the central system expects of a station by the charging profiles that it has accepted, and what the real station
program does by them, in simulated time: the same profiles, the same schedule, never more power."""

from __future__ import annotations

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.charging import transactions_of
from pilotwire.domain.charging_fold import store_of
from pilotwire.domain.facts import CompositeScheduleDiffered
from pilotwire.domain.schedules.engine import Engine
from pilotwire.domain.schedules.model import Circumstances
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

_spec = importlib.util.spec_from_file_location("twin_costs", Path(__file__).with_name("test_twin_costs.py"))
assert _spec is not None and _spec.loader is not None
twin = sys.modules.setdefault("twin_costs", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(twin)

KEY = StationKey(DEFAULT_TENANT, "CS-1")
CARS = ("compact three-phase 11 kW", "sedan three-phase 11 kW 400 V")


def drawn(random: Random, version: str, at: int, number: int, transaction: str) -> dict[str, Any]:
    """A SetChargingProfile, that the station may also refuse."""
    old = version == "1.6"
    purpose = random.choice(("ChargingStationMaxProfile", "TxDefaultProfile", "TxDefaultProfile", "TxProfile"))
    kinds = (
        ("Absolute", "Recurring") if purpose == "ChargingStationMaxProfile" else ("Absolute", "Recurring", "Relative")
    )
    kind = random.choice(kinds)
    evse = 0 if purpose == "ChargingStationMaxProfile" else 1 if purpose == "TxProfile" else random.randint(0, 1)
    unit = random.choice("AW")
    starts = [0, *sorted(random.sample(range(60, 3000, 30), random.randint(0, 4)))]
    periods = [
        {"startPeriod": start, "limit": random.randint(0, 200) / 10 if unit == "A" else random.randint(0, 14000)}
        | ({"numberPhases": random.choice((1, 3))} if random.random() < 0.3 else {})
        for start in starts
    ]
    schedule: dict[str, Any] = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    if random.random() < 0.5:
        schedule["duration"] = random.randint(300, 4000)
    if kind != "Relative":
        schedule["startSchedule"] = to_rfc3339(at + random.randint(-1800, 900) * 1000)
    if not old:
        schedule["id"] = number
    body: dict[str, Any] = {
        "chargingProfileId" if old else "id": number,
        "stackLevel": random.randint(0, 5),
        "chargingProfilePurpose": "ChargePointMaxProfile" if old and not evse and purpose[0] == "C" else purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule if old else [schedule],
    }
    if kind == "Recurring":
        body["recurrencyKind"] = random.choice(("Daily", "Weekly"))
    if purpose == "TxProfile":
        body["transactionId"] = int(transaction) if old else transaction
    if random.random() < 0.2:
        body["validTo"] = to_rfc3339(at + random.randint(300, 3000) * 1000)
    return {"connectorId": evse, "csChargingProfiles": body} if old else {"evseId": evse, "chargingProfile": body}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
@pytest.mark.parametrize("seed", range(5))
def test_the_station_does_what_the_central_system_expects(version: str, seed: int) -> None:
    random = Random(f"{version} {seed}")
    shop = twin.Shop(seed)
    station = shop.station(version, EvseConfig(), EvseConfig(), sample_interval="300")
    for evse in (1, 2):
        station.plug(evse, Vehicle(CATALOGUE[random.choice(CARS)], 100))
        station.tap(evse, ("AA11", "BB22")[evse - 1])
    shop.run(30)
    transaction = next(one.transaction for one in shop.sessions() if one.evse == 1)
    accepted = 0
    for number in range(1, 11):
        payload = drawn(random, version, shop.clock.now(), number, transaction)
        reply = shop.ask("SetChargingProfile", payload)
        # Two of one level at the same time are not even sent.
        assert reply.outcome in ("answered", "refused") or "has that stackLevel" in str(reply.answer), reply
        accepted += reply.answer.get("status") == "Accepted"
        if random.random() < 0.1:
            name = "id" if version == "1.6" else "chargingProfileId"
            assert shop.ask("ClearChargingProfile", {name: random.randint(1, number)}).outcome == "answered"
        if number == 6:
            shop.again()  # it is known from the store as well
            shop.run(60)
    assert accepted >= 4
    state = shop.csms.actor(KEY).known()
    charging = station.smart_charging
    known = {profile.id: profile for profile in store_of(state.station)}
    assert sorted(known) == sorted(profile.id for profile in charging.store)
    for profile in charging.store:
        ours = known[profile.id]
        assert (ours.evse, ours.stack, ours.purpose, ours.kind) == (
            profile.evse, profile.stack, profile.purpose, profile.kind,
        )  # fmt: skip
        assert ours.schedules == profile.schedules
    engine = Engine(tuple(known.values()))
    for _ in range(12):
        shop.run(random.randint(60, 400))
        now = shop.clock.now()
        around = Circumstances(places=charging.around().places, transactions=transactions_of(state))
        for evse in (1, 2):
            limits = charging.limits(station.evse(evse), now)
            assert engine.limits_at(now, evse=evse, around=around)[:3] == limits[:3]
            theirs = charging.composite(evse, "W", now, 1800)
            expected = engine.composite(now=now, duration_ms=1_800_000, evse=evse, unit="W", around=around)
            assert theirs.intervals == expected.intervals
            meter = station.evse(evse).meter
            cap = expected.intervals[0].limit
            # The current is held exactly; the voltage of the grid is a little off the nominal one.
            assert cap is None or meter.power_mw <= cap * 1.005 + 1000, (evse, meter.power_mw, cap)
        asked = {"connectorId" if version == "1.6" else "evseId": random.randint(0, 2), "duration": 1800}
        asked["chargingRateUnit"] = random.choice("AW")
        assert shop.ask("GetCompositeSchedule", asked).outcome == "answered"
    assert shop.facts(CompositeScheduleDiffered) == []


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_station_whose_firmware_errs_is_found_out(version: str) -> None:
    """It takes a profile and forgets it: what it then says of its schedule is more than it may draw."""
    shop = twin.Shop()
    station = shop.station(version, EvseConfig())
    body: dict[str, Any] = {
        "chargingProfileId" if version == "1.6" else "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
    }
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": to_rfc3339(shop.clock.now()),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}],
    }
    if version == "1.6":
        asked = {"connectorId": 1, "csChargingProfiles": body | {"chargingSchedule": schedule}}
    else:
        asked = {"evseId": 1, "chargingProfile": body | {"chargingSchedule": [{"id": 1, **schedule}]}}
    assert shop.ask("SetChargingProfile", asked).answer["status"] == "Accepted"
    place = {"connectorId" if version == "1.6" else "evseId": 1, "duration": 600, "chargingRateUnit": "A"}
    assert shop.ask("GetCompositeSchedule", place).outcome == "answered"
    assert shop.facts(CompositeScheduleDiffered) == []
    station.smart_charging.store.remove(lambda profile: True)
    assert shop.ask("GetCompositeSchedule", place).outcome == "answered"
    [differed] = shop.facts(CompositeScheduleDiffered)
    assert (differed.why, differed.evse) == ("above", 1)
    assert differed.expected[0].limit == 8000 < (differed.answered[0].limit or Decimal("Infinity"))
