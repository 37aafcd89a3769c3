"""What a run is told about the system under test, and the variables of the cases.

`$name` stands for a setting or for what a step saved; `$now`, `$now+60`, `$now-3600` for a date-time; `$uuid` for a new
id; `$number` for a new whole number. A text that is nothing but a variable takes its type; an unset one is left out of
objects where its name ends in `?`, and otherwise means that the case cannot be run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from pilotwire.core.errors import LocalError

_VARIABLE = re.compile(r"\$([a-zA-Z][\w.]*)(?:([+-]\d+))?(\??)")

DEFAULTS: dict[str, Any] = {
    "id": "PW-CHECK",
    "other": "PW-SOMEBODY-ELSE",
    "vendor": "Pilotwire",
    "model": "Check",
    "serial": "PW-CHECK-1",
    "evse": 1,
    "evse2": 2,
    "connector": 1,
    "token.valid": "PWCHECK1",
    "token.type": "ISO14443",
    "token.invalid": "PWCHECKUNKNOWN",
    "vendor.unknown": "org.pilotwire.nobody",
    "wait": 2,
}
"""What is assumed where nothing else was said."""

TOKENS = ("valid", "valid2", "invalid", "blocked", "expired", "master")
"""`$valid` is the IdTokenType of 2.x whose idToken is the setting `token.valid`; `$there` is an EVSEType."""


class Unset(LocalError):
    """A variable that a case needs has no value."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the setting {name} is not given (--set {name}=...)")
        self.name = name


class Settings:
    """Variables by name; a case works on a `copy`."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {**DEFAULTS, **(values or {})}
        for kind in TOKENS:
            token = self.values.get(f"token.{kind}")
            if token:
                self.values[kind] = {"idToken": str(token), "type": self.values["token.type"]}
        self.values["there"] = {"id": self.values["evse"], "connectorId": self.values["connector"]}
        self.values["there2"] = {"id": self.values["evse2"], "connectorId": self.values["connector"]}

    def copy(self) -> Settings:
        return Settings(self.values)

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def fill(self, value: Any) -> Any:
        """`value` with its variables filled in. Raises Unset."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        if isinstance(value, dict):
            filled = {name: self.fill(each) for name, each in value.items()}
            return {name: each for name, each in filled.items() if each is not None}
        return value

    def _text(self, text: str) -> Any:
        whole = _VARIABLE.fullmatch(text)
        if whole is not None:
            return self._value(whole)
        return _VARIABLE.sub(lambda found: str(self._value(found)), text) if "$" in text else text

    def _value(self, found: re.Match[str]) -> Any:
        name, offset, optional = found[1].rstrip("."), found[2], found[3]
        if name == "now":
            return moment(int(offset or 0))
        if name == "uuid":
            return uuid4().hex
        if name == "number":
            return uuid4().int % 2_000_000_000 + 1
        if name not in self.values:
            if optional:
                return None
            raise Unset(name)
        value = self.values[name]
        return value + int(offset) if offset and isinstance(value, int) else value


def moment(offset_s: int = 0) -> str:
    """Now, RFC 3339, milliseconds, Z."""
    at = datetime.now(UTC) + timedelta(seconds=offset_s)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
