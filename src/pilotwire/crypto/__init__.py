"""Certificates, password hashes, signatures. Randomness is injected."""
