"""Logging in through a real OpenID provider (npm oidc-provider), and what a false one cannot do."""

from __future__ import annotations

import html
import json
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pilotwire.api import oidc
from pilotwire.api.access import COOKIE
from pilotwire.api.problems import Problem
from pilotwire.domain import records

KEY = "pw_test-process-key"
CALLBACK = "http://localhost/login/oidc/callback"
SECRET = "a-client-secret-of-the-test"
ORIGIN = {"Origin": "http://localhost"}
PEOPLE = {
    "ada": {
        "preferred_username": "ada",
        "groups": ["staff", "ops"],
        "email": "ada@example.com",
        "email_verified": True,
    },
    "olga": {"preferred_username": "olga", "groups": ["owners"], "sites": ["yard"]},
    "nina": {"preferred_username": "nina", "groups": ["admins"], "org": "north-org"},
    "zoe": {"preferred_username": "zoe", "groups": ["strangers"]},
    "mail": {"preferred_username": "somebody", "groups": ["ops"], "email": "OTTO@example.com", "email_verified": True},
    "liar": {"preferred_username": "liar", "groups": ["ops"], "email": "otto@example.com", "email_verified": False},
}


class RealProvider:
    """The provider as a process."""

    def __init__(self, **more: Any) -> None:
        client = {
            "client_id": "pilotwire",
            "client_secret": SECRET,
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["http://localhost/login"],
        }
        given = {"people": PEOPLE, "clients": [client], **more}
        line = [str(shutil.which("node")), str(Path(__file__).with_name("oidc_provider.mjs")), json.dumps(given)]
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.issuer = str(json.loads(self._said.get(timeout=60))["issuer"])

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # it also says things of its own
                self._said.put(line)

    def rotate(self) -> None:
        """From now on it signs with another key, and names that one alone."""
        assert self._process.stdin is not None
        self._process.stdin.write('{"order": "rotate"}\n')
        self._process.stdin.flush()
        assert json.loads(self._said.get(timeout=30)) == {"done": "rotate"}

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def provider() -> Iterator[RealProvider]:
    made = RealProvider(idTokenSeconds=120)
    yield made
    made.stop()


@pytest.fixture
async def site(world, api, provider):
    """The provider set up, with the clock of the real one."""
    world.clock._now = round(time.time() * 1000)
    await configure(api, provider)
    await api.post("/api/v1/sites", json={"id": "yard", "name": "Yard"})
    return world


