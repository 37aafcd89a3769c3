"""The site as a Modbus server: chargers of any kind, for an energy manager that speaks Modbus.

Our own map (`docs/guide/modbus-map.md`) with commands that expire, and the maps of chargers and meters that existing
drivers already know. Nobody writes who is not named; what is written is one limit among others.
"""
