"""Which commands a station takes: every action of its OCPP version and our verbs, with the fields of their payloads."""

from __future__ import annotations

from functools import cache

import msgspec

from pilotwire.domain.permissions import CONFIGURES, DANGEROUS
from pilotwire.protocols.ocpp.catalogue import forms
from pilotwire.protocols.ocpp.catalogue.actions import CALLS, VERBS, Told
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate import verbs

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..language import _
from ..problems import not_found
from ..queries import Queries


async def available(context: ApiContext, principal: Principal, station_id: str) -> list[types.CommandForm]:
    """Our verbs, then the actions of the station's OCPP version; of one that never connected the verbs alone.

    Raises Problem 404.
    """
    principal.need("stations:read")
    station = await Queries(context, principal).station(station_id)
    return forms_of(principal, station.ocpp_version or "")


async def form(context: ApiContext, principal: Principal, station_id: str, action: str) -> types.CommandForm:
    """One of them. Raises Problem 404."""
    for one in await available(context, principal, station_id):
        if one.action == action:
            return one
    raise not_found("command of this station", action)


def forms_of(principal: Principal, version: str) -> list[types.CommandForm]:
    """The same for an OCPP version instead of a station ("": our verbs alone)."""
    return [_form(principal, action, spoken) for action, spoken in _names(version)]


@cache
def _names(version: str) -> tuple[tuple[str, str], ...]:
    """(action, version, or "" for a verb)."""
    found: list[tuple[str, str]] = [(verb, "") for verb in verbs.VERBS]
    if version:
        actions = load(version).actions
        found += [(name, version) for name in sorted(actions) if actions[name].by_csms and not actions[name].is_send]
    return tuple(found)


def _form(principal: Principal, action: str, version: str) -> types.CommandForm:
    told = VERBS[action] if not version else CALLS.get(action, Told(action, ""))
    dangerous = action in DANGEROUS
    fields, example = _made(action, version)
    return types.CommandForm(
        action=action,
        title=_(told.title),
        description=_(told.text),
        neutral=not version,
        dangerous=dangerous,
        allowed=principal.may("commands:send")
        and (not dangerous or principal.may("commands:dangerous"))
        and (action not in CONFIGURES or principal.may("variables:write"))
        and (principal.tokens is None or action in ("start", "stop")),
        fields=fields,
        example=example,
    )


@cache
def _made(action: str, version: str) -> tuple[list[types.CommandField], dict[str, object]]:
    if version:
        fields = forms.of_message(load(version).actions[action].request_type)
    else:
        fields = forms.of_struct(verbs.VERBS[action][0])
    return [_shown(one) for one in fields], forms.example(action, fields)


def _shown(one: forms.Field) -> types.CommandField:
    return types.CommandField(
        name=one.name,
        kind=msgspec.convert(one.kind, types.FieldKind),
        required=one.required,
        description=one.text,
        values=list(one.values),
        low=one.low,
        high=one.high,
        fields=[_shown(inner) for inner in one.fields],
        items=_shown(one.items) if one.items is not None else None,
    )
