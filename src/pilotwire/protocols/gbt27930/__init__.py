"""GB/T 27930: direct-current charging in China, CAN between charger and BMS, editions 2011 and 2015, both ends."""

from .codec import MESSAGES, decode, encode, faults, said
from .ev import EvConfig, GbtEv
from .evse import EvseConfig, GbtEvse
from .fields import BMS, CHARGER
from .messages import Edition
from .timers import TIMERS
from .wires import Cc1, Cc2, Supply

__all__ = [
    "BMS", "CHARGER", "MESSAGES", "TIMERS", "Cc1", "Cc2", "Edition", "EvConfig", "EvseConfig", "GbtEv", "GbtEvse",
    "Supply", "decode", "encode", "faults", "said",
]  # fmt: skip
