"""C Authorization and D local authorization list: the cache and the list of a station (1.6 section 5.4, 5.10, 5.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station import dialect_2, dialect_16
from pilotwire.station.host import Reply

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def clear_cache(station: Station, request: Any) -> Reply:
    cleared = station.authorizer.clear_cache()
    return Reply(station.messages.ClearCacheResponse(status="Accepted" if cleared else "Rejected"))


# ── 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def list_version_16(station: Station, request: v16.GetLocalListVersionRequest) -> Reply:
    # 5.10: -1 says that there is no list.
    enabled = station.settings.flag("list_enabled")
    return Reply(v16.GetLocalListVersionResponse(list_version=station.authorizer.list_version if enabled else -1))


def send_list_16(station: Station, request: v16.SendLocalListRequest) -> Reply:
    if not station.settings.flag("list_enabled"):
        return Reply(v16.SendLocalListResponse(status="NotSupported"))
    rows = request.local_authorization_list or []
    entries = {
        station.authorizer.key(row.id_tag): None if row.id_tag_info is None else dialect_16.grant_of(row.id_tag_info)
        for row in rows
    }
    if len(entries) > station.settings.number("list_items") or request.list_version <= 0:
        return Reply(v16.SendLocalListResponse(status="Failed"))
    if request.update_type == "Full":
        if any(grant is None for grant in entries.values()):
            return Reply(v16.SendLocalListResponse(status="Failed"))
        full = {token: grant for token, grant in entries.items() if grant is not None}
        taken = station.authorizer.replace_list(request.list_version, full)
        return Reply(v16.SendLocalListResponse(status="Accepted" if taken else "Failed"))
    status = station.authorizer.change_list(request.list_version, entries)
    return Reply(v16.SendLocalListResponse(status=status))  # type: ignore[arg-type]


# ── 2.x ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def list_version(station: Station, request: Any) -> Reply:
    enabled = station.settings.flag("list_enabled")
    version = station.authorizer.list_version if enabled else 0  # D02.FR.03
    return Reply(station.messages.GetLocalListVersionResponse(version_number=version))


def send_list(station: Station, request: Any) -> Reply:
    m = station.messages
    failed = Reply(m.SendLocalListResponse(status="Failed"))
    rows = request.local_authorization_list or []
    if (
        not station.settings.flag("list_enabled")
        or len(rows) > station.settings.number("list_items")
        or request.version_number <= 0
    ):
        return failed
    entries = {
        station.authorizer.key(row.id_token.id_token, row.id_token.type): None
        if row.id_token_info is None
        else dialect_2.grant_of(row.id_token_info, station.config.version)
        for row in rows
    }
    if request.update_type == "Full":
        full = {token: grant for token, grant in entries.items() if grant is not None}
        if len(full) != len(entries) or not station.authorizer.replace_list(request.version_number, full):
            return failed
        return Reply(m.SendLocalListResponse(status="Accepted"))
    return Reply(m.SendLocalListResponse(status=station.authorizer.change_list(request.version_number, entries)))


HANDLERS = {
    **on(V16 + V2, {"ClearCache": clear_cache}),
    **on(V16, {"GetLocalListVersion": list_version_16, "SendLocalList": send_list_16}),
    **on(V2, {"GetLocalListVersion": list_version, "SendLocalList": send_list}),
}
