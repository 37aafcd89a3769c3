"""Money: exact, and never across currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core.errors import LocalError, PilotwireError
from pilotwire.core.money import CurrencyMismatch, Money

AMOUNTS = st.decimals(-(10**6), 10**6, places=4)


@given(AMOUNTS, AMOUNTS)
def test_sums_and_differences_are_exact(a, b):
    one, two = Money(a, "EUR"), Money(b, "EUR")
    assert one + two == two + one
    assert (one + two) - two == one
    assert (-one) + one == Money(Decimal(0), "EUR")
    assert one * 3 == one + one + one


@given(AMOUNTS)
def test_rounding_is_near_and_settled(amount):
    money = Money(amount, "EUR").rounded()
    assert abs(money.amount - amount) <= Decimal("0.005")
    assert money.rounded() == money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("0.125", "EUR", "0.12 EUR"),
        ("0.135", "EUR", "0.14 EUR"),
        ("2.5", "JPY", "2 JPY"),
        ("3.5", "JPY", "4 JPY"),
        ("1.0005", "KWD", "1.000 KWD"),
        ("-0.125", "USD", "-0.12 USD"),
    ],
)
def test_half_even_to_the_minor_unit(amount, currency, text):
    assert str(Money(Decimal(amount), currency)) == text


def test_currencies_do_not_mix():
    with pytest.raises(CurrencyMismatch, match="EUR with USD"):
        Money(Decimal(1), "EUR") + Money(Decimal(1), "USD")
    with pytest.raises(CurrencyMismatch):
        Money(Decimal(1), "EUR") - Money(Decimal(1), "USD")
    assert Money(Decimal(1), "EUR") != Money(Decimal(1), "USD")


@pytest.mark.parametrize("currency", ["", "EU", "eur", "EURO", "ÄÖÜ"])
def test_a_currency_is_three_capitals(currency):
    with pytest.raises(LocalError, match="ISO 4217"):
        Money(Decimal(1), currency)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_an_amount_is_finite(amount):
    with pytest.raises(PilotwireError, match="finite"):
        Money(Decimal(amount), "EUR")
