"""Who is let in, and what a foreign web page cannot do."""

from __future__ import annotations

import pytest

from pilotwire.api.access import COOKIE, Principal, new_key
from pilotwire.api.guard import host_name, is_loopback
from pilotwire.api.limiter import FailureLimiter
from pilotwire.api.routes.login import own_path
from pilotwire.core.time import SimScheduler
from pilotwire.domain import records

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture
async def people(world):
    for name, role in (("ada", "admin"), ("otto", "operator"), ("vera", "viewer"), ("eve", "made-up")):
        await world.store.put_user(
            records.User(tenant="default", name=name, password=f"human:{PASSWORD}", role=role, created_at=1)
        )
    return world


async def log_in(client, name: str, password: str = PASSWORD):
    return await client.post("/login", json={"name": name, "password": password}, headers=ORIGIN)


@pytest.mark.parametrize(
    "path",
    ["/api/v1/stations", "/api/v1/events", "/api/v1/live", "/api/v1/users", "/api/v1/me", "/nowhere", "/metrics"],
)
async def test_nothing_without_a_login(world, path: str) -> None:
    async with world.client() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (401, "/api#problem-login-needed")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_person_is_led_to_the_login_page(world) -> None:
    async with world.client() as client:
        answer = await client.get("/some/page?a=b", headers={"Accept": "text/html,*/*"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fsome%2Fpage%3Fa%3Db")
        assert (await client.get("/api/v1/me", headers={"Accept": "text/html"})).status_code == 401


async def test_login_and_logout(people) -> None:
    async with people.client() as client:
        answer = await log_in(client, "ada")
        assert answer.json() == {"name": "ada", "role": "admin", "by": "login"}
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
        assert (await client.get("/api/v1/me")).json()["name"] == "ada"
        token = client.cookies[COOKIE]
        assert token not in (await people.store.setting("api.logins") or ""), "only a digest is kept"
        assert (await client.post("/logout", headers=ORIGIN)).status_code == 303
        client.cookies.set(COOKIE, token)
        assert (await client.get("/api/v1/me")).status_code == 401, "the token is dead, not only forgotten"


async def test_a_login_outlives_a_restart_but_not_its_time_nor_the_password(people) -> None:
    from pilotwire.api.app import create_app

    async with people.client() as client:
        await log_in(client, "ada")
        people.context.parts.clear()
        people.app = create_app(people.context)
        async with people.client(cookies=dict(client.cookies)) as later:
            assert (await later.get("/api/v1/me")).status_code == 200
            people.clock.run_for(7 * 86_400_000)
            assert (await later.get("/api/v1/me")).status_code == 401
            await log_in(later, "ada")
            assert (await later.get("/api/v1/me")).status_code == 200
            await people.store.put_user(records.User(tenant="default", name="ada", password="human:new", role="admin"))
            assert (await later.get("/api/v1/me")).status_code == 401
            await log_in(later, "otto")
            await people.store.delete_user("default", "otto")
            assert (await later.get("/api/v1/me")).status_code == 401


async def test_form_login_leads_back_but_never_elsewhere(people) -> None:
    async with people.client() as client:
        form = {"name": "ada", "password": PASSWORD, "next": "//evil.example/x"}
        answer = await client.post("/login", data=form, headers=ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        wrong = await client.post("/login", data={**form, "password": "no", "next": "/api"}, headers=ORIGIN)
        assert (wrong.status_code, wrong.headers["location"]) == (303, "/login?why=wrong&next=%2Fapi")


@pytest.mark.parametrize(
    ("target", "result"),
    [("/", "/"), ("/a?b#c", "/a?b#c"), ("//x", "/"), ("/\\x", "/"), ("https://x", "/"), ("/a\r\nX: y", "/"), ("", "/")],
)
def test_own_path(target: str, result: str) -> None:
    assert own_path(target) == result


async def test_guessing_is_slowed_down(people) -> None:
    async with people.client() as client:
        for _ in range(5):
            assert (await log_in(client, "ada", "guess")).status_code == 401
        blocked = await log_in(client, "ada")
        assert blocked.status_code == 429, "even the right password has to wait"
        assert int(blocked.headers["retry-after"]) == 60
        assert (await log_in(client, "otto")).status_code == 429, "this client guesses"
    async with people.client(address="198.51.100.7") as other:
        assert (await log_in(other, "ada")).status_code == 429, "this name is guessed"
        assert (await log_in(other, "otto")).status_code == 200
    people.clock.run_for(60_000)
    async with people.client() as client:
        assert (await log_in(client, "ada")).status_code == 200


async def test_an_unknown_name_costs_as_much_as_a_known_one(people) -> None:
    checked = []
    verify = people.context.passwords.verify_human
    people.context.passwords.verify_human = lambda password, verifier: (
        checked.append(verifier) or verify(password, verifier)
    )
    async with people.client() as client:
        assert (await log_in(client, "nobody")).status_code == 401
        assert (await log_in(client, "ada", "x")).status_code == 401
    assert len(checked) == 2 and checked[0].startswith("human:")


def test_the_limiter_is_bounded_and_forgets() -> None:
    clock = SimScheduler(0)
    limiter = FailureLimiter(clock.now, limit=2, window_ms=1_000, keys=3)
    for name in "abcd":
        limiter.failed(name)
        limiter.failed(name)
    assert limiter.wait_ms("a") == 0, "the oldest was forgotten"
    assert limiter.wait_ms("d") == 1_000
    clock.run_for(999)
    assert limiter.wait_ms("d", "a") == 1
    clock.run_for(1)
    assert limiter.wait_ms("d") == 0
    limiter.failed("d")
    limiter.succeeded("d")
    limiter.failed("d")
    assert limiter.wait_ms("d") == 0


@pytest.mark.parametrize(
    ("name", "reads", "writes", "manages"),
    [("ada", 200, 200, 200), ("otto", 200, 200, 403), ("vera", 200, 403, 403), ("eve", 403, 403, 403)],
)
async def test_roles(people, name: str, reads: int, writes: int, manages: int) -> None:
    async with people.client() as client:
        await log_in(client, name)
        assert (await client.get("/api/v1/stations")).status_code == reads
        assert (await client.post("/api/v1/tokens", json={"token": "T"}, headers=ORIGIN)).status_code == writes
        assert (await client.get("/api/v1/users")).status_code == manages
        refused = await client.post("/api/v1/api-keys", json={"name": "k"}, headers=ORIGIN)
        assert refused.status_code == (201 if manages == 200 else 403)


def test_a_role_that_is_not_known_may_nothing() -> None:
    assert not Principal(tenant="t", name="n", role="root", by="login").may("stations:read")


async def test_api_keys(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "export", "expires_at": "2026-01-01T13:00:00Z"})).json()
    assert made["key"].startswith("pw_") and len(made["key"]) > 40
    listed = (await api.get("/api/v1/api-keys")).json()["items"]
    assert [one["id"] for one in listed] == [made["id"]] and "key" not in listed[0]
    async with world.client(headers={"Authorization": f"Bearer {made['key']}"}) as client:
        me = (await client.get("/api/v1/me")).json()
        assert (me["name"], me["role"], me["by"], me["tenant"]) == ("key export", "service", "key", "default")
        assert (await client.get("/api/v1/users")).status_code == 403
        assert (await client.get("/metrics")).status_code == 200
        world.clock.run_for(3_600_000)
        assert (await client.get("/api/v1/me")).status_code == 401, "it is over"
    made = (await api.post("/api/v1/api-keys", json={"name": "other"})).json()
    async with world.client(headers={"Authorization": f"Bearer {made['key']}"}) as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        assert (await api.delete(f"/api/v1/api-keys/{made['id']}")).status_code == 204
        answer = await client.get("/api/v1/me")
        assert (answer.status_code, answer.json()["type"]) == (401, "/api#problem-bad-key")


async def test_a_key_revoked_elsewhere_dies_within_two_seconds(world) -> None:
    secret = new_key()
    from pilotwire.api.access import digest

    await world.store.put_api_key(records.ApiKey(tenant="default", id="k", name="k", digest=digest(secret)))
    async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        await world.store.delete_api_key("default", "k")
        world.clock.run_for(2_000)
        assert (await client.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer pw_nothing", "Basic YTpi", "pw_x", "Bearer " + "x" * 5000]
)
async def test_bad_authorization(world, value: str) -> None:
    async with world.client() as client:
        assert (await client.get("/api/v1/me", headers={"Authorization": value})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_foreign_page_cannot_write_with_the_cookie(people, headers: dict[str, str], status: int) -> None:
    async with people.client() as client:
        await log_in(client, "ada")
        answer = await client.post("/api/v1/tokens", json={"token": "T"}, headers=headers)
        assert answer.status_code == status
        assert bool(await people.store.tokens("default")) == (status == 200)
        assert (await client.get("/api/v1/me")).status_code == 200


# -- the lab ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def lab(world_of):
    return world_of(lab=True)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
async def test_the_lab_needs_no_login_on_loopback(lab, host: str) -> None:
    async with lab.client(address="127.0.0.1") as client:
        answer = await client.get("/api/v1/me", headers={"Host": host})
        me = answer.json()
        assert (me["name"], me["role"], me["by"]) == ("lab", "platform-admin", "lab")
        put = await client.post(
            "/api/v1/tokens", json={"token": "T"}, headers={"Host": host, "Origin": f"http://{host}"}
        )
        assert put.status_code == 200
        plain = await client.post("/api/v1/tokens", json={"token": "T"}, headers={"Host": host})
        assert plain.status_code == 200, "curl sends no Origin"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost@evil.example",
        "[::2]",
        "10.0.0.1",
    ],
)
async def test_the_lab_is_safe_from_dns_rebinding(lab, host: str) -> None:
    async with lab.client(address="127.0.0.1") as client:
        answer = await client.get("/api/v1/stations", headers={"Host": host})
        assert (answer.status_code, answer.json()["type"]) == (403, "/api#problem-bad-host")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    ],
)
async def test_the_lab_is_safe_from_foreign_pages(lab, method: str, headers: dict[str, str]) -> None:
    async with lab.client(address="127.0.0.1") as client:
        answer = await client.request(method, "/api/v1/tokens", json={"token": "T"}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/api#problem-bad-origin")
        assert await lab.store.tokens("default") == []


async def test_a_link_from_elsewhere_may_open_the_lab(lab) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with lab.client(address="127.0.0.1") as client:
        assert (await client.get("/api/v1/me", headers=headers)).status_code == 200
        assert (await client.post("/api/v1/tokens", json={"token": "T"}, headers=headers)).status_code == 403


async def test_the_lab_lets_nobody_in_from_another_machine(lab) -> None:
    async with lab.client(address="192.0.2.5") as client:
        assert (await client.get("/api/v1/stations")).status_code == 401


async def test_without_a_lab_loopback_is_nobody(world) -> None:
    async with world.client(address="127.0.0.1") as client:
        assert (await client.get("/api/v1/stations")).status_code == 401
        assert (await client.get("/metrics")).status_code == 200, "a scraper on the machine itself"
        assert (await client.get("/metrics", headers={"Host": "evil.example"})).status_code == 401


@pytest.mark.parametrize(
    ("netloc", "name"),
    [
        ("A.example:80", "a.example"),
        ("[::1]:80", "::1"),
        ("a:b:c", ""),
        ("a/b", ""),
        ("u@h", ""),
        ("h:99999", ""),
        ("", ""),
    ],
)
def test_host_name(netloc: str, name: str) -> None:
    assert host_name(netloc) == name


@pytest.mark.parametrize(
    ("address", "yes"), [("127.0.0.1", True), ("::1", True), ("127.9.9.9", True), ("10.0.0.1", False), ("x", False)]
)
def test_is_loopback(address: str, yes: bool) -> None:
    assert is_loopback(address) is yes


async def test_every_answer_carries_the_headers(world, api) -> None:
    for path in ("/api/v1/stations", "/nowhere", "/healthz", "/api/v1/stations?limit=0"):
        headers = (await api.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers
