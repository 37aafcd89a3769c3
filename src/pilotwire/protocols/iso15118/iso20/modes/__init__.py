"""The energy services of ISO 15118-20, one module each: its states, messages, payload type and what it does with them.

A service is a `SeccMode` and an `EvccMode` (`base`). To add one: write the module, and name it in the tables here.
"""

from __future__ import annotations

from typing import Any, Final

from pilotwire.core.evse_link import Service

from ..answers import COMMON
from ..before_secc import BEFORE_EMPTY
from .ac import AC_EMPTY, AcSecc
from .ac_ev import AcEvcc
from .acdp import ACDP_EMPTY, AcdpEvcc, AcdpSecc
from .base import EvccMode, SeccMode
from .dc import DC_EMPTY, DcSecc
from .dc_ev import DcEvcc
from .wpt import WPT_EMPTY, WptSecc
from .wpt_ev import WptEvcc

__all__ = ["EMPTY", "EVCC_MODES", "SECC_MODES", "EvccMode", "SeccMode"]

SECC_MODES: Final[dict[Service, type[SeccMode]]] = {
    "AC": AcSecc, "AC_BPT": AcSecc, "DC": DcSecc, "DC_BPT": DcSecc,
    "WPT": WptSecc, "DC_ACDP": AcdpSecc, "DC_ACDP_BPT": AcdpSecc,
}  # fmt: skip
EVCC_MODES: Final[dict[Service, type[EvccMode]]] = {
    "AC": AcEvcc, "AC_BPT": AcEvcc, "DC": DcEvcc, "DC_BPT": DcEvcc,
    "WPT": WptEvcc, "DC_ACDP": AcdpEvcc, "DC_ACDP_BPT": AcdpEvcc,
}  # fmt: skip
EMPTY: Final[dict[str, dict[str, Any]]] = COMMON | BEFORE_EMPTY | AC_EMPTY | DC_EMPTY | WPT_EMPTY | ACDP_EMPTY
"""The least that the schema takes as each response, without its header and code."""
