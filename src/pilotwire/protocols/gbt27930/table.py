"""The messages of fixed layout of edition 2015 as one table, as for DBC files."""

from __future__ import annotations

from pilotwire.protocols.can.signals import Table

from .messages import EDITION_2015

TABLE = Table("gbt27930", EDITION_2015)
