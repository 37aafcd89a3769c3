"""Tenants are apart: by construction, and in ten thousand generated attempts over every operation that there is."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest

import pilotwire.api
import pilotwire.console
from pilotwire.api import audit
from pilotwire.api.access import digest
from pilotwire.api.openapi import schema_of
from pilotwire.api.scope import forget_sites
from pilotwire.api.tenancy import PLATFORM, CrossTenant, TenantBus, TenantStore, bound, tenant_name
from pilotwire.core.ids import StationKey
from pilotwire.domain import facts, records
from pilotwire.storage.documents import Delete, Put
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Entry, Store
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus

KEY = "pw_test-process-key"
MARKER = "zqxnorthern"
"""Stands in everything of the other tenant that can be shown, and in no request of the attempts."""
ATTEMPTS = 10_000
PLACES = ("api", "api/routes", "api/resources", "api/happenings", "console", "console/pages")


# -- by construction --------------------------------------------------------------------------------------------------
def methods_of(kind: type) -> list[str]:
    return [name for name, one in vars(kind).items() if not name.startswith("_") and inspect.isfunction(one)]


async def attempt(call: Any) -> None:
    made = call()
    if inspect.isawaitable(made):
        await made
    elif hasattr(made, "__aiter__"):
        async for _ in made:
            pass


@pytest.mark.parametrize("name", methods_of(Store))
async def test_no_method_of_the_store_reaches_another_tenant(name: str) -> None:
    """Each method of the port, also one that will be added: it is refused for another tenant, or not there at all."""
    store = TenantStore(MemoryStore(), "default")
    if name in TenantStore.CLOSED:
        with pytest.raises(CrossTenant):
            getattr(store, name)
        return
    key = StationKey("north", "CP-1")
    record = records.Token(tenant="north", token="T")
    foreign: Any = "north" if name in TenantStore.BY_TENANT else key if name in TenantStore.BY_KEY else record
    if name in TenantStore.BY_RECORDS:
        foreign = [records.Token(tenant="default", token="T"), record]
    with pytest.raises(CrossTenant):
        if name == "journal":
            await attempt(lambda: store.journal(tenant="north"))
        else:
            await attempt(lambda: getattr(store, name)(foreign))
    with pytest.raises((CrossTenant, TypeError)):
        if name == "journal":
            await attempt(lambda: store.journal())  # type: ignore[call-arg]
        else:
            await attempt(lambda: getattr(store, name)(None))


async def test_a_method_that_nobody_has_sorted_in_does_not_exist() -> None:
    class Wider(MemoryStore):
        async def everything(self, tenant: str) -> str:
            return tenant

    with pytest.raises(CrossTenant):
        _ = TenantStore(Wider(), "default").everything


async def test_what_is_ones_own_passes_through(world) -> None:
    store = TenantStore(world.store, "default")
    assert await store.account(StationKey("default", "CP-A")) is not None
    assert [one.id for one in await store.accounts("default")] == ["CP-A", "CP-D"]
    assert [row.tenant async for row in store.journal(tenant="default", limit=2)] == ["default"] * 2
    await store.put_token(records.Token(tenant="default", token="T"))
    assert len(await world.store.tokens("default")) == 1
    assert await store.write_documents("default", [Put(kind="k", id="i", body=b"{}")]) == [1]
    assert store.ready


@pytest.mark.parametrize(
    "subject", ["facts.north.>", "facts.>", "command.north.CP", "live.defaultx.>", "power.default", ">", "*", ""]
)
async def test_no_subject_of_the_bus_reaches_another_tenant(subject: str) -> None:
    bus = TenantBus(LocalBus(), "default")
    for call in (
        lambda: bus.subscribe(subject),
        lambda: bus.publish(subject, None),
        lambda: bus.serve(subject, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(CrossTenant):
            call()
    with pytest.raises(CrossTenant):
        await bus.request(subject, None)
    bus.subscribe("facts.default.>").close()
    bus.publish("settings.changed", None)


def test_a_bound_context_is_not_bound_anew(world) -> None:
    mine = bound(world.context, "default")
    assert bound(mine, "default") is mine and bound(world.context, "default") is mine
    assert mine.scheduler is world.context.scheduler
    with pytest.raises(CrossTenant):
        bound(mine, "north")


@pytest.mark.parametrize("name", ["", "A", "a.b", "a b", "a/b", "-a", "a-", "ä", "a" * 41, "\0", "a\n"])
def test_names_that_no_tenant_can_have(name: str) -> None:
    assert not tenant_name(name)


def test_the_whole_context_is_asked_for_where_it_is_needed_alone() -> None:
    """Everything else gets its context from `context_of`, which binds it to the tenant of who asks."""
    source = Path(pilotwire.api.__file__).parent.parent
    found: set[str] = set()
    for place in PLACES:
        for path in sorted((source / place).glob("*.py")):
            text = path.read_text()
            if "whole_context(" in text or "app.state.context" in text or "access_of(context).context" in text:
                found.add(f"{place}/{path.name}")
    assert found <= {
        "api/routes/common.py",  # makes it
        "api/routes/login.py",  # who asks is not known yet
        "api/routes/settings.py",  # tenants themselves
        "api/problems.py",  # whether this is the box of a site: of its configuration, nothing of a tenant
        "api/resources/logins.py",  # a platform admin's own account, while working in another tenant
        "api/resources/tenants.py",
        "api/routes/certificates.py",  # the installation's own authority: platform admins change it
        "api/routes/retention.py",  # of the whole installation: platform admins change it
        "console/pages/certificates.py",  # who signs, of the whole installation
        "console/pages/login.py",
        "console/pages/settings_tenants.py",
        "console/pages/settings_system.py",  # retention
    }, "hand the bound context on instead, or say here why not"
    state = [
        path.name
        for place in PLACES
        for path in (source / place).glob("*.py")
        if re.search(r"state\.context\b", path.read_text())
    ]
    assert set(state) <= {"common.py", "problems.py", "server.py"}


# -- in ten thousand attempts -----------------------------------------------------------------------------------------
@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: Any, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Got:
    """One request straight into the application; a stream is left after its first pieces."""
    path, _, query = target.partition("?")
    got = Got(0, {}, b"")
    pieces, enough, begun = 0, asyncio.Event(), asyncio.Event()
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal pieces
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            begun.set()
        else:
            got.body += message.get("body", b"")
            pieces += 1
            if not message.get("more_body", False) or pieces >= 3:
                enough.set()

    from urllib.parse import unquote

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "client": ("203.0.113.9", 50_000), "server": ("localhost", 80),
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
    }  # fmt: skip
    task = asyncio.ensure_future(app(scope, receive, send))
    waiting = asyncio.ensure_future(begun.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if got.headers.get("content-type", "").startswith("text/event-stream"):
            # It may stay silent after its head: what it says at once is what is looked at.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await enough.wait()
        elif not task.done():
            await task
    finally:
        waiting.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.done() and not task.cancelled() and task.exception():
        raise task.exception()  # type: ignore[misc]
    return got


class Maker:
    """Values that a JSON Schema allows, as far as the API's schemas go; texts are drawn from `words` where they fit."""

    def __init__(self, document: dict[str, Any], rng: random.Random, words: list[str]) -> None:
        self._schemas = document["components"]["schemas"]
        self._rng = rng
        self.words = words

    def value(self, schema: dict[str, Any], depth: int = 0) -> Any:
        if "$ref" in schema:
            return self.value(self._schemas[schema["$ref"].rpartition("/")[2]], depth)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.value(self._rng.choice(schema[key]), depth)
        if "allOf" in schema:
            return self.value(schema["allOf"][0], depth)
        if "enum" in schema:
            return self._rng.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        kind = self._rng.choice(kind) if isinstance(kind, list) else kind
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                count = max(schema.get("minItems", 0), self._rng.randrange(3) if depth < 4 else 0)
                item = schema.get("items", {"type": "string"})
                return [self.value(item if isinstance(item, dict) else {}, depth + 1) for _ in range(count)]
            case "integer" | "number":
                low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
                high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
                return self._rng.randint(int(low), max(int(low), int(min(high, low + 1_000))))
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case _:
                return self._text(schema)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        needed = schema.get("required", [])
        for name, one in schema.get("properties", {}).items():
            if name in needed or (depth < 4 and self._rng.random() < 0.5):
                made[name] = self.value(one, depth + 1)
        return made

    def _text(self, schema: dict[str, Any]) -> str:
        low, high = schema.get("minLength", 0), schema.get("maxLength", 100)
        if schema.get("format") == "date-time":
            return "2026-01-01T13:00:00Z"
        pattern = re.compile(schema.get("pattern", ""))
        examples = [one for one in schema.get("examples", ()) if isinstance(one, str)]
        common = [
            "2026-01-01T00:00:00Z",
            "a@b.example",
            "https://example.com/x",
            "a longer text of thirty letters",
            "x",
        ]
        tried = self._rng.sample(self.words, min(3, len(self.words))) + examples + common
        for text in tried:
            if low <= len(text) <= high and pattern.search(text):
                return text
        return "x" * low


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), operation)
        for path, item in sorted(document["paths"].items())
        for method, operation in sorted(item.items())
        if method in ("get", "put", "post", "patch", "delete") and path.startswith("/api/")
    ]


