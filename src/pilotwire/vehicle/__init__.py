"""The electric vehicle: battery and charging behaviour."""
