"""Stations, tokens, users, keys: the same beside a running server and without one."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from tests.cli.cli_kit import done, pilotwire, raw_station
from websockets.exceptions import InvalidStatus


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_station_is_added_listed_shown_and_removed(data: Path):
    text = done("stations", "add", "CP-1", data=data)
    password = text.split("password  ")[1].split()[0]
    assert "CP-1 may connect with security profile 1" in text and "/ocpp/CP-1" in text
    assert len(password) >= 16 and "(shown once)" in text

    again = pilotwire("stations", "add", "CP-1", data=data)
    assert again.returncode == 1 and "CP-1 has an account" in again.stderr

    listed = done("stations", "list", data=data)
    assert listed.splitlines()[0].split() == [
        "STATION",
        "ONLINE",
        "OCPP",
        "VENDOR",
        "MODEL",
        "FIRMWARE",
        "LAST",
        "SEEN",
    ]
    assert "CP-1     no" in listed and password not in listed
    shown = json.loads(done("stations", "show", "CP-1", data=data))
    assert shown["id"] == "CP-1" and shown["registered"] and not shown["connected"]
    assert password not in str(shown)

    assert done("stations", "remove", "CP-1", data=data) == "CP-1 may no longer connect\n"
    assert not rows(done("stations", "list", "--json", data=data))
    gone = pilotwire("stations", "remove", "CP-1", data=data)
    assert gone.returncode == 1 and "'CP-1'" in gone.stderr
    assert pilotwire("stations", "show", "CP-1", data=data).returncode == 1


def test_identities_may_hold_any_printable_character(data: Path):
    for odd in ("DE*ABC*E1/2", "Säule 7?", "50%25#x"):
        assert json.loads(done("stations", "add", odd, "--json", data=data))["id"] == odd
        assert json.loads(done("stations", "show", odd, data=data))["id"] == odd
        done("tokens", "add", odd, data=data)
        done("tokens", "remove", odd, data=data)
        done("stations", "remove", odd, data=data)


def test_profile_3_needs_a_certificate_and_no_password(data: Path):
    text = done("stations", "add", "CP-3", "--profile", "3", "--organization", "Org", "--serial", "S-1", data=data)
    assert "password" not in text and "CN=S-1 and O=Org" in text
    done("stations", "remove", "CP-3", data=data)


def test_a_wrong_setting_names_its_field(data: Path):
    short = pilotwire("stations", "add", "CP-2", "--password", "short", data=data)
    assert short.returncode == 1 and "password" in short.stderr
    colon = pilotwire("stations", "add", "CP:2", data=data)
    assert colon.returncode == 1 and "id" in colon.stderr
    assert pilotwire("stations", "list", "--tenant", "a:b", data=data).returncode == 1


def test_tokens(data: Path):
    assert done("tokens", "add", "04A1B2C3D4", "--note", "blue car", data=data) == "04A1B2C3D4: Accepted\n"
    assert done("tokens", "add", "04A1B2C3D4", "--status", "Blocked", "--group", "G", data=data)
    (token,) = rows(done("tokens", "list", "--json", data=data))
    assert (token["token"], token["status"], token["parent"]) == ("04A1B2C3D4", "Blocked", "G")
    assert "04A1B2C3D4  ISO14443  Blocked  G" in done("tokens", "list", data=data)
    assert done("tokens", "remove", "04A1B2C3D4", data=data) == "04A1B2C3D4 is forgotten\n"
    nothing = pilotwire("tokens", "list", data=data)
    assert nothing.returncode == 0 and not nothing.stdout and "no token yet" in nothing.stderr
    assert pilotwire("tokens", "remove", "04A1B2C3D4", data=data).returncode == 1


def test_users_with_the_password_from_standard_input(data: Path):
    assert done("users", "add", "ada", stdin="a password of hers\n", data=data) == "ada may log in as operator\n"
    weak = pilotwire("users", "add", "bob", stdin="short\n", data=data)
    assert weak.returncode == 1 and "password" in weak.stderr
    assert done("users", "add", "ada", "--role", "admin", stdin="a password of hers\n", data=data)
    # A new password leaves the role as it was.
    assert done("users", "add", "ada", stdin="another one of hers\n", data=data) == "ada may log in as admin\n"
    found = {row["name"]: row["role"] for row in rows(done("users", "list", "--json", data=data))}
    assert found["ada"] == "admin" and "bob" not in found
    told = done("users", "list", "--json", data=data)
    assert "of hers" not in told and "argon2" not in told
    assert done("users", "remove", "ada", data=data) == "ada may no longer log in\n"
    assert pilotwire("users", "remove", "ada", data=data).returncode == 1


def test_api_keys(data: Path):
    key = done("users", "key", "nightly export", data=data).strip()
    assert key.startswith("pw_")
    (row,) = rows(done("users", "keys", "--json", data=data))
    assert row["name"] == "nightly export" and key not in str(row)
    assert "nightly export" in done("users", "keys", data=data)
    assert done("users", "revoke", row["id"], data=data) == f"key {row['id']} is revoked\n"
    assert not rows(done("users", "keys", "--json", data=data))
    assert pilotwire("users", "revoke", row["id"], data=data).returncode == 1


def test_tenants_are_kept_apart(data: Path):
    done("stations", "add", "CP-T", "--tenant", "north", data=data)
    done("tokens", "add", "NORTH", "--tenant", "north", data=data)
    assert not rows(done("stations", "list", "--json", data=data))
    assert [row["id"] for row in rows(done("stations", "list", "--json", "--tenant", "north", data=data))] == ["CP-T"]
    assert not rows(done("tokens", "list", "--json", data=data))
    done("stations", "remove", "CP-T", "--tenant", "north", data=data)
    done("tokens", "remove", "NORTH", "--tenant", "north", data=data)


def test_what_is_set_beside_a_running_server_counts_at_once(csms):
    with pytest.raises(InvalidStatus) as unknown, raw_station(csms.ocpp, "CP-7", "a-password-of-16+"):
        pass
    assert unknown.value.response.status_code == 404
    done("stations", "add", "CP-7", "--password", "a-password-of-16+", data=csms.data)
    with raw_station(csms.ocpp, "CP-7", "a-password-of-16+") as station:
        station.boot()
        assert station.call("Authorize", {"idTag": "T7"})["idTagInfo"]["status"] == "Invalid"
        done("tokens", "add", "T7", data=csms.data)
        assert station.call("Authorize", {"idTag": "T7"})["idTagInfo"]["status"] == "Accepted"
    done("stations", "remove", "CP-7", data=csms.data)
    with pytest.raises(InvalidStatus), raw_station(csms.ocpp, "CP-7", "a-password-of-16+"):
        pass

    key = done("users", "key", "test", data=csms.data).strip()
    header = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{csms.http}/api/v1/stations", headers=header).status_code == 200
    # The key is nobody's way into another tenant: only this machine's own is.
    assert httpx.get(f"{csms.http}/api/v1/stations", headers={"Authorization": f"Bearer {key}@x"}).status_code == 401
    (row,) = rows(done("users", "keys", "--json", data=csms.data))
    done("users", "revoke", row["id"], data=csms.data)
    assert httpx.get(f"{csms.http}/api/v1/stations", headers=header).status_code == 401


def test_a_tenants_station_connects_by_its_path(csms):
    made = json.loads(done("stations", "add", "CP-N", "--tenant", "north", "--json", data=csms.data))
    done("tokens", "add", "NORTH", "--tenant", "north", data=csms.data)
    with raw_station(f"{csms.ocpp}/north", "CP-N", made["password"]) as station:
        station.boot()
        station.charge("NORTH")
    for elsewhere in ("", "/south"):
        with pytest.raises(InvalidStatus) as unknown, raw_station(csms.ocpp + elsewhere, "CP-N", made["password"]):
            pass
        assert unknown.value.response.status_code == 404
    (session,) = rows(done("sessions", "--tenant", "north", "--json", data=csms.data))
    assert (session["station_id"], session["energy_wh"]) == ("CP-N", 2500)
    assert not rows(done("sessions", "--json", data=csms.data))


def test_a_data_directory_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    ended = pilotwire("stations", "list", data=tmp_path / "file")
    assert ended.returncode == 1 and "choose another with --data" in ended.stderr


def test_a_run_file_left_by_a_crash_is_not_believed(tmp_path: Path):
    """Its process id may be somebody else's by now: this test's own, here."""
    import os

    data = tmp_path / "data"
    done("stations", "add", "CP-1", data=data)
    stale = {"pid": os.getpid(), "http": "http://127.0.0.1:1", "key": "pw_x"}
    (data / "run.json").write_text(json.dumps(stale))
    assert rows(done("stations", "list", "--json", data=data))[0]["id"] == "CP-1"
