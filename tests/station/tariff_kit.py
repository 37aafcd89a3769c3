"""What the tests of tariffs share: stations that are ready, commands, sessions."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.station.config import EvseConfig

TWO = (EvseConfig(), EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000))
ENERGY = {"prices": [{"priceKwh": 0.4}], "taxRates": [{"type": "VAT", "tax": 19}]}
FULL = {
    "energy": {
        "prices": [
            {"priceKwh": 0.55, "conditions": {"startTimeOfDay": "00:20", "endTimeOfDay": "01:00"}},
            {"priceKwh": 0.35},
        ],
        "taxRates": [{"type": "VAT", "tax": 19}],
    },
    "chargingTime": {"prices": [{"priceMinute": 0.02}]},
    "idleTime": {"prices": [{"priceMinute": 0.1, "conditions": {"minIdleTime": 120}}]},
    "fixedFee": {"prices": [{"priceFixed": 1, "conditions": {"evseKind": "DC"}}, {"priceFixed": 0.5}]},
}


def ready(make_world, version="2.1", **more):
    world = make_world(version, evses=more.pop("evses", TWO), **more)
    world.station.power_on()
    world.run(5)
    return world


def tariff(world: Any, id_: str = "T1", *, currency: str = "EUR", **parts: Any) -> Any:
    text = msgspec.json.encode({"tariffId": id_, "currency": currency, **(parts or {"energy": ENERGY})})
    return msgspec.json.decode(text, type=world.csms.messages.TariffType)


def ask(world: Any, action: str, **fields: Any) -> Any:
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def install(world: Any, id_: str = "T1", evse: int = 0, **parts: Any) -> str:
    return ask(world, "SetDefaultTariff", evse_id=evse, tariff=tariff(world, id_, **parts)).status


def events(world, kind=None):
    return [e for e in world.csms.heard("TransactionEvent") if kind in (None, e.event_type)]


def charge(world, minutes, *, evse=1, token="AA11", kind="compact three-phase 11 kW"):
    world.station.plug(evse, world.car(kind))
    world.station.tap(evse, token)
    world.run(minutes * 60)


def stop(world, evse=1, token="AA11"):
    world.station.tap(evse, token)
    world.run(5)
    return events(world, "Ended")[-1]
