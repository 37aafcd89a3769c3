"""Types of people and access: tenants, users, logins, second factors, API keys, the audit log, OpenID Connect."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, Note, PageOf, Time

Role = Literal[
    "platform-admin", "admin", "operator", "site-owner", "support", "auditor", "viewer", "driver", "service",
    "site-controller",
]  # fmt: skip
RoleField = Annotated[Role, Meta(description="What they may do: see `GET /api/v1/roles`")]
TenantId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=40,
        pattern=r"^[a-z0-9]([a-z0-9_\-]*[a-z0-9])?$",
        description="Part of the stations' URLs: lower-case letters, digits, - and _",
        examples=["north"],
    ),
]
UserName = Annotated[
    str,
    Meta(
        min_length=1, max_length=64, pattern=r"^[^\x00-\x20\x7f-\x9f]+$", description="Without spaces", examples=["ada"]
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=12,
        max_length=256,
        pattern=r"^[^\x00]*$",
        description="12 characters or more; not the name, and none of those that everybody uses",
        extra_json_schema={"writeOnly": True},
    ),
]
GivenPassword = Annotated[
    str,
    Meta(max_length=256, pattern=r"^[^\x00]*$", description="The present one", extra_json_schema={"writeOnly": True}),
]
SiteIds = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]],
    Meta(max_length=500, description="Ids of sites; null: every site of the tenant"),
]
TokenIds = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]],
    Meta(max_length=100, description="Of a driver: the tokens whose sessions they see and may start"),
]
Email = Annotated[
    str, Meta(max_length=254, pattern=r"^([^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+)?$", examples=["ada@example.com"])
]
Language = Annotated[
    str,
    Meta(
        max_length=12, pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8})?)?$", description="e.g. de; empty: as the browser asks"
    ),
]
Code = Annotated[
    str,
    Meta(
        max_length=32, pattern=r"^[^\x00-\x1f\x7f]*$", description="Six digits of the authenticator, or a recovery code"
    ),
]


# -- tenants ----------------------------------------------------------------------------------------------------------
class Tenant(msgspec.Struct, kw_only=True):
    """A customer of this installation, apart from all others."""

    id: str
    name: str
    suspended: Annotated[bool, Meta(description="Nobody logs in and no key is taken; its stations go on charging")]
    note: str
    created_at: Time | None


class NewTenant(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A tenant to add."""

    id: TenantId
    name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", examples=["North Parking"])] = ""
    note: Note = ""


class TenantChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a tenant; what is left out stays."""

    name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] | UnsetType = msgspec.UNSET
    suspended: bool | UnsetType = msgspec.UNSET
    note: Note | UnsetType = msgspec.UNSET


class TenantPage(PageOf[Tenant], kw_only=True):
    """Tenants by id."""


# -- people -----------------------------------------------------------------------------------------------------------
class User(msgspec.Struct, kw_only=True):
    """Somebody who may log in."""

    name: str
    role: str
    sites: Annotated[list[str] | None, Meta(description="What they see; null: every site of the tenant")]
    tokens: list[str]
    email: str
    language: str
    enabled: bool
    second_factor: Annotated[bool, Meta(description="Logging in takes a code besides the password")]
    password_set: Annotated[bool, Meta(description="False: they log in through the OpenID provider alone")]
    external: Annotated[bool, Meta(description="Known to the OpenID provider")]
    created_at: Time
    last_login_at: Time | None


class NewUser(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to let in, or to give a new password and role where the name exists."""

    name: UserName
    password: Password
    role: RoleField = "operator"
    sites: SiteIds | UnsetType | None = msgspec.UNSET
    tokens: TokenIds | UnsetType = msgspec.UNSET
    email: Email | UnsetType = msgspec.UNSET
    language: Language | UnsetType = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET


class UserChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a person; what is left out stays."""

    password: Password | UnsetType = msgspec.UNSET
    role: RoleField | UnsetType = msgspec.UNSET
    sites: SiteIds | UnsetType | None = msgspec.UNSET
    tokens: TokenIds | UnsetType = msgspec.UNSET
    email: Email | UnsetType = msgspec.UNSET
    language: Language | UnsetType = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET


class UserPage(PageOf[User], kw_only=True):
    """People by name."""


class RoleShown(msgspec.Struct, kw_only=True):
    """A role and what it may do."""

    role: str
    scope: Annotated[
        Literal["platform", "tenant", "sites", "own"],
        Meta(description="How far it reaches: every tenant, its tenant, the sites given, the tokens of the driver"),
    ]
    permissions: list[str]
    people: Annotated[int | None, Meta(description="How many have it; null where you may not see people")]


class RolePage(PageOf[RoleShown], kw_only=True):
    """The table of roles, the farthest first."""


class Me(msgspec.Struct, kw_only=True):
    """Who is asking."""

    name: str
    role: str
    by: Annotated[Literal["login", "key", "lab"], Meta(description="How this request was let in")]
    tenant: str
    home_tenant: Annotated[
        str, Meta(description="Where the person is at home; another than `tenant` for a platform admin")
    ]
    permissions: list[str]
    sites: Annotated[list[str] | None, Meta(description="Null: every site")]
    tokens: Annotated[list[str] | None, Meta(description="Of a driver; null: every token")]
    email: str
    language: str
    second_factor: bool
    password_set: bool


class MeChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a person may change of themselves."""

    email: Email | UnsetType = msgspec.UNSET
    language: Language | UnsetType = msgspec.UNSET


class PasswordChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new password of one's own. It ends every other login."""

    current: GivenPassword
    new: Password


class WorkIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The tenant that a platform admin's login works in from now on."""

    tenant: TenantId


# -- logins -----------------------------------------------------------------------------------------------------------
class Login(msgspec.Struct, kw_only=True):
    """Who you are."""

    name: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00]*$")]
    password: Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*$", extra_json_schema={"writeOnly": True})]
    next: str = "/"
    tenant: Annotated[str, Meta(max_length=40)] = ""
    code: Code = ""


class LoginShown(msgspec.Struct, kw_only=True):
    """A login: one browser of one person."""

    id: str
    current: Annotated[bool, Meta(description="The one that asks")]
    by: Annotated[str, Meta(description="password or oidc")]
    client: Annotated[str, Meta(description="Address that it was made from")]
    agent: Annotated[str, Meta(description="What the browser calls itself")]
    made_at: Time
    seen_at: Time
    expires_at: Time


class LoginPage(PageOf[LoginShown], kw_only=True):
    """Logins, the newest first."""


class Ended(msgspec.Struct, kw_only=True):
    """How many logins were ended."""

    ended: int


class Confirmation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The present password, to show that it is you."""

    password: GivenPassword


class SecondFactor(msgspec.Struct, kw_only=True):
    """A new secret for an authenticator; it counts once a code made with it was confirmed."""

    secret: Annotated[str, Meta(description="Base32, to type in where the picture cannot be scanned")]
    uri: Annotated[str, Meta(description="otpauth://…")]
    qr_svg: Annotated[str, Meta(description="The same as a picture, SVG")]


class CodeGiven(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code of the authenticator."""

    code: Code


class RecoveryCodes(msgspec.Struct, kw_only=True):
    """Each is good for one login without the authenticator. They are shown this once."""

    codes: list[str]


# -- keys of programs -------------------------------------------------------------------------------------------------
class ApiKey(msgspec.Struct, kw_only=True):
    """A key for a program; never the secret itself."""

    id: str
    name: str
    role: str
    sites: Annotated[list[str] | None, Meta(description="Null: every site of the tenant")]
    created_at: Time
    created_by: str
    expires_at: Time | None
    rotated_at: Time | None
    last_used_at: Annotated[Time | None, Meta(description="To within five minutes")]


class NewApiKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a new key is for. It may never do more than whoever makes it."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["nightly export"])]
    role: RoleField = "service"
    sites: SiteIds | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class ApiKeyChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a key; what is left out stays. Role and reach are for a new key."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)] | UnsetType = msgspec.UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = msgspec.UNSET


class KeyRotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a key's secret is replaced."""

    overlap_s: Annotated[int, Meta(ge=0, le=604_800, description="How long the old secret is still taken, seconds")] = 0


class ApiKeyCreated(msgspec.Struct, kw_only=True):
    """A new key; the secret is shown this once."""

    id: str
    name: str
    key: Annotated[str, Meta(description="Send it as `Authorization: Bearer pw_…`")]
    created_at: Time
    expires_at: Time | None


class ApiKeyPage(PageOf[ApiKey], kw_only=True):
    """API keys by the time of their making."""


