"""The charging station: a real OCPP client over simulated or real hardware."""
