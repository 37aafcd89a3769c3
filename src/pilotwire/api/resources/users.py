"""People who may log in, and the table of roles."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from pilotwire.domain import permissions, records
from pilotwire.domain.permissions import ROLES, covers
from pilotwire.storage.documents import put

from .. import audit, mapping, second_factor, types
from ..access import Principal, access_of
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..passwords import check_password, wrong
from ..problems import Problem, not_found, problem
from .keeping import Tagged
from .sites import check_site

SEEN_KIND = "user-seen"
_ADMINS = ("admin", "platform-admin")
_PLAIN = ("role", "sites", "tokens", "email", "language", "enabled")


class Seen(msgspec.Struct):
    """When somebody last logged in."""

    at: int


async def note_seen(context: ApiContext, user: records.User) -> None:
    """Somebody has logged in."""
    await context.store.write_documents(user.tenant, [put(SEEN_KIND, user.name, Seen(context.scheduler.now()))])


async def _seen_at(context: ApiContext, tenant: str, name: str) -> int | None:
    found = await context.store.document(tenant, SEEN_KIND, name)
    return msgspec.json.decode(found.body, type=Seen).at if found else None


async def _all_seen(context: ApiContext, tenant: str) -> dict[str, int]:
    found: dict[str, int] = {}
    cursor: str | None = None
    while True:
        page = await context.store.documents(tenant, SEEN_KIND, cursor=cursor, limit=500)
        found |= {one.id: msgspec.json.decode(one.body, type=Seen).at for one in page.items}
        cursor = page.next
        if cursor is None:
            return found


async def _shown(context: ApiContext, user: records.User) -> types.User:
    return mapping.user(
        user,
        second_factor=await second_factor.is_on(context, user.tenant, user.name),
        last_login_at=await _seen_at(context, user.tenant, user.name),
    )


async def tagged_user(context: ApiContext, user: records.User) -> Tagged[types.User]:
    """A person and their ETag."""
    shown = await _shown(context, user)
    return Tagged(shown, tag_of(user, shown))


async def get(context: ApiContext, tenant: str, name: str) -> records.User:
    """The record. Raises Problem 404."""
    found = await context.store.user(tenant, name) if 0 < len(name) <= 64 and name.isprintable() else None
    if found is None:
        raise not_found("user", name)
    return found


async def users(
    context: ApiContext, principal: Principal, *, search: str | None = None, role: str | None = None
) -> list[types.User]:
    """Who may log in, by name; `search` is part of name or e-mail address."""
    principal.need("users:read")
    needle = (search or "").casefold()
    with_code = await second_factor.those_on(context, principal.tenant)
    seen = await _all_seen(context, principal.tenant)
    return [
        mapping.user(one, second_factor=one.name in with_code, last_login_at=seen.get(one.name))
        for one in await context.store.users(principal.tenant)
        if (role is None or one.role == role) and needle in f"{one.name}\n{one.email}".casefold()
    ]


async def user(context: ApiContext, principal: Principal, name: str) -> Tagged[types.User]:
    """One person. Raises Problem 404."""
    principal.need("users:read")
    return await tagged_user(context, await get(context, principal.tenant, name))


def may_give(context: ApiContext, principal: Principal, role: str, sites: Iterable[str] | None) -> None:
    """Raises Problem 403 for a role or reach beyond one's own, 422 for one that this tenant has not."""
    if role == "platform-admin" and principal.tenant != context.config.tenant:
        raise wrong("role", "platform admins are at home in the installation's own tenant alone")
    if principal.machine:
        return
    if not covers(principal.role, role):
        raise problem(
            "not-allowed",
            _("You are {role}, so you cannot give, change or take the role {role2}.", role=principal.role, role2=role),
        )
    if principal.sites is not None and (sites is None or not set(sites) <= principal.sites):
        raise problem("not-allowed", _("You cannot give sites that you do not see yourself."))


def _changing(context: ApiContext) -> asyncio.Lock:
    """One change of people at a time, so that two admins cannot remove each other at once."""
    return context.parts.setdefault(Seen, asyncio.Lock())


async def save(context: ApiContext, principal: Principal, data: types.NewUser) -> Tagged[types.User]:
    """Let somebody log in; where the name exists, set a new password and role. Raises Problem 403, 409, 422."""
    principal.need("users:write")
    check_password(data.password, data.name)
    if not data.name.isprintable():
        raise wrong("name", "holds characters that cannot be printed")
    verifier = await access_of(context).hash_password(data.password)
    async with _changing(context):
        known = await context.store.user(principal.tenant, data.name)
        now = context.scheduler.now()
        user = records.User(tenant=principal.tenant, name=data.name, password="", created_at=now)
        if known is not None:
            may_give(context, principal, known.role, known.sites)
            user = msgspec.structs.replace(known)
        user.password, user.changed_at = verifier, now
        await _set(context, principal, user, known, {name: getattr(data, name) for name in _PLAIN})
        await context.store.put_user(user)
    what = "users.change" if known else "users.create"
    await audit.record(context, principal, what, f"user {user.name}", detail=_told(user) | {"new_password": True})
    return await tagged_user(context, user)


