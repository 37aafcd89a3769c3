"""SLAC (ISO 15118-3, annex A): which of the outlets within earshot the vehicle is plugged into, and the key to it.

mme      management messages of HomePlug Green PHY: bytes ⇄ frames
keys     NMK and NID
events   what the machines say and are told
timers   the times and counts of table A.1
evse, ev both ends: `SlacEvse`, `SlacEv`; the carrier's unit is one Ethernet frame, as bytes
"""
