"""Why does it not work? A station looked through from the outside in: account, door, link, boot, clock, connectors,
tokens, messages, firmware, settings, commands. Each check says what it saw and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.variables import merged

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..language import _
from ..queries import Queries
from . import checks_connection, checks_operation, tokens
from . import handshakes as door
from .checks_basis import Found

ROWS: Final = 600
"""Journal entries of the station that are looked at."""
_RANK: Final = ("ok", "unknown", "warn", "bad")
CHECKS: Final[tuple[Callable[[Found], types.Check], ...]] = (
    checks_connection.account,
    checks_connection.handshake,
    checks_connection.certificate,
    checks_connection.link,
    checks_connection.boot,
    checks_connection.clock,
    checks_connection.heard,
    checks_operation.connectors,
    checks_operation.tokens,
    checks_operation.meter,
    checks_operation.errors,
    checks_operation.firmware,
    checks_operation.commands,
)
"""In the order in which one is the cause of the next."""


async def checks(context: ApiContext, principal: Principal, station_id: str) -> types.StationChecks:
    """Look a station through. Raises Problem 403, 404."""
    principal.need("stations:read")
    queries = Queries(context, principal)
    await queries.station(station_id)
    key = StationKey(principal.tenant, station_id)
    store = context.store
    journal = store.journal(tenant=principal.tenant, station=station_id, newest_first=True, limit=ROWS, lenient=True)
    found = Found(
        now=context.scheduler.now(),
        id=station_id,
        account=await store.account(key),
        record=await store.station(key),
        variables=merged(await store.variables(key)),
        rows=[row async for row in journal],
        commands=await store.commands(key, limit=50),
        handshakes=await door.handshakes(context, principal, station_id),
        sessions=(await queries.sessions(station=station_id, limit=10)).items,
        tokens=len((await tokens.book(context, principal.tenant)).shown) if principal.may("tokens:read") else None,
    )
    made = [check(found) for check in CHECKS]
    worst = max(made, key=lambda one: _RANK.index(one.verdict))
    first = next((one for one in made if one.verdict == "bad"), None) or next(
        (one for one in made if one.verdict == "warn"), None
    )
    return types.StationChecks(
        station_id=station_id,
        time=to_rfc3339(found.now),
        verdict="ok" if worst.verdict == "unknown" else worst.verdict,
        summary=first.seen if first is not None else _("Nothing is wrong, as far as can be seen from here."),
        checks=made,
    )
