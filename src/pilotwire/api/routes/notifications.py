"""Mail server, subscriptions and messages over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post, put
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import notifications
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

SubscriptionPath = Annotated[str, PathParameter(description="Id of the subscription")]


@get("/mail-server", operation_id="getMailServer", tags=["Notifications"], summary="How e-mail is sent")
async def get_mail_server(request: PlainRequest) -> Response[types.MailServer]:
    """Without its password. `host` is empty where none is set up."""
    return tagged(*await notifications.mail_server(context_of(request), whoever(request)))


@put(
    "/mail-server",
    operation_id="setMailServer",
    tags=["Notifications"],
    summary="Set up how e-mail is sent",
    body=types.NewMailServer,
)
async def set_mail_server(request: PlainRequest, if_match: IfMatch = None) -> Response[types.MailServer]:
    """Without `password` the one that is kept stays, as long as host and user name do."""
    data = await body_of(request, types.NewMailServer)
    return tagged(*await notifications.set_mail_server(context_of(request), whoever(request), data, if_match=if_match))


@delete("/mail-server", operation_id="deleteMailServer", tags=["Notifications"], summary="Send no e-mail")
async def delete_mail_server(request: PlainRequest, if_match: IfMatch = None) -> None:
    """Forget the mail server and its password."""
    await notifications.remove_mail_server(context_of(request), whoever(request), if_match=if_match)


@post(
    "/mail-server/test",
    operation_id="testMailServer",
    tags=["Notifications"],
    summary="Try the mail server",
    status_code=200,
    body=types.MailTest,
)
async def test_mail_server(request: PlainRequest) -> types.NotificationResult:
    """Send a test at once; what the server says is in the answer."""
    data = await body_of(request, types.MailTest)
    return await notifications.test_mail_server(context_of(request), whoever(request), data.to)


@get("/subscriptions", operation_id="listSubscriptions", tags=["Notifications"], summary="List subscriptions")
async def list_subscriptions(request: PlainRequest) -> types.SubscriptionPage:
    """Who is told of alarms, by name."""
    return types.SubscriptionPage(items=await notifications.subscriptions(context_of(request), whoever(request)))


@get(
    "/subscriptions/{subscription_id:str}",
    operation_id="getSubscription",
    tags=["Notifications"],
    summary="One subscription",
)
async def get_subscription(request: PlainRequest, subscription_id: SubscriptionPath) -> Response[types.Subscription]:
    """Who is told of which alarms."""
    return tagged(*await notifications.subscription(context_of(request), whoever(request), segment(subscription_id)))


@post(
    "/subscriptions",
    operation_id="createSubscription",
    tags=["Notifications"],
    summary="Add a subscription",
    body=types.NewSubscription,
)
async def create_subscription(request: PlainRequest) -> Response[types.Subscription]:
    """Tell people of alarms by e-mail, or a webhook by `notification` events."""
    data = await body_of(request, types.NewSubscription)
    return tagged(*await notifications.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/subscriptions/{subscription_id:str}",
    operation_id="changeSubscription",
    tags=["Notifications"],
    summary="Change a subscription",
    body=types.SubscriptionChange,
)
async def change_subscription(
    request: PlainRequest, subscription_id: SubscriptionPath, if_match: IfMatch = None
) -> Response[types.Subscription]:
    """Change what is given."""
    data = await body_of(request, types.SubscriptionChange)
    return tagged(
        *await notifications.change(
            context_of(request), whoever(request), segment(subscription_id), data, if_match=if_match
        )
    )


@delete(
    "/subscriptions/{subscription_id:str}",
    operation_id="deleteSubscription",
    tags=["Notifications"],
    summary="Delete a subscription",
)
async def delete_subscription(
    request: PlainRequest, subscription_id: SubscriptionPath, if_match: IfMatch = None
) -> None:
    """What was gathered for it is not sent."""
    await notifications.remove(context_of(request), whoever(request), segment(subscription_id), if_match=if_match)


@post(
    "/subscriptions/{subscription_id:str}/test",
    operation_id="testSubscription",
    tags=["Notifications"],
    summary="Try a subscription",
    status_code=200,
)
async def test_subscription(request: PlainRequest, subscription_id: SubscriptionPath) -> types.NotificationResult:
    """Send a test at once, and wait for what comes of it."""
    return await notifications.send_test(context_of(request), whoever(request), segment(subscription_id))


@get("/notifications", operation_id="listNotifications", tags=["Notifications"], summary="What was told")
async def list_notifications(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    subscription: Annotated[str | None, QueryParameter(max_length=64, description="Of this subscription")] = None,
    in_state: Annotated[
        Literal["pending", "sent", "failed"] | None, QueryParameter(name="state", description="Only such")
    ] = None,
) -> types.NotificationPage:
    """Messages that wait, then those that are done, newest first. The log goes back thirty days."""
    return await notifications.notifications(
        context_of(request),
        whoever(request),
        subscription=text_or_400("subscription", subscription),
        state=in_state,
        cursor=cursor,
        limit=limit,
    )


HANDLERS = [
    get_mail_server,
    set_mail_server,
    delete_mail_server,
    test_mail_server,
    list_subscriptions,
    get_subscription,
    create_subscription,
    change_subscription,
    delete_subscription,
    test_subscription,
    list_notifications,
]
