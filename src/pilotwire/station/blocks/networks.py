"""B Provisioning, the part about network connection profiles: SetNetworkProfile (B09)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pilotwire.station.host import Reply
from pilotwire.station.networks import SLOTS, NetworkProfile

from .handling import V2, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_SCHEME = {1: "ws", 2: "wss", 3: "wss"}


def set_network_profile(station: Station, request: Any) -> Reply:
    m = station.messages
    why = _refusal(station, request.configuration_slot, request.connection_data)
    if why is not None:
        return Reply(m.SetNetworkProfileResponse(status="Rejected", status_info=reason(m, *why)))
    station.networks.put(_profile(request.configuration_slot, request.connection_data))
    return Reply(m.SetNetworkProfileResponse(status="Accepted"))


def _refusal(station: Station, slot: int, data: Any) -> tuple[str, str] | None:
    if not station.networks.can_be_set:
        return "UnsupportedRequest", "this station's connection is fixed"
    if slot not in SLOTS:
        return "ValueOutOfRange", f"the slots are {', '.join(map(str, SLOTS))}"  # B09.FR.05
    if data.ocpp_transport != "JSON":
        return "UnsupportedParam", "only JSON over WebSocket"
    if data.security_profile not in _SCHEME:
        return "ValueOutOfRange", "the security profiles are 1, 2 and 3"
    if data.security_profile < station.config.security_profile:
        return "ValueTooLow", "the security profile is never lowered"  # B09.FR.04
    url = urlsplit(data.ocpp_csms_url)
    try:
        whole = url.scheme == _SCHEME[data.security_profile] and bool(url.hostname) and url.port != 0
    except ValueError:
        whole = False
    if not whole:
        return "InvalidURL", f"security profile {data.security_profile} needs {_SCHEME[data.security_profile]}://host"
    if data.message_timeout <= 0:
        return "ValueTooLow", "no message can be answered in no time"
    return None


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
