"""Certificates: what is known of a station's, what is done to it, whom a tenant trusts, and who signs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.api.conftest import NOW, World

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.certificates import make_authority, make_station
from pilotwire.crypto.hash_data import hash_data
from pilotwire.domain import trust
from pilotwire.domain.records import StationAccount
from pilotwire.storage.documents import put, sort_time
from pilotwire.transport.bus import CommandReply, CommandRequest

ROOT = make_authority("Ladenetz V2G Root", now=to_datetime(NOW))
ROOT_PEM = ROOT.certificate_pem
WHY = {"reason": "the old root ends in May"}
DAY = 86_400_000


def hashes(text: str = ROOT_PEM) -> dict[str, str]:
    found = hash_data(pem.one(text), None, "SHA256")
    return {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": found.issuer_name_hash,
        "issuer_key_hash": found.issuer_key_hash,
        "serial_number": found.serial_number,
    }


def answering(world: World, station: str, answer: Callable[[CommandRequest], dict[str, Any]]) -> list[CommandRequest]:
    """A gateway behind which this station answers; what it was asked."""
    asked: list[CommandRequest] = []

    async def serve(request: CommandRequest) -> CommandReply:
        asked.append(request)
        return CommandReply(command_id="c-1", outcome="answered", action=request.action, answer=answer(request))

    world.bus.serve(f"command.default.{station}", serve)
    return asked


def enrollment(name: str, station: str, days_ago: int, **fields: Any) -> Any:
    at = NOW - days_ago * DAY
    one = trust.Enrollment(
        id=name,
        station=station,
        use="ChargingStationCertificate",
        csr="-",
        asked_at=at,
        changed_at=at,
        **{"status": "delivered", "serial": "4FA21C", "not_before": at, "not_after": at + 365 * DAY, **fields},
    )
    return put(trust.ENROLLMENTS, name, one, sort=sort_time(at))


# -- of a station -----------------------------------------------------------------------------------------------------
async def test_what_is_known_of_a_station(world: World, api) -> None:
    account = StationAccount(
        tenant="default", id="CP-A", security_profile=2, next_profile=3, password="old", next_password="new"
    )
    await world.store.put_account(account)
    await api.post("/api/v1/trust-anchors", json={"name": "V2G", "use": "v2g", "certificate": ROOT_PEM, **WHY})
    data = hash_data(pem.one(ROOT_PEM), None, "SHA256")
    row = trust.InstalledCertificate(use="V2GRootCertificate", hash_algorithm="SHA256",
        issuer_name_hash=data.issuer_name_hash, issuer_key_hash=data.issuer_key_hash,
        serial_number=data.serial_number)  # fmt: skip
    other = trust.InstalledCertificate(use="CSMSRootCertificate", hash_algorithm="SHA256",
        issuer_name_hash="AA", issuer_key_hash="BB", serial_number="1")  # fmt: skip
    installed = trust.InstalledCertificates(asked_at=NOW - 1000, rows=(row, other))
    changes = [
        put(trust.INSTALLED, "CP-A", installed),
        enrollment("e-1", "CP-A", 40),
        enrollment("e-2", "CP-A", 2, status="failed", reason="no certificate within a day", serial=""),
        enrollment("e-3", "CP-B", 1),
    ]
    await world.store.write_documents("default", changes)
    shown = (await api.get("/api/v1/stations/CP-A/certificates")).json()
    assert (shown["security_profile"], shown["next_profile"], shown["password_pending"]) == (2, 3, True)
    assert shown["listed_at"] == "2026-01-01T11:59:59.000Z"
    assert [(one["use"], one["name"]) for one in shown["installed"]] == [
        ("V2GRootCertificate", "V2G"),
        ("CSMSRootCertificate", ""),
    ]
    assert shown["installed"][0]["hash_data"] == hashes()
    assert shown["installed"][0]["not_after"] is not None and shown["installed"][1]["not_after"] is None
    assert [(one["id"], one["status"]) for one in shown["requests"]] == [("e-2", "failed"), ("e-1", "delivered")]
    assert shown["requests"][1]["not_after"].startswith("2026-11-22")
    assert shown["requests"][0]["not_after"] is None
    nothing = (await api.get("/api/v1/stations/CP-C/certificates")).json()
    assert (nothing["installed"], nothing["requests"], nothing["listed_at"]) == ([], [], None)
    assert (await api.get("/api/v1/stations/NOBODY/certificates")).status_code == 404
    every = (await api.get("/api/v1/certificate-requests")).json()["items"]
    assert [one["id"] for one in every] == ["e-3", "e-2", "e-1"]
    failed = (await api.get("/api/v1/certificate-requests?status=failed")).json()["items"]
    assert [one["id"] for one in failed] == ["e-2"]


@pytest.mark.parametrize(
    ("station", "action", "message"),
    [
        ("CP-B", "ExtendedTriggerMessage", "SignChargePointCertificate"),
        ("CP-A", "TriggerMessage", "SignChargingStationCertificate"),
    ],
)
async def test_a_renewal_is_asked_in_the_words_of_the_version(world: World, api, station, action, message) -> None:
    asked = answering(world, station, lambda request: {"status": "Accepted"})
    answer = await api.post(f"/api/v1/stations/{station}/certificates/renew", json=WHY)
    assert (answer.status_code, answer.json()["answer"]) == (200, {"status": "Accepted"})
    assert [(one.action, one.payload) for one in asked] == [(action, {"requestedMessage": message})]
    entries = (await api.get("/api/v1/audit")).json()["items"]
    assert any(WHY["reason"] in str(one) for one in entries)


async def test_a_root_is_installed_and_deleted(world: World, api) -> None:
    asked = answering(world, "CP-A", lambda request: {"status": "Accepted"})
    old = answering(world, "CP-B", lambda request: {"status": "Accepted"})
    made = await api.post("/api/v1/trust-anchors", json={"name": "V2G", "use": "v2g", "certificate": ROOT_PEM, **WHY})
    install, delete = (f"/api/v1/stations/CP-A/certificates/{verb}" for verb in ("install", "delete"))
    answer = await api.post(install, json={"use": "v2g", "anchor_id": made.json()["id"], **WHY})
    assert answer.status_code == 200, answer.text
    assert (await api.post(delete, json={"hash_data": hashes(), **WHY})).status_code == 200
    assert asked[0].payload == {"certificateType": "V2GRootCertificate", "certificate": made.json()["certificate"]}
    assert asked[1].payload["certificateHashData"]["serialNumber"] == hashes()["serial_number"]
    path = "/api/v1/stations/CP-B/certificates/install"
    assert (await api.post(path, json={"use": "csms", "certificate": ROOT_PEM, **WHY})).status_code == 200
    assert old[0].payload == {"certificateType": "CentralSystemRootCertificate", "certificate": ROOT_PEM}
    # By the algorithm by which the station has listed it.
    listed = hashes() | {"hash_algorithm": "SHA512"}
    path_16 = path.replace("install", "delete")
    assert (await api.post(path_16, json={"hash_data": listed, **WHY})).status_code == 200
    assert old[1].payload["certificateHashData"]["hashAlgorithm"] == "SHA512"
    for at, body, field in (
        (path, {"use": "v2g", "certificate": ROOT_PEM}, "use"),
        (install, {"use": "oem", "certificate": ROOT_PEM}, "use"),
        (install, {"use": "v2g"}, "anchor_id"),
        (install, {"use": "v2g", "certificate": ROOT_PEM, "anchor_id": "x"}, "anchor_id"),
    ):
        wrong = await api.post(at, json={**body, **WHY})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, field)
    unknown = await api.post(install, json={"use": "v2g", "anchor_id": "nobody", **WHY})
    assert unknown.status_code == 404
    assert (await api.post(install, json={"use": "v2g", "certificate": ROOT_PEM})).status_code == 422  # no reason
    never = await api.post("/api/v1/stations/CP-D/certificates/renew", json=WHY)
    assert (never.status_code, never.json()["type"]) == (409, "/api#problem-station-offline")
    assert (len(asked), len(old)) == (2, 2)


async def test_a_list_is_asked_for_by_use_in_16_and_at_once_in_2(world: World, api) -> None:
    asked = answering(world, "CP-A", lambda request: {"status": "NotFound"})
    old = answering(world, "CP-B", lambda request: {"status": "NotFound"})
    for station in ("CP-A", "CP-B"):
        assert (await api.post(f"/api/v1/stations/{station}/certificates/refresh")).status_code == 200
    assert [one.payload for one in asked] == [{}]
    assert [one.payload["certificateType"] for one in old] == [
        "CentralSystemRootCertificate",
        "ManufacturerRootCertificate",
    ]


async def test_a_new_password_is_shown_where_it_counts_and_nowhere_else(world: World, api) -> None:
    status = "Accepted"
    asked = answering(world, "CP-A", lambda request: {"setVariableResult": [{"attributeStatus": status}]})
    old = answering(world, "CP-B", lambda request: {"status": status})
    made = (await api.post("/api/v1/stations/CP-A/password", json=WHY)).json()
    [row] = asked[0].payload["setVariableData"]
    assert row["variable"] == {"name": "BasicAuthPassword"} and made["password"] == row["attributeValue"]
    assert len(made["password"]) >= 16
    made = (await api.post("/api/v1/stations/CP-B/password", json=WHY)).json()
    assert old[0].payload == {"key": "AuthorizationKey", "value": made["password"].encode().hex()}
    status = "Rejected"
    assert (await api.post("/api/v1/stations/CP-A/password", json=WHY)).json()["password"] is None
    long = await api.post("/api/v1/stations/CP-B/password", json={"password": "x" * 21, **WHY})
    assert (long.status_code, long.json()["errors"][0]["field"]) == (422, "password")
    assert made["password"] not in (await api.get("/api/v1/audit")).text


async def test_the_ends_of_a_fleets_certificates(world: World, api) -> None:
    for name, days in (("CP-A", 5.5), ("CP-B", -1), ("CP-D", 40), ("GONE", 2), ("CP-C", 400)):
        if name != "GONE":
            await world.store.put_account(StationAccount(tenant="default", id=name, site="north" if days > 5 else ""))
        end = NOW + int(days * DAY)
        one = trust.ShownCertificate(station=name, common_name=name, serial="4F", not_before=NOW, not_after=end,
            seen_at=NOW)  # fmt: skip
        await world.store.write_documents("default", [put(trust.SHOWN, name, one, sort=sort_time(end))])
    assert (await api.get("/api/v1/certificates/ends")).json() == {
        "ended": 1,
        "within_7_days": 1,
        "within_30_days": 1,
        "within_90_days": 2,
        "first": "2025-12-31T12:00:00.000Z",
    }
    first = (await api.get("/api/v1/certificates?limit=2")).json()
    assert [(one["station_id"], one["days_left"]) for one in first["items"]] == [("CP-B", -1), ("CP-A", 5)]
    rest = (await api.get("/api/v1/certificates", params={"cursor": first["next"]})).json()
    assert [one["station_id"] for one in rest["items"]] == ["CP-D", "CP-C"] and rest["next"] is None
    soon = (await api.get("/api/v1/certificates", params={"before": "2026-02-01T00:00:00Z"})).json()
    assert [one["station_id"] for one in soon["items"]] == ["CP-B", "CP-A"]
    assert (await api.get("/api/v1/certificates", params={"cursor": "nonsense"})).status_code == 400
    assert (await api.get("/api/v1/stations/CP-A/certificates")).json()["shown"]["days_left"] == 5


# -- whom a tenant trusts ---------------------------------------------------------------------------------------------
async def test_trusted_authorities(world: World, api) -> None:
    body = {"name": "V2G root", "use": "v2g", "certificate": ROOT_PEM, **WHY}
    made = await api.post("/api/v1/trust-anchors", json=body)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert "Ladenetz V2G Root" in shown["subject"] and len(shown["fingerprint"]) == 64
    assert (await api.get("/api/v1/trust-anchors")).json()["items"] == [shown]
    again = await api.post("/api/v1/trust-anchors", json={**body, "name": "Once more"})
    assert (again.status_code, again.json()["type"]) == (409, "/api#problem-exists")
    for wrong in (make_station(ROOT, "CP-1", "Org", now=to_datetime(NOW)).certificate_pem, "hello"):
        refused = await api.post("/api/v1/trust-anchors", json={**body, "certificate": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "certificate")
    ended = make_authority("Ended", now=to_datetime(NOW - 40 * 366 * DAY)).certificate_pem
    assert (await api.post("/api/v1/trust-anchors", json={**body, "certificate": ended})).status_code == 422
    assert (await api.delete(f"/api/v1/trust-anchors/{shown['id']}")).status_code == 204
    assert (await api.get("/api/v1/trust-anchors")).json()["items"] == []
    assert (await api.delete(f"/api/v1/trust-anchors/{shown['id']}")).status_code == 404


# -- who signs --------------------------------------------------------------------------------------------------------
async def test_the_installations_own_authority(world: World, api) -> None:
    before = await api.get("/api/v1/certificate-authority")
    assert (before.json()["source"], before.json()["root"]) == ("none", "")
    path = "/api/v1/certificate-authority"
    change = {"source": "built-in", "organization": "Netz AG", "days": 90}
    made = await api.patch(path, json=change, headers={"If-Match": before.headers["etag"]})
    assert made.status_code == 200, made.text
    root = made.json()["root"]
    assert "Netz AG" in chains.load(pem.one(root)).subject.rfc4514_string()
    late = await api.patch(path, json={"days": 30}, headers={"If-Match": before.headers["etag"]})
    assert late.status_code == 412
    renewed = (await api.post(f"{path}/renew", json=WHY)).json()
    assert renewed["root"] == root and renewed["issuing"] != made.json()["issuing"]
    # What is kept is the authority with its key, and nobody reads it without the installation's secret.
    locked = await world.store.setting(trust.AUTHORITY_KEY)
    assert locked is not None and "PRIVATE KEY" not in locked and "CERTIFICATE" not in locked
    assert "PRIVATE" not in (await api.get(path)).text


async def test_an_external_authority_keeps_its_password_for_one_address(world: World, api) -> None:
    path = "/api/v1/certificate-authority"
    assert (await api.patch(path, json={"source": "est"})).status_code == 422
    est = {"url": "https://est.example.com", "label": "stations", "user": "csms", "password": "s3cret-of-est"}
    made = await api.patch(path, json={"source": "est", "est": est})
    assert made.status_code == 200 and "s3cret" not in made.text
    kept = await world.store.setting(trust.AUTHORITY)
    assert kept is not None and "s3cret" not in kept
    del est["password"]
    await api.patch(path, json={"est": {**est, "label": "other"}})
    assert '"password"' in str(await world.store.setting(trust.AUTHORITY))
    await api.patch(path, json={"est": {**est, "url": "https://elsewhere.example.com"}})
    assert '"password"' not in str(await world.store.setting(trust.AUTHORITY))
    bad = await api.patch(path, json={"est": {**est, "trust": "hello"}})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "est.trust")
    assert (await api.post(f"{path}/renew", json=WHY)).status_code == 404  # there is none of our own


async def test_rights(world: World, api) -> None:
    """A viewer sees a station's certificates and nothing of the installation's; admins alone trust somebody."""
    key = await api.post("/api/v1/api-keys", json={"name": "wall display", "role": "viewer"})
    async with world.client(headers={"Authorization": f"Bearer {key.json()['key']}"}) as viewer:
        assert (await viewer.get("/api/v1/stations/CP-A/certificates")).status_code == 200
        assert (await viewer.get("/api/v1/certificate-authority")).status_code == 403
        body = {"name": "R", "use": "v2g", "certificate": ROOT_PEM, **WHY}
        assert (await viewer.post("/api/v1/trust-anchors", json=body)).status_code == 403
        assert (await viewer.post("/api/v1/stations/CP-A/certificates/renew", json=WHY)).status_code == 403
        assert (await viewer.post("/api/v1/stations/CP-A/password", json=WHY)).status_code == 403


async def test_the_authority_that_the_api_makes_can_sign(world: World, api) -> None:
    """What the API keeps is what the gateway takes up."""
    from pilotwire.crypto.vault import Vault

    await api.patch("/api/v1/certificate-authority", json={"source": "built-in"})
    locked = await world.store.setting(trust.AUTHORITY_KEY)
    assert locked is not None
    authority = Authority.taken_up(Vault(world.context.secret).open(trust.AUTHORITY_KEY, locked))
    shown = (await api.get("/api/v1/certificate-authority")).json()
    assert pem.one(shown["root"]) == chains.der(authority.root)
    assert (await world.store.account(StationKey("default", "CP-A"))) is not None
