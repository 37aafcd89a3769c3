"""A variable of the 2.x device model: which one it is, and how it stands."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from .settings import Setting


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which variable of which component."""

    component: str
    variable: str
    instance: str | None = None
    """Of the variable."""
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None

    def is_in(self, asked: Place, *, variable: bool) -> bool:
        """Whether a report on `asked` has this one (B08.FR.20 to .25): what it leaves open fits all.

        `variable` False: `asked` names a component only.
        """
        return (
            self.component.lower() == asked.component.lower()
            and _fits(self.component_instance, asked.component_instance)
            and asked.evse in (None, self.evse)
            and asked.connector in (None, self.connector)
            and (
                not variable
                or (self.variable.lower() == asked.variable.lower() and _fits(self.instance, asked.instance))
            )
        )


def _fits(own: str | None, asked: str | None) -> bool:
    return asked is None or (own or "").lower() == asked.lower()


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One variable of one component, with its Actual attribute as it is now."""

    place: Place
    value: str | None
    """None: WriteOnly."""
    mutability: str = "ReadOnly"
    data_type: str = "string"
    unit: str = ""
    members: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    max_limit: Decimal | None = None
    setting: Setting | None = None
    monitored: bool = False
    """supportsMonitoring."""

    @property
    def numeric(self) -> bool:
        return self.data_type in ("integer", "decimal")
