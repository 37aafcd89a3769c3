"""Access: the tokens that may charge. Groups, drivers and the import have modules of their own."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import listing, types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _, several
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import drivers, groups, tokens

from ..forms import Form
from ..words import TABLES, word
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, local, moment, zone_name
from .lists import Address, Asked, Cursor
from .sessions_find import newest_with
from .views import views_of

_PAGE = 50
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")
KINDS = {"good": "free", "bad": "fault", "warn": "busy", "info": "off"}
"""The level of a word → the colour of a badge."""


def tabs(principal: Principal) -> list[tuple[str, str, str]]:
    """The parts of Access that this person may open."""
    found = [("tokens", _("Tokens"), "/access"), ("groups", _("Groups"), "/access/groups")]
    if principal.may("drivers:read"):
        found.append(("drivers", _("Drivers"), "/access/drivers"))
    if principal.may("tariffs:read"):
        found.append(("tariffs", _("Tariffs"), "/access/tariffs"))
    if principal.may("tokens:write"):
        found.append(("import", _("Import"), "/access/import"))
    return found


def statuses() -> list[tuple[str, str]]:
    """What a token may be answered, for a choice."""
    return [(one, _(word("token-status", one).name)) for one in STATUSES]


def kinds_of_token() -> list[tuple[str, str]]:
    """Types of tokens, for a choice."""
    return [(one, f"{_(known.name)} ({one})") for one, known in TABLES["token-type"].items()]


async def names_of(context: ApiContext, principal: Principal, ids: set[str]) -> dict[str, str]:
    """Driver → name, as far as this person may see them."""
    if not principal.may("drivers:read"):
        return {}
    found: dict[str, str] = {}
    for one in ids:
        try:
            found[one] = (await drivers.driver(context, principal, one)).value.name
        except Problem:  # forgotten meanwhile
            continue
    return found


_KEYS: dict[str, Any] = {
    "token": lambda one: one.token,
    "status": lambda one: one.status,
    "parent": lambda one: one.parent or None,
    "expires_at": lambda one: one.expires_at,
    "created_at": lambda one: one.created_at,
}


@get("/access")
async def token_list(
    request: PlainRequest,
    q: Annotated[str, QueryParameter(max_length=100)] = "",
    status: Asked = "",
    group: Annotated[str, QueryParameter(max_length=255)] = "",
    sort: Asked = "token",
    cursor: Cursor = None,
) -> Response[Any]:
    """Who may charge."""
    context, principal = allowed(request, "tokens:read")
    chosen = status if status in STATUSES else ""
    found = await tokens.tokens(context, principal, search=q or None, status=chosen or None, group=group or None)
    items, after = listing.page_of(
        found,
        name="tokens",
        sort=sort,
        default="token",
        keys=_KEYS,
        id_of=lambda one: one.token,
        cursor=cursor,
        limit=_PAGE,
        filters={"search": q, "status": chosen, "group": group},
    )
    address = Address("/access", q=q, status=chosen, group=group, sort="" if sort == "token" else sort)
    return page(
        request,
        "access/tokens.html",
        here="access",
        crumbs=[(_("Access"), None)],
        tabs=tabs(principal),
        tab="tokens",
        items=items,
        drivers=await names_of(context, principal, {one.driver_id for one in items if one.driver_id}),
        total=len(found),
        address=address,
        saved=await views_of(context, principal, "tokens", address),
        q=q,
        only=chosen,
        group=group,
        sort=sort,
        next=after,
        first=cursor is not None,
        statuses=statuses(),
        kinds=KINDS,
        groups=await groups.groups(context, principal),
        may_write=principal.may("tokens:write"),
    )


def _token_body(form: Form, context: ApiContext) -> dict[str, Any]:
    until = moment(form, "expires_at", context.config.zone)
    return {
        "type": form.get("type") or "ISO14443",
        "status": form.get("status") or "Accepted",
        "parent": form.get("parent"),
        "expires_at": until,
        "note": form.get("note"),
    }


async def _token_page(
    request: PlainRequest, form: Form, shown: types.Token | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "tokens:read")
    names = await names_of(context, principal, {shown.driver_id} if shown and shown.driver_id else set())
    return page(
        request,
        "access/token.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (shown.token if shown else _("New token"), None)],
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        driver=names.get(shown.driver_id or "") if shown else None,
        state=word("token-status", shown.status) if shown else None,
        kinds=KINDS,
        statuses=statuses(),
        types=kinds_of_token(),
        groups=await groups.groups(context, principal),
        zone=zone_name(context.config.zone),
        may_write=principal.may("tokens:write"),
        recent=(await newest_with(context, principal, [shown.token])) if shown else [],
    )


@get("/access/tokens/new")
async def new_token(request: PlainRequest, token: Asked = "", group: Asked = "") -> Response[Any]:
    """A form for a new token."""
    allowed(request, "tokens:write")
    form = Form({"token": [token[:255]], "parent": [group[:36]], "status": ["Accepted"], "type": ["ISO14443"]})
    return await _token_page(request, form, None, "")


@post("/access/tokens/new")
async def add_token(request: PlainRequest) -> Response[Any]:
    """Add it; one that exists is not overwritten."""
    context, principal = allowed(request, "tokens:write")
    form = await Form.read(request)
    try:
        given = _token_body(form, context)
        data = body(types.NewToken, {"token": form.get("token"), **given})
        if form.errors:
            raise problem("bad-body")
        if await tokens.find(context, principal.tenant, data.token):
            message = _("is known here already: look for it in the list")
            raise problem("exists", errors=[{"field": "token", "message": message}])
        made = await tokens.put(context, principal, data)
    except Problem as refused:
        form.fail(refused)
        return await _token_page(request, form, None, "", 422)
    return redirect(request, "/access", "good", _("The token {token} may be used from now on.", token=made.value.token))


@get("/access/tokens/{token:str}")
async def one_token(request: PlainRequest, token: Text) -> Response[Any]:
    """What a token may do, to be changed."""
    context, principal = allowed(request, "tokens:read")
    name = segment(token)
    try:
        found = await tokens.token(context, principal, name)
    except Problem as unknown:
        if unknown.status != 404 or not name.isprintable() or len(name) > 255:
            raise
        return await _stranger(request, name)
    form = Form.of(found.value)
    form.values["expires_at"] = [local(found.value.expires_at, context.config.zone)]
    return await _token_page(request, form, found.value, found.etag)


async def _stranger(request: PlainRequest, name: str) -> Response[Any]:
    """A token that is in no list: sessions name it, and whoever looks at them follows the link."""
    context, principal = allowed(request, "tokens:read")
    recent = await newest_with(context, principal, [name])
    return page(
        request,
        "access/stranger.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (name, None)],
        status=200 if recent else 404,
        token=name,
        recent=recent,
        may_write=principal.may("tokens:write"),
    )


@post("/access/tokens/{token:str}")
async def save_token(request: PlainRequest, token: Text) -> Response[Any]:
    """Change it, as far as nobody else has meanwhile."""
    context, principal = allowed(request, "tokens:write")
    name = segment(token)
    form = await Form.read(request)
    try:
        data = body(types.TokenChange, _token_body(form, context))
        if form.errors:
            raise problem("bad-body")
        await tokens.change(context, principal, name, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _token_page, lambda: tokens.token(context, principal, name))
    return redirect(request, "/access", "good", _("Saved."))


@post("/access/tokens/{token:str}/delete")
async def delete_token(request: PlainRequest, token: Text) -> Response[Any]:
    """Forget it."""
    context, principal = allowed(request, "tokens:write")
    name = segment(token)
    await tokens.remove(context, principal, name)
    said = _("The token {token} is forgotten; it is refused from now on.", token=name)
    return redirect(request, "/access", "good", said)


@post("/ui/access/tokens", status_code=200)
async def bulk(request: PlainRequest) -> Response[Any]:
    """Block, accept or forget the chosen tokens."""
    context, principal = allowed(request, "tokens:write")
    form = await Form.read(request)
    names, verb = form.all("id")[:500], form.get("verb")
    done = 0
    for name in names:
        try:
            if verb == "delete":
                await tokens.remove(context, principal, name)
            elif verb in ("Accepted", "Blocked"):
                await tokens.change(context, principal, name, types.TokenChange(status=verb))
            else:
                raise problem("bad-parameter")
            done += 1
        except Problem as refused:
            if refused.status != 404:
                raise
    said = {
        "Accepted": several(done, "{n} token is accepted.", "{n} tokens are accepted."),
        "Blocked": several(done, "{n} token is blocked.", "{n} tokens are blocked."),
        "delete": several(done, "{n} token is forgotten.", "{n} tokens are forgotten."),
    }[verb]
    return redirect(request, form.get("next") if form.get("next").startswith("/access") else "/access", "good", said)


HANDLERS: list[Any] = [
    token_list, new_token, add_token, one_token, save_token, delete_token, bulk,
]  # fmt: skip
