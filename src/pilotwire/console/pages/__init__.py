"""The pages. Everything they show comes from the API's own services, everything they do goes through them.

How to add one (a module of this package, its templates in `templates/<module>/`):

- A page is a Litestar handler that ends in `page(request, "sessions/list.html", here="sessions", …)` (`common.py`);
  `crumbs=[("Sessions", "/sessions"), ("S-1", None)]` is the path to it. `redirect(request, path, "good", _("Saved."))`
  says something on the page that comes next; `fragment(request, "…", toast=("good", _("Saved.")))` answers htmx.
- Its template extends `base.html` and fills `title`, `content` and, for tools on the right of the heading, uses
  `kit.head(…)`. `{% import "kit.html" as kit %}` has the parts: head, badge, field, select, check, area, facts, empty,
  tabs, pager, sorted_th, code, dialog, when/ago/since (times), note. Write no part anew; extend the kit.
- Texts: `_("Text")` in templates and Python (`from pilotwire.api.language import _`), with the German added to
  `languages/de.json` (`python tools/console_words.py` lists what is missing and merges what it is given).
- Raise Problems as the services do: a page becomes the readable error page, a fragment the same as a note. Forms:
  `form = await Form.read(request)`, on a Problem `form.fail(problem)` and draw the page again with `status=422`.
- Tables: `<table class="data">` within `<div class="table">`; rows with `data-href` open by click and Enter. Numbers:
  filters kw, kwh, count, percent. Live numbers: see the head of `static/live.js`.
- Add your module to `of_a_centre.py`, and to `of_a_box.py` where a box at a site has it. Permissions: what may not be
  done is not offered (`principal.may("…")`).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from . import errors


def handlers(modules: Iterable[ModuleType]) -> list[Any]:
    """Their pages, telling Problems as pages.

    No Router of their own: the API has handlers at some of the same paths (POST /login).
    """
    found = [handler for module in modules for handler in module.HANDLERS]
    for handler in found:
        handler.exception_handlers = {**errors.HANDLERS, **(handler.exception_handlers or {})}
        handler.include_in_schema = False
    return found
