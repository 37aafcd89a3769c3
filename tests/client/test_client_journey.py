"""Both forms of the client against a real server: every resource there and back, every operation at least once."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import typing
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from tests.api.happenings_kit import Receiver
from tests.cli.cli_kit import raw_station
from tests.interop import csms_process

from pilotwire.cli import runfile
from pilotwire.client import ApiProblem, AsyncClient, Client, Kept, Retry, types
from pilotwire.client._operations import OPERATIONS
from pilotwire.client.request import Operation

CARD = "04A1B2C3D4"


class Server(NamedTuple):
    url: str
    ocpp: str
    key: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with csms_process.running(
        tmp_path_factory.mktemp("client") / "data", "--allow-private-webhooks", "--message-rate", "0"
    ) as process:
        run = runfile.read(process.data)
        assert run is not None
        yield Server(process.http, process.ocpp, run.key)


async def of(value: Any) -> Any:
    """The value of either form."""
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    """The values of an iterator of either form."""
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


async def first(values: Any, wanted: Any = lambda value: True) -> Any:
    async with asyncio.timeout(60):
        async for value in each(values):
            if wanted(value):
                return value
    raise AssertionError("the stream ended")


async def refused(name: str, value: Any) -> ApiProblem:
    """The problem of this name that a call brings."""
    with pytest.raises(ApiProblem) as caught:
        await of(value() if callable(value) else value)
    assert caught.value.name == name, caught.value
    assert caught.value.status >= 400 and caught.value.detail
    return caught.value


async def until(condition: Any, what: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(what)


class Journey:
    """One walk through the API with one client; `prefix` keeps two walks over one server apart."""

    def __init__(self, client: Any, server: Server, prefix: str, folder: Path) -> None:
        self.client, self.server, self.prefix, self.folder = client, server, prefix, folder
        self.called: set[str] = set()
        self._watch()

    def _watch(self) -> None:
        """Note each operation that is sent."""
        for name in ("_answer", "_kept", "_nothing", "_text", "_pages", "_download", "_stream"):
            self._note(name, getattr(self.client, name))

    def _note(self, name: str, method: Any) -> None:
        def noted(operation: Operation[Any], *path: Any, **more: Any) -> Any:
            self.called.add(operation.id)
            return method(operation, *path, **more)

        setattr(self.client, name, noted)

    async def edits(self, get: Any, change: Any, body: Any, check: Any) -> Kept[Any]:
        """Read, change by the version read, read again; the old version is then stale."""
        before = await of(get())
        assert isinstance(before, Kept)
        after = await of(change(body, if_match=before))
        assert check(after.value) and after.version != before.version
        again = await of(get())
        assert again.value == after.value or check(again.value)
        problem = await refused("stale", lambda: change(body, if_match=before))
        assert problem.version is not None
        return again

    async def sites(self) -> None:
        c, name = self.client, f"{self.prefix}-depot"
        made = await of(c.create_site(types.NewSite(id=name, name="Depot", latitude=52.5, longitude=13.4)))
        assert made.id == name and made.latitude == 52.5
        await refused("exists", lambda: c.create_site(types.NewSite(id=name, name="Depot")))
        await self.edits(
            lambda: c.get_site(name),
            lambda body, **more: c.change_site(name, body, **more),
            types.SiteChange(power_limit_w=44_000),
            lambda site: site.power_limit_w == 44_000 and site.name == "Depot",
        )
        assert name in [site.id for site in (await of(c.list_sites(q="depot", sort="name"))).items]
        assert name in [site.id async for site in each(c.iter_sites())]
        assert (await of(c.get_site_summary(name))).power_limit_w == 44_000
        assert (await of(c.list_controllers())).items == []
        await refused("not-found", lambda: first(c.follow_controller(name)))
        assert name in [one.site_id for one in (await of(c.list_site_summaries())).items]
        other = await of(c.create_site(types.NewSite(name=f"{self.prefix} spare")))
        await of(c.delete_site(other.id, if_match=await of(c.get_site(other.id))))
        await refused("not-found", lambda: c.get_site(other.id))

    async def people_who_charge(self) -> None:
        c, card, group = self.client, f"{self.prefix}-{CARD}", f"{self.prefix}-FLEET"
        await of(c.create_group(types.NewGroup(id=group, name="Fleet")))
        await self.edits(
            lambda: c.get_group(group),
            lambda body, **more: c.change_group(group, body, **more),
            types.GroupChange(note="vans"),
            lambda it: it.note == "vans",
        )
        token = await of(c.put_token(types.NewToken(token=card, parent=group)))
        assert (token.token, token.parent) == (card, group)
        await self.edits(
            lambda: c.get_token(card),
            lambda body, **more: c.change_token(card, body, **more),
            types.TokenChange(note="red van"),
            lambda it: it.note == "red van",
        )
        assert [one.token for one in (await of(c.list_tokens(parent=group))).items] == [card]
        assert card in [one.token async for one in each(c.iter_tokens(status="Accepted"))]
        assert group in [one.id async for one in each(c.iter_groups())]
        assert (await of(c.list_groups(q=group))).items[0].tokens == 1
        await refused("in-use", lambda: c.delete_group(group))
        table = f"token,note\n{card},blue van\n{self.prefix}-NEW,white van\n"
        tried = await of(c.import_tokens(table, dry_run=True))
        assert tried.dry_run
        done = await of(c.import_tokens(table, dry_run=False))
        assert not done.dry_run and (await of(c.get_token(f"{self.prefix}-NEW"))).value.note == "white van"
        assert "blue van" in (await of(c.export_tokens().read())).decode()

        driver = await of(c.create_driver(types.NewDriver(name="Mara Example", tokens=[card])))
        await self.edits(
            lambda: c.get_driver(driver.id),
            lambda body, **more: c.change_driver(driver.id, body, **more),
            types.DriverChange(email="mara@example.com"),
            lambda it: it.email == "mara@example.com",
        )
        assert driver.id in [one.id for one in (await of(c.list_drivers(q="mara"))).items]
        assert driver.id in [one.id async for one in each(c.iter_drivers())]
        assert (await of(c.export_driver(driver.id))).driver.tokens == [card]
        erased = await of(c.erase_driver(driver.id, types.ErasureOrder(reason="asked for by her", delete_tokens=False)))
        assert erased.driver_id == driver.id
        other = await of(c.create_driver(types.NewDriver(name="Nobody")))
        await of(c.delete_driver(other.id))
        await of(c.delete_token(card))
        await of(c.delete_token(f"{self.prefix}-NEW"))
        await of(c.delete_group(group))

    async def stations(self) -> None:
        c, name = self.client, f"{self.prefix}/CP 1"
        made = await of(c.create_station(types.NewStation(id=name, note="by the gate", site=f"{self.prefix}-depot")))
        assert made.password and made.user == name
        await self.edits(
            lambda: c.get_station(name),
            lambda body, **more: c.change_station(name, body, **more),
            types.StationChange(note="behind the gate"),
            lambda it: it.note == "behind the gate",
        )
        assert name in [one.id for one in (await of(c.list_stations(q="gate", site=[f"{self.prefix}-depot"]))).items]
        assert name in [one.id async for one in each(c.iter_stations(registered=True))]
        assert (await of(c.get_station_facets())).site
        assert (await of(c.get_station_details(name))).user == name
        assert (await of(c.list_evses(name))).items == (await of(c.list_connectors(name))).items == []
        assert (await of(c.list_variables(name))).items == [one async for one in each(c.iter_variables(name))]
        assert (await of(c.list_handshakes(name))).items == []
        kept = types.NewCommand(action="Heartbeat", expires_in_s=60)
        await refused("bad-command", lambda: c.send_command(name, kept))
        reset = types.NewCommand(action="reset", reason="client test")
        await refused("station-offline", lambda: c.send_command(name, reset))
        await of(c.delete_station(name, if_match=await of(c.get_station(name))))
        await refused("not-found", lambda: c.get_station(name))

    async def sessions(self) -> None:
        c, name, card = self.client, f"{self.prefix}-RAW", f"{self.prefix}-CARD"
        made = await of(c.create_station(types.NewStation(id=name)))
        await of(c.put_token(types.NewToken(token=card)))
        await asyncio.to_thread(self._charge, name, made.password, card)
        found = await until(lambda: self._sessions(name), "the session")
        (session,) = found
        assert (session.energy_wh, session.token, session.status) == (2500, card, "ended")
        assert await of(c.get_session(session.id)) == session
        assert [one.id async for one in each(c.iter_sessions(station=name, status="ended"))] == [session.id]
        csv = (await of(c.export_sessions(format="csv", station=[name]).read())).decode()
        assert csv.splitlines()[0].startswith("id,") and session.id in csv
        async with _opened(c.export_sessions(format="jsonl", station=name)) as file:
            rows = b"".join([piece async for piece in each(file)]).splitlines()
            assert file.name.endswith(".jsonl")
        assert [msgspec.json.decode(row)["energy_wh"] for row in rows] == [2500]
        parquet = self.folder / f"{self.prefix}.parquet"
        await of(c.export_sessions(format="parquet", station=name).save(parquet))
        assert parquet.read_bytes()[:4] == b"PAR1" and not Path(f"{parquet}.part").exists()
        assert isinstance((await of(c.list_samples(session.id))).items, list)
        assert (await of(c.export_samples(session.id, format="csv").read())).startswith(b"time,")
        assert (await of(c.get_curve(session.id, points=50))).session_id == session.id
        assert (await of(c.get_session_curves(session.id))) is not None
        assert (await of(c.list_session_events(session.id))).items
        assert (await of(c.get_totals())).stations >= 1
        await refused("bad-parameter", lambda: c.list_sessions(started_from="yesterday"))
        await refused("bad-cursor", lambda: c.list_sessions(cursor="x"))

        events = c.events(last_id=0, station=name, types="session-started,session-ended")
        begun = await first(events)
        assert begun.station_id == name and begun.facts[0].type.startswith("session-started")
        ended = await first(c.events(last_id=begun.seq, station=name, types="session-ended"))
        assert ended.seq > begun.seq
        assert isinstance(await first(c.live(station=name)), types.Overview)

    def _charge(self, name: str, password: str, card: str) -> None:
        with raw_station(self.server.ocpp, name, password) as station:
            station.boot()
            station.charge(card)

    async def _sessions(self, name: str) -> list[Any]:
        return (await of(self.client.list_sessions(station=[name], status="ended", count=True))).items

    async def commands(self) -> None:
        """A simulated station of OCPP 2.0.1 answers."""
        c, name = self.client, f"{self.prefix}-SIM"
        made = await of(c.create_station(types.NewStation(id=name)))
        process = subprocess.Popen(
            [
                sys.executable, "-m", "pilotwire", "station", "--url", self.server.ocpp, "--id", name, "--no-cars",
                "--version", "2.0.1", "--password", made.password, "--quiet",
            ]
        )  # fmt: skip
        try:
            await until(lambda: self._online(name), "the simulated station")
            wanted = types.NewCommand(action="trigger", payload={"message": "Heartbeat"})
            answer = await of(c.send_command(name, wanted, idempotency_key=f"{self.prefix}-once"))
            assert answer.outcome == "answered"
            same = await of(c.send_command(name, wanted, idempotency_key=f"{self.prefix}-once"))
            assert same.command_id == answer.command_id, "it was sent twice"
            assert (await of(c.get_command(answer.command_id))).station_id == name
            assert answer.command_id in [one.id for one in (await of(c.list_commands(name))).items]
            forms = (await of(c.list_available_commands(name))).items
            assert (await of(c.get_available_command(name, forms[0].action))).action == forms[0].action
            evses = (await of(c.list_evses(name))).items
            assert (await of(c.get_evse(name, evses[0].evse))) is not None
            heartbeat = types.VariableNamed(component="OCPPCommCtrlr", variable="HeartbeatInterval")
            refreshed = await of(c.refresh_variables(name, types.VariableRefresh(variables=[heartbeat])))
            assert refreshed.complete
            setting = types.VariableSetting(component="OCPPCommCtrlr", variable="HeartbeatInterval", value="432")
            outcome = await of(c.set_variables(name, types.VariableSettings(variables=[setting])))
            assert outcome.results[0].status in ("Accepted", "RebootRequired")
            await self.jobs(name)
            assert (await of(c.list_handshakes(name))).items
            assert isinstance((await of(c.list_strangers())).items, list)
            watching = asyncio.create_task(first(c.frames(station=name)))
            if isinstance(c, Client):  # the blocking form blocks: the frame has to come by itself, from another client
                watching.cancel()
                with Client(self.server.url, self.server.key) as second:
                    frames = c.frames(station=name)
                    task = asyncio.create_task(asyncio.to_thread(next, frames))
                    await self._stir(second, name, task)
            else:
                await self._stir(c, name, watching)
        finally:
            process.terminate()
            process.wait(20)

    async def _stir(self, client: Any, name: str, task: asyncio.Task[Any]) -> None:
        while not task.done():
            wanted = types.NewCommand(action="trigger", payload={"message": "Heartbeat"})
            await of(client.send_command(name, wanted))
            await asyncio.wait([task], timeout=0.3)
        assert task.result().station_id == name

    async def _online(self, name: str) -> bool:
        station = (await of(self.client.get_station(name))).value
        return station.connected and bool(station.connectors)

    async def alarms(self) -> None:
        c, rule = self.client, f"{self.prefix}-skew"
        assert (await of(c.get_alarm_vocabulary())).facts
        condition = types.GaugeCondition(gauge="clock-skew-s", over=60)
        await of(c.create_alarm_rule(types.NewAlarmRule(id=rule, name="Clock", severity="minor", condition=condition)))
        await self.edits(
            lambda: c.get_alarm_rule(rule),
            lambda body, **more: c.change_alarm_rule(rule, body, **more),
            types.AlarmRuleChange(severity="major"),
            lambda it: it.severity == "major",
        )
        assert rule in [one.id for one in (await of(c.list_alarm_rules())).items]
        await of(c.delete_alarm_rule(rule))
        name = f"{self.prefix}-FAULT"
        made = await of(c.create_station(types.NewStation(id=name)))
        await asyncio.to_thread(self._fault, name, made.password)
        alarm = (await until(lambda: self._alarms(name), "the alarm"))[0]
        assert (await of(c.get_alarm(alarm.id))).station_id == name
        seen = await of(c.acknowledge_alarm(alarm.id, types.Acknowledgement(note="on my way")))
        assert seen.acknowledged_at and seen.note == "on my way"
        assert [one.id async for one in each(c.iter_alarms(station=name, acknowledged=True))]
        assert (await of(c.count_alarms())) is not None
        mute = await of(c.mute_alarms(types.NewAlarmMute(target="station", value=name)))
        assert mute.id in [one.id for one in (await of(c.list_alarm_mutes())).items]
        await of(c.unmute_alarms(mute.id))

    def _fault(self, name: str, password: str) -> None:
        with raw_station(self.server.ocpp, name, password) as station:
            station.boot()
            status = {"connectorId": 1, "status": "Faulted", "errorCode": "GroundFailure"}
            station.call("StatusNotification", status)

    async def _alarms(self, name: str) -> list[Any]:
        return (await of(self.client.list_alarms(station=name))).items

    async def notifications(self, hook: Receiver) -> None:
        c = self.client
        made = await of(c.create_webhook(types.NewWebhook(name=f"{self.prefix} hook", url=hook.url)))
        assert made.secret
        name = made.webhook.id
        await self.edits(
            lambda: c.get_webhook(name),
            lambda body, **more: c.change_webhook(name, body, **more),
            types.WebhookChange(events=["session-ended"]),
            lambda it: it.events == ["session-ended"],
        )
        assert name in [one.id for one in (await of(c.list_webhooks())).items]
        assert (await of(c.list_webhook_event_types())).items
        ping = await of(c.ping_webhook(name))
        done = await until(lambda: self._delivered(name, ping.id), "the ping")
        assert hook.events and done.status == 204
        assert ping.id in [one.id for one in (await of(c.list_webhook_deliveries(name))).items]
        assert ping.id in [one.id async for one in each(c.iter_webhook_deliveries(name, state="delivered"))]
        assert (await of(c.resend_webhook_delivery(name, ping.id))).webhook_id == name
        assert (await of(c.renew_webhook_secret(name))).secret != made.secret

        new = types.NewSubscription(name=f"{self.prefix} desk", channel="webhook", webhook_id=name)
        subscription = await of(c.create_subscription(new))
        await self.edits(
            lambda: c.get_subscription(subscription.id),
            lambda body, **more: c.change_subscription(subscription.id, body, **more),
            types.SubscriptionChange(min_severity="critical"),
            lambda it: it.min_severity == "critical",
        )
        assert subscription.id in [one.id for one in (await of(c.list_subscriptions())).items]
        assert (await of(c.test_subscription(subscription.id))) is not None
        assert isinstance((await of(c.list_notifications(subscription=subscription.id))).items, list)
        assert isinstance([one async for one in each(c.iter_notifications())], list)
        await of(c.delete_subscription(subscription.id))
        await of(c.delete_webhook(name))

        server = types.NewMailServer(host="127.0.0.1", port=9, security="none", sender="pilotwire@example.com")
        await of(c.set_mail_server(server))
        assert (await of(c.get_mail_server())).value.port == 9
        tried = await of(c.test_mail_server(types.MailTest(to="desk@example.com")))
        assert not tried.ok and tried.error
        await of(c.delete_mail_server())

    async def _delivered(self, webhook: str, delivery: str) -> Any:
        found = await of(self.client.get_webhook_delivery(webhook, delivery))
        return found if found.state == "delivered" else None

    async def access(self) -> None:
        c, name = self.client, f"{self.prefix}-olga"
        password = "correct horse battery"
        await of(c.put_user(types.NewUser(name=name, password=password, role="operator")))
        await self.edits(
            lambda: c.get_user(name),
            lambda body, **more: c.change_user(name, body, **more),
            types.UserChange(role="support"),
            lambda it: it.role == "support",
        )
        assert name in [one.name for one in (await of(c.list_users(q=name))).items]
        assert name in [one.name async for one in each(c.iter_users(role="support"))]
        assert (await of(c.list_user_logins(name))).items == [] and (await of(c.end_user_logins(name))).ended == 0
        await refused("not-found", lambda: c.reset_second_factor(name))
        assert "operator" in [one.role for one in (await of(c.list_roles())).items]
        await of(c.delete_user(name))

        key = await of(c.create_api_key(types.NewApiKey(name=f"{self.prefix} key", role="auditor")))
        later = datetime.now(UTC) + timedelta(days=3)
        await self.edits(
            lambda: c.get_api_key(key.id),
            lambda body, **more: c.change_api_key(key.id, body, **more),
            types.ApiKeyChange(expires_at=later),
            lambda it: it.expires_at is not None,
        )
        with Client(self.server.url, key.key) as narrow:
            assert narrow.get_me().role == "auditor"
            with pytest.raises(ApiProblem) as denied:
                narrow.create_site(types.NewSite(name="No"))
            assert denied.value.name == "not-allowed"
        assert (await of(c.rotate_api_key(key.id, types.KeyRotation()))).key != key.key
        assert key.id in [one.id for one in (await of(c.list_api_keys(q=self.prefix))).items]
        assert key.id in [one.id async for one in each(c.iter_api_keys())]
        await of(c.delete_api_key(key.id))

        me = await of(c.get_me())
        assert me.by == "key"
        confirmation = types.Confirmation(password="whatever it was")
        for call in (
            lambda: c.change_me(types.MeChange(language="de")),
            lambda: c.change_my_password(types.PasswordChange(current="whatever", new="a long password")),
            lambda: c.begin_second_factor(confirmation),
            lambda: c.confirm_second_factor(types.CodeGiven(code="123456")),
            lambda: c.remove_second_factor(confirmation),
            lambda: c.renew_recovery_codes(confirmation),
            lambda: c.list_my_logins(),
            lambda: c.end_my_logins(),
            lambda: c.end_my_login("x"),
        ):
            await refused("not-a-person", call)

    async def tenants_and_audit(self) -> None:
        c, name = self.client, f"{self.prefix}-tenant"
        await of(c.create_tenant(types.NewTenant(id=name, name="North Parking")))
        await self.edits(
            lambda: c.get_tenant(name),
            lambda body, **more: c.change_tenant(name, body, **more),
            types.TenantChange(note="since May"),
            lambda it: it.note == "since May",
        )
        assert name in [one.id for one in (await of(c.list_tenants(q=name))).items]
        assert name in [one.id async for one in each(c.iter_tenants())]
        await of(c.delete_tenant(name))

        rows = await of(c.list_audit(action="tenants"))
        newest = rows.items[0]
        assert newest.action.startswith("tenants.") and (await of(c.get_audit(newest.seq))) == newest
        assert (await of(c.verify_audit())).sound
        assert newest.seq in [one.seq async for one in each(c.iter_audit(target=name))]
        assert newest.digest in (await of(c.export_audit(format="jsonl").read())).decode()

        kept = await of(c.get_retention())
        changed = await of(c.change_retention(types.RetentionChange(hot_days=30), if_match=kept))
        assert changed.value.hot_days == 30
        await of(c.change_retention(types.RetentionChange(hot_days=kept.value.hot_days)))
        settings = types.OidcSettings(issuer="http://127.0.0.1:9/", client_id="pilotwire")
        await refused("not-found", lambda: c.get_oidc())
        await of(c.put_oidc(settings))
        assert (await of(c.get_oidc())).value.client_id == "pilotwire"
        assert not (await of(c.check_oidc())).ok
        await of(c.delete_oidc())

    async def operations(self) -> None:
        c = self.client
        assert (await of(c.get_health())).status == (await of(c.get_readiness())).status == "ok"
        assert "pilotwire_messages_total" in await of(c.get_metrics())

    async def jobs(self, name: str) -> None:
        """The same for many stations, followed until it has ended."""
        c = self.client
        ordered = types.NewJob(
            kind="command", payload={"action": "trigger", "payload": {"message": "Heartbeat"}}, station_ids=[name]
        )
        job = await of(c.create_job(ordered))
        last = await first(c.follow_job(job.id), lambda told: told.ended_at is not None)
        assert (last.status, last.total, last.succeeded) == ("done", 1, 1)
        assert (await of(c.get_job(job.id))).value.percent == 100
        assert [one.station_id for one in (await of(c.list_job_outcomes(job.id))).items] == [name]
        assert job.id in [one.id for one in (await of(c.list_jobs())).items]
        await of(c.delete_job(job.id))
        await refused("not-found", lambda: c.get_job(job.id))

    async def whatever_is_left(self) -> None:
        """Operations that no part above took: with made-up arguments they answer as typed, or with a problem."""
        for operation in OPERATIONS:
            if operation.id in self.called:
                continue
            name = next(name for name in _names(operation.id) if hasattr(self.client, name))
            method = getattr(self.client, name)
            arguments = {
                parameter: _made_up(kind)
                for parameter, kind in typing.get_type_hints(getattr(type(self.client), name)).items()
                if parameter != "return"
                and inspect.signature(method).parameters[parameter].default is inspect.Parameter.empty
            }
            try:
                await of(method(**arguments))
            except ApiProblem as problem:
                assert problem.status < 500 and problem.name, f"{operation.id}: {problem}"


def _opened(file: Any) -> Any:
    class Opened:
        async def __aenter__(self) -> Any:
            return await of(file.__aenter__() if hasattr(file, "__aenter__") else file.__enter__())

        async def __aexit__(self, *error: Any) -> None:
            await of(file.__aexit__(*error) if hasattr(file, "__aexit__") else file.__exit__(*error))

    return Opened()


def _names(operation_id: str) -> list[str]:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation_id)
    return [snake, snake.removeprefix("stream_"), snake.replace("list_", "export_")]


def _made_up(kind: Any) -> Any:
    if kind is int:
        return 1
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        _, schemas = msgspec.json.schema_components([kind])
        return msgspec.convert(_example(schemas[kind.__name__], schemas), kind)
    return "no-such-thing"


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], schemas)
    if schema.get("type") == "object":
        return {name: _example(schema["properties"][name], schemas) for name in schema.get("required", [])}
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)] * schema.get("minItems", 0)
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": True}.get(str(schema.get("type")), "x" * 12)


async def travel(client: Any, server: Server, prefix: str, folder: Path, hook: Receiver) -> None:
    journey = Journey(client, server, prefix, folder)
    await journey.operations()
    await journey.sites()
    await journey.people_who_charge()
    await journey.stations()
    await journey.sessions()
    await journey.commands()
    await journey.alarms()
    await journey.notifications(hook)
    await journey.access()
    await journey.tenants_and_audit()
    await journey.whatever_is_left()
    assert journey.called == {operation.id for operation in OPERATIONS}


async def test_the_async_form_round_trips_every_resource(server: Server, tmp_path: Path):
    hook = await Receiver().start()
    try:
        async with AsyncClient(server.url, server.key, retry=Retry(first_s=0.1)) as client:
            await travel(client, server, "a", tmp_path, hook)
    finally:
        await hook.stop()


async def test_the_sync_form_round_trips_every_resource(server: Server, tmp_path: Path):
    hook = await Receiver().start()

    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    tell = asyncio.get_running_loop().call_soon_threadsafe

    def walk() -> None:
        try:
            with Client(server.url, server.key, retry=Retry(first_s=0.1)) as client:
                asyncio.run(travel(client, server, "s", tmp_path, hook))
        except BaseException as error:  # whatever it is, it belongs to the test
            tell(ended.set_exception, error)
        else:
            tell(ended.set_result, None)

    try:
        # It blocks, while the receiver answers here; a thread of its own, which nothing waits for if it hangs.
        threading.Thread(target=walk, daemon=True).start()
        await asyncio.wait_for(ended, 240)
    finally:
        await hook.stop()
