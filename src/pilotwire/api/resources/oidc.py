"""Logging in through an OpenID provider: its settings, and who somebody whom it vouches for is here."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from pilotwire.domain import records
from pilotwire.domain.permissions import ROLES
from pilotwire.storage.documents import Conflict, Delete, put, unpack

from .. import audit, oidc, types
from ..access import Principal, access_of, system
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..language import _
from ..limiter import FailureLimiter
from ..logins import LoginRecord
from ..oidc import Attempt, Client, Identity, claim, provider_of, texts
from ..passwords import wrong
from ..problems import Problem, not_found, problem
from ..second_factor import vault_of
from ..tenancy import PLATFORM, tenant_name
from .keeping import Tagged
from .logins import Caller, LoggedIn, let_external
from .users import may_give

KIND = "oidc"
ID = "provider"
ATTEMPT_KIND = "oidc-attempt"
ATTEMPT_MS = 600_000
_BEGUN_A_MINUTE = 60
"""Logins that one address may begin: an office may share one."""
CALLBACK = "/login/oidc/callback"
_SECRET = "OpenID client secret"  # noqa: S105 - the name of a purpose
_LOGOUT = "logout address"


class Settings(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a provider."""

    issuer: str
    client_id: str
    secret: str = ""
    """Locked; empty: a public client."""
    label: str = ""
    enabled: bool = True
    scopes: list[str] = []
    name_claim: str = "preferred_username"
    role_claim: str = "groups"
    roles: dict[str, str] = {}
    default_role: str | None = None
    sites_claim: str = ""
    tenant_claim: str = ""
    tenants: dict[str, str] = {}
    create_users: bool = False
    link_by_email: bool = False
    end_session: bool = True


_PLAIN = (
    "issuer", "client_id", "label", "enabled", "scopes", "name_claim", "role_claim", "roles", "default_role",
    "sites_claim", "tenant_claim", "tenants", "create_users", "link_by_email", "end_session",
)  # fmt: skip


# -- settings ---------------------------------------------------------------------------------------------------------
async def _find(context: ApiContext, tenant: str) -> tuple[int, Settings | None]:
    document = await context.store.document(tenant, KIND, ID) if tenant_name(tenant) else None
    if document is None:
        return 0, None
    kept = unpack(document, Settings)
    return kept.version, kept.value


def _shown(kept: Settings, base: str) -> types.OidcShown:
    plain = {name: getattr(kept, name) for name in _PLAIN}
    return types.OidcShown(
        **plain, has_secret=bool(kept.secret), redirect_uri=base + CALLBACK, post_logout_redirect_uri=f"{base}/login"
    )


async def settings(context: ApiContext, principal: Principal, base: str) -> Tagged[types.OidcShown]:
    """The tenant's provider. `base` is our own address as browsers reach it. Raises Problem 404."""
    principal.need("settings:read")
    version, kept = await _find(context, principal.tenant)
    if kept is None:
        raise not_found("login provider", principal.tenant)
    return Tagged(_shown(kept, base), tag_of(version))


async def save(
    context: ApiContext, principal: Principal, data: types.OidcSettings, base: str, *, if_match: str | None = None
) -> Tagged[types.OidcShown]:
    """Set the provider. Raises Problem 403, 412, 422."""
    principal.need("settings:write")
    if not oidc.allowed_url(data.issuer):
        raise wrong("issuer", "an address that begins with https:// (http:// on this machine alone)")
    if (data.tenant_claim or data.tenants) and not (
        principal.tenant == context.config.tenant and principal.may("tenants:write")
    ):
        raise wrong("tenant_claim", "only the platform's own provider says which tenant somebody belongs to")
    for role in {*data.roles.values(), *([data.default_role] if data.default_role else [])}:
        may_give(context, principal, role, None if ROLES[role][0] != "sites" else ())
    version, before = await _find(context, principal.tenant)
    check(if_match, tag_of(version))
    kept = Settings(**{name: getattr(data, name) for name in _PLAIN})
    if data.client_secret:
        kept.secret = vault_of(context).lock(_SECRET, data.client_secret)
    elif before is not None and (before.issuer, before.client_id) == (data.issuer, data.client_id):
        # A secret is shown to nobody else than the provider that it was given for.
        kept.secret = before.secret
    try:
        (made,) = await context.store.write_documents(principal.tenant, [put(KIND, ID, kept, expected=version)])
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    detail = {name: getattr(kept, name) for name in _PLAIN}
    await audit.record(context, principal, "settings.set-login-provider", f"provider {kept.issuer}", detail=detail)
    return Tagged(_shown(kept, base), tag_of(made))


