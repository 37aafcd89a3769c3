"""Devices as data: one YAML file says where a charger, meter, inverter or battery keeps its values.

schema         what stands in a file
load, check    files → `DeviceFile`; every fault with its line, its place and what to do
registers      points and commands as fields of registers
cells, layout  a file made ready for one outlet: registers ⇄ values in base units; `undo` takes sums and cases apart
driver         `DeviceDriver`, a `site.ports.Device` behind a Modbus link; `teller` carries out its commands
evse           `ModbusEvse`, a `site.ports.EvseDriver`: offers, keepalives, fall-backs
bank           the same file as a server: what simulators and facades show
behaviour      what is inside a simulated device; `simulator` serves it over TCP or a serial line
plausibility   whether what a device says can be true
identify, scan by what a device is known, and who is behind an endpoint
"""
