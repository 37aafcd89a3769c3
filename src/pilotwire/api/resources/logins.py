"""Logging in and out, one's own account, and the logins of people.

Logging in takes the whole context: who asks is not known yet. All else takes what the request is served with.
"""

from __future__ import annotations

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import permissions, records

from .. import audit, second_factor, types
from ..access import Access, Principal, access_of, rights_of, stamp_of
from ..context import ApiContext
from ..language import _
from ..logins import LoginRecord
from ..passwords import check_password, wrong
from ..problems import Problem, not_found, problem
from . import users


class Caller(msgspec.Struct, frozen=True):
    """Where a login comes from."""

    client: str
    """Address."""
    agent: str = ""


class LoggedIn(msgspec.Struct, frozen=True):
    """Somebody is in."""

    user: records.User
    token: str


class CodeAwaited(msgspec.Struct, frozen=True):
    """The password was right; the second factor is awaited."""

    user: records.User
    token: str


async def log_in(
    whole: ApiContext, tenant: str, name: str, password: str, caller: Caller, *, code: str = ""
) -> LoggedIn | CodeAwaited:
    """Check name and password, and `code` where the person has a second factor. Raises Problem 401, 403, 429."""
    access = access_of(whole)
    try:
        user = await access.check_password(tenant, name, password, caller.client)
    except Problem as refused:
        await _note_refusal(whole, access, tenant, name, caller, refused)
        raise
    await access.admit(tenant)
    if not await second_factor.is_on(whole, tenant, user.name):
        return await _let(whole, user, caller, "password")
    if not code:
        return CodeAwaited(user, await access.logins.await_code(user, stamp_of(user)))
    return await _with_code(whole, user, code, caller)


async def _note_refusal(
    whole: ApiContext, access: Access, tenant: str, name: str, caller: Caller, refused: Problem
) -> None:
    """A wrong password for somebody whom there is goes into the log; the limiter bounds how often."""
    if refused.status != 401:
        return
    user = await whole.store.user(tenant, name)
    if user is not None:
        await audit.record(
            whole, access.principal_of(user), "logins.refuse", f"user {name}", detail={"client": caller.client}
        )


async def give_code(whole: ApiContext, token: str, code: str, caller: Caller) -> LoggedIn:
    """The second step, with the token of `CodeAwaited`. Raises Problem 401 `bad-code`, or `login-needed` when it is
    too late or was tried too often."""
    access = access_of(whole)
    awaited = await access.logins.awaited(token)
    user = await whole.store.user(awaited.tenant, awaited.name) if awaited else None
    if awaited is None or user is None or not user.enabled or stamp_of(user) != awaited.stamp:
        raise problem("login-needed", _("The first step is too long ago, or too many codes were tried."))
    await access.admit(user.tenant)
    done = await _with_code(whole, user, code, caller)
    await access.logins.forget_awaited(token)
    return done


async def _with_code(whole: ApiContext, user: records.User, code: str, caller: Caller) -> LoggedIn:
    access = access_of(whole)
    keys = access.counted(user.tenant, f"{user.name} code", caller.client)
    how = await second_factor.check(whole, user.tenant, user.name, code)
    if not how:
        detail: dict[str, object] = {"client": caller.client, "factor": "second"}
        await audit.record(whole, access.principal_of(user), "logins.refuse", f"user {user.name}", detail=detail)
        raise problem("bad-code")
    access.limiter.succeeded(*keys)
    return await _let(whole, user, caller, "recovery" if how == "recovery" else "password and code")


async def _let(
    whole: ApiContext, user: records.User, caller: Caller, by: str, *, id_token: str = "", provider: str = ""
) -> LoggedIn:
    access = access_of(whole)
    token, record = await access.logins.make(
        user,
        stamp_of(user),
        rights_of(user),
        by=by,
        client=caller.client,
        agent=caller.agent,
        id_token=id_token,
        provider=provider,
    )
    await users.note_seen(whole, user)
    who = access.principal_of(user, login=record.id)
    detail: dict[str, object] = {"client": caller.client, "with": by}
    await audit.record(whole, who, "logins.log-in", f"user {user.name}", detail=detail)
    return LoggedIn(user, token)


async def let_external(whole: ApiContext, user: records.User, caller: Caller, id_token: str, provider: str) -> LoggedIn:
    """Somebody whom the OpenID provider of the tenant `provider` has vouched for. Raises Problem 403."""
    await access_of(whole).admit(user.tenant)
    locked = second_factor.vault_of(whole).lock("id token", id_token)
    return await _let(whole, user, caller, "oidc", id_token=locked, provider=provider)


