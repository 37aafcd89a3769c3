"""Webhooks over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import webhooks
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, whoever

HookPath = Annotated[str, PathParameter(description="Id of the webhook")]
DeliveryPath = Annotated[str, PathParameter(description="Id of the delivery")]


@get("/webhooks", operation_id="listWebhooks", tags=["Webhooks"], summary="List webhooks")
async def list_webhooks(request: PlainRequest) -> types.WebhookPage:
    """Every webhook by name, and how it does."""
    return types.WebhookPage(items=await webhooks.webhooks(context_of(request), whoever(request)))


@get(
    "/webhooks/event-types",
    operation_id="listWebhookEventTypes",
    tags=["Webhooks"],
    summary="What a webhook can hear of",
)
async def list_event_types(request: PlainRequest) -> types.WebhookEventTypePage:
    """Every type of event."""
    return types.WebhookEventTypePage(items=webhooks.event_types(context_of(request), whoever(request)))


@get("/webhooks/{webhook_id:str}", operation_id="getWebhook", tags=["Webhooks"], summary="One webhook")
async def get_webhook(request: PlainRequest, webhook_id: HookPath) -> Response[types.Webhook]:
    """A webhook and how it does."""
    return tagged(*await webhooks.webhook(context_of(request), whoever(request), segment(webhook_id)))


@post("/webhooks", operation_id="createWebhook", tags=["Webhooks"], summary="Add a webhook", body=types.NewWebhook)
async def create_webhook(request: PlainRequest) -> types.WebhookCreated:
    """Send events to an address from now on. The secret that signs them is in this answer and nowhere else."""
    data = await body_of(request, types.NewWebhook)
    return await webhooks.create(context_of(request), whoever(request), data)


@patch(
    "/webhooks/{webhook_id:str}",
    operation_id="changeWebhook",
    tags=["Webhooks"],
    summary="Change a webhook",
    body=types.WebhookChange,
)
async def change_webhook(
    request: PlainRequest, webhook_id: HookPath, if_match: IfMatch = None
) -> Response[types.Webhook]:
    """Change what is given. One that switched itself off is switched on by `enabled`."""
    data = await body_of(request, types.WebhookChange)
    return tagged(
        *await webhooks.change(context_of(request), whoever(request), segment(webhook_id), data, if_match=if_match)
    )


@delete("/webhooks/{webhook_id:str}", operation_id="deleteWebhook", tags=["Webhooks"], summary="Delete a webhook")
async def delete_webhook(request: PlainRequest, webhook_id: HookPath, if_match: IfMatch = None) -> None:
    """What waits for it is forgotten."""
    await webhooks.remove(context_of(request), whoever(request), segment(webhook_id), if_match=if_match)


@post(
    "/webhooks/{webhook_id:str}/secret",
    operation_id="renewWebhookSecret",
    tags=["Webhooks"],
    summary="Make a new secret",
)
async def renew_secret(request: PlainRequest, webhook_id: HookPath) -> types.WebhookSecret:
    """Sign with a new secret from the next request on. It is in this answer and nowhere else."""
    return await webhooks.new_secret(context_of(request), whoever(request), segment(webhook_id))


@post("/webhooks/{webhook_id:str}/ping", operation_id="pingWebhook", tags=["Webhooks"], summary="Try a webhook")
async def ping(request: PlainRequest, webhook_id: HookPath) -> types.WebhookDelivery:
    """Send a `ping` at once, and wait for what comes of it."""
    return await webhooks.ping(context_of(request), whoever(request), segment(webhook_id))


@get(
    "/webhooks/{webhook_id:str}/deliveries",
    operation_id="listWebhookDeliveries",
    tags=["Webhooks"],
    summary="What was sent, and what waits",
)
async def list_deliveries(
    request: PlainRequest,
    webhook_id: HookPath,
    cursor: Cursor = None,
    limit: Limit = 50,
    in_state: Annotated[
        Literal["pending", "retrying", "delivered", "failed"] | None,
        QueryParameter(name="state", description="Only such"),
    ] = None,
) -> types.WebhookDeliveryPage:
    """What waits, then what is done, newest first. The log goes back a week."""
    return await webhooks.deliveries(
        context_of(request), whoever(request), segment(webhook_id), state=in_state, cursor=cursor, limit=limit
    )


@get(
    "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}",
    operation_id="getWebhookDelivery",
    tags=["Webhooks"],
    summary="One delivery",
)
async def get_delivery(request: PlainRequest, webhook_id: HookPath, delivery_id: DeliveryPath) -> types.WebhookDelivery:
    """What is sent and what was answered."""
    return await webhooks.delivery(context_of(request), whoever(request), segment(webhook_id), segment(delivery_id))


@post(
    "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/resend",
    operation_id="resendWebhookDelivery",
    tags=["Webhooks"],
    summary="Send it once more",
    status_code=202,
)
async def resend(request: PlainRequest, webhook_id: HookPath, delivery_id: DeliveryPath) -> types.WebhookDelivery:
    """Put a delivery into the line again, with the same event id."""
    return await webhooks.resend(context_of(request), whoever(request), segment(webhook_id), segment(delivery_id))


HANDLERS = [
    list_webhooks,
    list_event_types,
    get_webhook,
    create_webhook,
    change_webhook,
    delete_webhook,
    renew_secret,
    ping,
    list_deliveries,
    get_delivery,
    resend,
]
