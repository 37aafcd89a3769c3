"""E-mail by a real SMTP server, and what is told to whom."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.api import happenings_kit as kit

from pilotwire.api.happenings.mail import Mailer, MailFailed
from pilotwire.crypto import certificates
from pilotwire.domain import facts, records

ME, PASSWORD = "pilotwire", "s3cret of the mail server"


class Box:
    """What the server was given, and what it says next."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []
        self.answers: list[str] = []
        self.refused: set[str] = set()
        self.logins: list[str] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((list(envelope.rcpt_tos), email.message_from_bytes(content, policy=email.policy.default)))
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=(data.login, data.password) == (ME.encode(), PASSWORD.encode()), handled=False)


class Server:
    """A mail server of one kind, in the test's own loop; the mailer talks to it from a thread."""

    def __init__(self, box: Box, folder: Path, security: str) -> None:
        authority = certificates.make_authority("Test", now=datetime.now(UTC))
        made = certificates.make_server(authority, ["localhost", "127.0.0.1"], kind="ec", now=datetime.now(UTC))
        (folder / "mail.pem").write_text(made.certificate_pem)
        (folder / "mail.key").write_text(made.key_pem)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
        self.trust = ssl.create_default_context(cadata=authority.certificate_pem)
        self._more: dict[str, Any] = {}
        if security == "starttls":
            self._more = {"tls_context": context, "require_starttls": True}
        if security != "none":
            self._more |= {"authenticator": box.authenticate, "auth_required": True}
            self._more["auth_require_tls"] = security == "starttls"
        self._tls = context if security == "tls" else None
        self._box = box
        self.security = security

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def session() -> SMTP:
            return SMTP(self._box, hostname="mail.example.com", loop=loop, **self._more)

        self._server = await loop.create_server(session, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.close()

    def settings(self, **more: Any) -> dict[str, Any]:
        login = {"username": ME, "password": PASSWORD} if self.security != "none" else {}
        return {
            "host": "localhost",
            "port": self.port,
            "security": self.security,
            "sender": "alarms@example.com",
            "sender_name": "Pilotwire Nordhof",
            **login,
            **more,
        }


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
async def running(world) -> AsyncIterator[Any]:
    for name in ("CP-A", "CP-B"):
        await world.store.put_account(records.StationAccount(tenant="default", id=name))
    made = await kit.Running(world).start()
    for name in ("CP-A", "CP-B"):
        world.commit(name, facts.StationConnected(event_time=world.clock.now(), ocpp_version="2.0.1"))
    yield made
    await made.stop()


@pytest.fixture
async def serve(running, box, tmp_path) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """`await serve("starttls")`: a mail server whose certificate the mailer believes."""
    made: list[Server] = []

    async def start(security: str, into: Box = box) -> Server:
        server = Server(into, tmp_path, security)
        await server.start()
        made.append(server)
        running.world.context.parts[Mailer]._trust = server.trust
        return server

    yield start
    for one in made:
        one.stop()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it is TLS from the first byte
async def test_a_test_mail_arrives(running, api, box, serve, security: str) -> None:
    server = await serve(security)
    made = await api.put("/api/v1/mail-server", json=server.settings())
    assert made.status_code == 200, made.text
    assert "password" not in made.json() and made.json()["password_set"] is (security != "none")
    result = (await api.post("/api/v1/mail-server/test", json={"to": "desk@example.com"})).json()
    assert result == {"ok": True, "error": ""}
    ((to, mail),) = box.mails
    assert to == ["desk@example.com"]
    assert (mail["To"], mail["From"]) == ("desk@example.com", "Pilotwire Nordhof <alarms@example.com>")
    assert box.encrypted == [security != "none"]
    assert box.logins == ([ME] if security != "none" else [])


async def test_the_password_is_nowhere_to_be_read(running, api, box, serve) -> None:
    server = await serve("starttls")
    await api.put("/api/v1/mail-server", json=server.settings())
    everything = (await api.get("/api/v1/mail-server")).text
    documents = await running.world.store.documents("default", "mail-server")
    audit = await running.world.store.documents("default", "audit", limit=500)
    everything += str([one.body for one in (*documents.items, *audit.items)])
    assert PASSWORD not in everything and ME in everything
    # It stays for the same server, and is shown to no other.
    again = server.settings()
    del again["password"]
    assert (await api.put("/api/v1/mail-server", json=again)).json()["password_set"] is True
    elsewhere = await api.put("/api/v1/mail-server", json={**again, "host": "elsewhere.example.com"})
    assert (elsewhere.status_code, elsewhere.json()["errors"][0]["field"]) == (422, "password")
    bare = await api.put("/api/v1/mail-server", json=server.settings(security="none"))
    assert (bare.status_code, bare.json()["errors"][0]["field"]) == (422, "security")


async def test_what_is_wrong_with_a_mail_server_is_said(running, api, box, serve) -> None:
    test = "/api/v1/mail-server/test"
    to = {"to": "desk@example.com"}
    assert (await api.post(test, json=to)).json() == {"ok": False, "error": "no mail server is set up"}
    server = await serve("starttls")
    await api.put("/api/v1/mail-server", json=server.settings(password="wrong"))
    said = (await api.post(test, json=to)).json()
    assert said == {"ok": False, "error": "the server does not accept user name and password (535)"}
    running.world.context.parts[Mailer]._trust = None  # the system's authorities do not know ours
    await api.put("/api/v1/mail-server", json=server.settings())
    assert "no secure connection to localhost" in (await api.post(test, json=to)).json()["error"]
    server.stop()
    assert "cannot be reached" in (await api.post(test, json=to)).json()["error"]
    plain = await serve("none", Box())
    await api.put("/api/v1/mail-server", json={**plain.settings(), "security": "starttls"})
    assert (await api.post(test, json=to)).json()["error"] == "the server offers no STARTTLS or no login"
    assert (await api.delete("/api/v1/mail-server")).status_code == 204
    assert (await api.get("/api/v1/mail-server")).json()["host"] == ""


def fault(running: Any, station: str, evse: int, text: str = "Faulted") -> None:
    error = "HighTemp" if text == "Faulted" else "NoError"
    fact = facts.ConnectorStatusChanged(event_time=0, evse=evse, connector=1, status=text, error_code=error)
    running.world.commit(station, fact)


async def subscribe(running: Any, api: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    data = {"name": "Night shift", "channel": "email", "to": ["night@example.com", "desk@example.com"], **more}
    made = await api.post("/api/v1/subscriptions", json=data)
    assert made.status_code == 201, made.text
    return made.json()


async def arrived(running: Any, box: Box, count: int) -> None:
    running.wake()
    await kit.until(lambda: len(box.mails) >= count, f"{count} mails arrive")


async def test_the_first_alarm_is_told_at_once_and_a_storm_in_one_mail(running, api, box, serve) -> None:
    server = await serve("none")
    await api.put("/api/v1/mail-server", json=server.settings())
    await subscribe(running, api, min_severity="major")
    fault(running, "CP-A", 1)
    await running.settle()
    assert (await api.get("/api/v1/subscriptions")).json()["items"][0]["waiting"] == 1
    await running.pass_time(6)
    await arrived(running, box, 1)
    assert box.mails[0][0] == ["night@example.com", "desk@example.com"]
    assert box.mails[0][1]["Subject"] == "[major] CP-A: EVSE 1: faulted (HighTemp)"
    for evse in range(2, 40):
        fault(running, "CP-A", evse)
    fault(running, "CP-A", 1, "Available")
    await running.settle()
    await running.pass_time(120)
    assert len(box.mails) == 1
    await running.pass_time(180)
    await arrived(running, box, 2)
    assert box.mails[1][1]["Subject"] == "Alarms: 38 major, 1 cleared"
    text = box.mails[1][1].get_content()
    assert text.count("EVSE") == 39 and "Over:" in text and "2026-01-01 12:00:06 UTC" in text
    await running.pass_time(3_600)
    running.wake()
    await kit.until(lambda: logged(api, [("sent", 39), ("sent", 1)]), "both are in the log")
    assert len(box.mails) == 2


async def logged(api: httpx.AsyncClient, wanted: list[tuple[str, int]]) -> bool:
    """Once what the server took has been written down."""
    log = (await api.get("/api/v1/notifications")).json()["items"]
    return [(one["state"], len(one["alarms"])) for one in log] == wanted


async def test_what_could_not_be_sent_is_sent_later(running, api, box, serve) -> None:
    server = await serve("none")
    await api.put("/api/v1/mail-server", json=server.settings())
    await subscribe(running, api)
    box.answers = ["451 try again later", "452 no room now"]
    fault(running, "CP-A", 1)
    await running.settle()
    await running.pass_time(6)
    running.wake()
    for attempt in (1, 2):
        await kit.until(lambda attempt=attempt: attempts(api, attempt), "the failure is kept")
        running.world.clock.run_for(61_000)
        running.wake()
    await arrived(running, box, 1)
    await kit.until(lambda: state(api, "sent"), "it is in the log")


async def attempts(api: httpx.AsyncClient, count: int) -> bool:
    found = (await api.get("/api/v1/notifications", params={"state": "pending"})).json()["items"]
    return [one["attempts"] for one in found] == [count] and "the server answered 45" in found[0]["error"]


async def state(api: httpx.AsyncClient, wanted: str) -> bool:
    return [one["state"] for one in (await api.get("/api/v1/notifications")).json()["items"]] == [wanted]


async def test_recipients_that_are_refused_are_not_tried_for_ever(running, api, box, serve) -> None:
    server = await serve("none")
    await api.put("/api/v1/mail-server", json=server.settings())
    box.refused = {"night@example.com", "desk@example.com"}
    await subscribe(running, api)
    fault(running, "CP-A", 1)
    await running.settle()
    await running.pass_time(6)
    running.wake()
    await kit.until(lambda: state(api, "failed"), "it is given up")
    (one,) = (await api.get("/api/v1/notifications", params={"state": "failed"})).json()["items"]
    assert "night@example.com: 550 no such mailbox" in one["error"]


async def test_a_mail_that_waits_is_sent_by_the_next_process(running, api, box, serve) -> None:
    await subscribe(running, api)
    fault(running, "CP-A", 1)
    await running.settle()
    await running.stop()  # before the message was made: the gathered alarm is kept
    running.world.clock.run_for(6_000)
    await running.start()
    await running.settle()
    await kit.until(lambda: state(api, "pending"), "it waits: there is no server yet")
    server = await serve("none")
    await api.put("/api/v1/mail-server", json=server.settings())
    running.world.clock.run_for(60_000)
    await arrived(running, box, 1)


async def test_who_is_told_of_what(running, api, box, serve) -> None:
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    await running.world.store.put_account(records.StationAccount(tenant="default", id="CP-A", site="north"))
    running.world.bus.publish("changed.settings", None)
    names = {
        "all": {},
        "critical": {"min_severity": "critical"},
        "north": {"sites": ["north"]},
        "clock": {"rules": ["clock-skew"]},
        "off": {"enabled": False},
    }
    made = {name: (await subscribe(running, api, name=name, **more))["id"] for name, more in names.items()}
    await api.post("/api/v1/alarm-mutes", json={"target": "station", "value": "CP-B"})
    await running.settle()
    fault(running, "CP-A", 1)
    fault(running, "CP-B", 1)
    await running.settle()
    found = {one["id"]: one["waiting"] for one in (await api.get("/api/v1/subscriptions")).json()["items"]}
    assert {name: found[made[name]] for name in names} == {"all": 1, "critical": 0, "north": 1, "clock": 0, "off": 0}


async def test_a_subscription_that_a_webhook_hears(world_of, box) -> None:
    world = world_of(private_targets=True)
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-A"))
    running, receiver = await kit.Running(world).start(), await kit.Receiver().start()
    try:
        async with world.client(headers={"Authorization": "Bearer pw_test-process-key"}) as api:
            hook = await api.post("/api/v1/webhooks", json={"name": "Chat", "url": receiver.url, "events": ["ping"]})
            hook_id = hook.json()["webhook"]["id"]
            made = await subscribe(running, api, channel="webhook", to=[], webhook_id=hook_id)
            test = (await api.post(f"/api/v1/subscriptions/{made['id']}/test")).json()
            assert test == {"ok": True, "error": ""}
            fault(running, "CP-A", 1)
            await running.settle()
            await running.pass_time(6)
            await kit.until(lambda: len(receiver.events) == 2, "the notification arrives")
            data = receiver.events[1]["data"]
            assert data["subject"] == "[major] CP-A: EVSE 1: faulted (HighTemp)"
            assert data["alarms"][0]["station"] == "CP-A"
            assert (await api.get("/api/v1/notifications")).json()["items"][0]["state"] == "sent"
    finally:
        await running.stop()
        await receiver.stop()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"channel": "email", "to": []}, "to"),
        ({"channel": "email", "to": ["nobody"]}, "to[0]"),
        ({"channel": "email", "to": ["a@example.com\r\nBcc: b@example.com"]}, "to[0]"),
        ({"channel": "webhook"}, "webhook_id"),
        ({"channel": "webhook", "webhook_id": "none"}, "webhook_id"),
        ({"channel": "email", "to": ["a@example.com"], "sites": ["nowhere"]}, "sites[0]"),
        ({"channel": "pigeon"}, "channel"),
    ],
)
async def test_a_subscription_that_cannot_work_says_what_to_mend(api, data: dict[str, Any], field: str) -> None:
    refused = await api.post("/api/v1/subscriptions", json={"name": "x", **data})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


async def test_a_subscription_is_changed_and_deleted(running, api) -> None:
    made = await subscribe(running, api)
    path = f"/api/v1/subscriptions/{made['id']}"
    tag = (await api.get(path)).headers["etag"]
    changed = await api.patch(path, json={"to": ["c@example.com"], "digest_min": 0}, headers={"If-Match": tag})
    assert (changed.json()["to"], changed.json()["digest_min"]) == (["c@example.com"], 0)
    assert (await api.patch(path, json={"name": "y"}, headers={"If-Match": tag})).status_code == 412
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_what_stations_say_cannot_become_headers(running, api, box, serve) -> None:
    server = await serve("none")
    await api.put("/api/v1/mail-server", json=server.settings())
    mailer = running.world.context.parts[Mailer]
    await mailer.send("default", ["a@example.com"], "hot\r\nBcc: b@example.com\r\n\r\nx", "text", id="1")
    ((to, mail),) = box.mails
    assert to == ["a@example.com"] and mail["Bcc"] is None and mail["Subject"] == "hot Bcc: b@example.com x"
    with pytest.raises(MailFailed, match="no mail server"):
        await mailer.send("other", ["a@example.com"], "x", "y", id="1")
