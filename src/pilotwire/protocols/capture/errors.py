"""What is wrong with a file."""

from __future__ import annotations

from pilotwire.core.errors import RemoteError


class CaptureError(RemoteError):
    """The file is no capture that can be read; the text says what stands where."""
