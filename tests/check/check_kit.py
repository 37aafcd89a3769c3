"""What the tests of the kit share: our CSMS and our station with all that their cases need, and what is open yet."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.check import contract_pki, providers
from tests.crypto.est_server import EstServer
from tests.interop import csms_process

from pilotwire.check import drive, keys, library, places
from pilotwire.check.case import Script
from pilotwire.check.player import Outcome
from pilotwire.check.run import run
from pilotwire.check.settings import Settings
from pilotwire.cli.own_station import OwnStation
from pilotwire.crypto.certificates import Issued, make_authority, make_station

VERSIONS = ("1.6", "2.0.1", "2.1")
PASSWORD = "0123456789abcdef0123"
OPEN = tomllib.loads((Path(__file__).parent / "open_cases.toml").read_text())
"""side → version → case → why it is not passed yet."""

EMAID = "DEPWCC123456783"
TOKENS: tuple[dict[str, str], ...] = (
    {"token": "PWCHECK1", "parent": "PWG"},
    {"token": "PWCHECK2", "parent": "PWG"},
    {"token": "PWBLOCK", "status": "Blocked"},
    {"token": "PWEXPIRED", "expires_at": "2024-01-01T00:00:00Z"},
    {"token": "PWMASTER", "parent": "PWMASTERGROUP"},
    {"token": EMAID, "type": "eMAID"},
)
GIVEN: Mapping[str, Any] = {
    "password": PASSWORD,
    "exi": "gJgCVGVzdA==",
    "unknown": "NOBODY-KNOWS",
    "pending": "PW-PENDING",
    "emaid": EMAID,
    "token.valid2": "PWCHECK2",
    "token.group": "PWG",
    "token.blocked": "PWBLOCK",
    "token.expired": "PWEXPIRED",
    "token.master": "PWMASTER",
    "token.master.group": "PWMASTERGROUP",
}

# The sections of 1.6 (edition 2) that a case is about, by the actions in it. A section is coarse: it is met when all
# cases that touch it are passed.
SECTIONS: Mapping[str, str] = {
    "Authorize": "4.1",
    "BootNotification": "4.2",
    "CancelReservation": "5.1",
    "ChangeAvailability": "5.2",
    "ChangeConfiguration": "5.3",
    "ClearCache": "5.4",
    "ClearChargingProfile": "5.5",
    "DataTransfer": "4.3",
    "DiagnosticsStatusNotification": "4.4",
    "FirmwareStatusNotification": "4.5",
    "GetCompositeSchedule": "5.7",
    "GetConfiguration": "5.8",
    "GetDiagnostics": "5.9",
    "GetLocalListVersion": "5.10",
    "Heartbeat": "4.6",
    "MeterValues": "4.7",
    "RemoteStartTransaction": "5.11",
    "RemoteStopTransaction": "5.12",
    "ReserveNow": "5.13",
    "Reset": "5.14",
    "SendLocalList": "5.15",
    "SetChargingProfile": "5.16",
    "StartTransaction": "4.8",
    "StatusNotification": "4.9",
    "StopTransaction": "4.10",
    "TriggerMessage": "5.17",
    "UnlockConnector": "5.18",
    "UpdateFirmware": "5.19",
}


def parameters(side: str) -> list[Any]:
    """Every case in every version, marked with the requirements that it is about."""
    found: list[Any] = []
    for version in VERSIONS:
        for script in library.scripts(side, version):
            ids = _sections(script) if version == "1.6" else script.case.requirements
            marks = [pytest.mark.requirement(version, *ids, side=side)] if ids else []
            found.append(pytest.param(version, script.id, marks=marks, id=f"{version}-{script.id}"))
    return found


def _sections(script: Script) -> list[str]:
    # What a state of many cases says by the way is not what the case is about.
    names = [step.send or step.drive or step.expect for step, origin in script.steps if origin != "Booted"]
    return sorted({SECTIONS[name] for name in names if name in SECTIONS})


def judge(outcome: Outcome, side: str) -> None:
    """Passed, or open and listed as such; anything else, also "not run", is a failure of the test."""
    if outcome.status == "passed":
        return
    listed = OPEN[side].get(outcome.version, {}).get(outcome.id)
    if listed:
        pytest.xfail(f"{listed} ({outcome.reason})")
    from pilotwire.check import report

    pytest.fail(report.line(outcome), pytrace=False)


@contextmanager
def our_csms(data: Path) -> Iterator[tuple[csms_process.Csms, str]]:
    """`pilotwire csms` with tokens and stations for the cases, and the key of its API."""
    (data.parent / "est").mkdir()
    secure = csms_process.free_port()
    with (
        EstServer(data.parent / "est") as pki,
        providers.contracts() as provider,
        contract_pki.running() as contracts,
        csms_process.running(
            data, "--message-rate", "0", "--ocpps", f"127.0.0.1:{secure}", "--allow-private-ocsp"
        ) as csms,
    ):
        (data / "wss").write_text(f"wss://127.0.0.1:{secure}/ocpp")
        key = json.loads((data / "run.json").read_text())["key"]
        with httpx.Client(base_url=f"{csms.http}/api/v1", headers={"Authorization": f"Bearer {key}"}) as api:
            for token in TOKENS:
                api.post("/tokens", json=token).raise_for_status()
            api.patch("/certificate-authority", json=_authorities(pki, provider)).raise_for_status()
            for name, one in (("MO root", contracts.root), ("MO sub-authority", contracts.sub)):
                anchor = {"name": name, "use": "mo", "certificate": one.pem, "reason": "contracts of the provider"}
                api.post("/trust-anchors", json=anchor).raise_for_status()
            (data / "contracts.json").write_text(json.dumps({version: _contracts(contracts) for version in VERSIONS}))
            terms = {"currency": "EUR", "energy": {"prices": [{"priceKwh": "0.4"}]}}
            api.post("/tariffs", json={"id": "check", "name": "Check", "terms": terms}).raise_for_status()
            for version in VERSIONS:
                accounts: dict[str, dict[str, Any]] = {
                    "PW": {"password": PASSWORD},
                    "PW-PENDING": {"password": PASSWORD, "boot": "Pending"},
                    "PW-LATER": {"password": PASSWORD, "boot": "Pending"},
                    "PW-COST": {"password": PASSWORD},
                    "PW-TLS": {"password": PASSWORD, "security_profile": 2},
                    "PW-CERT": {"security_profile": 3, "organization": "Pilotwire"},
                    "PW-UP": {"password": PASSWORD},
                }
                for name, more in accounts.items():
                    api.post("/stations", json={"id": f"{name}-{version}", **more}).raise_for_status()
                place = {"tariff_id": "check", "scope": "station", "target": f"PW-COST-{version}"}
                api.post("/tariff-assignments", json=place).raise_for_status()
        yield csms, key


def _contracts(pki: contract_pki.ContractPki) -> dict[str, Any]:
    """Contracts of their own for each version: what was asked before is remembered."""
    good, gone = pki.contract(EMAID), pki.contract(EMAID, revoked=True)
    shown, withdrawn = pki.contract(EMAID), pki.contract(EMAID, revoked=True)
    return {
        "contract.hashes": pki.asks(good, pki.sub),
        "contract.revoked.hashes": pki.asks(gone, pki.sub),
        "contract.certificate": shown.pem + pki.sub.pem,
        "contract.revoked.certificate": withdrawn.pem + pki.sub.pem,
        "ocsp": pki.asks(pki.sub)[0],
    }


def _authorities(pki: EstServer, provider: str) -> dict[str, Any]:
    """Who signs ISO 15118 certificates, and who has contracts."""
    trust = Path(pki.ca_file).read_text()
    est = {"url": pki.url, "user": "csms", "password": pki.password, "trust": trust}
    return {"est_v2g": est, "contracts_url": provider}


async def check_csms(csms: csms_process.Csms, key: str, version: str, *only: str) -> dict[str, Outcome]:
    """Play the cases against it."""
    certificates = {
        "csr": keys.signing_request(f"PW-{version}", "Pilotwire"),
        "ca.certificate": keys.authority("Root"),
        "firmware.certificate": keys.authority("Firmware"),
    }
    names = {
        "id": f"PW-{version}",
        "pending": f"PW-PENDING-{version}",
        "pending.then.accepted": f"PW-LATER-{version}",
        "subprotocol": f"ocpp{version}",
    }
    contracts = json.loads((csms.data / "contracts.json").read_text())[version]
    settings = Settings({**GIVEN, **certificates, **names, **contracts, "url": csms.ocpp})
    driver = drive.Pilotwire(csms.http, key, timeout_s=10)
    try:
        place = places.Dialled(csms.ocpp, version, settings, {})
        scripts = library.chosen(library.scripts("csms", version), only)
        outcomes = await run(scripts, settings, driver, place, timeout_s=10)
        found = {outcome.id: outcome for outcome in outcomes}
        priced = [each for each in scripts if "tariff" in each.case.needs]
        costly = Settings({**settings.values, "id": f"PW-COST-{version}", "tariff": True})
        place = places.Dialled(csms.ocpp, version, costly, {})
        found |= {outcome.id: outcome for outcome in await run(priced, costly, driver, place, timeout_s=10)}
        upgraded = [each for each in scripts if "upgrade" in each.case.needs]
        higher = {"id": f"PW-UP-{version}", "upgrade": 2, "upgrade.url": (csms.data / "wss").read_text()}
        settings = Settings({**settings.values, **higher})
        place = places.Dialled(csms.ocpp, version, settings, keys.contexts(csms.data / "tls" / "ca.pem", None, None))
        found |= {outcome.id: outcome for outcome in await run(upgraded, settings, driver, place, timeout_s=10)}
        for need, profile in (("tls", 2), ("certificate", 3)):
            chosen = [each for each in scripts if need in each.case.needs]
            found |= {outcome.id: outcome for outcome in await _over_tls(csms, version, chosen, profile, driver)}
    finally:
        await driver.close()
    return found


async def _over_tls(
    csms: csms_process.Csms, version: str, scripts: list[Script], profile: int, driver: drive.Driver
) -> list[Outcome]:
    """Cases of TLS, as a station of security profile 2, or of profile 3 with a certificate of its own."""
    url = (csms.data / "wss").read_text()
    tls = csms.data / "tls"
    authority = Issued((tls / "ca.pem").read_text(), (tls / "ca.key").read_text())
    name = f"{'PW-TLS' if profile == 2 else 'PW-CERT'}-{version}"
    settings = Settings({**GIVEN, "id": name, "url": url, "tls": True})
    files: list[Path | None] = [None] * 4
    if profile == 3:
        settings.values |= {"certificate": True, "bad-certificate": True, "password": ""}
        now = datetime.now(UTC)
        stranger = make_authority("Somebody else", now=now)
        pairs = [make_station(each, name, "Pilotwire", now=now) for each in (authority, stranger)]
        files = [tls / f"check-{version}-{number}.pem" for number in range(4)]
        for file, text in zip(files, (text for pair in pairs for text in pair), strict=True):
            assert file is not None
            file.write_text(text)
    place = places.Dialled(url, version, settings, keys.contexts(tls / "ca.pem", *files))
    return await run(scripts, settings, driver, place, timeout_s=10)


async def check_station(version: str, *only: str) -> dict[str, Outcome]:
    """Play the cases against our station in this process."""
    with providers.files() as upload:
        settings = Settings({"station.password": "secret-of-station", "upload": upload, "start.authorized": True})
        async with (
            places.listening("127.0.0.1", 0, version, settings) as (place, port),
            OwnStation.at(f"ws://127.0.0.1:{port}/ocpp", version) as driver,
        ):
            scripts = library.chosen(library.scripts("station", version), only)
            outcomes = await run(scripts, settings, driver, place, timeout_s=10)
    return {outcome.id: outcome for outcome in outcomes}
