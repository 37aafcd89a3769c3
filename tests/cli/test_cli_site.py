"""`pilotwire site` as its user sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pilotwire.cli.main import main
from pilotwire.site.config import read
from pilotwire.site.demo import TEXT as DEMO

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "site.yaml"


def test_what_init_writes_passes_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.yaml"
    assert main(["site", "init", str(file)]) == 0
    assert main(["site", "check", str(file)]) == 0
    assert "can run. 2 EVSEs, 2 nodes, 1 device" in capsys.readouterr().out
    assert main(["site", "init", str(file)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["site", "init", str(file), "--force"]) == 0


def test_the_example_passes_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "check", str(EXAMPLE)]) == 0
    assert "can run. 5 EVSEs" in capsys.readouterr().out


def test_every_mistake_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(
        EXAMPLE.read_text().replace("maximum_a: 16", "maximum_ma: 16").replace("order: least", "order: least-")
    )
    assert main(["site", "check", str(file)]) == 1
    said = capsys.readouterr().out
    assert "evses[bay-3].maximum_ma: there is no such setting; did you mean maximum_a?" in said
    assert "policy.order" in said
    assert "2 things to mend" in said


def test_a_site_that_could_melt_a_fuse_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLE.read_text().replace("current_a: 63", "current_a: 28"))
    assert main(["site", "check", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {each["where"] for each in found if each["severity"] == "error"} == {"nodes[garage]"}
    assert "when all fall back" in found[0]["text"]
    assert main(["site", "run", str(file), "--seconds", "1"]) == 1
    assert "fail-safe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("file: keba-p30 ", "file: keba-p33 ", "evses[bay-1].charger.file"),
        ("endpoint: tcp://192.168.10.20:502", "endpoint: 192.168.10.20", "devices[main].endpoint"),
        ("ocpp: PW-0003", "ocpp: PW-0004", "evses[bay-3].charger.ocpp"),
        ("failsafe_a: 8 ", "watchdog_s: 7 ", ""),
    ],
)
def test_what_is_named_has_to_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, where: str
) -> None:
    file = tmp_path / "site.yaml"
    assert old in EXAMPLE.read_text()
    file.write_text(EXAMPLE.read_text().replace(old, new, 1))
    assert main(["site", "check", str(file)]) == (1 if where else 0)
    assert where in capsys.readouterr().out


def _demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pilotwire.cli.main", "site", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(EXAMPLE.parents[2] / "src")},
    )


def test_the_demo_runs_stops_on_sigterm_and_its_log_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = _demo("--data", str(tmp_path), "--json")
    try:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert [line["seq"] for line in lines] == sorted({line["seq"] for line in lines})
    config, _ = read(DEMO)
    assert config is not None
    assert set(lines[-1]["evses"]) == {entry.id for entry in config.evses}
    assert lines[-1]["counts"]["failures"] == 0
    assert lines[-1]["marks"] == []
    assert main(["site", "replay", str(tmp_path / "demo"), "--evse", "bay-1"]) == 0
    said = capsys.readouterr().out
    assert "every one as it was" in said
    assert "bay-1: it may give" in said or "bay-1: it is paused" in said
    at = lines[1]["at"]
    assert main(["site", "replay", str(tmp_path / "demo"), "--at", at]) == 0
    said = capsys.readouterr().out
    assert all(f"  {entry.id}: " in said for entry in config.evses)
    assert main(["site", "replay", str(tmp_path / "demo"), "--evse", "bay-9"]) == 1
    assert "there is no EVSE bay-9" in capsys.readouterr().err
    assert main(["site", "replay", str(tmp_path / "demo"), "--at", "2020-01-01T00:00:00Z"]) == 1
    assert "the log begins later" in capsys.readouterr().err
    assert main(["site", "replay", str(tmp_path / "demo"), "--at", "noon"]) == 1
    # An altered byte is a fault, said in words.
    (segment,) = (tmp_path / "demo" / "log").glob("*.pwlog")
    data = bytearray(segment.read_bytes())
    data[-30] ^= 1
    segment.write_bytes(data)
    assert main(["site", "replay", str(tmp_path / "demo")]) == 1
    assert "damaged: 0000000001.pwlog, byte" in capsys.readouterr().out


def test_a_log_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "replay", str(tmp_path)]) == 1
    assert "there is no log" in capsys.readouterr().out


def test_the_demos_site_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pilotwire.site.compiled import findings
    from pilotwire.site.config import read

    config, wrong = read(DEMO)
    assert config is not None and not wrong
    assert findings(config) == []
