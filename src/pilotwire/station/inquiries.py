"""What a station asks the CSMS for somebody else: a car's ISO 15118 controller, or a vendor's extension.

The station only carries it: what a car wants comes from the controller that talks with the car, and the answer goes
back to it. `then` is given the response, or None where nobody answered or the CSMS refused. Nothing is kept for later:
a car that waits for an answer gives up within seconds (ISO 15118-2, 8.7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pilotwire.core.errors import LocalError
from pilotwire.crypto.hash_data import HashData, write

if TYPE_CHECKING:
    from .program import Station

Then = Callable[[Any], None]
ISO15118_2 = "urn:iso:15118:2:2013:MsgDef"
ISO15118_20 = "urn:iso:std:iso:15118:-20:CommonMessages"


class Question(NamedTuple):
    """Was this certificate revoked?"""

    data: HashData
    urls: Sequence[str]
    """Where it is told: 1 to 5."""
    source: Literal["OCSP", "CRL"] = "OCSP"


def transfer(station: Station, vendor: str, message: str = "", data: str = "", then: Then | None = None) -> None:
    """P02: DataTransfer, every version."""
    m = station.messages
    request = m.DataTransferRequest(vendor_id=vendor, message_id=message or None, data=data or None)
    _ask(station, "DataTransfer", request, then)


def certificate_status(station: Station, data: HashData, url: str, then: Then | None = None) -> None:
    """M06: the OCSP answer about one certificate, which a car is shown (2.x)."""
    m = _of_2(station)
    about = m.OCSPRequestDataType(
        hash_algorithm=data.algorithm,
        issuer_name_hash=data.issuer_name_hash,
        issuer_key_hash=data.issuer_key_hash,
        serial_number=data.serial_number,
        responder_url=url,
    )
    _ask(station, "GetCertificateStatus", m.GetCertificateStatusRequest(ocsp_request_data=about), then)


def chain_status(station: Station, questions: Iterable[Question], then: Then | None = None) -> None:
    """M07: of up to four certificates of a chain, whether they were revoked (2.1)."""
    if station.config.version != "2.1":
        raise LocalError(f"OCPP {station.config.version} has no GetCertificateChainStatus")
    m = station.messages
    rows = [
        m.CertificateStatusRequestInfoType(
            certificate_hash_data=write(one.data, m.CertificateHashDataType), source=one.source, urls=list(one.urls)
        )
        for one in questions
    ]
    _ask(
        station, "GetCertificateChainStatus", m.GetCertificateChainStatusRequest(certificate_status_requests=rows), then
    )


def contract(
    station: Station,
    exi: str,
    *,
    update: bool = False,
    schema: str = ISO15118_2,
    chains: int | None = None,
    emaids: Sequence[str] = (),
    then: Then | None = None,
) -> None:
    """M01, M02: a car wants a contract certificate, or a newer one. `exi`: its request, Base64, untouched (2.x).

    `chains`, `emaids`: how many contracts it can take, and which it would rather have (2.1, ISO 15118-20).
    """
    m, more = _of_2(station), dict[str, Any]()
    if station.config.version == "2.1":
        more = {"maximum_contract_certificate_chains": chains, "prioritized_emaids": list(emaids) or None}
    request = m.Get15118EVCertificateRequest(
        iso15118_schema_version=schema, action="Update" if update else "Install", exi_request=exi, **more
    )
    _ask(station, "Get15118EVCertificate", request, then)


def _of_2(station: Station) -> Any:
    if station.config.version == "1.6":
        raise LocalError("OCPP 1.6 has no messages for ISO 15118")
    return station.messages


def _ask(station: Station, action: str, request: Any, then: Then | None) -> None:
    station.conversation.call(action, request, lambda response, error: then(response) if then is not None else None)
    station.finish()
