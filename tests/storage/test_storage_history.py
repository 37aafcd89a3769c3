"""Samples that grow old: rolled off into Parquet, read as before, queried together, never doubled, never lost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from storage_kit import appended, entry, sample

from pilotwire.core.errors import ConfigError
from pilotwire.domain.records import Sample
from pilotwire.storage import history as history_module
from pilotwire.storage.history import History, HistoryFailed, RolledOff, RollOff, Source, day_file, in_child
from pilotwire.storage.hot_samples import decode_set, delete_rows, delete_sets
from pilotwire.storage.sqlite import SqliteStore
from pilotwire.storage.sqlstore import SqlStore

DAY = 86_400_000
START = 1_700_006_400_000  # 2023-11-15T00:00:00Z
REGISTER = "Energy.Active.Import.Register"


def register(time: int, wh: int, **fields: object) -> Sample:
    known: dict[str, object] = {"evse": 1, "connector": 1, "session_id": "s1", "unit": "Wh"}
    return Sample(time=time, measurand=REGISTER, value=wh * 1000, **{**known, **fields})  # type: ignore[arg-type]


async def count_hot(store: SqlStore) -> int:
    def plan():
        rows = yield "SELECT count(*) FROM samples", ()
        sets = yield "SELECT body FROM sample_sets", ()
        return rows[0][0] + sum(len(decode_set(one[0])) for one in sets)

    return await store.read(plan())


async def fill(store, days: int = 3, step: int = 3_600_000, station: str = "CP1", tenant: str = "default") -> int:
    times = range(START, START + days * DAY, step)
    await appended(
        store,
        entry(
            tenant=tenant,
            station=station,
            samples=tuple(one for time in times for one in (sample(time, value=time % 1000), register(time, 5))),
        ),
    )
    return 2 * len(times)


async def test_roll_off_moves_whole_days_and_reads_the_same(store) -> None:
    count = await fill(store)
    before = await store.samples("default", "s1")
    assert len(before) == count
    assert await store.roll_off(START + 2 * DAY + DAY // 2) == count * 2 // 3, "the third day is not over"
    assert await store.samples("default", "s1") == before
    assert await store.samples("default", "s1", measurand=REGISTER) == [
        one for one in before if one.measurand == REGISTER
    ]
    assert await store.samples("default", "s1", limit=7) == before[:7]
    assert await store.roll_off(START + 2 * DAY + DAY // 2) == 0
    assert await store.samples("default", "s1") == before


async def test_samples_that_come_late_or_twice_to_a_rolled_day(store) -> None:
    await fill(store, days=1)
    await store.roll_off(START + DAY)
    before = await store.samples("default", "s1")
    await appended(store, entry(samples=(sample(START, value=77), sample(START + 1, value=78))))
    merged = await store.samples("default", "s1")
    assert len(merged) == len(before) + 1
    assert sample(START, value=START % 1000) in merged, "the one that came first stays"
    await store.roll_off(START + DAY)
    assert await store.samples("default", "s1") == merged


async def test_samples_of_odd_clocks_are_rolled_off_too(store) -> None:
    times = [-3 * DAY - 1, 0, START]
    await appended(store, entry(samples=tuple(sample(time) for time in times)))
    assert await store.roll_off(START + DAY) == 3
    assert [one.time for one in await store.samples("default", "s1")] == times


@pytest.fixture
async def sqlstore(store) -> SqlStore:
    return store


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_no_process_is_started_where_nothing_is_old(sqlstore: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    async def counted(job: RollOff, answer: type) -> object:
        begun.append(job.before)
        return await in_child(job, answer)

    monkeypatch.setattr(history_module, "in_child", counted)
    assert await sqlstore.roll_off(START) == 0
    await appended(sqlstore, entry(samples=(sample(START), sample(START + DAY))))
    assert await sqlstore.roll_off(START + DAY - 1) == 0
    assert begun == []
    assert await sqlstore.roll_off(START + DAY) == 1
    assert begun == [START + DAY]
    assert await sqlstore.roll_off(START + DAY) == 0
    assert begun == [START + DAY]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_roll_off_empties_the_hot_store_by_tenant_and_day(sqlstore: SqlStore) -> None:
    store = sqlstore
    await fill(store, days=2)
    await fill(store, days=2, station="B")
    await fill(store, days=1, tenant="other/../x")
    await store.roll_off(START + DAY)
    assert store.history is not None
    names = sorted(str(path.relative_to(store.history)) for path in store.history.rglob("*") if path.is_file())
    assert names == [
        "tenant=default/day=2023-11-15/samples.parquet",
        "tenant=other%2F..%2Fx/day=2023-11-15/samples.parquet",
    ]
    assert await count_hot(store) == 2 * 48
    import pyarrow.parquet as pq

    table = pq.read_table(store.history / names[0], partitioning=None)
    keys = list(zip(table.column("station").to_pylist(), table.column("time").to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 2 * 48
    assert pq.ParquetFile(store.history / names[0]).metadata.row_group(0).column(0).compression == "ZSTD"
    assert len(await store.samples("other/../x", "s1")) == 48


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_crash_between_file_and_deletion_doubles_and_loses_nothing(sqlstore: SqlStore) -> None:
    """The child has made the file durable, nothing is deleted: as after a crash at that point."""
    store = sqlstore
    count = await fill(store, days=1)
    before = await store.samples("default", "s1")
    job = RollOff(source=Source(database=store.database, history=str(store.history)), before=START + DAY)
    rolled = await in_child(job, RolledOff)
    assert sum(one.count for one in rolled.rows) + sum(one.samples for one in rolled.sets) == count
    assert await count_hot(store) == count
    assert await store.samples("default", "s1") == before, "in both places, read once"
    engine = History(store.database, store.history)
    assert (await engine.query("default", "SELECT count(*) FROM samples")).rows == [[count]]
    assert await store.roll_off(START + DAY) == count
    assert await count_hot(store) == 0
    assert await store.samples("default", "s1") == before
    assert (await engine.query("default", "SELECT count(*) FROM samples")).rows == [[count]]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_row_that_comes_between_file_and_deletion_stays_hot(sqlstore: SqlStore) -> None:
    store = sqlstore
    count = await fill(store, days=1)
    job = RollOff(source=Source(database=store.database, history=str(store.history)), before=START + DAY)
    rolled = await in_child(job, RolledOff)
    late = sample(START + 5, value=1234)
    await appended(store, entry(samples=(late,)))
    taken = [(one.station, one.day, one.count) for one in rolled.rows]
    gone = await store.change(delete_rows(taken)) + sum([await store.change(delete_sets(one)) for one in rolled.sets])
    assert gone == 0
    assert late in await store.samples("default", "s1")
    assert await store.roll_off(START + DAY) == count + 1
    got = await store.samples("default", "s1")
    assert late in got
    assert len(got) == count + 1


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_what_comes_late_keeps_only_its_own_part_of_a_day(sqlstore: SqlStore) -> None:
    store = sqlstore
    count = await fill(store, days=1, step=60_000)
    job = RollOff(source=Source(database=store.database, history=str(store.history)), before=START + DAY)
    rolled = await in_child(job, RolledOff)
    assert [one.sets for one in rolled.sets] == [1000, 440]
    await appended(store, entry(samples=(sample(START + 5, value=1234),)))
    assert [await store.change(delete_sets(one)) for one in rolled.sets] == [0, 880]
    assert len(await store.samples("default", "s1")) == count + 1
    assert await store.roll_off(START + DAY) == 2001
    assert len(await store.samples("default", "s1")) == count + 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_file_half_written_is_no_file(sqlstore: SqlStore) -> None:
    store = sqlstore
    await fill(store, days=1)
    before = await store.samples("default", "s1")
    assert store.history is not None
    path = day_file(store.history, "default", START // DAY)
    path.parent.mkdir(parents=True)
    path.with_name(".samples.parquet.1.tmp").write_bytes(b"PAR1 torn")
    assert await store.samples("default", "s1") == before
    await store.roll_off(START + DAY)
    assert await store.samples("default", "s1") == before


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_roll_off_goes_on_beside_appends(sqlstore: SqlStore) -> None:
    store = sqlstore
    await fill(store, days=1)
    rolling = asyncio.ensure_future(store.roll_off(START + DAY))
    number = 0
    while not rolling.done():
        number += 1
        await appended(store, entry(number, samples=(sample(START + number, value=number),)))
    await rolling
    await store.roll_off(START + DAY)
    values = {one.value for one in await store.samples("default", "s1") if one.measurand != REGISTER}
    assert set(range(1, number + 1)) <= values


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_energy_per_hour_over_hot_and_cold(sqlstore: SqlStore) -> None:
    store = sqlstore
    half = 1_800_000
    cold = [register(START + n * half, 1000 + 100 * n) for n in range(48)]
    hot = [register(START + DAY + n * half, 5800 + 200 * n) for n in range(3)]
    swapped = [register(START + DAY + 3 * half, 10), register(START + DAY + 4 * half, 60)]  # a new meter from 0
    await appended(store, entry(samples=(*cold, *hot, *swapped)))
    await store.roll_off(START + DAY)
    table = await History(store.database, store.history).energy_per_hour("default", START, START + 3 * DAY)
    assert table.columns == ["station", "evse", "hour", "wh"]
    by_hour = {(row[2] - START) // 3_600_000: row[3] for row in table.rows}
    assert by_hour[0] == 100, "the first reading of all has nothing to rise from"
    assert by_hour[1] == 200
    assert by_hour[24] == 100 + 200
    assert by_hour[25] == 200
    assert by_hour[26] == 50
    assert sum(by_hour.values()) == (5800 + 400 - 1000) + 50
    assert {row[0] for row in table.rows} == {"CP1"}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_queries_see_one_tenant_and_nothing_of_the_machine(sqlstore: SqlStore, tmp_path: Path) -> None:
    store = sqlstore
    await fill(store, days=2)
    await fill(store, days=2, tenant="other", station="X")
    await store.roll_off(START + DAY)
    engine = History(store.database, store.history)
    rows = (await engine.query("other", "SELECT DISTINCT tenant, station FROM samples")).rows
    assert rows == [["other", "X"]]
    rows = (await engine.query("default", "SELECT min(utc)::VARCHAR FROM samples WHERE time >= $1", [START])).rows
    assert rows == [["2023-11-15 00:00:00"]]
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    assert store.history is not None
    foreign = day_file(store.history, "other", START // DAY)
    assert foreign.exists()
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_parquet('{foreign}')",
        f"COPY samples TO '{tmp_path}/out.csv'",
        "SET enable_external_access = true",
        "nonsense",
    ):
        with pytest.raises(HistoryFailed):
            await engine.query("default", sql)
    assert not (tmp_path / "out.csv").exists()


async def test_without_a_folder_there_is_no_history(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await appended(store, entry(samples=(sample(1),)))
    with pytest.raises(ConfigError, match="--data"):
        await store.roll_off(START)
    assert len(await store.samples("default", "s1")) == 1
    with pytest.raises(ConfigError):
        History(store.database, None)
    await store.close()


async def test_a_failing_child_says_why(tmp_path: Path) -> None:
    job = RollOff(source=Source(database=str(tmp_path / "none.db"), history=str(tmp_path)), before=0)
    with pytest.raises(HistoryFailed, match="unable to open"):
        await in_child(job, RolledOff)


def test_heavy_libraries_are_not_imported_by_the_store() -> None:
    import subprocess
    import sys

    program = (
        "import sys, pilotwire.storage.open, pilotwire.storage.sqlite, pilotwire.storage.history;"
        "print([name for name in ('duckdb', 'pyarrow', 'asyncpg') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True)
    assert run.stdout.strip() == "[]"
    assert history_module.FILE_NAME.endswith(".parquet")
