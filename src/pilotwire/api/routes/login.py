"""Logging in and out. The pages are the console's; here is what they post to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery
from litestar.response import Redirect

from .. import cookies, types
from ..problems import Problem, problem
from ..resources import logins, oidc
from .common import PlainRequest, bad_body, body_of, whole_context
from .people import caller_of, secure, token_of

_MAX_FORM = 16_384
_WHY = {"bad-login": "wrong", "too-many-attempts": "wait", "tenant-suspended": "suspended", "bad-code": "code"}
_TYPED_S = 120


def own_path(target: str) -> str:
    """`target` if it is a path on this server, else "/": a login never leads elsewhere."""
    plain = target.isprintable() and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if plain else "/"


def to_login(why: str, next: str, *, page: str = "/login", tenant: str = "", typed: Cookie | None = None) -> Redirect:
    """Back to the form. What was typed goes along in a cookie, so that no name stands in an address."""
    more = f"&{urlencode({'tenant': tenant})}" if tenant else ""
    target = f"{page}?why={why}&next={quote(own_path(next), safe='')}{more}"
    return Redirect(target, status_code=303, cookies=[typed] if typed else None)


def welcome(request: PlainRequest, done: logins.LoggedIn, next: str) -> Redirect:
    """On to the page that was wanted, with the cookie of the new login; what was needed on the way is forgotten."""
    return Redirect(own_path(next), status_code=303, cookies=[_cookie(request, done.token), *_forget(request)])


def _cookie(request: PlainRequest, token: str) -> Cookie:
    return cookies.login(token, days=whole_context(request).config.login_days, secure=secure(request))


def _forget(request: PlainRequest) -> list[Cookie]:
    passing = (cookies.PENDING, cookies.TYPED, cookies.OIDC, cookies.SAID)
    given = [name for name in passing if name in request.cookies]
    return [cookies.made(name, "", max_age=0, secure=secure(request)) for name in given]


async def _form(request: PlainRequest, *names: str) -> dict[str, str]:
    if int(request.headers.get("content-length", "0") or 0) > _MAX_FORM:
        raise problem("too-large")
    form = await request.form()
    return {name: str(form.get(name) or "") for name in names}


def _by_form(request: PlainRequest) -> bool:
    """A person's browser sends a form, a program JSON."""
    return request.content_type[0] == "application/x-www-form-urlencoded"


@post("/login", include_in_schema=False, status_code=200)
async def log_in(request: PlainRequest) -> Response[Any]:
    """JSON {"name", "password", "tenant"?, "code"?} → Me and a cookie; a form → a redirect. 401 when wrong or when a
    code is needed besides, 403 while the tenant is suspended, 429 after five failures."""
    context, by_form = whole_context(request), _by_form(request)
    try:
        if by_form:
            given = await _form(request, "name", "password", "tenant")
            given["next"] = str((await request.form()).get("next") or "/")
            login = msgspec.convert(given, types.Login)
        else:
            login = await body_of(request, types.Login)
    except msgspec.ValidationError as error:
        raise bad_body(error) from None
    tenant = login.tenant or context.config.tenant
    try:
        done = await logins.log_in(context, tenant, login.name, login.password, caller_of(request), code=login.code)
    except Problem as refused:
        if by_form and (why := _WHY.get(refused.name)):
            typed = cookies.made(cookies.TYPED, quote(login.name, safe=""), max_age=_TYPED_S, secure=secure(request))
            return to_login(why, login.next, tenant=login.tenant, typed=typed)
        raise
    if isinstance(done, logins.CodeAwaited):
        if not by_form:
            raise problem("code-needed")
        pending = cookies.made(cookies.PENDING, done.token, max_age=300, secure=secure(request))
        target = f"/login/code?next={quote(own_path(login.next), safe='')}"
        return Redirect(target, status_code=303, cookies=[pending])
    if by_form:
        return welcome(request, done, login.next)
    body = msgspec.json.encode({"name": done.user.name, "role": done.user.role, "by": "login"})
    return Response(body, media_type="application/json", cookies=[_cookie(request, done.token)])


@post("/login/code", include_in_schema=False, status_code=303)
async def give_code(request: PlainRequest) -> Redirect:
    """The second step of a form: the code of the authenticator, or a recovery code."""
    given = await _form(request, "code", "next")
    pending = request.cookies.get(cookies.PENDING, "")
    try:
        done = await logins.give_code(whole_context(request), pending, given["code"][:64], caller_of(request))
    except Problem as refused:
        match refused.name:
            case "bad-code":
                return to_login("code", given["next"], page="/login/code")
            case "too-many-attempts":
                return to_login("wait", given["next"], page="/login/code")
            case _:
                return to_login("again", given["next"])
    return welcome(request, done, given["next"])


def base_of(request: PlainRequest) -> str:
    """Our own address as this browser reaches it."""
    scheme = "https" if secure(request) else request.url.scheme
    return f"{scheme}://{request.headers.get('host', 'localhost')}"


@get("/login/oidc", include_in_schema=False, status_code=303)
async def to_provider(request: PlainRequest, next: FromQuery[str] = "/", tenant: FromQuery[str] = "") -> Redirect:
    """On to the login provider of the tenant."""
    context = whole_context(request)
    try:
        url, state = await oidc.begin(
            context, tenant or context.config.tenant, own_path(next), base_of(request), caller_of(request).client
        )
    except Problem as refused:
        return _sorry(request, refused, next, tenant)
    kept = cookies.made(cookies.OIDC, state, max_age=oidc.ATTEMPT_MS // 1000, secure=secure(request))
    return Redirect(url, status_code=303, cookies=[kept])


@get(oidc.CALLBACK, include_in_schema=False, status_code=303)
async def from_provider(request: PlainRequest) -> Redirect:
    """The way back from there: `state`, and `code` or `error`."""
    given = request.query_params
    answer = oidc.Answer(
        state=given.get("state", "")[:200],
        code=given.get("code", "")[:4000],
        iss=given.get("iss", "")[:500],
        error=given.get("error", "")[:200],
        error_description=given.get("error_description", "")[:500],
    )
    begun = request.cookies.get(cookies.OIDC, "")
    try:
        done, next = await oidc.finish(whole_context(request), answer, begun, base_of(request), caller_of(request))
    except Problem as refused:
        return _sorry(request, refused, "/", "")
    return welcome(request, done, next)


def _sorry(request: PlainRequest, refused: Problem, next: str, tenant: str) -> Redirect:
    """Back to the form with what went wrong, in a cookie for the next page alone."""
    text = quote(refused.details.detail[:400], safe="")
    said = cookies.made(cookies.SAID, text, max_age=_TYPED_S, secure=secure(request))
    return to_login("provider", next, tenant=tenant, typed=said)


@post("/logout", include_in_schema=False, status_code=303)
async def log_out(request: PlainRequest) -> Redirect:
    """Ends this login for good. Whoever came through a login provider is led there to log out too, by a page of ours:
    the content security policy lets a form lead to no other site."""
    context, token = whole_context(request), token_of(request)
    record = await logins.log_out(context, token) if token else None
    ended = [_cookie(request, "")]
    locked = await oidc.logout_url(context, record, base_of(request)) if record is not None else ""
    if not locked:
        return Redirect("/login", status_code=303, cookies=ended)
    out = cookies.made(cookies.OUT, locked, max_age=_TYPED_S, secure=secure(request))
    return Redirect("/login/out", status_code=303, cookies=[*ended, out])


HANDLERS = [log_in, give_code, to_provider, from_provider, log_out]
