"""A large installation, made up: sites, stations, tokens, a year of sessions, meter values of the newest.

    python -m bench dataset [--stations 10000] [--sessions 1000000] [--data DIR] [--seed 7]

The same seed, counts and end give the same data. Sessions older than a day are written in bulk, as projections without
the journal behind them (what is left of an installation after its journal was thinned); those of the last day and the
running ones go the store's own way: facts, journal, samples, projections. `DIR/api-key` holds an API key for it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pilotwire.core.ids import DEFAULT_TENANT, encode_id
from pilotwire.domain import facts, records
from pilotwire.storage.codec import encode
from pilotwire.storage.documents import put
from pilotwire.storage.open import open_store
from pilotwire.storage.port import Entry
from pilotwire.storage.session_list import COLUMNS, columns_of
from pilotwire.storage.sqlite import SqliteStore

HOUR = 3_600_000
DAY = 24 * HOUR
YEAR = 365 * DAY
SAMPLED_EVERY = 5 * 60_000


class Make(NamedTuple):
    """A model as the market has it: which versions it speaks and what it can deliver."""

    vendor: str
    model: str
    versions: tuple[str, ...]
    firmwares: tuple[str, ...]
    power_w: int
    connectors: int
    share: int


MAKES = (
    Make("Voltwerk", "Wall 22", ("1.6",), ("1.4.2", "1.4.9", "1.5.0"), 22_000, 1, 30),
    Make("Voltwerk", "Column 150", ("1.6", "2.0.1"), ("3.1.0", "3.2.1"), 150_000, 2, 14),
    Make("Elbstrom", "Twin 22", ("1.6",), ("2.0.11", "2.1.0"), 22_000, 2, 26),
    Make("Elbstrom", "Hub 300", ("2.0.1",), ("5.0.3",), 300_000, 2, 6),
    Make("Nordlade", "City", ("1.6", "2.0.1"), ("7.8", "8.0", "8.1"), 11_000, 2, 16),
    Make("Ampère & Fils", "Rapide 60", ("2.0.1", "2.1"), ("1.0.0-rc4", "1.0.2"), 60_000, 2, 8),
)
REASONS = (("EVDisconnected", 52), ("Local", 21), ("Remote", 17), ("EmergencyStop", 1), ("PowerLoss", 2), ("Other", 7))
FLAGS = ("started-offline", "seq-gap", "meter-went-back", "no-start", "clock-1970")
BY_HOUR = (2, 1, 1, 1, 1, 3, 8, 14, 16, 13, 11, 11, 12, 11, 11, 12, 14, 17, 18, 15, 11, 8, 5, 3)
CITIES = ("Lübeck", "Kiel", "Hamburg", "Bremen", "Münster", "Köln", "Jena", "Łódź", "Malmö", "Aarhus", "Gent", "Lyon")
KINDS = ("car park", "depot", "office", "market", "station square", "motorway stop", "housing", "hotel")


class Made(NamedTuple):
    """What a data set holds."""

    stations: int
    sessions: int
    samples: int
    sites: int
    tokens: int
    seconds: float
    key: str


class _Place:
    """A connector: what it can do, and until when it is taken."""

    __slots__ = ("busy", "connector", "evse", "make", "register", "session", "station", "version")

    def __init__(self, station: str, evse: int, connector: int, make: Make, version: str) -> None:
        self.station, self.evse, self.connector, self.make, self.version = station, evse, connector, make, version
        self.busy = 0
        self.register = 0
        self.session = ""


class _World:
    """The installation, drawn from a seed."""

    def __init__(self, stations: int, seed: int, end: int) -> None:
        self.chance = random.Random(seed)
        self.end = end
        self.sites = [f"site-{number:04d}" for number in range(max(1, stations // 25))]
        self.tokens = [f"{self.chance.getrandbits(56):014X}" for _ in range(max(50, stations * 2))]
        self.station_site: dict[str, str] = {}
        self.makes: dict[str, tuple[Make, str, str]] = {}
        self.places: list[_Place] = []
        for number in range(stations):
            name = f"CP-{number:05d}"
            make = self.chance.choices(MAKES, [one.share for one in MAKES])[0]
            version = self.chance.choice(make.versions)
            self.makes[name] = (make, version, self.chance.choice(make.firmwares))
            self.station_site[name] = self.sites[min(len(self.sites) - 1, int(self.chance.paretovariate(1.1)) - 1)] if (
                self.chance.random() < 0.15
            ) else self.chance.choice(self.sites)  # fmt: skip
            for place in range(make.connectors):
                self.places.append(_Place(name, place + 1, 1, make, version))

    def token(self) -> str:
        """Few people charge often, many now and then."""
        return self.tokens[int(len(self.tokens) * self.chance.random() ** 3)]

    def sessions(self, count: int) -> Iterator[records.Session]:
        """Sessions of a year in order of their start; none overlaps with another on its connector."""
        chance, end = self.chance, self.end
        days = 365
        weights = [0.6 + 0.8 * day / days + (0.25 if day % 7 < 5 else 0) for day in range(days)]
        scale = count / sum(weights)
        made, owed = 0, 0.0
        for day, weight in enumerate(weights):
            owed += weight * scale
            today = count - made if day == days - 1 else int(owed) - made
            begin = end - YEAR + day * DAY
            hours = chance.choices(range(24), BY_HOUR, k=today)
            starts = sorted(begin + hour * HOUR + int(chance.random() * HOUR) for hour in hours)
            for started in starts:
                made += 1
                yield self._session(min(started, end - 60_000))

    def _session(self, started: int) -> records.Session:
        chance = self.chance
        place = chance.choice(self.places)
        for _ in range(20):
            if place.busy < started:
                break
            place = chance.choice(self.places)
        power, fast = place.make.power_w, place.make.power_w >= 50_000
        energy = int(min(95_000, max(300, chance.lognormvariate(math.log(26_000 if fast else 14_000), 0.55))))
        rate = min(power, 130_000 if fast else 11_000) * chance.uniform(0.45, 0.9)
        charging = int(energy / rate * HOUR)
        ended = max(started + charging, place.busy) + int(chance.expovariate(1 / (240_000 if fast else 3_600_000)))
        place.busy = ended + 60_000
        name = encode_id(started, chance.getrandbits(80))
        before = place.register
        flags = [chance.choice(FLAGS)] if chance.random() < 0.02 else []
        common: dict[str, Any] = {
            "tenant": DEFAULT_TENANT, "id": name, "station_id": place.station, "ocpp_version": place.version,
            "transaction": str(chance.getrandbits(31)) if place.version == "1.6" else name[:20],
            "start_key": f"{place.evse}/{started}", "evse": place.evse, "connector": place.connector,
            "token": self.token() if chance.random() < 0.97 else "", "token_type": "ISO14443", "started_at": started,
            "received_at": started + 300, "meter_start_wh": before, "reported_start": started, "flags": flags,
        }  # fmt: skip
        soc = chance.randrange(80, 700) if fast else None
        if ended >= self.end:
            share = min(1.0, (self.end - started) / max(1, charging))
            delivered = int(energy * share)
            place.register += delivered
            place.session = name
            return records.Session(
                **common, status="active", updated_at=self.end - chance.randrange(60_000), energy_wh=delivered,
                power_w=int(rate) if share < 1 else 0, soc=None if soc is None else soc + int(share * 200),
                charging_state="Charging" if share < 1 else "SuspendedEV", latest_event=self.end,
                last=records.Register(self.end, before + delivered),
            )  # fmt: skip
        place.register += energy
        return records.Session(
            **common, status="ended", ended_at=ended, updated_at=ended, meter_stop_wh=place.register, energy_wh=energy,
            soc=None if soc is None else min(1000, soc + 200), stop_reason=_weighted(chance, REASONS),
            reported_stop=ended, latest_event=ended, last=records.Register(ended, place.register),
        )  # fmt: skip

    def stations(self) -> Iterator[records.Station]:
        """Records of the stations as they stand at the end."""
        chance, end = self.chance, self.end
        at: dict[str, list[_Place]] = {}
        for place in self.places:
            at.setdefault(place.station, []).append(place)
        for number, (name, (make, version, firmware)) in enumerate(self.makes.items()):
            connected = chance.random() < 0.94 or any(place.session for place in at[name])
            since = end - int(chance.expovariate(1 / (6 * DAY)))
            connectors = [records.Connector(0, 0, "Available", since=since)] if version == "1.6" else []
            for place in at[name]:
                faulted = not place.session and chance.random() < 0.012
                busy = "Charging" if version == "1.6" else "Occupied"
                status = "Faulted" if faulted else busy if place.session else "Available"
                connectors.append(
                    records.Connector(
                        place.evse, place.connector, status, error_code="GroundFailure" if faulted else "NoError",
                        since=since, session_id=place.session, power_w=0,
                    )
                )  # fmt: skip
            yield records.Station(
                tenant=DEFAULT_TENANT, id=name, ocpp_version=version, vendor=make.vendor, model=make.model,
                serial=f"{make.vendor[:2].upper()}{number:07d}", firmware=firmware, boot_status="Accepted",
                booted_at=since - 4_000, connected=connected, connected_at=since, security_profile=1 + number % 3,
                disconnected_at=0 if connected else since + HOUR, last_seen=end - chance.randrange(300_000),
                peer=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:40000", connectors=connectors,
            )  # fmt: skip


def _weighted(chance: random.Random, of: tuple[tuple[str, int], ...]) -> str:
    return chance.choices([one for one, _ in of], [weight for _, weight in of])[0]


async def make(
    folder: Path, stations: int = 10_000, sessions: int = 1_000_000, seed: int = 7, end: int | None = None
) -> Made:
    """Make the data set in `folder`. Raises FileExistsError where there is a database already."""
    begun = time.perf_counter()
    if (folder / "pilotwire.db").exists():
        raise FileExistsError(f"{folder} holds a database already")
    end = end or int(time.time() * 1000)
    world = _World(stations, seed, end)
    store = open_store(folder)
    assert isinstance(store, SqliteStore)
    await store.open()
    try:
        key = await _settings(store, world, seed)
        newest: list[records.Session] = []
        await store.on_writer(lambda writer: _bulk(writer._db, world, sessions, newest))
        samples = await _newest(store, world, newest)
    finally:
        await store.close()
    secret = folder / "api-key"
    secret.touch(mode=0o600)
    secret.write_text(key)
    return Made(stations, sessions, samples, len(world.sites), len(world.tokens), time.perf_counter() - begun, key)


async def _settings(store: SqliteStore, world: _World, seed: int) -> str:
    chance = world.chance
    sites = [
        put(
            "site", name,
            {
                "name": f"{CITIES[number % len(CITIES)]} {KINDS[number // len(CITIES) % len(KINDS)]} {number}",
                "latitude": round(47 + chance.random() * 8, 5), "longitude": round(6 + chance.random() * 9, 5),
                "time_zone": "Europe/Berlin", "power_limit_w": 50_000 * chance.randrange(1, 20),
                "created_at": world.end - YEAR, "updated_at": world.end - YEAR,
            },
            sort=f"{CITIES[number % len(CITIES)]} {number}".casefold(),
        )
        for number, name in enumerate(world.sites)
    ]  # fmt: skip
    await store.write_documents(DEFAULT_TENANT, sites)
    key = f"pw_bench-{hashlib.sha256(str(seed).encode()).hexdigest()[:24]}"
    await store.put_api_key(
        records.ApiKey(
            tenant=DEFAULT_TENANT, id="bench", name="bench", digest=hashlib.sha256(key.encode()).hexdigest(),
            role="operator", created_at=world.end,
        )
    )  # fmt: skip
    accounts = [
        records.StationAccount(tenant=DEFAULT_TENANT, id=name, site=site, created_at=world.end - YEAR)
        for name, site in world.station_site.items()
    ]
    tokens = [
        records.Token(
            tenant=DEFAULT_TENANT, token=token, status="Accepted" if chance.random() < 0.97 else "Blocked",
            created_at=world.end - YEAR,
        )
        for token in world.tokens
    ]  # fmt: skip

    def write(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        for table, found in (("accounts", accounts), ("tokens", tokens)):
            db.executemany(
                f"INSERT OR REPLACE INTO {table} (tenant, id, body) VALUES (?, ?, ?)",
                [(one.tenant, getattr(one, "token", None) or one.id, encode(one)) for one in found],  # type: ignore[union-attr]
            )
        db.execute("COMMIT")

    await store.on_writer(lambda writer: write(writer._db))
    return key


def _bulk(db: sqlite3.Connection, world: _World, count: int, newest: list[records.Session]) -> None:
    """Everything older than a day, straight into the tables; their indexes are made afterwards."""
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('sessions', 'session_list') "
        "AND sql IS NOT NULL"
    ).fetchall()
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=-200000")
    db.execute("BEGIN IMMEDIATE")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    numbers = {name: number for number, name in enumerate(world.makes, 1)}
    db.executemany(
        "INSERT INTO station_numbers (n, tenant, id) VALUES (?, ?, ?)",
        [(number, DEFAULT_TENANT, name) for name, number in numbers.items()],
    )
    whole: list[tuple[object, ...]] = []
    listed: list[tuple[object, ...]] = []
    named: list[tuple[object, ...]] = []

    def flush() -> None:
        db.executemany("INSERT INTO session_numbers (n, tenant, id) VALUES (?, ?, ?)", named)
        db.executemany(
            "INSERT INTO sessions (n, tenant, id, station, txn, start_key, status, started_at, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            whole,
        )
        db.executemany(f"INSERT INTO session_list ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", listed)
        for rows in (whole, listed, named):
            rows.clear()

    n = 0
    for one in world.sessions(count):
        if one.status == "active" or (one.ended_at or 0) > world.end - DAY:
            newest.append(one)
            continue
        n += 1
        station = numbers[one.station_id]
        named.append((n, one.tenant, one.id))
        whole.append(
            (n, one.tenant, one.id, station, one.transaction, one.start_key, one.status, one.started_at, encode(one))
        )
        listed.append((n, one.tenant, station, one.started_at, *columns_of(one)))
        if len(whole) >= 20_000:
            flush()
    flush()
    for _, sql in indexes:
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _newest(store: SqliteStore, world: _World, newest: list[records.Session]) -> int:
    """The last day's, the store's own way, in order of time. Returns how many samples there are."""
    events: list[tuple[int, int, records.Session, int]] = []
    for place, one in enumerate(newest):
        stop = one.ended_at or world.end
        events.append((one.started_at, place, one, 0))
        ticks = range(one.started_at + SAMPLED_EVERY, stop, SAMPLED_EVERY)
        events += [(at, place, one, 1) for at in ticks if at > world.end - DAY]
        if one.ended_at:
            events.append((one.ended_at, place, one, 2))
    events.sort(key=lambda event: (event[0], event[1], event[3]))
    samples = 0
    for number, (at, _, one, kind) in enumerate(events):
        entry, count = _entry(at, one, kind)
        samples += count
        store.append(entry)
        if number % 500 == 0:
            await asyncio.sleep(0)
            while len(store._entries) > 5_000:
                await asyncio.sleep(0.002)
    done = asyncio.get_running_loop().create_future()
    for station in world.stations():
        fact = facts.StationConnected(event_time=station.connected_at, ocpp_version=station.ocpp_version)
        store.append(_of(station.id, world.end, (fact,), (station,)))
    last = _of(next(iter(world.makes)), world.end, (), ())
    store.append(last, lambda error: done.set_exception(error) if error else done.set_result(None))
    await done
    return samples


def _entry(at: int, one: records.Session, kind: int) -> tuple[Entry, int]:
    share = min(1.0, (at - one.started_at) / max(1, (one.ended_at or one.updated_at) - one.started_at))
    register = (one.meter_start_wh or 0) + int(one.energy_wh * share)
    if kind == 0:
        fact: facts.AnyFact = facts.SessionStarted(
            event_time=at, session_id=one.id, transaction=one.transaction, start_key=one.start_key,
            ocpp_version=one.ocpp_version, evse=one.evse, connector=one.connector, token=one.token,
            token_type=one.token_type, meter_start_wh=one.meter_start_wh,
        )  # fmt: skip
        return _of(one.station_id, at, (fact,), (one,)), 0
    if kind == 2:
        fact = facts.SessionEnded(
            event_time=at, session_id=one.id, reason=one.stop_reason, meter_stop_wh=one.meter_stop_wh
        )
        return _of(one.station_id, at, (fact,), ()), 0
    fact = facts.SessionUpdated(event_time=at, session_id=one.id, register_wh=register, register_time=at)
    power = int(one.energy_wh * HOUR / max(1, (one.ended_at or one.updated_at) - one.started_at))
    values = [
        ("Energy.Active.Import.Register", register * 1000, "Wh"),
        ("Power.Active.Import", power * 1000, "W"),
    ]
    if one.soc is not None:
        values.append(("SoC", int(one.soc * share) * 100, "Percent"))
    samples = tuple(
        records.Sample(one.evse, one.connector, at, measurand, value, unit, session_id=one.id)
        for measurand, value, unit in values
    )
    return _of(one.station_id, at, (fact,), (), samples), len(samples)


def _of(
    station: str, at: int, said: tuple[Any, ...], touched: tuple[Any, ...], samples: tuple[records.Sample, ...] = ()
) -> Entry:
    return Entry(
        tenant=DEFAULT_TENANT, station=station, recv_time=at, epoch=1, direction="sys", facts=said, touched=touched,
        samples=samples,
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench dataset", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stations", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument(
        "--data", type=Path, default=Path("bench-data"), help="a folder without a database (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--end", type=int, default=None, help="the last moment, ms since 1970 (now)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        made = asyncio.run(make(options.data, options.stations, options.sessions, options.seed, options.end))
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(made._asdict()))
    else:
        print(
            f"{made.stations:,} stations at {made.sites:,} sites, {made.sessions:,} sessions, {made.samples:,} meter "
            f"values, {made.tokens:,} tokens in {options.data} after {made.seconds:.0f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
