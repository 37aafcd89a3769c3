"""`pilotwire pki`: files that others can use, keys for the owner alone, and nothing is written over."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pilotwire.cli import pki
from pilotwire.cli.main import main
from pilotwire.core.errors import ConfigError
from pilotwire.crypto.chains import load
from pilotwire.crypto.pnc.keys import info_of

NOW = int(datetime.now(UTC).timestamp() * 1000)


def test_all_of_it_is_made_and_can_be_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pki"
    assert main(["pki", str(folder), "--emaid", "FRABC123456789", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["edition"] for row in rows} == {"iso2", "iso20"}
    assert {row["key"] for row in rows if row["edition"] == "iso20"} == {"p521"}
    for edition in pki.EDITIONS:
        own = pki.load(folder, edition)
        verdict = own.trust().judge("contract", own.edition, own["contract"].chain, NOW)
        assert (verdict.code, verdict.emaid) == ("ok", "FRABC123456789")
        for one in own.issued.values():
            assert one.key.public == info_of(load(one.certificate).public_key())
        for file in (folder / edition).iterdir():
            secret = file.suffix == ".key"
            assert (file.stat().st_mode & 0o077 == 0) == secret
            assert ("PRIVATE KEY" in file.read_text()) == secret


def test_the_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pki", str(tmp_path / "new"), "--edition", "iso20", "--ed448"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["edition", "name", "CN", "key", "until", "bytes", "file"]
    assert len(lines) == len(list((tmp_path / "new" / "iso20").glob("*.pem"))) == 16
    assert all(" ed448 " in line for line in lines)


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").write_text("mine")
    assert main(["pki", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["here"]


def test_names_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--emaid", "me"), ("--pcid", "car"), ("--secc", "")):
        with pytest.raises(SystemExit):
            main(["pki", str(tmp_path / "x"), option, value])
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_none_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        pki.load(tmp_path, "iso2")
    assert main(["pki", str(tmp_path / "a"), "--edition", "iso2"]) == 0
    (tmp_path / "a" / "iso2" / "secc.key").unlink()
    with pytest.raises(ConfigError, match=r"secc\.key"):
        pki.load(tmp_path / "a", "iso2")


def test_openssl_agrees_with_the_chains(tmp_path: Path) -> None:
    assert main(["pki", str(tmp_path / "a")]) == 0
    for edition in pki.EDITIONS:
        place = tmp_path / "a" / edition
        for leaf, root in (("secc", "v2g"), ("cps", "v2g"), ("contract", "mo"), ("oem", "oem")):
            command = ["openssl", "verify", "-x509_strict", "-CAfile", place / f"{root}-root.pem"]
            command += ["-untrusted", place / f"{leaf}.pem", place / f"{leaf}.pem"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
