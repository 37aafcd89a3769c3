"""SAE J1939-21 on CAN: identifiers, and the transport protocol for messages longer than a frame."""

from .effects import REASONS, Aborted, Counts, Delivered, Packet
from .ids import GLOBAL, Id, build, parse
from .monitor import Monitor
from .timers import TIMERS
from .transport import ALL, Limits, Transport

__all__ = [
    "ALL", "GLOBAL", "REASONS", "TIMERS", "Aborted", "Counts", "Delivered", "Id", "Limits", "Monitor", "Packet",
    "Transport",
    "build", "parse",
]  # fmt: skip
