"""CAN: the frame that all protocols on it share."""

from .frame import CanFrame

__all__ = ["CanFrame"]
