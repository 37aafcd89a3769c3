"""Small things of the wire that several translators say alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.domain.kept import Place

_encode = msgspec.json.Encoder(decimal_format="number").encode


def json_text(data: Any) -> str:
    """Any JSON value or message as JSON text, numbers exactly as they came; "" for none."""
    return "" if data is None else _encode(data).decode()


def number_text(number: Decimal | int) -> str:
    """A number of the wire as exact text, without exponent."""
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def place_of(component: Any, variable: Any) -> Place:
    """ComponentType and VariableType."""
    evse = component.evse
    return Place(
        component=component.name,
        variable=variable.name,
        component_instance=component.instance or "",
        variable_instance=variable.instance or "",
        evse=None if evse is None else evse.id,
        connector=None if evse is None else evse.connector_id,
    )
