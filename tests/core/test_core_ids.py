"""Identifiers: what a station may be called, and where new ones come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core.errors import RemoteError
from pilotwire.core.ids import BadIdentity, SeededIds, StationKey, check_identity, encode_id


@pytest.mark.parametrize("text", ["A", "RDAM|123", "x" * 48, "station 7", "Ladesäule-1", "a/b"])
def test_identities(text):
    assert check_identity(text) == text


@pytest.mark.parametrize("text", ["", "x" * 49, "a:b", "a\nb", "a\x00b", "\x7f", "a\u2028b"])
def test_no_identities(text):
    with pytest.raises(BadIdentity):
        check_identity(text)
    assert issubclass(BadIdentity, RemoteError)


def test_a_key_shows_its_tenant_unless_it_is_the_default():
    assert str(StationKey("default", "S")) == "S"
    assert str(StationKey("acme", "S")) == "acme/S"


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1), st.integers(0, 2**80 - 1))
def test_ids_sort_by_time_and_are_one_to_one(a, b, x, y):
    one, two = encode_id(a, x), encode_id(b, y)
    assert len(one) == 26 and one == one.lower() and not set(one) & set("ilou")
    assert ((a, x) < (b, y)) == (one < two)
    assert ((a, x) == (b, y)) == (one == two)


def test_more_bits_than_fit_are_cut():
    assert encode_id(2**48, 2**80) == encode_id(0, 0) == "0" * 26


@given(st.integers(0, 2**64))
def test_a_seed_replays_to_the_same_ids(seed):
    one, two = SeededIds(seed, lambda: 1234), SeededIds(seed, lambda: 1234)
    for _ in range(5):
        assert one.new() == two.new()
        message = one.message_id()
        assert message == two.message_id() and 1 <= len(message) <= 36
        transaction = one.transaction_id()
        assert transaction == two.transaction_id() and 1 <= transaction < 2**31


def test_ids_carry_the_time_they_were_given():
    now = 1_767_225_600_000
    early = SeededIds(1, lambda: now).new()
    late = SeededIds(2, lambda: now + 1).new()
    assert early < late
    assert len({SeededIds(3).new(), *(SeededIds(n).new() for n in range(100))}) == 100
