"""Blocks A and M of every version ⇄ the domain: signing requests, the status of certificates, cars' contracts.

The functions read fields alone, so they serve every version that has the action.
"""

from __future__ import annotations

from typing import Any

from pilotwire.domain import certificates as domain
from pilotwire.domain.certificates import Asked

from .table import Served, instant


def _sign(request: Any) -> domain.SignCertificate:
    return domain.SignCertificate(
        csr=request.csr,
        use=getattr(request, "certificate_type", None) or domain.STATION_USE,
        request_id=getattr(request, "request_id", None),
    )


def _asked(data: Any, urls: tuple[str, ...], source: str = "OCSP") -> Asked:
    return Asked(data.hash_algorithm, data.issuer_name_hash, data.issuer_key_hash, data.serial_number, urls, source)


def _status(request: Any) -> domain.StatusAsked:
    data = request.ocsp_request_data
    return domain.StatusAsked(about=_asked(data, (data.responder_url,)))


def _chain_status(request: Any) -> domain.ChainStatusAsked:
    return domain.ChainStatusAsked(
        about=tuple(
            _asked(one.certificate_hash_data, tuple(one.urls), one.source)
            for one in request.certificate_status_requests
        )
    )


def _ev_certificate(request: Any) -> domain.EvCertificateAsked:
    return domain.EvCertificateAsked(
        schema_version=request.iso15118_schema_version,
        action=request.action,
        exi_request=request.exi_request,
        maximum_chains=getattr(request, "maximum_contract_certificate_chains", None),
        emaids=tuple(getattr(request, "prioritized_emaids", None) or ()),
    )


def rows_16(m: Any) -> dict[str, Served]:
    """Of the 1.6 security extension, with the classes of `m`."""

    def signed(outcome: domain.Verdict, now: int) -> Any:
        return m.SignCertificateResponse(status=outcome.status)

    return {"SignCertificate": Served(_sign, signed)}


def rows_2(m: Any) -> dict[str, Served]:
    """Of 2.0.1 and 2.1, with the classes of `m`."""
    length = 1024 if hasattr(m, "GetCertificateChainStatusRequest") else 512

    def info(outcome: Any) -> Any:
        if not outcome.reason_code:
            return None
        return m.StatusInfoType(
            reason_code=outcome.reason_code, additional_info=outcome.additional_info[:length] or None
        )

    def signed(outcome: domain.Verdict, now: int) -> Any:
        return m.SignCertificateResponse(status=outcome.status, status_info=info(outcome))

    def status(outcome: domain.StatusTold, now: int) -> Any:
        return m.GetCertificateStatusResponse(
            status=outcome.status, ocsp_result=outcome.ocsp_result or None, status_info=info(outcome)
        )

    def ev_certificate(outcome: domain.EvCertificateTold, now: int) -> Any:
        known = length == 1024 and outcome.remaining is not None
        more = {"remaining_contracts": outcome.remaining} if known else {}
        return m.Get15118EVCertificateResponse(
            status=outcome.status, exi_response=outcome.exi_response, status_info=info(outcome), **more
        )

    return {
        "SignCertificate": Served(_sign, signed),
        "GetCertificateStatus": Served(_status, status),
        "Get15118EVCertificate": Served(_ev_certificate, ev_certificate),
    }


def rows_21(m: Any) -> dict[str, Served]:
    """What 2.1 adds, with the classes of `m`."""

    def chain_status(outcome: domain.ChainStatusTold, now: int) -> Any:
        return m.GetCertificateChainStatusResponse(
            certificate_status=[
                m.CertificateStatusType(
                    certificate_hash_data=m.CertificateHashDataType(
                        hash_algorithm=one.asked.algorithm,
                        issuer_name_hash=one.asked.issuer_name_hash,
                        issuer_key_hash=one.asked.issuer_key_hash,
                        serial_number=one.asked.serial_number,
                    ),
                    source=one.asked.source,
                    status=one.status,
                    next_update=instant(one.next_update),
                )
                for one in outcome.rows
            ]
        )

    return {"GetCertificateChainStatus": Served(_chain_status, chain_status)}
