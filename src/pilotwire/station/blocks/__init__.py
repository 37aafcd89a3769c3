"""What the station does when the CSMS calls: one module per functional block of OCPP, see `table`."""