# -- the audit log ----------------------------------------------------------------------------------------------------
class AuditEntry(msgspec.Struct, kw_only=True):
    """A row of the audit log."""

    seq: int
    time: Time
    actor: str
    by: Annotated[str, Meta(description="How the actor was let in: login, key, lab or system")]
    role: str
    action: Annotated[str, Meta(examples=["stations.create"])]
    target: Annotated[str, Meta(examples=["station CP-1001"])]
    detail: dict[str, Any]
    reason: str
    previous: Annotated[str, Meta(description="Digest of the row before (SHA-256, hex)")]
    digest: Annotated[str, Meta(description="SHA-256 over the digest before and this row's canonical JSON, hex")]


class AuditPage(PageOf[AuditEntry], kw_only=True):
    """Rows of the audit log, the newest first."""


class AuditVerdict(msgspec.Struct, kw_only=True):
    """What a look at the whole chain found."""

    sound: bool
    rows: Annotated[int, Meta(description="Sound rows, from the first on")]
    head: Annotated[str, Meta(description="Digest of the last sound row: note it elsewhere to compare later")]
    bad_row: Annotated[int | None, Meta(description="The first row that is not as it was written")]
    fault: str


# -- OpenID Connect ---------------------------------------------------------------------------------------------------
Claim = Annotated[str, Meta(max_length=200, pattern=PRINTABLE, description="Name of a claim; dots lead into objects")]


class OidcSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How people of this tenant log in through an OpenID provider."""

    issuer: Annotated[
        str,
        Meta(
            min_length=8,
            max_length=500,
            pattern=r"^https?://[^\s?#]+$",
            description="Its address; what it says of itself is read from `/.well-known/openid-configuration` below it",
            examples=["https://login.example.com"],
        ),
    ]
    client_id: Annotated[str, Meta(min_length=1, max_length=300, pattern=PRINTABLE)]
    client_secret: (
        Annotated[str, Meta(min_length=1, max_length=500, pattern=PRINTABLE, extra_json_schema={"writeOnly": True})]
        | None
    ) = None
    """Left out: the one that is kept, or none (a public client)."""
    label: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$", description="What the button says")] = ""
    enabled: bool = True
    scopes: Annotated[list[Annotated[str, Meta(max_length=100, pattern=r"^[!#-\[\]-~]+$")]], Meta(max_length=20)] = (
        msgspec.field(default_factory=lambda: ["openid", "profile", "email"])
    )
    name_claim: Claim = "preferred_username"
    role_claim: Annotated[Claim, Meta(description="Holds a text or a list of texts, e.g. groups")] = "groups"
    roles: Annotated[
        dict[str, Role], Meta(max_length=100, description="Value of the claim → role; of several the farthest")
    ] = {}
    default_role: Annotated[Role | None, Meta(description="For whom no value fits; null: they are not let in")] = None
    sites_claim: Annotated[
        str, Meta(max_length=200, description="Holds ids of sites; empty: sites are not set by it")
    ] = ""
    tenant_claim: Annotated[
        str, Meta(max_length=200, description="Which tenant somebody belongs to; for the platform's own provider alone")
    ] = ""
    tenants: Annotated[dict[str, str], Meta(max_length=500, description="Value of the claim → tenant")] = {}
    create_users: Annotated[
        bool, Meta(description="Whoever the provider knows and is given a role gets an account")
    ] = False
    link_by_email: Annotated[
        bool, Meta(description="Somebody here with the same, verified e-mail address is taken for the same person")
    ] = False
    end_session: Annotated[bool, Meta(description="Logging out here also asks the provider to")] = True


class OidcShown(msgspec.Struct, kw_only=True):
    """The settings, without the secret, and the address to enter at the provider."""

    issuer: str
    client_id: str
    has_secret: bool
    label: str
    enabled: bool
    scopes: list[str]
    name_claim: str
    role_claim: str
    roles: dict[str, str]
    default_role: str | None
    sites_claim: str
    tenant_claim: str
    tenants: dict[str, str]
    create_users: bool
    link_by_email: bool
    end_session: bool
    redirect_uri: Annotated[str, Meta(description="To be allowed at the provider")]
    post_logout_redirect_uri: str


class OidcCheck(msgspec.Struct, kw_only=True):
    """Whether the provider answers as it should."""

    ok: bool
    text: str