def generated(
    operation: tuple[str, str, dict[str, Any]], maker: Maker, rng: random.Random, ids: list[str]
) -> tuple[str, str, bytes, dict[str, str]]:
    """(method, target, body, headers) of one attempt with ids of the other tenant wherever one fits."""
    path, method, told = operation
    body, headers, query = b"", {}, {}
    for one in told.get("parameters", ()):
        if one["in"] == "query" and rng.random() < 0.3:
            query[one["name"]] = maker.value(one.get("schema", {}))
    if rng.random() < 0.15:
        query["tenant"] = "north"
    if rng.random() < 0.15:
        headers["x-tenant"] = "north"
    target = re.sub(r"\{[^}]+\}", lambda _: quote(rng.choice(ids), safe=""), path)
    if query:
        target += "?" + urlencode({name: str(value) for name, value in query.items()})
    if "requestBody" in told:
        content = told["requestBody"]["content"]
        media = rng.choice(sorted(content))
        headers["content-type"] = media
        if media == "application/json":
            body = msgspec.json.encode(maker.value(content[media].get("schema", {})))
        else:
            body = "\n".join(rng.sample(ids, 3)).encode()
    return method, target, body, headers


def snapshot(store: MemoryStore, tenant: str) -> dict[str, Any]:
    """Everything that the store holds of a tenant, and which tenants there are."""
    store._settle()
    held: dict[str, Any] = {}
    for name in ("_accounts", "_tokens", "_users", "_api_keys", "_sessions", "_commands", "_variables", "_stations"):
        table = getattr(store, name)
        held[name] = {repr(key): msgspec.json.encode(one) for key, one in table.items() if key[0] == tenant}
    for (owner, kind), rows in store._documents._rows.items():
        if owner == tenant or (owner == PLATFORM and kind == "tenant"):
            held[f"{owner} {kind}"] = {id: (one.version, one.sort, one.body) for id, one in rows.items()}
    held["journal"] = sum(1 for entry in store._entries if entry.tenant == tenant)
    return {name: rows for name, rows in held.items() if rows}


