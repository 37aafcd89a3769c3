"""Webhooks: addresses that hear of what happens, and what became of every message to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, PageOf, Time

_Url = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=2000,
        pattern=r"^https?://[!-~]+$",
        description="Where to POST; private and loopback addresses only where the configuration allows them",
        examples=["https://hooks.example.com/pilotwire"],
    ),
]
_HookName = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Billing"])]
_Events = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^(\*|[a-z][a-z0-9-]*)$")]],
    Meta(
        min_length=1,
        max_length=50,
        description="Types of events (see listWebhookEventTypes), * for all",
        examples=[["session-started", "session-ended"]],
    ),
]
_HookSites = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]],
    Meta(max_length=200, description="Only what happens at these sites; empty: everything"),
]


class Webhook(msgspec.Struct, kw_only=True):
    """An address that events are sent to, in order, signed, until it takes them."""

    id: str
    name: str
    url: str
    events: list[str]
    sites: list[str]
    enabled: bool
    disabled_why: Annotated[str, Meta(description="Why it was switched off by itself; empty when it was not")]
    secret_hint: Annotated[str, Meta(description="The last characters of the signing secret")]
    created_at: Time
    pending: Annotated[int, Meta(description="Events that wait for it")]
    failing_since: Annotated[Time | None, Meta(description="Nothing was taken since then")]
    next_attempt_at: Time | None
    last_success_at: Time | None
    last_error: str


class WebhookPage(PageOf[Webhook], kw_only=True):
    """Webhooks by name."""


class NewWebhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A webhook to add."""

    name: _HookName
    url: _Url
    events: _Events = msgspec.field(default_factory=lambda: ["*"])
    sites: _HookSites = []
    enabled: bool = True


class WebhookChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays. Enabling one that was switched off lets it begin anew."""

    name: _HookName | UnsetType = msgspec.UNSET
    url: _Url | UnsetType = msgspec.UNSET
    events: _Events | UnsetType = msgspec.UNSET
    sites: _HookSites | UnsetType = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET


class WebhookCreated(msgspec.Struct, kw_only=True):
    """A new webhook. The secret is shown this once."""

    webhook: Webhook
    secret: Annotated[str, Meta(description="Key of the signature", examples=["whsec_…"])]


class WebhookSecret(msgspec.Struct, kw_only=True):
    """A new secret, shown this once. The old one signs no longer."""

    secret: str


class WebhookEventType(msgspec.Struct, kw_only=True):
    """A type of event that a webhook can hear of."""

    type: Annotated[str, Meta(examples=["session-ended"])]
    version: int
    description: str


class WebhookEventTypePage(PageOf[WebhookEventType], kw_only=True):
    """Every type by name."""


class WebhookEvent(msgspec.Struct, kw_only=True):
    """The body of a webhook request: one event."""

    id: Annotated[str, Meta(description="The same in every attempt: what is sent twice is recognised by it")]
    type: Annotated[str, Meta(examples=["session-ended"])]
    version: Annotated[int, Meta(description="Of the fields in `data` for this type")]
    time: Time
    tenant: str
    data: dict[str, Any]


class WebhookDelivery(msgspec.Struct, kw_only=True):
    """One event on its way to one webhook."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    state: Annotated[
        Literal["pending", "retrying", "delivered", "failed"],
        Meta(description="pending: waits its turn; retrying: was refused for its own sake and waits apart"),
    ]
    attempts: int
    created_at: Time
    next_attempt_at: Time | None
    finished_at: Time | None
    status: Annotated[int | None, Meta(description="HTTP status of the newest answer")]
    error: Annotated[str, Meta(description="Why the newest attempt failed")]
    duration_ms: Annotated[int | None, Meta(description="Of the newest attempt")]
    response: Annotated[str, Meta(description="Beginning of the newest answer's body")]
    request: Annotated[str, Meta(description="The body that is sent; in lists its beginning")]


class WebhookDeliveryPage(PageOf[WebhookDelivery], kw_only=True):
    """What waits, then what is done, newest first."""
