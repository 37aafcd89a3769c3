"""Who may do what: the one table of roles. A permission is `resource:action`; `read` sees, `write` makes and changes.

A role's rights hold in its own tenant and there within a person's scope: everything, some sites, or what a driver's own
tokens did. The scope is applied by whoever reads (`pilotwire.api.queries`), never by the one who asks.
"""

from __future__ import annotations

from typing import Final, Literal

Scope = Literal["platform", "tenant", "sites", "own"]
"""How far a role reaches: every tenant, its tenant, the sites given to the person, the tokens of the driver."""

READS: Final = frozenset(
    f"{resource}:read"
    for resource in (
        "sites", "stations", "variables", "sessions", "tokens", "drivers", "commands", "messages", "events", "alarms",
        "jobs", "reports", "tariffs", "firmware", "rollouts",
    )
)  # fmt: skip
"""What everybody who works with a whole tenant may see."""

_OPERATES: Final = frozenset(
    (
        "sites:write", "sites:commission", "stations:write", "variables:write", "sessions:export", "tokens:write",
        "drivers:write", "commands:send", "commands:dangerous", "alarms:write", "jobs:write", "webhooks:read",
        "settings:read", "tariffs:write",
        "firmware:write", "rollouts:write", "logs:read", "logs:write",
    )
)  # fmt: skip
_ADMINISTERS: Final = frozenset(
    (
        "users:read", "users:write", "keys:read", "keys:write", "webhooks:write", "settings:write", "audit:read",
        "personal-data:erase", "controllers:serve",
    )
)  # fmt: skip
_PLATFORM: Final = frozenset(("tenants:read", "tenants:write"))

ROLES: Final[dict[str, tuple[Scope, frozenset[str]]]] = {
    "platform-admin": ("platform", READS | _OPERATES | _ADMINISTERS | _PLATFORM),
    "admin": ("tenant", READS | _OPERATES | _ADMINISTERS),
    "operator": ("tenant", READS | _OPERATES),
    "site-owner": (
        "sites",
        frozenset(
            (
                "sites:read", "sites:commission", "stations:read", "variables:read", "sessions:read", "sessions:export",
                "events:read",
                "alarms:read", "alarms:write", "reports:read", "commands:read", "commands:send",
            )
        ),
    ),
    "support": ("tenant", READS | {
        "commands:send", "commands:dangerous", "alarms:write", "settings:read", "logs:read", "logs:write",
    }),
    "auditor": (
        "tenant",
        READS | {"sessions:export", "users:read", "keys:read", "webhooks:read", "settings:read", "audit:read",
         "logs:read"},
    ),
    "viewer": ("tenant", READS),
    "driver": ("own", frozenset(("sessions:read", "commands:send"))),
    "service": ("tenant", READS | {
        "stations:write", "variables:write", "sessions:export", "tokens:write", "drivers:write", "commands:send",
        "alarms:write", "jobs:write", "webhooks:read", "webhooks:write", "logs:read", "logs:write",
    }),
    "site-controller": ("sites", frozenset(("controllers:serve",))),
}  # fmt: skip
"""Role → (scope, permissions)."""

PERMISSIONS: Final = frozenset(permission for _, permissions in ROLES.values() for permission in permissions)

DANGEROUS: Final = frozenset(
    (
        "reset", "unlock", "update-firmware", "clear-cache", "Reset",
        "UnlockConnector", "UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware", "UnpublishFirmware",
        "CertificateSigned", "InstallCertificate", "DeleteCertificate", "SetNetworkProfile",
        "ClearCache", "CustomerInformation",
    )
)  # fmt: skip
"""Commands (our verbs and OCPP actions) that can cut a station off, take it out of service or change whom it trusts:
they need `commands:dangerous` and a reason."""

CONFIGURES: Final = frozenset(("set-variables", "SetVariables", "ChangeConfiguration"))
"""Commands that change a station's configuration: they need `variables:write`."""


def may(role: str, permission: str) -> bool:
    """Whether a role has a permission; an unknown role has none. Raises KeyError for what is no permission."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)
    scope_and_permissions = ROLES.get(role)
    return scope_and_permissions is not None and permission in scope_and_permissions[1]


def covers(role: str, other: str) -> bool:
    """Whether `role` may all that `other` may, at least as far: who has it may give `other` to somebody."""
    if role not in ROLES or other not in ROLES:
        return False
    scope, own = ROLES[role]
    other_scope, others = ROLES[other]
    return others <= own and _REACH[scope] >= _REACH[other_scope]


_REACH: Final[dict[Scope, int]] = {"own": 0, "sites": 1, "tenant": 2, "platform": 3}
