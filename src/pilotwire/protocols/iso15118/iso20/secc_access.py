"""SessionSetup, AuthorizationSetup, CertificateInstallation and Authorization: who it is, and whether it may."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from pilotwire.core.evse_link import AuthorizationAsked, Certificate, CertificateAsked, Connected, Identified
from pilotwire.protocols import exi

from .. import pnc
from ..signature import SignatureError
from . import timers, wire
from .answers import COMMON
from .before_secc import FIRST
from .session import Session
from .wire import Came

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]

REJECTIONS: Final = {
    "expired": "WARNING_CertificateExpired",
    "not-yet-valid": "WARNING_CertificateNotYetValid",
    "revoked": "WARNING_CertificateRevoked",
    "invalid": "WARNING_CertificateValidationError",
    "unknown": "WARNING_eMSPUnknown",
    "no-contract": "WARNING_NoContractMatchingPCIDFound",
    "no-certificate": "WARNING_NoCertificateAvailable",
}
"""`Authorize.reason` of a contract → response code ; any other reason is GeneralPnCAuthorizationError."""
NEW_SESSION: Final = bytes(8)


class Access:
    """The part of the station's machine up to ServiceDiscovery."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "SessionSetupReq": self._session_setup,
            "AuthorizationSetupReq": self._authorization_setup,
            "AuthorizationReq": self._authorization,
            "CertificateInstallationReq": self._installation,
        }
        self._challenge = b""
        self._asked = ""
        """What the station was asked for, and has not answered: external, contract, certificate."""
        self._expires_soon = False
        self._certificate: Certificate | None = None

    @property
    def contracts(self) -> bool:
        """Contract is offered: never without TLS, whatever the configuration says."""
        return "contract" in self.secc.config.payments and self.secc.tls and self.secc.pnc is not None

    @property
    def offered(self) -> list[str]:
        """AuthorizationServices. There is always one."""
        found = ["PnC"] if self.contracts else []
        if "external" in self.secc.config.payments or not found:
            found.append("EIM")
        return found

    # ── SessionSetup ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _session_setup(self, came: Came) -> None:
        secc = self.secc
        wanted, evccid = came.body["Header"]["SessionID"], came.body["EVCCID"]
        kept = secc.paused.pop(wanted, None) if wanted != NEW_SESSION else None
        resumed = isinstance(kept, Session) and self._same(kept, evccid)
        if kept is not None and not resumed:
            secc.paused[wanted] = kept
        if resumed:
            secc.session = cast(Session, kept)
            secc.services.rejoin()
            secc.output.authorised = bool(secc.session.by)
            secc.go("Resumed")
        else:
            id_ = secc.random(8)
            while id_ in (NEW_SESSION, wanted) or id_ in secc.paused:
                id_ = secc.random(8)
            secc.session = Session(id=id_, evccid=evccid)
            secc.go(FIRST.get(secc.dialect, "AuthorizationSetup"))
        session = secc.session
        code = "OK_OldSessionJoined" if resumed else "OK_NewSessionEstablished"
        secc.answer(came, code, EVSEID=secc.config.evse_id)
        secc.emit(Connected(protocol="iso15118-20", resumed=resumed, session_id=session.id.hex().upper()))
        secc.emit(Identified(evccid=evccid, emaid=session.emaid, contract=session.contract))

    def _same(self, kept: Session, evccid: str) -> bool:
        """Whether a session that slept goes on. Whoever knows its number but is another vehicle gets a session of its
        own; so does who comes back by a protocol that cannot carry the service which it had."""
        chosen = kept.selection
        return kept.evccid == evccid and chosen is not None and chosen.service in self.secc.services.energy

    # ── AuthorizationSetup ───────────────────────────────────────────────────────────────────────────────────────────
    def _authorization_setup(self, came: Came) -> None:
        secc = self.secc
        offered = self.offered
        fields: Message = {
            "AuthorizationServices": offered,
            "CertificateInstallationService": self.contracts and secc.config.install,
        }
        if "PnC" in offered:
            assert secc.pnc is not None
            self._challenge = secc.random(16)
            mode: Message = {"GenChallenge": self._challenge}
            providers = [name[:80] for name in secc.pnc.providers()][:128]
            if providers:
                mode["SupportedProviders"] = {"ProviderID": providers}
            fields["PnC_ASResAuthorizationMode"] = mode
        else:
            fields["EIM_ASResAuthorizationMode"] = {}
        secc.go("Authorization")
        secc.answer(came, **fields)

    # ── Authorization ────────────────────────────────────────────────────────────────────────────────────────────────
    def _authorization(self, came: Came) -> None:
        secc = self.secc
        service = came.body["SelectedAuthorizationService"]
        by = {"EIM": "external", "PnC": "contract"}[service]
        mode = came.body.get("PnC_AReqAuthorizationMode")
        if service not in self.offered or (mode is not None) != (by == "contract"):
            secc.warn(came, "WARNING_AuthorizationSelectionInvalid")
            return
        if self._asked != by:
            if by == "contract" and not self._contract(came, cast(Message, mode)):
                return
            self._asked = by
            secc.alarms.set("authorization", secc.now + timers.AUTHORIZATION.ms)
            secc.emit(AuthorizationAsked(by=by))  # type: ignore[arg-type]
        self._decide(came, by)

    def _contract(self, came: Came, mode: Message) -> bool:
        """Whether the vehicle holds the contract that it shows; else it has its answer."""
        secc = self.secc
        assert secc.pnc is not None
        if mode["GenChallenge"] != self._challenge:
            secc.warn(came, "WARNING_ChallengeInvalid")
            return False
        chain = pnc.chain_of(mode["ContractCertificateChain"])
        try:
            pnc.check_signed(secc.pnc, "iso20", came.name, came.body, came.body["Header"].get("Signature"), chain[0])
        except SignatureError as error:
            secc.refuse(came, "FAILED_SignatureError", str(error), "[V2G20-461]")
            return False
        verdict = secc.pnc.contract("iso20", chain, "", secc.now)
        if not verdict.ok:
            secc.warn(came, verdict.response("iso20"))
            return False
        self._expires_soon = verdict.code == "expires-soon"
        secc.session.emaid, secc.session.contract = verdict.emaid, chain
        secc.emit(Identified(evccid=secc.session.evccid, emaid=verdict.emaid, contract=chain))
        return True

    def _decide(self, came: Came, by: str) -> None:
        secc = self.secc
        decision = secc.authorize
        if decision is None:
            processing = "Ongoing_WaitingForCustomerInteraction" if by == "external" else "Ongoing"
            secc.answer(came, EVSEProcessing=processing)
            return
        self._asked = ""
        secc.alarms.drop("authorization")
        if decision.accepted:
            secc.session.by = by  # type: ignore[assignment]
            secc.output.authorised = True
            secc.go("ServiceDiscovery")
            soon = by == "contract" and self._expires_soon
            secc.answer(came, "OK_CertificateExpiresSoon" if soon else "OK", EVSEProcessing="Finished")
            return
        # It may try again, by another way or once more: then the station is asked again.
        secc.authorize = None
        external = "WARNING_EIMAuthorizationFailure"
        contract = REJECTIONS.get(decision.reason, "WARNING_GeneralPnCAuthorizationError")
        secc.warn(came, external if by == "external" else contract)

    # ── CertificateInstallation ──────────────────────────────────────────────────────────────────────────────────────
    def _installation(self, came: Came) -> None:
        secc = self.secc
        if not (self.contracts and secc.config.install):
            secc.warn(came, "WARNING_NoCertificateAvailable")
            return
        assert secc.pnc is not None
        if self._asked != "certificate":
            chain = pnc.chain_of(came.body["OEMProvisioningCertificateChain"])
            signature = came.body["Header"].get("Signature")
            try:
                pnc.check_signed(secc.pnc, "iso20", came.name, came.body, signature, chain[0])
            except SignatureError as error:
                secc.refuse(came, "FAILED_SignatureError", str(error), "[V2G20-461]")
                return
            verdict = secc.pnc.provisioning("iso20", chain, secc.now)
            if not verdict.ok:
                secc.warn(came, verdict.response("iso20"))
                return
            self._asked, self._certificate = "certificate", None
            secc.alarms.set("ongoing", secc.now + timers.PERFORMANCE.ms)
            most = came.body["MaximumContractCertificateChains"]
            secc.emit(
                CertificateAsked(action="install", schema=wire.COMMON_NAMESPACE, exi=came.exi, most_contracts=most)
            )
        if self._certificate is None:
            empty: Message = COMMON["CertificateInstallationRes"] | {"EVSEProcessing": "Ongoing"}
            secc.answer(came, **empty)
            return
        self._asked = ""
        secc.alarms.drop("ongoing")
        self._hand_over(came, self._certificate)

    def _hand_over(self, came: Came, certificate: Certificate) -> None:
        """The provisioning service's answer, under the header of this session; its signature stays."""
        try:
            answer: Message = exi.decode("iso20-common", certificate.exi)["CertificateInstallationRes"]
        except (exi.DecodeError, KeyError):
            self.secc.warn(came, "WARNING_NoCertificateAvailable")
            return
        fields = {key: value for key, value in answer.items() if key not in ("Header", "ResponseCode")}
        fields["EVSEProcessing"] = "Finished"
        fields["RemainingContractCertificateChains"] = min(255, max(0, certificate.more))
        self.secc.answer(came, answer["ResponseCode"], signature=answer["Header"].get("Signature"), **fields)

    def installed(self, certificate: Certificate) -> None:
        """The command."""
        self._certificate = certificate
