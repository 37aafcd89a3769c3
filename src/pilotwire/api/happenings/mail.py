"""E-mail: what waits in the documents is sent by the tenant's SMTP server, tried again for a day when that is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import smtplib
import ssl
from collections.abc import Iterable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from pilotwire.core.errors import RemoteError
from pilotwire.core.time import to_datetime
from pilotwire.crypto.vault import NotOurs
from pilotwire.storage.documents import Delete, Document, put, sort_time, unpack

from ..context import ApiContext
from ..resources.retention import chosen
from .deliver import tenants_of, vault_of
from .records import (
    MAIL_SERVER,
    MAIL_SERVER_ID,
    NOTIFICATION,
    MailServerRecord,
    NotificationRecord,
    notification_sort,
)
from .tasks import end

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

PURPOSE = "smtp password"
TIMEOUT_S = 20.0
IDLE_S = 2.0
GIVE_UP_MS = 86_400_000
DELAYS_MS = (15_000, 60_000, 300_000, 900_000, 3_600_000)
DAY_MS = 86_400_000
SWEEP_MS = 3_600_000


class MailFailed(RemoteError):
    """The server did not take it; the text says why. `final`: trying again will not help."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


def compose(server: MailServerRecord, to: Iterable[str], subject: str, text: str, *, id: str, now: int) -> EmailMessage:
    """The message. Headers take no line breaks: what stations say of themselves stands in subjects."""
    message = EmailMessage()
    name, _, domain = server.sender.rpartition("@")
    message["From"] = Address(server.sender_name, name, domain)
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join("".join(letter if letter.isprintable() else " " for letter in subject).split())
    message["Date"] = format_datetime(to_datetime(now))
    message["Message-ID"] = f"<{id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text)
    return message


def send(server: MailServerRecord, password: str, message: EmailMessage, trust: ssl.SSLContext | None = None) -> None:
    """Send at once; blocks. Raises MailFailed."""
    context = trust or ssl.create_default_context()
    try:
        if server.security == "tls":
            connection = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        with connection:
            if server.security == "starttls":
                connection.starttls(context=context)
            if server.username:
                connection.login(server.username, password)
            connection.send_message(message)
    except smtplib.SMTPNotSupportedError as error:
        text = "the server offers no STARTTLS or no login" if server.security == "starttls" else str(error)
        raise MailFailed(text) from None
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed(f"the server does not accept user name and password ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as refused:
        codes = {code for code, _ in refused.recipients.values()}
        named = "; ".join(f"{one}: {code} {_text(why)}" for one, (code, why) in refused.recipients.items())
        raise MailFailed(f"recipients refused: {named}"[:500], final=all(code >= 500 for code in codes)) from None
    except smtplib.SMTPResponseException as error:
        raise MailFailed(
            f"the server answered {error.smtp_code} {_text(error.smtp_error)}"[:500], final=error.smtp_code == 552
        ) from None
    except ssl.SSLError as error:
        raise MailFailed(f"no secure connection to {server.host}: {error.reason or error}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"{server.host}:{server.port} cannot be reached: {error}"[:500]) from None


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


class Mailer:
    """The worker: one task for all tenants; sending happens in a thread."""

    def __init__(self, context: ApiContext, trust: ssl.SSLContext | None = None) -> None:
        """`trust`: whose certificates are believed; None: the system's."""
        self._context = context
        self._trust = trust
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._swept_at = 0
        self._tenants: set[str] = set()
        self._tenants_at = 0
        self.sent = 0
        self.failures = 0

    async def start(self) -> None:
        """Go on with what waits."""
        self._context.parts[Mailer] = self
        self._task = asyncio.get_running_loop().create_task(self._run(), name="mailer")

    async def stop(self) -> None:
        """What is being sent is sent, and may be sent again."""
        self._context.parts.pop(Mailer, None)
        if self._task is not None:
            await end(self._task)
            self._task = None

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._round()
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("the mailer stumbled")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._wake.wait()

    async def _round(self) -> None:
        now = self._context.scheduler.now()
        if not self._tenants or not 0 <= now - self._tenants_at < 60_000:
            self._tenants, self._tenants_at = await tenants_of(self._context), now
        sweep = not 0 <= now - self._swept_at < SWEEP_MS
        for tenant in sorted(self._tenants):
            if sweep:
                await self._sweep(tenant, now)
            page = await self._context.store.documents(
                tenant, NOTIFICATION, low="p", high=f"p{sort_time(now + 1)}", limit=20
            )
            for document in page.items:
                await self._send(tenant, document)
        if sweep:
            self._swept_at = now

    async def _sweep(self, tenant: str, now: int) -> None:
        keep = (await chosen(self._context)).mail_days * DAY_MS
        while True:
            page = await self._context.store.documents(
                tenant, NOTIFICATION, low="d", high=f"d{sort_time(max(0, now - keep))}", limit=500
            )
            if not page.items:
                return
            await self._context.store.write_documents(tenant, [Delete(NOTIFICATION, one.id) for one in page.items])

    async def _send(self, tenant: str, document: Document) -> None:
        record = unpack(document, NotificationRecord).value
        record.attempts += 1
        now = self._context.scheduler.now()
        try:
            await self.send(tenant, record.to, record.subject, record.text, id=document.id)
        except MailFailed as failed:
            record.error = str(failed)
            self.failures += 1
            if failed.final or now - record.created_at >= GIVE_UP_MS:
                record.state, record.finished_at, record.next_at = "failed", now, None
            else:
                record.next_at = now + DELAYS_MS[min(record.attempts, len(DELAYS_MS)) - 1]
        else:
            record.state, record.finished_at, record.next_at, record.error = "sent", now, None, ""
            self.sent += 1
        change = put(NOTIFICATION, document.id, record, sort=notification_sort(record))
        await self._context.store.write_documents(tenant, [change])

    async def send(self, tenant: str, to: Iterable[str], subject: str, text: str, *, id: str) -> None:
        """Send by the tenant's server now. Raises MailFailed."""
        found = await self._context.store.document(tenant, MAIL_SERVER, MAIL_SERVER_ID)
        if found is None:
            raise MailFailed("no mail server is set up")
        server = unpack(found, MailServerRecord).value
        try:
            password = vault_of(self._context).open(PURPOSE, server.password) if server.password else ""
        except NotOurs:
            raise MailFailed("the password was locked by another installation: set it again") from None
        message = compose(server, to, subject, text, id=id, now=self._context.scheduler.now())
        await asyncio.to_thread(send, server, password, message, self._trust)

    def metrics(self) -> Iterator[Metric]:
        """Counters of this process."""
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("pilotwire_mail_sent", "E-mails that the mail server took", value=self.sent)
        yield CounterMetricFamily("pilotwire_mail_failures", "Attempts to send e-mail that failed", value=self.failures)
