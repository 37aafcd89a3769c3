"""Which passwords people may choose (NIST SP 800-63B, 3.1.1): long ones, of any kind but the known ones."""

from __future__ import annotations

import itertools

from .problems import Problem, problem

AT_LEAST = 12
AT_MOST = 256
_COMMON = frozenset(
    (
        "123456789012", "1234567890123", "12345678901234", "123456123456", "111111111111", "000000000000",
        "password1234", "password12345", "password123456", "passwordpassword", "password2024", "password2025",
        "password2026", "qwertyuiop12", "qwertyuiop123", "qwertyuiopas", "qwertyuiop[]", "qwertyqwerty", "qwerty123456",
        "1q2w3e4r5t6y", "1qaz2wsx3edc", "zaq12wsxcde3", "abcdefghijkl", "abcd12345678", "abc123abc123", "asdfghjkl123",
        "iloveyou1234", "letmein12345", "welcome12345", "welcome2024!", "welcome2025!", "welcome2026!", "admin1234567",
        "adminadminadmin", "administrator", "changeme1234", "changemenow!", "trustno1trustno1", "pilotwire1234",
        "chargingstation", "chargepoint123", "correcthorsebatterystaple", "correct horse battery staple",
    )
)  # fmt: skip
"""Those of the usual lists that are long enough, and what offers itself here."""


def weakness(password: str, name: str) -> str:
    """Why a password will not do; "" when it will."""
    plain = password.casefold()
    if len(password) < AT_LEAST:
        return f"is shorter than {AT_LEAST} characters"
    if len(password) > AT_MOST:
        return f"is longer than {AT_MOST} characters"
    if "\0" in password:
        return "holds a character that is not allowed"
    if len(set(plain)) < 5:
        return "repeats too few characters"
    if plain in _COMMON:
        return "is one of those that are tried first"
    rest = plain.replace(name.casefold(), "") if len(name) > 2 else plain
    if len(rest) < AT_LEAST // 2 or (len(rest) < AT_LEAST and rest.strip("0123456789!?.-_") == ""):
        return "is little more than the name"
    if _is_run(plain):
        return "is a row of neighbouring characters"
    return ""


def _is_run(text: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    return steps <= {1} or steps <= {-1}


def check_password(password: str, name: str, field: str = "password") -> None:
    """Raises Problem 422."""
    if why := weakness(password, name):
        raise wrong(field, f"the password {why}")


def wrong(field: str, message: str) -> Problem:
    """422 that names a field."""
    return problem(
        "bad-body",
        f"{field}: {message}.",
        errors=[{"field": field, "message": message}],
    )
