"""The port, on all three stores: what is appended, told, looked up, listed and kept over a restart."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from storage_kit import KEY, appended, entry, looked_up, sample, session

from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import ConnectorStatusChanged, SessionStarted, StationBooted
from pilotwire.domain.records import (
    ApiKey,
    Command,
    Connector,
    Register,
    Station,
    StationAccount,
    Token,
    User,
    Variable,
)
from pilotwire.storage.codec import BadCursor
from pilotwire.storage.port import Done, Store, StoreFailed


async def test_an_entry_is_read_back_as_it_was(store: Store) -> None:
    facts = (
        StationBooted(event_time=-5, vendor="Vendör", model="M\0x"),
        ConnectorStatusChanged(event_time=7, evse=1, connector=2, status="Available"),
    )
    await appended(store, entry(facts=facts, frame=b"\x00\xff raw", epoch=3, direction="out", recv_time=12))
    rows = [row async for row in store.journal()]
    assert [(row.stream, row.seq, row.tenant, row.station) for row in rows] == [("main", 1, "default", "CP1")]
    assert (rows[0].recv_time, rows[0].epoch, rows[0].direction, rows[0].frame) == (12, 3, "out", b"\x00\xff raw")
    assert rows[0].facts == facts


async def test_done_is_called_in_order_after_the_entry_can_be_read(store: Store) -> None:
    told: list[int] = []
    for number in range(500):
        store.append(entry(number), lambda error, number=number: told.append(number if error is None else -1))
    await appended(store, entry(500))
    assert told == list(range(500))
    frames = [row.frame async for row in store.journal()]
    assert frames == [entry(number).frame for number in range(501)]


async def test_done_may_append_again(store: Store) -> None:
    told: list[int] = []
    finished = asyncio.get_running_loop().create_future()

    def step(number: int) -> None:
        told.append(number)
        if number == 20:
            finished.set_result(None)
        else:
            store.append(entry(number + 1), lambda _: step(number + 1))

    store.append(entry(0), lambda _: step(0))
    await asyncio.wait_for(finished, 20)
    assert told == list(range(21))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_done_that_raises_does_not_silence_the_next(store: Store) -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def bad(_: object) -> None:
        raise RuntimeError("mine")

    store.append(entry(1), bad)
    await appended(store, entry(2))
    assert [str(one) for one in heard] == ["mine"]


async def test_position_is_the_seq_of_the_entry_whose_done_is_called(store: Store) -> None:
    told: list[tuple[int, int]] = []
    finished = asyncio.get_running_loop().create_future()

    def of(n: int) -> Done:
        def done(error: BaseException | None) -> None:
            told.append((n, store.position))
            if n == 5:
                finished.set_result(None)

        return done

    for n in range(1, 6):
        store.append(entry(n), of(n))
    await asyncio.wait_for(finished, 20)
    rows = {row.recv_time: row.seq async for row in store.journal()}
    assert told == [(n, rows[entry(n).recv_time]) for n in range(1, 6)]


async def test_journal_is_filtered_bounded_and_reversed(store: Store) -> None:
    places = (("default", "A"), ("default", "B"), ("other", "A"))
    await appended(store, *(entry(n, tenant=places[n % 3][0], station=places[n % 3][1]) for n in range(12)))

    async def seqs(**how: object) -> list[int]:
        return [row.seq async for row in store.journal(**how)]  # type: ignore[arg-type]

    assert await seqs() == list(range(1, 13))
    assert await seqs(tenant="default", station="A") == [1, 4, 7, 10]
    assert await seqs(tenant="other") == [3, 6, 9, 12]
    assert await seqs(tenant="default", station="B", newest_first=True, limit=2) == [11, 8]
    assert await seqs(after=9) == [10, 11, 12]
    assert await seqs(after=3, limit=2) == [4, 5]
    assert await seqs(tenant="nobody", station="A") == []


async def test_a_long_journal_is_read_whole(store: Store) -> None:
    await appended(store, *(entry(n) for n in range(1203)))
    assert [row.seq async for row in store.journal(tenant="default", station="CP1")] == list(range(1, 1204))
    assert [row.seq async for row in store.journal(newest_first=True)] == list(range(1203, 0, -1))


async def test_what_a_group_touches_is_kept_in_its_newest_state(store: Store) -> None:
    growing = session(energy_wh=0)
    waits = []
    for wh in (10, 20, 30):
        growing.energy_wh = wh
        waits.append(asyncio.ensure_future(appended(store, entry(wh, touched=(growing,)))))
    await asyncio.gather(*waits)
    growing.energy_wh = 999  # what happens later to the object is nothing that was appended
    kept = await store.session("default", "s1")
    assert kept is not None
    assert kept.energy_wh in (30, 999) if type(store).__name__ == "MemoryStore" else kept.energy_wh == 30


async def test_records_keep_every_field(store: Store) -> None:
    whole = session(
        ended_at=5,
        status="ended",
        flags=["seq-gap"],
        seen=[[0, 3], [5, 5]],
        first=Register(1, 2),
        last=Register(3, 4),
        soc=501,
    )
    station = Station(tenant="default", id="CP1", connected=True, connectors=[Connector(1, 1, "Charging", power_w=7)])
    command = Command(
        tenant="default", id="c1", station_id="CP1", action="Reset", payload="{}", requested_at=1, expires_at=2
    )
    variable = Variable(tenant="default", station_id="CP1", component="", variable="HeartbeatInterval", value="300")
    await appended(store, entry(touched=(whole, station, command, variable)))
    assert await store.session("default", "s1") == whole
    assert await store.station(KEY) == station
    assert await store.command("default", "c1") == command
    assert await store.commands(KEY) == [command]
    assert await store.variables(KEY) == [variable]


async def test_variables_are_told_apart_by_all_that_names_them(store: Store) -> None:
    def variable(value: str, **fields: object) -> Variable:
        known: dict[str, object] = {"tenant": "default", "station_id": "CP1", "component": "C", "variable": "V"}
        return Variable(value=value, **{**known, **fields})  # type: ignore[arg-type]

    kinds = (
        variable("1"),
        variable("2", evse=1),
        variable("3", evse=1, connector=1),
        variable("4", component_instance="i"),
        variable("5", variable_instance="i"),
        variable("6", attribute="MaxSet"),
        variable("7", station_id="CP2"),
    )
    await appended(store, entry(touched=kinds))
    await appended(store, entry(touched=(variable("new"),)))
    assert sorted(one.value or "" for one in await store.variables(KEY)) == ["2", "3", "4", "5", "6", "new"]
    assert [one.value for one in await store.variables(StationKey("default", "CP2"))] == ["7"]


async def test_nothing_is_read_across_tenants(store: Store) -> None:
    for tenant in ("default", "other"):
        await appended(
            store,
            entry(
                tenant=tenant,
                touched=(
                    session(tenant=tenant, token=tenant),
                    Station(tenant=tenant, id="CP1", vendor=tenant),
                    Command(
                        tenant=tenant,
                        id="c1",
                        station_id="CP1",
                        action=tenant,
                        payload="",
                        requested_at=1,
                        expires_at=2,
                    ),
                    Variable(tenant=tenant, station_id="CP1", component="", variable="V", value=tenant),
                ),
                samples=(sample(1, value=len(tenant)),),
            ),
        )
    for tenant in ("default", "other"):
        key = StationKey(tenant, "CP1")
        assert [one.token for one in (await store.sessions(tenant)).items] == [tenant]  # type: ignore[attr-defined]
        assert [one.vendor for one in (await store.stations(tenant)).items] == [tenant]  # type: ignore[attr-defined]
        assert (await store.session(tenant, "s1")).token == tenant  # type: ignore[union-attr]
        assert [one.action for one in await store.commands(key)] == [tenant]
        assert [one.value for one in await store.variables(key)] == [tenant]
        assert [one.value for one in await store.samples(tenant, "s1")] == [len(tenant)]
        image = await looked_up(lambda done, key=key: store.load_station(key, done))
        assert image.station.vendor == tenant
        assert [one.token for one in image.sessions] == [tenant]
    assert await store.session("third", "s1") is None
    assert await store.samples("third", "s1") == []


# -- lookups ----------------------------------------------------------------------------------------------------------
async def test_load_station_of_an_unknown_station_is_empty_and_complete(store: Store) -> None:
    image = await looked_up(lambda done: store.load_station(KEY, done))
    assert (image.station, image.sessions, image.commands, image.complete) == (None, [], [], True)


async def test_lookups_see_what_was_appended_before_them(store: Store) -> None:
    for number in range(200):
        store.append(entry(number))
    store.append(entry(201, touched=(session("s9"), Station(tenant="default", id="CP1", vendor="V"))))
    image = await looked_up(lambda done: store.load_station(KEY, done))
    assert [one.id for one in image.sessions] == ["s9"]
    assert image.station.vendor == "V"
    store.append(entry(202, touched=(session("s10"),)))
    found = await looked_up(lambda done: store.find_session(KEY, "t-s10", "", done))
    assert found.id == "s10"


async def test_load_station_brings_every_active_session_and_the_newest_ended(store: Store) -> None:
    sessions = [
        session(f"s{number:03}", started_at=number, status="active" if number in (3, 90) else "ended")
        for number in range(100)
    ]
    await appended(store, entry(touched=tuple(sessions)))
    image = await looked_up(lambda done: store.load_station(KEY, done))
    names = [one.id for one in image.sessions]
    assert names[-1] == "s003"
    assert names[:10] == [f"s{number:03}" for number in range(99, 89, -1)]
    assert "s090" in names
    assert 30 < len(names) < 60
    assert not image.complete


async def test_an_image_without_older_ended_sessions_is_complete(store: Store) -> None:
    few = tuple(session(f"s{number}", started_at=number, status="ended") for number in range(10))
    await appended(store, entry(touched=few))
    assert (await looked_up(lambda done: store.load_station(KEY, done))).complete


async def test_load_station_brings_pending_commands_alone(store: Store) -> None:
    def command(name: str, outcome: str, at: int) -> Command:
        return Command(
            tenant="default",
            id=name,
            station_id="CP1",
            action="Reset",
            payload="{}",
            requested_at=at,
            expires_at=9,
            outcome=outcome,
        )

    waiting, sent = command("a", "pending", 2), command("b", "sent", 1)
    settled = [command(name, name, 3) for name in ("answered", "refused", "timed-out", "expired", "undeliverable")]
    await appended(store, entry(touched=(waiting, sent, *settled)))
    image = await looked_up(lambda done: store.load_station(KEY, done))
    assert [one.id for one in image.commands] == ["b", "a"]
    waiting.outcome = "answered"
    await appended(store, entry(touched=(waiting,)))
    image = await looked_up(lambda done: store.load_station(KEY, done))
    assert [one.id for one in image.commands] == ["b"]
    newest = await store.commands(KEY, limit=2)
    assert [one.requested_at for one in newest] == [3, 3]


async def test_find_session_by_transaction_or_start_key(store: Store) -> None:
    older, newer = session("a", transaction="7", started_at=1), session("b", transaction="7", started_at=2)
    foreign = session("c", transaction="8", station_id="CP2")
    await appended(store, entry(touched=(older, newer, foreign)))

    async def find(transaction: str, start_key: str) -> str | None:
        found = await looked_up(lambda done: store.find_session(KEY, transaction, start_key, done))
        return found.id if found else None

    assert await find("7", "") == "b"
    assert await find("8", "") is None
    assert await find("", "k-a") == "a"
    assert await find("", "nothing") is None


# -- lists ------------------------------------------------------------------------------------------------------------
async def test_sessions_are_listed_newest_first_by_station_and_status(store: Store) -> None:
    rows = [
        session(f"s{n}", started_at=n // 2, station_id=f"CP{n % 2}", status="active" if n % 3 else "ended")
        for n in range(10)
    ]
    await appended(store, entry(touched=tuple(rows)))
    expected = sorted(rows, key=lambda one: (one.started_at, one.id), reverse=True)

    async def ids(**how: str) -> list[str]:
        return [one.id for one in (await store.sessions("default", **how)).items]  # type: ignore[attr-defined,arg-type]

    assert await ids() == [one.id for one in expected]
    assert await ids(station="CP1") == [one.id for one in expected if one.station_id == "CP1"]
    assert await ids(status="ended") == [one.id for one in expected if one.status == "ended"]
    assert await ids(station="CP0", status="active") == [
        one.id for one in expected if one.station_id == "CP0" and one.status == "active"
    ]
    assert await ids(station="nobody") == []


async def test_a_session_moves_between_filters_when_it_ends(store: Store) -> None:
    one = session()
    await appended(store, entry(touched=(one,)))
    one.energy_wh = 5
    await appended(store, entry(touched=(one,)))
    one.status, one.ended_at = "ended", 9
    await appended(store, entry(touched=(one,)))
    assert (await store.sessions("default", status="active")).items == []
    assert (await store.sessions("default", status="ended")).items == [one]


async def test_pages_follow_one_another(store: Store) -> None:
    await appended(
        store,
        entry(touched=tuple(Station(tenant="default", id=f"CP{n}") for n in range(7))),
    )
    seen, cursor, pages = [], None, 0
    while True:
        page = await store.stations("default", cursor=cursor, limit=3)
        seen += [one.id for one in page.items]  # type: ignore[attr-defined]
        pages += 1
        cursor = page.next
        if cursor is None:
            break
    assert (seen, pages) == ([f"CP{n}" for n in range(7)], 3)


@pytest.mark.parametrize("cursor", ["x", "!!!", "bnVsbA", "W10"])
async def test_a_foreign_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await store.sessions("default", cursor=cursor)
    with pytest.raises(BadCursor):
        await store.stations("default", cursor=cursor)


# -- samples ----------------------------------------------------------------------------------------------------------
async def test_samples_are_unique_and_in_order_of_time(store: Store) -> None:
    first = (sample(30), sample(10), sample(20, value=-7), sample(10, measurand="SoC"), sample(10, phase="L1"))
    await appended(store, entry(samples=first))
    await appended(store, entry(samples=(sample(10, value=99), sample(40), sample(10, context="Transaction.End"))))
    got = await store.samples("default", "s1")
    assert [one.time for one in got] == sorted(one.time for one in got)
    assert len(got) == 7
    assert sample(10) in got, "the first of two with one key stays"
    assert sample(20, value=-7) in got
    assert [one.time for one in await store.samples("default", "s1", limit=3)] == [10, 10, 10]
    assert await store.samples("default", "s1", measurand="SoC") == [sample(10, measurand="SoC")]


async def test_samples_of_one_message_in_no_order_of_time(store: Store) -> None:
    """Each once, the first of two, although their times alternate."""
    odd = (sample(10), sample(20), sample(10, measurand="SoC"), sample(20, value=7), sample(10, value=8), sample(5))
    await appended(store, entry(samples=odd))
    kept = [sample(5), sample(10), sample(10, measurand="SoC"), sample(20)]
    assert await store.samples("default", "s1") == sorted(kept, key=lambda one: (one.time, one.measurand))


async def test_a_limit_counts_what_was_asked_for(store: Store) -> None:
    hours = 3 * 3_600_000
    many = [sample(time, measurand="SoC" if time % 900_000 == 0 else "Voltage") for time in range(0, hours, 100_000)]
    await appended(store, *(entry(samples=(one,)) for one in many))
    found = await store.samples("default", "s1", measurand="SoC", limit=5)
    assert [one.time for one in found] == [0, 900_000, 1_800_000, 2_700_000, 3_600_000]
    assert [one.time for one in await store.samples("default", "s1", limit=3)] == [0, 100_000, 200_000]


async def test_samples_are_found_whatever_the_clock_said(store: Store) -> None:
    day = 86_400_000
    times = [-5 * day, 0, 1, 1_700_000_000_000, 1_700_000_000_000 + 40 * day, 4_000_000_000_000]
    await appended(store, *(entry(samples=(sample(time),)) for time in reversed(times)))
    assert [one.time for one in await store.samples("default", "s1")] == times


async def test_samples_of_several_sessions_stay_apart(store: Store) -> None:
    import msgspec

    other = msgspec.structs.replace(sample(11, value=4), session_id="s2")
    loose = msgspec.structs.replace(sample(12), session_id="")
    await appended(store, entry(samples=(sample(10), other, loose, sample(13))))
    assert [one.time for one in await store.samples("default", "s1")] == [10, 13]
    assert await store.samples("default", "s2") == [other]


# -- settings ---------------------------------------------------------------------------------------------------------
async def test_settings_are_put_listed_replaced_and_deleted(store: Store) -> None:
    account = StationAccount(tenant="default", id="CP1", password="v", security_profile=2)
    await store.put_account(account)
    await store.put_account(StationAccount(tenant="other", id="CP1"))
    account.note = "changed"
    await store.put_account(account)
    assert await store.account(KEY) == account
    assert await store.accounts("default") == [account]
    assert [one.tenant for one in await store.accounts()] == ["default", "other"]
    assert await store.delete_account(KEY)
    assert not await store.delete_account(KEY)
    assert await store.account(KEY) is None

    token = Token(tenant="default", token="T\u00e91", expires_at=5)
    await store.put_token(token)
    assert await store.tokens("default") == [token]
    assert await store.tokens("other") == []
    assert await store.delete_token("default", "T\u00e91")
    assert not await store.delete_token("default", "T\u00e91")

    user = User(tenant="default", name="ann", password="argon")
    await store.put_user(user)
    assert await store.user("default", "ann") == user
    assert await store.users("default") == [user]
    assert await store.delete_user("default", "ann")
    assert await store.user("default", "ann") is None

    key = ApiKey(tenant="default", id="k1", name="ci", digest="00")
    await store.put_api_key(key)
    assert await store.api_keys() == [key]
    assert await store.delete_api_key("default", "k1")
    assert await store.api_keys("default") == []

    assert await store.setting("secret") is None
    await store.put_setting("secret", "a")
    await store.put_setting("secret", "b")
    assert await store.setting("secret") == "b"


async def test_the_journal_is_paged_newest_first(store: Store) -> None:
    for _ in range(7):
        await appended(store, entry())
    newest = [row.seq async for row in store.journal(newest_first=True, limit=3)]
    assert newest == [7, 6, 5]
    before = {store.stream: 5, "elsewhere": 1}
    assert [row.seq async for row in store.journal(newest_first=True, limit=3, before=before)] == [4, 3, 2]
    assert [row.seq async for row in store.journal(after=2, before={store.stream: 5})] == [3, 4]


async def test_many_tokens_are_put_at_once(store: Store) -> None:
    await store.put_token(Token(tenant="default", token="t0007", note="old"))
    many = [Token(tenant="default", token=f"t{n:04d}", note="new") for n in range(1_001)]
    await store.put_tokens(
        [*many, Token(tenant="default", token="t0008", note="last"), Token(tenant="other", token="x")]
    )
    found = {one.token: one.note for one in await store.tokens("default")}
    assert len(found) == 1_001 and found["t0007"] == found["t1000"] == "new" and found["t0008"] == "last"
    assert await store.token("other", "x") == Token(tenant="other", token="x")
    assert await store.token("default", "x") is None
    await store.put_tokens([])
    assert len(await store.tokens()) == 1_002


# -- life -------------------------------------------------------------------------------------------------------------
async def test_everything_survives_a_restart(store: Store, reopen) -> None:
    await appended(
        store, entry(1, touched=(session(), Station(tenant="default", id="CP1", vendor="V")), samples=(sample(1),))
    )
    await store.put_token(Token(tenant="default", token="T"))
    store = await reopen(store)
    await appended(store, entry(2, samples=(sample(2),)))
    assert [row.seq async for row in store.journal()] == [1, 2]
    assert await store.session("default", "s1") == session()
    assert [one.time for one in await store.samples("default", "s1")] == [1, 2]
    assert len(await store.tokens("default")) == 1
    image = await looked_up(lambda done: store.load_station(KEY, done))
    assert image.station.vendor == "V"


async def test_close_commits_what_waits(store: Store, reopen) -> None:
    told: list[object] = []
    for number in range(50):
        store.append(entry(number), told.append)
    store = await reopen(store)
    assert told == [None] * 50
    assert len([row async for row in store.journal()]) == 50


async def test_a_closed_store_is_not_ready_and_takes_nothing(kind) -> None:
    store = kind.new()
    await store.open()
    assert store.ready
    await store.close()
    assert not store.ready
    with pytest.raises(StoreFailed):
        store.append(entry())
    await store.open()
    assert store.ready
    await appended(store, entry())
    await store.close()


async def test_rebuild_replaces_every_projection_and_nothing_else(store: Store) -> None:
    await appended(
        store,
        entry(
            touched=(session("old"), session("s1", energy_wh=1), Station(tenant="default", id="CP1", vendor="old")),
            samples=(sample(1),),
        ),
    )

    async def fresh():
        yield session("s1", energy_wh=2)
        yield Station(tenant="default", id="CP2")

    await store.rebuild(fresh())
    assert await store.session("default", "old") is None
    assert (await store.session("default", "s1")).energy_wh == 2  # type: ignore[union-attr]
    assert [one.id for one in (await store.stations("default")).items] == ["CP2"]  # type: ignore[attr-defined]
    assert [one.time for one in await store.samples("default", "s1")] == [1]
    assert len([row async for row in store.journal()]) == 1
    await appended(store, entry(touched=(session("s1", energy_wh=3),)))
    assert (await store.session("default", "s1")).energy_wh == 3  # type: ignore[union-attr]
    await store.rebuild([])
    assert (await store.sessions("default")).items == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_an_entry_that_cannot_be_kept_fails_alone(store: Store) -> None:
    """An integer beyond 64 bits comes from one station's frame; no other station may feel it."""
    verdicts: dict[str, BaseException | None] = {}

    def note(name: str):
        return lambda error: verdicts.__setitem__(name, error)

    store.append(entry(1, station="A"), note("a1"))
    store.append(entry(2, station="B", samples=(sample(2, value=1 << 70),)), note("b1"))
    store.append(entry(3, station="A", touched=(session("fine", station_id="A"),)), note("a2"))
    store.append(entry(4, station="C"), note("c1"))
    await appended(store, entry(5, station="D"))
    assert isinstance(verdicts.pop("b1"), StoreFailed)
    assert verdicts == {"a1": None, "a2": None, "c1": None}
    assert store.ready
    rows = [row async for row in store.journal()]
    assert sorted(row.station for row in rows) == ["A", "A", "C", "D"]
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    assert (await store.session("default", "fine")) is not None
    await appended(store, entry(6, station="B"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_record_that_cannot_be_encoded_fails_its_station_alone(store: Store) -> None:
    verdicts: dict[str, BaseException | None] = {}
    broken = session("broken", station_id="B", token="\ud800")
    store.append(entry(1, station="A"), lambda error: verdicts.__setitem__("a", error))
    store.append(entry(2, station="B", touched=(broken,)), lambda error: verdicts.__setitem__("b", error))
    await appended(store, entry(3, station="C"))
    assert isinstance(verdicts["b"], StoreFailed)
    assert verdicts["a"] is None
    store.append(entry(4, station="B", touched=(broken,)), lambda error: verdicts.__setitem__("alone", error))
    await looked_up(lambda done: store.load_station(KEY, done))
    assert isinstance(verdicts["alone"], StoreFailed)
    assert store.ready
    await appended(store, entry(5, station="B"))
    assert [row.recv_time - 1_700_000_000_000 async for row in store.journal()] == [1, 3, 5]


async def test_strings_from_the_wire_do_no_harm(store: Store) -> None:
    odd = "a\0b'\"; DROP TABLE sessions; --\u2028\U0001f50c"
    one = session("s1", transaction=odd, start_key=odd, token=odd)
    start = SessionStarted(
        event_time=1, session_id="s1", transaction=odd, start_key=odd, ocpp_version="1.6", evse=1, connector=1
    )
    await appended(store, entry(touched=(one,), facts=(start,), samples=(sample(1, context=odd),)))
    assert await store.session("default", "s1") == one
    found = await looked_up(lambda done: store.find_session(KEY, odd, "", done))
    assert found == one
    assert [row.facts async for row in store.journal()] == [(start,)]
    assert Decimal(len(await store.samples("default", "s1"))) == 1
