"""What real charging stations do otherwise than the standard says: one catalogue of named quirks.

    catalogue   the quirks as data: what is seen, who is known for it, what we do, what an operator can do
    remedies    what the central system does differently for a station that has one

Detection is `pilotwire.translate.quirks`, which sees messages as they were typed; what is found is the fact
`QuirkSeen`, and a station's record keeps which of them it has (`Station.quirks`).
"""

from __future__ import annotations

from .catalogue import Known, Quirk, Severity, quirk, quirks, tolerated
from .remedies import REMEDIES, Remedy, Setting, active

__all__ = [
    "REMEDIES",
    "Known",
    "Quirk",
    "Remedy",
    "Setting",
    "Severity",
    "active",
    "quirk",
    "quirks",
    "tolerated",
]
