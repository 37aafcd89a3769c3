"""VAT numbers: whether one can exist at all (2.1 C23). Whether it does, only a country's register knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

FORMATS: Final[Mapping[str, str]] = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CHE": r"\d{9}(MWST|TVA|IVA)?",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"[1-9]\d{8}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "GB": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"(\d[A-Z0-9+*]\d{5}[A-Z]|\d{7}[A-W][A-I])",
    "IT": r"\d{11}",
    "LT": r"(\d{9}|\d{12})",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"[A-Z0-9+*]{10}\d{2}",
    "NO": r"\d{9}(MVA)?",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{10}01",
    "SI": r"[1-9]\d{7}",
    "SK": r"[1-9]\d[2-4789]\d{7}",
    "XI": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
}
"""Country prefix → what follows it."""


def plain(number: str) -> str:
    """Without the blanks, dots and hyphens that people write, in capitals."""
    return re.sub(r"[\s.\-/]", "", number).upper()


def objection(number: str) -> str:
    """Why this can be no VAT number; "" where it can. A country of which no format is known here is taken."""
    text = plain(number)
    country = "CHE" if text.startswith("CHE") else text[:2]
    if not re.fullmatch(r"[A-Z]{2}[A-Z0-9+*]{2,18}", text):
        return "it does not begin with a country and go on with digits"
    form = FORMATS.get(country)
    if form is None:
        return ""
    rest = text[len(country) :]
    if not re.fullmatch(form, rest):
        return f"numbers of {country} look otherwise"
    check = _CHECKS.get(country)
    return "its check digit is wrong" if check is not None and not check(rest) else ""


def _belgium(rest: str) -> bool:
    return 97 - int(rest[:8]) % 97 == int(rest[8:])


def _germany(rest: str) -> bool:
    """ISO 7064, MOD 11,10."""
    product = 10
    for digit in rest[:8]:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    return (11 - product) % 10 == int(rest[8])


def _italy(rest: str) -> bool:
    """Luhn's sum."""
    total = 0
    for index, digit in enumerate(rest):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_CHECKS = {"BE": _belgium, "DE": _germany, "IT": _italy}
