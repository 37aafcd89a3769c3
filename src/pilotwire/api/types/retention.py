"""How long what is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, UnsetType

__all__ = ["Retention", "RetentionChange"]

HotDays = Annotated[
    int,
    Meta(
        ge=1, le=365, description="Meter samples of so many days stay in the database; older ones move to Parquet files"
    ),
]
DeliveryDays = Annotated[int, Meta(ge=4, le=365, description="Deliveries of webhooks that are done stay so long")]
MailDays = Annotated[int, Meta(ge=1, le=365, description="Notifications by e-mail that are done stay so long")]


class Retention(msgspec.Struct, kw_only=True):
    """What the installation keeps, and how long. Sessions, the journal and the audit log are kept for good."""

    hot_days: HotDays
    delivery_days: DeliveryDays
    mail_days: MailDays
    login_days: Annotated[int, Meta(description="A login lasts so long at most")]


class RetentionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not given stays. Of samples it counts from the next night on, of the rest at once."""

    hot_days: HotDays | UnsetType = msgspec.UNSET
    delivery_days: DeliveryDays | UnsetType = msgspec.UNSET
    mail_days: MailDays | UnsetType = msgspec.UNSET
