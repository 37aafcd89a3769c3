"""The parts of the settings."""

from __future__ import annotations

from pilotwire.api.access import Principal
from pilotwire.api.language import N_, _

_TABS = (
    ("people", N_("People"), "/settings/people", "users:read"),
    ("roles", N_("Roles"), "/settings/roles", "settings:read"),
    ("keys", N_("API keys"), "/settings/keys", "keys:read"),
    ("webhooks", N_("Webhooks"), "/settings/webhooks", "webhooks:read"),
    ("mail", N_("E-mail"), "/settings/mail", "settings:read"),
    ("oidc", N_("Single sign-on"), "/settings/sign-on", "settings:read"),
    ("security", N_("Security"), "/settings/security", "settings:read"),
    ("certificates", N_("Certificates"), "/settings/certificates", "settings:read"),
    ("retention", N_("Retention"), "/settings/retention", "settings:read"),
    ("audit", N_("Audit log"), "/settings/audit", "audit:read"),
    ("tenants", N_("Tenants"), "/settings/tenants", "tenants:read"),
    ("about", N_("About"), "/settings/about", "settings:read"),
)


_NOT_ON_A_BOX = frozenset(("webhooks", "mail", "certificates", "retention", "tenants"))


def on_a_box(tabs: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Those of them that a box at a site has."""
    return [one for one in tabs if one[0] not in _NOT_ON_A_BOX]


def tabs(principal: Principal) -> list[tuple[str, str, str]]:
    """What this person may open."""
    return [(key, _(text), path) for key, text, path, permission in _TABS if principal.may(permission)]
