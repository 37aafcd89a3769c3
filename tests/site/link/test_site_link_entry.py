"""`central:` of a site's file, and what a box says of a central system that does not let it in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.site.link.link_kit import Yard

from pilotwire.core.errors import ConfigError
from pilotwire.site.config import read
from pilotwire.site.demo import TEXT
from pilotwire.site.link.dial import CentralLink, box_id, refusal
from pilotwire.site.link.entry import CentralEntry, address, findings, key_of


@pytest.mark.parametrize(
    ("url", "site", "wanted"),
    [
        ("https://csms.example", None, "wss://csms.example/api/v1/sites/yard/controller/link"),
        ("https://csms.example:8443/pilot/", "a:b", "wss://csms.example:8443/pilot/api/v1/sites/a%3Ab/controller/link"),
        ("http://127.0.0.1:8080", None, "ws://127.0.0.1:8080/api/v1/sites/yard/controller/link"),
        ("http://[::1]:8080", None, "ws://[::1]:8080/api/v1/sites/yard/controller/link"),
    ],
)
def test_the_address_is_made_of_the_url_and_the_site(url: str, site: str | None, wanted: str) -> None:
    assert address(CentralEntry(url=url, key_file="k", site=site), "yard") == wanted


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://csms.example", "in plain text"),
        ("csms.example", "no address of a central system"),
        ("ftp://csms.example", "no address of a central system"),
        ("https://me:secret@csms.example", "no address of a central system"),
        ("https://csms.example:99999", "no address"),
    ],
)
def test_an_address_that_is_none_is_said(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        address(CentralEntry(url=url, key_file="k"), "yard")


def test_the_key_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    entry = CentralEntry(url="https://csms.example", key_file="csms.key")
    with pytest.raises(ConfigError, match="cannot be read"):
        key_of(entry, tmp_path)
    for text in ("", "secret", "pw_a pw_b", "pw_\xe9", "pw_" + "x" * 5_000 + " y"):
        (tmp_path / "csms.key").write_text(text, "latin-1")
        if len(text) < 5_000:
            with pytest.raises(ConfigError, match="holds no API key"):
                key_of(entry, tmp_path)
    (tmp_path / "csms.key").write_text("pw_abc\n")
    assert key_of(entry, tmp_path) == "pw_abc"
    assert findings(entry, "yard", tmp_path) == findings(None, "yard", tmp_path) == []


def test_all_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    entry = CentralEntry(url="http://csms.example", key_file="gone", ca="gone.pem", fingerprint="12:34")
    assert [each.where for each in findings(entry, "yard", tmp_path)] == [
        "central.url", "central.key_file", "central.ca", "central.fingerprint",
    ]  # fmt: skip


def test_the_file_has_the_section() -> None:
    config, wrong = read(TEXT + "\ncentral: {url: 'https://csms.example', key_file: csms.key, site: depot}\n")
    assert config is not None and not wrong
    assert config.central == CentralEntry(url="https://csms.example", key_file="csms.key", site="depot")
    _, wrong = read(TEXT + "\ncentral: {url: 'https://csms.example', key: pw_secret}\n")
    assert wrong[0].where.startswith("central")


async def test_an_authority_that_cannot_be_read_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("pw_x")
    (tmp_path / "ca.pem").write_text("no certificate")
    entry = CentralEntry(url="https://csms.example", key_file="key", ca="ca.pem")
    with pytest.raises(ConfigError, match=r"central\.ca"):
        await CentralLink(entry, Yard(), tmp_path, tmp_path, print).start()


def test_a_box_keeps_its_id(tmp_path: Path) -> None:
    first = box_id(tmp_path / "site")
    assert box_id(tmp_path / "site") == first and len(first) == 32
    assert box_id(tmp_path / "other") != first
    (tmp_path / "site" / "box.id").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="box's own id"):
        box_id(tmp_path / "site")


def test_a_refusal_is_told_in_the_central_systems_words() -> None:
    assert refusal(404, b'{"title": "x", "detail": "There is no site."}') == "it refuses us: There is no site."
    for body in (b"", b"<html>", b"[]", b"\xff", b"{}"):
        assert "status 502" in refusal(502, body)
