"""What sessions cost, what stations hold of tariffs, and the tariffs themselves, on all three stores."""

from __future__ import annotations

from decimal import Decimal

from storage_kit import KEY, appended, entry, looked_up, session

from pilotwire.domain.facts import SessionCostDiffered, SessionTariffSet
from pilotwire.domain.records import Pricing, Station
from pilotwire.domain.tariffs import bill as bills
from pilotwire.domain.tariffs import model
from pilotwire.domain.tariffs.bill import Bill, Step, Told
from pilotwire.domain.tariffs.book import ASSIGNMENT, TARIFF, AssignmentRecord, TariffRecord, assignment_id
from pilotwire.domain.tariffs.costing import Mark
from pilotwire.storage.documents import put, unpack
from pilotwire.storage.port import Store

T1 = model.decode(
    b'{"tariffId": "t.1", "currency": "EUR", "energy": {"prices": [{"priceKwh": 0.123456, "conditions": '
    b'{"startTimeOfDay": "22:00"}}, {"priceKwh": 0.39}], "taxRates": [{"type": "VAT", "tax": 7.7}]}}'
)


async def test_a_running_bill_goes_on_where_it_was(store: Store) -> None:
    bill = Bill(tariff_id="t.1", currency="EUR", why="station", local=True, zone="Europe/Berlin")
    bills.begin_at(bill, T1, Mark(1_767_268_800_000, 1000), 0, "Charging")
    bills.feed(bill, Step(1, 1_767_268_860_000, "Charging", ((1_767_268_860_000, 1777),), 11_000))
    bills.feed(bill, Step(3, 1_767_268_980_000, "", ((1_767_268_980_000, 3001),), 9_000))  # 2 is missing
    bill.told = Told("EUR", incl_tax=Decimal("0.33"))
    bill.offered = [T1]
    kept = session("s1", status="active", bill=bill)
    said = SessionTariffSet(event_time=5, session_id="s1", tariff=T1, why="station", begins=True, local=True, seq_no=0)
    differed = SessionCostDiffered(
        event_time=9, session_id="s1", tariff_id="t.1", currency="EUR", expected="1.20", told="1.21"
    )
    station = Station(
        tenant=KEY.tenant, id=KEY.station, pricing=Pricing(zone="", kinds={2: "DC"}, shows=True, tariffs={0: [T1]})
    )
    await appended(store, entry(facts=(said, differed), touched=(kept, station)))
    image = await looked_up(lambda done: store.load_station(KEY, done))
    [again] = image.sessions
    assert again.bill == bill and image.station is not None and image.station.pricing == station.pricing
    assert [row.facts async for row in store.journal()] == [(said, differed)]
    # The same message ends both in the same cost.
    for one in (bill, again.bill):
        assert one is not None and not one.complete
        bills.feed(one, Step(2, 1_767_268_920_000, "", ((1_767_268_920_000, 2400),), 9_500))
    assert again.bill == bill and bill.complete and bill.amount == Decimal("0.84")


async def test_tariffs_and_who_has_them_are_documents(store: Store) -> None:
    record = TariffRecord(name="Standard", revisions=[T1], created_at=1, updated_at=2)
    given = AssignmentRecord(tariff="t", scope="token", target="AA11")
    name = assignment_id("token", "AA11", 0)
    assert name == assignment_id("token", "aa11", 0)
    await store.write_documents("default", [put(TARIFF, "t", record), put(ASSIGNMENT, name, given)])
    found = await store.document("default", TARIFF, "t")
    assert found is not None and unpack(found, TariffRecord).value == record
    [assigned] = (await store.documents("default", ASSIGNMENT)).items
    assert (assigned.id, unpack(assigned, AssignmentRecord).value) == (name, given)
    assert (await store.documents("other", TARIFF)).items == []
