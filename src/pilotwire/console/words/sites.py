"""What a site's controller says, in the words of people: places, states, marks, and who sets limits."""

from __future__ import annotations

from pilotwire.api.language import N_

PLACES = {
    "connection": N_("Connection to the grid"),
    "transformer": N_("Transformer"),
    "feeder": N_("Feeder"),
    "group": N_("Group"),
    "meter": N_("Meter"),
    "inverter": N_("PV inverter"),
    "battery": N_("Battery"),
    "load": N_("Load"),
    "contacts": N_("Contacts"),
}
"""Kinds of nodes and devices."""

SOURCES = {
    "file": N_("in the site's file"),
    "schedule": N_("by the clock"),
    "window": N_("demand window"),
    "tariff": N_("price"),
    "surplus": N_("from the sun"),
    "order": N_("order by Modbus or MQTT"),
    "source": N_("from outside"),
    "telecontrol": N_("grid operator"),
    "lost": N_("because somebody fell silent"),
    "other": N_("other"),
}
"""How a limit came about (`SiteLimit.kind`)."""

MARKS = {
    "offline": N_("not heard"),
    "unanswered": N_("does not answer"),
    "unknown": N_("not known yet"),
    "unverified": N_("fail-safe not confirmed"),
    "meter_lost": N_("meter lost"),
    "meter_suspect": N_("meter not believed"),
    "source_lost": N_("fell silent"),
    "out_of_service": N_("out of service"),
    "safe_state": N_("safe state"),
    "clock_step": N_("clock was set"),
    "no_plan": N_("no plan"),
    "no_prices": N_("no prices"),
}
"""What is wrong, in short (`SiteMark.code`)."""

REASONS = {
    "no_demand": N_("no car wants energy"),
    "own_maximum": N_("gets all it can take"),
    "takes_less": N_("takes less than offered"),
    "asleep": N_("the car sleeps"),
    "impossible": N_("no set-point fits"),
    "limit": N_("held by a limit"),
    "quota": N_("quota is used up"),
    "pool": N_("held by what is shared"),
    "waiting": N_("waits for its turn"),
    "settling": N_("is raised in a moment"),
    "under_way": N_("others give way first"),
    "resting": N_("rests"),
    "switching": N_("switches phases"),
    "lost": N_("not heard"),
    "unexplained": N_("not explained"),
}
"""Why an EVSE gets no more, in short (`SiteEvse.code`)."""

QUALITIES = {
    "register": N_("counted by the meter"),
    "integrated": N_("reckoned from its power"),
    "assumed": N_("partly assumed"),
}
