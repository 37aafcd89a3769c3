"""Blocks A and M of the domain: signing requests, status of certificates, contract certificates of cars.

What takes a network or a key was asked before the decision (`csms.actions`, fetch) and stands in the input: here is
what is written down of it and what is answered.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .context import Context, Decision
from .facts import CertificateRequested
from .inputs import Input, Outcome
from .state import StationState

STATION_USE = "ChargingStationCertificate"


class Judgement(NamedTuple):
    """What is to be said of a signing request. `reason` is empty where it is accepted."""

    reason: str = ""
    """A reasonCode of 2.x, at most 20 characters."""
    text: str = ""
    common_name: str = ""
    organization: str = ""
    key: str = ""


NOBODY_SIGNS = Judgement("NotEnabled", "no certificate authority is set up")


class SignCertificate(Input, frozen=True):
    """SignCertificate of every version."""

    csr: str
    use: str = STATION_USE
    request_id: int | None = None
    judged: Judgement = NOBODY_SIGNS


class Verdict(Outcome, frozen=True):
    """A status with its reason (StatusInfoType)."""

    status: str
    reason_code: str = ""
    additional_info: str = ""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A certificate by its hashes, and where its status is told."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    urls: tuple[str, ...]
    source: str = "OCSP"
    """OCSP or CRL."""


class StatusAsked(Input, frozen=True):
    """2.x GetCertificateStatus: for the OCSP answer as it is."""

    about: Asked
    told: StatusTold | None = None


class ChainStatusAsked(Input, frozen=True):
    """2.1 GetCertificateChainStatus: for the verdicts."""

    about: tuple[Asked, ...]
    told: ChainStatusTold | None = None


class EvCertificateAsked(Input, frozen=True):
    """2.x Get15118EVCertificate: a car wants a contract certificate, or a newer one."""

    schema_version: str
    action: str
    """Install or Update."""
    exi_request: str
    maximum_chains: int | None = None
    emaids: tuple[str, ...] = ()
    told: EvCertificateTold | None = None


class StatusTold(Outcome, frozen=True):
    """Of GetCertificateStatus. `ocsp_result` is Base64 of the DER answer."""

    status: str
    """Accepted or Failed."""
    ocsp_result: str = ""
    reason_code: str = ""
    additional_info: str = ""


class OneStatus(msgspec.Struct, frozen=True, gc=False):
    """Of one certificate of a chain."""

    asked: Asked
    status: str
    """Good, Revoked, Unknown or Failed."""
    next_update: int
    """ms."""


class ChainStatusTold(Outcome, frozen=True):
    rows: tuple[OneStatus, ...]


class EvCertificateTold(Outcome, frozen=True):
    """`exi_response` is Base64; empty where there is none."""

    status: str
    """Accepted or Failed."""
    exi_response: str = ""
    remaining: int | None = None
    reason_code: str = ""
    additional_info: str = ""


def sign_certificate(state: StationState, given: SignCertificate, ctx: Context) -> Decision:
    """A02, A03: Accepted means that it goes to an authority; whatever comes of it is CertificateSigned."""
    judged = given.judged
    verdict = "Rejected" if judged.reason else "Accepted"
    fact = CertificateRequested(
        event_time=ctx.now,
        use=given.use,
        request_id=given.request_id,
        common_name=judged.common_name,
        organization=judged.organization,
        key=judged.key,
        verdict=verdict,
        reason=judged.text,
    )
    outcome = Verdict(status=verdict, reason_code=judged.reason, additional_info=judged.text)
    return Decision((fact,), (), outcome)


def status(state: StationState, given: StatusAsked, ctx: Context) -> Decision:
    """M06: GetCertificateStatus."""
    return Decision((), (), given.told or StatusTold(status="Failed", reason_code="NotEnabled"))


def chain_status(state: StationState, given: ChainStatusAsked, ctx: Context) -> Decision:
    """2.1 GetCertificateChainStatus."""
    failed = ChainStatusTold(rows=tuple(OneStatus(one, "Failed", ctx.now) for one in given.about))
    return Decision((), (), given.told or failed)


def ev_certificate(state: StationState, given: EvCertificateAsked, ctx: Context) -> Decision:
    """M01, M02: Get15118EVCertificate."""
    nobody = EvCertificateTold(
        status="Failed", reason_code="NotEnabled", additional_info="no provider of contract certificates is set up"
    )
    return Decision((), (), given.told or nobody)
