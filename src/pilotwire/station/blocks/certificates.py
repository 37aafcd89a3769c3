"""A Security and M Certificates, as the CSMS asks for them (A02, A05, M03 to M05; 1.6 security whitepaper)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.crypto.hash_data import read, write
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.evse import Evse
from pilotwire.station.host import Reply
from pilotwire.station.keystore import CSMS_ROOT, MANUFACTURER_ROOT, STATION_USE

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_USES_16 = {"CentralSystemRootCertificate": CSMS_ROOT, "ManufacturerRootCertificate": MANUFACTURER_ROOT}


def certificate_signed_16(station: Station, request: v16.CertificateSignedRequest) -> Reply:
    why, then = station.certificates.signed(request.certificate_chain, STATION_USE, None)
    return Reply(v16.CertificateSignedResponse(status="Rejected" if why else "Accepted"), then)


def certificate_signed(station: Station, request: Any) -> Reply:
    m = station.messages
    use = request.certificate_type or STATION_USE
    why, then = station.certificates.signed(request.certificate_chain, use, getattr(request, "request_id", None))
    if why:
        return Reply(m.CertificateSignedResponse(status="Rejected", status_info=_info(m, "InvalidCertificate", why)))
    return Reply(m.CertificateSignedResponse(status="Accepted"), then)


def install_16(station: Station, request: v16.InstallCertificateRequest) -> Reply:
    why = station.certificates.install(_USES_16[request.certificate_type], request.certificate)
    return Reply(v16.InstallCertificateResponse(status="Rejected" if why else "Accepted"))


def install(station: Station, request: Any) -> Reply:
    m = station.messages
    why = station.certificates.install(request.certificate_type, request.certificate)
    if why:
        return Reply(m.InstallCertificateResponse(status="Rejected", status_info=_info(m, "InvalidCertificate", why)))
    return Reply(m.InstallCertificateResponse(status="Accepted"))


def delete(station: Station, request: Any) -> Reply:
    m: Any = station.messages
    return Reply(m.DeleteCertificateResponse(status=station.certificates.delete(read(request.certificate_hash_data))))


def installed_16(station: Station, request: v16.GetInstalledCertificateIdsRequest) -> Reply:
    found = station.certificates.listed([_USES_16[request.certificate_type]])
    data = [write(one.data, v16.CertificateHashDataType) for one in found]
    return Reply(
        v16.GetInstalledCertificateIdsResponse(
            status="Accepted" if data else "NotFound", certificate_hash_data=data or None
        )
    )


def installed(station: Station, request: Any) -> Reply:
    m = station.messages
    found = station.certificates.listed(request.certificate_type)
    rows = [
        m.CertificateHashDataChainType(
            certificate_type=one.use,
            certificate_hash_data=write(one.data, m.CertificateHashDataType),
            child_certificate_hash_data=[write(child, m.CertificateHashDataType) for child in one.children] or None,
        )
        for one in found
    ]
    return Reply(
        m.GetInstalledCertificateIdsResponse(
            status="Accepted" if rows else "NotFound", certificate_hash_data_chain=rows or None
        )
    )


def rise_16(station: Station, value: str) -> Reply:
    """ChangeConfiguration of SecurityProfile: up alone (whitepaper A05.FR.01), and to 1 or 2 with a password alone."""
    wanted, now = int(value) if value.strip().isdigit() else 0, station.certificates.profile
    # A station that is built for 1 or 2 has come with a password.
    keyed = bool(station.settings.text("password")) or station.config.security_profile in (1, 2)
    if wanted <= now or (wanted in (1, 2) and not keyed) or station.certificates.objection(wanted):
        return Reply(v16.ChangeConfigurationResponse(status="Rejected"))
    station.certificates.rise(wanted)
    return Reply(v16.ChangeConfigurationResponse(status="Accepted"), station.conversation.reconnect)


def sign(use: str) -> Callable[[Station, tuple[Evse, ...], bool], Callable[[], None]]:
    """A trigger that has a new certificate of a use signed."""

    def trigger(station: Station, evses: tuple[Evse, ...], named: bool) -> Callable[[], None]:
        return lambda: station.certificates.enroll(use)

    return trigger


def _info(m: Any, code: str, text: str) -> Any:
    return m.StatusInfoType(reason_code=code, additional_info=text[:512])


HANDLERS = {
    **on(
        V16,
        {
            "CertificateSigned": certificate_signed_16,
            "DeleteCertificate": delete,
            "GetInstalledCertificateIds": installed_16,
            "InstallCertificate": install_16,
        },
    ),
    **on(
        V2,
        {
            "CertificateSigned": certificate_signed,
            "DeleteCertificate": delete,
            "GetInstalledCertificateIds": installed,
            "InstallCertificate": install,
        },
    ),
}
