"""Why a V2G session ended, by two tables of rules.

`FAULTS` look for something that went wrong; of all that is found the earliest counts, for what comes later follows from
it. `ENDS` are asked in turn when nothing went wrong: the first that fits has it.
"""

from __future__ import annotations

from .rules_v2g_ends import ENDS
from .rules_v2g_faults import FAULTS
from .talk import Explanation, Talk


def explain_v2g(talk: Talk) -> Explanation | None:
    """The earliest fault, else how it ended."""
    found = [each for rule in FAULTS if (each := rule(talk)) is not None]
    if found:
        return min(found, key=lambda each: each.index or 0)
    return next((each for rule in ENDS if (each := rule(talk)) is not None), None)
