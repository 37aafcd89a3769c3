"""Alarm rules: switched on and off, changed, and made anew."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import alarms

from ..forms import Form
from ..words import word
from .alarms import COLOURS, SEVERITIES, site_names, tabs
from .alarms_text import BadLine, lines_of, matches_of
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, body, lists, words_of

KINDS = {
    "facts": N_("Something happens"),
    "gauge": N_("A measured value is too high"),
    "stalled": N_("A session gets no energy"),
}
"""What a rule looks for."""
_SECONDS = ("within_s", "for_s", "clear_after_s", "hold_s")


@get("/alarms/rules")
async def rule_list(request: PlainRequest) -> Response[Any]:
    """Every rule."""
    context, principal = allowed(request, "alarms:read")
    return page(
        request,
        "alarms/rules.html",
        here="alarms",
        crumbs=[(_("Alarms"), "/alarms"), (_("Rules"), None)],
        tabs=tabs(principal),
        items=await alarms.rules(context, principal),
        colours=COLOURS,
        may_write=principal.may("alarms:write") and principal.sites is None,
    )


async def _rule_page(
    request: PlainRequest, form: Form, shown: types.AlarmRule | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "alarms:read")
    known = alarms.vocabulary(context, principal)
    named = await site_names(context, principal)
    return page(
        request,
        "alarms/rule.html",
        here="alarms",
        crumbs=[
            (_("Alarms"), "/alarms"),
            (_("Rules"), "/alarms/rules"),
            (_(shown.name) if shown else _("New rule"), None),
        ],
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        known=known,
        kinds=[(kind, _(text)) for kind, text in KINDS.items()],
        gauges=[(one.name, _(word("gauge", one.name).name)) for one in known.gauges],
        severities=[(one, f"{_(word('severity', one).name)}: {_(word('severity', one).text)}") for one in SEVERITIES],
        sites=sorted(named.items(), key=lambda pair: pair[1].casefold()),
        may_write=principal.may("alarms:write") and principal.sites is None,
    )


def filled(rule: types.AlarmRule) -> Form:
    """A rule as what can be typed."""
    condition = rule.condition
    form = Form.of(msgspec.structs.replace(rule, condition=None))  # type: ignore[arg-type]
    form.values["stations"] = ["\n".join(rule.stations)]
    form.values["reach"] = ["some" if rule.sites else "all"]
    match condition:
        case types.FactsCondition():
            form.values |= {"kind": ["facts"], "when": [lines_of(condition.when)], "clear": [lines_of(condition.clear)]}
            form.values |= {"per": [", ".join(condition.per)], "count": [str(condition.count)]}
            form.values |= {name: [str(getattr(condition, name))] for name in ("within_s", "for_s", "clear_after_s")}
        case types.GaugeCondition():
            form.values |= {"kind": ["gauge"], "gauge": [condition.gauge], "over": [str(condition.over)]}
            form.values |= {"back": ["" if condition.back is None else str(condition.back)]}
            form.values |= {"gauge_for_s": [str(condition.for_s)]}
        case types.StalledCondition():
            form.values |= {"kind": ["stalled"], "stalled_for_s": [str(condition.for_s)]}
    return form


def _fresh() -> Form:
    return Form(
        {
            "severity": ["major"], "enabled": ["on"], "kind": ["facts"], "count": ["1"], "within_s": ["0"],
            "for_s": ["0"], "clear_after_s": ["0"], "hold_s": ["30"], "stalled_for_s": ["1800"], "gauge_for_s": ["60"],
            "reach": ["all"],
        }
    )  # fmt: skip


def _whole(form: Form, name: str, default: int = 0) -> int:
    """A number that was typed; what is none is noted in the form."""
    if not form.get(name):
        return default
    found = form.number(name)
    if found is None:
        form.wrong(name, _("must be a number"))
    return found if found is not None else default


def condition_of(form: Form, known: types.AlarmVocabulary) -> types.AlarmCondition:
    """What was typed as a condition; what is wrong is noted in the form. Raises Problem 422."""
    match form.get("kind"):
        case "gauge":
            back = _whole(form, "back", -1)
            given = {"gauge": form.get("gauge"), "over": _whole(form, "over"), "for_s": _whole(form, "gauge_for_s")}
            made = body(types.GaugeCondition, given | ({"back": back} if back >= 0 else {}))
        case "stalled":
            made = body(types.StalledCondition, {"for_s": _whole(form, "stalled_for_s", 1800)})
        case _:
            found: dict[str, list[types.AlarmMatch]] = {}
            for name in ("when", "clear"):
                try:
                    found[name] = matches_of(form.get(name), known)
                except BadLine as bad:
                    form.wrong(name, str(bad))
                    found[name] = []
            if not found["when"]:
                form.wrong("when", _("at least one line is needed"))
            if form.errors:
                raise problem("bad-body")
            made = types.FactsCondition(
                when=found["when"],
                clear=found["clear"],
                per=words_of(form.get("per")),
                count=_whole(form, "count", 1),
                within_s=_whole(form, "within_s"),
                for_s=_whole(form, "for_s"),
                clear_after_s=_whole(form, "clear_after_s"),
            )
            # Checked as the API does, with the bounds of every field.
            made = msgspec.convert(msgspec.to_builtins(made), types.FactsCondition)
    if form.errors:
        raise problem("bad-body")
    return made


def _fields(form: Form, known: types.AlarmVocabulary) -> dict[str, Any]:
    try:
        condition = condition_of(form, known)
    except msgspec.ValidationError as error:
        raise problem("bad-body", errors=[{"field": "when", "message": str(error)}]) from None
    return {
        "name": form.get("name"),
        "description": form.get("description"),
        "severity": form.get("severity"),
        "enabled": form.flag("enabled"),
        "hold_s": _whole(form, "hold_s", 30),
        "sites": form.all("sites") if form.get("reach") == "some" else [],
        "stations": words_of(form.get("stations")),
        "condition": condition,
    }


def _place_errors(form: Form) -> None:
    """Errors of parts of the condition next to the field where the part is typed."""
    for key in list(form.errors):
        plain = key.removeprefix("condition.")
        for name in ("when", "clear"):
            if plain.startswith(name):
                form.wrong(name, form.errors[key])
        if plain in ("for_s",) and form.get("kind") in ("gauge", "stalled"):
            form.wrong(f"{form.get('kind')}_for_s", form.errors[key])
        form.wrong(plain, form.errors[key])
    for name in ("sites", "stations"):
        lists(form, name)


@get("/alarms/rules/new")
async def new_rule(request: PlainRequest) -> Response[Any]:
    """A form for a new rule."""
    allowed(request, "alarms:write")
    return await _rule_page(request, _fresh(), None, "")


@post("/alarms/rules/new")
async def add_rule(request: PlainRequest) -> Response[Any]:
    """Add it."""
    context, principal = allowed(request, "alarms:write")
    form = await Form.read(request)
    try:
        fields = _fields(form, alarms.vocabulary(context, principal))
        made = await alarms.create_rule(context, principal, body(types.NewAlarmRule, {"id": form.get("id"), **fields}))
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        _place_errors(form)
        return await _rule_page(request, form, None, "", 422)
    said = _("The rule {name} looks at what happens from now on.", name=made.value.name)
    return redirect(request, "/alarms/rules", "good", said)


@get("/alarms/rules/{rule_id:str}")
async def one_rule(request: PlainRequest, rule_id: Text) -> Response[Any]:
    """A rule, to be changed."""
    context, principal = allowed(request, "alarms:read")
    found = await alarms.rule(context, principal, segment(rule_id))
    return await _rule_page(request, filled(found.value), found.value, found.etag)


@post("/alarms/rules/{rule_id:str}")
async def save_rule(request: PlainRequest, rule_id: Text) -> Response[Any]:
    """Change it."""
    context, principal = allowed(request, "alarms:write")
    which = segment(rule_id)
    form = await Form.read(request)
    try:
        data = body(types.AlarmRuleChange, _fields(form, alarms.vocabulary(context, principal)))
        await alarms.change_rule(context, principal, which, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        if refused.status in (403, 404):
            raise
        form.fail(refused)
        _place_errors(form)
        now = await alarms.rule(context, principal, which)
        return await _rule_page(request, form, now.value, now.etag, refused.status)
    return redirect(request, "/alarms/rules", "good", _("Saved."))


@post("/alarms/rules/{rule_id:str}/{verb:str}")
async def act_on_rule(request: PlainRequest, rule_id: Text, verb: Text) -> Response[Any]:
    """Switch it on or off; delete it, or bring back what it was."""
    context, principal = allowed(request, "alarms:write")
    which = segment(rule_id)
    match verb:
        case "on" | "off":
            await alarms.change_rule(context, principal, which, types.AlarmRuleChange(enabled=verb == "on"))
            said = _("The rule is switched on.") if verb == "on" else _("The rule is switched off.")
        case "delete":
            shown = (await alarms.rule(context, principal, which)).value
            await alarms.delete_rule(context, principal, which)
            said = _("The rule is as it was.") if shown.built_in else _("The rule is deleted.")
        case _:
            raise problem("not-found")
    return redirect(request, "/alarms/rules", "good", said)


HANDLERS: list[Any] = [rule_list, new_rule, add_rule, one_rule, save_rule, act_on_rule]