async def configure(api: httpx.AsyncClient, provider: RealProvider, **more: Any) -> dict[str, Any]:
    settings = {
        "issuer": provider.issuer,
        "client_id": "pilotwire",
        "client_secret": SECRET,
        "label": "Company login",
        "roles": {"ops": "operator", "owners": "site-owner", "admins": "admin", "staff": "viewer"},
        "sites_claim": "",
        "create_users": True,
        **more,
    }
    answer = await api.put("/api/v1/oidc", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Browser:
    """Somebody at a browser: one set of cookies for us, one for the provider."""

    def __init__(self, world: Any) -> None:
        self.here = world.client(headers={"Accept": "text/html"})
        self.there = httpx.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.here.aclose()
        await self.there.aclose()

    async def begin(self, **query: str) -> str:
        """Where we send the browser."""
        answer = await self.here.get("/login/oidc", params=query)
        assert answer.status_code == 303
        return answer.headers["location"]

    async def through(self, url: str, who: str) -> str:
        """Log in there as `who` and agree; the address that the provider sends the browser back to."""
        for _ in range(12):
            if url.startswith(CALLBACK):
                return url
            answer = await self.there.get(url)
            if answer.is_redirect:
                url = str(answer.url.join(answer.headers["location"]))
                continue
            assert answer.status_code == 200, answer.text
            action = html.unescape(re.search(r'action="([^"]+)"', answer.text)[1])
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
            form = {"prompt": prompt} | ({"login": who, "password": "x"} if prompt == "login" else {})
            posted = await self.there.post(str(answer.url.join(action)), data=form)
            url = str(posted.url.join(posted.headers["location"]))
        raise AssertionError("the provider goes round in circles")

    async def back(self, url: str) -> httpx.Response:
        return await self.here.get(url.removeprefix("http://localhost"))

    async def log_in(self, who: str, **query: str) -> httpx.Response:
        return await self.back(await self.through(await self.begin(**query), who))

    def why(self) -> str:
        """What the login page will say."""
        return unquote(self.here.cookies.get("pilotwire_said", ""))


@pytest.fixture
async def browser(site):
    async with Browser(site) as made:
        yield made


def with_query(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return urlunsplit(parts._replace(query=urlencode(query)))


async def me(browser: Browser) -> dict[str, Any]:
    return (await browser.here.get("/api/v1/me")).json()


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 303 and answer.headers["location"].startswith("/login?why=provider")


# -- the way through --------------------------------------------------------------------------------------------------
async def test_somebody_logs_in_and_is_who_the_claims_say(site, api, browser) -> None:
    url = await browser.begin(next="/stations?q=a")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43 and len(asked["nonce"]) >= 43 and asked["scope"] == "openid profile email"
    done = await browser.back(await browser.through(url, "ada"))
    assert (done.status_code, done.headers["location"]) == (303, "/stations?q=a")
    who = await me(browser)
    assert (who["name"], who["role"], who["by"], who["email"]) == ("ada", "operator", "login", "ada@example.com")
    user = (await api.get("/api/v1/users/ada")).json()
    assert (user["external"], user["password_set"]) == (True, False)
    (login,) = (await browser.here.get("/api/v1/me/logins")).json()["items"]
    assert login["by"] == "oidc"
    actions = [one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]]
    assert actions[:2] == ["logins.log-in", "users.create"]
    # Without a password there is no way in by one.
    for password in ("", "x"):
        answer = await browser.here.post("/login", json={"name": "ada", "password": password}, headers=ORIGIN)
        assert answer.status_code == 401


async def test_claims_change_role_and_sites_at_every_login(site, api, provider, browser) -> None:
    await configure(api, provider, sites_claim="sites", roles={"owners": "site-owner"})
    assert (await browser.log_in("olga")).headers["location"] == "/"
    assert (await me(browser))["sites"] == ["yard"]
    await configure(api, provider, sites_claim="sites", roles={"owners": "operator"})
    async with Browser(site) as again:
        await again.log_in("olga")
        assert (await me(again))["role"] == "operator"
    assert (await me(browser))["role"] == "operator", "also where they were in already"
    await api.patch("/api/v1/users/olga", json={"enabled": False})
    async with Browser(site) as off:
        assert refused(await off.log_in("olga")) and "switched off" in off.why()


async def test_who_is_given_no_role_or_is_not_known_stays_out(site, api, provider, browser) -> None:
    assert refused(await browser.log_in("zoe")) and "no role" in browser.why()
    assert COOKIE not in browser.here.cookies
    await configure(api, provider, create_users=False)
    async with Browser(site) as other:
        assert refused(await other.log_in("ada")) and "Nobody is known here" in other.why()
    assert {one["name"] for one in (await api.get("/api/v1/users")).json()["items"]} == set()
    await configure(api, provider, default_role="viewer")
    async with Browser(site) as third:
        await third.log_in("zoe")
        assert (await me(third))["role"] == "viewer"


async def test_a_name_of_somebody_else_is_not_taken_over(site, api, browser) -> None:
    await site.store.put_user(records.User(tenant="default", name="Ada", password="human:x", role="admin"))
    assert refused(await browser.log_in("ada")) and "belongs to somebody else" in browser.why()
    assert (await site.store.user("default", "Ada")).subject == ""


async def test_a_verified_address_links_where_that_is_wanted(site, api, provider) -> None:
    otto = records.User(
        tenant="default", name="otto", password="human:x", role="viewer", email="otto@example.com", created_at=1
    )
    await site.store.put_user(otto)
    await configure(api, provider, link_by_email=True, create_users=False)
    async with Browser(site) as liar:
        assert refused(await liar.log_in("liar")), "an address that nobody has verified"
    async with Browser(site) as right:
        await right.log_in("mail")
        assert ((await me(right))["name"], (await me(right))["role"]) == ("otto", "operator")


async def test_the_platforms_provider_says_which_tenant(site, api, provider, browser) -> None:
    await api.post("/api/v1/tenants", json={"id": "north"})
    await configure(api, provider, tenant_claim="org", tenants={"north-org": "north"})
    await browser.log_in("nina")
    assert ((await me(browser))["tenant"], (await me(browser))["role"]) == ("north", "admin")
    async with Browser(site) as other:
        assert refused(await other.log_in("ada")) and "no tenant" in other.why()
    await site.store.put_user(records.User(tenant="north", name="admin", password="human:x", role="admin"))
    async with site.client(headers=ORIGIN) as north:
        await north.post("/login", json={"name": "admin", "password": "x", "tenant": "north"})
        answer = await north.put(
            "/api/v1/oidc", json={"issuer": provider.issuer, "client_id": "c", "tenant_claim": "org"}
        )
        assert answer.status_code == 422, "a tenant's provider has no say over others"
        over = {"issuer": provider.issuer, "client_id": "c", "roles": {"x": "platform-admin"}}
        assert (await north.put("/api/v1/oidc", json=over)).status_code in (403, 422)
        assert (await north.get("/api/v1/oidc")).status_code == 404


async def test_logging_out_leads_to_the_provider_too(site, provider, browser) -> None:
    await browser.log_in("ada")
    answer = await browser.here.post("/logout", headers=ORIGIN)
    assert answer.headers["location"] == "/login/out"
    assert COOKIE not in browser.here.cookies
    from pilotwire.api.resources.oidc import unlocked_logout

    url = unlocked_logout(site.context, browser.here.cookies["pilotwire_out"])
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{provider.issuer}/session/end?") and asked["post_logout_redirect_uri"] == [
        "http://localhost/login"
    ]
    ended = await browser.there.get(url)
    assert ended.status_code == 200, "the provider takes the hint"


