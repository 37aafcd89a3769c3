"""People, their logins, the table of roles, and oneself."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import cookies, listing, types
from ..edit import IfMatch, tagged
from ..resources import logins, users
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

UserPath = Annotated[str, PathParameter(description="Name of the person")]
LoginPath = Annotated[str, PathParameter(description="Id of the login")]


def caller_of(request: PlainRequest) -> logins.Caller:
    """Where a request comes from."""
    client = request.client.host if request.client else "unknown"
    return logins.Caller(client, request.headers.get("user-agent", ""))


def secure(request: PlainRequest) -> bool:
    """Whether cookies are sent over HTTPS alone."""
    return cookies.is_secure(context_of(request).config, request.url.scheme)


def token_of(request: PlainRequest) -> str:
    """The token of the login that asks."""
    return request.cookies.get(cookies.login_name(secure(request)), "")


# -- people -----------------------------------------------------------------------------------------------------------
@get("/users", operation_id="listUsers", tags=["Access"], summary="List people")
async def list_users(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
    role: Annotated[str | None, QueryParameter(max_length=20, description="Only those with this role")] = None,
) -> types.UserPage:
    """Who may log in. Can be sorted by name, role, email, created_at and last_login_at."""
    found = await users.users(
        context_of(request), whoever(request), search=text_or_400("q", q), role=text_or_400("role", role)
    )
    page, after = listing.page_of(
        found,
        name="users",
        sort=sort,
        default="name",
        keys={
            "name": lambda one: one.name,
            "role": lambda one: one.role,
            "email": lambda one: one.email,
            "created_at": lambda one: one.created_at,
            "last_login_at": lambda one: one.last_login_at,
        },
        id_of=lambda one: one.name,
        cursor=cursor,
        limit=limit,
        filters={"q": q, "role": role},
    )
    return types.UserPage(items=page, next=after)


@get("/users/{name:str}", operation_id="getUser", tags=["Access"], summary="One person")
async def get_user(request: PlainRequest, name: UserPath) -> Response[types.User]:
    """Somebody who may log in."""
    return tagged(*await users.user(context_of(request), whoever(request), segment(name)))


@post(
    "/users",
    operation_id="putUser",
    tags=["Access"],
    summary="Add a person or set a password",
    status_code=200,
    body=types.NewUser,
)
async def put_user(request: PlainRequest) -> Response[types.User]:
    """Let somebody log in; where the name exists, set a new password and role, which ends their logins."""
    data = await body_of(request, types.NewUser)
    return tagged(*await users.save(context_of(request), whoever(request), data))


@patch(
    "/users/{name:str}", operation_id="changeUser", tags=["Access"], summary="Change a person", body=types.UserChange
)
async def change_user(request: PlainRequest, name: UserPath, if_match: IfMatch = None) -> Response[types.User]:
    """Change what is given, keep the rest. A new password, or being switched off, ends their logins.

    Nobody gives a role or sites that reach further than their own, and the last admin stays one.
    """
    data = await body_of(request, types.UserChange)
    return tagged(*await users.change(context_of(request), whoever(request), segment(name), data, if_match=if_match))


@delete("/users/{name:str}", operation_id="deleteUser", tags=["Access"], summary="Remove a person")
async def delete_user(request: PlainRequest, name: UserPath, if_match: IfMatch = None) -> None:
    """Their logins end at once. The last admin cannot be removed."""
    await users.remove(context_of(request), whoever(request), segment(name), if_match=if_match)


@delete(
    "/users/{name:str}/second-factor",
    operation_id="resetSecondFactor",
    tags=["Access"],
    summary="Reset a second factor",
)
async def reset_second_factor(request: PlainRequest, name: UserPath) -> None:
    """For a phone that is lost: the password alone is asked for again, and every login of the person ends."""
    await users.reset_second_factor(context_of(request), whoever(request), segment(name))


@get("/users/{name:str}/logins", operation_id="listUserLogins", tags=["Access"], summary="Somebody's logins")
async def list_user_logins(request: PlainRequest, name: UserPath) -> types.LoginPage:
    """The browsers in which a person is logged in, the newest first."""
    return types.LoginPage(items=await logins.logins_of(context_of(request), whoever(request), segment(name)))


@delete(
    "/users/{name:str}/logins",
    operation_id="endUserLogins",
    tags=["Access"],
    summary="End somebody's logins",
    status_code=200,
)
async def end_user_logins(request: PlainRequest, name: UserPath) -> types.Ended:
    """The person has to log in anew everywhere."""
    return await logins.end_logins_of(context_of(request), whoever(request), segment(name))


@get("/roles", operation_id="listRoles", tags=["Access"], summary="The table of roles")
async def list_roles(request: PlainRequest) -> types.RolePage:
    """Each role, how far it reaches, and what it may do."""
    return types.RolePage(items=await users.roles(context_of(request), whoever(request)))


# -- oneself ----------------------------------------------------------------------------------------------------------
@get("/me", operation_id="getMe", tags=["Access"], summary="Who am I?")
async def get_me(request: PlainRequest) -> types.Me:
    """Who is asking, how the request was let in, and what it may do."""
    return await logins.me(context_of(request), whoever(request))


@patch("/me", operation_id="changeMe", tags=["Access"], summary="Change oneself", body=types.MeChange)
async def change_me(request: PlainRequest) -> types.Me:
    """One's own e-mail address and language."""
    data = await body_of(request, types.MeChange)
    return await logins.change_me(context_of(request), whoever(request), data)