async def settle_north(world: Any) -> None:
    """A station with a session, samples, variables and commands of the other tenant, and its people."""
    settle_station(world, "north")
    store = world.store
    await store.put_account(records.StationAccount(tenant="north", id="CP-NORTH", note=MARKER))
    await store.put_token(records.Token(tenant="north", token="T-NORTH", note=MARKER))
    await store.put_user(
        records.User(tenant="north", name="nina", password="human:x", role="admin", email=f"{MARKER}@a")
    )
    await store.put_api_key(
        records.ApiKey(tenant="north", id="key-north", name=MARKER, digest=digest("pw_north"), role="admin")
    )


def settle_station(world: Any, tenant: str) -> None:
    """A station that has told something, with the marker in all of it."""
    now = world.clock.now()
    station = records.Station(
        tenant=tenant, id="CP-NORTH", vendor=MARKER, model=MARKER, serial=MARKER, connected=True, ocpp_version="2.0.1",
        connectors=[records.Connector(1, 1, "Occupied", session_id="s-north", info=MARKER)],
    )  # fmt: skip
    session = records.Session(
        tenant=tenant, id="s-north", station_id="CP-NORTH", transaction=MARKER, ocpp_version="2.0.1", evse=1,
        connector=1, token=f"{MARKER}-t", started_at=now - 60_000, received_at=now, updated_at=now,
    )  # fmt: skip
    sample = records.Sample(1, 1, now, f"Power.{MARKER}", 7, "W", session_id="s-north")
    variable = records.Variable(
        tenant=tenant, station_id="CP-NORTH", component=MARKER, variable="V", value=MARKER, reported_at=now
    )
    command = records.Command(
        tenant=tenant, id="c-north", station_id="CP-NORTH", action=MARKER, payload="{}", requested_at=now,
        expires_at=now, by=MARKER,
    )  # fmt: skip
    fact = facts.SecurityEvent(event_time=now, kind=MARKER) if hasattr(facts, "SecurityEvent") else None
    started = facts.SessionStarted(
        event_time=now, session_id="s-north", transaction=MARKER, start_key="k", ocpp_version="2.0.1", evse=1,
        connector=1, token=f"{MARKER}-t",
    )  # fmt: skip
    world.store.append(
        Entry(
            tenant=tenant,
            station="CP-NORTH",
            recv_time=now,
            epoch=1,
            direction="in",
            frame=f'[2,"1","{MARKER}",{{}}]'.encode(),
            facts=(started, *((fact,) if fact else ())),
            samples=(sample,),
            touched=(station, session, variable, command),
        )
    )


