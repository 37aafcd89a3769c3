"""The OCPP-J WebSocket edge: servers on picows and on `websockets`, the client, TLS, limits. See `transport.port`."""
