"""Captures of conversations: pcap, pcapng and CAN logs as timelines, why a session ended, and captures of our own."""

from .build import Recording
from .errors import CaptureError
from .explain import Explanation, explain
from .packets import Packet, Packets
from .pcap import read, write
from .timeline import Entry, Timeline, can_timeline_of, read_timeline, timeline_of

__all__ = [
    "CaptureError", "Entry", "Explanation", "Packet", "Packets", "Recording", "Timeline", "can_timeline_of", "explain",
    "read", "read_timeline", "timeline_of", "write",
]  # fmt: skip
