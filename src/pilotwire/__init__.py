"""Pilotwire: the open stack for every conversation behind an EV charging session."""

__version__ = "0.1.0"
