"""The services of ISO 15118-2 beside charging: certificates and the internet (8.4.3.3 and tables 104 to 107)."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.exi.codec import Message

from ..config import SeccConfig

CHARGING: Final = 1
CERTIFICATE: Final = 2
INTERNET: Final = 3
INSTALLATION: Final = 1
UPDATE: Final = 2
"""Parameter sets of the certificate service."""

_SERVICES: Final[dict[int, Message]] = {
    CERTIFICATE: {
        "ServiceID": CERTIFICATE,
        "ServiceName": "Certificate",
        "ServiceCategory": "ContractCertificate",
        "FreeService": True,
    },
    INTERNET: {
        "ServiceID": INTERNET,
        "ServiceName": "InternetAccess",
        "ServiceCategory": "Internet",
        "FreeService": True,
    },
}
_SETS: Final[dict[int, list[Message]]] = {
    CERTIFICATE: [
        {"ParameterSetID": INSTALLATION, "Parameter": [{"Name": "Service", "stringValue": "Installation"}]},
        {"ParameterSetID": UPDATE, "Parameter": [{"Name": "Service", "stringValue": "Update"}]},
    ],
    INTERNET: [
        {
            "ParameterSetID": 3,
            "Parameter": [{"Name": "Protocol", "stringValue": "http"}, {"Name": "Port", "intValue": 80}],
        },
        {
            "ParameterSetID": 4,
            "Parameter": [{"Name": "Protocol", "stringValue": "https"}, {"Name": "Port", "intValue": 443}],
        },
    ],
}


def offered(config: SeccConfig, *, contract: bool) -> tuple[int, ...]:
    """Services beside charging; certificates only where contracts are taken, that is over TLS."""
    found: tuple[int, ...] = (CERTIFICATE,) if config.install and contract else ()
    return (*found, INTERNET) if config.internet else found


def listed(services: tuple[int, ...], category: str | None) -> list[Message]:
    """The ServiceList of those that are in the category that is asked for."""
    found = [_SERVICES[one] for one in services]
    return [one for one in found if category in (None, one["ServiceCategory"])]


def parameter_sets(service: int) -> list[Message]:
    """Of a service beside charging."""
    return _SETS[service]


def wrong(chosen: set[tuple[int, int | None]], services: tuple[int, ...]) -> str:
    """What is wrong with a selection, in words; nothing: all was offered."""
    for service, parameters in sorted(chosen, key=str):
        if service == CHARGING:
            continue
        if service not in services:
            return f"service {service} was not offered"
        if parameters is not None and parameters not in {one["ParameterSetID"] for one in _SETS[service]}:
            return f"service {service} has no parameter set {parameters}"
    return ""
