"""Where the guides and their pictures lie: in the package when it was installed, in `docs/` of a checkout."""

from __future__ import annotations

from pathlib import Path

from pilotwire.core.errors import LocalError

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parents[2] / "docs"


def guides() -> Path:
    """The folder of `*.md`. Raises LocalError when this installation has none."""
    for folder in (_PACKAGE / "guide", _CHECKOUT / "guide"):
        if folder.is_dir():
            return folder
    raise LocalError("the guides are missing from this installation; install Pilotwire anew")


def pictures() -> Path:
    """The folder of pictures of the console."""
    inside = _PACKAGE / "images" / "console"
    return inside if inside.is_dir() else _CHECKOUT / "images" / "console"
