"""People: what each sees, who may give what to whom, logins that end and change, second factors, keys, commands."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pyotp
import pytest

from pilotwire.api import second_factor
from pilotwire.api.access import COOKIE, SECURE_COOKIE, access_of, digest
from pilotwire.api.passwords import weakness
from pilotwire.domain import records
from pilotwire.domain.permissions import CONFIGURES, DANGEROUS, ROLES, covers
from pilotwire.transport.bus import CommandReply, CommandRequest

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost"}
KEY = "pw_test-process-key"


async def put(world: Any, name: str, role: str, **more: Any) -> None:
    await world.store.put_user(
        records.User(tenant="default", name=name, password=f"human:{PASSWORD}", role=role, created_at=1, **more)
    )


async def log_in(client: httpx.AsyncClient, name: str, **more: Any) -> httpx.Response:
    return await client.post("/login", json={"name": name, "password": PASSWORD, **more}, headers=ORIGIN)


class People:
    """Clients of people who are logged in."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.open: list[httpx.AsyncClient] = []

    async def come(self, name: str, role: str, **more: Any) -> httpx.AsyncClient:
        await put(self.world, name, role, **more)
        client = self.world.client(headers=ORIGIN)
        self.open.append(client)
        assert (await log_in(client, name)).status_code == 200
        return client


@pytest.fixture
async def people(world):
    made = People(world)
    yield made
    for client in made.open:
        await client.aclose()


@pytest.fixture
async def sited(world, api):
    """CP-A stands at the yard, CP-B at the pier; CP-C and CP-D nowhere."""
    for site in ("yard", "pier"):
        assert (await api.post("/api/v1/sites", json={"id": site, "name": site.title()})).status_code == 201
    for station, site in (("CP-A", "yard"), ("CP-B", "pier")):
        await world.store.put_account(records.StationAccount(tenant="default", id=station, site=site))
    return world


# -- what is seen -----------------------------------------------------------------------------------------------------
async def test_a_site_owner_sees_the_stations_of_their_sites_alone(sited, people) -> None:
    owner = await people.come("olga", "site-owner", sites=["yard"])

    async def ids(path: str, field: str = "id") -> list[str]:
        return [one[field] for one in (await owner.get(path)).json()["items"]]

    assert await ids("/api/v1/stations") == ["CP-A"]
    assert await ids("/api/v1/stations?q=CP-B") == []
    assert await ids("/api/v1/sessions") == ["s-1"]
    assert await ids("/api/v1/sessions?station=CP-B") == []
    assert await ids("/api/v1/sites") == ["yard"]
    for path in (
        "/api/v1/stations/CP-B", "/api/v1/stations/CP-D", "/api/v1/stations/CP-B/variables",
        "/api/v1/stations/CP-B/commands", "/api/v1/sessions/s-0", "/api/v1/sessions/s-0/samples",
        "/api/v1/sessions/s-0/curve", "/api/v1/sites/pier",
    ):  # fmt: skip
        assert (await owner.get(path)).status_code == 404, path
    assert (await owner.get("/api/v1/sessions/s-1/samples")).status_code == 200
    totals = (await owner.get("/api/v1/totals")).json()
    assert (totals["stations"], totals["sessions_active"], totals["power_w"]) == (1, 1, 11_000)
    assert totals["energy_today_wh"] == 5_500, "the other session's energy is not theirs"
    for path in ("/api/v1/tokens", "/api/v1/users", "/api/v1/audit", "/api/v1/api-keys"):
        assert (await owner.get(path)).status_code == 403
    sent = await owner.post("/api/v1/stations/CP-B/commands", json={"action": "trigger"})
    assert sent.status_code == 404


async def test_a_site_owner_of_no_site_sees_nothing(sited, people) -> None:
    owner = await people.come("nobody", "site-owner")
    assert (await owner.get("/api/v1/stations")).json()["items"] == []
    assert (await owner.get("/api/v1/sessions")).json()["items"] == []
    assert (await owner.get("/api/v1/totals")).json()["stations"] == 0


async def test_a_station_that_moves_is_seen_by_its_new_owner_at_once(sited, people, api) -> None:
    yard = await people.come("olga", "site-owner", sites=["yard"])
    pier = await people.come("piet", "site-owner", sites=["pier"])
    assert (await yard.get("/api/v1/stations/CP-A")).status_code == 200
    assert (await api.patch("/api/v1/stations/CP-A", json={"site": "pier"})).status_code == 200
    assert (await yard.get("/api/v1/stations/CP-A")).status_code == 404
    assert [one["id"] for one in (await pier.get("/api/v1/sessions")).json()["items"]] == ["s-1", "s-0"]


async def first_event(client: httpx.AsyncClient, app: Any, path: str, until: str) -> str:
    """What a stream says until `until` is in it."""
    from tests.api.test_api_tenants import ask

    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return (await ask(app, "GET", path, {"cookie": cookie})).body.decode()


