"""`pilotwire decode v2g` and `pilotwire explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.protocols.capture.capture_kit import V2gSession
from tests.protocols.capture.labelled import chademo

from pilotwire.cli.main import main
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.capture import Recording, read_timeline
from pilotwire.protocols.chademo import encode_frame


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole session of ISO 15118-2."""
    file = tmp_path_factory.mktemp("captures") / "session.pcapng"
    file.write_bytes(V2gSession("iso2", "DC").begin(4_000).halt().file())
    return file


def test_a_capture_as_a_timeline(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "v2g", str(session)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "car  →" in lines[1] and "supportedAppProtocolReq" in lines[1]
    assert any("← EVSE CurrentDemandRes" in line and "EVSEPresentVoltage 400 V" in line for line in lines)
    assert main(["decode", "v2g", str(session), "--json"]) == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    setup = next(message for message in messages if message["name"] == "SessionSetupReq")
    assert setup["body"] == {"EVCCID": "020000000001"} and setup["schema"] == "iso2" and setup["from"] == "ev"
    assert [message["index"] for message in messages] == list(range(1, len(messages) + 1))


def test_v2gtp_as_digits(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = next(entry for entry in read_timeline(session.read_bytes()).entries if entry.name == "SessionStopReq")
    packet = V2gSession("iso2", "DC").begin(4_000).halt().recording.packets[stop.packet - 1]
    digits = packet.data[74:].hex()
    assert digits.startswith("01fe8001")
    assert main(["decode", "v2g", digits]) == 0
    assert "SessionStopReq  ChargingSession Terminate" in capsys.readouterr().out
    assert main(["decode", "v2g", digits, "--schema", "din"]) == 1
    assert "cannot be read" in capsys.readouterr().out


def test_why_it_ended(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(session)]) == 0
    assert capsys.readouterr().out.startswith("The car ended the session in order (message ")
    assert main(["explain", str(session), "--json", "--context"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["in_order"] and found["rule"] == "SessionStopReq Terminate" and found["by"] == "ev"
    assert main(["explain", str(session), "--context"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 4


@pytest.mark.parametrize("form", ["candump", "socketcan"])
def test_why_it_ended_on_can(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [
        encode_frame(0x109, {"charging_stop_control": True}),
        encode_frame(0x102, {"target_battery_voltage": 400_000, "vehicle_contactor_open": True}),
        encode_frame(0x102, {"target_battery_voltage": 400_000, "vehicle_charging_enabled": True,
                             "vehicle_contactor_open": True}),
        encode_frame(0x102, {"target_battery_voltage": 400_000, "vehicle_charging_enabled": True,
                             "high_battery_temperature": True}),
    ]  # fmt: skip
    file = tmp_path / "log"
    if form == "candump":
        lines = [f"(1436509052.{count}00000) can0 {each.id:03X}#{each.data.hex()}" for count, each in enumerate(frames)]
        file.write_text("\n".join(lines))
    else:
        recording = Recording()
        for count, each in enumerate(frames):
            recording.can(count * 100_000, CanFrame(each.id, each.data))
        file.write_bytes(recording.file())
    assert main(["explain", str(file)]) == 0
    assert capsys.readouterr().out == "The car reports a hot battery (message 4, 102.4.3).\n"


def test_what_is_no_capture_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear all,\n")
    assert main(["explain", str(file)]) == 1
    assert "no capture (pcap, pcapng) and no log of a CAN bus (1 lines not understood)" in capsys.readouterr().err
    assert main(["decode", "v2g", str(tmp_path / "nowhere")]) == 1
    assert "neither hexadecimal digits nor a file" in capsys.readouterr().err
    assert main(["decode", "v2g", str(file)]) == 1
    assert "neither a capture (pcap, pcapng) nor V2GTP" in capsys.readouterr().err
    file.write_bytes(b"\xd4\xc3\xb2\xa1")
    assert main(["decode", "v2g", str(file)]) == 1
    assert "has 24 bytes; there are 4" in capsys.readouterr().err


def test_an_empty_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "empty.pcapng"
    file.write_bytes(Recording().file())
    assert main(["explain", str(file)]) == 1
    assert main(["decode", "v2g", str(file)]) == 1
    assert capsys.readouterr().out.count("There is no conversation") == 2


def test_a_machine_made_log_of_can_is_explained_like_its_timeline() -> None:
    from pilotwire.protocols.capture import explain

    assert explain(chademo(ms=9_000)()).kind == "chademo goes on"
