"""Modbus without sockets: frames, requests and responses, values in registers, and what to ask for in one go.

errors          exceptions of devices as typed errors, bad frames, requests we may not make
pdu             requests and responses of functions 1 to 6, 15, 16, 22, 23 and 43/14
identification  the objects of function 43/14
adu             frames of TCP and RTU: bytes ⇄ unit, PDU
values          registers ⇄ integers, decimals, strings; SunSpec's types
planner         wanted ranges → as few reads as the device allows
client, server  both ends of a connection or bus: `ModbusClient`, `ModbusServer`; the carrier's unit is a chunk of bytes
"""