# -- what goes wrong --------------------------------------------------------------------------------------------------
async def test_a_wrong_or_missing_or_used_state_lets_nobody_in(site, browser) -> None:
    back = await browser.through(await browser.begin(), "ada")
    for state in ("", "x", "x" * 43):
        assert refused(await browser.back(with_query(back, state=state)))
    assert "begun in this browser" in browser.why()
    async with Browser(site) as stranger:
        assert refused(await stranger.back(back)), "another browser: login CSRF"
    assert (await browser.back(back)).headers["location"] == "/"
    async with Browser(site) as again:
        again.here.cookies.set("pilotwire_oidc", parse_qs(urlsplit(back).query)["state"][0])
        assert refused(await again.back(back)), "once"


async def test_a_login_that_takes_too_long_is_over(site, browser) -> None:
    back = await browser.through(await browser.begin(), "ada")
    site.clock.run_for(600_000)
    assert refused(await browser.back(back))


async def test_a_token_for_another_login_is_refused(site, browser) -> None:
    """The nonce in the token is not the one that this browser was sent with."""
    url = with_query(await browser.begin(), nonce="somebody-elses")
    assert refused(await browser.back(await browser.through(url, "ada")))
    assert "made for another login" in browser.why() and COOKIE not in browser.here.cookies


async def test_a_code_that_was_stolen_is_worth_nothing(site, browser) -> None:
    """PKCE: the provider gives no tokens to whoever has not the verifier of the one who began."""
    url = await browser.begin()
    other = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert refused(await browser.back(await browser.through(with_query(url, code_challenge=other), "ada")))
    assert "invalid_grant" in browser.why()


async def test_an_answer_of_another_provider_is_refused(site, browser) -> None:
    back = await browser.through(await browser.begin(), "ada")
    assert refused(await browser.back(with_query(back, iss="http://127.0.0.1:1")))
    assert "another provider" in browser.why()