async def test_streams_of_a_site_owner_hold_nothing_of_others(sited, people) -> None:
    owner = await people.come("olga", "site-owner", sites=["yard"])
    events = await first_event(owner, sited.app, "/api/v1/events?after=0", "CP-A")
    assert "CP-A" in events and "CP-B" not in events and "CP-C" not in events
    live = await first_event(owner, sited.app, "/api/v1/live", "snapshot")
    assert '"id":"CP-A"' in live and "CP-B" not in live and "CP-C" not in live
    assert (await owner.get("/api/v1/frames")).status_code == 403


async def test_sessions_of_some_sites_come_in_pages_without_gap_or_repeat(world, api, people) -> None:
    from tests.api.conftest import NOW, session

    await api.post("/api/v1/sites", json={"id": "yard", "name": "Yard"})
    for number in range(70):
        station = f"CP-{number % 7}"
        touched = session(f"x-{number:02}", station, started_at=NOW - number * 1_000, token=f"T{number % 3}")
        world.commit(station, touched=(touched,))
    for number in (1, 2, 4):
        await world.store.put_account(records.StationAccount(tenant="default", id=f"CP-{number}", site="yard"))
    owner = await people.come("olga", "site-owner", sites=["yard"])
    driver = await people.come("dora", "driver", tokens=["t1"])

    async def every(client: httpx.AsyncClient) -> list[str]:
        found: list[str] = []
        params: dict[str, Any] = {"limit": 4}
        while True:
            page = (await client.get("/api/v1/sessions", params=params)).json()
            found += [one["id"] for one in page["items"]]
            if not page["next"]:
                return found
            params["cursor"] = page["next"]

    assert await every(owner) == [f"x-{n:02}" for n in range(70) if n % 7 in (1, 2, 4)]
    assert await every(driver) == [f"x-{n:02}" for n in range(70) if n % 3 == 1]


async def test_a_driver_sees_and_starts_with_their_own_tokens_alone(world, people) -> None:
    asked: list[CommandRequest] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        asked.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={})

    world.bus.serve("command.>", gateway)
    driver = await people.come("dora", "driver", tokens=["04a1b2c3"])
    other = await people.come("otis", "driver", tokens=["FF"])
    assert [one["id"] for one in (await driver.get("/api/v1/sessions")).json()["items"]] == ["s-1", "s-0"]
    assert (await other.get("/api/v1/sessions")).json()["items"] == []
    assert (await other.get("/api/v1/sessions/s-1")).status_code == 404
    for path in ("/api/v1/stations", "/api/v1/totals", "/api/v1/events", "/api/v1/live"):
        assert (await driver.get(path)).status_code == 403

    async def send(client: httpx.AsyncClient, action: str, **payload: Any) -> int:
        body = {"action": action, "payload": payload, "reason": "r"}
        return (await client.post("/api/v1/stations/CP-A/commands", json=body)).status_code

    assert await send(driver, "start", token="04A1B2C3") == 200
    assert await send(driver, "start", token="FF") == 403
    assert await send(driver, "start") == 403
    assert await send(driver, "stop", session="s-1") == 200
    assert await send(other, "stop", session="s-1") == 404
    for action in ("reset", "unlock", "Reset", "RemoteStartTransaction", "trigger", "DataTransfer"):
        assert await send(driver, action) == 403
    assert [one.action for one in asked] == ["start", "stop"]


# -- people -----------------------------------------------------------------------------------------------------------
async def test_people_are_made_listed_changed_and_removed(world, api, people) -> None:
    body = {"name": "ines", "password": PASSWORD, "role": "operator", "email": "ines@example.com", "language": "de"}
    made = await api.post("/api/v1/users", json=body)
    assert made.status_code == 200
    shown = made.json()
    assert (shown["name"], shown["role"], shown["email"], shown["enabled"]) == (
        "ines",
        "operator",
        "ines@example.com",
        True,
    )
    assert shown["last_login_at"] is None and "password" not in set(shown) and not shown["second_factor"]
    read = await api.get("/api/v1/users/ines")
    assert read.headers["etag"] == made.headers["etag"]
    changed = await api.patch("/api/v1/users/ines", json={"role": "viewer"}, headers={"If-Match": read.headers["etag"]})
    assert (changed.json()["role"], changed.json()["email"]) == ("viewer", "ines@example.com")
    stale = await api.patch("/api/v1/users/ines", json={"role": "admin"}, headers={"If-Match": read.headers["etag"]})
    assert (stale.status_code, stale.json()["type"]) == (412, "/api#problem-stale")
    client = world.client(headers=ORIGIN)
    people.open.append(client)
    await log_in(client, "ines")
    assert (await api.get("/api/v1/users/ines")).json()["last_login_at"] is not None
    assert [one["name"] for one in (await api.get("/api/v1/users?q=INES@")).json()["items"]] == ["ines"]
    assert (await api.get("/api/v1/users?role=admin")).json()["items"] == []
    await api.patch("/api/v1/users/ines", json={"enabled": False})
    assert (await client.get("/api/v1/me")).status_code == 401
    assert (await log_in(client, "ines")).status_code == 401
    assert (await api.delete("/api/v1/users/ines")).status_code == 204
    assert (await api.get("/api/v1/users/ines")).status_code == 404
    for field, value in (
        ("sites", ["no-such"]),
        ("email", "no address"),
        ("language", "german"),
        ("password", "short"),
    ):
        bad = await api.post("/api/v1/users", json={**body, field: value})
        assert bad.status_code == 422, field
        assert bad.json()["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize(
    ("password", "name", "said"),
    [
        ("short", "ada", "shorter than 12"),
        ("aaaaaaaaaaaaaa", "ada", "too few"),
        ("password12345", "ada", "tried first"),
        ("Correct Horse Battery Staple", "ada", "tried first"),
        ("adalovelace2026", "adalovelace", "little more than the name"),
        ("abcdefghijklmn", "ada", "neighbouring"),
        ("9876543210zyxw", "ada", ""),
        ("a" * 300, "ada", "longer"),
        ("a password of hers", "ada", ""),
        ("kühl und heiter", "ada", ""),
    ],
)
def test_which_passwords_will_do(password: str, name: str, said: str) -> None:
    found = weakness(password, name)
    assert (said in found) and bool(said) == bool(found)


