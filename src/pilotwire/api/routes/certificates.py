"""Certificates over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import certificate_ends, certificates
from .common import (
    Cursor,
    Limit,
    PlainRequest,
    StationPath,
    body_of,
    context_of,
    segment,
    whoever,
    whole_context,
)

AnchorPath = Annotated[str, PathParameter(description="Id of the trusted authority")]
_TAGS = ["Certificates"]


@get(
    "/stations/{station_id:str}/certificates",
    operation_id="getStationCertificates",
    tags=_TAGS,
    summary="A station's certificates",
)
async def of_station(request: PlainRequest, station_id: StationPath) -> types.StationCertificates:
    """What it has asked for and got, what it says that it has installed, and how it is let in."""
    return await certificates.of_station(context_of(request), whoever(request), segment(station_id))


@post(
    "/stations/{station_id:str}/certificates/refresh",
    operation_id="refreshStationCertificates",
    tags=_TAGS,
    summary="Ask what is installed",
    status_code=200,
)
async def refresh(request: PlainRequest, station_id: StationPath) -> types.StationCertificates:
    """Ask the station what it has installed, and wait for its answer."""
    return await certificates.refresh(context_of(request), whoever(request), segment(station_id))


@post(
    "/stations/{station_id:str}/certificates/renew",
    operation_id="renewStationCertificate",
    tags=_TAGS,
    summary="Renew a station's certificate",
    body=types.Reason,
    status_code=200,
)
async def renew(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Have the station make a new key and ask for its certificate. What becomes of that is among its requests."""
    data = await body_of(request, types.Reason)
    return await certificates.renew(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/certificates/install",
    operation_id="installStationCertificate",
    tags=_TAGS,
    summary="Give a station a root",
    body=types.CertificateInstallation,
    status_code=200,
)
async def install(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Install an authority that the station shall trust."""
    data = await body_of(request, types.CertificateInstallation)
    return await certificates.install(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/certificates/delete",
    operation_id="deleteStationCertificate",
    tags=_TAGS,
    summary="Delete a certificate of a station",
    body=types.CertificateDeletion,
    status_code=200,
)
async def delete_certificate(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Have the station forget an authority. What it verifies this central system with is never deleted (422)."""
    data = await body_of(request, types.CertificateDeletion)
    return await certificates.delete(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/password",
    operation_id="changeStationPassword",
    tags=_TAGS,
    summary="Give a station a new password",
    body=types.StationPasswordChange,
    status_code=200,
)
async def change_password(request: PlainRequest, station_id: StationPath) -> types.StationPasswordChanged:
    """Send a new password to a station that is connected. Where its answer is lost, the old and the new are taken
    until it comes with the new one."""
    data = await body_of(request, types.StationPasswordChange)
    return await certificates.change_password(context_of(request), whoever(request), segment(station_id), data)


@get(
    "/certificate-requests",
    operation_id="listCertificateRequests",
    tags=_TAGS,
    summary="Stations' signing requests",
)
async def list_requests(
    request: PlainRequest,
    limit: Limit = 50,
    status: Annotated[
        Literal["signing", "delivering", "delivered", "refused", "failed", "superseded"] | None,
        QueryParameter(description="Only such"),
    ] = None,
) -> types.CertificateRequestPage:
    """The newest requests first, of every station."""
    found = await certificates.requests(context_of(request), whoever(request), status=status, limit=limit)
    return types.CertificateRequestPage(items=found)


@get("/certificates", operation_id="listCertificates", tags=_TAGS, summary="Certificates of stations by their ends")
async def list_certificates(
    request: PlainRequest,
    limit: Limit = 50,
    cursor: Cursor = None,
    before: Annotated[datetime | None, QueryParameter(description="Only those that end before")] = None,
) -> types.ShownCertificatePage:
    """What each station comes in with by security profile 3, the next to end first."""
    return await certificate_ends.every(
        context_of(request), whoever(request), before=before, cursor=cursor, limit=limit
    )


@get("/certificates/ends", operation_id="getCertificateEnds", tags=_TAGS, summary="How many certificates end soon")
async def get_ends(request: PlainRequest) -> types.CertificateEnds:
    """Of the stations that one sees."""
    return await certificate_ends.sums(context_of(request), whoever(request))


@get("/trust-anchors", operation_id="listTrustAnchors", tags=_TAGS, summary="Trusted authorities")
async def list_anchors(request: PlainRequest) -> types.TrustAnchorPage:
    """Every authority that is trusted, and for what."""
    return types.TrustAnchorPage(items=await certificates.anchors(context_of(request), whoever(request)))


@post(
    "/trust-anchors",
    operation_id="createTrustAnchor",
    tags=_TAGS,
    summary="Trust an authority",
    body=types.NewTrustAnchor,
)
async def create_anchor(request: PlainRequest) -> types.TrustAnchor:
    """Compare the fingerprint with one that you have by another way before you trust anybody."""
    data = await body_of(request, types.NewTrustAnchor)
    return await certificates.add_anchor(context_of(request), whoever(request), data)


@delete(
    "/trust-anchors/{anchor_id:str}",
    operation_id="deleteTrustAnchor",
    tags=_TAGS,
    summary="Trust an authority no longer",
)
async def delete_anchor(request: PlainRequest, anchor_id: AnchorPath) -> None:
    """What stations have installed stays there."""
    await certificates.remove_anchor(context_of(request), whoever(request), segment(anchor_id))


@get(
    "/certificate-authority",
    operation_id="getCertificateAuthority",
    tags=_TAGS,
    summary="Who signs stations' certificates",
)
async def get_authority(request: PlainRequest) -> Response[types.CertificateAuthority]:
    """The installation's own authority, or an external one that is asked by EST."""
    found = await certificates.authority(whole_context(request), whoever(request))
    return tagged(found.value, found.etag)


@patch(
    "/certificate-authority",
    operation_id="changeCertificateAuthority",
    tags=_TAGS,
    summary="Change who signs",
    body=types.CertificateAuthorityChange,
)
async def change_authority(request: PlainRequest, if_match: IfMatch = None) -> Response[types.CertificateAuthority]:
    """For the whole installation; platform admins may. Passwords and tokens are kept locked and never shown."""
    data = await body_of(request, types.CertificateAuthorityChange)
    made = await certificates.change_authority(whole_context(request), whoever(request), data, if_match=if_match)
    return tagged(made.value, made.etag)


@post(
    "/certificate-authority/renew",
    operation_id="renewCertificateAuthority",
    tags=_TAGS,
    summary="Make a new sub-authority",
    body=types.Reason,
    status_code=200,
)
async def renew_authority(request: PlainRequest) -> Response[types.CertificateAuthority]:
    """A new sub-authority under the same root signs from now on. What it signed before stays valid."""
    data = await body_of(request, types.Reason)
    made = await certificates.renew_authority(whole_context(request), whoever(request), data)
    return tagged(made.value, made.etag)


HANDLERS = [
    of_station,
    refresh,
    renew,
    install,
    delete_certificate,
    change_password,
    list_requests,
    list_certificates,
    get_ends,
    list_anchors,
    create_anchor,
    delete_anchor,
    get_authority,
    change_authority,
    renew_authority,
]