async def test_a_refusal_of_the_provider_is_told(site, browser) -> None:
    state = parse_qs(urlsplit(await browser.begin()).query)["state"][0]
    query = {"state": state, "error": "access_denied", "error_description": "End-User aborted interaction"}
    assert refused(await browser.back(f"{CALLBACK}?{urlencode(query)}"))
    assert "End-User aborted interaction" in browser.why()


async def test_an_expired_token_is_refused(site, browser) -> None:
    back = await browser.through(await browser.begin(), "ada")
    site.clock.run_for(181_000)  # it is good for two minutes, clocks may differ by one
    assert refused(await browser.back(back))
    assert "has expired" in browser.why()


async def test_a_token_from_the_future_is_refused(site, browser) -> None:
    site.clock._now -= 120_000
    assert refused(await browser.log_in("ada"))
    assert "from the future" in browser.why()


async def test_keys_that_change_are_read_again(site, provider, browser) -> None:
    await browser.log_in("ada")
    provider.rotate()
    async with Browser(site) as early:
        assert refused(await early.log_in("ada")) and "does not name" in early.why()
    site.clock.run_for(oidc.KEYS_AGAIN_MS)
    async with Browser(site) as later:
        assert (await later.log_in("ada")).headers["location"] == "/"


async def test_a_provider_that_is_down_is_told_clearly(world, api) -> None:
    gone = RealProvider()
    world.clock._now = round(time.time() * 1000)
    await configure(api, gone)
    assert (await api.post("/api/v1/oidc/check")).json() == {"ok": True, "text": f"{gone.issuer} answers."}
    gone.stop()
    checked = (await api.post("/api/v1/oidc/check")).json()
    assert checked["ok"] is False and "cannot be reached" in checked["text"]
    async with Browser(world) as browser:
        answer = await browser.here.get("/login/oidc", params={"next": "/stations"})
        assert answer.headers["location"] == "/login?why=provider&next=%2Fstations"
        assert f"{gone.issuer} cannot be reached" in browser.why()


async def test_nobody_begins_as_many_logins_as_they_like(site, browser) -> None:
    answers = [await browser.here.get("/login/oidc") for _ in range(61)]
    assert not any(refused(one) for one in answers[:60])
    assert refused(answers[60]) and "Wait" in browser.why()
    site.clock.run_for(60_000)
    assert not refused(await browser.here.get("/login/oidc"))


# -- settings ---------------------------------------------------------------------------------------------------------
async def test_settings_never_show_the_secret(site, api, provider) -> None:
    shown = await api.get("/api/v1/oidc")
    assert shown.json()["has_secret"] is True and SECRET not in shown.text
    assert shown.json()["redirect_uri"] == CALLBACK
    assert SECRET not in str(site.store._documents._rows), "locked in the store too"
    assert SECRET not in (await api.get("/api/v1/audit/export")).text
    tag = shown.headers["etag"]
    plain = {"issuer": provider.issuer, "client_id": "pilotwire"}
    kept = await api.put("/api/v1/oidc", json=plain, headers={"If-Match": tag})
    assert kept.json()["has_secret"] is True, "left out: it stays"
    assert (await api.put("/api/v1/oidc", json=plain, headers={"If-Match": tag})).status_code == 412
    other = await api.put("/api/v1/oidc", json={**plain, "issuer": "https://login.example.com"})
    assert other.json()["has_secret"] is False, "not handed to another provider"
    for issuer in ("http://login.example.com", "ftp://x.example", "https://u:p@x.example", "https://"):
        bad = await api.put("/api/v1/oidc", json={**plain, "issuer": issuer})
        assert bad.status_code == 422, issuer
    assert (await api.delete("/api/v1/oidc")).status_code == 204
    assert (await api.get("/api/v1/oidc")).status_code == 404


# -- a false provider -------------------------------------------------------------------------------------------------
CLIENT = oidc.Client("https://login.example.com", "pilotwire", SECRET, CALLBACK)
ATTEMPT = oidc.Attempt(state="s", nonce="n", verifier="v", tenant="default", next="/", expires_at=0)
PRIVATE = rsa.generate_private_key(65537, 2048)


