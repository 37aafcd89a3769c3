"""A start with a limit, from who asks for it to the contactor of the station and back (2.1 E16, F07)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.twin.shop_kit import ENERGY, Shop

from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE


@pytest.mark.parametrize(
    ("limit", "held"),
    [
        ({"max_energy_wh": 1000}, "maxEnergy"),
        ({"max_time_s": 300}, "maxTime"),
        ({"max_cost": 0.25}, "maxCost"),
        ({"max_energy_wh": 1000, "max_time_s": 3600, "max_cost": 100}, "maxEnergy"),
    ],
)
@pytest.mark.parametrize("local", [True, False], ids=["priced there", "priced here"])
def test_a_session_goes_as_far_as_it_was_begun_for(limit: dict[str, Any], held: str, local: bool) -> None:
    """Also where the central system is another process by the time the car comes."""
    shop = Shop()
    shop.tariff("t", ENERGY)
    shop.assign("t")
    own = {} if local else {"tariff_available": "false", "tariff_enabled": "false"}
    station = shop.station("2.1", sample_interval="30", **own)
    assert shop.ask("start", {"token": "AA11", "evse": 1, **limit}).answer == {"status": "Accepted"}
    shop.again()
    shop.run(15)
    station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
    shop.run(60)
    assert station.evses[0].meter.power_mw > 0
    shop.run(1200)
    evse = station.evses[0]
    assert (evse.phase, evse.meter.power_mw) == ("SuspendedEVSE", 0) and evse.session is not None
    (session,) = shop.sessions()
    taken = evse.meter.register_wh - evse.session.register_start
    if held == "maxEnergy":
        assert taken == 1000
    elif held == "maxTime":
        assert 800 < taken < 950  # five minutes at 11 kW
    else:
        # At the station to the cent; by what it is told from here every 30 s with a reading's grain.
        cost = Decimal(taken) / 1000 * Decimal("0.39") * Decimal("1.19")
        assert Decimal("0.24") <= cost <= Decimal("0.25" if local else "0.31"), cost
    assert session.status == "active" and session.bill is not None and session.bill.local is local