async def remove(context: ApiContext, principal: Principal, *, if_match: str | None = None) -> None:
    """Nobody logs in through it any more; who is in stays in. Raises Problem 404, 412."""
    principal.need("settings:write")
    version, kept = await _find(context, principal.tenant)
    if kept is None:
        raise not_found("login provider", principal.tenant)
    check(if_match, tag_of(version))
    try:
        await context.store.write_documents(principal.tenant, [Delete(KIND, ID, version)])
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    await audit.record(context, principal, "settings.remove-login-provider", f"provider {kept.issuer}")


async def test(context: ApiContext, principal: Principal) -> types.OidcCheck:
    """Ask the provider what it says of itself. Raises Problem 404."""
    principal.need("settings:write")
    _, kept = await _find(context, principal.tenant)
    if kept is None:
        raise not_found("login provider", principal.tenant)
    try:
        found = await oidc.Provider(context, kept.issuer).metadata()
    except Problem as refused:
        return types.OidcCheck(ok=False, text=refused.details.detail)
    return types.OidcCheck(ok=True, text=f"{found.issuer} answers.")


async def label(whole: ApiContext, tenant: str) -> str | None:
    """What the button of the login page says; None where there is no provider."""
    _, kept = await _find(whole, tenant)
    return (kept.label or oidc.urlsplit(kept.issuer).netloc) if kept is not None and kept.enabled else None


# -- logging in -------------------------------------------------------------------------------------------------------
def _client(whole: ApiContext, kept: Settings, base: str) -> Client:
    secret = vault_of(whole).open(_SECRET, kept.secret) if kept.secret else ""
    return Client(kept.issuer, kept.client_id, secret, base + CALLBACK, tuple(kept.scopes))


