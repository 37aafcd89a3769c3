"""Every table of words by its name, and the one way to look something up."""

from __future__ import annotations

from typing import Final

from pilotwire.api.words import spaced

from .alarms import CAUSES, CHANNELS, CLEARED, DELIVERIES, EXCUSES, GAUGES, MUTED, SEVERITIES
from .codes import (
    CHARGING_STATES,
    COMMAND_OUTCOMES,
    CONNECTORS,
    CONTEXTS,
    ERROR_CODES,
    FLAGS,
    LOCATIONS,
    MEASURANDS,
    STOP_REASONS,
    TOKEN_STATUSES,
    TOKEN_TYPES,
    TRIGGERS,
    Word,
)
from .people import PERMISSIONS, ROLES, SCOPES

TABLES: Final[dict[str, dict[str, Word]]] = {
    "stop": STOP_REASONS,
    "trigger": TRIGGERS,
    "state": CHARGING_STATES,
    "connector": CONNECTORS,
    "flag": FLAGS,
    "error": ERROR_CODES,
    "measurand": MEASURANDS,
    "context": CONTEXTS,
    "location": LOCATIONS,
    "token-status": TOKEN_STATUSES,
    "token-type": TOKEN_TYPES,
    "command": COMMAND_OUTCOMES,
    "severity": SEVERITIES,
    "cleared": CLEARED,
    "muted": MUTED,
    "gauge": GAUGES,
    "delivery": DELIVERIES,
    "channel": CHANNELS,
    "cause": CAUSES,
    "excuse": EXCUSES,
    "role": ROLES,
    "scope": SCOPES,
    "permission": PERMISSIONS,
}


def word(table: str, code: str | None) -> Word:
    """A code of one of the `TABLES` in words; an unknown one is shown as it came. Raises KeyError: no such table."""
    known = TABLES[table]
    if not code:
        return Word("")
    if code in known:
        return known[code]
    return Word(code.replace("-", " ").capitalize() if "-" in code and code.islower() else spaced(code))
