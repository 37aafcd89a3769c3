"""`pilotwire check`: what it says, and what it leaves for programs."""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pilotwire.cli.check import settings_of
from pilotwire.cli.main import main


def test_a_station_is_checked_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_json, junit = tmp_path / "report.json", tmp_path / "report.xml"
    line = ["check", "station", "--drive", "pilotwire", "--version", "1.6", "--listen", "127.0.0.1:0"]
    chosen = ["--only", "PW16_B_05_CS", "--only", "PW_RPC_01_CS", "--json", str(as_json), "--junit", str(junit)]
    assert main([*line, *chosen]) == 0
    said = capsys.readouterr().out
    assert "ok   PW_RPC_01_CS" in said and "passed" in said
    told = json.loads(as_json.read_bytes())
    assert told["counts"] == {"passed": 2, "failed": 0, "not run": 0}
    assert [case["id"] for case in told["cases"]] == ["PW16_B_05_CS", "PW_RPC_01_CS"]
    suite = ElementTree.fromstring(junit.read_text())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "0")


def test_what_cannot_be_reached_fails_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/ocpp"
        junit = tmp_path / "report.xml"
        line = ["check", "csms", url, "--only", "PW_RPC_01_CSMS", "--only", "TC_F_20_CSMS", "--junit", str(junit)]
        assert main([*line, "--timeout", "2"]) == 1
    said = capsys.readouterr().out
    assert "FAIL PW_RPC_01_CSMS" in said and "not opened" in said
    suite = ElementTree.fromstring(junit.read_text())
    assert suite.get("failures") == "2" and suite.findall("testcase/failure")


def test_cases_are_named_and_nonsense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "csms", "--list", "--profile", "reservation"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows and all(" reservation " in row and row.startswith("TC_H") for row in rows)
    odd = ["csms", "ws://x", "--set", "contract.hashes=[1"]
    for line in (["csms"], ["csms", "ws://x", "--only", "NONE"], ["station", "--drive", "command"], odd):
        assert main(["check", *line]) == 2
        assert "pilotwire check" in capsys.readouterr().err


def test_settings_are_texts_numbers_or_json() -> None:
    given = ["evse=2", "token.valid=0A", "contract.hashes=[{}]", 'ocsp={"serialNumber":"1a"}']
    chosen = argparse.Namespace(
        set=given, id="", password="", side="csms", url="ws://x", version="2.1", cert=None, bad_cert=None
    )
    values = settings_of(chosen).values
    assert (values["evse"], values["token.valid"], values["contract.hashes"]) == (2, "0A", [{}])
    assert values["ocsp"] == {"serialNumber": "1a"}
