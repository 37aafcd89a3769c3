"""Which request may come in which state of the station: the sequences of ISO 15118-20, 8.6.

A state is named after the request that it waits for. Those of the energy services are in `modes`. What is not here is
answered FAILED_SequenceError, and the session is over.
"""

from __future__ import annotations

from typing import Final

State = str
Allowed = dict[State, frozenset[str]]


def requests(*names: str) -> frozenset[str]:
    return frozenset(names)


COMMON: Final[Allowed] = {
    "SessionSetup": requests("SessionSetupReq"),
    "WPT_FinePositioningSetup": requests("WPT_FinePositioningSetupReq", "SessionStopReq"),
    "WPT_FinePositioning": requests("WPT_FinePositioningSetupReq", "WPT_FinePositioningReq", "SessionStopReq"),
    "WPT_Pairing": requests("WPT_PairingReq", "SessionStopReq"),
    "ACDP_VehiclePositioning": requests("ACDP_VehiclePositioningReq", "SessionStopReq"),
    "AuthorizationSetup": requests("AuthorizationSetupReq", "SessionStopReq"),
    "Authorization": requests("AuthorizationReq", "CertificateInstallationReq", "SessionStopReq"),
    "ServiceDiscovery": requests("ServiceDiscoveryReq", "SessionStopReq"),
    "ServiceDetail": requests("ServiceDetailReq", "SessionStopReq"),
    "ServiceSelection": requests("ServiceDetailReq", "ServiceSelectionReq", "SessionStopReq"),
    "ScheduleExchange": requests("ScheduleExchangeReq", "SessionStopReq"),
    "PowerDelivery": requests("PowerDeliveryReq", "SessionStopReq"),
    "SessionStop": requests("SessionStopReq"),
    "Over": requests(),
}
"""Before and between the energy services. `Resumed` is made of the paused session's service: its
ChargeParameterDiscovery comes at once ([V2G20-2098]: its authorisation still holds), or, from stacks that do not know
that, the authorisation anew."""
