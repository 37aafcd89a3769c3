"""Forms that keep what was typed and say next to each field what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Request

from pilotwire.api.problems import Problem, problem

MAX_FORM = 262_144
"""Larger forms are refused (413); a file upload has its own limit."""


class Form:
    """What was typed, by field, and what is wrong with it.

    `field(form, "name", …)` of kit.html draws a field with its value and its error. Begin with `Form.of(resource)` to
    edit something, `Form()` for a new thing, `await Form.read(request)` for what was sent; when the service raises a
    Problem, `form.fail(problem)` and draw the same page again with status 422.
    """

    def __init__(self, values: Mapping[str, Iterable[str]] | None = None) -> None:
        self.values = {name: list(given) for name, given in (values or {}).items()}
        self.errors: dict[str, str] = {}
        self.problem: Problem | None = None

    @classmethod
    async def read(cls, request: Request[Any, Any, Any], limit: int = MAX_FORM) -> Form:
        """The posted form. Raises Problem 415 for another media type, 413 for too much."""
        if request.content_type[0] not in ("application/x-www-form-urlencoded", "multipart/form-data"):
            raise problem("bad-media-type")
        if len(await request.body()) > limit:
            raise problem("too-large")
        made = cls()
        for name, value in (await request.form()).multi_items():
            if isinstance(value, str):
                made.values.setdefault(name, []).append(value)
        return made

    @classmethod
    def of(cls, thing: object) -> Form:
        """Prefilled from a resource of the API: lists become several values, null an empty one."""
        made = cls()
        for name, value in msgspec.to_builtins(thing).items():
            if isinstance(value, list):
                made.values[name] = [str(one) for one in value]
            elif isinstance(value, bool):
                made.values[name] = ["on"] if value else []
            else:
                made.values[name] = ["" if value is None else str(value)]
        return made

    def get(self, name: str, default: str = "") -> str:
        """The field's text without spaces around it."""
        found = self.values.get(name)
        return found[0].strip() if found else default

    def all(self, name: str) -> list[str]:
        """Every value of a field that may have several."""
        return list(self.values.get(name, ()))

    def has(self, prefix: str) -> bool:
        """Whether any field whose name begins like this was filled, or is wrong."""
        filled = any(name.startswith(prefix) and any(given) for name, given in self.values.items())
        return filled or any(name.startswith(prefix) for name in self.errors)

    def flag(self, name: str) -> bool:
        """Whether a checkbox was ticked."""
        return bool(self.values.get(name))

    def number(self, name: str) -> int | None:
        """A whole number; None where there is none (see `wrong` to tell it from a field left empty)."""
        text = self.get(name)
        return (
            int(text)
            if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 16
            else None
        )

    def wrong(self, name: str, message: str) -> None:
        """Note an error next to a field."""
        self.errors.setdefault(name, message)

    def fail(self, refused: Problem) -> None:
        """Take over the errors of a Problem; those of fields that the form does not have are told at its head."""
        self.problem = refused
        for one in refused.details.errors:
            self.errors.setdefault(
                one.field.rpartition(".")[2] if one.field not in self.values else one.field, one.message
            )

    @property
    def bad(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.errors) or self.problem is not None
