"""The routes of a box at a site (`ApiConfig.box`): people, keys and an audit log, and no stations of its own."""

from __future__ import annotations

from . import audit, commissioning, controllers, people, settings

AREAS = (controllers, commissioning, people, settings, audit)
"""As in `of_a_centre`."""
