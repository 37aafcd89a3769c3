"""Modbus on real carriers.

carriers   TCP, RTU on a serial port, RTU over TCP: addresses, and bytes to and from them
link       the client: one connection to one endpoint, every unit behind it
registers  register maps, and requests carried out on them
guard      who may read and who may write what: allow-lists, limits of values, rates, audit
server     the server on TCP, a serial port, RTU over TCP
proxy      many clients in front of a device that bears one
"""
