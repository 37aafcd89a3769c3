"""Decimals of the wire become integers once, half-even."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core import errors
from pilotwire.core.quantities import scaled


@given(st.integers(-(10**20), 10**20), st.integers(0, 6))
def test_integers_of_the_small_unit_survive(value, digits):
    assert scaled(Decimal(value).scaleb(-digits), digits) == value


@pytest.mark.parametrize(
    ("text", "exponent", "expected"),
    [
        ("0.5", 0, 0),
        ("1.5", 0, 2),
        ("-0.5", 0, 0),
        ("-1.5", 0, -2),
        ("1.2345", 3, 1234),
        ("1.2355", 3, 1236),
        ("12.3E2", 0, 1230),
    ],
)
def test_half_even(text, exponent, expected):
    assert scaled(Decimal(text), exponent) == expected


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (errors.LocalError, errors.PilotwireError),
        (errors.RemoteError, errors.PilotwireError),
        (errors.TransientError, errors.PilotwireError),
        (errors.ConfigError, errors.LocalError),
    ],
)
def test_every_error_says_whose_fault_it_is(child, parent):
    assert issubclass(child, parent)
    sides = [errors.LocalError, errors.RemoteError, errors.TransientError]
    assert sum(issubclass(child, side) for side in sides) == 1
