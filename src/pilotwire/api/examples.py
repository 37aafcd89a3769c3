"""Examples for the OpenAPI document: of every parameter and every type, made of one table of values by name.

A field that has an example, a default or an enum of its own keeps it. All others are looked up here; of several values
the first of the right JSON type is taken. Text that is not found here makes a test fail, as does an example that does
not fit its schema.
"""

# ruff: noqa: E501 - the table
from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

TIME: Final = "2026-03-14T09:26:53.589Z"
ID: Final = "0199f0c2a4e37c6b8d1f2a3b4c5d6e7f"

VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "accepted": (2,), "acknowledged_by": ("ada",), "action": ("Reset",), "actor": ("ada",),
    "advice": ("Send the password that the account was made with.",), "agent": ("Mozilla/5.0 (X11; Linux x86_64)",),
    "alarms": ([],), "answer": ({"status": "Accepted"},), "attempts": (1,), "attribute": ("Actual",),
    "availability_percent": (99.2,), "average_duration_s": (5400,), "average_energy_wh": (18250,), "bad_row": (4217,),
    "begin": ("2026-03-14T22:00:00Z",), "boot": ("Accepted",), "boot_status": ("Accepted",), "by": ("ada", "key"),
    "certificate_name": ("CP-1001",), "changed": (3,), "charging_now": (12,), "charging_percent": (18.4,),
    "charging_s": (15840,), "charging_state": ("Charging",), "client": ("203.0.113.9",), "client_id": ("pilotwire",),
    "clock_skew_ms": (-120,), "code": ("492039", "FormatViolation"), "codes": (["k7q2-m9xd-41ft"],),
    "column": ("token",), "columns": ({"token": "uid"},), "command_id": (ID,), "component": ("OCPPCommCtrlr",),
    "component_instance": ("",), "connections": (4,), "connector": (1,), "connectors": (24, []),
    "connectors_available": (11,), "connectors_charging": (12,), "connectors_faulted": (1,),
    "context": ("Sample.Periodic",), "count": (1,), "created": (40,), "created_by": ("ada",), "credit": (None, "25.00"), "critical": (0,),
    "current": ("the old password",), "current_limit_a": (250.0,), "data": ({},), "data_type": ("integer",),
    "default_role": ("viewer",), "description": ("No sign of life for ten minutes",), "detail": ("`errors` names it.", {}),
    "digest": ("5e1b0c9d",), "digest_min": (15,), "disabled_why": ("",), "done": (31,), "driver_id": ("ada-lovelace",),
    "duration_ms": (84,), "duration_s": (5400,), "email": ("ada@example.com",), "end": ("2026-03-15T04:00:00Z",),
    "ended": (3,), "energy_today_wh": (412_300,), "energy_wh": (18250,), "error": ("", None), "error_code": ("NoError",),
    "event_id": (ID,), "event_seq": (90_412,), "event_type": ("session.ended",), "events": (["session.ended"], []),
    "evse": (1, "bay-1"), "evse_s": (86400,), "example": ({},), "excluded_s": (0,), "expires_at": (TIME,),
    "fact": ({"session_id": ID},), "failed": (0,), "fault": ("",), "field": ("station_id",), "fields": ({},),
    "firmware": ("1.4.2",), "firmware_status": ("Installed",), "flags": (["started-offline"], "seq-gap"), "given_at": (TIME,),
    "head": ("5e1b0c9d",), "heartbeat_interval_s": (300,), "high": (86400,), "hold_s": (60,), "home_tenant": ("default",),
    "host": ("mail.example.com",), "id": (ID,), "ignored": ([],), "info": ("",), "issuer": ("https://login.example.com",),
    "key": ("pw_3rT9…",), "label": ("Company login",), "language": ("en",), "last_error": ("",), "latitude": (52.52,),
    "line": (7,), "load_percent": (63.5,), "location": ("Outlet",), "longitude": (13.405,), "low": (0,), "major": (1,),
    "message": ("must not be empty",), "meter_start_wh": (1_204_500,), "meter_stop_wh": (1_222_750,), "minor": (2,),
    "model": ("Column 150",), "mutability": ("ReadWrite",), "name": ("North car park",), "name_claim": ("name",),
    "new": ("a longer password",), "next": (None, "2026-04-14"), "note": ("beside the north gate",), "occupied_s": (19_800,),
    "ocpp_version": ("2.0.1",), "offline_s": (120,), "open": (3,), "organization": ("Example Charging",),
    "outage_s": (640,), "outcome": ("answered",), "over": (90,), "parent": ("FLEET-7",), "part": ("evse 1",),
    "password": ("a chosen password",), "payload": ({"type": "Immediate"},), "peer": ("203.0.113.9:51442",),
    "pending": (0,), "people": (3,), "permissions": (["stations:read"],), "phase": ("L1",), "points": ([[0.1, 0.1], [0.9, 0.1], [0.9, 0.8]],),
    "port": (587,), "position": (31,), "post_logout_redirect_uri": ("https://csms.example.com/login",),
    "power_limit_w": (172_500,), "power_w": (11_040,), "previous": ("b17c22aa",), "qr_svg": ("<svg/>",),
    "reason": ("asked for by the site's owner",), "redirect_uri": ("https://csms.example.com/login/oidc/done",),
    "removed": ([],), "request": ("{}",), "requested_by": ("ada",), "response": ("ok",), "role": ("operator",),
    "role_claim": ("groups",), "roles": ({"charging-ops": "operator"},), "rows": (41,), "rule_name": ("Offline",),
    "rules": ([],), "scopes": (["openid", "profile"],), "secret": ("whsec_…",), "secret_hint": ("…a91f",),
    "security_profile": (2,), "security_profile_used": (2,), "sender": ("pilotwire@example.com",),
    "sender_name": ("Pilotwire",), "seq": (90_412,), "serial": ("VW-150-00042",), "session_id": (ID,), "sessions": (31, []),
    "sessions_active": (14,), "sessions_kept": (12,), "sessions_today": (57,), "silent_s": (14,), "site": ("north",),
    "site_id": ("north",), "sites": ([],), "sites_claim": ("sites",), "soc_percent": (64.5,), "station_id": ("CP-1001",),
    "stations": (12, []), "stations_online": (11,), "status": ("Accepted", 409), "stop_reason": ("EVDisconnected",),
    "subject": ("CP-1001 is offline",), "subscription_id": (ID,), "subscription_name": ("Night shift",),
    "summary": ("Charging began at connector 1",), "tenant": ("default",), "tenant_claim": ("org",), "tenants": ({},),
    "text": ('[2,"17","Heartbeat",{}]',), "time_zone": ("Europe/Berlin",), "times": ([],), "title": ("A parameter is wrong",),
    "to": (["ops@example.com"],), "token": ("04A1B2C3D4",), "token_type": ("ISO14443",), "tokens": ([], 12),
    "tokens_deleted": (1,), "tokens_kept": (0,), "total": (57,), "transaction": ("a3f1",), "type": ("session-started.1",),
    "unacknowledged": (1,), "unchanged": (0,), "unit": ("s",), "uptime_percent": (99.2,),
    "uri": ("otpauth://totp/Pilotwire:ada?secret=JBSWY3DPEHPK3PXP",), "url": ("https://hooks.example.com/charging",),
    "user": ("CP-1001",), "username": ("pilotwire",), "utilisation_percent": (22.9,), "value": ("300", 300, 18250.0),
    "values": ([],), "variable": ("HeartbeatInterval",), "variable_instance": ("",), "variables": (212,),
    "firmware_id": (ID,), "told": ("Uploaded",), "md5": ("0cc175b9c0f1b6a831c399e269772661",),
    "sha256": ("9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",), "version_before": ("1.4.1",),
    "ordered_by": ("ada",), "asked_by": ("ada",), "signature": ("MEUCIQDk…",), "why": ("",),
    "signed_by": ("CN=Voltwerk firmware",), "signing_certificate": ("-----BEGIN CERTIFICATE-----\n…",),
    "rollout_id": (ID,), "log_id": (ID,), "stages": ([1, 10, 100],),
    "vendor": ("Voltwerk",), "version": ("0.1.0", 7, 1), "waiting": (0,), "warning": (1,), "webhook_id": (ID,), "x": (0.25,),
    "back": (80, "/sessions"), "client_secret": ("from the provider",), "expires_in_s": (3600,), "problem": ("CP-1001 is not connected.",), "kind": ("answered",), "message_id": ("17",), "error_description": ("",),
    "job_id": (ID,), "anchor_id": (ID,), "exclusion_id": (ID,), "view_id": (ID,), "setting_id": (ID,), "y": (0.5,), "zone": ("Europe/Berlin",),
    # charging
    "hours": (24,),
    # tariffs
    "tariff_id": ("standard",), "tariff": ("standard",), "assignment_id": ("station CP-1001 0",), "dayOfWeek": (["Saturday"],), "scope": ("station",), "priceKwh": ("0.39",), "priceMinute": ("0.05",), "priceFixed": ("0.5",), "exclTax": ("7.07",),
    "inclTax": ("8.41",), "validFrom": (TIME,), "revisions": ([],), "start": (TIME,),
    # parameters
    "acknowledged": (False,), "after": ("90412",), "alarm_id": (ID,), "brief": (True,), "changed_since": (TIME,),
    "connected": (True,), "cursor": ("WyJzZXNz…",), "delivery_id": (ID,), "dry_run": (True,), "enabled": (True,),
    "ended_before": (TIME,), "ended_from": (TIME,), "energy_from_wh": (1000,), "energy_to_wh": (80_000,),
    "flagged": (True,), "format": ("csv",), "group_id": ("fleet-7",), "key_id": (ID,), "limit": (50,), "login_id": (ID,),
    "measurand": ("Power.Active.Import",), "mute_id": (ID,), "on_error": ("skip",), "q": ("cp-10",), "registered": (True,),
    "rule": (ID,), "rule_id": (ID,), "severity": ("major",), "since": (TIME,), "sort": ("-started_at",),
    "started_before": (TIME,), "started_from": (TIME,), "state": ("open",), "station": ("CP-1001",),
    "subscription": (ID,), "target": ("CP-1001",), "tenant_id": ("default",), "types": ("session-started,session-ended",),
    "until": (TIME,), "writable": (True,), "If-Match": ('"7"',), "If-None-Match": ('"7"',), "Last-Event-ID": ("90412",),
    "Idempotency-Key": ("6f1d5c2e-4c2b-4e0a-9d0e-2f6b8f1f0c11",),
}  # fmt: skip
"""Name of a field or parameter → values that it may have."""


