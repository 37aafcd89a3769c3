"""Which table translates which version, imported on first use: a process that meets 1.6 alone loads 1.6 alone."""

from __future__ import annotations

from importlib import import_module

from .table import Table

_MODULES = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


def load(version: str) -> Table:
    """The table of a version's station-sent actions. Raises KeyError for a version that we do not speak."""
    table: Table = import_module(f"pilotwire.translate.{_MODULES[version]}").TABLE
    return table
