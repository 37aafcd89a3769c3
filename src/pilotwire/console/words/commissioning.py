"""What the codes of a commissioning mean, in words."""

from __future__ import annotations

from typing import Final

from pilotwire.api.language import N_

STEPS: Final[dict[str, str]] = {
    "scan": N_("Find devices"),
    "map": N_("Lay out the site"),
    "phases": N_("Find phases"),
    "failsafe": N_("Check fail-safes"),
    "dry_run": N_("Dry run"),
}
"""In their order; going live is at the end of the last."""

STATUS: Final[dict[str, tuple[str, str]]] = {
    "running": (N_("under way"), "charging"),
    "done": (N_("done"), "free"),
    "failed": (N_("failed"), "fault"),
    "cancelled": (N_("cancelled"), "busy"),
    "interrupted": (N_("interrupted by a restart"), "busy"),
}

OUTCOMES: Final[dict[str, tuple[str, str]]] = {
    "found": (N_("found"), "free"),
    "three_phases": (N_("car on three phases"), "busy"),
    "nothing_moved": (N_("nothing moved"), "busy"),
    "unclear": (N_("unclear"), "busy"),
    "no_car": (N_("no car"), "off"),
    "no_meter": (N_("no meter above it"), "busy"),
    "no_room": (N_("too little room"), "busy"),
    "car_left": (N_("the car left"), "busy"),
    "meter_lost": (N_("meter lost"), "fault"),
    "offline": (N_("not heard"), "fault"),
    "not_following": (N_("does not follow"), "fault"),
    "cancelled": (N_("cancelled"), "off"),
}

FAILSAFES: Final[dict[str, tuple[str, str]]] = {
    "confirmed": (N_("read back"), "free"),
    "refused": (N_("not taken"), "fault"),
    "offline": (N_("not heard"), "fault"),
    "none": (N_("has none"), "off"),
}

PROOFS: Final[dict[str, tuple[str, str]]] = {
    "not_asked": (N_("not tried"), "off"),
    "fell_back": (N_("it fell back"), "free"),
    "kept": (N_("it did not fall back"), "fault"),
    "unseen": (N_("nothing could be seen"), "busy"),
    "no_room": (N_("too little room"), "off"),
    "failed": (N_("failed"), "fault"),
}
