"""Where drivers find receipts: what may be given."""

from __future__ import annotations

import argparse

import pytest

from pilotwire.cli.options import receipts


@pytest.mark.parametrize("url", ["https://pay.example/{reference}", "http://10.0.0.7:8443/r?of={reference}"])
def test_an_address_of_receipts(url: str) -> None:
    assert receipts(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://pay.example/",
        "https://{reference}.example/",
        "ftp://pay.example/{reference}",
        "/{reference}",
        "https://pay.example/{reference}/{reference}",
        "https://pay.example/{reference}/" + "x" * 500,
    ],
)
def test_what_is_no_address_of_receipts(url: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="receipts"):
        receipts(url)
