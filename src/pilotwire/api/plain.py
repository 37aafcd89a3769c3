"""What is wrong with a field, as people say it."""

from __future__ import annotations

import re

from .language import _

_SAID = (
    (re.compile(r"Expected `\w+` of length >= (\d+)"), "least"),
    (re.compile(r"Expected `\w+` of length <= (\d+)"), "most"),
    (re.compile(r"Expected `\w+` >= (-?[\d.]+)"), "from"),
    (re.compile(r"Expected `\w+` <= (-?[\d.]+)"), "to"),
    (re.compile(r"Expected `(?:int|float)"), "number"),
    (re.compile(r"matching regex"), "characters"),
    (re.compile(r"Invalid enum value"), "choice"),
)


def plain(text: str, value: object = None) -> str:
    """What msgspec finds wrong with a field, as people say it."""
    for pattern, kind in _SAID:
        found = pattern.search(text)
        if found is None:
            continue
        match kind:
            case "least" if value in ("", None, []) or found[1] == "1":
                return _("is needed")
            case "least":
                return _("needs {n} characters at least", n=found[1])
            case "most":
                return _("{n} characters are the most", n=found[1])
            case "from":
                return _("must be {n} at least", n=found[1])
            case "to":
                return _("must be {n} at most", n=found[1])
            case "number":
                return _("must be a number")
            case "characters":
                return _("holds characters that are not allowed here")
            case _:
                return _("choose one of the list")
    return text