@pytest.fixture
async def two(world) -> Any:
    """The seeded tenant `default` with people of every role, and `north` with something of everything."""
    async with world.client(headers={"Authorization": f"Bearer {KEY}"}) as api:
        made = await api.post("/api/v1/tenants", json={"id": "north", "name": "North"})
        assert made.status_code == 201
    await settle_north(world)
    # One of everything that the API can make, with its marker in every text that takes it.
    document = schema_of(world.app)
    rng = random.Random(3)
    maker = Maker(document, rng, [MARKER, f"{MARKER} text", "CP-NORTH", "s-north", "T-NORTH", "nina"])
    own = {"authorization": f"Bearer {KEY}@north"}
    for operation in operations(document):
        if operation[1] in ("POST", "PUT") and "/me" not in operation[0] and "/tenants" not in operation[0]:
            for _ in range(12):
                method, target, body, headers = generated(operation, maker, rng, ["CP-NORTH", "s-north", "T-NORTH"])
                headers.pop("x-tenant", None)
                answer = await ask(world.app, method, target.partition("?")[0], own | headers, body)
                if answer.status < 300:
                    break
    for name, role in (("eve", "admin"), ("otto", "operator"), ("aud", "auditor"), ("bot", "service")):
        await world.store.put_api_key(
            records.ApiKey(tenant="default", id=f"key-{name}", name=name, digest=digest(f"pw_{name}"), role=role)
        )
    await audit.record(world.context, msgspec.structs.replace(_north(), tenant="north"), "x.y", MARKER)
    return world


def _north() -> Any:
    from pilotwire.api.access import system

    return system("north", MARKER)


def ids_of(store: MemoryStore, tenant: str) -> list[str]:
    """Whatever names something of a tenant."""
    found = {id for (owner, _), rows in store._documents._rows.items() if owner == tenant for id in rows}
    return sorted(found | {"CP-NORTH", "s-north", "T-NORTH", "nina", "key-north", "c-north", "north", "1"})


