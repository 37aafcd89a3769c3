"""ISO 15118 and DIN 70121 on the network: discovery, TCP and TLS, both ends."""

from .discovery import StationNotFound
from .evcc import NoConnection, dial_secc
from .link import Events, V2gLink
from .secc import SeccServer, run_secc
from .tap import Tap, Tapped
from .tls import EvccTls, SeccChain, SeccTls, Secured

__all__ = [
    "EvccTls",
    "Events",
    "NoConnection",
    "SeccChain",
    "SeccServer",
    "SeccTls",
    "Secured",
    "StationNotFound",
    "Tap",
    "Tapped",
    "V2gLink",
    "dial_secc",
    "run_secc",
]  # fmt: skip
