"""`pilotwire encode`: see `exi`."""

from pilotwire.cli.exi import encode_main as main

__all__ = ["main"]