class Forged(oidc.Provider):
    """A provider that answers what the test says."""

    def __init__(self, world: Any, **claims: Any) -> None:
        super().__init__(world.context, CLIENT.issuer)
        now = world.clock.now() // 1000
        self.claims = {"iss": CLIENT.issuer, "aud": "pilotwire", "sub": "u", "exp": now + 60, "iat": now, "nonce": "n"}
        self.claims |= claims
        self.claims = {name: value for name, value in self.claims.items() if value is not None}
        self.key: Any = PRIVATE
        self.algorithm = "RS256"
        self.userinfo: Any = {"sub": "u", "email": "u@example.com"}
        self.said: dict[str, Any] = {}

    async def _json(self, method: str, url: str, **extra: Any) -> Any:
        if url.endswith("openid-configuration"):
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
            return {
                "issuer": CLIENT.issuer, "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **{name: f"{CLIENT.issuer}/{name}" for name in names},
            } | self.said  # fmt: skip
        if url.endswith("jwks_uri"):
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key()))
            return {
                "keys": [{**public, "kid": "k", "use": "sig", "alg": "RS256"}, {"kty": "oct", "k": "AAAA", "kid": "o"}]
            }
        if url.endswith("userinfo_endpoint"):
            return self.userinfo
        token = jwt.encode(self.claims, self.key, algorithm=self.algorithm, headers={"kid": "k"})
        return {"id_token": token, "access_token": "a"}

    async def run(self) -> oidc.Identity:
        return await self.identity(CLIENT, ATTEMPT, "code", "")


async def test_a_right_token_is_taken(world) -> None:
    found = await Forged(world).run()
    assert (found.subject, found.claims["email"]) == ("u", "u@example.com")
    assert (await Forged(world, aud=["pilotwire", "other"], azp="pilotwire").run()).subject == "u"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"}, {"aud": "other"}, {"aud": ["pilotwire", "other"]}, {"aud": []}, {"aud": None},
        {"nonce": "m"}, {"nonce": None}, {"nonce": ["n"]}, {"sub": None}, {"exp": None}, {"iat": None}, {"exp": "soon"},
        {"exp": 1}, {"iat": 1}, {"nbf": 9_999_999_999}, {"iat": 9_999_999_999}, {"sub": ""},
        {"aud": ["pilotwire", "other"], "azp": "other"},
    ],
)  # fmt: skip
async def test_a_token_with_wrong_claims_is_refused(world, claims: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        await Forged(world, **claims).run()
    assert refused.value.name == "provider-failed"


async def test_a_token_with_a_wrong_signature_is_refused(world) -> None:
    stranger = Forged(world)
    stranger.key = rsa.generate_private_key(65537, 2048)
    shared = Forged(world)
    shared.key, shared.algorithm = SECRET * 2, "HS256"
    unsigned = Forged(world)
    unsigned.key, unsigned.algorithm = None, "none"
    for one in (stranger, shared, unsigned):
        with pytest.raises(Problem):
            await one.run()


@pytest.mark.parametrize("userinfo", [{"sub": "another"}, {}, [], "x"])
async def test_userinfo_of_somebody_else_is_refused(world, userinfo: Any) -> None:
    forged = Forged(world)
    forged.userinfo = userinfo
    with pytest.raises(Problem):
        await forged.run()


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/t"}, {"jwks_uri": "file:///etc/x"},
        {"token_endpoint": 7}, {"userinfo_endpoint": "https://u:p@x.example"},
    ],
)  # fmt: skip
async def test_what_a_provider_says_of_itself_is_looked_at(world, said: dict[str, Any]) -> None:
    forged = Forged(world)
    forged.said = said
    with pytest.raises(Problem):
        await forged.run()


def test_claims_are_found_by_paths() -> None:
    claims = {"a": {"b": ["x", 7]}, "c.d": "y", "e": "z"}
    assert oidc.texts(oidc.claim(claims, "a.b")) == ["x"]
    assert oidc.texts(oidc.claim(claims, "c.d")) == ["y"]
    assert oidc.claim(claims, "e.f") is None and oidc.texts(None) == []
