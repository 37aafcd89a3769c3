"""How long what is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Retention", "RetentionChange"]

HotDays = Annotated[
    int,
    Meta(
        ge=1, le=365, description="Meter samples of so many days stay in the database; older ones move to Parquet files"
    ),
]


class Retention(msgspec.Struct, kw_only=True):
    """What the installation keeps, and how long. Sessions, the journal and the audit log are kept for good."""

    hot_days: HotDays
    delivery_days: Annotated[int, Meta(description="Deliveries of webhooks and messages that are done stay so long")]
    login_days: Annotated[int, Meta(description="A login lasts so long at most")]


class RetentionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change. It counts from the next night on."""

    hot_days: HotDays
