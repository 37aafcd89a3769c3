"""What a station keeps, as the API tells it."""

from __future__ import annotations

from pilotwire.domain import kept, records

NOTHING = {
    "reservations": [],
    "monitoring": {"base": "", "level": None, "monitors": []},
    "streams": [],
    "display_messages": [],
    "local_list": None,
    "reports": [],
    "grid_controls": [],
    "grid_alarms": [],
    "grid_signal": None,
    "energy_transfers": [],
    "battery_swaps": [],
    "payments": [],
    "inventory": None,
}


async def test_a_station_that_keeps_nothing(api) -> None:
    assert (await api.get("/api/v1/stations/CP-A/kept")).json() == NOTHING
    assert (await api.get("/api/v1/stations/CP-Z/kept")).status_code == 404


async def test_all_that_a_station_may_keep(world, api) -> None:
    now = world.clock.now()
    place = kept.Place("EVSE", "Power", evse=1)
    held = kept.Kept(
        reservations=[
            kept.Reservation(id=1, token="A", made_at=now - 9, expires_at=now - 1),
            kept.Reservation(
                id=2, token="B", made_at=now, expires_at=now + 60_000, evse=2, status="used", session="s-1"
            ),
            kept.Reservation(id=3, token="C", made_at=now, expires_at=now + 60_000, status="expired", ended_at=now),
            kept.Reservation(id=4, token="D", made_at=now, expires_at=now + 60_000),
        ],
        monitors=[
            kept.Monitor(id=2, place=place, kind="Delta", value="5.5", severity=4),
            kept.Monitor(id=1, place=place, kind="Periodic", value="60", severity=8, origin="HardWiredMonitor"),
        ],
        monitoring_base="All",
        streams=[kept.Stream(id=3, monitor=2, interval_s=10, opened_at=now, told=12)],
        messages=[
            kept.Display(id=1, priority="InFront", content="Hello", language="en", more=(("UTF8", "de", "Hallo"),))
        ],
        controls=[kept.Control(id="c", kind="FreqDroop", setting='{"priority":1,"overFreq":50.20}', running=True)],
        alarms=["FreqDroop UnderFrequency"],
        signal=(now, 40),
        transfers={"tx-1": ("DC", "DC_BPT")},
        reports=[kept.Progress(kind="monitors", request_id=5, seen=[[0, 0], [2, 2]], last=2, at=now)],
        local_list=kept.ListAtStation(version=4, at=now, kind="Full", entries=2),
        inventory=kept.Inventory("1.0", now, "Accepted"),
        swaps=[
            kept.Swap(request_id=5, kind="BatteryIn", at=now, token="A", batteries=(kept.Battery(1, "B1", 125, 990),))
        ],
        payments=[kept.Payment(reference="p", status="Settled", amount="12.40", at=now)],
    )
    world.commit("CP-K", touched=(records.Station(tenant="default", id="CP-K", kept=held),))
    found = (await api.get("/api/v1/stations/CP-K/kept")).json()
    assert set(found) == set(NOTHING)
    assert [(one["id"], one["status"], one["evse"]) for one in found["reservations"]] == [
        (4, "waiting", None),
        (3, "no-show", None),
        (2, "used", 2),
        (1, "no-show", None),
    ]
    assert [(one["id"], one["value"], one["origin"]) for one in found["monitoring"]["monitors"]] == [
        (1, "60", "HardWiredMonitor"),
        (2, "5.5", "CustomMonitor"),
    ]
    (message,) = found["display_messages"]
    assert [(one["language"], one["content"]) for one in message["texts"]] == [("en", "Hello"), ("de", "Hallo")]
    assert found["grid_controls"][0]["setting"] == {"priority": 1, "overFreq": 50.2}
    assert [(one["complete"], one["missing"]) for one in found["reports"]] == [(False, [[1, 1]])]
    assert found["battery_swaps"][0]["batteries"][0]["soc_percent"] == 12.5
    assert found["payments"][0]["amount"] == "12.40" and found["local_list"]["entries"] == 2
    assert found["energy_transfers"] == [{"transaction": "tx-1", "modes": ["DC", "DC_BPT"]}]
