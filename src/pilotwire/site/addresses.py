"""Addresses to listen at, as a site's file has them."""

from __future__ import annotations

from pilotwire.core.errors import ConfigError


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT. Raises ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"{listen!r} is no HOST:PORT; e.g. 127.0.0.1:502, or 0.0.0.0:502 for all networks")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - asked for
