"""How a charger is presented to its CSMS."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["GatewayConfig"]


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One charger, with one outlet or several, as one OCPP station."""

    identity: str
    url: str
    """Of the CSMS, without the identity: ws:// or wss://."""
    version: Literal["1.6", "2.0.1"] = "2.0.1"
    evses: tuple[str, ...]
    """Driver ids of its outlets; the first is EVSE 1."""
    password: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    free_vend: bool = False
    """Everybody may charge: a session begins with the cable."""
    token: str = ""
    """Under which sessions run that nobody has shown a card for: free vend, and such as began while we were down. 2.0.1
    sends type NoAuthorization where it is empty; 1.6 needs one."""
    register: Literal["auto", "energy", "session", "power"] = "auto"
    """Which register counts: the charger's total, else that of the session, else what its power adds up to."""
    rollover_wh: int | None = None
    """The total begins at 0 again after so much."""
    poll_ms: int = 1_000
    store_ms: int = 30_000
    """How often the register is noted while nothing else happens."""
    refresh_ms: int | None = None
    """How often a set-point is told again; None: a third of the charger's watchdog, or each 20 s."""
    least_wh: int = 20
    """Energy below this is no session that was missed."""
    fixed_cable: bool = False
    """The charger's cable is its own: nothing to unlock, whatever the charger can do."""
    settings: dict[str, str] = {}
    """Factory values of the station, see `pilotwire.station.settings`."""

    def __post_init__(self) -> None:
        if not self.evses:
            raise ValueError("a station has at least one EVSE")
        if self.free_vend and self.version == "1.6" and not self.token:
            raise ValueError("OCPP 1.6 needs a token for free vend")
