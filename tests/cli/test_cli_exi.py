"""`pilotwire decode exi` and `encode exi`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pilotwire.cli.main import main

STOP = {
    "V2G_Message": {
        "Header": {"SessionID": "0102030405060708"},
        "Body": {"SessionStopReq": {"ChargingSession": "Pause"}},
    }
}


@pytest.fixture
def written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message above as hexadecimal digits."""
    file = tmp_path / "stop.json"
    file.write_text(json.dumps(STOP))
    assert main(["encode", "exi", "--schema", "iso2", str(file)]) == 0
    return capsys.readouterr().out.strip()


def test_there_and_back(written: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["decode", "exi", written, "--schema", "iso2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"messages": {"iso2": STOP}, "faults": {}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(STOP)))
    assert main(["encode", "exi", "--schema", "iso2"]) == 0
    assert capsys.readouterr().out.strip() == written


def test_the_schema_is_found(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "exi", written]) == 0
    shown = capsys.readouterr().out
    assert "iso2\n{" in shown
    assert "SessionStopReq" in shown


def test_v2gtp_and_files(written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytes.fromhex(written)
    packed = b"\x01\xfe\x80\x01" + len(data).to_bytes(4, "big") + data
    for name, content in (("bytes.bin", packed), ("digits.txt", packed.hex().encode() + b"\n")):
        file = tmp_path / name
        file.write_bytes(content)
        assert main(["decode", "exi", str(file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["messages"]["iso2"] == STOP
    assert main(["decode", "exi", packed[:-1].hex()]) == 1
    assert f"announces {len(data)} bytes, {len(data) - 1} follow" in capsys.readouterr().err
    assert main(["decode", "exi", "01fe900000000002" + "1000"]) == 1
    assert "payload type 9000 is no EXI" in capsys.readouterr().err


def test_fragments(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    signed = {"eMAID": {"Id": "id1", "value": "DE-ABC-C12345678"[:15]}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(signed)))
    assert main(["encode", "exi", "--schema", "iso2", "--fragment"]) == 0
    digits = capsys.readouterr().out.strip()
    assert main(["decode", "exi", digits, "--schema", "iso2", "--fragment", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"]["iso2"] == signed


def test_what_cannot_be_read_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["decode", "exi", "80ffff"]) == 1
    assert "iso2: " in capsys.readouterr().out
    assert main(["decode", "exi", "no such file"]) == 1
    assert "neither hexadecimal digits nor a file" in capsys.readouterr().err
    assert main(["encode", "exi", "--schema", "iso2", str(tmp_path / "none.json")]) == 1
    assert "none.json is no JSON" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["encode", "--schema", "iso2"])
    assert "pilotwire encode exi" in capsys.readouterr().err
