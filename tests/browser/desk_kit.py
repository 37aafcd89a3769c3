"""What the pages of the desk have to show: a session with everything in it, tokens, drivers, alarms."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.resources import drivers, groups, tariffs
from pilotwire.api.resources.firmware import FirmwareRecord
from pilotwire.api.resources.rollouts import MEMBER_KIND, RolloutRecord, count, member_id
from pilotwire.domain import facts, kept, records, rollouts
from pilotwire.domain.schedules.model import Period, Profile, Schedule
from pilotwire.storage import documents
from pilotwire.storage.port import Entry

MINUTE = 60_000
SESSION = "01kdvym0c0m5n0q8x2r4t6v8w0"
TOKEN = "04A1B2C3D4"
TOKENS = [
    (TOKEN, "Accepted", "FLEET-7", "Van 12"),
    ("04FF0012AB", "Blocked", "FLEET-7", "lost in June"),
    ("DE-ABC-C12345678-X", "Accepted", "", ""),
    ("04C0FFEE01", "Accepted", "FAMILY", "Kim"),
    ("04C0FFEE02", "Expired", "FAMILY", ""),
]


def _samples(begin: int, rng: random.Random) -> tuple[list[records.Sample], int, int]:
    """Readings of a DC session with a pause; (samples, Wh at the end, SoC at the end in 0.1 %)."""
    found: list[records.Sample] = []
    register, soc = 1_204_100.0, 18.0

    def add(at: int, measurand: str, value: float, unit: str, phase: str = "", location: str = "") -> None:
        context = {0: "Transaction.Begin", 90: "Transaction.End"}.get((at - begin) // 30_000, "Sample.Periodic")
        found.append(
            records.Sample(
                1, 1, at, measurand, round(value) * 1000, unit, phase=phase, location=location, context=context,
                session_id=SESSION,
            )
        )  # fmt: skip

    for step in range(91):
        at = begin + step * 30_000
        power = 0.0 if step < 3 or 40 <= step < 46 else min(30_000.0 * (step - 2), 140_000 * (1.25 - soc / 100))
        power *= 0.99 + 0.02 * rng.random()
        register += power / 120
        soc = min(81.5, soc + power / 92_400)
        add(at, "Energy.Active.Import.Register", register, "Wh")
        add(at, "Power.Active.Import", power, "W")
        add(at, "Power.Offered", 100_000 if step > 60 else 150_000, "W")
        add(at, "SoC", soc, "Percent", location="EV")
        for number, phase in enumerate(("L1", "L2", "L3")):
            add(at, "Current.Import", power / 692 + number, "A", phase)
            add(at, "Voltage", 231 - number - power / 37_500, "V", f"{phase}-N")
    return found, round(register), round(soc * 10)


def past_session(site: Any) -> records.Session:
    """A session of the past at DC-01 with curves, events, a fault, a lost connection and something odd; the
    clock goes on by so much, for a journal grows by time."""
    site.clock.run_for(100 * MINUTE)
    now = site.clock.now()
    begin, end = now - 95 * MINUTE, now - 50 * MINUTE
    samples, register, soc = _samples(begin, random.Random(4))
    session = records.Session(
        tenant="default", id=SESSION, station_id="DC-01", transaction="8f2c1b", ocpp_version="2.0.1", evse=1,
        connector=1, token=TOKEN, token_type="ISO14443", status="ended", started_at=begin, ended_at=end,
        received_at=begin, updated_at=end, meter_start_wh=1_204_100, meter_stop_wh=register,
        energy_wh=register - 1_204_100, soc=soc, stop_reason="SOCLimitReached", flags=["seq-gap", "started-offline"],
        seen=[[0, 40], [42, 90]],
    )  # fmt: skip

    def commit(at: int, *said: facts.AnyFact, **more: Any) -> None:
        entry = Entry(
            tenant="default", station="DC-01", recv_time=at, epoch=1, direction="in", facts=said, **more
        )  # fmt: skip
        site.store.append(entry)

    def update(at: int, trigger: str, state: str = "", **more: Any) -> None:
        commit(
            at, facts.SessionUpdated(event_time=at, session_id=SESSION, trigger=trigger, charging_state=state, **more)
        )

    shown = begin - 20_000
    commit(
        shown,
        facts.TokenPresented(event_time=shown, token=TOKEN, token_type="ISO14443", verdict="Accepted", evse=1),
    )
    commit(
        begin,
        facts.SessionStarted(
            event_time=begin, session_id=SESSION, transaction="8f2c1b", start_key="k", ocpp_version="2.0.1", evse=1,
            connector=1, token=TOKEN, trigger="CablePluggedIn", charging_state="EVConnected", offline=True,
        ),
        touched=(session,),
        samples=tuple(samples),
    )  # fmt: skip
    update(begin + 90_000, "ChargingStateChanged", "Charging")
    pause = begin + 20 * MINUTE
    update(pause, "ChargingStateChanged", "SuspendedEVSE")
    fault = facts.ConnectorStatusChanged(
        event_time=pause + 500, evse=1, connector=1, status="Faulted", error_code="HighTemperature"
    )
    commit(pause + 500, fault)
    commit(pause + MINUTE, facts.StationDisconnected(event_time=pause + MINUTE, code=1006))
    commit(pause + 2 * MINUTE, facts.StationConnected(event_time=pause + 2 * MINUTE, ocpp_version="2.0.1"))
    update(pause + 3 * MINUTE, "ChargingStateChanged", "Charging", offline=True)
    asked = facts.CommandRequested(
        event_time=begin + 31 * MINUTE, command_id="c9", action="SetChargingProfile", payload="{}", expires_at=0,
        by="ada",
    )  # fmt: skip
    commit(begin + 31 * MINUTE, asked)
    stopped = facts.SessionEnded(event_time=end, session_id=SESSION, reason="SOCLimitReached", trigger="StopAuthorized")
    commit(end, stopped)
    return session


IMAGE, ROLLOUT = "01kdvym0c0m5n0q8x2r4t6v8w1", "01kdvym0c0m5n0q8x2r4t6v8w2"
ROLLOVER = "01kdvym0c0m5n0q8x2r4t6v8w3"


async def firmware(site: Any) -> None:
    """An image, and a roll-out of it in its second stage."""
    now = site.clock.now()
    image = FirmwareRecord(
        version="3.2.0", vendor="Nordlicht", name="3.2.0.bin", note="meter values at the end",
        certificate="PEM", signature="MEUCIQDk", signed_by="CN=Nordlicht firmware", size=48_300_112, sha256="9a" * 32,
        md5="7c" * 16, created_at=now - 300 * MINUTE, created_by="ada",
    )  # fmt: skip
    states = ["installed", "installed", "installed", "updating", "waiting", *["pending"] * 25]
    members = [
        rollouts.Member(
            station=f"DC-{number:02d}", number=number, state=state, stage=0 if state == "pending" else 1 + (number > 0),
            changed_at=0 if state == "pending" else now - 20 * MINUTE, chosen_at=now - 40 * MINUTE,
            why="a session runs" if state == "waiting" else "",
        )
        for number, state in enumerate(states)
    ]  # fmt: skip
    record = RolloutRecord(
        firmware=IMAGE, version="3.2.0", title="Nordlicht 3.2.0", reason="meter values at the end of sessions",
        by="ada", role="operator", stage=2, filled=2, total=len(members), created_at=now - 200 * MINUTE,
    )  # fmt: skip
    count(record, members)
    changes = [
        documents.put("firmware", IMAGE, image, sort=documents.sort_time(image.created_at)),
        documents.put("rollout", ROLLOUT, record, sort=documents.sort_time(record.created_at)),
        *(documents.put(MEMBER_KIND, key, one, sort=key)
          for one in members for key in (member_id(ROLLOUT, one.number),)),
    ]  # fmt: skip
    await site.store.write_documents("default", changes)


async def rollover(site: Any) -> None:
    """New certificates for thirty stations, of which one did not take its own."""
    now = site.clock.now()
    states = ["installed", "installed", "refused", "installed", *["pending"] * 26]
    members = [
        rollouts.Member(
            station=f"DC-{number:02d}", number=number, state=state, stage=0 if state == "pending" else 1 + (number > 0),
            changed_at=0 if state == "pending" else now - 20 * MINUTE, chosen_at=now - 40 * MINUTE,
            why="the key is not the one that was asked for" if state == "refused" else "",
        )
        for number, state in enumerate(states)
    ]  # fmt: skip
    record = RolloutRecord(
        kind="certificates", title="Certificate roll-over", reason="a new sub-authority", by="ada", role="operator",
        status="stopped", by_itself=True, why="1 of 4 stations failed or fell silent, more than 1 %", stage=2,
        filled=2, total=len(members), created_at=now - 60 * MINUTE, ended_at=now - 20 * MINUTE,
    )  # fmt: skip
    count(record, members)
    changes = [
        documents.put("rollout", ROLLOVER, record, sort=documents.sort_time(record.created_at)),
        *(documents.put(MEMBER_KIND, key, one, sort=key)
          for one in members for key in (member_id(ROLLOVER, one.number),)),
    ]  # fmt: skip
    await site.store.write_documents("default", changes)


async def prices(site: Any) -> None:
    """A tariff by energy that asks for idle time, in all places, and one at night at a site."""
    tax = [{"type": "VAT", "tax": "19"}]
    idle = {"prices": [{"priceMinute": "0.1", "conditions": {"minIdleTime": 600}}], "taxRates": tax}
    night = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}
    cheaper = [{"priceKwh": "0.24", "conditions": night}, {"priceKwh": "0.39"}]
    for name, title, energy in (
        ("standard", "Standard", [{"priceKwh": "0.39"}]),
        ("night", "Cheaper at night", cheaper),
    ):
        terms = {"currency": "EUR", "energy": {"prices": energy, "taxRates": tax}, "idleTime": idle}
        new = msgspec.convert({"id": name, "name": title, "terms": terms}, types.NewTariff)
        await tariffs.create(site.context, system("default"), new)
    for assignment in (
        types.NewTariffAssignment(tariff_id="standard", scope="all"),
        types.NewTariffAssignment(tariff_id="night", scope="site", target="north"),
    ):
        await tariffs.assign(site.context, system("default"), assignment)


def limits(site: Any) -> None:
    """DC-01 has a ceiling and, for an hour, less."""
    now = site.clock.now()
    site.stations["DC-01"].charging = records.Charging(
        profiles=[
            Profile(
                id=1, evse=0, stack=0, purpose="ChargingStationMaxProfile", kind="Absolute", installed=now,
                schedules=(Schedule(unit="W", start=now, periods=(Period(start_ms=0, limit=120_000_000),)),),
            ),
            Profile(
                id=7, evse=1, stack=2, purpose="TxDefaultProfile", kind="Absolute", installed=now,
                schedules=(
                    Schedule(
                        unit="W", start=now - 20 * MINUTE, duration_ms=300 * MINUTE,
                        periods=(
                            Period(start_ms=0, limit=90_000_000), Period(start_ms=60 * MINUTE, limit=40_000_000),
                            Period(start_ms=150 * MINUTE, limit=75_000_000),
                        ),
                    ),
                ),
            ),
        ],
    )  # fmt: skip


def things_kept(site: Any) -> None:
    """DC-01 keeps one of everything, and three reservations."""
    now = site.clock.now()
    power = kept.Place("EVSE", "Power", evse=1)
    setting = '{"priority":1,"overFreq":50.2,"underFreq":49.8,"overDroop":5,"underDroop":5,"responseTime":1}'
    site.stations["DC-01"].kept = kept.Kept(
        reservations=[
            kept.Reservation(id=12, token="04FF0012AB", made_at=now - 90 * MINUTE, expires_at=now - 60 * MINUTE),
            kept.Reservation(
                id=13, token=TOKEN, evse=1, made_at=now - 100 * MINUTE, expires_at=now - 80 * MINUTE, status="used",
                ended_at=now - 95 * MINUTE, session=SESSION,
            ),
            kept.Reservation(id=14, token="04C0FFEE01", evse=2, made_at=now - 4 * MINUTE, expires_at=now + 86 * MINUTE),
        ],
        monitors=[
            kept.Monitor(id=1, place=power, kind="UpperThreshold", value="140000", severity=3),
            kept.Monitor(id=2, place=power, kind="Periodic", value="60", severity=8, origin="PreconfiguredMonitor"),
        ],
        monitoring_base="All",
        monitoring_level=6,
        streams=[kept.Stream(id=1, monitor=2, interval_s=60, opened_at=now - 80 * MINUTE, last_at=now, told=80)],
        messages=[
            kept.Display(
                id=1, priority="NormalCycle", content="Have a good trip", language="en", state="Idle",
                more=(("UTF8", "de", "Gute Fahrt"),),
            )
        ],
        controls=[
            kept.Control(id="droop-1", kind="FreqDroop", priority=1, starts_at=now, setting=setting, running=True)
        ],
        alarms=["FreqDroop UnderFrequency"],
        signal=(now, 40),
        transfers={"8f2c1b": ("DC", "DC_BPT")},
        reports=[kept.Progress(kind="monitors", request_id=5, seen=[[0, 2]], last=2, at=now - 85 * MINUTE)],
        local_list=kept.ListAtStation(version=4, at=now - 300 * MINUTE, kind="Full", entries=120),
        inventory=kept.Inventory("3.1.0", now - 299 * MINUTE, "Accepted"),
        swaps=[
            kept.Swap(request_id=5, kind="BatteryIn", at=now, token=TOKEN, batteries=(kept.Battery(1, "B1", 125, 990),))
        ],
        payments=[
            kept.Payment(
                reference="psp-81f2", status="Settled", amount="12.40", at=now - 48 * MINUTE, transaction="8f2c1b",
                receipt="R-2291",
            )
        ],
    )  # fmt: skip
    site.commit("DC-01")


async def people_with_tokens(site: Any) -> None:
    """Tokens, two groups (one of them named) and two drivers."""
    for number, (token, status, group, note) in enumerate(TOKENS):
        record = records.Token(
            tenant="default", token=token, status=status, parent=group, note=note,
            type="eMAID" if token.startswith("DE") else "ISO14443", created_at=site.clock.now() - number * 86_400_000,
        )  # fmt: skip
        await site.store.put_token(record)
    desk = system("default")
    kim = types.NewDriver(name="Kim Example", email="kim@example.com", language="de", tokens=["04C0FFEE01"])
    await drivers.create(site.context, desk, kim)
    await drivers.create(site.context, desk, types.NewDriver(name="Noor Sample", tokens=[TOKEN]))
    await groups.create(site.context, desk, types.NewGroup(id="FLEET-7", name="Fleet North"))


async def ask(page: Any, path: str) -> Any:
    """The API's own answer to whoever is logged in."""
    origin = "/".join(page.url.split("/", 3)[:3])
    answer = await page.request.get(origin + path)
    assert answer.ok, f"{path}: {answer.status}"
    return await answer.json()


async def refused(page: Any, path: str, **form: str) -> int:
    """What posting a form without the page's offering it is answered."""
    origin = "/".join(page.url.split("/", 3)[:3])
    answer = await page.request.post(origin + path, form=form, headers={"Origin": origin}, max_redirects=0)
    return answer.status
