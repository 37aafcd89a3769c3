"""The pages of a box at a site (`ApiConfig.box`)."""

from __future__ import annotations

from . import (
    box,
    commissioning,
    handlers,
    login,
    reference,
    settings,
    settings_audit,
    settings_keys,
    settings_sign_on,
    settings_system,
    shell,
    site_energy,
    site_limits,
    site_live,
    site_outlook,
    site_why,
)

_MODULES = (
    shell,
    login,
    settings,
    settings_audit,
    settings_keys,
    settings_sign_on,
    settings_system,
    reference,
    box,
    commissioning,
    site_live,
    site_why,
    site_energy,
    site_outlook,
    site_limits,
)
_ROLLS_OFF = (settings_system.kept, settings_system.save_kept)

HANDLERS = [handler for handler in handlers(_MODULES) if handler not in _ROLLS_OFF]
