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
- Add your handlers to `_MODULES` below. Permissions: what may not be done is not offered (`principal.may("…")`).
"""

from __future__ import annotations

from typing import Any

from . import (
    access,
    access_drivers,
    access_groups,
    access_import,
    access_tariffs,
    alarms,
    alarms_notifications,
    alarms_rules,
    box,
    care,
    certificates,
    checks,
    command,
    commands,
    commissioning,
    configuration,
    connect,
    errors,
    firmware,
    jobs,
    login,
    messages,
    overview,
    quirks,
    reference,
    reports,
    session,
    sessions,
    settings,
    settings_audit,
    settings_keys,
    settings_mail,
    settings_sign_on,
    settings_system,
    settings_tenants,
    settings_webhooks,
    shell,
    site_energy,
    site_limits,
    site_live,
    site_outlook,
    site_why,
    sites,
    station,
    station_charging,
    station_kept,
    stations,
    views,
)

_MODULES = (
    shell,
    login,
    overview,
    station,
    station_charging,
    station_kept,
    stations,
    sites,
    commissioning,
    site_live,
    site_why,
    site_energy,
    site_outlook,
    site_limits,
    jobs,
    firmware,
    checks,
    quirks,
    messages,
    care,
    certificates,
    configuration,
    commands,
    command,
    connect,
    session,
    sessions,
    access,
    access_drivers,
    access_groups,
    access_import,
    access_tariffs,
    alarms,
    alarms_rules,
    alarms_notifications,
    reports,
    views,
    settings,
    settings_audit,
    settings_keys,
    settings_mail,
    settings_sign_on,
    settings_tenants,
    settings_webhooks,
    settings_system,
    reference,
)  # fmt: skip


_OF_A_BOX = (
    shell,
    login,
    settings,
    settings_audit,
    settings_keys,
    settings_sign_on,
    settings_system,
    reference,
    box,
    *(each for each in _MODULES if each.__name__.rpartition(".")[2].startswith(("site_", "commissioning"))),
)  # fmt: skip
"""Those of a box at a site (`ApiConfig.box`)."""


def _handlers() -> list[Any]:
    """Every page, telling Problems as pages.

    No Router of their own: the API has handlers at some of the same paths (POST /login).
    """
    found = [handler for module in (*_MODULES, box) for handler in module.HANDLERS]
    for handler in found:
        handler.exception_handlers = {**errors.HANDLERS, **(handler.exception_handlers or {})}
        handler.include_in_schema = False
    return found


HANDLERS = [each for each in _handlers() if each not in box.HANDLERS]
_ROLLS_OFF = (settings_system.kept, settings_system.save_kept)
OF_A_BOX = [handler for module in _OF_A_BOX for handler in module.HANDLERS if handler not in _ROLLS_OFF]
