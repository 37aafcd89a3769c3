"""Addresses of lists: what is filtered, sorted and paged, so that it can be linked, kept and gone back to."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from litestar.params import QueryParameter

Asked = Annotated[str, QueryParameter(max_length=200)]
"""A text of the address."""
Cursor = Annotated[str | None, QueryParameter(max_length=2048)]
"""Where a list goes on."""


class Address:
    """The path of a list and what it was asked. Empty values are left out."""

    def __init__(self, path: str, **asked: Any) -> None:
        self.path = path
        self.asked = {name: value for name, value in asked.items() if value not in ("", None, [], False)}

    def but(self, **other: Any) -> str:
        """The address with some of it otherwise; "" takes a thing away. Cursors never come along."""
        merged = {**self.asked, **other}
        query = urlencode([(k, v) for k, v in merged.items() if v not in ("", None, [], False)], doseq=True)
        return f"{self.path}?{query}" if query else self.path

    @property
    def unsorted(self) -> str:
        """As `kit.sorted_th` wants it."""
        return self.but(sort="")

    @property
    def here(self) -> str:
        """The address itself."""
        return self.but()

    @property
    def filtered(self) -> bool:
        """Whether anything but the order was asked for."""
        return any(name != "sort" for name in self.asked)
