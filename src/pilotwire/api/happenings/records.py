"""What is kept of alarms, webhooks and notifications: documents by kind. Times are ms since the epoch."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pilotwire.domain.alarms_digest import Line
from pilotwire.domain.alarms_rules import Severity
from pilotwire.storage.documents import sort_time

CURSOR: Final = "cursor"
ALARM: Final = "alarm"
CELL: Final = "alarm-cell"
RULE: Final = "alarm-rule"
MUTE: Final = "alarm-mute"
WEBHOOK: Final = "webhook"
WEBHOOK_STATE: Final = "webhook-state"
DELIVERY: Final = "delivery"
SUBSCRIPTION: Final = "subscription"
DIGEST: Final = "digest"
NOTIFICATION: Final = "notification"
MAIL_SERVER: Final = "mail-server"
MAIL_SERVER_ID: Final = "smtp"

END: Final = "~"
"""Comes after every letter and digit: the upper bound of a range of sorts with one beginning."""


class CursorRecord(msgspec.Struct, frozen=True):
    """How far a worker has come in the journal's stream."""

    seq: int


class AlarmRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An alarm."""

    id: str
    rule: str
    rule_name: str
    severity: Severity
    state: Literal["open", "cleared"]
    station: str = ""
    site: str = ""
    part: str = ""
    evse: int | None = None
    connector: int | None = None
    summary: str = ""
    """English."""
    said: dict[str, str] = {}
    """The summary in other languages, by code."""
    raised_at: int
    last_at: int
    cleared_at: int | None = None
    cleared_why: str = ""
    count: int = 1
    returns: int = 0
    value: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str = ""
    note: str = ""
    seq: int = 0


def alarm_sort(record: AlarmRecord) -> str:
    """Open ones after cleared ones, each by the time of raising: read newest first, what is open comes first."""
    return f"{'o' if record.state == 'open' else 'c'}{sort_time(record.raised_at)}"


class MuteRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What nobody is told of."""

    target: Literal["alarm", "rule", "station", "site"]
    value: str
    until: int | None = None
    note: str = ""
    by: str = ""
    created_at: int


class WebhookRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where events go."""

    name: str
    url: str
    events: tuple[str, ...]
    sites: tuple[str, ...] = ()
    enabled: bool = True
    disabled_why: str = ""
    secret: str
    """Locked (`pilotwire.crypto.vault`)."""
    hint: str = ""
    created_at: int


class WebhookState(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How a webhook does."""

    failures: int = 0
    """In a row."""
    failing_since: int | None = None
    next_at: int = 0
    last_success_at: int | None = None
    last_error: str = ""


class DeliveryRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An event on its way to a webhook."""

    webhook: str
    event: str
    type: str
    body: str
    created_at: int
    state: Literal["pending", "retrying", "delivered", "failed"] = "pending"
    attempts: int = 0
    next_at: int | None = None
    finished_at: int | None = None
    status: int | None = None
    error: str = ""
    duration_ms: int | None = None
    response: str = ""


def delivery_sort(webhook: str, state: str, at: int, number: int = 0) -> str:
    """Per webhook: done (d), then waiting in turn (p), then retried apart (r); each by time."""
    letter = {"pending": "p", "retrying": "r"}.get(state, "d")
    return f"{webhook} {letter} {sort_time(at)}{number:06d}"


class SubscriptionRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who is told of which alarms."""

    name: str
    channel: Literal["email", "webhook"]
    to: tuple[str, ...] = ()
    webhook: str = ""
    min_severity: Severity = "minor"
    sites: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    cleared: bool = True
    digest_min: int = 5
    enabled: bool = True
    created_at: int = 0


class NotificationRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One message to people."""

    subscription: str
    name: str
    channel: Literal["email", "webhook"]
    to: tuple[str, ...] = ()
    subject: str
    text: str = ""
    lines: tuple[Line, ...] = ()
    created_at: int
    state: Literal["pending", "sent", "failed"] = "pending"
    attempts: int = 0
    next_at: int | None = None
    finished_at: int | None = None
    error: str = ""


def notification_sort(record: NotificationRecord) -> str:
    """What waits by when it is due; what is done by when it was made, before it."""
    if record.state == "pending":
        return f"p{sort_time(record.next_at or record.created_at)}"
    return f"d{sort_time(record.created_at)}"


class MailServerRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How e-mail is sent."""

    host: str
    port: int = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str = ""
    password: str = ""
    """Locked."""
    sender: str
    sender_name: str = "Pilotwire"