async def run(
    world: Any, credentials: list[str], count: int, *, seed: int, ids: list[str] | None = None
) -> tuple[int, int, list[str]]:
    """(answers of 2xx, answers that show the other tenant's marker, what was asked for those)."""
    document = schema_of(world.app)
    rng = random.Random(seed)
    ids = ids or [one for one in ids_of(world.store, "north") if MARKER not in one]
    maker = Maker(document, rng, ids)
    listed = operations(document)
    streams = [one for one in listed if any("event-stream" in str(r) for r in one[2]["responses"].values())]
    plain = [one for one in listed if one not in streams]
    done = leaks = 0
    told: list[str] = []
    for number in range(count):
        # Each operation in turn, so that none is forgotten; streams are slower and come less often.
        operation = rng.choice(streams) if number % 100 == 99 else plain[number % len(plain)]
        method, target, body, headers = generated(operation, maker, rng, ids)
        credential = credentials[number % len(credentials)]
        answer = await ask(world.app, method, target, {"authorization": f"Bearer {credential}", **headers}, body)
        assert answer.status < 500 or answer.status in (502, 503, 504), f"{method} {target} {body!r}: {answer.body!r}"
        done += answer.status < 300
        if MARKER.encode() in answer.body or MARKER in str(answer.headers):
            leaks += 1
            told.append(f"{method} {target} {body!r} -> {answer.status} {answer.body[:200]!r}")
    return done, leaks, told


async def test_no_cross_tenant_read_or_write_in_ten_thousand_attempts(two) -> None:
    reached: list[CommandRequest] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        reached.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"marker": MARKER})

    two.bus.serve("command.north.>", gateway)
    before = snapshot(two.store, "north")
    kinds = {name.removeprefix("north ") for name in before}
    assert {"_accounts", "_tokens", "_users", "_api_keys", "_sessions", "audit", "site"} <= kinds
    credentials = ["pw_eve", "pw_otto", "pw_aud", "pw_bot", "pw_eve@north", "pw_eve"]
    done, leaks, told = await run(two, credentials, ATTEMPTS, seed=7)
    assert leaks == 0, told[:5]
    assert reached == []
    after = snapshot(two.store, "north")
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()
    assert done > ATTEMPTS // 20, "the attempts are real requests: those for what is one's own succeed"


async def test_the_same_attempts_by_the_owner_do_succeed(two) -> None:
    """What the test above would see if anything leaked: markers in answers, and changes in the snapshot."""
    before = snapshot(two.store, "north")
    done, leaks, _ = await run(two, [f"{KEY}@north"], 1_500, seed=7)
    assert done > 100 and leaks > 20
    assert snapshot(two.store, "north") != before


async def test_who_sees_some_sites_reaches_no_other_station_in_as_many_ways(world, api) -> None:
    """The same within a tenant: people of the yard, and a station at the pier with the marker in all that it told."""
    for site in ("yard", "pier"):
        assert (await api.post("/api/v1/sites", json={"id": site, "name": site})).status_code == 201
    settle_station(world, "default")
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-NORTH", site="pier", note=MARKER))
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-A", site="yard"))
    for role in ("site-owner", "operator", "support", "auditor"):
        await world.store.put_api_key(
            records.ApiKey(tenant="default", id=role, name=role, digest=digest(f"pw_{role}"), role=role, sites=["yard"])
        )
    reached: list[str] = []
    elsewhere: list[str] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        reached.append(request.station)
        account = await world.store.account(StationKey("default", request.station))
        if account is None or account.site != "yard":
            elsewhere.append(request.station)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={})

    world.bus.serve("command.default.>", gateway)
    credentials = ["pw_site-owner", "pw_operator", "pw_support", "pw_auditor"]
    ids = ["CP-NORTH", "s-north", "c-north", "pier", "CP-A", "s-1", "yard"]
    account, pier = await world.store.account(StationKey("default", "CP-NORTH")), ("default", "site", "pier")
    before = (msgspec.json.encode(account), await world.store.document(*pier))
    done, leaks, told = await run(world, credentials, 4_000, seed=11, ids=ids)
    assert leaks == 0, told[:5]
    assert "CP-NORTH" not in reached
    # A made-up command seldom makes sense: this one does, and only the station's place decides, which may have changed.
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-A", site="yard"))
    forget_sites(world.context, "default")
    outcomes: dict[str, set[int]] = {}
    for station, credential in itertools.product(("CP-NORTH", "CP-A"), credentials):
        body = msgspec.json.encode({"action": "trigger", "payload": {"message": "status"}})
        headers = {"authorization": f"Bearer {credential}", "content-type": "application/json"}
        answer = await ask(world.app, "POST", f"/api/v1/stations/{station}/commands", headers, body)
        outcomes.setdefault(station, set()).add(answer.status)
    assert outcomes == {"CP-NORTH": {403, 404}, "CP-A": {200, 403}}
    assert "CP-A" in reached
    assert elsewhere == [], "besides it, stations alone that the attempts have made in the yard"
    account = await world.store.account(StationKey("default", "CP-NORTH"))
    assert (msgspec.json.encode(account), await world.store.document(*pier)) == before
    assert done > 150
    _, seen, _ = await run(world, [KEY], 1_500, seed=11, ids=ids)
    assert seen > 5, "who sees all sees it"


