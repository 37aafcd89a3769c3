"""Rows of `csms.actions` for blocks A and M: what is asked before a station's message is decided, what follows it, and
what our own commands of these blocks need beyond being sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from pilotwire.domain.certificates import (
    ChainStatusAsked,
    ChainStatusTold,
    EvCertificateAsked,
    EvCertificateTold,
    OneStatus,
    SignCertificate,
    StatusAsked,
    StatusTold,
    Verdict,
)
from pilotwire.domain.context import Decision
from pilotwire.domain.inputs import Input

if TYPE_CHECKING:
    from ..actor import StationActor

Found = Callable[[Input], None]

_RESULT_LENGTH = {"2.0.1": 5_500}
_EXI_LENGTH = {"2.0.1": 7_500}
"""What the version's fields hold, where it is less than what we take."""


# -- what stations send -----------------------------------------------------------------------------------------------
def judge(actor: StationActor, given: Input, found: Found) -> None:
    """SignCertificate: may it be signed at all?"""
    assert isinstance(given, SignCertificate)
    desk = actor.around.certificates
    if desk is None:
        found(given)
    else:
        found(replace(given, judged=desk.enrollments.judge(actor.key, given.csr, given.use)))


def enroll(actor: StationActor, given: Input, decision: Decision) -> None:
    """SignCertificate was answered: an authority is asked."""
    outcome, desk = decision.outcome, actor.around.certificates
    if isinstance(given, SignCertificate) and isinstance(outcome, Verdict) and outcome.status == "Accepted" and desk:
        desk.enrollments.begin(actor.key, given)


def status(actor: StationActor, given: Input, found: Found) -> None:
    """GetCertificateStatus."""
    assert isinstance(given, StatusAsked)
    desk = actor.around.certificates
    if desk is None or desk.statuses is None:
        found(given)
        return
    length = _RESULT_LENGTH.get(actor.version, 18_000)

    def told(answer: StatusTold) -> None:
        if len(answer.ocsp_result) > length:
            answer = StatusTold(status="Failed", reason_code="TooLong", additional_info="the OCSP answer is too long")
        found(replace(given, told=answer))

    desk.statuses.status(actor.key.tenant, given.about, told)


def chain_status(actor: StationActor, given: Input, found: Found) -> None:
    """GetCertificateChainStatus."""
    assert isinstance(given, ChainStatusAsked)
    desk = actor.around.certificates
    if desk is None or desk.statuses is None:
        found(given)
        return

    def told(rows: tuple[OneStatus, ...]) -> None:
        found(replace(given, told=ChainStatusTold(rows=rows)))

    desk.statuses.chain(actor.key.tenant, given.about, told)


def ev_certificate(actor: StationActor, given: Input, found: Found) -> None:
    """Get15118EVCertificate."""
    assert isinstance(given, EvCertificateAsked)
    desk = actor.around.certificates
    if desk is None or desk.contracts is None:
        found(given)
        return
    length = _EXI_LENGTH.get(actor.version, 17_000)

    def told(answer: EvCertificateTold) -> None:
        if len(answer.exi_response) > length:
            answer = EvCertificateTold(
                status="Failed", reason_code="TooLong", additional_info="the provider's answer is too long"
            )
        found(replace(given, told=answer))

    desk.contracts.certificate(actor.key, given, told)


# -- what we send -----------------------------------------------------------------------------------------------------
def objection(actor: StationActor, action: str, request: Any) -> str:
    """Why a command of ours must not go out; "" where it may."""
    desk = actor.around.certificates
    if desk is None:
        return ""
    if action == "DeleteCertificate":
        return desk.installed.objection_to_delete(actor.key, request)
    if action == "InstallCertificate":
        return desk.installed.objection_to_install(actor.key, request)
    if action in _CREDENTIALS:
        return desk.credentials.objection(actor.key, action, request)
    return ""


def before(actor: StationActor, action: str, request: Any, go: Callable[[bool], None]) -> None:
    """Called before a command goes out: `go(True)` when it may."""
    desk = actor.around.certificates
    if desk is None or action not in _CREDENTIALS:
        go(True)
    else:
        desk.credentials.offer(actor.key, action, request, go)


def settled(
    actor: StationActor, action: str, request: Any, payload: Mapping[str, Any], outcome: str, answer: Mapping[str, Any]
) -> None:
    """A command of these blocks has come to its end."""
    desk = actor.around.certificates
    if desk is None:
        return
    if action == "CertificateSigned":
        desk.enrollments.settled(actor, payload, outcome, answer)
    elif action in _CREDENTIALS:
        desk.credentials.settled(actor, action, request, outcome, answer)
    elif outcome != "answered":
        return
    elif action == "GetInstalledCertificateIds":
        desk.installed.listed(actor, request, answer)
    elif action == "InstallCertificate" and answer.get("status") == "Accepted":
        desk.installed.ask_again(actor, request.certificate_type)
    elif action == "DeleteCertificate" and answer.get("status") == "Accepted":
        desk.installed.ask_again(actor, "CentralSystemRootCertificate")


_CREDENTIALS = frozenset(("ChangeConfiguration", "SetVariables", "SetNetworkProfile"))
SETTLED = _CREDENTIALS | {
    "CertificateSigned", "GetInstalledCertificateIds", "InstallCertificate", "DeleteCertificate",
}  # fmt: skip
"""The commands whose end is looked at."""
