"""The vehicle from SessionSetup to ServiceSelection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Allowed, Linked
from pilotwire.core.evse_link import Service

from .. import pnc, v2gtp
from . import services
from .modes import EVCC_MODES
from .services import SERVICE_IDS, Selection
from .wire import Came, sub

if TYPE_CHECKING:
    from .evcc import Iso20Evcc

Message = dict[str, Any]

MOST_CONTRACTS: Final = 1


class Begin:
    """The part of the vehicle's machine up to ChargeParameterDiscovery."""

    def __init__(self, evcc: Iso20Evcc) -> None:
        self.evcc = evcc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "SessionSetupRes": self._session_setup,
            "AuthorizationSetupRes": self._authorization_setup,
            "CertificateInstallationRes": self._installed,
            "AuthorizationRes": self._authorization,
            "ServiceDiscoveryRes": self._discovery,
            "ServiceDetailRes": self._detail,
            "ServiceSelectionRes": self._selected,
            "VehicleCheckInRes": lambda came: None,
            "VehicleCheckOutRes": lambda came: None,
        }
        self.may_renegotiate = False
        """The EVSE lets services be chosen anew."""
        self._evse_id = ""
        self._setup: Message = {}
        self._tried: set[str] = set()
        self._asking = ""
        self._request: tuple[Message | None, Message] = (None, {})
        """Signature and fields of the AuthorizationReq that is repeated while it is Ongoing."""
        self._installing: tuple[Message | None, Message] = (None, {})
        self._wanted: list[Service] = []
        self._parking: Message | None = None
        self._chosen: Selection | None = None
        self._before: Service | None = None

    # ── SessionSetup ─────────────────────────────────────────────────────────────────────────────────────────────────
    def session_setup(self) -> None:
        evcc = self.evcc
        if evcc.resume is not None:
            evcc.session = evcc.resume.session
        evcc.common("SessionSetupReq", EVCCID=evcc.config.evccid)

    def _session_setup(self, came: Came) -> None:
        evcc, resume = self.evcc, self.evcc.resume
        evcc.alarms.drop("setup")
        evcc.session = came.body["Header"]["SessionID"]
        joined = came.body["ResponseCode"] == "OK_OldSessionJoined"
        self._evse_id = came.body["EVSEID"]
        if joined and resume is not None:
            evcc.contract = resume.contract
            evcc.emit(self._linked(resume.selection.service, resumed=True))
            evcc.emit(Allowed())
            evcc.before.resumed()
            self._enter(resume.selection)
        else:
            evcc.emit(self._linked(None, resumed=False))
            evcc.before.begin()

    def _linked(self, service: Service | None, *, resumed: bool) -> Linked:
        return Linked(protocol="iso15118-20", evse_id=self._evse_id, resumed=resumed, service=service)

    # ── authorisation ────────────────────────────────────────────────────────────────────────────────────────────────
    def _authorization_setup(self, came: Came) -> None:
        evcc = self.evcc
        self._setup = came.body
        can_install = came.body["CertificateInstallationService"] and "PnC" in came.body["AuthorizationServices"]
        if evcc.tls and evcc.pnc is not None and can_install and "contract" in evcc.config.payments:
            has = bool(evcc.pnc.chain("iso20"))
            if evcc.pnc.provisioning_chain("iso20") and (
                (evcc.config.install and not has) or (evcc.config.update and has)
            ):
                self._install()
                return
        self._authorize()

    def _install(self) -> None:
        evcc = self.evcc
        assert evcc.pnc is not None
        fields: Message = {
            "OEMProvisioningCertificateChain": pnc.chain_element(evcc.pnc.provisioning_chain("iso20"), pnc.ID),
            "ListOfRootCertificateIDs": pnc.root_ids(evcc.pnc.roots("iso20")),
            "MaximumContractCertificateChains": MOST_CONTRACTS,
        }
        self._installing = (pnc.signed_by_provisioning(evcc.pnc, "iso20", fields), fields)
        evcc.power.doing = "CertificateInstallation"
        self._ask_installation()

    def _ask_installation(self) -> None:
        signature, fields = self._installing
        self.evcc.common("CertificateInstallationReq", signature, **fields)

    def _installed(self, came: Came) -> None:
        evcc = self.evcc
        assert evcc.pnc is not None
        if came.body["ResponseCode"].startswith("OK") and came.body["EVSEProcessing"] != "Finished":
            evcc.poll(self._ask_installation)
            return
        evcc.alarms.drop("ongoing")
        if came.body["ResponseCode"].startswith("OK"):
            # What it thinks of the answer it keeps to itself: without a contract it goes on by other means.
            evcc.pnc.take("iso20", came.body, came.body["Header"].get("Signature"), evcc.now)
        self._authorize()

    def _authorize(self) -> None:
        """By the preferred means that the EVSE offers and that was not tried yet."""
        evcc, offered = self.evcc, self._setup["AuthorizationServices"]
        for payment in evcc.config.payments:
            service = "PnC" if payment == "contract" else "EIM"
            if service in offered and service not in self._tried and (service == "EIM" or self._has_contract):
                self._tried.add(service)
                self._asking = service
                self._request = self._signed() if service == "PnC" else (None, {"EIM_AReqAuthorizationMode": {}})
                evcc.power.doing = "Authorization"
                self._ask_authorization()
                return
        evcc.why = ("NotAuthorized", "no means of authorisation is left")
        evcc.power.stop_session("Terminate")

    @property
    def _has_contract(self) -> bool:
        evcc = self.evcc
        mode = self._setup.get("PnC_ASResAuthorizationMode")
        return evcc.tls and evcc.pnc is not None and mode is not None and bool(evcc.pnc.chain("iso20"))

    def _signed(self) -> tuple[Message, Message]:
        evcc = self.evcc
        assert evcc.pnc is not None
        mode: Message = {
            "Id": pnc.ID,
            "GenChallenge": self._setup["PnC_ASResAuthorizationMode"]["GenChallenge"],
            "ContractCertificateChain": pnc.chain_element(evcc.pnc.chain("iso20")),
        }
        fields: Message = {"PnC_AReqAuthorizationMode": mode}
        return pnc.signed_by_contract(evcc.pnc, "iso20", "AuthorizationReq", fields), fields

    def _ask_authorization(self) -> None:
        signature, fields = self._request
        self.evcc.common("AuthorizationReq", signature, SelectedAuthorizationService=self._asking, **fields)

    def _authorization(self, came: Came) -> None:
        evcc = self.evcc
        if came.body["ResponseCode"].startswith("WARNING"):
            evcc.alarms.drop("ongoing")
            self._authorize()
        elif came.body["EVSEProcessing"] == "Finished":
            evcc.alarms.drop("ongoing")
            evcc.contract = self._asking == "PnC"
            evcc.emit(Allowed())
            self.discover()
        else:
            evcc.poll(self._ask_authorization)
            if came.body["EVSEProcessing"] == "Ongoing_WaitingForCustomerInteraction":
                evcc.alarms.drop("ongoing")  # people take their time; the EVSE watches that itself

    # ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def discover(self, *, instead_of: Service | None = None) -> None:
        """ServiceDiscovery; `instead_of`: another service than this one is wanted, if there is one."""
        self._before = instead_of
        ids = [SERVICE_IDS[one] for one in self.evcc.services]
        self.evcc.common("ServiceDiscoveryReq", SupportedServiceIDs={"ServiceID": [*ids, services.PARKING_STATUS][:16]})

    def _discovery(self, came: Came) -> None:
        evcc = self.evcc
        self.may_renegotiate = came.body["ServiceRenegotiationSupported"]
        offered = {one["ServiceID"] for one in came.body["EnergyTransferServiceList"]["Service"]}
        mine: list[Service] = [one for one in evcc.services if SERVICE_IDS[one] in offered]
        others: list[Service] = [one for one in mine if one != self._before]
        self._wanted = others if self._before is not None and others else mine
        extra = {one["ServiceID"] for one in sub(came.body, "VASList").get("Service", [])}
        self._parking = None
        if not self._wanted:
            evcc.why = ("NoService", "the EVSE has no energy service that the vehicle takes")
            evcc.power.stop_session("Terminate")
        elif services.PARKING_STATUS in extra:
            evcc.common("ServiceDetailReq", ServiceID=services.PARKING_STATUS)
        else:
            evcc.common("ServiceDetailReq", ServiceID=SERVICE_IDS[self._wanted[0]])

    def _detail(self, came: Came) -> None:
        evcc = self.evcc
        sets: list[Message] = came.body["ServiceParameterList"]["ParameterSet"]
        if came.body["ServiceID"] == services.PARKING_STATUS:
            self._parking = {"ServiceID": services.PARKING_STATUS, "ParameterSetID": sets[0]["ParameterSetID"]}
            evcc.common("ServiceDetailReq", ServiceID=SERVICE_IDS[self._wanted[0]])
            return
        service = self._wanted[0]
        found = [services.selection(service, one) for one in sets]
        wished = [one for one in found if one.dynamic == evcc.config.dynamic] or found
        # The vehicle knows best what it needs by when; of prices it prefers those that are amounts.
        best = min(wished, key=lambda one: (one.mobility_by_secc, one.pricing == 0, one.pricing))
        self._chosen = best
        fields: Message = {
            "SelectedEnergyTransferService": {
                "ServiceID": SERVICE_IDS[service],
                "ParameterSetID": best.parameter_set,
            }
        }
        if self._parking is not None:
            fields["SelectedVASList"] = {"SelectedService": [self._parking]}
        evcc.common("ServiceSelectionReq", **fields)

    def _selected(self, came: Came) -> None:
        evcc = self.evcc
        assert self._chosen is not None
        evcc.emit(self._linked(self._chosen.service, resumed=False))
        if self._parking is not None:
            evcc.send(v2gtp.PARKING_STATUS, "VehicleCheckInReq", EVCheckInStatus="Completed", ParkingMethod="Manual")
        self._enter(self._chosen)

    def check_out(self) -> None:
        """It is about to leave; only where it has checked in."""
        evcc = self.evcc
        if self._parking is not None and not evcc.waits(v2gtp.PARKING_STATUS):
            fields: Message = {"EVCheckOutStatus": "CheckOut", "CheckOutTime": evcc.now // 1000}
            evcc.send(v2gtp.PARKING_STATUS, "VehicleCheckOutReq", **fields)

    def _enter(self, selection: Selection) -> None:
        evcc = self.evcc
        evcc.mode = EVCC_MODES[selection.service](evcc, selection)
        evcc.power.begin()
        evcc.mode.discover()
