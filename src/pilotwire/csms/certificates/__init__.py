"""Blocks A and M of the central system: who signs stations' certificates, what is trusted, what was revoked."""
