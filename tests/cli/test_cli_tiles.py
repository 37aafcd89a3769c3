"""The address of map tiles: what may be one, and what would let browsers load pictures from anywhere."""

from __future__ import annotations

import argparse

import pytest

from pilotwire.api.guard import _headers_for
from pilotwire.cli.options import tiles

GOOD = "https://tiles.example/osm/{z}/{x}/{y}.png"


@pytest.mark.parametrize(
    "url",
    [GOOD, "http://127.0.0.1:8080/{z}/{x}/{y}", "https://[::1]:9/{z}/{x}/{y}", "https://t.example/?z={z}&x={x}&y={y}"],
)
def test_an_address_of_tiles(url: str) -> None:
    assert tiles(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tiles.example/{z}/{x}/{y}",
        "https://tiles.example/{z}/{x}.png",
        "https://{s}.tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example; script-src */{z}/{x}/{y}",
        "https://tiles.example/{z}/{x}/{y}\r\nX: y",
        "https://user:secret@tiles.example/{z}/{x}/{y}",
        "https://*/{z}/{x}/{y}",
        "data:image/png,{z}{x}{y}",
        "ftp://tiles.example/{z}/{x}/{y}",
    ],
)
def test_what_is_no_address_of_tiles(url: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        tiles(url)


def test_pictures_may_come_from_that_origin_and_no_other() -> None:
    def policy(address: str) -> dict[str, str]:
        parts = dict(_headers_for(address))[b"content-security-policy"].decode().split("; ")
        return {name: rest for name, _sep, rest in (part.partition(" ") for part in parts)}

    without, allowed = policy(""), policy(GOOD)
    assert without["img-src"] == "'self' data:"
    assert allowed["img-src"].split() == ["'self'", "https://tiles.example", "data:"]
    assert {**allowed, "img-src": ""} == {**without, "img-src": ""}
