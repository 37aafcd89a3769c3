"""OCPP-J: the RPC framework (`rpc`) and the typed messages of 1.6, 2.0.1 and 2.1 (`v16`, `v201`, `v21`)."""