async def log_out(whole: ApiContext, token: str) -> LoginRecord | None:
    """End the login for good; returns what it was."""
    access = access_of(whole)
    record = await access.logins.end(token)
    user = await whole.store.user(record.tenant, record.name) if record else None
    if record is not None and user is not None:
        who = access.principal_of(user, login=record.id)
        await audit.record(whole, who, "logins.log-out", f"user {user.name}")
    return record


# -- oneself ----------------------------------------------------------------------------------------------------------
async def _own(context: ApiContext, principal: Principal) -> tuple[ApiContext, records.User]:
    """The record of the person who asks, with the context of where they are at home. Raises Problem 409."""
    if principal.by != "login":
        raise problem("not-a-person")
    home = principal.home or principal.tenant
    whole = access_of(context).context
    user = await whole.store.user(home, principal.name)
    if user is None:
        raise problem("not-a-person")
    return whole, user


async def me(context: ApiContext, principal: Principal) -> types.Me:
    """Who is asking."""
    user = records.User(tenant=principal.tenant, name=principal.name, password="")
    with_code = False
    if principal.by == "login":
        whole, user = await _own(context, principal)
        with_code = await second_factor.is_on(whole, user.tenant, user.name)
    scope_of_role = permissions.ROLES.get(principal.role, ("own", frozenset[str]()))
    return types.Me(
        name=principal.name,
        role=principal.role,
        by="key" if principal.by == "system" else principal.by,
        tenant=principal.tenant,
        home_tenant=principal.home or principal.tenant,
        permissions=sorted(scope_of_role[1]),
        sites=None if principal.sites is None else sorted(principal.sites),
        tokens=None if principal.tokens is None else sorted(principal.tokens),
        email=user.email,
        language=user.language,
        second_factor=with_code,
        password_set=bool(user.password),
    )


async def change_me(context: ApiContext, principal: Principal, data: types.MeChange) -> types.Me:
    """One's own e-mail address and language."""
    whole, user = await _own(context, principal)
    given = {name: getattr(data, name) for name in ("email", "language") if getattr(data, name) is not msgspec.UNSET}
    for name, value in given.items():
        setattr(user, name, value)
    await whole.store.put_user(user)
    await audit.record(whole, _at_home(principal), "users.change", f"user {user.name}", detail=given)
    return await me(context, principal)


def _at_home(principal: Principal) -> Principal:
    return msgspec.structs.replace(principal, tenant=principal.home or principal.tenant)


async def _confirmed(whole: ApiContext, user: records.User, password: str, caller: Caller, field: str) -> None:
    """Raises Problem 422 unless this is the person's password; 429 after too many tries."""
    access = access_of(whole)
    keys = access.counted(user.tenant, user.name, caller.client)
    if not user.password or not await access.verify(password, user.password):
        raise wrong(field, "this is not your password")
    access.limiter.succeeded(*keys)


async def change_password(
    context: ApiContext, principal: Principal, data: types.PasswordChange, token: str, caller: Caller
) -> str:
    """A new password. Every other login ends; this one's token is replaced by the one returned. Raises Problem 422."""
    whole, user = await _own(context, principal)
    await _confirmed(whole, user, data.current, caller, "current")
    check_password(data.new, user.name, "new")
    if data.new == data.current:
        raise wrong("new", "the password is the one that you have")
    access = access_of(whole)
    user.password, user.changed_at = await access.hash_password(data.new), whole.scheduler.now()
    found = await access.logins.find(token)
    await whole.store.put_user(user)
    fresh = ""
    if found is not None:
        fresh = await access.logins.rotate(found, rights_of(user), stamp=stamp_of(user))
    await access.logins.end_some(user.tenant, user.name, but=principal.login)
    detail: dict[str, object] = {"own": True, "new_password": True}
    await audit.record(whole, _at_home(principal), "users.change", f"user {user.name}", detail=detail)
    return fresh


async def begin_second_factor(
    context: ApiContext, principal: Principal, data: types.Confirmation, caller: Caller
) -> types.SecondFactor:
    """A new secret for one's authenticator; `confirm_second_factor` makes it count. Raises Problem 409, 422."""
    whole, user = await _own(context, principal)
    await _confirmed(whole, user, data.password, caller, "password")
    secret = await second_factor.begin(whole, user.tenant, user.name)
    uri = second_factor.uri_of(user.name, user.tenant, secret)
    return types.SecondFactor(secret=secret, uri=uri, qr_svg=second_factor.qr_of(uri))


