"""TCP streams out of segments: in order, each byte once, however they were sent, repeated and shuffled."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from .ether import ACK, FIN, RST, SYN, Address, Segment

MOST_HELD: Final = 1_048_576
"""Bytes that wait for a gap to be filled, of one direction; then the gap is given up."""
MOST_FLOWS: Final = 4_096
_HALF: Final = 1 << 31
_WRAP: Final = 1 << 32


What = Literal["data", "syn", "fin", "rst", "gap"]


class Chunk(NamedTuple):
    """Bytes of one direction of a connection, in order; or how it ended."""

    flow: int
    """Number of the connection in the capture, from 0."""
    source: Address
    target: Address
    at_us: int
    packet: int
    """Number of the packet in the capture, from 1."""
    data: bytes
    what: What = "data"


class _Direction:
    __slots__ = ("ended", "held", "held_bytes", "next")

    def __init__(self) -> None:
        self.next: int | None = None
        self.held: dict[int, bytes] = {}
        self.held_bytes = 0
        self.ended = False


class _Flow:
    __slots__ = ("directions", "number", "opened")

    def __init__(self, number: int) -> None:
        self.number = number
        self.opened: int | None = None
        """The sequence number of the SYN that began it; another one begins another connection."""
        self.directions: dict[Address, _Direction] = {}


class Reassembler:
    """Follows every connection of a capture."""

    def __init__(self) -> None:
        self._flows: dict[tuple[Address, Address], _Flow] = {}
        self._count = 0
        self.dropped = 0
        """Segments of connections beyond what is followed."""

    def feed(self, segment: Segment, at_us: int, packet: int) -> list[Chunk]:
        """What is in order now."""
        flow = self._flow_of(segment)
        if flow is None:
            self.dropped += 1
            return []
        direction = flow.directions.setdefault(segment.source, _Direction())
        chunks: list[Chunk] = []

        def chunk(data: bytes, what: What = "data") -> None:
            chunks.append(Chunk(flow.number, segment.source, segment.target, at_us, packet, data, what))

        sequence = segment.sequence
        if segment.flags & SYN:
            sequence = (sequence + 1) % _WRAP
            if direction.next is None:
                chunk(b"", "syn")
        if direction.next is None:
            direction.next = sequence  # perhaps the capture began later than the connection
        if segment.data:
            if not self._hold(direction, sequence, segment.data):
                chunk(b"", "gap")
                start = direction.next
                direction.next = min(direction.held, key=lambda held: (held - start) % _WRAP)
            for data in self._ready(direction):
                chunk(data)
        if segment.flags & RST and not direction.ended:
            direction.ended = True
            chunk(b"", "rst")
        elif segment.flags & FIN and not direction.ended:
            direction.ended = True
            chunk(b"", "fin")
        return chunks

    def _flow_of(self, segment: Segment) -> _Flow | None:
        key = (min(segment.source, segment.target), max(segment.source, segment.target))
        flow = self._flows.get(key)
        opening = segment.flags & (SYN | ACK) == SYN
        if flow is None or (opening and flow.opened != segment.sequence):
            if flow is None and len(self._flows) >= MOST_FLOWS:
                return None
            flow = self._flows[key] = _Flow(self._count)
            self._count += 1
            flow.opened = segment.sequence if opening else None
        return flow

    @staticmethod
    def _hold(direction: _Direction, sequence: int, data: bytes) -> bool:
        """Keeps a piece; False: too much is kept, the gap is to be given up."""
        old = direction.held.get(sequence, b"")
        if len(data) > len(old):
            direction.held[sequence] = data
            direction.held_bytes += len(data) - len(old)
        return direction.held_bytes <= MOST_HELD

    @staticmethod
    def _ready(direction: _Direction) -> list[bytes]:
        out: list[bytes] = []
        assert direction.next is not None
        progress = True
        while progress:
            progress = False
            for sequence in sorted(direction.held, key=lambda held: (held - (direction.next or 0) + _HALF) % _WRAP):
                behind = (direction.next - sequence) % _WRAP
                if behind >= _HALF:
                    break  # a gap before it
                data = direction.held.pop(sequence)
                direction.held_bytes -= len(data)
                if len(data) > behind:
                    out.append(data[behind:])
                    direction.next = (direction.next + len(data) - behind) % _WRAP
                progress = True
        return out
