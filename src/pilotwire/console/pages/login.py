"""Logging in, the second step, logging out at the provider, and one's own account."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast
from urllib.parse import quote, unquote

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery
from litestar.response import Redirect
from markupsafe import Markup

from pilotwire.api import cookies, language, types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import logins, oidc, tenants
from pilotwire.api.routes.common import whoever, whole_context
from pilotwire.api.routes.login import own_path
from pilotwire.api.routes.people import caller_of, secure, token_of
from pilotwire.crypto.vault import NotOurs

from ..forms import Form
from .common import PlainRequest, Text, context_of, page, redirect

_WHY = {
    "wrong": N_("Name or password is wrong."),
    "wait": N_("Too many failed attempts. Wait a minute, then try again."),
    "code": N_("The code is wrong, or was used before. Wait for the next one."),
    "again": N_("That took too long, or too many codes were tried. Log in again."),
    "suspended": N_("This tenant is suspended. Ask whoever runs this installation."),
    "provider": N_("Logging in through the provider has failed."),
}


def _gone(request: PlainRequest, name: str) -> Cookie:
    return cookies.made(name, "", max_age=0, secure=secure(request))


@get("/login")
async def login(
    request: PlainRequest, next: FromQuery[str] = "/", why: FromQuery[str] = "", tenant: FromQuery[str] = ""
) -> Response[Any]:
    """The form; whoever is in already goes on."""
    if request.scope.get("state", {}).get("principal") is not None:
        return cast("Response[Any]", Redirect(own_path(next), status_code=303))
    whole = whole_context(request)
    wanted = tenant[:40]
    answer = page(
        request,
        "login.html",
        next=own_path(next),
        why=_WHY.get(why, ""),
        told=unquote(request.cookies.get(cookies.SAID, ""))[:400] if why == "provider" else "",
        name=unquote(request.cookies.get(cookies.TYPED, ""))[:64] if why else "",
        tenant=wanted,
        several=bool(wanted) or await tenants.several(whole),
        provider=await oidc.label(whole, wanted or whole.config.tenant),
        provider_address=f"/login/oidc?next={quote(own_path(next), safe='')}&tenant={quote(wanted, safe='')}",
    )
    if cookies.SAID in request.cookies:
        answer.set_cookie(_gone(request, cookies.SAID))
    return answer


@get("/login/code")
async def code(request: PlainRequest, next: FromQuery[str] = "/", why: FromQuery[str] = "") -> Response[Any]:
    """The second step."""
    if request.scope.get("state", {}).get("principal") is not None:
        return cast("Response[Any]", Redirect(own_path(next), status_code=303))
    if cookies.PENDING not in request.cookies:
        return cast("Response[Any]", Redirect(f"/login?next={quote(own_path(next), safe='')}", status_code=303))
    return page(request, "login_code.html", next=own_path(next), why=_WHY.get(why, ""))


@get("/login/out")
async def out(request: PlainRequest) -> Response[Any]:
    """Here they are logged out; on to the provider, to be so there too."""
    try:
        url = oidc.unlocked_logout(whole_context(request), unquote(request.cookies.get(cookies.OUT, "")))
    except NotOurs:
        return cast("Response[Any]", Redirect("/login", status_code=303))
    answer = page(request, "login_out.html", url=url)
    answer.set_cookie(_gone(request, cookies.OUT))
    return answer


# -- one's own account ------------------------------------------------------------------------------------------------
async def _profile(request: PlainRequest, form: Form | None = None, part: str = "", **values: Any) -> Response[Any]:
    """The page. `form` and `part`: the form that was sent, and which one."""
    context, principal = context_of(request), whoever(request)
    mine = await logins.me(context, principal)
    forms: dict[str, Form] = {name: Form() for name in ("me", "password", "factor", "confirm")}
    forms["me"] = Form.of(mine)
    if form is not None:
        forms[part] = form
    return page(
        request,
        "login_profile.html",
        crumbs=[(_("Your login"), None)],
        status=422 if form is not None and form.bad else 200,
        me=mine,
        forms=forms,
        spoken=list(language.languages().items()),
        logins=await logins.own_logins(context, principal) if principal.by == "login" else [],
        **{"setup": None, "codes": None, **values},
    )


async def _done(
    request: PlainRequest, form: Form, part: str, work: Awaitable[Any], said: str, anchor: str = ""
) -> Response[Any]:
    """Do it and say so, or show the page with what was wrong."""
    try:
        await work
    except Problem as refused:
        form.fail(refused)
        return await _profile(request, form, part)
    return redirect(request, f"/profile{anchor}", "good", said)


def _given(kind: Any, form: Form, fields: dict[str, Any]) -> Any:
    """The body of the API's call; what its type does not allow is noted in the form."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        text, _sep, where = str(error).partition(" - at `$.")
        form.wrong(where.rstrip("`") or next(iter(fields)), text)
        return None


