"""Addresses as people write them: what they come to, and what is refused with an example of what would do."""

from __future__ import annotations

import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.site.commissioning.hosts import MOST, addresses, own_networks


def test_networks_ranges_and_addresses_each_once_in_order() -> None:
    found = addresses(
        ("10.0.0.4/30", "10.0.0.6-8", "10.0.0.7:1502", "tcp://10.0.0.9:4001", "[::1]:7"), (502, 503), public=False
    )
    assert found == [
        ("10.0.0.5", 502), ("10.0.0.5", 503), ("10.0.0.6", 502), ("10.0.0.6", 503), ("10.0.0.7", 502),
        ("10.0.0.7", 503), ("10.0.0.8", 502), ("10.0.0.8", 503), ("10.0.0.7", 1502), ("10.0.0.9", 4001), ("::1", 7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8.8.8.8", "no private address"), ("9.9.9.0/30", "no private address"), ("10.0.0.0/8", "look in parts"),
        ("10.0.0.9-3", "no range"), ("10.0.0.1-10.0.1.4", "no range"), ("10.0.0.300/24", "no network"),
        ("10.0.0.1:0", "no port"), ("10.0.0.1:99999", "no port"), ("", "empty"),
        ("no.such.name.invalid", "no such name"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        addresses((text,), (502,), public=False)


def test_public_addresses_only_when_they_are_asked_for_and_never_too_many() -> None:
    assert addresses(("8.8.8.8",), (502,), public=True) == [("8.8.8.8", 502)]
    with pytest.raises(ConfigError, match="more than"):
        addresses(tuple(f"10.0.{each}.0/24" for each in range(MOST // 254 + 2)), (502,), public=False)


def test_the_networks_of_this_machine_are_private_ones() -> None:
    for each in own_networks():
        assert each.endswith("/24")
