"""Notifications: who is told of alarms by e-mail or webhook, and whether it reached them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, UnsetType

from .alarms import AlarmSeverity
from .base import PRINTABLE, PageOf, Time

EmailAddress = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$",
        examples=["desk@example.com"],
    ),
]
_Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9:](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?$",
        examples=["smtp.example.com"],
    ),
]
_Secret = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_SubscriptionName = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Night shift"])]
_Ids = Annotated[list[Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]], Meta(max_length=200)]


class MailServer(msgspec.Struct, kw_only=True):
    """The SMTP server that sends our e-mail. Its password is never shown."""

    host: Annotated[str, Meta(description="Empty: none is set up")]
    port: int
    security: Annotated[
        Literal["none", "starttls", "tls"], Meta(description="starttls: must be offered; tls: from the first byte")
    ]
    username: str
    password_set: bool
    sender: str
    sender_name: str


class NewMailServer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to send e-mail. `password` left out: the one that is kept stays."""

    host: _Host
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: _Secret = ""
    password: _Secret | UnsetType = msgspec.UNSET
    sender: EmailAddress
    sender_name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = "Pilotwire"


class MailTest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom to send a test."""

    to: EmailAddress


class NotificationResult(msgspec.Struct, kw_only=True):
    """What became of a test."""

    ok: bool
    error: Annotated[str, Meta(description="Why it failed, and what to look at")]


class Subscription(msgspec.Struct, kw_only=True):
    """Who is told of which alarms."""

    id: str
    name: str
    channel: Literal["email", "webhook"]
    to: Annotated[list[str], Meta(description="Addresses; of channel email")]
    webhook_id: Annotated[str | None, Meta(description="Where `notification` events go; of channel webhook")]
    min_severity: AlarmSeverity
    sites: Annotated[list[str], Meta(description="Only alarms at these sites; empty: all")]
    rules: Annotated[list[str], Meta(description="Only alarms of these rules; empty: all")]
    cleared: Annotated[bool, Meta(description="Tell also when an alarm is over")]
    digest_min: Annotated[
        int, Meta(description="After a message wait so many minutes; what comes meanwhile goes out together. 0: never")
    ]
    enabled: bool
    waiting: Annotated[int, Meta(description="Alarms gathered for the next message")]


class SubscriptionPage(PageOf[Subscription], kw_only=True):
    """Subscriptions by name."""


class NewSubscription(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A subscription to add."""

    name: _SubscriptionName
    channel: Literal["email", "webhook"]
    to: Annotated[list[EmailAddress], Meta(max_length=50)] = []
    webhook_id: Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)] | None = None
    min_severity: AlarmSeverity = "minor"
    sites: _Ids = []
    rules: _Ids = []
    cleared: bool = True
    digest_min: Annotated[int, Meta(ge=0, le=1440)] = 5
    enabled: bool = True


class SubscriptionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays. The channel stays what it is."""

    name: _SubscriptionName | UnsetType = msgspec.UNSET
    to: Annotated[list[EmailAddress], Meta(max_length=50)] | UnsetType = msgspec.UNSET
    webhook_id: Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)] | UnsetType = msgspec.UNSET
    min_severity: AlarmSeverity | UnsetType = msgspec.UNSET
    sites: _Ids | UnsetType = msgspec.UNSET
    rules: _Ids | UnsetType = msgspec.UNSET
    cleared: bool | UnsetType = msgspec.UNSET
    digest_min: Annotated[int, Meta(ge=0, le=1440)] | UnsetType = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET


class Notification(msgspec.Struct, kw_only=True):
    """One message to the people of a subscription."""

    id: str
    subscription_id: str
    subscription_name: str
    channel: Literal["email", "webhook"]
    to: list[str]
    subject: str
    alarms: Annotated[list[str], Meta(description="Ids of the alarms that it tells of")]
    state: Annotated[Literal["pending", "sent", "failed"], Meta(description="Of a webhook: sent is handed over to it")]
    attempts: int
    created_at: Time
    next_attempt_at: Time | None
    finished_at: Time | None
    error: str


class NotificationPage(PageOf[Notification], kw_only=True):
    """What waits, then what is done, newest first."""
