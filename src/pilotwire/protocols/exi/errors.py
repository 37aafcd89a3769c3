"""What can be wrong with a stream or a message, and where in it."""

from __future__ import annotations

from pilotwire.core.errors import LocalError, PilotwireError, RemoteError


class _Placed(PilotwireError):
    """An error that knows its place in the message: each level adds its own name on the way up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []
        """Names of elements from the root to where it is wrong."""

    def within(self, name: str) -> None:
        self.path.insert(0, name)

    def __str__(self) -> str:
        return f"{'/'.join(self.path)}: {self.reason}" if self.path else self.reason


class DecodeError(_Placed, RemoteError):
    """A stream that the schema does not allow, or that ends too early."""


class EncodeError(_Placed, LocalError):
    """A message that the schema cannot express: a value out of its range, an element missing or too many."""


class UnknownSchema(LocalError):
    """There is no table for a schema of this name."""