def test_who_covers_whom() -> None:
    assert covers("platform-admin", "admin") and not covers("admin", "platform-admin")
    assert covers("admin", "driver") and not covers("viewer", "operator") and not covers("site-owner", "viewer")
    assert all(covers(role, role) for role in ROLES)
    assert not covers("admin", "made-up") and not covers("made-up", "viewer")


async def test_nobody_gives_or_takes_more_than_they_have(world, people) -> None:
    admin = await people.come("ada", "admin")
    await put(world, "root", "platform-admin")
    more = {"name": "new", "password": PASSWORD, "role": "platform-admin"}
    assert (await admin.post("/api/v1/users", json=more)).status_code == 403
    assert (await admin.patch("/api/v1/users/ada", json={"role": "platform-admin"})).status_code == 403
    taken = {"name": "root", "password": "another long one", "role": "viewer"}
    assert (await admin.post("/api/v1/users", json=taken)).status_code == 403
    assert (await admin.patch("/api/v1/users/root", json={"password": "another long one"})).status_code == 403
    for path in ("root", "root/logins", "root/second-factor"):
        assert (await admin.delete(f"/api/v1/users/{path}")).status_code == 403, path
    assert (await world.store.user("default", "root")).password == f"human:{PASSWORD}"
    key = await admin.post("/api/v1/api-keys", json={"name": "k", "role": "platform-admin"})
    assert (key.status_code, key.json()["type"]) == (403, "/api#problem-not-allowed")
    operator = await people.come("otto", "operator")
    assert (await operator.post("/api/v1/users", json={**more, "role": "viewer"})).status_code == 403


async def test_an_admin_of_some_sites_gives_those_alone(sited, people) -> None:
    admin = await people.come("ada", "admin", sites=["yard"])
    body = {"name": "olga", "password": PASSWORD, "role": "site-owner"}
    assert (await admin.post("/api/v1/users", json={**body, "sites": ["yard"]})).status_code == 200
    assert (await admin.post("/api/v1/users", json={**body, "sites": ["yard", "pier"]})).status_code == 403
    assert (await admin.post("/api/v1/users", json={**body, "role": "operator", "sites": None})).status_code == 403
    made = await admin.post("/api/v1/api-keys", json={"name": "k"})
    assert made.status_code == 201
    (listed,) = (await admin.get("/api/v1/api-keys")).json()["items"]
    assert listed["sites"] == ["yard"], "a key reaches no further than its maker"
    refused = await admin.post("/api/v1/api-keys", json={"name": "k", "sites": ["pier"]})
    assert refused.status_code == 403
    async with sited.client(headers={"Authorization": f"Bearer {made.json()['key']}"}) as program:
        assert [one["id"] for one in (await program.get("/api/v1/stations")).json()["items"]] == ["CP-A"]