@post("/me/password", operation_id="changeMyPassword", tags=["Access"], summary="Change one's password", status_code=204, body=types.PasswordChange)  # fmt: skip  # noqa: E501
async def change_password(request: PlainRequest) -> Response[None]:
    """Every other login of the person ends; this one goes on, with a new cookie."""
    data = await body_of(request, types.PasswordChange)
    context = context_of(request)
    fresh = await logins.change_password(context, whoever(request), data, token_of(request), caller_of(request))
    answer = Response(None, status_code=204)
    if fresh:
        answer.set_cookie(cookies.login(fresh, days=context.config.login_days, secure=secure(request)))
    return answer


@post("/me/second-factor", operation_id="beginSecondFactor", tags=["Access"], summary="Set up an authenticator", status_code=200, body=types.Confirmation)  # fmt: skip  # noqa: E501
async def begin_second_factor(request: PlainRequest) -> types.SecondFactor:
    """A new secret, as text, address and QR code. It counts once a code was confirmed."""
    data = await body_of(request, types.Confirmation)
    return await logins.begin_second_factor(context_of(request), whoever(request), data, caller_of(request))


@post("/me/second-factor/confirm", operation_id="confirmSecondFactor", tags=["Access"], summary="Confirm the authenticator", status_code=200, body=types.CodeGiven)  # fmt: skip  # noqa: E501
async def confirm_second_factor(request: PlainRequest) -> types.RecoveryCodes:
    """From now on logging in takes a code. The recovery codes are in this answer and nowhere else."""
    data = await body_of(request, types.CodeGiven)
    return await logins.confirm_second_factor(context_of(request), whoever(request), data, caller_of(request))


@post("/me/second-factor/remove", operation_id="removeSecondFactor", tags=["Access"], summary="Remove the authenticator", status_code=204, body=types.Confirmation)  # fmt: skip  # noqa: E501
async def remove_second_factor(request: PlainRequest) -> None:
    """Log in with the password alone again."""
    data = await body_of(request, types.Confirmation)
    await logins.remove_second_factor(context_of(request), whoever(request), data, caller_of(request))


@post("/me/recovery-codes", operation_id="renewRecoveryCodes", tags=["Access"], summary="New recovery codes", status_code=200, body=types.Confirmation)  # fmt: skip  # noqa: E501
async def renew_recovery_codes(request: PlainRequest) -> types.RecoveryCodes:
    """They take the place of all before."""
    data = await body_of(request, types.Confirmation)
    return await logins.renew_recovery_codes(context_of(request), whoever(request), data, caller_of(request))


@post("/me/tenant", operation_id="workInTenant", tags=["Tenants"], summary="Work in a tenant", status_code=200, body=types.WorkIn)  # fmt: skip  # noqa: E501
async def work_in(request: PlainRequest) -> types.Me:
    """Everything that this login of a platform admin does from now on is done in this tenant."""
    data = await body_of(request, types.WorkIn)
    return await logins.work_in(context_of(request), whoever(request), data.tenant, token_of(request))


@get("/me/logins", operation_id="listMyLogins", tags=["Access"], summary="One's logins")
async def list_my_logins(request: PlainRequest) -> types.LoginPage:
    """The browsers in which one is logged in, the newest first."""
    return types.LoginPage(items=await logins.own_logins(context_of(request), whoever(request)))


@delete("/me/logins", operation_id="endMyLogins", tags=["Access"], summary="End one's other logins", status_code=200)
async def end_my_logins(request: PlainRequest) -> types.Ended:
    """All but the one that asks."""
    return await logins.end_own(context_of(request), whoever(request))


@delete(
    "/me/logins/{login_id:str}", operation_id="endMyLogin", tags=["Access"], summary="End one login", status_code=200
)
async def end_my_login(request: PlainRequest, login_id: LoginPath) -> types.Ended:
    """Log out in another browser."""
    return await logins.end_own(context_of(request), whoever(request), segment(login_id))


HANDLERS = [
    list_users, get_user, put_user, change_user, delete_user, reset_second_factor, list_user_logins, end_user_logins,
    list_roles, get_me, change_me, change_password, begin_second_factor, confirm_second_factor, remove_second_factor,
    renew_recovery_codes, work_in, list_my_logins, end_my_logins, end_my_login,
]  # fmt: skip
