"""How long what is kept. It is set for the whole installation, by a platform admin."""

from __future__ import annotations

import msgspec

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, tag_of
from .keeping import Tagged

SETTING = "retention"
"""The installation's setting: read by whoever moves samples to history."""
HOT_DAYS = 2
DELIVERY_DAYS = 7
MAIL_DAYS = 30


class Kept(msgspec.Struct, omit_defaults=True):
    """What was chosen."""

    hot_days: int = HOT_DAYS
    delivery_days: int = DELIVERY_DAYS
    mail_days: int = MAIL_DAYS


def read(text: str | None) -> Kept:
    """The setting's text; what cannot be read counts as not chosen."""
    try:
        return msgspec.json.decode(text, type=Kept) if text else Kept()
    except msgspec.DecodeError:
        return Kept()


async def chosen(whole: ApiContext) -> Kept:
    """What holds now, for whoever tidies up."""
    return read(await whole.store.setting(SETTING))


def _shown(context: ApiContext, kept: Kept) -> Tagged[types.Retention]:
    shown = types.Retention(
        hot_days=kept.hot_days,
        delivery_days=kept.delivery_days,
        mail_days=kept.mail_days,
        login_days=context.config.login_days,
    )
    return Tagged(shown, tag_of(kept))


async def retention(whole: ApiContext, principal: Principal) -> Tagged[types.Retention]:
    """What is kept how long. Raises Problem 403."""
    principal.need("settings:read")
    return _shown(whole, read(await whole.store.setting(SETTING)))


async def change(
    whole: ApiContext, principal: Principal, data: types.RetentionChange, *, if_match: str | None = None
) -> Tagged[types.Retention]:
    """Keep something for longer, or not so long; what is not given stays. Raises Problem 403, 412."""
    principal.need("tenants:write")
    before = read(await whole.store.setting(SETTING))
    check(if_match, tag_of(before))
    given: dict[str, int] = msgspec.to_builtins(data)
    kept = msgspec.structs.replace(before, **given)
    await whole.store.put_setting(SETTING, msgspec.json.encode(kept).decode())
    detail: dict[str, object] = {**given, "before": {name: getattr(before, name) for name in given}}
    await audit.record(whole, principal, "retention.change", "retention", detail=detail)
    return _shown(whole, kept)
