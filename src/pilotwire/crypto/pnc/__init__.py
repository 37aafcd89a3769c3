"""Plug & Charge: keys, certificates and the way of a contract into a car (ISO 15118-2 and -20).

keys          private keys behind an interface: in memory, or in whatever hardware keeps them
transport     how a contract's key is wrapped for one car
extensions    certificates read with tolerance
profiles      what the certificate of each role must look like
trust         whether a chain is to be believed, and for what
station       the station's part of a session (`protocols.iso15118.pnc.SeccPnc`)
vehicle       the vehicle's part (`EvccPnc`)
provisioning  the service that answers installation and update requests
issuing       one certificate of any role
pki           a whole test PKI at once
"""