def _key(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


async def begin(whole: ApiContext, tenant: str, next: str, base: str, client: str) -> tuple[str, str]:
    """(where to send the browser, the state that its cookie keeps). Raises Problem 404, 429, 502."""
    limiter: FailureLimiter = whole.parts.setdefault(
        Attempt, FailureLimiter(whole.scheduler.now, limit=_BEGUN_A_MINUTE)
    )
    if wait := limiter.wait_ms(client):
        raise problem("too-many-attempts", headers={"Retry-After": str(-(-wait // 1000))})
    limiter.failed(client)  # each leaves a record for ten minutes, so nobody begins as many as they like
    _, kept = await _find(whole, tenant)
    if kept is None or not kept.enabled:
        raise not_found("login provider", tenant)
    now = whole.scheduler.now()
    attempt = oidc.new_attempt(tenant, next, now + ATTEMPT_MS)
    url = await provider_of(whole, kept.issuer).authorization_url(_client(whole, kept, base), attempt)
    old = await whole.store.documents(PLATFORM, ATTEMPT_KIND, high=f"{now:013d}", limit=100)
    await whole.store.write_documents(
        PLATFORM,
        [
            put(ATTEMPT_KIND, _key(attempt.state), attempt, sort=f"{attempt.expires_at:013d}", expected=0),
            *(Delete(ATTEMPT_KIND, one.id) for one in old.items),
        ],
    )
    return url, attempt.state


class Answer(msgspec.Struct, frozen=True):
    """What the provider sent the browser back with."""

    state: str
    code: str = ""
    iss: str = ""
    error: str = ""
    error_description: str = ""


async def finish(whole: ApiContext, answer: Answer, cookie: str, base: str, caller: Caller) -> tuple[LoggedIn, str]:
    """The login, and the page that was wanted. `cookie` is the state that this browser began with.

    Raises Problem 401 `login-needed` for an answer that nobody here has asked for, 403, 502.
    """
    attempt = await _take(whole, answer.state, cookie)
    if answer.error:
        said = answer.error_description or answer.error
        raise oidc.failed(f"The login provider refused: {said[:200] if said.isprintable() else 'without words'}.")
    _, kept = await _find(whole, attempt.tenant)
    if kept is None or not kept.enabled:
        raise not_found("login provider", attempt.tenant)
    identity = await provider_of(whole, kept.issuer).identity(
        _client(whole, kept, base), attempt, answer.code, answer.iss
    )
    user = await _person(whole, attempt.tenant, kept, identity)
    return await let_external(whole, user, caller, identity.id_token, attempt.tenant), attempt.next


async def _take(whole: ApiContext, state: str, cookie: str) -> Attempt:
    """The attempt that this state belongs to, once, and only in the browser that began it."""
    unasked = "This answer belongs to no login that was begun in this browser, or it came too late."
    if not state or not hmac.compare_digest(state.encode(), cookie.encode()):
        raise problem("login-needed", unasked)
    document = await whole.store.document(PLATFORM, ATTEMPT_KIND, _key(state))
    if document is None:
        raise problem("login-needed", unasked)
    kept = unpack(document, Attempt)
    try:
        await whole.store.write_documents(PLATFORM, [Delete(ATTEMPT_KIND, document.id, kept.version)])
    except Conflict:
        raise problem("login-needed", unasked) from None
    if kept.value.expires_at <= whole.scheduler.now():
        raise problem("login-needed", unasked)
    return kept.value


def _role(kept: Settings, identity: Identity) -> str | None:
    """The farthest role that the claims give."""
    given = {kept.roles[value] for value in texts(claim(identity.claims, kept.role_claim)) if value in kept.roles}
    return next((role for role in ROLES if role in given), kept.default_role)


async def _tenant(whole: ApiContext, home: str, kept: Settings, identity: Identity) -> str:
    if not kept.tenant_claim:
        return home
    named = [kept.tenants.get(value) for value in texts(claim(identity.claims, kept.tenant_claim))]
    found = next((one for one in named if one), None)
    if found is None or await access_of(whole).tenant(found) is None:
        raise problem("not-allowed", _("Your login provider names no tenant that you belong to."))
    return found


async def _person(whole: ApiContext, home: str, kept: Settings, identity: Identity) -> records.User:
    """Who it is here; made or linked where the settings say so. Raises Problem 403."""
    tenant = await _tenant(whole, home, kept, identity)
    role, sites = _role(kept, identity), None
    if kept.sites_claim:
        sites = sorted(set(texts(claim(identity.claims, kept.sites_claim))))
    subject = f"{kept.issuer} {identity.subject}"
    people = await whole.store.users(tenant)
    user = next((one for one in people if one.subject == subject), None)
    email = identity.claims.get("email")
    email = email if isinstance(email, str) and len(email) <= 254 and email.isprintable() else ""
    if user is None and kept.link_by_email and email and identity.claims.get("email_verified") is True:
        same = [one for one in people if one.email.casefold() == email.casefold() and not one.subject]
        user = same[0] if len(same) == 1 else None
    if (kept.roles or user is None) and role is None:
        raise problem("not-allowed", _("Your login provider gives you no role here."))
    who = system(tenant, "login provider")
    if user is None:
        if not kept.create_users:
            raise problem("not-allowed", _("Nobody is known here by this login."))
        name = _name(kept, identity, email)
        if any(one.name.casefold() == name.casefold() for one in people):
            raise problem("not-allowed", _("The name {name} belongs to somebody else here.", name=name))
        user = records.User(
            tenant=tenant, name=name, password="", email=email, subject=subject, created_at=whole.scheduler.now()
        )
        user.role, user.sites = role or "viewer", sites
        await whole.store.put_user(user)
        detail: dict[str, object] = {"role": user.role, "sites": sites, "email": email}
        await audit.record(whole, who, "users.create", f"user {name}", detail=detail)
        return user
    if not user.enabled:
        raise problem("not-allowed", _("Your account is switched off."))
    after = msgspec.structs.replace(user, subject=subject)
    if kept.roles and role is not None:
        after.role = role
    if kept.sites_claim:
        after.sites = sites
    if after != user:
        await whole.store.put_user(after)
        detail = {"role": after.role, "sites": after.sites, "linked": user.subject != subject}
        await audit.record(whole, who, "users.change", f"user {user.name}", detail=detail)
    return after


def _name(kept: Settings, identity: Identity, email: str) -> str:
    given = claim(identity.claims, kept.name_claim)
    text = given if isinstance(given, str) and given else email or identity.subject
    plain = "".join(one for one in text if one.isprintable() and not one.isspace())[:64]
    return plain or _key(identity.subject)[:12]


async def logout_url(whole: ApiContext, record: LoginRecord, base: str) -> str:
    """Where to log out at the provider too, locked for the page that leads there; "" where that is not wanted.

    A provider that is down keeps nobody from logging out here.
    """
    if not record.id_token:
        return ""
    _, kept = await _find(whole, record.provider)
    if kept is None or not kept.end_session:
        return ""
    vault = vault_of(whole)
    try:
        id_token = vault.open("id token", record.id_token)
        url = await provider_of(whole, kept.issuer).logout_url(_client(whole, kept, base), id_token, f"{base}/login")
    except Problem:
        return ""
    return vault.lock(_LOGOUT, url) if url else ""


def unlocked_logout(whole: ApiContext, locked: str) -> str:
    """The address in `logout_url`. Raises NotOurs for anything else."""
    return vault_of(whole).open(_LOGOUT, locked)
