"""What is known of a CHAdeMO charger and of a vehicle before they talk."""

from __future__ import annotations

import msgspec


class ChademoEvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The charger's side. What it can give and take comes with `core.evse_link.Offer`."""

    version: int = 2
    """1 (CHAdeMO 1.x) or 2 (CHAdeMO 2.0: 118, extended current)."""
    weld_detection: bool = True
    """108.0: the output falls fast enough for the vehicle to test its contactors."""
    discharge: bool = False
    """109.4.0, 208 and 209: power can be taken back."""
    v2h_sequence: int = 2
    """209.0: charge and discharge sequence number; 0 V2H guideline 1.0, 1 and 2 those of 2.0 (A, B)."""
    maker: int | None = None
    """708.0; None: 708 is not sent."""
    ignored_soc_frames: int = 20
    """So many first frames of 102 are not believed as to the state of charge: vehicles send filler."""
    babble_frames: int = 400
    """More frames than these in a second from the vehicle are a fault: ten are sent of each."""


class ChademoEvConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle's side. What its battery is and wants comes with `core.ev_link.Drive`."""

    version: int = 2
    discharge: bool = False
    """102.5.7 and 200: it gives power back."""
    sends_201: bool = True
    """Recorded vehicles leave the handshake of 201 and 209 out."""
    v2h_sequence: int = 2
    minimum_level: int = 10
    """200.6: below this state of charge, percent, it is not discharged."""
    maximum_level: int = 100
    """200.7: above this one it is not charged."""
    maker: int | None = None
    """700.0; None: 700 is not sent."""
    filler_frames: int = 20
    """So many first frames of 102 with a state of charge that means nothing, as vehicles do."""
    babble_frames: int = 400
