"""The site controller: one box at the grid connection that measures, decides and commands every second.

It keeps the fuse, the contract and the drivers content, speaks Modbus, MQTT and OCPP, and goes on for days without the
cloud. What it decides is pure and lives in `domain.energy` and its neighbours; here are the devices, the links, the
loop and the memory.
"""
