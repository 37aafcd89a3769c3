"""Roles, permissions and what the audit log notes, in plain words."""

from __future__ import annotations

from typing import Final

from .codes import Word

ROLES: Final[dict[str, Word]] = {
    "platform-admin": Word("Platform admin", "May everything, in every tenant."),
    "admin": Word("Tenant admin", "May everything in this tenant, people, keys and settings included."),
    "operator": Word("Operator", "Runs the stations: sees everything and changes stations, sites, tokens and alarms."),
    "site-owner": Word("Site owner", "Sees the sites that are given, starts and stops there, and answers its alarms."),
    "support": Word("Support", "Sees everything and may send commands; changes nothing that is kept."),
    "auditor": Word("Auditor", "Sees everything, the audit log included; changes nothing."),
    "viewer": Word("Viewer", "Sees what happens; changes nothing."),
    "driver": Word("Driver", "Sees the sessions of the own tokens, and may start and stop them."),
    "service": Word("Service", "For programs: stations, tokens, commands and exports, no people and no keys."),
    "site-controller": Word("Site controller", "For the box at a site: shows that site here, and may nothing else."),
}
"""The roles of `pilotwire.domain.permissions`."""

SCOPES: Final[dict[str, Word]] = {
    "platform": Word("every tenant"),
    "tenant": Word("the tenant"),
    "sites": Word("sites that are given"),
    "own": Word("own tokens"),
}
"""How far a role reaches."""

PERMISSIONS: Final[dict[str, Word]] = {
    "sites:read": Word("see sites"),
    "sites:write": Word("make and change sites"),
    "sites:commission": Word("commission sites: scan, pulses, fail-safes, go live"),
    "stations:read": Word("see stations"),
    "stations:write": Word("add, change and remove stations"),
    "variables:read": Word("see configuration and device model"),
    "variables:write": Word("change configuration and device model"),
    "sessions:read": Word("see sessions"),
    "sessions:export": Word("export sessions and meter values"),
    "tokens:read": Word("see tokens and groups"),
    "tokens:write": Word("make, change and import tokens"),
    "drivers:read": Word("see drivers"),
    "drivers:write": Word("make and change drivers"),
    "commands:read": Word("see commands"),
    "commands:send": Word("send commands: start, stop, ask"),
    "commands:dangerous": Word("send dangerous commands: restart, unlock, firmware, certificates"),
    "messages:read": Word("see the message log"),
    "events:read": Word("see events as they happen"),
    "alarms:read": Word("see alarms"),
    "alarms:write": Word("acknowledge and mute alarms, change rules"),
    "jobs:read": Word("see bulk jobs"),
    "jobs:write": Word("start and stop bulk jobs"),
    "firmware:read": Word("see firmware images"),
    "tariffs:read": Word("see tariffs and where they count"),
    "tariffs:write": Word("make, change and place tariffs"),
    "firmware:write": Word("add and delete firmware images"),
    "rollouts:read": Word("see roll-outs of firmware and certificates"),
    "rollouts:write": Word("start and stop roll-outs of firmware and certificates"),
    "logs:read": Word("read the logs that stations leave"),
    "logs:write": Word("ask stations for logs and delete them"),
    "reports:read": Word("see reports"),
    "webhooks:read": Word("see webhooks and their deliveries"),
    "webhooks:write": Word("make and change webhooks"),
    "settings:read": Word("see settings"),
    "settings:write": Word("change settings"),
    "users:read": Word("see people"),
    "users:write": Word("let people in and change them"),
    "keys:read": Word("see API keys"),
    "keys:write": Word("make and revoke API keys"),
    "audit:read": Word("read the audit log"),
    "controllers:serve": Word("show a site as its box"),
    "personal-data:erase": Word("forget a driver for good"),
    "tenants:read": Word("see tenants"),
    "tenants:write": Word("make and change tenants"),
}
"""Permissions, in the order of the table."""
