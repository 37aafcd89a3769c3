"""OCPP 1.6: its typed messages (`messages`, generated) and `VERSION`, which decodes and encodes them by action."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.ocpp.codec import OcppVersion
from pilotwire.protocols.ocpp.v16 import messages
from pilotwire.protocols.ocpp.version import Version

VERSION: Final[Version] = OcppVersion("1.6", messages.ACTIONS)

__all__ = ["VERSION", "messages"]
