"""Where the machines of each dialect are. They are imported when a conversation needs them: a start waits for none."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from .config import Dialect

_ROOMS: Final[dict[Dialect, tuple[str, str]]] = {
    "din": ("din70121", "Din"),
    "iso2": ("iso2", "Iso2"),
    "iso20-ac": ("iso20", "Iso20"),
    "iso20-dc": ("iso20", "Iso20"),
    "iso20-wpt": ("iso20", "Iso20"),
    "iso20-acdp": ("iso20", "Iso20"),
}


def secc_of(dialect: Dialect) -> Any:
    """The class of a dialect's station end: `(config, dialect, *, random, tls, pnc, paused)`."""
    return _found(dialect, "secc", "Secc")


def evcc_of(dialect: Dialect) -> Any:
    """The class of a dialect's vehicle end: `(config, dialect, *, random, tls, pnc, resume)`."""
    return _found(dialect, "evcc", "Evcc")


def _found(dialect: Dialect, module: str, end: str) -> Any:
    room, name = _ROOMS[dialect]
    return getattr(import_module(f"{__package__}.{room}.{module}"), name + end)
