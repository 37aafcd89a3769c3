"""The console of a box at a site (`ApiConfig.box`): its first page is the site that it runs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import get
from litestar.response import Redirect

from .common import PlainRequest, context_of, whoever


@get("/")
async def first(request: PlainRequest) -> Redirect:
    """The site is what there is to see."""
    whoever(request)
    return Redirect(f"/sites/{quote(context_of(request).config.box, safe='')}/live", status_code=303)


HANDLERS: list[Any] = [first]
