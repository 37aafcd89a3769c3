"""ServiceDiscovery, ServiceDetail, ServiceSelection: which way energy is to flow, and how it is controlled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.core.evse_link import Service

from . import services
from .modes import SECC_MODES
from .services import OF_DIALECT, SERVICE_IDS, SERVICES, Selection
from .wire import Came, sub

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]


class Services:
    """The part of the station's machine between Authorization and ChargeParameterDiscovery."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "ServiceDiscoveryReq": self._discovery,
            "ServiceDetailReq": self._detail,
            "ServiceSelectionReq": self._selection,
        }
        self._told: dict[int, list[Message]] = {}
        """The parameter sets that ServiceDetail has given, by service: what may be selected."""

    @property
    def energy(self) -> tuple[Service, ...]:
        """The energy services of this outlet that the agreed protocol can carry."""
        carried = OF_DIALECT.get(self.secc.dialect, ())
        return tuple(one for one in self.secc.config.services if one in carried and one in SECC_MODES)

    @property
    def others(self) -> tuple[int, ...]:
        """Value-added services."""
        config = self.secc.config
        found = ((services.INTERNET, config.internet), (services.PARKING_STATUS, config.parking))
        return tuple(id_ for id_, offered in found if offered)

    def _discovery(self, came: Came) -> None:
        secc = self.secc
        known: list[int] | None = sub(came.body, "SupportedServiceIDs").get("ServiceID")
        mine = [SERVICE_IDS[one] for one in self.energy]
        if not mine:
            secc.refuse(
                came, "FAILED", "this outlet has no service for the protocol agreed upon", "8.3.4.3.4", by="evse"
            )
            return
        # A list that fits nothing gets everything: the schema wants one, and the vehicle then ends in order.
        energy = [one for one in mine if known is None or one in known] or mine
        others = [one for one in self.others if known is None or one in known]
        self._told = {}
        fields: Message = {
            "ServiceRenegotiationSupported": True,
            "EnergyTransferServiceList": {"Service": [self._entry(one) for one in energy]},
        }
        if others:
            fields["VASList"] = {"Service": [self._entry(one) for one in others]}
        secc.go("ServiceDetail")
        secc.answer(came, **fields)

    def _entry(self, id_: int) -> Message:
        return {"ServiceID": id_, "FreeService": self.secc.config.free or id_ not in SERVICES}

    def _detail(self, came: Came) -> None:
        secc, id_ = self.secc, came.body["ServiceID"]
        sets = self._sets(id_)
        if not sets:
            secc.refuse(came, "FAILED_ServiceIDInvalid", f"service {id_} is not offered", "[V2G20-464]")
            return
        self._told[id_] = sets
        secc.go("ServiceSelection")
        secc.answer(came, ServiceID=id_, ServiceParameterList={"ParameterSet": sets})

    def _sets(self, id_: int) -> list[Message]:
        service = SERVICES.get(id_)
        if service is not None and service in self.energy:
            return SECC_MODES[service].parameters(self.secc, service)
        if id_ not in self.others:
            return []
        return services.INTERNET_SETS if id_ == services.INTERNET else services.PARKING_SETS

    def controls(self) -> list[dict[str, int]]:
        """How an energy service may be controlled, for `SeccMode.parameters`."""
        config = self.secc.config
        priced = any(schedule.prices for schedule in self.secc.schedules.values())
        pricing = (services.ABSOLUTE_PRICES, services.PRICE_LEVELS) if priced else ()
        return services.control_sets(config.scheduled, config.dynamic, (*pricing, services.NO_PRICES))

    def _selection(self, came: Came) -> None:
        secc = self.secc
        chosen = came.body["SelectedEnergyTransferService"]
        service = SERVICES.get(chosen["ServiceID"])
        if service is None or service not in self.energy:
            text = f"service {chosen['ServiceID']} is no energy service of this outlet"
            secc.refuse(came, "FAILED_NoEnergyTransferServiceSelected", text, "8.3.4.3.6")
            return
        others: list[Message] = sub(came.body, "SelectedVASList").get("SelectedService", [])
        for one in (chosen, *others):
            if self._picked(one) is None:
                text = f"service {one['ServiceID']} has no parameter set {one['ParameterSetID']} that it was told of"
                secc.refuse(came, "FAILED_ServiceSelectionInvalid", text, "8.3.4.3.6")
                return
        session = secc.session
        session.internet = any(one["ServiceID"] == services.INTERNET for one in others)
        session.parking = any(one["ServiceID"] == services.PARKING_STATUS for one in others)
        session.exchanged = False
        found = self._picked(chosen)
        assert found is not None
        session.selection = services.selection(service, found)
        secc.output.forget()
        self._enter(session.selection)
        secc.answer(came)

    def _picked(self, one: Message) -> Message | None:
        sets = self._told.get(one["ServiceID"], [])
        return next((each for each in sets if each["ParameterSetID"] == one["ParameterSetID"]), None)

    def _enter(self, selection: Selection) -> None:
        secc = self.secc
        secc.mode = mode = SECC_MODES[selection.service](secc, selection)
        secc.power.begin()
        secc.go(mode.discovery)

    def rejoin(self) -> None:
        """A session that slept goes on with the service that it had chosen."""
        selection = self.secc.session.selection
        assert selection is not None
        self._enter(selection)
