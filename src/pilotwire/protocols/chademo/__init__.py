"""CHAdeMO 1.x and 2.0 (IEEE 2030.1.1) with V2X: frames, pins, and both ends as machines."""

from .config import ChademoEvConfig, ChademoEvseConfig
from .ev import ChademoEv
from .evse import ChademoEvse
from .frames import FRAMES, decode_frame, encode_frame
from .pins import Pin, PinName

__all__ = [
    "FRAMES", "ChademoEv", "ChademoEvConfig", "ChademoEvse", "ChademoEvseConfig", "Pin", "PinName", "decode_frame",
    "encode_frame",
]  # fmt: skip