async def confirm_second_factor(
    context: ApiContext, principal: Principal, data: types.CodeGiven, caller: Caller
) -> types.RecoveryCodes:
    """From now on logging in takes a code. The recovery codes are shown this once. Raises Problem 422, 429."""
    whole, user = await _own(context, principal)
    access = access_of(whole)
    keys = access.counted(user.tenant, f"{user.name} code", caller.client)
    codes = await second_factor.confirm(whole, user.tenant, user.name, "".join(data.code.split()))
    if codes is None:
        raise wrong("code", "this is not the code that the authenticator shows now")
    access.limiter.succeeded(*keys)
    await audit.record(whole, _at_home(principal), "users.set-second-factor", f"user {user.name}")
    return types.RecoveryCodes(codes=codes)


async def remove_second_factor(
    context: ApiContext, principal: Principal, data: types.Confirmation, caller: Caller
) -> None:
    """Log in with the password alone again. Raises Problem 404, 422."""
    whole, user = await _own(context, principal)
    await _confirmed(whole, user, data.password, caller, "password")
    if not await second_factor.remove(whole, user.tenant, user.name):
        raise not_found("second factor", user.name)
    await audit.record(whole, _at_home(principal), "users.remove-second-factor", f"user {user.name}")


async def renew_recovery_codes(
    context: ApiContext, principal: Principal, data: types.Confirmation, caller: Caller
) -> types.RecoveryCodes:
    """New codes in place of all before. Raises Problem 404, 422."""
    whole, user = await _own(context, principal)
    await _confirmed(whole, user, data.password, caller, "password")
    codes = await second_factor.renew_codes(whole, user.tenant, user.name)
    if codes is None:
        raise not_found("second factor", user.name)
    await audit.record(whole, _at_home(principal), "users.renew-recovery", f"user {user.name}")
    return types.RecoveryCodes(codes=codes)


async def work_in(context: ApiContext, principal: Principal, tenant: str, token: str) -> types.Me:
    """Let a platform admin's login work in a tenant from now on. Raises Problem 403, 404, 409."""
    whole, user = await _own(context, principal)
    access = access_of(whole)
    there = await access.work_in(access.principal_of(user, login=principal.login), tenant)
    await access.logins.work_in(token, "" if tenant == user.tenant else tenant)
    await audit.record(whole, there, "logins.work-in", f"tenant {tenant}")
    return await me(whole, there)


# -- logins -----------------------------------------------------------------------------------------------------------
def _shown(record: LoginRecord, principal: Principal) -> types.LoginShown:
    return types.LoginShown(
        id=record.id,
        current=record.id == principal.login,
        by=record.by,
        client=record.client,
        agent=record.agent,
        made_at=to_rfc3339(record.made_at),
        seen_at=to_rfc3339(record.seen_at),
        expires_at=to_rfc3339(record.expires_at),
    )


async def own_logins(context: ApiContext, principal: Principal) -> list[types.LoginShown]:
    """One's own logins, the newest first."""
    whole, user = await _own(context, principal)
    found = await access_of(whole).logins.of(user.tenant, user.name)
    return [_shown(one, principal) for one in found]


async def end_own(context: ApiContext, principal: Principal, login_id: str = "") -> types.Ended:
    """End one of one's logins, or all but the one that asks. Raises Problem 404."""
    whole, user = await _own(context, principal)
    if login_id:
        ended = await access_of(whole).logins.end_some(user.tenant, user.name, only=login_id)
        if not ended:
            raise not_found("login", login_id)
    else:
        ended = await access_of(whole).logins.end_some(user.tenant, user.name, but=principal.login)
    await audit.record(whole, _at_home(principal), "logins.end", f"user {user.name}", detail={"logins": ended})
    return types.Ended(ended=ended)


async def logins_of(context: ApiContext, principal: Principal, name: str) -> list[types.LoginShown]:
    """Somebody's logins. Raises Problem 404."""
    principal.need("users:read")
    user = await users.get(context, principal.tenant, name)
    return [_shown(one, principal) for one in await access_of(context).logins.of(user.tenant, user.name)]


async def end_logins_of(context: ApiContext, principal: Principal, name: str) -> types.Ended:
    """End all of somebody's logins. Raises Problem 403, 404."""
    principal.need("users:write")
    user = await users.get(context, principal.tenant, name)
    users.may_give(context, principal, user.role, user.sites)
    ended = await access_of(context).logins.end_some(user.tenant, user.name)
    await audit.record(context, principal, "logins.end", f"user {name}", detail={"logins": ended})
    return types.Ended(ended=ended)
