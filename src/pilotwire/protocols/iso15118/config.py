"""What is known of an EVSE and of a vehicle before they talk; shared by DIN 70121, ISO 15118-2 and -20."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pilotwire.core.evse_link import Service

Dialect = Literal["din", "iso2", "iso20-ac", "iso20-dc", "iso20-wpt", "iso20-acdp"]
"""An application protocol as supportedAppProtocol negotiates it."""
Payment = Literal["external", "contract"]
Random = Callable[[int], bytes]
"""So many random bytes."""


class SeccConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The EVSE's side. Electrical limits are no configuration: they come with `core.evse_link.Offer`."""

    evse_id: str = "ZZ*PWR*E00001"
    """As ISO 15118-2 H.2 writes it; DIN 70121 gets its hexBinary form made of it."""
    dialects: tuple[Dialect, ...] = ("iso20-dc", "iso20-ac", "iso2", "din")
    services: tuple[Service, ...] = ("DC",)
    """The energy services of this outlet. AC alone means that no DC service is offered in any dialect."""
    connector: str = "cCCS2"
    """OCPP's name of the connector: cCCS1, cCCS2, cType1, cType2, cNACS, cTesla, wInductive, Pan, ..."""
    payments: tuple[Payment, ...] = ("external",)
    """Contract is offered over TLS only, whatever stands here."""
    install: bool = False
    """Contract certificates are installed and updated (ISO 15118-2 and -20)."""
    dynamic: bool = True
    """Control modes of ISO 15118-20: dynamic beside scheduled."""
    scheduled: bool = True
    free: bool = False
    receipts: bool = False
    """The vehicle confirms meter readings (contract only)."""
    internet: bool = False
    """The internet service is offered (ISO 15118-2 and -20)."""
    parking: bool = False
    """The parking status service is offered (ISO 15118-20)."""
    loop_ms: int | None = None
    """ISO 15118-20: how long a vehicle may be silent in the charge loop; None: the standard's half a second."""


class EvccConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle's side. What its battery is and wants comes with `core.ev_link.Drive`."""

    mac: bytes = b"\x02\x00\x00\x00\x00\x01"
    """EVCCID of DIN 70121 and ISO 15118-2."""
    evccid: str = "ZZPWRV00000001X"
    """EVCCID of ISO 15118-20: a name of 14 to 255 characters by C.4 of the standard."""
    vin: str = ""
    dialects: tuple[Dialect, ...] = ("iso2", "din")
    """The preferred first."""
    services: tuple[Service, ...] = ("DC",)
    """The energy services that it takes, the preferred first."""
    payments: tuple[Payment, ...] = ("external",)
    """The preferred first. Contract is chosen over TLS only."""
    install: bool = False
    """It asks for a contract certificate when it has none; `update`: for a new one in place of its own."""
    update: bool = False
    dynamic: bool = False
    """Control mode of ISO 15118-20: dynamic rather than scheduled."""
    tuples: int = 12
    """How many entries of a schedule it can take."""
