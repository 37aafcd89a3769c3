"""The pages about certificates: what they show, what their forms do, and what they tell when that is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.api.conftest import KEY, NOW, World, seed

from pilotwire.console.app import create_app
from pilotwire.core.time import to_datetime
from pilotwire.crypto.certificates import make_authority
from pilotwire.domain import trust
from pilotwire.domain.records import StationAccount
from pilotwire.storage.documents import put, sort_time
from pilotwire.transport.bus import CommandReply, CommandRequest

DAY = 86_400_000
ROOT = make_authority("Ladenetz V2G Root", now=to_datetime(NOW)).certificate_pem
HASHES = ("SHA256", "5f78be42a9", "c01d77ab20", "4fa21c09d3")
PAGE = "/settings/certificates"
STATION = "/stations/CP-A/certificates"


@pytest.fixture
async def world() -> World:
    made = World()
    seed(made)
    await made.store.put_account(StationAccount(tenant="default", id="CP-A", security_profile=3, next_profile=3))
    for name, days in (("CP-A", 5), ("CP-B", -2)):
        await made.store.put_account(StationAccount(tenant="default", id=name))
        end = NOW + days * DAY
        one = trust.ShownCertificate(station=name, common_name=name, issuer="CN=Issuing", serial="77AA", not_after=end,
            seen_at=NOW)  # fmt: skip
        await made.store.write_documents("default", [put(trust.SHOWN, name, one, sort=sort_time(end))])
    asked = trust.Enrollment(id="e-1", station="CP-A", use="ChargingStationCertificate", status="failed", csr="-",
        asked_at=NOW, changed_at=NOW, reason="the authority is on holiday", authority="est.example.com")  # fmt: skip
    row = trust.InstalledCertificate(
        use="V2GRootCertificate", hash_algorithm="SHA256", issuer_name_hash=HASHES[1], issuer_key_hash=HASHES[2],
        serial_number=HASHES[3],
    )  # fmt: skip
    installed = trust.InstalledCertificates(asked_at=NOW, rows=(row,))
    changes = [put(trust.ENROLLMENTS, "e-1", asked, sort=sort_time(NOW)), put(trust.INSTALLED, "CP-A", installed)]
    await made.store.write_documents("default", changes)
    return made


@pytest.fixture
async def console(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with every right; forms come from the console's own pages."""
    transport = httpx.ASGITransport(app=create_app(world.context), client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


def answering(world: World, answer: dict[str, Any]) -> list[CommandRequest]:
    asked: list[CommandRequest] = []

    async def serve(request: CommandRequest) -> CommandReply:
        asked.append(request)
        return CommandReply(command_id="c-1", outcome="answered", action=request.action, answer=answer)

    world.bus.serve("command.default.CP-A", serve)
    return asked


async def test_the_page_of_the_installation(console) -> None:
    answer = await console.get(PAGE)
    assert answer.status_code == 200, answer.text
    text = answer.text
    assert text.index("CP-B") < text.index("CP-A")  # the next to end first
    assert "the authority is on holiday" in text and "est.example.com" in text
    assert "Nobody: requests are refused" in text and "5 days left" in text


async def test_the_page_of_a_station(console) -> None:
    answer = await console.get(STATION)
    assert answer.status_code == 200, answer.text
    for shown in ("77AA", "CN=Issuing", "the authority is on holiday", HASHES[3], "renew-reason", "delete-reason-1"):
        assert shown in answer.text
    ids = [part.split('"')[0] for part in answer.text.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    nothing = await console.get("/stations/CP-C/certificates")
    assert nothing.status_code == 200 and "It has asked for no certificate yet." in nothing.text
    assert (await console.get("/stations/CP-A/security")).status_code == 200


@pytest.mark.parametrize(
    ("form", "action"),
    [
        ({"do": "renew"}, "TriggerMessage"),
        ({"do": "list"}, "GetInstalledCertificateIds"),
        ({"do": "install", "use": "v2g", "anchor_id": "", "certificate": ROOT}, "InstallCertificate"),
        (
            dict(zip(("hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number"), HASHES, strict=True))
            | {"do": "delete"},
            "DeleteCertificate",
        ),
    ],
)
async def test_what_the_forms_of_a_station_do(world: World, console, form, action) -> None:
    asked = answering(world, {"status": "Accepted"})
    answer = await console.post(STATION, data={**form, "reason": "the old one ends"})
    assert (answer.status_code, answer.headers["location"]) == (303, STATION), answer.text
    assert [one.action for one in asked] == [action]
    assert "has accepted it" in (await console.get(STATION)).text or action == "GetInstalledCertificateIds"


async def test_what_is_refused_is_told(world: World, console) -> None:
    info = {"reasonCode": "InvalidCertificate", "additionalInfo": "it is too old"}
    asked = answering(world, {"status": "Rejected", "statusInfo": info})
    await console.post(STATION, data={"do": "renew", "reason": "the old one ends"})
    assert "it is too old" in (await console.get(STATION)).text
    wrong = await console.post(STATION, data={"do": "install", "use": "v2g", "reason": "x"})
    assert wrong.status_code == 422 and "give either anchor_id or certificate" in wrong.text
    assert len(asked) == 1
    assert (await console.post(STATION, data={"do": "dance"})).status_code == 303


async def test_who_signs_and_who_is_trusted(world: World, console) -> None:
    form = {
        "source": "built-in",
        "organization": "Netz AG",
        "days": "90",
        "ocsp_hosts": "ocsp.example.com, .pki.example",
    }
    saved = await console.post(f"{PAGE}/authority", data=form)
    assert saved.status_code == 303, saved.text
    text = (await console.get(PAGE)).text
    assert "BEGIN CERTIFICATE" in text and "ocsp.example.com, .pki.example" in text and 'value="90"' in text
    renewed = await console.post(f"{PAGE}/renew", data={"reason": "the key may be known"})
    assert renewed.status_code == 303
    bad = await console.post(f"{PAGE}/authority", data={**form, "days": "1"})
    assert bad.status_code == 422 and "aria-invalid" in bad.text
    body = {"name": "V2G root", "use": "v2g", "certificate": ROOT, "reason": "contracts"}
    assert (await console.post(f"{PAGE}/trust", data=body)).status_code == 303
    assert "V2G root" in (await console.get(PAGE)).text
    again = await console.post(f"{PAGE}/trust", data=body)
    assert again.status_code == 409 and "is trusted for this already" in again.text
    [anchor] = (await console.get("/api/v1/trust-anchors")).json()["items"]
    assert (await console.post(f"{PAGE}/trust/{anchor['id']}/delete")).status_code == 303
    assert "V2G root" not in (await console.get(PAGE)).text.split("Trusted authorities")[1]


async def test_in_german(console) -> None:
    for path in (PAGE, STATION):
        text = (await console.get(path, headers={"Accept-Language": "de"})).text
        assert "Gültig bis" in text and "Noch" in text.replace("noch", "Noch")
