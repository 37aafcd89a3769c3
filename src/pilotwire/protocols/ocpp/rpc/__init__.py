"""The OCPP-J RPC framework, sans-IO and agnostic of role: one machine serves CSMS, station and local controller."""