class NoExample(LookupError):
    """A name that the table lacks."""


_JSON: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


def of_parameter(name: str, schema: dict[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of a parameter. Raises NoExample."""
    for one in schema.get("anyOf") or schema.get("oneOf") or ():
        if one.get("type") == "array":
            return of_parameter(name, one, schemas)
    if schema.get("type") == "array":
        return [of_parameter(name, schema.get("items", {}), schemas)]
    return _of(name, schema, schemas, frozenset())


def of_type(schema: dict[str, Any], schemas: Mapping[str, Any], within: frozenset[str] = frozenset()) -> Any:
    """An example of a type: of an object all of its properties but those without an example (`missing` names them)."""
    made: dict[str, Any] = {}
    for name, one in schema.get("properties", {}).items():
        with contextlib.suppress(NoExample):
            made[name] = _of(name, one, schemas, within)
    return made


def missing(schemas: Mapping[str, Any]) -> list[str]:
    """Fields that have no example, as `Type.field`: what the table lacks."""
    found: list[str] = []
    for kind, schema in schemas.items():
        for name, one in schema.get("properties", {}).items():
            try:
                _of(name, one, schemas, frozenset((kind,)))
            except NoExample:
                found.append(f"{kind}.{name}")
    return found


def _of(name: str, schema: dict[str, Any], schemas: Mapping[str, Any], within: frozenset[str]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    if "example" in schema:
        return schema["example"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return _referred(schema["$ref"].rpartition("/")[2], schemas, within)
    unions = schema.get("anyOf") or schema.get("oneOf")
    if unions:
        return _of_union(name, unions, schemas, within)
    kinds = schema.get("type")
    if kinds == "array":
        item = schema.get("items")
        if item and _refers(item):
            made = _of(name, item, schemas, within)
            return [] if made is None else [made]
    for value in VALUES.get(name, ()):
        if kinds is None or _is_of(value, kinds):
            return value
    if "default" in schema:
        return schema["default"]
    if (plain := _plain(schema, kinds)) is not None:
        return plain
    if schema.get("format") == "date-time":
        return TIME
    raise NoExample(name or str(schema)[:200])


def _plain(schema: dict[str, Any], kinds: Any) -> Any:
    """What stands for a value that says little: a flag, a number, nothing in a list."""
    if kinds == "boolean":
        return True
    if kinds in ("integer", "number"):
        return max(schema.get("minimum", 1), min(1, schema.get("maximum", 1)))
    if kinds == "array" and not schema.get("minItems"):
        return []
    return {} if kinds == "object" and "properties" not in schema else None


def _of_union(name: str, unions: list[dict[str, Any]], schemas: Mapping[str, Any], within: frozenset[str]) -> Any:
    missing: NoExample | None = None
    for one in unions:
        if one.get("type") == "null":
            continue
        try:
            return _of(name, one, schemas, within)
        except NoExample as error:
            missing = error
    if missing is not None:
        raise missing
    return None


def _refers(schema: dict[str, Any]) -> bool:
    return "$ref" in schema or any("$ref" in one for one in schema.get("anyOf", ()))


def _referred(kind: str, schemas: Mapping[str, Any], within: frozenset[str]) -> Any:
    if kind in within:
        return None
    schema = schemas[kind]
    if schema.get("examples"):
        return schema["examples"][0]
    return of_type(schema, schemas, within | {kind})


def _is_of(value: Any, kinds: str | list[str]) -> bool:
    listed = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool):
        return "boolean" in listed
    return any(isinstance(value, _JSON[kind]) for kind in listed)