async def change(
    context: ApiContext, principal: Principal, name: str, data: types.UserChange, *, if_match: str | None = None
) -> Tagged[types.User]:
    """Change what is given. A new password, or being switched off, ends their logins. Raises Problem 403, 404, 409."""
    principal.need("users:write")
    verifier = ""
    if data.password is not msgspec.UNSET:
        check_password(data.password, name)
        verifier = await access_of(context).hash_password(data.password)
    async with _changing(context):
        known = await get(context, principal.tenant, name)
        check(if_match, tag_of(known))
        may_give(context, principal, known.role, known.sites)
        user = msgspec.structs.replace(known)
        if verifier:
            user.password, user.changed_at = verifier, context.scheduler.now()
        await _set(context, principal, user, known, {one: getattr(data, one) for one in _PLAIN})
        await context.store.put_user(user)
    if not user.enabled:
        await access_of(context).logins.end_some(user.tenant, user.name)
    detail = {one: value for one, value in _told(user).items() if value != _told(known)[one]}
    if verifier:
        detail["new_password"] = True
    await audit.record(context, principal, "users.change", f"user {name}", detail=detail)
    return await tagged_user(context, user)


def _told(user: records.User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in _PLAIN}


async def _set(
    context: ApiContext, principal: Principal, user: records.User, known: records.User | None, given: dict[str, Any]
) -> None:
    """Put what is given into `user`. Raises Problem 403, 409, 422."""
    for field, value in given.items():
        if value is not msgspec.UNSET:
            setattr(user, field, value)
    if user.role not in ROLES:
        raise wrong("role", "there is no such role")
    scope = ROLES[user.role][0]
    if scope == "platform":
        user.sites = None
    if scope == "sites" and user.sites is None:
        user.sites = []
    if user.sites is not None:
        user.sites = sorted(set(user.sites))
        for site in user.sites:
            try:
                await check_site(context, principal.tenant, site)
            except Problem:
                raise wrong("sites", f"there is no site {site!r}") from None
    may_give(context, principal, user.role, user.sites)
    if known is not None and not (user.enabled and user.role in _ADMINS):
        await _not_the_last(context, principal, known)


async def _not_the_last(context: ApiContext, principal: Principal, known: records.User) -> None:
    """Raises Problem 409 where nobody else could administer. Whoever sits at the machine can always add somebody."""
    if principal.machine or principal.home or known.role not in _ADMINS or not known.enabled:
        return
    needed = ("platform-admin",) if known.role == "platform-admin" else _ADMINS
    others = [
        one
        for one in await context.store.users(known.tenant)
        if one.name != known.name and one.enabled and one.role in needed and (one.password or one.subject)
    ]
    if not others:
        raise problem("last-admin", _("{name} is the last {role}.", name=known.name, role=known.role))


async def remove(context: ApiContext, principal: Principal, name: str, *, if_match: str | None = None) -> None:
    """Remove somebody; their logins end at once. Raises Problem 403, 404, 409, 412."""
    principal.need("users:write")
    async with _changing(context):
        known = await get(context, principal.tenant, name)
        check(if_match, tag_of(known))
        may_give(context, principal, known.role, known.sites)
        await _not_the_last(context, principal, known)
        await context.store.delete_user(principal.tenant, name)
    await access_of(context).logins.end_some(principal.tenant, name)
    await second_factor.remove(context, principal.tenant, name)
    await audit.record(context, principal, "users.delete", f"user {name}")


async def reset_second_factor(context: ApiContext, principal: Principal, name: str) -> None:
    """Forget somebody's second factor and end their logins: for a phone that is lost. Raises Problem 403, 404."""
    principal.need("users:write")
    known = await get(context, principal.tenant, name)
    may_give(context, principal, known.role, known.sites)
    if not await second_factor.remove(context, principal.tenant, name):
        raise not_found("second factor", name)
    await access_of(context).logins.end_some(principal.tenant, name)
    await audit.record(context, principal, "users.reset-second-factor", f"user {name}")


async def roles(context: ApiContext, principal: Principal) -> list[types.RoleShown]:
    """The table of roles, the farthest first; how many have each, for those who may see people."""
    count: Counter[str] | None = None
    if principal.may("users:read"):
        count = Counter(one.role for one in await context.store.users(principal.tenant))
    return [
        types.RoleShown(
            role=role,
            scope=scope,
            permissions=sorted(given),
            people=None if count is None else count[role],
        )
        for role, (scope, given) in permissions.ROLES.items()
    ]
