"""Protocol messages to domain inputs and back: pure tables, one file per protocol version."""
