"""B Provisioning, the part about network connection profiles: SetNetworkProfile (B09)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.station.host import Reply
from pilotwire.station.networks import SLOTS, NetworkProfile

from .handling import V2, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def set_network_profile(station: Station, request: Any) -> Reply:
    m = station.messages

    def answered(status: str, why: tuple[str, str]) -> Reply:
        return Reply(m.SetNetworkProfileResponse(status=status, status_info=reason(m, *why)))

    networks = station.networks
    if not networks.can_be_set:
        return answered("Rejected", ("UnsupportedRequest", "this station's connection is fixed"))
    if request.configuration_slot not in SLOTS:
        slots = ", ".join(map(str, SLOTS))
        return answered("Rejected", ("InvalidConfSlot", f"the slots are {slots}"))  # B09.FR.05
    profile = _profile(request.configuration_slot, request.connection_data)
    wrong = networks.wrong(profile)
    if wrong is not None:
        return answered("Rejected", wrong)
    if not networks.secure_enough(profile.security_profile):
        return answered("Rejected", ("NoSecurityDowngrade", "the security profile is not lowered"))  # B09.FR.04
    if not networks.possible(profile):
        return answered("Failed", ("Unspecified", "no connection can be made that way"))  # B09.FR.03
    networks.put(profile)
    return Reply(m.SetNetworkProfileResponse(status="Accepted"))


def _profile(slot: int, data: Any) -> NetworkProfile:
    return NetworkProfile(
        slot=slot,
        url=data.ocpp_csms_url,
        security_profile=data.security_profile,
        interface=data.ocpp_interface,
        transport=data.ocpp_transport,
        timeout_s=data.message_timeout,
        version=data.ocpp_version or "",
        # 2.0.1 has neither of the two.
        identity=getattr(data, "identity", None) or "",
        password=getattr(data, "basic_auth_password", None) or "",
        apn=b"" if data.apn is None else msgspec.json.encode(data.apn),
        vpn=b"" if data.vpn is None else msgspec.json.encode(data.vpn),
    )


HANDLERS = on(V2, {"SetNetworkProfile": set_network_profile})
