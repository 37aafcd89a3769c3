"""Settings: the people who log in, the table of roles. What else there is has modules of its own."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _, languages, several
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import logins, sites, users
from pilotwire.domain.permissions import ROLES, covers

from ..forms import Form
from ..words import PERMISSIONS, word
from .common import PlainRequest, Text, allowed, page, redirect, segment, whoever
from .editing import ETAG, again, body, lists, words_of
from .settings_tabs import tabs


@get("/settings")
async def settings(request: PlainRequest) -> Response[Any]:
    """The first part that this person may open."""
    found = tabs(whoever(request))
    if not found:
        raise problem("not-allowed")
    return Redirect(found[0][2], status_code=303)  # type: ignore[return-value]


def crumbs(*more: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """The path to a page of the settings."""
    return [(_("Settings"), "/settings"), *more]


def roles_to_give(context: ApiContext, principal: Principal) -> list[tuple[str, str]]:
    """Roles that this person may give, for a choice."""
    return [
        (role, _(word("role", role).name))
        for role in ROLES
        if (principal.machine or covers(principal.role, role))
        and (role != "platform-admin" or principal.tenant == context.config.tenant)
    ]


async def sites_to_give(context: ApiContext, principal: Principal) -> list[tuple[str, str]]:
    """Sites for a choice."""
    if not principal.may("sites:read"):
        return []
    named = await sites.names(context, principal)
    return sorted(named.items(), key=lambda pair: pair[1].casefold())


# -- people -----------------------------------------------------------------------------------------------------------
@get("/settings/people")
async def people(request: PlainRequest, q: Annotated[str, QueryParameter(max_length=100)] = "") -> Response[Any]:
    """Who may log in."""
    context, principal = allowed(request, "users:read")
    return page(
        request,
        "settings/people.html",
        here="settings",
        crumbs=crumbs((_("People"), None)),
        tabs=tabs(principal),
        items=await users.users(context, principal, search=q or None),
        sites=dict(await sites_to_give(context, principal)),
        q=q,
        may_write=principal.may("users:write"),
    )


async def _person_page(
    request: PlainRequest, form: Form, shown: types.User | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "users:read")
    roles = roles_to_give(context, principal)
    may_write = principal.may("users:write") and (shown is None or shown.role in dict(roles))
    return page(
        request,
        "settings/person.html",
        here="settings",
        crumbs=crumbs((_("People"), "/settings/people"), (shown.name if shown else _("New person"), None)),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        roles=roles,
        reach={role: ROLES[role][0] for role, _name in roles},
        sites=await sites_to_give(context, principal),
        tongues=[("", _("as the browser asks")), *languages().items()],
        logins=await logins.logins_of(context, principal, shown.name) if shown else [],
        may_write=may_write,
    )


def _person_body(form: Form) -> dict[str, Any]:
    role = form.get("role") or "viewer"
    reaches = role in ROLES and ROLES[role][0] != "platform"
    given: dict[str, Any] = {"role": role, "email": form.get("email"), "language": form.get("language")}
    given["sites"] = form.all("sites") if reaches and form.get("reach") == "some" else None
    given["tokens"] = words_of(form.get("tokens")) if role == "driver" else []
    return given


def _filled(user: types.User) -> Form:
    form = Form.of(user)
    form.values["reach"] = ["all" if user.sites is None else "some"]
    form.values["sites"] = list(user.sites or [])
    form.values["tokens"] = ["\n".join(user.tokens)]
    return form


@get("/settings/people/new")
async def new_person(request: PlainRequest) -> Response[Any]:
    """A form for somebody new."""
    allowed(request, "users:write")
    return await _person_page(request, Form({"role": ["operator"], "reach": ["all"], "enabled": ["on"]}), None, "")


@post("/settings/people/new")
async def add_person(request: PlainRequest) -> Response[Any]:
    """Let somebody in; whoever is known already is not overwritten."""
    context, principal = allowed(request, "users:write")
    form = await Form.read(request)
    try:
        given = {"name": form.get("name"), "password": form.values.get("password", [""])[0], **_person_body(form)}
        data = body(types.NewUser, given)
        if any(one.name == data.name for one in await users.users(context, principal)):
            raise problem("exists", errors=[{"field": "name", "message": _("is taken: choose another, or change it")}])
        made = await users.save(context, principal, data)
    except Problem as refused:
        form.fail(refused)
        lists(form, "sites")
        lists(form, "tokens")
        return await _person_page(request, form, None, "", 422)
    return redirect(request, "/settings/people", "good", _("{name} may log in now.", name=made.value.name))


@get("/settings/people/{name:str}")
async def person(request: PlainRequest, name: Text) -> Response[Any]:
    """Somebody, to be changed."""
    context, principal = allowed(request, "users:read")
    found = await users.user(context, principal, segment(name))
    return await _person_page(request, _filled(found.value), found.value, found.etag)


@post("/settings/people/{name:str}")
async def save_person(request: PlainRequest, name: Text) -> Response[Any]:
    """Change somebody, as far as nobody else has meanwhile."""
    context, principal = allowed(request, "users:write")
    who = segment(name)
    form = await Form.read(request)
    try:
        given = {**_person_body(form), "enabled": form.flag("enabled")}
        if password := form.values.get("password", [""])[0]:
            given["password"] = password
        await users.change(context, principal, who, body(types.UserChange, given), if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(
            request,
            form,
            refused,
            _person_page,
            lambda: users.user(context, principal, who),
            listed=("sites", "tokens"),
        )
    return redirect(request, "/settings/people", "good", _("Saved."))


@post("/settings/people/{name:str}/{verb:str}")
async def act_on_person(request: PlainRequest, name: Text, verb: Text) -> Response[Any]:
    """Remove somebody, end their logins, or take their second factor away."""
    context, principal = allowed(request, "users:write")
    who, back = segment(name), f"/settings/people/{name}"
    try:
        match verb:
            case "delete":
                await users.remove(context, principal, who)
                said = _("{name} is removed; every login of theirs has ended.", name=who)
                back = "/settings/people"
            case "logout":
                ended = (await logins.end_logins_of(context, principal, who)).ended
                said = several(ended, "{n} login has ended.", "{n} logins have ended.")
            case "second-factor":
                await users.reset_second_factor(context, principal, who)
                said = _("The second factor of {name} is taken away; they log in with the password alone.", name=who)
            case _:
                raise problem("not-found")
    except Problem as refused:
        if refused.status not in (403, 409):
            raise
        return redirect(request, f"/settings/people/{name}", "bad", refused.details.detail)
    return redirect(request, back, "good", said)


# -- roles ------------------------------------------------------------------------------------------------------------
@get("/settings/roles")
async def roles(request: PlainRequest) -> Response[Any]:
    """Who may do what: the table of roles."""
    context, principal = allowed(request, "stations:read")
    return page(
        request,
        "settings/roles.html",
        here="settings",
        crumbs=crumbs((_("Roles"), None)),
        tabs=tabs(principal),
        roles=await users.roles(context, principal),
        permissions=PERMISSIONS,
    )


HANDLERS: list[Any] = [
    settings, people, new_person, add_person, person, save_person, act_on_person, roles,
]  # fmt: skip
