"""Reads along: puts long messages together that others send one another, and says nothing."""

from __future__ import annotations

from pilotwire.protocols.can.frame import CanFrame

from .effects import ABORT, BAM, MAX_SIZE, PACKET, RTS, TP_CM, TP_DT, Aborted, Packet
from .ids import parse

_OPEN = 64


class _Seen:
    __slots__ = ("data", "got", "packets", "pgn", "size")

    def __init__(self, pgn: int, size: int, packets: int) -> None:
        self.pgn, self.size, self.packets = pgn, size, packets
        self.data = bytearray(packets * PACKET)
        self.got = 0


class Monitor:
    """Frames in the order in which they were on the bus → messages, and aborts."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], _Seen] = {}

    def receive(self, frame: CanFrame) -> Packet | Aborted | None:
        """A message that is whole with this frame, or a connection that is aborted by it; None: nothing to tell.

        Of an abort `by` is "peer" when the receiver sent it, and `peer` is the sender of the message.
        """
        if not frame.extended:
            return None
        priority, pgn, da, sa = parse(frame.id)
        if pgn == TP_CM and len(frame.data) == 8:
            return self._control(sa, da, frame.data)
        if pgn == TP_DT and len(frame.data) == 8:
            return self._data(sa, da, priority, frame.data)
        if pgn in (TP_CM, TP_DT):
            return None
        return Packet(pgn=pgn, sa=sa, da=da, priority=priority, data=frame.data)

    def _control(self, sa: int, da: int, data: bytes) -> Aborted | None:
        pgn = int.from_bytes(data[5:8], "little")
        if data[0] in (RTS, BAM):
            size, packets = int.from_bytes(data[1:3], "little"), data[3]
            if 9 <= size <= MAX_SIZE and packets >= -(-size // PACKET):
                if len(self._open) >= _OPEN:
                    del self._open[next(iter(self._open))]
                self._open[sa, da] = _Seen(pgn, size, packets)
        elif data[0] == ABORT:
            for key, by in (((sa, da), "us"), ((da, sa), "peer")):
                seen = self._open.get(key)
                if seen is not None and seen.pgn == pgn:
                    del self._open[key]
                    return Aborted(
                        pgn=pgn, peer=key[0], role="sender", reason=data[1], by="us" if by == "us" else "peer"
                    )
        return None

    def _data(self, sa: int, da: int, priority: int, data: bytes) -> Packet | None:
        seen, index = self._open.get((sa, da)), data[0] - 1
        if seen is None or not 0 <= index < seen.packets:
            return None
        seen.data[index * PACKET : index * PACKET + PACKET] = data[1:]
        seen.got |= 1 << index
        if seen.got != (1 << seen.packets) - 1:
            return None
        del self._open[sa, da]
        return Packet(
            pgn=seen.pgn, sa=sa, da=da, priority=priority, data=bytes(seen.data[: seen.size]), frames=seen.packets
        )
