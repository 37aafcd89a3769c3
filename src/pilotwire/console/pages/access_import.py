"""Tokens from a CSV file: what it would do is shown row by row before anything is done."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile

from pilotwire.api.language import N_, _, several
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import token_import

from ..forms import Form
from .access import tabs
from .common import PlainRequest, allowed, fragment, page, redirect

_MORE = 65_536
"""What a form needs around the file."""
MEANINGS = {
    "token": N_("Token"),
    "type": N_("Kind"),
    "status": N_("Status"),
    "parent": N_("Group"),
    "expires_at": N_("Valid until"),
    "note": N_("Note"),
}
"""What a column was taken for, in words."""


@get("/access/import")
async def show_import(request: PlainRequest) -> Response[Any]:
    """Choose a file, or paste a list."""
    _context, principal = allowed(request, "tokens:write")
    return page(
        request,
        "access/import.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Import"), None)],
        tabs=tabs(principal),
        tab="import",
        form=Form(),
        most=token_import.MAX_ROWS,
    )


async def _content(request: PlainRequest, form: Form) -> bytes:
    """The chosen file, else what was pasted. Raises Problem 422 for neither."""
    file = (await request.form()).get("file")
    if isinstance(file, UploadFile):
        content = await file.read()
        if content:
            return content
    pasted = form.get("text")
    if not pasted:
        message = _("choose a file, or paste a list below")
        raise problem("bad-body", errors=[{"field": "file", "message": message}])
    return pasted.encode()


@post("/ui/access/import", status_code=200, request_max_body_size=token_import.MAX_BYTES + _MORE)
async def run_import(request: PlainRequest) -> Response[Any]:
    """Look at the file; with `apply`, write what it says."""
    context, principal = allowed(request, "tokens:write")
    form = await Form.read(request, limit=token_import.MAX_BYTES + _MORE)
    apply = form.get("apply") == "yes"
    on_error: token_import.OnError = "good-rows" if form.flag("good_rows") else "nothing"
    try:
        data = await _content(request, form)
        told = await token_import.import_tokens(context, principal, data, dry_run=not apply, on_error=on_error)
    except Problem as refused:
        if refused.status not in (400, 413, 422):
            raise
        return fragment(request, "access/import_preview.html", told=None, refused=refused.details, meanings=MEANINGS)
    if told.applied:
        said = several(told.created, "{n} token added", "{n} tokens added")
        said += f", {several(told.changed, '{n} changed', '{n} changed')}"
        if told.failed:
            said += f", {several(told.failed, '{n} row left out', '{n} rows left out')}"
        return redirect(request, "/access", "good", f"{said}.")
    return fragment(request, "access/import_preview.html", told=told, refused=None, meanings=MEANINGS, tried=apply)


HANDLERS: list[Any] = [show_import, run_import]