@get("/profile")
async def profile(request: PlainRequest) -> Response[Any]:
    """Who one is, the password, the second factor, the browsers in which one is logged in."""
    return await _profile(request)


@post("/profile", status_code=200)
async def change(request: PlainRequest) -> Response[Any]:
    """E-mail address and language."""
    form = await Form.read(request)
    data = _given(types.MeChange, form, {"email": form.get("email"), "language": form.get("language")})
    if data is None:
        return await _profile(request, form, "me")
    work = logins.change_me(context_of(request), whoever(request), data)
    answer = await _done(request, form, "me", work, _("Saved."))
    if not form.bad:
        chosen = form.get("language")
        spoken = Cookie(
            key=language.COOKIE, value=chosen, max_age=31_536_000 if chosen else 0, path="/", samesite="lax"
        )
        answer.set_cookie(spoken)
    return answer


@post("/profile/password", status_code=200)
async def password(request: PlainRequest) -> Response[Any]:
    """A new one; every other login ends."""
    form = await Form.read(request)
    fields = {name: (form.values.get(name) or [""])[0] for name in ("current", "new", "again")}
    if fields["new"] != fields["again"]:
        form.wrong("again", _("This is not the same as the new password."))
    data = _given(types.PasswordChange, form, {"current": fields["current"], "new": fields["new"]})
    if data is None or form.bad:
        return await _profile(request, form, "password")
    context = context_of(request)
    try:
        fresh = await logins.change_password(context, whoever(request), data, token_of(request), caller_of(request))
    except Problem as refused:
        form.fail(refused)
        return await _profile(request, form, "password")
    answer = redirect(request, "/profile", "good", _("The password is changed. Every other login has ended."))
    if fresh:
        answer.set_cookie(cookies.login(fresh, days=context.config.login_days, secure=secure(request)))
    return answer


def _password_of(form: Form) -> types.Confirmation:
    return types.Confirmation(password=(form.values.get("password") or [""])[0][:256])


@post("/profile/second-factor", status_code=200)
async def begin_factor(request: PlainRequest) -> Response[Any]:
    """The QR code to scan."""
    form = await Form.read(request)
    try:
        setup = await logins.begin_second_factor(
            context_of(request), whoever(request), _password_of(form), caller_of(request)
        )
    except Problem as refused:
        form.fail(refused)
        return await _profile(request, form, "factor")
    return await _profile(request, setup=setup, qr=Markup(setup.qr_svg))  # noqa: S704 - drawn by us


@post("/profile/second-factor/confirm", status_code=200)
async def confirm_factor(request: PlainRequest) -> Response[Any]:
    """It counts from now on; the recovery codes are shown this once."""
    form = await Form.read(request)
    data = types.CodeGiven(code=form.get("code")[:32])
    try:
        made = await logins.confirm_second_factor(context_of(request), whoever(request), data, caller_of(request))
    except Problem as refused:
        form.fail(refused)
        return await _profile(request, form, "confirm")
    return await _profile(request, codes=made.codes)


@post("/profile/second-factor/remove", status_code=200)
async def remove_factor(request: PlainRequest) -> Response[Any]:
    """The password alone again."""
    form = await Form.read(request)
    work = logins.remove_second_factor(context_of(request), whoever(request), _password_of(form), caller_of(request))
    return await _done(request, form, "factor", work, _("The password alone is asked for again."))


@post("/profile/recovery-codes", status_code=200)
async def renew_codes(request: PlainRequest) -> Response[Any]:
    """New ones in place of all before."""
    form = await Form.read(request)
    try:
        made = await logins.renew_recovery_codes(
            context_of(request), whoever(request), _password_of(form), caller_of(request)
        )
    except Problem as refused:
        form.fail(refused)
        return await _profile(request, form, "factor")
    return await _profile(request, codes=made.codes)


@post("/profile/logins", status_code=200)
async def end_logins(request: PlainRequest) -> Response[Any]:
    """Log out in every other browser."""
    ended = await logins.end_own(context_of(request), whoever(request))
    said = language.several(ended.ended, "{n} login has ended.", "{n} logins have ended.")
    return redirect(request, "/profile", "good", said)


@post("/profile/logins/{login_id:str}", status_code=200)
async def end_login(request: PlainRequest, login_id: Text) -> Response[Any]:
    """Log out in another browser."""
    await logins.end_own(context_of(request), whoever(request), login_id)
    return redirect(request, "/profile", "good", _("The login has ended."))


HANDLERS: list[Any] = [
    login, code, out, profile, change, password, begin_factor, confirm_factor, remove_factor, renew_codes, end_logins,
    end_login,
]  # fmt: skip
