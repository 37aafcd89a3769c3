"""CAN: the frame that all protocols on it share, and tables of messages on it."""

from .frame import CanFrame
from .signals import Message, Signal, SignalError, Table, bcd, choice, flag, message, number, octets, text

__all__ = [
    "CanFrame", "Message", "Signal", "SignalError", "Table", "bcd", "choice", "flag", "message", "number", "octets",
    "text",
]  # fmt: skip
