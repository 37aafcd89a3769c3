"""Certificates: of each station, whom a tenant trusts, and who signs for the installation.

What is done to a station goes out as a command like any other (permissions, reason and audit are there); what would
lock it out is refused by the gateway, whoever asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Container
from typing import Any

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_datetime, to_datetime, to_rfc3339
from pilotwire.crypto import chains, pem
from pilotwire.crypto import hash_data as hashes
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.passwords import new_station_password
from pilotwire.crypto.vault import NotOurs
from pilotwire.domain import trust
from pilotwire.domain.trust import AuthoritySettings, Enrollment, EstSettings, InstalledCertificates
from pilotwire.storage.documents import sort_time, unpack

from .. import audit, types
from ..access import Principal
from ..commands import execute, settings_changed
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..problems import faulty, problem
from ..queries import Queries
from ..second_factor import vault_of
from . import certificate_ends
from .keeping import Collection, Tagged

ANCHORS = Collection(trust.ANCHORS, trust.TrustAnchor, "trusted authority")
ANCHORS_AT_MOST = 500
_LOOK_BACK_MS = 400 * 86_400_000
_REQUESTS = 50
_USES_2 = {
    "csms": "CSMSRootCertificate",
    "manufacturer": "ManufacturerRootCertificate",
    "v2g": "V2GRootCertificate",
    "mo": "MORootCertificate",
    "oem": "OEMRootCertificate",
}
_USES_16 = {"csms": "CentralSystemRootCertificate", "manufacturer": "ManufacturerRootCertificate"}
_read_settings = msgspec.json.Decoder(AuthoritySettings).decode


# -- a station --------------------------------------------------------------------------------------------------------
async def of_station(context: ApiContext, principal: Principal, station_id: str) -> types.StationCertificates:
    """What is known of its certificates. Raises Problem 404, 403."""
    principal.need("stations:read")
    await Queries(context, principal).station(station_id)
    tenant = principal.tenant
    account = await context.store.account(StationKey(tenant, station_id))
    found = await context.store.document(tenant, trust.INSTALLED, station_id)
    installed = unpack(found, InstalledCertificates).value if found is not None else None
    known = await _known(context, tenant)
    return types.StationCertificates(
        security_profile=account.security_profile if account is not None else 0,
        next_profile=(account.next_profile or None) if account is not None else None,
        password_pending=bool(account is not None and account.next_password),
        shown=await certificate_ends.of_station(context, tenant, station_id),
        listed_at=to_rfc3339(installed.asked_at) if installed is not None else None,
        installed=[_installed(row, known) for row in installed.rows] if installed is not None else [],
        requests=[one async for one in _requests(context, tenant, stations={station_id}, limit=_REQUESTS)],
    )


def _installed(
    row: trust.InstalledCertificate, known: dict[tuple[str, ...], trust.TrustAnchor]
) -> types.InstalledCertificate:
    data = hashes.HashData(row.hash_algorithm, row.issuer_name_hash, row.issuer_key_hash, row.serial_number)
    anchor = known.get(data.key())
    return types.InstalledCertificate(
        use=row.use,
        hash_data=_hash_data(data),
        children=[_hash_data(hashes.HashData(*child)) for child in row.children],
        name=anchor.name if anchor is not None else "",
        not_after=to_rfc3339(anchor.not_after) if anchor is not None else None,
    )


def _hash_data(data: hashes.HashData) -> types.HashData:
    return types.HashData(
        hash_algorithm=data.algorithm,  # type: ignore[arg-type]
        issuer_name_hash=data.issuer_name_hash,
        issuer_key_hash=data.issuer_key_hash,
        serial_number=data.serial_number,
    )


async def _known(context: ApiContext, tenant: str) -> dict[tuple[str, ...], trust.TrustAnchor]:
    """Trusted authorities by their hash data."""
    found: dict[tuple[str, ...], trust.TrustAnchor] = {}
    async for _id, kept in ANCHORS.every(context, tenant):
        for algorithm in hashes.ALGORITHMS:
            try:
                data = hashes.hash_data(pem.one(kept.value.certificate), None, algorithm)
            except (ValueError, PilotwireError):
                continue  # a sub-authority: no station lists it as a root
            found[data.key()] = kept.value
    return found


async def renew(context: ApiContext, principal: Principal, station_id: str, data: types.Reason) -> types.CommandAnswer:
    """Have the station ask for a new certificate. Raises as `execute`."""
    version = await _version(context, principal, station_id)
    action, message = (
        ("ExtendedTriggerMessage", "SignChargePointCertificate")
        if version == "1.6"
        else ("TriggerMessage", "SignChargingStationCertificate")
    )
    return await _send(context, principal, station_id, action, {"requestedMessage": message}, data.reason)


async def refresh(context: ApiContext, principal: Principal, station_id: str) -> types.StationCertificates:
    """Ask the station what it has installed. Raises as `execute`."""
    version = await _version(context, principal, station_id)
    if version == "1.6":
        for use in _USES_16.values():
            await _send(context, principal, station_id, "GetInstalledCertificateIds", {"certificateType": use})
    else:
        await _send(context, principal, station_id, "GetInstalledCertificateIds", {})
    return await of_station(context, principal, station_id)


async def install(
    context: ApiContext, principal: Principal, station_id: str, data: types.CertificateInstallation
) -> types.CommandAnswer:
    """Give the station a root. Raises Problem 404, 422, and as `execute`."""
    version = await _version(context, principal, station_id)
    use = (_USES_16 if version == "1.6" else _USES_2).get(data.use)
    if use is None or (data.use == "oem" and version == "2.0.1"):
        raise _wrong("use", _("OCPP {version} has no such use", version=version))
    if bool(data.anchor_id) == bool(data.certificate):
        raise _wrong("anchor_id", _("give either anchor_id or certificate"))
    certificate = data.certificate or ""
    if data.anchor_id:
        certificate = (await ANCHORS.get(context, principal.tenant, data.anchor_id)).value.certificate
    payload = {"certificateType": use, "certificate": certificate}
    return await _send(context, principal, station_id, "InstallCertificate", payload, data.reason)


async def delete(
    context: ApiContext, principal: Principal, station_id: str, data: types.CertificateDeletion
) -> types.CommandAnswer:
    """Have the station forget a certificate. Raises as `execute`; 422 for what would lock it out."""
    one = data.hash_data
    payload = {
        "certificateHashData": {
            "hashAlgorithm": one.hash_algorithm,
            "issuerNameHash": one.issuer_name_hash,
            "issuerKeyHash": one.issuer_key_hash,
            "serialNumber": one.serial_number,
        }
    }
    return await _send(context, principal, station_id, "DeleteCertificate", payload, data.reason)


async def change_password(
    context: ApiContext, principal: Principal, station_id: str, data: types.StationPasswordChange
) -> types.StationPasswordChanged:
    """Give the station a new password; our account goes along. Raises Problem 422, and as `execute`."""
    principal.need("stations:write")
    version = await _version(context, principal, station_id)
    password = data.password or new_station_password()
    if version == "1.6":
        if len(password) > 20:
            raise _wrong("password", _("OCPP 1.6 takes 16 to 20 characters"))
        action: str = "ChangeConfiguration"
        payload: dict[str, Any] = {"key": "AuthorizationKey", "value": password.encode().hex()}
    else:
        action = "SetVariables"
        row = {
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
            "attributeValue": password,
        }
        payload = {"setVariableData": [row]}
    answer = await _send(context, principal, station_id, action, payload, data.reason)
    return types.StationPasswordChanged(command=answer, password=password if _taken(answer.answer) else None)


def _taken(answer: Any) -> bool:
    rows = answer.get("setVariableResult")
    return (rows[0].get("attributeStatus") if rows else answer.get("status")) == "Accepted"


async def _version(context: ApiContext, principal: Principal, station_id: str) -> str:
    station = await Queries(context, principal).station(station_id)
    if not station.ocpp_version:
        raise problem("station-offline", _("{station_id} has never connected.", station_id=station_id))
    return station.ocpp_version


async def _send(
    context: ApiContext, principal: Principal, station_id: str, action: str, payload: dict[str, Any], reason: str = ""
) -> types.CommandAnswer:
    return await execute(
        context, principal, station_id, types.NewCommand(action=action, payload=payload, reason=reason)
    )


# -- requests ---------------------------------------------------------------------------------------------------------
async def requests(
    context: ApiContext, principal: Principal, *, status: str | None = None, limit: int = 50
) -> list[types.CertificateRequest]:
    """The newest signing requests of the stations that one sees. Raises Problem 403."""
    principal.need("stations:read")
    visible = await Queries(context, principal).visible()
    return [one async for one in _requests(context, principal.tenant, stations=visible, status=status, limit=limit)]


async def _requests(
    context: ApiContext, tenant: str, *, stations: Container[str] | None = None, status: str | None = None, limit: int
) -> AsyncIterator[types.CertificateRequest]:
    low = sort_time(max(0, context.scheduler.now() - _LOOK_BACK_MS))
    cursor: str | None = None
    found = 0
    while found < limit:
        page = await context.store.documents(
            tenant, trust.ENROLLMENTS, low=low, cursor=cursor, limit=500, newest_first=True
        )
        for one in page.items:
            kept = unpack(one, Enrollment).value
            if (stations is None or kept.station in stations) and status in (None, kept.status) and found < limit:
                found += 1
                yield _request(kept)
        cursor = page.next
        if cursor is None:
            return


def _request(one: Enrollment) -> types.CertificateRequest:
    return types.CertificateRequest(
        id=one.id,
        station_id=one.station,
        use=one.use,
        status=one.status,
        reason=one.reason,
        asked_at=to_rfc3339(one.asked_at),
        changed_at=to_rfc3339(one.changed_at),
        common_name=one.common_name,
        organization=one.organization,
        key_kind=one.key,
        authority=one.authority,
        serial_number=one.serial,
        not_before=to_rfc3339(one.not_before) if one.serial else None,
        not_after=to_rfc3339(one.not_after) if one.serial else None,
    )


# -- whom a tenant trusts ---------------------------------------------------------------------------------------------
def _anchor(anchor_id: str, one: trust.TrustAnchor) -> types.TrustAnchor:
    return types.TrustAnchor(
        id=anchor_id,
        name=one.name,
        use=one.use,
        subject=one.subject,
        issuer=one.issuer,
        serial_number=one.serial,
        fingerprint=one.fingerprint,
        not_before=to_rfc3339(one.not_before),
        not_after=to_rfc3339(one.not_after),
        added_at=to_rfc3339(one.added_at),
        added_by=one.added_by,
        certificate=one.certificate,
    )


async def anchors(context: ApiContext, principal: Principal) -> list[types.TrustAnchor]:
    """Every trusted authority by name. Raises Problem 403."""
    principal.need("settings:read")
    return [_anchor(anchor_id, kept.value) async for anchor_id, kept in ANCHORS.every(context, principal.tenant)]


async def add_anchor(context: ApiContext, principal: Principal, data: types.NewTrustAnchor) -> types.TrustAnchor:
    """Trust an authority. Raises Problem 403, 409, 422."""
    principal.need("settings:write")
    if data.use == "station":
        # Whom the listener lets in is the installation's affair: one tenant's root could sign for another's stations.
        principal.need("tenants:write")
    try:
        der = pem.one(data.certificate)
        certificate = chains.load(der)
        chains.check_authority(certificate, to_datetime(context.scheduler.now()))
    except PilotwireError as error:
        raise _wrong("certificate", str(error)) from None
    fingerprint = hashlib.sha256(der).hexdigest()
    count = 0
    async for _id, kept in ANCHORS.every(context, principal.tenant):
        count += 1
        if kept.value.fingerprint == fingerprint and kept.value.use == data.use:
            raise problem("exists", _("{name} is trusted for this already.", name=kept.value.name))
    if count >= ANCHORS_AT_MOST:
        raise problem("too-many", _("There are {n} trusted authorities already.", n=ANCHORS_AT_MOST))
    one = trust.TrustAnchor(
        name=data.name,
        use=data.use,
        certificate=pem.text([der]),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=hashes.serial_text(certificate.serial_number),
        fingerprint=fingerprint,
        not_before=int(from_datetime(certificate.not_valid_before_utc)),
        not_after=int(from_datetime(certificate.not_valid_after_utc)),
        added_at=context.scheduler.now(),
        added_by=principal.actor,
    )
    anchor_id = context.ids.new()
    await ANCHORS.add(context, principal.tenant, anchor_id, one, sort=data.name.casefold())
    detail: dict[str, object] = {"use": data.use, "fingerprint": fingerprint}
    what = f"authority {data.name}"
    await audit.record(context, principal, "certificates.trust", what, detail=detail, reason=data.reason.strip())
    await settings_changed(context)
    return _anchor(anchor_id, one)


async def remove_anchor(context: ApiContext, principal: Principal, anchor_id: str) -> None:
    """Trust it no longer. Raises Problem 403, 404."""
    principal.need("settings:write")
    kept = await ANCHORS.get(context, principal.tenant, anchor_id)
    if kept.value.use == "station":
        principal.need("tenants:write")
    await ANCHORS.delete(context, principal.tenant, anchor_id, expected=kept.version)
    detail: dict[str, object] = {"use": kept.value.use, "fingerprint": kept.value.fingerprint}
    await audit.record(context, principal, "certificates.distrust", f"authority {kept.value.name}", detail=detail)
    await settings_changed(context)


# -- who signs --------------------------------------------------------------------------------------------------------
async def _settings(whole: ApiContext) -> AuthoritySettings:
    text = await whole.store.setting(trust.AUTHORITY)
    try:
        return _read_settings(text) if text else AuthoritySettings()
    except msgspec.DecodeError:
        return AuthoritySettings()


async def _built_in(whole: ApiContext) -> Authority | None:
    locked = await whole.store.setting(trust.AUTHORITY_KEY)
    if locked is None:
        return None
    try:
        return Authority.taken_up(vault_of(whole).open(trust.AUTHORITY_KEY, locked))
    except (NotOurs, ValueError):
        return None  # the gateway has logged why


def _est(one: EstSettings | None) -> types.EstServer | None:
    if one is None:
        return None
    return types.EstServer(url=one.url, label=one.label, user=one.user, trust=one.trust)


async def _shown(whole: ApiContext, settings: AuthoritySettings) -> Tagged[types.CertificateAuthority]:
    authority = await _built_in(whole)
    shown = types.CertificateAuthority(
        source=settings.source,
        organization=settings.organization,
        days=settings.days,
        root=pem.text([chains.der(authority.root)]) if authority else "",
        issuing=pem.text([chains.der(authority.issuing)]) if authority else "",
        root_not_after=to_rfc3339(from_datetime(authority.root.not_valid_after_utc)) if authority else None,
        issuing_not_after=to_rfc3339(from_datetime(authority.issuing.not_valid_after_utc)) if authority else None,
        est=_est(settings.est),
        est_v2g=_est(settings.est_v2g),
        ocsp_hosts=list(settings.ocsp_hosts),
        contracts_url=settings.contracts_url,
    )
    return Tagged(shown, tag_of(settings))


async def authority(whole: ApiContext, principal: Principal) -> Tagged[types.CertificateAuthority]:
    """Who signs. Raises Problem 403."""
    principal.need("settings:read")
    return await _shown(whole, await _settings(whole))


async def change_authority(
    whole: ApiContext, principal: Principal, data: types.CertificateAuthorityChange, *, if_match: str | None = None
) -> Tagged[types.CertificateAuthority]:
    """Have somebody else sign, or otherwise. For the whole installation. Raises Problem 403, 412, 422."""
    principal.need("tenants:write")
    before = await _settings(whole)
    check(if_match, tag_of(before))
    given = {
        name: value
        for name in ("source", "organization", "days", "ocsp_hosts", "contracts_url", "contracts_token")
        if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if "ocsp_hosts" in given:
        given["ocsp_hosts"] = tuple(given["ocsp_hosts"])
    if given.get("contracts_token"):
        given["contracts_token"] = vault_of(whole).lock("contracts", given["contracts_token"])
    if data.est is not msgspec.UNSET:
        given["est"] = _kept_est(whole, data.est, before.est)
    if data.est_v2g is not msgspec.UNSET:
        given["est_v2g"] = _kept_est(whole, data.est_v2g, before.est_v2g)
    after = msgspec.structs.replace(before, **given)
    if after.source == "est" and after.est is None:
        raise _wrong("est", _("say where the authority is asked"))
    if after.source == "built-in" and await whole.store.setting(trust.AUTHORITY_KEY) is None:
        await _make(whole, after)
    await _put(whole, after)
    detail: dict[str, object] = {"fields": sorted(given), "source": after.source}
    await audit.record(whole, principal, "certificates.change-authority", "certificate authority", detail=detail)
    await settings_changed(whole)
    return await _shown(whole, after)


def _kept_est(whole: ApiContext, data: types.EstChange | None, before: EstSettings | None) -> EstSettings | None:
    if data is None:
        return None
    if data.trust.strip():
        try:
            pem.blocks(data.trust, at_most=50)
        except pem.BadPem as error:
            raise _wrong("est.trust", str(error)) from None
    password = vault_of(whole).lock(trust.EST_PASSWORD, data.password) if data.password else ""
    if not password and before is not None and (before.url, before.user) == (data.url, data.user):
        # A password is shown to nobody else than the server that it was given for.
        password = before.password
    return EstSettings(url=data.url, label=data.label, user=data.user, password=password, trust=data.trust)


async def renew_authority(
    whole: ApiContext, principal: Principal, data: types.Reason
) -> Tagged[types.CertificateAuthority]:
    """A new sub-authority under the same root. Stations get certificates of it from now on. Raises Problem 403, 404."""
    principal.need("tenants:write")
    built_in, settings = await _built_in(whole), await _settings(whole)
    if built_in is None:
        raise problem("not-found", _("There is no built-in certificate authority."))
    renewed = built_in.renewed(now=to_datetime(whole.scheduler.now()), kind=settings.key)
    locked = vault_of(whole).lock(trust.AUTHORITY_KEY, renewed.keep())
    await whole.store.put_setting(trust.AUTHORITY_KEY, locked)
    what = "certificate authority"
    await audit.record(whole, principal, "certificates.renew-authority", what, reason=data.reason.strip())
    await settings_changed(whole)
    return await _shown(whole, settings)


async def _make(whole: ApiContext, settings: AuthoritySettings) -> None:
    now = to_datetime(whole.scheduler.now())
    made = Authority.new(settings.organization or "Pilotwire", now=now, kind=settings.key)
    await whole.store.put_setting(trust.AUTHORITY_KEY, vault_of(whole).lock(trust.AUTHORITY_KEY, made.keep()))


async def _put(whole: ApiContext, settings: AuthoritySettings) -> None:
    await whole.store.put_setting(trust.AUTHORITY, msgspec.json.encode(settings).decode())


def _wrong(field: str, message: str) -> Any:
    return faulty("bad-body", [{"field": field, "message": message}])
