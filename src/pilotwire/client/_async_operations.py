"""Every operation of the API as a method. Made by tools/generate_client.py: do not edit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal

from pilotwire.api import types

from . import _operations as operations
from . import sse
from .async_calls import AsyncCalls, AsyncDownload, OnBreak
from .request import Kept


class AsyncOperations(AsyncCalls):
    """Methods are named like the operations of the OpenAPI document."""

    async def list_alarm_mutes(self) -> types.AlarmMutePage:
        """What nobody is notified of now, newest first."""
        return await self._answer(operations.LIST_ALARM_MUTES)

    async def mute_alarms(self, body: types.NewAlarmMute, *, idempotency_key: str | None = None) -> types.AlarmMute:
        """Notify nobody of an alarm, or of those of a rule, station or site."""
        return await self._answer(operations.MUTE_ALARMS, body=body, idempotency_key=idempotency_key)

    async def unmute_alarms(self, mute_id: str) -> None:
        """Notify of these alarms again."""
        await self._nothing(operations.UNMUTE_ALARMS, mute_id)

    async def list_alarm_rules(self) -> types.AlarmRulePage:
        """Built-in rules and those that were added, by id."""
        return await self._answer(operations.LIST_ALARM_RULES)

    async def create_alarm_rule(
        self, body: types.NewAlarmRule, *, idempotency_key: str | None = None
    ) -> types.AlarmRule:
        """Raise alarms for what happens from now on."""
        return await self._answer(operations.CREATE_ALARM_RULE, body=body, idempotency_key=idempotency_key)

    async def get_alarm_vocabulary(self) -> types.AlarmVocabulary:
        """Facts with their fields, and measured values."""
        return await self._answer(operations.GET_ALARM_VOCABULARY)

    async def delete_alarm_rule(self, rule_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Of a built-in rule: forget what was changed of it."""
        await self._nothing(operations.DELETE_ALARM_RULE, rule_id, if_match=if_match)

    async def get_alarm_rule(self, rule_id: str) -> Kept[types.AlarmRule]:
        """A rule and how many of its alarms are open."""
        return await self._kept(operations.GET_ALARM_RULE, rule_id)

    async def change_alarm_rule(
        self, rule_id: str, body: types.AlarmRuleChange, *, if_match: Kept[types.AlarmRule] | str | None = None
    ) -> Kept[types.AlarmRule]:
        """Change what is given."""
        return await self._kept(operations.CHANGE_ALARM_RULE, rule_id, body=body, if_match=if_match)

    async def list_alarms(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: Literal["open", "cleared"] | None = None,
        severity: Literal["critical", "major", "minor", "warning"] | None = None,
        site: str | None = None,
        station: str | None = None,
        rule: str | None = None,
        acknowledged: bool | None = None,
    ) -> types.AlarmPage:
        """Open alarms first, then those that are over, each newest first."""
        return await self._answer(
            operations.LIST_ALARMS,
            query={
                "cursor": cursor,
                "limit": limit,
                "state": state,
                "severity": severity,
                "site": site,
                "station": station,
                "rule": rule,
                "acknowledged": acknowledged,
            },
        )

    def iter_alarms(
        self,
        *,
        state: Literal["open", "cleared"] | None = None,
        severity: Literal["critical", "major", "minor", "warning"] | None = None,
        site: str | None = None,
        station: str | None = None,
        rule: str | None = None,
        acknowledged: bool | None = None,
    ) -> AsyncIterator[types.Alarm]:
        """Open alarms first, then those that are over, each newest first. All of them, page by page."""
        return self._pages(
            operations.LIST_ALARMS,
            query={
                "state": state,
                "severity": severity,
                "site": site,
                "station": station,
                "rule": rule,
                "acknowledged": acknowledged,
            },
        )

    async def count_alarms(self) -> types.AlarmCounts:
        """Of those that you may see, by severity."""
        return await self._answer(operations.COUNT_ALARMS)

    async def get_alarm(self, alarm_id: str) -> types.Alarm:
        """An alarm, open or over."""
        return await self._answer(operations.GET_ALARM, alarm_id)

    async def acknowledge_alarm(
        self,
        alarm_id: str,
        body: types.Acknowledgement,
        *,
        if_match: Kept[types.Alarm] | str | None = None,
        idempotency_key: str | None = None,
    ) -> types.Alarm:
        """Say that you have seen it."""
        return await self._answer(
            operations.ACKNOWLEDGE_ALARM, alarm_id, body=body, if_match=if_match, idempotency_key=idempotency_key
        )

    async def list_api_keys(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.ApiKeyPage:
        """Keys of programs, never the secrets."""
        return await self._answer(
            operations.LIST_API_KEYS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q}
        )

    def iter_api_keys(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.ApiKey]:
        """Keys of programs, never the secrets. All of them, page by page."""
        return self._pages(operations.LIST_API_KEYS, query={"sort": sort, "q": q})

    async def create_api_key(self, body: types.NewApiKey, *, idempotency_key: str | None = None) -> types.ApiKeyCreated:
        """A key with the role that is named, else `service`; never with more than your own."""
        return await self._answer(operations.CREATE_API_KEY, body=body, idempotency_key=idempotency_key)

    async def delete_api_key(self, key_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """It works no longer."""
        await self._nothing(operations.DELETE_API_KEY, key_id, if_match=if_match)

    async def get_api_key(self, key_id: str) -> Kept[types.ApiKey]:
        """What a key may do and when it was last used; never the secret."""
        return await self._kept(operations.GET_API_KEY, key_id)

    async def change_api_key(
        self, key_id: str, body: types.ApiKeyChange, *, if_match: Kept[types.ApiKey] | str | None = None
    ) -> Kept[types.ApiKey]:
        """Another name, or another end."""
        return await self._kept(operations.CHANGE_API_KEY, key_id, body=body, if_match=if_match)

    async def rotate_api_key(
        self, key_id: str, body: types.KeyRotation, *, idempotency_key: str | None = None
    ) -> types.ApiKeyCreated:
        """The new secret is in this answer and nowhere else."""
        return await self._answer(operations.ROTATE_API_KEY, key_id, body=body, idempotency_key=idempotency_key)

    async def list_audit(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> types.AuditPage:
        """Who did what, when, to what and why, the newest first."""
        return await self._answer(
            operations.LIST_AUDIT,
            query={
                "cursor": cursor,
                "limit": limit,
                "actor": actor,
                "action": action,
                "target": target,
                "since": since,
                "until": until,
            },
        )

    def iter_audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncIterator[types.AuditEntry]:
        """Who did what, when, to what and why, the newest first. All of them, page by page."""
        return self._pages(
            operations.LIST_AUDIT,
            query={"actor": actor, "action": action, "target": target, "since": since, "until": until},
        )

    def export_audit(
        self,
        *,
        format: Literal["csv", "jsonl"] | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncDownload:
        """Every row that is wanted, the oldest first. As a file."""
        return self._download(
            operations.EXPORT_AUDIT,
            query={
                "format": format,
                "actor": actor,
                "action": action,
                "target": target,
                "since": since,
                "until": until,
            },
        )

    async def verify_audit(self) -> types.AuditVerdict:
        """Looks at every row."""
        return await self._answer(operations.VERIFY_AUDIT)

    async def get_audit(self, seq: int) -> types.AuditEntry:
        """A row, with the digest of the one before and its own."""
        return await self._answer(operations.GET_AUDIT, seq)

    async def get_certificate_authority(self) -> Kept[types.CertificateAuthority]:
        """The installation's own authority, or an external one that is asked by EST."""
        return await self._kept(operations.GET_CERTIFICATE_AUTHORITY)

    async def change_certificate_authority(
        self, body: types.CertificateAuthorityChange, *, if_match: Kept[types.CertificateAuthority] | str | None = None
    ) -> Kept[types.CertificateAuthority]:
        """For the whole installation; platform admins may."""
        return await self._kept(operations.CHANGE_CERTIFICATE_AUTHORITY, body=body, if_match=if_match)

    async def renew_certificate_authority(
        self, body: types.Reason, *, idempotency_key: str | None = None
    ) -> types.CertificateAuthority:
        """A new sub-authority under the same root signs from now on."""
        return await self._answer(operations.RENEW_CERTIFICATE_AUTHORITY, body=body, idempotency_key=idempotency_key)

    async def list_certificate_requests(
        self,
        *,
        limit: int | None = None,
        status: Literal["signing", "delivering", "delivered", "refused", "failed", "superseded"] | None = None,
    ) -> types.CertificateRequestPage:
        """The newest requests first, of every station."""
        return await self._answer(operations.LIST_CERTIFICATE_REQUESTS, query={"limit": limit, "status": status})

    async def list_certificates(
        self, *, limit: int | None = None, cursor: str | None = None, before: datetime | str | None = None
    ) -> types.ShownCertificatePage:
        """What each station comes in with by security profile 3, the next to end first."""
        return await self._answer(
            operations.LIST_CERTIFICATES, query={"limit": limit, "cursor": cursor, "before": before}
        )

    def iter_certificates(self, *, before: datetime | str | None = None) -> AsyncIterator[types.ShownCertificate]:
        """What each station comes in with by security profile 3, the next to end first. All of them, page by page."""
        return self._pages(operations.LIST_CERTIFICATES, query={"before": before})

    async def get_certificate_ends(self) -> types.CertificateEnds:
        """Of the stations that one sees."""
        return await self._answer(operations.GET_CERTIFICATE_ENDS)

    async def get_command(self, command_id: str) -> types.Command:
        """A command and what became of it."""
        return await self._answer(operations.GET_COMMAND, command_id)

    async def list_controllers(self) -> types.SiteControllerPage:
        """Those that you may see, by name, each with what flows there now."""
        return await self._answer(operations.LIST_CONTROLLERS)

    async def list_drivers(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.DriverPage:
        """The people who carry tokens."""
        return await self._answer(
            operations.LIST_DRIVERS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q}
        )

    def iter_drivers(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.Driver]:
        """The people who carry tokens. All of them, page by page."""
        return self._pages(operations.LIST_DRIVERS, query={"sort": sort, "q": q})

    async def create_driver(self, body: types.NewDriver, *, idempotency_key: str | None = None) -> types.Driver:
        """Add somebody who charges; a token belongs to one driver at most."""
        return await self._answer(operations.CREATE_DRIVER, body=body, idempotency_key=idempotency_key)

    async def delete_driver(self, driver_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """The person is removed; the tokens stay and belong to nobody."""
        await self._nothing(operations.DELETE_DRIVER, driver_id, if_match=if_match)

    async def get_driver(self, driver_id: str) -> Kept[types.Driver]:
        """Who carries which tokens."""
        return await self._kept(operations.GET_DRIVER, driver_id)

    async def change_driver(
        self, driver_id: str, body: types.DriverChange, *, if_match: Kept[types.Driver] | str | None = None
    ) -> Kept[types.Driver]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_DRIVER, driver_id, body=body, if_match=if_match)

    async def erase_driver(
        self, driver_id: str, body: types.ErasureOrder, *, idempotency_key: str | None = None
    ) -> types.Erasure:
        """What the law calls erasure: the person's data and the notes on their tokens go, sessions stay without a
        name.
        """
        return await self._answer(operations.ERASE_DRIVER, driver_id, body=body, idempotency_key=idempotency_key)

    async def export_driver(self, driver_id: str) -> types.DriverExport:
        """To be handed to them when they ask: the person, their tokens, their sessions."""
        return await self._answer(operations.EXPORT_DRIVER, driver_id)

    def events(
        self,
        *,
        last_id: str | int | None = None,
        station: str | None = None,
        types: str | None = None,
        on_break: OnBreak | None = None,
    ) -> AsyncGenerator[types.JournalEvent, None]:
        """Server-sent events. `last_id`: the journal's seq after which to begin, '0' for its beginning; without it,
        from now on. After a break it goes on from where it was, without gap or repeat.
        """
        return self._stream(
            operations.STREAM_EVENTS,
            {"station": station, "types": types},
            sse.event_of,
            last_id="" if last_id is None else str(last_id),
            on_break=on_break,
        )

    async def list_firmware(
        self, *, cursor: str | None = None, limit: int | None = None, q: str | None = None
    ) -> types.FirmwarePage:
        """Images, newest first."""
        return await self._answer(operations.LIST_FIRMWARE, query={"cursor": cursor, "limit": limit, "q": q})

    def iter_firmware(self, *, q: str | None = None) -> AsyncIterator[types.Firmware]:
        """Images, newest first. All of them, page by page."""
        return self._pages(operations.LIST_FIRMWARE, query={"q": q})

    async def create_firmware(self, body: types.NewFirmware, *, idempotency_key: str | None = None) -> types.Firmware:
        """Say what an image is; send its file afterwards."""
        return await self._answer(operations.CREATE_FIRMWARE, body=body, idempotency_key=idempotency_key)

    async def delete_firmware(self, firmware_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """The file goes too, and every link to it; not while a roll-out of it is not done."""
        await self._nothing(operations.DELETE_FIRMWARE, firmware_id, if_match=if_match)

    async def get_firmware(self, firmware_id: str) -> Kept[types.Firmware]:
        """What an image is, and whether it can be sent."""
        return await self._kept(operations.GET_FIRMWARE, firmware_id)

    async def change_firmware(
        self, firmware_id: str, body: types.FirmwareChange, *, if_match: Kept[types.Firmware] | str | None = None
    ) -> Kept[types.Firmware]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_FIRMWARE, firmware_id, body=body, if_match=if_match)

    def get_firmware_content(self, firmware_id: str) -> AsyncDownload:
        """The file as it was sent. As a file."""
        return self._download(operations.GET_FIRMWARE_CONTENT, firmware_id)

    async def put_firmware_content(self, firmware_id: str, body: str | bytes) -> types.Firmware:
        """The bytes of the file, once."""
        return await self._answer(
            operations.PUT_FIRMWARE_CONTENT, firmware_id, body=body, media_type="application/octet-stream"
        )

    def frames(
        self, *, station: str | None = None, on_break: OnBreak | None = None
    ) -> AsyncGenerator[types.FrameShown | sse.Lagged, None]:
        """Server-sent events: one `frame` (FrameShown) per OCPP frame in either direction, none kept, none
        replayed. Breaks are mended; it ends when you leave it.
        """
        return self._stream(operations.STREAM_FRAMES, {"station": station}, sse.frame_of, on_break=on_break)

    async def list_groups(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.GroupPage:
        """Groups, also those that only tokens name."""
        return await self._answer(
            operations.LIST_GROUPS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q}
        )

    def iter_groups(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.Group]:
        """Groups, also those that only tokens name. All of them, page by page."""
        return self._pages(operations.LIST_GROUPS, query={"sort": sort, "q": q})

    async def create_group(self, body: types.NewGroup, *, idempotency_key: str | None = None) -> types.Group:
        """Give a group a name, before or after tokens are put into it."""
        return await self._answer(operations.CREATE_GROUP, body=body, idempotency_key=idempotency_key)

    async def delete_group(self, group_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Only a group that no token is in can be forgotten."""
        await self._nothing(operations.DELETE_GROUP, group_id, if_match=if_match)

    async def get_group(self, group_id: str) -> Kept[types.Group]:
        """A group of tokens."""
        return await self._kept(operations.GET_GROUP, group_id)

    async def change_group(
        self, group_id: str, body: types.GroupChange, *, if_match: Kept[types.Group] | str | None = None
    ) -> Kept[types.Group]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_GROUP, group_id, body=body, if_match=if_match)

    async def list_strangers(self) -> types.HandshakePage:
        """The last connections that named no station: TLS that failed, plain HTTP, other protocols."""
        return await self._answer(operations.LIST_STRANGERS)

    async def list_jobs(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        status: Literal["queued", "running", "cancelling", "done", "failed", "cancelled"] | None = None,
    ) -> types.JobPage:
        """Bulk operations, newest first."""
        return await self._answer(operations.LIST_JOBS, query={"cursor": cursor, "limit": limit, "status": status})

    def iter_jobs(
        self, *, status: Literal["queued", "running", "cancelling", "done", "failed", "cancelled"] | None = None
    ) -> AsyncIterator[types.Job]:
        """Bulk operations, newest first. All of them, page by page."""
        return self._pages(operations.LIST_JOBS, query={"status": status})

    async def create_job(self, body: types.NewJob, *, idempotency_key: str | None = None) -> types.Job:
        """Order a job: a command, variables, changes of accounts, for stations by id or by filter."""
        return await self._answer(operations.CREATE_JOB, body=body, idempotency_key=idempotency_key)

    async def delete_job(self, job_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Only a job that has ended can be forgotten."""
        await self._nothing(operations.DELETE_JOB, job_id, if_match=if_match)

    async def get_job(self, job_id: str) -> Kept[types.Job]:
        """How far a job is."""
        return await self._kept(operations.GET_JOB, job_id)

    async def cancel_job(self, job_id: str, *, idempotency_key: str | None = None) -> types.Job:
        """No further station is begun; what is under way is waited for."""
        return await self._answer(operations.CANCEL_JOB, job_id, idempotency_key=idempotency_key)

    def follow_job(self, job_id: str, *, on_break: OnBreak | None = None) -> AsyncGenerator[types.Job, None]:
        """Server-sent events: one `job` (Job) at once, then whenever the job has gone on, at most four times a
        second; the stream ends with the job. Breaks are mended.
        """
        return self._stream(
            operations.STREAM_JOB, {}, sse.job_of, path=(job_id,), last=sse.job_ended, on_break=on_break
        )

    async def list_job_outcomes(
        self, job_id: str, *, cursor: str | None = None, limit: int | None = None, ok: bool | None = None
    ) -> types.JobOutcomePage:
        """What became of each station, in the job's order; written wave by wave."""
        return await self._answer(
            operations.LIST_JOB_OUTCOMES, job_id, query={"cursor": cursor, "limit": limit, "ok": ok}
        )

    def iter_job_outcomes(self, job_id: str, *, ok: bool | None = None) -> AsyncIterator[types.JobOutcome]:
        """What became of each station, in the job's order; written wave by wave. All of them, page by page."""
        return self._pages(operations.LIST_JOB_OUTCOMES, job_id, query={"ok": ok})

    def live(
        self, *, station: str | None = None, brief: bool | None = None, on_break: OnBreak | None = None
    ) -> AsyncGenerator[types.Overview | types.LiveUpdate, None]:
        """Server-sent events for a live page: one `snapshot` (Overview), then at most four `update`s (LiveUpdate) a
        second. Breaks are mended; it ends when you leave it.
        """
        return self._stream(
            operations.STREAM_LIVE, {"station": station, "brief": brief}, sse.live_of, on_break=on_break
        )

    async def delete_mail_server(self, *, if_match: Kept[Any] | str | None = None) -> None:
        """Forget the mail server and its password."""
        await self._nothing(operations.DELETE_MAIL_SERVER, if_match=if_match)

    async def get_mail_server(self) -> Kept[types.MailServer]:
        """Without its password."""
        return await self._kept(operations.GET_MAIL_SERVER)

    async def set_mail_server(
        self, body: types.NewMailServer, *, if_match: Kept[types.MailServer] | str | None = None
    ) -> Kept[types.MailServer]:
        """Without `password` the one that is kept stays, as long as host and user name do."""
        return await self._kept(operations.SET_MAIL_SERVER, body=body, if_match=if_match)

    async def test_mail_server(
        self, body: types.MailTest, *, idempotency_key: str | None = None
    ) -> types.NotificationResult:
        """Send a test at once; what the server says is in the answer."""
        return await self._answer(operations.TEST_MAIL_SERVER, body=body, idempotency_key=idempotency_key)

    async def get_me(self) -> types.Me:
        """Who is asking, how the request was let in, and what it may do."""
        return await self._answer(operations.GET_ME)

    async def change_me(self, body: types.MeChange) -> types.Me:
        """One's own e-mail address and language."""
        return await self._answer(operations.CHANGE_ME, body=body)

    async def end_my_logins(self) -> types.Ended:
        """All but the one that asks."""
        return await self._answer(operations.END_MY_LOGINS)

    async def list_my_logins(self) -> types.LoginPage:
        """The browsers in which one is logged in, the newest first."""
        return await self._answer(operations.LIST_MY_LOGINS)

    async def end_my_login(self, login_id: str) -> types.Ended:
        """Log out in another browser."""
        return await self._answer(operations.END_MY_LOGIN, login_id)

    async def change_my_password(self, body: types.PasswordChange, *, idempotency_key: str | None = None) -> None:
        """Every other login of the person ends; this one goes on, with a new cookie."""
        await self._nothing(operations.CHANGE_MY_PASSWORD, body=body, idempotency_key=idempotency_key)

    async def renew_recovery_codes(
        self, body: types.Confirmation, *, idempotency_key: str | None = None
    ) -> types.RecoveryCodes:
        """They take the place of all before."""
        return await self._answer(operations.RENEW_RECOVERY_CODES, body=body, idempotency_key=idempotency_key)

    async def begin_second_factor(
        self, body: types.Confirmation, *, idempotency_key: str | None = None
    ) -> types.SecondFactor:
        """A new secret, as text, address and QR code."""
        return await self._answer(operations.BEGIN_SECOND_FACTOR, body=body, idempotency_key=idempotency_key)

    async def confirm_second_factor(
        self, body: types.CodeGiven, *, idempotency_key: str | None = None
    ) -> types.RecoveryCodes:
        """From now on logging in takes a code."""
        return await self._answer(operations.CONFIRM_SECOND_FACTOR, body=body, idempotency_key=idempotency_key)

    async def remove_second_factor(self, body: types.Confirmation, *, idempotency_key: str | None = None) -> None:
        """Log in with the password alone again."""
        await self._nothing(operations.REMOVE_SECOND_FACTOR, body=body, idempotency_key=idempotency_key)

    async def work_in_tenant(self, body: types.WorkIn, *, idempotency_key: str | None = None) -> types.Me:
        """Everything that this login of a platform admin does from now on is done in this tenant."""
        return await self._answer(operations.WORK_IN_TENANT, body=body, idempotency_key=idempotency_key)

    async def list_notifications(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        subscription: str | None = None,
        state: Literal["pending", "sent", "failed"] | None = None,
    ) -> types.NotificationPage:
        """Messages that wait, then those that are done, newest first."""
        return await self._answer(
            operations.LIST_NOTIFICATIONS,
            query={"cursor": cursor, "limit": limit, "subscription": subscription, "state": state},
        )

    def iter_notifications(
        self, *, subscription: str | None = None, state: Literal["pending", "sent", "failed"] | None = None
    ) -> AsyncIterator[types.Notification]:
        """Messages that wait, then those that are done, newest first. All of them, page by page."""
        return self._pages(operations.LIST_NOTIFICATIONS, query={"subscription": subscription, "state": state})

    async def delete_oidc(self, *, if_match: Kept[Any] | str | None = None) -> None:
        """Nobody logs in through it any more; who is in stays in."""
        await self._nothing(operations.DELETE_OIDC, if_match=if_match)

    async def get_oidc(self) -> Kept[types.OidcShown]:
        """The OpenID provider through which people of this tenant log in; never its secret."""
        return await self._kept(operations.GET_OIDC)

    async def put_oidc(
        self, body: types.OidcSettings, *, if_match: Kept[types.OidcShown] | str | None = None
    ) -> Kept[types.OidcShown]:
        """Let people log in through an OpenID provider (authorization code with PKCE)."""
        return await self._kept(operations.PUT_OIDC, body=body, if_match=if_match)

    async def check_oidc(self, *, idempotency_key: str | None = None) -> types.OidcCheck:
        """Reads what the provider says of itself."""
        return await self._answer(operations.CHECK_OIDC, idempotency_key=idempotency_key)

    async def list_quirk_settings(self) -> types.QuirkSettingPage:
        """What operators said about remedies for vendors, models and firmware, and the remedies that there are."""
        return await self._answer(operations.LIST_QUIRK_SETTINGS)

    async def create_quirk_setting(
        self, body: types.NewQuirkSetting, *, idempotency_key: str | None = None
    ) -> types.QuirkSetting:
        """It counts at once, for stations that are connected too."""
        return await self._answer(operations.CREATE_QUIRK_SETTING, body=body, idempotency_key=idempotency_key)

    async def delete_quirk_setting(self, setting_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """From then on the remedy is taken where the quirk is seen."""
        await self._nothing(operations.DELETE_QUIRK_SETTING, setting_id, if_match=if_match)

    async def list_quirks(
        self, *, seen: bool | None = None, vendor: str | None = None, model: str | None = None
    ) -> types.QuirkPage:
        """What stations do otherwise than the standard says: every quirk that has a name, with how many of your
        stations have it, by vendor, model and firmware.
        """
        return await self._answer(operations.LIST_QUIRKS, query={"seen": seen, "vendor": vendor, "model": model})

    async def get_report(
        self,
        *,
        begin: str | None = None,
        end: str | None = None,
        group: Literal["day", "week", "month", "total"] | None = None,
        by: Literal["all", "site", "station"] | None = None,
        site: str | None = None,
        station: str | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> types.Report:
        """Figures of the days from `begin` to before `end`, per period and per site or station, and what they sum
        up to.
        """
        return await self._answer(
            operations.GET_REPORT,
            query={
                "begin": begin,
                "end": end,
                "group": group,
                "by": by,
                "site": site,
                "station": station,
                "sort": sort,
                "cursor": cursor,
                "limit": limit,
            },
        )

    def iter_get_report(
        self,
        *,
        begin: str | None = None,
        end: str | None = None,
        group: Literal["day", "week", "month", "total"] | None = None,
        by: Literal["all", "site", "station"] | None = None,
        site: str | None = None,
        station: str | None = None,
        sort: str | None = None,
    ) -> AsyncIterator[types.ReportRow]:
        """Figures of the days from `begin` to before `end`, per period and per site or station, and what they sum
        up to. All of them, page by page.
        """
        return self._pages(
            operations.GET_REPORT,
            query={
                "begin": begin,
                "end": end,
                "group": group,
                "by": by,
                "site": site,
                "station": station,
                "sort": sort,
            },
        )

    def export_report(
        self,
        *,
        begin: str | None = None,
        end: str | None = None,
        group: Literal["day", "week", "month", "total"] | None = None,
        by: Literal["all", "site", "station"] | None = None,
        site: str | None = None,
        station: str | None = None,
    ) -> AsyncDownload:
        """Every row of a report, in order of period, site and station. As a file."""
        return self._download(
            operations.EXPORT_REPORT,
            query={"begin": begin, "end": end, "group": group, "by": by, "site": site, "station": station},
        )

    async def list_exclusions(self) -> types.ExclusionPage:
        """Times in which outages do not count against uptime, newest first."""
        return await self._answer(operations.LIST_EXCLUSIONS)

    async def create_exclusion(
        self, body: types.NewExclusion, *, idempotency_key: str | None = None
    ) -> types.Exclusion:
        """Exclude a time."""
        return await self._answer(operations.CREATE_EXCLUSION, body=body, idempotency_key=idempotency_key)

    async def delete_exclusion(self, exclusion_id: str) -> None:
        """The outages within it count again."""
        await self._nothing(operations.DELETE_EXCLUSION, exclusion_id)

    async def list_outages(
        self,
        *,
        station: str | None = None,
        site: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> types.OutagePage:
        """Times of a minute and more in which an EVSE could not be used: first those that last, then newest first."""
        return await self._answer(
            operations.LIST_OUTAGES, query={"station": station, "site": site, "cursor": cursor, "limit": limit}
        )

    def iter_outages(self, *, station: str | None = None, site: str | None = None) -> AsyncIterator[types.Outage]:
        """Times of a minute and more in which an EVSE could not be used: first those that last, then newest first.
        All of them, page by page.
        """
        return self._pages(operations.LIST_OUTAGES, query={"station": station, "site": site})

    async def rebuild_reports(self, *, idempotency_key: str | None = None) -> types.ReportState:
        """From the journal and the sessions."""
        return await self._answer(operations.REBUILD_REPORTS, idempotency_key=idempotency_key)

    async def get_report_state(self) -> types.ReportState:
        """Whether older sessions are still being gone through, and since when statuses were watched."""
        return await self._answer(operations.GET_REPORT_STATE)

    async def get_retention(self) -> Kept[types.Retention]:
        """How long meter samples stay in the database, and what else is not kept for good."""
        return await self._kept(operations.GET_RETENTION)

    async def change_retention(
        self, body: types.RetentionChange, *, if_match: Kept[types.Retention] | str | None = None
    ) -> Kept[types.Retention]:
        """For the whole installation; platform admins may."""
        return await self._kept(operations.CHANGE_RETENTION, body=body, if_match=if_match)

    async def list_roles(self) -> types.RolePage:
        """Each role, how far it reaches, and what it may do."""
        return await self._answer(operations.LIST_ROLES)

    async def list_rollouts(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        kind: Literal["firmware", "certificates"] | None = None,
    ) -> types.RolloutPage:
        """Roll-outs, newest first."""
        return await self._answer(operations.LIST_ROLLOUTS, query={"cursor": cursor, "limit": limit, "kind": kind})

    def iter_rollouts(self, *, kind: Literal["firmware", "certificates"] | None = None) -> AsyncIterator[types.Rollout]:
        """Roll-outs, newest first. All of them, page by page."""
        return self._pages(operations.LIST_ROLLOUTS, query={"kind": kind})

    async def create_rollout(self, body: types.NewRollout, *, idempotency_key: str | None = None) -> types.Rollout:
        """Order a roll-out: a few stations first, then more, then all."""
        return await self._answer(operations.CREATE_ROLLOUT, body=body, idempotency_key=idempotency_key)

    async def delete_rollout(self, rollout_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Only one that stands still (paused, stopped, done) can be forgotten."""
        await self._nothing(operations.DELETE_ROLLOUT, rollout_id, if_match=if_match)

    async def get_rollout(self, rollout_id: str) -> Kept[types.Rollout]:
        """How far it is, stage by stage, and why it stands still."""
        return await self._kept(operations.GET_ROLLOUT, rollout_id)

    async def cancel_rollout(self, rollout_id: str, *, idempotency_key: str | None = None) -> types.Rollout:
        """Nobody else is begun; what is under way at a station goes on there."""
        return await self._answer(operations.CANCEL_ROLLOUT, rollout_id, idempotency_key=idempotency_key)

    async def pause_rollout(self, rollout_id: str, *, idempotency_key: str | None = None) -> types.Rollout:
        """Nobody else is begun until it is resumed; what is under way goes on."""
        return await self._answer(operations.PAUSE_ROLLOUT, rollout_id, idempotency_key=idempotency_key)

    async def resume_rollout(
        self, rollout_id: str, body: types.Reason, *, idempotency_key: str | None = None
    ) -> types.Rollout:
        """Go on where it stands."""
        return await self._answer(operations.RESUME_ROLLOUT, rollout_id, body=body, idempotency_key=idempotency_key)

    async def list_rollout_stations(
        self,
        rollout_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: Literal[
            "pending", "waiting", "ordering", "updating", "installed", "failed", "silent", "refused", "skipped"
        ]
        | None = None,
    ) -> types.RolloutStationPage:
        """Its stations in their order."""
        return await self._answer(
            operations.LIST_ROLLOUT_STATIONS, rollout_id, query={"cursor": cursor, "limit": limit, "state": state}
        )

    def iter_rollout_stations(
        self,
        rollout_id: str,
        *,
        state: Literal[
            "pending", "waiting", "ordering", "updating", "installed", "failed", "silent", "refused", "skipped"
        ]
        | None = None,
    ) -> AsyncIterator[types.RolloutStation]:
        """Its stations in their order. All of them, page by page."""
        return self._pages(operations.LIST_ROLLOUT_STATIONS, rollout_id, query={"state": state})

    async def list_sessions(
        self,
        *,
        station: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        status: Literal["active", "ended"] | None = None,
        token: Sequence[str] | str | None = None,
        started_from: datetime | str | None = None,
        started_before: datetime | str | None = None,
        ended_from: datetime | str | None = None,
        ended_before: datetime | str | None = None,
        energy_from_wh: int | None = None,
        energy_to_wh: int | None = None,
        stop_reason: Sequence[str] | str | None = None,
        flags: Sequence[str] | str | None = None,
        flagged: bool | None = None,
        q: str | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        count: bool | None = None,
    ) -> types.SessionPage:
        """Charging sessions, newest started first, or by `sort`: started_at, ended_at, energy_wh."""
        return await self._answer(
            operations.LIST_SESSIONS,
            query={
                "station": station,
                "site": site,
                "status": status,
                "token": token,
                "started_from": started_from,
                "started_before": started_before,
                "ended_from": ended_from,
                "ended_before": ended_before,
                "energy_from_wh": energy_from_wh,
                "energy_to_wh": energy_to_wh,
                "stop_reason": stop_reason,
                "flags": flags,
                "flagged": flagged,
                "q": q,
                "sort": sort,
                "cursor": cursor,
                "limit": limit,
                "count": count,
            },
        )

    def iter_sessions(
        self,
        *,
        station: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        status: Literal["active", "ended"] | None = None,
        token: Sequence[str] | str | None = None,
        started_from: datetime | str | None = None,
        started_before: datetime | str | None = None,
        ended_from: datetime | str | None = None,
        ended_before: datetime | str | None = None,
        energy_from_wh: int | None = None,
        energy_to_wh: int | None = None,
        stop_reason: Sequence[str] | str | None = None,
        flags: Sequence[str] | str | None = None,
        flagged: bool | None = None,
        q: str | None = None,
        sort: str | None = None,
    ) -> AsyncIterator[types.Session]:
        """Charging sessions, newest started first, or by `sort`: started_at, ended_at, energy_wh. All of them, page
        by page.
        """
        return self._pages(
            operations.LIST_SESSIONS,
            query={
                "station": station,
                "site": site,
                "status": status,
                "token": token,
                "started_from": started_from,
                "started_before": started_before,
                "ended_from": ended_from,
                "ended_before": ended_before,
                "energy_from_wh": energy_from_wh,
                "energy_to_wh": energy_to_wh,
                "stop_reason": stop_reason,
                "flags": flags,
                "flagged": flagged,
                "q": q,
                "sort": sort,
            },
        )

    def export_sessions(
        self,
        *,
        station: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        status: Literal["active", "ended"] | None = None,
        token: Sequence[str] | str | None = None,
        started_from: datetime | str | None = None,
        started_before: datetime | str | None = None,
        ended_from: datetime | str | None = None,
        ended_before: datetime | str | None = None,
        energy_from_wh: int | None = None,
        energy_to_wh: int | None = None,
        stop_reason: Sequence[str] | str | None = None,
        flags: Sequence[str] | str | None = None,
        flagged: bool | None = None,
        q: str | None = None,
        sort: str | None = None,
        format: Literal["csv", "jsonl", "parquet"] | None = None,
    ) -> AsyncDownload:
        """Every session that fits, as a file: CSV (RFC 4180, UTF-8, with a head), JSON Lines or Parquet. As a file."""
        return self._download(
            operations.EXPORT_SESSIONS,
            query={
                "station": station,
                "site": site,
                "status": status,
                "token": token,
                "started_from": started_from,
                "started_before": started_before,
                "ended_from": ended_from,
                "ended_before": ended_before,
                "energy_from_wh": energy_from_wh,
                "energy_to_wh": energy_to_wh,
                "stop_reason": stop_reason,
                "flags": flags,
                "flagged": flagged,
                "q": q,
                "sort": sort,
                "format": format,
            },
        )

    async def sum_sessions(
        self,
        *,
        station: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        status: Literal["active", "ended"] | None = None,
        token: Sequence[str] | str | None = None,
        started_from: datetime | str | None = None,
        started_before: datetime | str | None = None,
        ended_from: datetime | str | None = None,
        ended_before: datetime | str | None = None,
        energy_from_wh: int | None = None,
        energy_to_wh: int | None = None,
        stop_reason: Sequence[str] | str | None = None,
        flags: Sequence[str] | str | None = None,
        flagged: bool | None = None,
        q: str | None = None,
        sort: str | None = None,
    ) -> types.SessionSums:
        """How many sessions fit, their energy and their time, with the filters of the list."""
        return await self._answer(
            operations.SUM_SESSIONS,
            query={
                "station": station,
                "site": site,
                "status": status,
                "token": token,
                "started_from": started_from,
                "started_before": started_before,
                "ended_from": ended_from,
                "ended_before": ended_before,
                "energy_from_wh": energy_from_wh,
                "energy_to_wh": energy_to_wh,
                "stop_reason": stop_reason,
                "flags": flags,
                "flagged": flagged,
                "q": q,
                "sort": sort,
            },
        )

    async def get_session(self, session_id: str) -> types.Session:
        """A charging session."""
        return await self._answer(operations.GET_SESSION, session_id)

    async def get_session_cost(self, session_id: str) -> types.CostBreakdown:
        """So far, or in all."""
        return await self._answer(operations.GET_SESSION_COST, session_id)

    async def get_curve(self, session_id: str, *, points: int | None = None) -> types.Curve:
        """Power over time, thinned for a chart; derived from the energy register where the station measures no
        power.
        """
        return await self._answer(operations.GET_CURVE, session_id, query={"points": points})

    async def get_session_curves(self, session_id: str, *, points: int | None = None) -> types.SessionCurves:
        """Power, energy, state of charge, current and voltage over time, each thinned for a chart."""
        return await self._answer(operations.GET_SESSION_CURVES, session_id, query={"points": points})

    async def list_session_events(self, session_id: str) -> types.SessionEventPage:
        """What happened during a session, in order of time: begin, pauses and end with their reasons, the
        connector's states and faults, commands, lost connections.
        """
        return await self._answer(operations.LIST_SESSION_EVENTS, session_id)

    async def list_samples(
        self, session_id: str, *, measurand: str | None = None, limit: int | None = None
    ) -> types.SamplePage:
        """Every sampled value of a session in order of time, from the hot store and the history alike."""
        return await self._answer(operations.LIST_SAMPLES, session_id, query={"measurand": measurand, "limit": limit})

    def export_samples(
        self,
        session_id: str,
        *,
        measurand: str | None = None,
        limit: int | None = None,
        format: Literal["csv", "jsonl", "parquet"],
    ) -> AsyncDownload:
        """Every sampled value of a session in order of time, from the hot store and the history alike. As a file."""
        return self._download(
            operations.LIST_SAMPLES, session_id, query={"measurand": measurand, "limit": limit, "format": format}
        )

    async def change_session_tariff(
        self, session_id: str, body: types.SessionTariff, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """From now on; nothing is calculated back."""
        return await self._answer(
            operations.CHANGE_SESSION_TARIFF, session_id, body=body, idempotency_key=idempotency_key
        )

    async def list_sites(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.SitePage:
        """Sites that you may see, by name."""
        return await self._answer(operations.LIST_SITES, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q})

    def iter_sites(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.Site]:
        """Sites that you may see, by name. All of them, page by page."""
        return self._pages(operations.LIST_SITES, query={"sort": sort, "q": q})

    async def create_site(self, body: types.NewSite, *, idempotency_key: str | None = None) -> types.Site:
        """Add a place where stations stand."""
        return await self._answer(operations.CREATE_SITE, body=body, idempotency_key=idempotency_key)

    def get_sites_geo_json(self, *, shape: Literal["position", "outline"] | None = None) -> AsyncDownload:
        """A FeatureCollection (RFC 7946) of the sites that you may see, with how each does as properties. As a
        file.
        """
        return self._download(operations.GET_SITES_GEO_JSON, query={"shape": shape})

    async def list_site_summaries(self) -> types.SiteSummaryPage:
        """Power now against the limit, stations, energy today: of each site, and of the stations without one."""
        return await self._answer(operations.LIST_SITE_SUMMARIES)

    async def delete_site(self, site_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Only a site at which no station stands any more can be deleted."""
        await self._nothing(operations.DELETE_SITE, site_id, if_match=if_match)

    async def get_site(self, site_id: str) -> Kept[types.Site]:
        """A site with its plan and contacts."""
        return await self._kept(operations.GET_SITE, site_id)

    async def change_site(
        self, site_id: str, body: types.SiteChange, *, if_match: Kept[types.Site] | str | None = None
    ) -> Kept[types.Site]:
        """Change what is given, keep the rest; null takes a value away."""
        return await self._kept(operations.CHANGE_SITE, site_id, body=body, if_match=if_match)

    async def delete_site_background(self, site_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """The plan itself stays."""
        await self._nothing(operations.DELETE_SITE_BACKGROUND, site_id, if_match=if_match)

    def get_site_background(self, site_id: str) -> AsyncDownload:
        """SVG that holds nothing but a drawing. As a file."""
        return self._download(operations.GET_SITE_BACKGROUND, site_id)

    async def put_site_background(
        self, site_id: str, body: str | bytes, *, if_match: Kept[types.Site] | str | None = None
    ) -> Kept[types.Site]:
        """An SVG of at most 512 KiB, stretched over the plan."""
        return await self._kept(
            operations.PUT_SITE_BACKGROUND, site_id, body=body, media_type="image/svg+xml", if_match=if_match
        )

    async def get_commissioning(self, site_id: str) -> types.Commissioning:
        """What was found, the draft with all that is wrong in it, results, and what is under way."""
        return await self._answer(operations.GET_COMMISSIONING, site_id)

    async def cancel_commissioning(self, site_id: str, *, idempotency_key: str | None = None) -> types.Commissioning:
        """Whoever was commanded is told its fail-safe value."""
        return await self._answer(operations.CANCEL_COMMISSIONING, site_id, idempotency_key=idempotency_key)

    async def edit_draft(
        self, site_id: str, body: types.CommissioningEdit, *, if_match: Kept[types.Commissioning] | str | None = None
    ) -> Kept[types.Commissioning]:
        """What is wrong with the outcome stands in `draft.findings`, each with its place."""
        return await self._kept(operations.EDIT_DRAFT, site_id, body=body, if_match=if_match)

    async def run_dry(
        self, site_id: str, body: types.CommissioningDryRun, *, idempotency_key: str | None = None
    ) -> types.Commissioning:
        """What it would command is shown as it goes on, and which limits are exceeded without it."""
        return await self._answer(operations.RUN_DRY, site_id, body=body, idempotency_key=idempotency_key)

    async def check_failsafes(
        self, site_id: str, body: types.CommissioningFailsafe, *, idempotency_key: str | None = None
    ) -> types.Commissioning:
        """With `prove` each charger is left alone until its watchdog fires, and watched."""
        return await self._answer(operations.CHECK_FAILSAFES, site_id, body=body, idempotency_key=idempotency_key)

    async def go_live(
        self, site_id: str, body: types.CommissioningGoLive, *, idempotency_key: str | None = None
    ) -> types.CommissionedFile:
        """The file that was there is kept beside it as `.before`."""
        return await self._answer(operations.GO_LIVE, site_id, body=body, idempotency_key=idempotency_key)

    async def detect_phases(
        self, site_id: str, body: types.CommissioningPhases, *, idempotency_key: str | None = None
    ) -> types.Commissioning:
        """One EVSE after the other lets its car draw less and more while all others pause, within all limits."""
        return await self._answer(operations.DETECT_PHASES, site_id, body=body, idempotency_key=idempotency_key)

    async def accept_phases(
        self, site_id: str, body: types.CommissioningAccept, *, idempotency_key: str | None = None
    ) -> types.Commissioning:
        """Also those that contradict what is written down."""
        return await self._answer(operations.ACCEPT_PHASES, site_id, body=body, idempotency_key=idempotency_key)

    async def scan_for_devices(
        self, site_id: str, body: types.CommissioningScan, *, idempotency_key: str | None = None
    ) -> types.Commissioning:
        """Modbus units in networks and on serial lines, and OCPP stations that knock."""
        return await self._answer(operations.SCAN_FOR_DEVICES, site_id, body=body, idempotency_key=idempotency_key)

    async def get_controller(self, site_id: str) -> types.SiteNow:
        """The site at its last decision: what flows where against which limit, what each EVSE gets and why, in
        words.
        """
        return await self._answer(operations.GET_CONTROLLER, site_id)

    async def list_controller_changes(
        self, site_id: str, *, evse: str, from_: datetime | str | None = None, until: datetime | str | None = None
    ) -> types.SetPointChangePage:
        """Each change of its set-point or of the reason for it, the oldest first, with the one in force at the
        beginning; at most the last 1,000.
        """
        return await self._answer(
            operations.LIST_CONTROLLER_CHANGES, site_id, query={"evse": evse, "from": from_, "until": until}
        )

    async def get_controller_course(
        self,
        site_id: str,
        *,
        from_: datetime | str | None = None,
        until: datetime | str | None = None,
        step: int | None = None,
    ) -> types.SiteCourse:
        """Means over steps of equal length, beginning at the step in which `from` lies; at most 3,000 of them."""
        return await self._answer(
            operations.GET_CONTROLLER_COURSE, site_id, query={"from": from_, "until": until, "step": step}
        )

    def export_controller_course(
        self,
        site_id: str,
        *,
        from_: datetime | str | None = None,
        until: datetime | str | None = None,
        step: int | None = None,
    ) -> AsyncDownload:
        """A row for each step; what is not known is empty. As a file."""
        return self._download(
            operations.EXPORT_CONTROLLER_COURSE, site_id, query={"from": from_, "until": until, "step": step}
        )

    async def get_controller_past(self, site_id: str, *, at: datetime | str) -> types.SitePast:
        """The decision is made again from the record of all that was measured and heard; `same` says whether it
        came out as it was recorded.
        """
        return await self._answer(operations.GET_CONTROLLER_PAST, site_id, query={"at": at})

    async def get_controller_plan(self, site_id: str) -> types.SiteOutlook:
        """The plan in force; 404 `nothing-known` where there is none."""
        return await self._answer(operations.GET_CONTROLLER_PLAN, site_id)

    def follow_controller(
        self, site_id: str, *, brief: bool | None = None, on_break: OnBreak | None = None
    ) -> AsyncGenerator[types.SiteNow, None]:
        """Server-sent events: one `now` (SiteNow) at once, then whenever something was decided, at most one a
        second. Breaks are mended; it ends when you leave it.
        """
        return self._stream(
            operations.STREAM_CONTROLLER, {"brief": brief}, sse.controller_of, path=(site_id,), on_break=on_break
        )

    async def list_controller_windows(
        self, site_id: str, *, from_: datetime | str | None = None, until: datetime | str | None = None
    ) -> types.ClosedWindowPage:
        """Windows that ended then, the oldest first, with who drew how much in them; and the highest of each month
        in this time, as it is billed.
        """
        return await self._answer(operations.LIST_CONTROLLER_WINDOWS, site_id, query={"from": from_, "until": until})

    def export_controller_windows(
        self, site_id: str, *, from_: datetime | str | None = None, until: datetime | str | None = None
    ) -> AsyncDownload:
        """A row for each window, the oldest first. As a file."""
        return self._download(operations.EXPORT_CONTROLLER_WINDOWS, site_id, query={"from": from_, "until": until})

    async def import_site_plan(
        self, site_id: str, body: str | bytes, *, if_match: Kept[types.Site] | str | None = None
    ) -> Kept[types.Site]:
        """Replace the plan: polygons and lines become shapes (`kind`, `name` of their properties), points with the
        property `station_id` places of stations.
        """
        return await self._kept(
            operations.IMPORT_SITE_PLAN, site_id, body=body, media_type="application/geo+json", if_match=if_match
        )

    async def get_site_summary(self, site_id: str) -> types.SiteSummary:
        """Power now against the limit, stations, energy today."""
        return await self._answer(operations.GET_SITE_SUMMARY, site_id)

    async def get_station_facets(self) -> types.StationFacets:
        """Every vendor, model, firmware, version and site that there is among the stations, and how many have it."""
        return await self._answer(operations.GET_STATION_FACETS)

    async def list_stations(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        sort: str | None = None,
        count: bool | None = None,
        connected: bool | None = None,
        enabled: bool | None = None,
        registered: bool | None = None,
        status: Sequence[str] | str | None = None,
        vendor: Sequence[str] | str | None = None,
        model: Sequence[str] | str | None = None,
        firmware: Sequence[str] | str | None = None,
        ocpp_version: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        q: str | None = None,
    ) -> types.StationPage:
        """Stations with their connectors: those that ever connected and those that only have an account."""
        return await self._answer(
            operations.LIST_STATIONS,
            query={
                "cursor": cursor,
                "limit": limit,
                "sort": sort,
                "count": count,
                "connected": connected,
                "enabled": enabled,
                "registered": registered,
                "status": status,
                "vendor": vendor,
                "model": model,
                "firmware": firmware,
                "ocpp_version": ocpp_version,
                "site": site,
                "q": q,
            },
        )

    def iter_stations(
        self,
        *,
        sort: str | None = None,
        connected: bool | None = None,
        enabled: bool | None = None,
        registered: bool | None = None,
        status: Sequence[str] | str | None = None,
        vendor: Sequence[str] | str | None = None,
        model: Sequence[str] | str | None = None,
        firmware: Sequence[str] | str | None = None,
        ocpp_version: Sequence[str] | str | None = None,
        site: Sequence[str] | str | None = None,
        q: str | None = None,
    ) -> AsyncIterator[types.Station]:
        """Stations with their connectors: those that ever connected and those that only have an account. All of
        them, page by page.
        """
        return self._pages(
            operations.LIST_STATIONS,
            query={
                "sort": sort,
                "connected": connected,
                "enabled": enabled,
                "registered": registered,
                "status": status,
                "vendor": vendor,
                "model": model,
                "firmware": firmware,
                "ocpp_version": ocpp_version,
                "site": site,
                "q": q,
            },
        )

    async def create_station(
        self, body: types.NewStation, *, idempotency_key: str | None = None
    ) -> types.StationCreated:
        """Make the account of a station."""
        return await self._answer(operations.CREATE_STATION, body=body, idempotency_key=idempotency_key)

    async def delete_station(self, station_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """The station may connect no longer."""
        await self._nothing(operations.DELETE_STATION, station_id, if_match=if_match)

    async def get_station(self, station_id: str) -> Kept[types.Station]:
        """A station with its connectors."""
        return await self._kept(operations.GET_STATION, station_id)

    async def change_station(
        self, station_id: str, body: types.StationChange, *, if_match: Kept[types.Station] | str | None = None
    ) -> Kept[types.Station]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_STATION, station_id, body=body, if_match=if_match)

    async def get_station_certificates(self, station_id: str) -> types.StationCertificates:
        """What it has asked for and got, what it says that it has installed, and how it is let in."""
        return await self._answer(operations.GET_STATION_CERTIFICATES, station_id)

    async def delete_station_certificate(
        self, station_id: str, body: types.CertificateDeletion, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Have the station forget an authority."""
        return await self._answer(
            operations.DELETE_STATION_CERTIFICATE, station_id, body=body, idempotency_key=idempotency_key
        )

    async def install_station_certificate(
        self, station_id: str, body: types.CertificateInstallation, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Install an authority that the station shall trust."""
        return await self._answer(
            operations.INSTALL_STATION_CERTIFICATE, station_id, body=body, idempotency_key=idempotency_key
        )

    async def refresh_station_certificates(
        self, station_id: str, *, idempotency_key: str | None = None
    ) -> types.StationCertificates:
        """Ask the station what it has installed, and wait for its answer."""
        return await self._answer(operations.REFRESH_STATION_CERTIFICATES, station_id, idempotency_key=idempotency_key)

    async def renew_station_certificate(
        self, station_id: str, body: types.Reason, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Have the station make a new key and ask for its certificate."""
        return await self._answer(
            operations.RENEW_STATION_CERTIFICATE, station_id, body=body, idempotency_key=idempotency_key
        )

    async def get_station_charging(
        self, station_id: str, *, unit: Literal["A", "W"] | None = None, hours: int | None = None
    ) -> types.StationCharging:
        """The profiles that it has accepted or reported, and for each EVSE the schedule that they come to."""
        return await self._answer(operations.GET_STATION_CHARGING, station_id, query={"unit": unit, "hours": hours})

    async def check_station(self, station_id: str) -> types.StationChecks:
        """Look a station through from the outside in: account, last attempts to connect, certificate, connection,
        start, clock, signs of life, connectors, tokens, meter values, messages, firmware, commands.
        """
        return await self._answer(operations.CHECK_STATION, station_id)

    async def list_commands(self, station_id: str, *, limit: int | None = None) -> types.CommandPage:
        """The newest commands to a station and what became of them."""
        return await self._answer(operations.LIST_COMMANDS, station_id, query={"limit": limit})

    async def send_command(
        self, station_id: str, body: types.NewCommand, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Send a command and wait: this answer is the station's own answer, never 'queued'."""
        return await self._answer(operations.SEND_COMMAND, station_id, body=body, idempotency_key=idempotency_key)

    async def list_available_commands(self, station_id: str) -> types.CommandFormPage:
        """Our verbs, then every action of the station's OCPP version, each with the fields of its payload, an
        example, and whether it is dangerous and you may send it.
        """
        return await self._answer(operations.LIST_AVAILABLE_COMMANDS, station_id)

    async def get_available_command(self, station_id: str, action: str) -> types.CommandForm:
        """One command with the fields of its payload."""
        return await self._answer(operations.GET_AVAILABLE_COMMAND, station_id, action)

    async def list_connectors(self, station_id: str) -> types.ConnectorPage:
        """Every connector of a station and what it does now."""
        return await self._answer(operations.LIST_CONNECTORS, station_id)

    async def get_station_details(self, station_id: str) -> types.StationDetails:
        """What somebody who looks after a station wants to know: where it must connect, how it did, what its clock
        says.
        """
        return await self._answer(operations.GET_STATION_DETAILS, station_id)

    async def list_evses(self, station_id: str) -> types.EvsePage:
        """The EVSEs of a station, each with its connectors."""
        return await self._answer(operations.LIST_EVSES, station_id)

    async def get_evse(self, station_id: str, evse: int) -> types.Evse:
        """One EVSE with its connectors."""
        return await self._answer(operations.GET_EVSE, station_id, evse)

    async def publish_firmware(
        self, station_id: str, body: types.NewFirmwarePublication, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Have a local controller (2.x) fetch an image from here and offer it to its stations."""
        return await self._answer(operations.PUBLISH_FIRMWARE, station_id, body=body, idempotency_key=idempotency_key)

    async def get_firmware_update(self, station_id: str) -> types.FirmwareUpdate:
        """How far the newest update is, step by step."""
        return await self._answer(operations.GET_FIRMWARE_UPDATE, station_id)

    async def update_firmware(
        self, station_id: str, body: types.NewFirmwareUpdate, *, idempotency_key: str | None = None
    ) -> types.FirmwareUpdate:
        """Have the station fetch an image from here and install it: UpdateFirmware, SignedUpdateFirmware for signed
        images in 1.6.
        """
        return await self._answer(operations.UPDATE_FIRMWARE, station_id, body=body, idempotency_key=idempotency_key)

    async def withdraw_firmware(
        self, station_id: str, body: types.NewFirmwareWithdrawal, *, idempotency_key: str | None = None
    ) -> types.CommandAnswer:
        """Have a local controller (2.x) offer an image no longer."""
        return await self._answer(operations.WITHDRAW_FIRMWARE, station_id, body=body, idempotency_key=idempotency_key)

    async def list_handshakes(self, station_id: str) -> types.HandshakePage:
        """The last handshakes in the name of a station, newest first, with what was wrong and what to do: wrong
        path, password, subprotocol, certificate, clock.
        """
        return await self._answer(operations.LIST_HANDSHAKES, station_id)

    async def get_station_kept(self, station_id: str) -> types.StationKept:
        """Reservations, monitors, event streams, display messages, grid controls and what else a station keeps."""
        return await self._answer(operations.GET_STATION_KEPT, station_id)

    async def list_station_logs(
        self, station_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> types.StationLogPage:
        """Logs that were asked for, newest first, and whether they have come."""
        return await self._answer(operations.LIST_STATION_LOGS, station_id, query={"cursor": cursor, "limit": limit})

    def iter_station_logs(self, station_id: str) -> AsyncIterator[types.StationLog]:
        """Logs that were asked for, newest first, and whether they have come. All of them, page by page."""
        return self._pages(operations.LIST_STATION_LOGS, station_id, query={})

    async def ask_for_station_log(
        self, station_id: str, body: types.NewLog, *, idempotency_key: str | None = None
    ) -> types.StationLog:
        """Have the station leave its diagnostics or its security log here (GetLog, GetDiagnostics)."""
        return await self._answer(
            operations.ASK_FOR_STATION_LOG, station_id, body=body, idempotency_key=idempotency_key
        )

    async def delete_station_log(self, station_id: str, log_id: str) -> None:
        """The file goes too, and the link where it was waited for."""
        await self._nothing(operations.DELETE_STATION_LOG, station_id, log_id)

    async def get_station_log(self, station_id: str, log_id: str) -> types.StationLog:
        """Whether it has come."""
        return await self._answer(operations.GET_STATION_LOG, station_id, log_id)

    def get_station_log_content(self, station_id: str, log_id: str) -> AsyncDownload:
        """The file as the station left it. As a file."""
        return self._download(operations.GET_STATION_LOG_CONTENT, station_id, log_id)

    async def list_messages(
        self,
        station_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        action: str | None = None,
        direction: Literal["in", "out", "sys"] | None = None,
        errors: bool | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> types.MessagePage:
        """What passed between a station and us, newest first: decoded, with what it means, what followed from it,
        which tolerances it needed, the answer and how long that took.
        """
        return await self._answer(
            operations.LIST_MESSAGES,
            station_id,
            query={
                "cursor": cursor,
                "limit": limit,
                "action": action,
                "direction": direction,
                "errors": errors,
                "since": since,
                "until": until,
            },
        )

    def iter_messages(
        self,
        station_id: str,
        *,
        action: str | None = None,
        direction: Literal["in", "out", "sys"] | None = None,
        errors: bool | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncIterator[types.MessageShown]:
        """What passed between a station and us, newest first: decoded, with what it means, what followed from it,
        which tolerances it needed, the answer and how long that took. All of them, page by page.
        """
        return self._pages(
            operations.LIST_MESSAGES,
            station_id,
            query={"action": action, "direction": direction, "errors": errors, "since": since, "until": until},
        )

    async def change_station_password(
        self, station_id: str, body: types.StationPasswordChange, *, idempotency_key: str | None = None
    ) -> types.StationPasswordChanged:
        """Send a new password to a station that is connected."""
        return await self._answer(
            operations.CHANGE_STATION_PASSWORD, station_id, body=body, idempotency_key=idempotency_key
        )

    async def list_station_quirks(self, station_id: str) -> types.StationQuirks:
        """What it does otherwise than the standard says, with the newest frame that shows it, and what is done
        differently for it.
        """
        return await self._answer(operations.LIST_STATION_QUIRKS, station_id)

    async def list_evse_use(
        self, station_id: str, *, begin: str | None = None, end: str | None = None
    ) -> types.EvseUsePage:
        """Each EVSE over the whole period."""
        return await self._answer(operations.LIST_EVSE_USE, station_id, query={"begin": begin, "end": end})

    async def list_variables(
        self,
        station_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        sort: str | None = None,
        component: str | None = None,
        q: str | None = None,
        writable: bool | None = None,
        changed_since: datetime | str | None = None,
    ) -> types.VariablePage:
        """Variables (2.x) or configuration keys (1.6, component '') as the station last reported them, each with
        its unit, type and what it does.
        """
        return await self._answer(
            operations.LIST_VARIABLES,
            station_id,
            query={
                "cursor": cursor,
                "limit": limit,
                "sort": sort,
                "component": component,
                "q": q,
                "writable": writable,
                "changed_since": changed_since,
            },
        )

    def iter_variables(
        self,
        station_id: str,
        *,
        sort: str | None = None,
        component: str | None = None,
        q: str | None = None,
        writable: bool | None = None,
        changed_since: datetime | str | None = None,
    ) -> AsyncIterator[types.Variable]:
        """Variables (2.x) or configuration keys (1.6, component '') as the station last reported them, each with
        its unit, type and what it does. All of them, page by page.
        """
        return self._pages(
            operations.LIST_VARIABLES,
            station_id,
            query={"sort": sort, "component": component, "q": q, "writable": writable, "changed_since": changed_since},
        )

    async def set_variables(self, station_id: str, body: types.VariableSettings) -> types.VariableOutcomes:
        """Set values in the station and tell what it said to each: ChangeConfiguration in 1.6, SetVariables in 2.x."""
        return await self._answer(operations.SET_VARIABLES, station_id, body=body)

    async def refresh_variables(
        self, station_id: str, body: types.VariableRefresh, *, idempotency_key: str | None = None
    ) -> types.VariableRefreshed:
        """Read variables anew: those named (GetConfiguration, GetVariables), or all (GetConfiguration,
        GetBaseReport).
        """
        return await self._answer(operations.REFRESH_VARIABLES, station_id, body=body, idempotency_key=idempotency_key)

    async def list_subscriptions(self) -> types.SubscriptionPage:
        """Who is told of alarms, by name."""
        return await self._answer(operations.LIST_SUBSCRIPTIONS)

    async def create_subscription(
        self, body: types.NewSubscription, *, idempotency_key: str | None = None
    ) -> types.Subscription:
        """Tell people of alarms by e-mail, or a webhook by `notification` events."""
        return await self._answer(operations.CREATE_SUBSCRIPTION, body=body, idempotency_key=idempotency_key)

    async def delete_subscription(self, subscription_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """What was gathered for it is not sent."""
        await self._nothing(operations.DELETE_SUBSCRIPTION, subscription_id, if_match=if_match)

    async def get_subscription(self, subscription_id: str) -> Kept[types.Subscription]:
        """Who is told of which alarms."""
        return await self._kept(operations.GET_SUBSCRIPTION, subscription_id)

    async def change_subscription(
        self,
        subscription_id: str,
        body: types.SubscriptionChange,
        *,
        if_match: Kept[types.Subscription] | str | None = None,
    ) -> Kept[types.Subscription]:
        """Change what is given."""
        return await self._kept(operations.CHANGE_SUBSCRIPTION, subscription_id, body=body, if_match=if_match)

    async def test_subscription(
        self, subscription_id: str, *, idempotency_key: str | None = None
    ) -> types.NotificationResult:
        """Send a test at once, and wait for what comes of it."""
        return await self._answer(operations.TEST_SUBSCRIPTION, subscription_id, idempotency_key=idempotency_key)

    async def list_tariff_assignments(
        self, *, cursor: str | None = None, limit: int | None = None, tariff: str | None = None
    ) -> types.TariffAssignmentPage:
        """By place."""
        return await self._answer(
            operations.LIST_TARIFF_ASSIGNMENTS, query={"cursor": cursor, "limit": limit, "tariff": tariff}
        )

    def iter_tariff_assignments(self, *, tariff: str | None = None) -> AsyncIterator[types.TariffAssignment]:
        """By place. All of them, page by page."""
        return self._pages(operations.LIST_TARIFF_ASSIGNMENTS, query={"tariff": tariff})

    async def assign_tariff(
        self, body: types.NewTariffAssignment, *, idempotency_key: str | None = None
    ) -> types.TariffAssignment:
        """It takes the place of the one that it had."""
        return await self._answer(operations.ASSIGN_TARIFF, body=body, idempotency_key=idempotency_key)

    async def delete_tariff_assignment(self, assignment_id: str) -> None:
        """Sessions that run go on by it."""
        await self._nothing(operations.DELETE_TARIFF_ASSIGNMENT, assignment_id)

    async def list_tariffs(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.TariffPage:
        """What charging costs."""
        return await self._answer(
            operations.LIST_TARIFFS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q}
        )

    def iter_tariffs(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.Tariff]:
        """What charging costs. All of them, page by page."""
        return self._pages(operations.LIST_TARIFFS, query={"sort": sort, "q": q})

    async def create_tariff(self, body: types.NewTariff, *, idempotency_key: str | None = None) -> types.TariffDetail:
        """The terms are TariffType of OCPP 2.1; sessions of every version are priced by them."""
        return await self._answer(operations.CREATE_TARIFF, body=body, idempotency_key=idempotency_key)

    async def delete_tariff(self, tariff_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """A tariff that nothing has any more."""
        await self._nothing(operations.DELETE_TARIFF, tariff_id, if_match=if_match)

    async def get_tariff(self, tariff_id: str) -> Kept[types.TariffDetail]:
        """Its terms, with those that it had before."""
        return await self._kept(operations.GET_TARIFF, tariff_id)

    async def change_tariff(
        self, tariff_id: str, body: types.TariffChange, *, if_match: Kept[types.TariffDetail] | str | None = None
    ) -> Kept[types.TariffDetail]:
        """Other terms are a new revision: it is sent to the stations, and sessions that begin from then on have it."""
        return await self._kept(operations.CHANGE_TARIFF, tariff_id, body=body, if_match=if_match)

    async def list_tenants(
        self, *, cursor: str | None = None, limit: int | None = None, sort: str | None = None, q: str | None = None
    ) -> types.TenantPage:
        """The customers of this installation."""
        return await self._answer(
            operations.LIST_TENANTS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q}
        )

    def iter_tenants(self, *, sort: str | None = None, q: str | None = None) -> AsyncIterator[types.Tenant]:
        """The customers of this installation. All of them, page by page."""
        return self._pages(operations.LIST_TENANTS, query={"sort": sort, "q": q})

    async def create_tenant(self, body: types.NewTenant, *, idempotency_key: str | None = None) -> types.Tenant:
        """A customer of their own: nothing of another can be seen or changed there."""
        return await self._answer(operations.CREATE_TENANT, body=body, idempotency_key=idempotency_key)

    async def delete_tenant(self, tenant_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Only one that has no stations, people and keys any more."""
        await self._nothing(operations.DELETE_TENANT, tenant_id, if_match=if_match)

    async def get_tenant(self, tenant_id: str) -> Kept[types.Tenant]:
        """A customer of this installation."""
        return await self._kept(operations.GET_TENANT, tenant_id)

    async def change_tenant(
        self, tenant_id: str, body: types.TenantChange, *, if_match: Kept[types.Tenant] | str | None = None
    ) -> Kept[types.Tenant]:
        """Change what is given."""
        return await self._kept(operations.CHANGE_TENANT, tenant_id, body=body, if_match=if_match)

    async def list_tokens(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        sort: str | None = None,
        q: str | None = None,
        status: Literal["Accepted", "Blocked", "Expired", "Invalid"] | None = None,
        parent: str | None = None,
        type: str | None = None,
    ) -> types.TokenPage:
        """IdTokens (idTags) that are known here."""
        return await self._answer(
            operations.LIST_TOKENS,
            query={
                "cursor": cursor,
                "limit": limit,
                "sort": sort,
                "q": q,
                "status": status,
                "parent": parent,
                "type": type,
            },
        )

    def iter_tokens(
        self,
        *,
        sort: str | None = None,
        q: str | None = None,
        status: Literal["Accepted", "Blocked", "Expired", "Invalid"] | None = None,
        parent: str | None = None,
        type: str | None = None,
    ) -> AsyncIterator[types.Token]:
        """IdTokens (idTags) that are known here. All of them, page by page."""
        return self._pages(
            operations.LIST_TOKENS, query={"sort": sort, "q": q, "status": status, "parent": parent, "type": type}
        )

    async def put_token(self, body: types.NewToken, *, idempotency_key: str | None = None) -> types.Token:
        """Let a token charge, or change what it may."""
        return await self._answer(operations.PUT_TOKEN, body=body, idempotency_key=idempotency_key)

    def export_tokens(self) -> AsyncDownload:
        """Every token, as the import reads it again; with a byte order mark, as spreadsheets want it. As a file."""
        return self._download(operations.EXPORT_TOKENS)

    async def import_tokens(
        self,
        body: str | bytes,
        *,
        dry_run: bool | None = None,
        on_error: Literal["nothing", "good-rows"] | None = None,
        idempotency_key: str | None = None,
    ) -> types.TokenImport:
        """Read tokens from CSV (`Content-Type: text/csv`, at most 50,000 rows) with a heading: `token` is needed;
        `type`, `status`, `group`, `expires_at` and `note` may be there.
        """
        return await self._answer(
            operations.IMPORT_TOKENS,
            query={"dry_run": dry_run, "on_error": on_error},
            body=body,
            media_type="text/csv",
            idempotency_key=idempotency_key,
        )

    async def delete_token(self, token: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """It is then unknown, and refused."""
        await self._nothing(operations.DELETE_TOKEN, token, if_match=if_match)

    async def get_token(self, token: str) -> Kept[types.Token]:
        """What a token may do."""
        return await self._kept(operations.GET_TOKEN, token)

    async def change_token(
        self, token: str, body: types.TokenChange, *, if_match: Kept[types.Token] | str | None = None
    ) -> Kept[types.Token]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_TOKEN, token, body=body, if_match=if_match)

    async def get_totals(self) -> types.Totals:
        """How much is charging now and what was delivered today."""
        return await self._answer(operations.GET_TOTALS)

    async def list_trust_anchors(self) -> types.TrustAnchorPage:
        """Every authority that is trusted, and for what."""
        return await self._answer(operations.LIST_TRUST_ANCHORS)

    async def create_trust_anchor(
        self, body: types.NewTrustAnchor, *, idempotency_key: str | None = None
    ) -> types.TrustAnchor:
        """Compare the fingerprint with one that you have by another way before you trust anybody."""
        return await self._answer(operations.CREATE_TRUST_ANCHOR, body=body, idempotency_key=idempotency_key)

    async def delete_trust_anchor(self, anchor_id: str) -> None:
        """What stations have installed stays there."""
        await self._nothing(operations.DELETE_TRUST_ANCHOR, anchor_id)

    async def list_users(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        sort: str | None = None,
        q: str | None = None,
        role: str | None = None,
    ) -> types.UserPage:
        """Who may log in."""
        return await self._answer(
            operations.LIST_USERS, query={"cursor": cursor, "limit": limit, "sort": sort, "q": q, "role": role}
        )

    def iter_users(
        self, *, sort: str | None = None, q: str | None = None, role: str | None = None
    ) -> AsyncIterator[types.User]:
        """Who may log in. All of them, page by page."""
        return self._pages(operations.LIST_USERS, query={"sort": sort, "q": q, "role": role})

    async def put_user(self, body: types.NewUser, *, idempotency_key: str | None = None) -> types.User:
        """Let somebody log in; where the name exists, set a new password and role, which ends their logins."""
        return await self._answer(operations.PUT_USER, body=body, idempotency_key=idempotency_key)

    async def delete_user(self, name: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Their logins end at once."""
        await self._nothing(operations.DELETE_USER, name, if_match=if_match)

    async def get_user(self, name: str) -> Kept[types.User]:
        """Somebody who may log in."""
        return await self._kept(operations.GET_USER, name)

    async def change_user(
        self, name: str, body: types.UserChange, *, if_match: Kept[types.User] | str | None = None
    ) -> Kept[types.User]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_USER, name, body=body, if_match=if_match)

    async def end_user_logins(self, name: str) -> types.Ended:
        """The person has to log in anew everywhere."""
        return await self._answer(operations.END_USER_LOGINS, name)

    async def list_user_logins(self, name: str) -> types.LoginPage:
        """The browsers in which a person is logged in, the newest first."""
        return await self._answer(operations.LIST_USER_LOGINS, name)

    async def reset_second_factor(self, name: str) -> None:
        """For a phone that is lost: the password alone is asked for again, and every login of the person ends."""
        await self._nothing(operations.RESET_SECOND_FACTOR, name)

    async def list_views(
        self,
        *,
        table: Literal["stations", "sessions", "tokens", "drivers", "sites", "alarms", "jobs", "messages"]
        | None = None,
    ) -> types.ViewPage:
        """Your own views and those that are shared, by name."""
        return await self._answer(operations.LIST_VIEWS, query={"table": table})

    async def create_view(self, body: types.NewView, *, idempotency_key: str | None = None) -> types.View:
        """Save filters, order and columns of a table, for yourself or shared."""
        return await self._answer(operations.CREATE_VIEW, body=body, idempotency_key=idempotency_key)

    async def delete_view(self, view_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """Your own; an admin's right also for shared ones."""
        await self._nothing(operations.DELETE_VIEW, view_id, if_match=if_match)

    async def get_view(self, view_id: str) -> Kept[types.View]:
        """A saved view."""
        return await self._kept(operations.GET_VIEW, view_id)

    async def change_view(
        self, view_id: str, body: types.ViewChange, *, if_match: Kept[types.View] | str | None = None
    ) -> Kept[types.View]:
        """Change what is given, keep the rest."""
        return await self._kept(operations.CHANGE_VIEW, view_id, body=body, if_match=if_match)

    async def list_webhooks(self) -> types.WebhookPage:
        """Every webhook by name, and how it does."""
        return await self._answer(operations.LIST_WEBHOOKS)

    async def create_webhook(
        self, body: types.NewWebhook, *, idempotency_key: str | None = None
    ) -> types.WebhookCreated:
        """Send events to an address from now on."""
        return await self._answer(operations.CREATE_WEBHOOK, body=body, idempotency_key=idempotency_key)

    async def list_webhook_event_types(self) -> types.WebhookEventTypePage:
        """Every type of event."""
        return await self._answer(operations.LIST_WEBHOOK_EVENT_TYPES)

    async def delete_webhook(self, webhook_id: str, *, if_match: Kept[Any] | str | None = None) -> None:
        """What waits for it is forgotten."""
        await self._nothing(operations.DELETE_WEBHOOK, webhook_id, if_match=if_match)

    async def get_webhook(self, webhook_id: str) -> Kept[types.Webhook]:
        """A webhook and how it does."""
        return await self._kept(operations.GET_WEBHOOK, webhook_id)

    async def change_webhook(
        self, webhook_id: str, body: types.WebhookChange, *, if_match: Kept[types.Webhook] | str | None = None
    ) -> Kept[types.Webhook]:
        """Change what is given."""
        return await self._kept(operations.CHANGE_WEBHOOK, webhook_id, body=body, if_match=if_match)

    async def list_webhook_deliveries(
        self,
        webhook_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: Literal["pending", "retrying", "delivered", "failed"] | None = None,
    ) -> types.WebhookDeliveryPage:
        """What waits, then what is done, newest first."""
        return await self._answer(
            operations.LIST_WEBHOOK_DELIVERIES, webhook_id, query={"cursor": cursor, "limit": limit, "state": state}
        )

    def iter_webhook_deliveries(
        self, webhook_id: str, *, state: Literal["pending", "retrying", "delivered", "failed"] | None = None
    ) -> AsyncIterator[types.WebhookDelivery]:
        """What waits, then what is done, newest first. All of them, page by page."""
        return self._pages(operations.LIST_WEBHOOK_DELIVERIES, webhook_id, query={"state": state})

    async def get_webhook_delivery(self, webhook_id: str, delivery_id: str) -> types.WebhookDelivery:
        """What is sent and what was answered."""
        return await self._answer(operations.GET_WEBHOOK_DELIVERY, webhook_id, delivery_id)

    async def resend_webhook_delivery(
        self, webhook_id: str, delivery_id: str, *, idempotency_key: str | None = None
    ) -> types.WebhookDelivery:
        """Put a delivery into the line again, with the same event id."""
        return await self._answer(
            operations.RESEND_WEBHOOK_DELIVERY, webhook_id, delivery_id, idempotency_key=idempotency_key
        )

    async def ping_webhook(self, webhook_id: str, *, idempotency_key: str | None = None) -> types.WebhookDelivery:
        """Send a `ping` at once, and wait for what comes of it."""
        return await self._answer(operations.PING_WEBHOOK, webhook_id, idempotency_key=idempotency_key)

    async def renew_webhook_secret(self, webhook_id: str, *, idempotency_key: str | None = None) -> types.WebhookSecret:
        """Sign with a new secret from the next request on."""
        return await self._answer(operations.RENEW_WEBHOOK_SECRET, webhook_id, idempotency_key=idempotency_key)

    async def get_health(self) -> types.Health:
        """200 while the process answers at all."""
        return await self._answer(operations.GET_HEALTH)

    async def get_metrics(self) -> str:
        """Text exposition format."""
        return await self._text(operations.GET_METRICS)

    async def get_readiness(self) -> types.Health:
        """200 when the store commits and stations are taken; 503 with the reason when not."""
        return await self._answer(operations.GET_READINESS)