# -- tenants over the API ---------------------------------------------------------------------------------------------
async def test_tenants_are_made_changed_and_deleted(world, api) -> None:
    made = await api.post("/api/v1/tenants", json={"id": "north", "name": "North Parking"})
    assert made.status_code == 201 and made.headers["etag"] == '"1"'
    assert made.json()["suspended"] is False
    assert (await api.post("/api/v1/tenants", json={"id": "north"})).status_code == 409
    assert (await api.post("/api/v1/tenants", json={"id": "default"})).status_code == 409
    bad = await api.post("/api/v1/tenants", json={"id": "No.rth"})
    assert bad.status_code == 422 and bad.json()["errors"][0]["field"] == "id"
    listed = (await api.get("/api/v1/tenants")).json()["items"]
    assert [one["id"] for one in listed] == ["default", "north"]
    changed = await api.patch("/api/v1/tenants/north", json={"note": "n"}, headers={"If-Match": '"1"'})
    assert changed.json()["note"] == "n" and changed.json()["name"] == "North Parking"
    stale = await api.patch("/api/v1/tenants/north", json={"note": "m"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    await api.post("/api/v1/tokens", json={"token": "T"}, headers={"X-Tenant": "north"})
    await api.post("/api/v1/stations", json={"id": "CP-1"}, headers={"X-Tenant": "north"})
    in_use = await api.delete("/api/v1/tenants/north")
    assert (in_use.status_code, in_use.json()["type"]) == (409, "/api#problem-in-use")
    await api.delete("/api/v1/stations/CP-1", headers={"X-Tenant": "north"})
    assert (await api.delete("/api/v1/tenants/north")).status_code == 204
    assert (await api.get("/api/v1/tenants/north")).status_code == 404
    assert (await api.delete("/api/v1/tenants/default")).status_code == 409


async def test_only_a_platform_admin_names_a_tenant(world, api) -> None:
    await api.post("/api/v1/tenants", json={"id": "north"})
    await api.post("/api/v1/tokens", json={"token": "T-N"}, headers={"X-Tenant": "north"})
    assert (await api.get("/api/v1/tokens")).json()["items"] == []
    for place in ({"headers": {"X-Tenant": "north"}}, {"params": {"tenant": "north"}}):
        assert [one["token"] for one in (await api.get("/api/v1/tokens", **place)).json()["items"]] == ["T-N"]
    me = (await api.get("/api/v1/me", headers={"X-Tenant": "north"})).json()
    assert (me["tenant"], me["home_tenant"]) == ("north", "default")
    missing = await api.get("/api/v1/tokens", headers={"X-Tenant": "south"})
    assert (missing.status_code, missing.json()["type"]) == (404, "/api#problem-no-tenant")
    await world.store.put_api_key(
        records.ApiKey(tenant="default", id="k", name="k", digest=digest("pw_admin"), role="admin")
    )
    async with world.client(headers={"Authorization": "Bearer pw_admin"}) as admin:
        for place in ({"headers": {"X-Tenant": "north"}}, {"params": {"tenant": "north"}}):
            refused = await admin.get("/api/v1/tokens", **place)
            assert (refused.status_code, refused.json()["type"]) == (403, "/api#problem-not-allowed")
        own = await admin.get("/api/v1/tokens", headers={"X-Tenant": "default"})
        assert own.status_code == 200
        assert (await admin.get("/api/v1/tenants")).status_code == 403


async def test_a_platform_admin_elsewhere_is_an_admin_there(world) -> None:
    """The role counts where the platform is at home alone, however it came into the store."""
    await world.store.put_user(
        records.User(tenant="north", name="nina", password="human:x", role="platform-admin", created_at=1)
    )
    async with world.client() as client:
        login = {"name": "nina", "password": "x", "tenant": "north"}
        assert (await client.post("/login", json=login, headers={"Origin": "http://localhost"})).status_code == 200
        me = (await client.get("/api/v1/me")).json()
        assert (me["tenant"], me["role"]) == ("north", "admin")
        assert (await client.get("/api/v1/tenants")).status_code == 403
        assert (await client.get("/api/v1/me", headers={"X-Tenant": "default"})).status_code == 403


async def test_a_suspended_tenant_lets_nobody_in_while_its_stations_go_on(world, api) -> None:
    await api.post("/api/v1/tenants", json={"id": "north"})
    await world.store.put_user(records.User(tenant="north", name="nina", password="human:x", role="admin"))
    await world.store.put_api_key(
        records.ApiKey(tenant="north", id="k", name="k", digest=digest("pw_north"), role="admin")
    )
    await world.store.put_account(records.StationAccount(tenant="north", id="CP-N"))
    login = {"name": "nina", "password": "x", "tenant": "north"}
    origin = {"Origin": "http://localhost"}
    async with world.client() as nina, world.client(headers={"Authorization": "Bearer pw_north"}) as program:
        assert (await nina.post("/login", json=login, headers=origin)).status_code == 200
        assert (await program.get("/api/v1/me")).status_code == 200
        assert (await api.patch("/api/v1/tenants/north", json={"suspended": True})).status_code == 200
        for client in (nina, program):
            refused = await client.get("/api/v1/me")
            assert (refused.status_code, refused.json()["type"]) == (403, "/api#problem-tenant-suspended")
        assert (await nina.post("/login", json=login, headers=origin)).status_code == 403
        form = await nina.post("/login", data={**login, "next": "/"}, headers=origin)
        assert form.headers["location"].startswith("/login?why=suspended")
        assert (await nina.get("/healthz")).status_code == 200
        # The platform looks after it, and what says which stations may connect is as it was.
        assert [one["id"] for one in (await api.get("/api/v1/stations?tenant=north")).json()["items"]] == ["CP-N"]
        assert (await world.store.account(StationKey("north", "CP-N"))).enabled
        await api.patch("/api/v1/tenants/north", json={"suspended": False})
        assert (await nina.get("/api/v1/me")).status_code == 200
    own = await api.patch("/api/v1/tenants/default", json={"suspended": True})
    assert own.status_code == 422


async def test_a_login_of_a_platform_admin_works_in_a_tenant(world, api) -> None:
    await api.post("/api/v1/tenants", json={"id": "north"})
    await world.store.put_user(records.User(tenant="default", name="ada", password="human:x", role="platform-admin"))
    await world.store.put_user(records.User(tenant="default", name="otto", password="human:x", role="admin"))
    origin = {"Origin": "http://localhost"}
    async with world.client(headers=origin) as ada, world.client(headers=origin) as otto:
        await ada.post("/login", json={"name": "ada", "password": "x"})
        there = await ada.post("/api/v1/me/tenant", json={"tenant": "north"})
        assert there.json()["tenant"] == "north"
        await ada.post("/api/v1/tokens", json={"token": "T-N"})
        assert [one.token for one in await world.store.tokens("north")] == ["T-N"]
        rows = (await api.get("/api/v1/audit?tenant=north")).json()["items"]
        assert {one["actor"] for one in rows} == {"ada@default"}
        assert (await ada.post("/api/v1/me/tenant", json={"tenant": "default"})).json()["tenant"] == "default"
        assert (await ada.get("/api/v1/tokens")).json()["items"] == []
        assert (await ada.post("/api/v1/me/tenant", json={"tenant": "south"})).status_code == 404
        await otto.post("/login", json={"name": "otto", "password": "x"})
        assert (await otto.post("/api/v1/me/tenant", json={"tenant": "north"})).status_code == 403


async def test_documents_of_the_platform_are_nobodys(world) -> None:
    store = TenantStore(world.store, "default")
    for call in (
        lambda: store.document(PLATFORM, "login", "x"),
        lambda: store.write_documents(PLATFORM, [Delete("tenant", "north")]),
    ):
        with pytest.raises(CrossTenant):
            await attempt(call)
