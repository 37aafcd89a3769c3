"""Sockets and buses: thin shells that run the sans-IO machines."""