async def test_the_last_admin_stays(world, people, api) -> None:
    ada = await people.come("ada", "admin")
    for answer in (
        await ada.delete("/api/v1/users/ada"),
        await ada.patch("/api/v1/users/ada", json={"role": "operator"}),
        await ada.patch("/api/v1/users/ada", json={"enabled": False}),
        await ada.post("/api/v1/users", json={"name": "ada", "password": PASSWORD, "role": "viewer"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/api#problem-last-admin")
    await put(world, "off", "admin", enabled=False)
    assert (await ada.delete("/api/v1/users/ada")).status_code == 409, "one that is switched off does not count"
    grace = await people.come("grace", "admin")
    # Both at once: one of them stays.
    answers = await asyncio.gather(ada.delete("/api/v1/users/ada"), grace.delete("/api/v1/users/grace"))
    assert sorted(one.status_code for one in answers) == [204, 409]
    left = "grace" if await world.store.user("default", "grace") else "ada"
    assert (await api.delete(f"/api/v1/users/{left}")).status_code == 204, "who sits at the machine can add another"


async def test_the_table_of_roles(people) -> None:
    ada = await people.come("ada", "admin")
    table = {one["role"]: one for one in (await ada.get("/api/v1/roles")).json()["items"]}
    assert set(table) == set(ROLES)
    assert table["admin"]["people"] == 1 and table["site-owner"]["scope"] == "sites"
    assert "commands:dangerous" in table["operator"]["permissions"]
    vera = await people.come("vera", "viewer")
    assert {one["people"] for one in (await vera.get("/api/v1/roles")).json()["items"]} == {None}


async def test_me_and_what_i_may_change(people) -> None:
    ada = await people.come("ada", "operator", sites=["yard"])
    me = (await ada.get("/api/v1/me")).json()
    assert (me["sites"], me["tokens"], me["email"]) == (["yard"], None, "")
    assert "stations:write" in me["permissions"] and "users:write" not in me["permissions"]
    changed = await ada.patch("/api/v1/me", json={"language": "de", "email": "a@example.com"})
    assert (changed.json()["language"], changed.json()["email"]) == ("de", "a@example.com")
    assert (await ada.patch("/api/v1/me", json={"role": "admin"})).status_code == 422


async def test_programs_are_no_people(api) -> None:
    for method, path, body in (
        ("PATCH", "/me", {}),
        ("POST", "/me/password", {"current": "x", "new": PASSWORD}),
        ("POST", "/me/second-factor", {"password": "x"}),
        ("GET", "/me/logins", None),
        ("DELETE", "/me/logins", None),
    ):
        answer = await api.request(method, f"/api/v1{path}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "/api#problem-not-a-person"), path


# -- logins -----------------------------------------------------------------------------------------------------------
async def test_a_new_password_ends_every_other_login(world, people) -> None:
    ada = await people.come("ada", "admin")
    elsewhere = world.client(headers=ORIGIN)
    people.open.append(elsewhere)
    await log_in(elsewhere, "ada")
    before = ada.cookies[COOKIE]
    wrong = await ada.post("/api/v1/me/password", json={"current": "no", "new": "quite another one"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "current")
    weak = await ada.post("/api/v1/me/password", json={"current": PASSWORD, "new": "short"})
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "new")
    same = await ada.post("/api/v1/me/password", json={"current": PASSWORD, "new": PASSWORD})
    assert same.status_code == 422
    done = await ada.post("/api/v1/me/password", json={"current": PASSWORD, "new": "quite another one"})
    assert done.status_code == 204 and ada.cookies[COOKIE] != before
    assert (await ada.get("/api/v1/me")).status_code == 200
    assert (await elsewhere.get("/api/v1/me")).status_code == 401
    ada.cookies.set(COOKIE, before)
    assert (await ada.get("/api/v1/me")).status_code == 401
    text = (await ada.get("/api/v1/me")).text + str(world.store._documents._rows)
    assert "quite another" not in text


async def test_logins_are_listed_and_ended(world, people, api) -> None:
    ada = await people.come("ada", "admin")
    world.clock.run_for(1_000)
    phone = world.client(headers={**ORIGIN, "User-Agent": "Phone/1.0"})
    people.open.append(phone)
    await log_in(phone, "ada")
    listed = (await ada.get("/api/v1/me/logins")).json()["items"]
    assert listed[0]["agent"] == "Phone/1.0" and [one["current"] for one in listed] == [False, True]
    assert listed[0]["client"] == "203.0.113.9"
    gone = await ada.delete(f"/api/v1/me/logins/{listed[0]['id']}")
    assert gone.json() == {"ended": 1}
    assert (await phone.get("/api/v1/me")).status_code == 401
    assert (await ada.delete("/api/v1/me/logins/nothing")).status_code == 404
    await log_in(phone, "ada")
    assert (await ada.delete("/api/v1/me/logins")).json() == {"ended": 1}
    assert (await phone.get("/api/v1/me")).status_code == 401 and (await ada.get("/api/v1/me")).status_code == 200
    assert len((await api.get("/api/v1/users/ada/logins")).json()["items"]) == 1
    assert (await api.delete("/api/v1/users/ada/logins")).json() == {"ended": 1}
    assert (await ada.get("/api/v1/me")).status_code == 401
    # Somebody else's login is nobody's to end.
    otto = await people.come("otto", "admin")
    eve = await people.come("eve", "admin")
    (his,) = (await otto.get("/api/v1/me/logins")).json()["items"]
    assert (await eve.delete(f"/api/v1/me/logins/{his['id']}")).status_code == 404


async def test_a_token_is_replaced_every_day_and_the_old_one_dies(world, people) -> None:
    ada = await people.come("ada", "admin")
    first = ada.cookies[COOKIE]
    world.clock.run_for(23 * 3_600_000)
    await ada.get("/api/v1/me")
    assert ada.cookies[COOKIE] == first
    world.clock.run_for(2 * 3_600_000)
    several = await asyncio.gather(*(ada.get("/api/v1/me") for _ in range(5)))
    assert {one.status_code for one in several} == {200}
    second = ada.cookies[COOKIE]
    assert second != first and sum("set-cookie" in one.headers for one in several) == 1
    async with world.client(cookies={COOKIE: first}) as late:
        assert (await late.get("/api/v1/me")).status_code == 200, "for half a minute"
        world.clock.run_for(31_000)
        assert (await late.get("/api/v1/me")).status_code == 401
    assert (await ada.get("/api/v1/me")).status_code == 200
    assert len((await ada.get("/api/v1/me/logins")).json()["items"]) == 1, "it is still the one login"


async def test_a_token_is_replaced_when_rights_change(world, people, api) -> None:
    otto = await people.come("otto", "operator")
    first = otto.cookies[COOKIE]
    await api.patch("/api/v1/users/otto", json={"role": "admin"})
    answer = await otto.get("/api/v1/me")
    assert answer.json()["role"] == "admin" and otto.cookies[COOKIE] != first
    world.clock.run_for(31_000)
    async with world.client(cookies={COOKIE: first}) as stolen:
        assert (await stolen.get("/api/v1/me")).status_code == 401


async def test_a_login_ends_when_nothing_is_done_and_after_a_week_in_any_case(world, people) -> None:
    ada = await people.come("ada", "admin")
    world.clock.run_for(24 * 3_600_000)
    assert (await ada.get("/api/v1/me")).status_code == 401
    await log_in(ada, "ada")
    for _ in range(13):
        world.clock.run_for(12 * 3_600_000)
        assert (await ada.get("/api/v1/me")).status_code == 200
    world.clock.run_for(12 * 3_600_000)
    assert (await ada.get("/api/v1/me")).status_code == 401


async def test_too_many_logins_of_one_person_end_the_oldest(world, people) -> None:
    ada = await people.come("ada", "admin")
    for _ in range(50):
        world.clock.run_for(1_000)
        async with world.client(headers=ORIGIN) as other:
            assert (await log_in(other, "ada")).status_code == 200
    assert (await ada.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize("secure", [True, False])
async def test_cookies_over_https_are_bound_to_this_host(world_of, secure: bool) -> None:
    world = world_of(secure_cookies=secure)
    await put(world, "ada", "admin")
    async with world.client() as client:
        answer = await log_in(client, "ada")
        cookie = answer.headers["set-cookie"]
        name = cookie.partition("=")[0]
        assert name == (SECURE_COOKIE if secure else COOKIE)
        assert ("Secure" in cookie) is secure and "HttpOnly" in cookie and "samesite=lax" in cookie.lower()
        assert "Path=/" in cookie and "Domain" not in cookie
        token = cookie.partition("=")[2].partition(";")[0]
        client.cookies.clear()
        plain = {"Cookie": f"{COOKIE}={token}"}
        assert (await client.get("/api/v1/me", headers=plain)).status_code == (401 if secure else 200)


async def test_an_expired_login_leads_back_to_the_page(world) -> None:
    async with world.client(cookies={COOKIE: "gone"}) as client:
        page = {"Accept": "text/html"}
        opened = await client.get("/settings/users?q=a", headers=page)
        assert opened.headers["location"] == "/login?next=%2Fsettings%2Fusers%3Fq%3Da"
        form = {**page, **ORIGIN, "Referer": "http://localhost/stations/CP-A?tab=log"}
        posted = await client.post("/stations/CP-A", data={"note": "x"}, headers=form)
        assert (posted.status_code, posted.headers["location"]) == (303, "/login?next=%2Fstations%2FCP-A%3Ftab%3Dlog")
        elsewhere = await client.post("/x", data={}, headers={**page, **ORIGIN, "Referer": "http://evil.example/a"})
        assert elsewhere.headers["location"] == "/login?next=%2F"
        piece = await client.get("/ui/x", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/stations"})
        assert (piece.status_code, piece.headers["hx-redirect"]) == (200, "/login?next=%2Fstations")
        assert piece.content == b""
        api = await client.get("/api/v1/me", headers=page)
        assert api.status_code == 401


async def test_a_wrong_password_keeps_the_name_that_was_typed_but_not_in_the_address(people, world) -> None:
    await put(world, "ada lovelace".replace(" ", "-"), "admin")
    async with world.client(headers=ORIGIN) as client:
        answer = await client.post("/login", data={"name": "ada-lovelace", "password": "no", "next": "/x"})
        assert "ada" not in answer.headers["location"]
        assert client.cookies["pilotwire_typed"] == "ada-lovelace"
        done = await client.post("/login", data={"name": "ada-lovelace", "password": PASSWORD, "next": "/x"})
        assert done.headers["location"] == "/x" and "pilotwire_typed" not in client.cookies


async def test_wrong_passwords_are_in_the_audit_log(world, api) -> None:
    await put(world, "ada", "admin")
    async with world.client(headers=ORIGIN) as client:
        await client.post("/login", json={"name": "ada", "password": "a-secret-guess"})
        await client.post("/login", json={"name": "nobody", "password": "a-secret-guess"})
    page = (await api.get("/api/v1/audit")).json()
    assert [(one["action"], one["target"]) for one in page["items"]] == [("logins.refuse", "user ada")]
    assert "a-secret-guess" not in str(page)


# -- second factors ---------------------------------------------------------------------------------------------------
async def enrol(world: Any, client: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    begun = await client.post("/api/v1/me/second-factor", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    shown = begun.json()
    assert shown["uri"].startswith("otpauth://totp/Pilotwire:") and shown["secret"] in shown["uri"]
    assert shown["qr_svg"].startswith("<svg") and "<script" not in shown["qr_svg"] and "style=" not in shown["qr_svg"]
    totp = pyotp.TOTP(shown["secret"])
    confirmed = await client.post("/api/v1/me/second-factor/confirm", json={"code": now_of(world, totp)})
    assert confirmed.status_code == 200, confirmed.text
    return totp, confirmed.json()["codes"]


def now_of(world: Any, totp: pyotp.TOTP) -> str:
    return totp.at(world.clock.now() // 1000)


async def test_a_code_is_asked_for_and_taken_once(world, people) -> None:
    ada = await people.come("ada", "admin")
    totp, _ = await enrol(world, ada)
    assert (await ada.get("/api/v1/me")).json()["second_factor"] is True
    async with world.client(headers=ORIGIN) as client:
        asked = await log_in(client, "ada")
        assert (asked.status_code, asked.json()["type"]) == (401, "/api#problem-code-needed")
        assert COOKIE not in client.cookies
        replayed = await log_in(client, "ada", code=now_of(world, totp))
        assert (replayed.status_code, replayed.json()["type"]) == (401, "/api#problem-bad-code"), "used to confirm"
        world.clock.run_for(30_000)
        assert (await log_in(client, "ada", code=now_of(world, totp))).status_code == 200
        assert (await log_in(client, "ada", code=now_of(world, totp))).status_code == 401, "once"
        world.clock.run_for(90_000)
        old = totp.at(world.clock.now() // 1000 - 60)
        assert (await log_in(client, "ada", code=old)).status_code == 401, "two steps ago"
        early = totp.at(world.clock.now() // 1000 + 30)
        assert (await log_in(client, "ada", code=early)).status_code == 200, "a clock that is ahead"


async def test_of_two_uses_at_once_one_counts(world, people) -> None:
    ada = await people.come("ada", "admin")
    totp, _ = await enrol(world, ada)
    world.clock.run_for(60_000)
    code = now_of(world, totp)
    taken = await asyncio.gather(*(second_factor.check(world.context, "default", "ada", code) for _ in range(4)))
    assert sorted(taken) == ["", "", "", "code"]


async def test_recovery_codes_are_good_once_and_not_kept(world, people, api) -> None:
    ada = await people.come("ada", "admin")
    totp, codes = await enrol(world, ada)
    assert len(set(codes)) == 10
    kept = str(world.store._documents._rows)
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    assert totp.secret not in kept, "nor the authenticator's secret in the clear"
    async with world.client(headers=ORIGIN) as client:
        assert (await log_in(client, "ada", code=codes[0].upper())).status_code == 200
        assert (await log_in(client, "ada", code=codes[0])).status_code == 401
        assert (await log_in(client, "ada", code=codes[1].replace("-", ""))).status_code == 200
        renewed = await ada.post("/api/v1/me/recovery-codes", json={"password": PASSWORD})
        assert not set(renewed.json()["codes"]) & set(codes)
        assert (await log_in(client, "ada", code=codes[2])).status_code == 401
    actions = [one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]]
    assert {"users.set-second-factor", "users.renew-recovery"} <= set(actions)
    exported = (await api.get("/api/v1/audit/export")).text
    assert not any(code in exported for code in codes)


async def test_guessing_codes_is_slowed_down(world, people) -> None:
    ada = await people.come("ada", "admin")
    totp, _ = await enrol(world, ada)
    world.clock.run_for(60_000)
    async with world.client(headers=ORIGIN, address="198.51.100.1") as client:
        for guess in range(5):
            assert (await log_in(client, "ada", code=f"{guess:06}")).status_code == 401
        assert (await log_in(client, "ada", code=now_of(world, totp))).status_code == 429
    async with world.client(headers=ORIGIN, address="198.51.100.2") as other:
        assert (await log_in(other, "ada", code=now_of(world, totp))).status_code == 429, "the name is guessed"


async def test_the_form_asks_in_two_steps(world, people) -> None:
    ada = await people.come("ada", "admin")
    totp, codes = await enrol(world, ada)
    world.clock.run_for(60_000)
    async with world.client(headers=ORIGIN) as client:
        form = {"name": "ada", "password": PASSWORD, "next": "/stations?q=a"}
        first = await client.post("/login", data=form)
        assert first.headers["location"] == "/login/code?next=%2Fstations%3Fq%3Da"
        assert (await client.get("/api/v1/me")).status_code == 401, "not in yet"
        wrong = await client.post("/login/code", data={"code": "000000", "next": "/stations?q=a"})
        assert wrong.headers["location"] == "/login/code?why=code&next=%2Fstations%3Fq%3Da"
        done = await client.post("/login/code", data={"code": now_of(world, totp), "next": "/stations?q=a"})
        assert done.headers["location"] == "/stations?q=a" and "pilotwire_pending" not in client.cookies
        assert (await client.get("/api/v1/me")).json()["name"] == "ada"
    async with world.client(headers=ORIGIN) as late:
        await late.post("/login", data=form)
        world.clock.run_for(300_000)
        answer = await late.post("/login/code", data={"code": now_of(world, totp), "next": "/"})
        assert answer.headers["location"].startswith("/login?why=again")
    async with world.client(headers=ORIGIN) as stranger:
        answer = await stranger.post("/login/code", data={"code": codes[0], "next": "/"})
        assert answer.headers["location"].startswith("/login?why=again"), "without the password no code helps"


async def test_a_first_step_is_over_after_five_codes_and_with_a_new_password(world, people) -> None:
    ada = await people.come("ada", "admin")
    totp, _ = await enrol(world, ada)
    world.clock.run_for(60_000)
    form = {"name": "ada", "password": PASSWORD, "next": "/"}
    async with world.client(headers=ORIGIN) as client:
        await client.post("/login", data=form)
        for number in range(5):
            await client.post("/login/code", data={"code": f"{number:06}"})
        world.clock.run_for(61_000)
        answer = await client.post("/login/code", data={"code": now_of(world, totp)})
        assert answer.headers["location"].startswith("/login?why=again")
        await client.post("/login", data=form)
        await put(world, "ada", "admin")
        user = await world.store.user("default", "ada")
        user.password = "human:another one of hers"
        await world.store.put_user(user)
        answer = await client.post("/login/code", data={"code": now_of(world, totp)})
        assert answer.headers["location"].startswith("/login?why=again")


async def test_setting_up_takes_the_password_and_a_right_code(world, people) -> None:
    ada = await people.come("ada", "admin")
    wrong = await ada.post("/api/v1/me/second-factor", json={"password": "no"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "password")
    assert (await ada.post("/api/v1/me/second-factor/confirm", json={"code": "123456"})).status_code == 422
    await ada.post("/api/v1/me/second-factor", json={"password": PASSWORD})
    assert (await ada.post("/api/v1/me/second-factor/confirm", json={"code": "123456"})).status_code == 422
    async with world.client(headers=ORIGIN) as client:
        assert (await log_in(client, "ada")).status_code == 200, "not confirmed: it does not count yet"
    totp, _ = await enrol(world, ada)
    # A second set-up that is not confirmed leaves the first as it is.
    await ada.post("/api/v1/me/second-factor", json={"password": PASSWORD})
    world.clock.run_for(60_000)
    async with world.client(headers=ORIGIN) as client:
        assert (await log_in(client, "ada", code=now_of(world, totp))).status_code == 200
    assert (await ada.post("/api/v1/me/second-factor/remove", json={"password": "no"})).status_code == 422
    assert (await ada.post("/api/v1/me/second-factor/remove", json={"password": PASSWORD})).status_code == 204
    assert (await ada.post("/api/v1/me/second-factor/remove", json={"password": PASSWORD})).status_code == 404


async def test_an_admin_resets_a_lost_second_factor(world, people) -> None:
    otto = await people.come("otto", "operator")
    await enrol(world, otto)
    ada = await people.come("ada", "admin")
    assert (await ada.get("/api/v1/users/otto")).json()["second_factor"] is True
    assert (await ada.delete("/api/v1/users/otto/second-factor")).status_code == 204
    assert (await otto.get("/api/v1/me")).status_code == 401
    assert (await log_in(otto, "otto")).status_code == 200
    assert (await ada.delete("/api/v1/users/otto/second-factor")).status_code == 404


# -- keys -------------------------------------------------------------------------------------------------------------
async def test_keys_are_rotated_with_an_overlap(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "export", "role": "viewer"})).json()

    async def works(secret: str) -> bool:
        async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
            return (await client.get("/api/v1/me")).status_code == 200

    again = (await api.post(f"/api/v1/api-keys/{made['id']}/rotate", json={"overlap_s": 60})).json()
    assert again["id"] == made["id"] and again["key"] != made["key"]
    assert await works(made["key"]) and await works(again["key"])
    world.clock.run_for(60_000)
    assert not await works(made["key"]) and await works(again["key"])
    third = (await api.post(f"/api/v1/api-keys/{made['id']}/rotate", json={})).json()
    assert not await works(again["key"]) and await works(third["key"])
    shown = (await api.get(f"/api/v1/api-keys/{made['id']}")).json()
    assert shown["rotated_at"] and shown["last_used_at"] and shown["created_by"] == "this machine"
    ended = await api.patch(f"/api/v1/api-keys/{made['id']}", json={"expires_at": "2026-01-01T12:00:00Z"})
    assert ended.status_code == 200 and not await works(third["key"])
    assert (await api.post("/api/v1/api-keys/nothing/rotate", json={})).status_code == 404


async def test_when_a_key_was_used_is_noted_without_bringing_a_revoked_one_back(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "export"})).json()
    async with world.client(headers={"Authorization": f"Bearer {made['key']}"}) as client:
        await client.get("/api/v1/me")
        first = (await api.get(f"/api/v1/api-keys/{made['id']}")).json()["last_used_at"]
        world.clock.run_for(60_000)
        await client.get("/api/v1/me")
        assert (await api.get(f"/api/v1/api-keys/{made['id']}")).json()["last_used_at"] == first
        world.clock.run_for(240_000)
        await client.get("/api/v1/me")
        assert (await api.get(f"/api/v1/api-keys/{made['id']}")).json()["last_used_at"] > first
        await api.delete(f"/api/v1/api-keys/{made['id']}")
        world.clock.run_for(600_000)
        assert (await client.get("/api/v1/me")).status_code == 401
    assert await world.store.api_keys("default") == []


async def test_a_key_of_a_driver_makes_no_sense(api) -> None:
    answer = await api.post("/api/v1/api-keys", json={"name": "k", "role": "driver"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "role")


# -- dangerous commands -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("action", sorted(DANGEROUS))
async def test_a_dangerous_command_needs_the_right_and_a_reason(world, api, people, action: str) -> None:
    reached: list[CommandRequest] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        reached.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={})

    world.bus.serve("command.>", gateway)
    path = "/api/v1/stations/CP-A/commands"
    for reason in ({}, {"reason": ""}, {"reason": "  "}):
        refused = await api.post(path, json={"action": action, **reason})
        told = refused.json()
        assert (refused.status_code, told["type"]) == (422, "/api#problem-reason-needed")
        assert told["errors"][0]["field"] == "reason" and action in told["detail"]
    assert reached == []
    assert (await api.post(path, json={"action": action, "reason": "display frozen"})).status_code == 200
    (row,) = (await api.get("/api/v1/audit?action=commands")).json()["items"]
    assert (row["action"], row["target"], row["reason"]) == (f"commands.{action}", "station CP-A", "display frozen")
    service = (await api.post("/api/v1/api-keys", json={"name": "k", "role": "service"})).json()["key"]
    async with world.client(headers={"Authorization": f"Bearer {service}"}) as program:
        denied = await program.post(path, json={"action": action, "reason": "r"})
    assert denied.status_code == 403 and "commands:dangerous" in denied.json()["detail"]
    assert len(reached) == 1


async def test_configuring_needs_its_own_right(world, people) -> None:
    support = await people.come("sue", "support")
    for action in CONFIGURES:
        answer = await support.post("/api/v1/stations/CP-A/commands", json={"action": action})
        assert answer.status_code == 403 and "variables:write" in answer.json()["detail"]


async def test_what_a_command_carries_is_not_in_the_audit_log(world, api) -> None:
    payload = {"key": "AuthorizationKey", "value": "0011223344556677"}
    body = {"action": "ChangeConfiguration", "payload": payload}
    await api.post("/api/v1/stations/CP-A/commands", json=body)
    assert "0011223344556677" not in (await api.get("/api/v1/audit/export?format=jsonl")).text


# -- two processes ----------------------------------------------------------------------------------------------------
async def test_what_another_process_ended_ends_within_two_seconds(world, people) -> None:
    """Another process has its own memory over the same store."""
    ada = await people.come("ada", "admin")
    other = access_of(replace(world.context, parts={}))
    assert (await ada.get("/api/v1/me")).status_code == 200
    assert await other.by_login(ada.cookies[COOKIE]) is not None
    assert await other.logins.end_some("default", "ada") == 1
    world.clock.run_for(2_000)
    assert (await ada.get("/api/v1/me")).status_code == 401


async def test_a_digest_is_all_that_is_kept_of_a_login(world, people) -> None:
    ada = await people.come("ada", "admin")
    token = ada.cookies[COOKIE]
    kept = str(world.store._documents._rows)
    assert token not in kept and digest(token) in kept


# -- streams ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["logged out", "switched off", "other role", "other sites", "removed", "suspended"])
async def test_a_stream_ends_with_the_login(sited, people, how: str) -> None:
    """A live page that stays open must not go on telling somebody who was shut out."""
    client = await people.come("olga", "site-owner", sites=["yard"])
    access = access_of(sited.context)
    let = await access.by_login(client.cookies[COOKIE])
    assert let is not None
    closed = []

    async def endless() -> Any:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    stream = access.while_in(let.principal, endless())
    for _ in range(3):
        sited.clock.run_for(10_000)
        assert await anext(stream) == b"x"
    user = await sited.store.user("default", "olga")
    match how:
        case "logged out":
            await client.post("/logout")
        case "removed":
            await sited.store.delete_user("default", "olga")
        case "suspended":
            from pilotwire.api.access import TENANT_KIND, TenantRecord
            from pilotwire.api.tenancy import PLATFORM
            from pilotwire.storage.documents import put as document

            body = document(TENANT_KIND, "default", TenantRecord(suspended=True))
            await sited.store.write_documents(PLATFORM, [body])
        case "switched off":
            user.enabled = False
            await sited.store.put_user(user)
        case "other role":
            user.role = "operator"
            await sited.store.put_user(user)
        case _:
            user.sites = ["pier"]
            await sited.store.put_user(user)
    sited.clock.run_for(5_000)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert closed == [True]


async def test_a_stream_ends_with_the_key(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "k", "role": "viewer"})).json()
    access = access_of(world.context)
    principal = await access.by_key(made["key"])
    assert principal is not None and await access.still(principal)
    await api.delete(f"/api/v1/api-keys/{made['id']}")
    assert not await access.still(principal)
    mine = await access.by_key(KEY)
    assert mine is not None and await access.still(mine) and await access.still(access.lab())
