"""Variables of the device model as they are kept: what a report says of them, and what answers say later.

A report (NotifyReport) tells a variable's kind with its value; an answer (GetVariables, SetVariables) tells the value
alone. The two are kept as two records, so that an answer never takes a variable's unit and mutability away, whichever
process hears it: the record of an answer has `ANSWERED` behind its attribute. `merged` makes one of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from .facts import ReportedVariable
from .records import Variable

ANSWERED: Final = "*"


def attribute_of(reported: ReportedVariable) -> str:
    """The attribute under which a reported value is kept. A 1.6 configuration key always comes with its kind."""
    told = reported.mutability or reported.data_type or reported.unit or not reported.component
    return reported.attribute if told else reported.attribute + ANSWERED


def merged(variables: Iterable[Variable]) -> list[Variable]:
    """One record of each variable and attribute, with its newest value and the kind that a report told."""
    found: dict[tuple[object, ...], Variable] = {}
    for one in variables:
        attribute = one.attribute.removesuffix(ANSWERED)
        key = (
            one.component,
            one.component_instance,
            one.evse,
            one.connector,
            one.variable,
            one.variable_instance,
            attribute,
        )
        known = found.get(key)
        if known is None:
            found[key] = msgspec.structs.replace(one, attribute=attribute) if attribute != one.attribute else one
            continue
        newer = one if one.reported_at >= known.reported_at else known
        found[key] = msgspec.structs.replace(
            newer,
            attribute=attribute,
            mutability=known.mutability or one.mutability,
            data_type=known.data_type or one.data_type,
            unit=known.unit or one.unit,
        )
    return list(found.values())
