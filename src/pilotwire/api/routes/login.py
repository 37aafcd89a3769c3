"""Logging in and out. The page is the console's; here is what it posts to."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from .. import types
from ..access import COOKIE, access_of
from ..problems import Problem, problem
from .common import PlainRequest, bad_body, body_of, whole_context

_MAX_FORM = 16_384


def own_path(target: str) -> str:
    """`target` if it is a path on this server, else "/": a login never leads elsewhere."""
    plain = target.isprintable() and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if plain else "/"


def _cookie(request: PlainRequest, value: str, max_age: int) -> Cookie:
    secure = whole_context(request).config.secure_cookies or request.url.scheme == "https"
    return Cookie(key=COOKIE, value=value, max_age=max_age, path="/", httponly=True, samesite="lax", secure=secure)


async def _read(request: PlainRequest) -> tuple[types.Login, bool]:
    """The login and whether a form (a person's browser) sent it."""
    if request.content_type[0] == "application/x-www-form-urlencoded":
        if int(request.headers.get("content-length", "0") or 0) > _MAX_FORM:
            raise problem("too-large")
        form = await request.form()
        fields = {name: str(form.get(name) or "") for name in ("name", "password")}
        return msgspec.convert({**fields, "next": str(form.get("next") or "/")}, types.Login), True
    return await body_of(request, types.Login), False


@post("/login", include_in_schema=False, status_code=200)
async def log_in(request: PlainRequest) -> Response[bytes]:
    """JSON {"name", "password"} → Me and a cookie; a form → a redirect. 401 when wrong, 429 after five failures."""
    context = whole_context(request)
    try:
        login, by_form = await _read(request)
    except msgspec.ValidationError as error:
        raise bad_body(error) from None
    client = request.client.host if request.client else "unknown"
    try:
        token, user = await access_of(context).log_in(context.config.tenant, login.name, login.password, client)
    except Problem as refused:
        if by_form and refused.status in (401, 429):
            why = "wait" if refused.status == 429 else "wrong"
            return Redirect(f"/login?why={why}&next={quote(own_path(login.next), safe='')}", status_code=303)  # type: ignore[return-value]
        raise
    cookie = _cookie(request, token, context.config.login_days * 86_400)
    if by_form:
        return Redirect(own_path(login.next), status_code=303, cookies=[cookie])  # type: ignore[return-value]
    body = msgspec.json.encode(types.Me(name=user.name, role=user.role, by="login"))
    return Response(body, media_type="application/json", cookies=[cookie])


@post("/logout", include_in_schema=False, status_code=303)
async def log_out(request: PlainRequest) -> Redirect:
    """Ends this login for good."""
    if token := request.cookies.get(COOKIE):
        await access_of(whole_context(request)).log_out(token)
    return Redirect("/login", status_code=303, cookies=[_cookie(request, "", 0)])


HANDLERS = [log_in, log_out]
