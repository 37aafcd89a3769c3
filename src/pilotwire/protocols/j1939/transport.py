"""Messages of up to 1785 bytes on CAN (SAE J1939-21, 5.10): connections by RTS and CTS both ways, broadcasts heard.

    RTS → CTS(n, from) → n data packets → CTS … → end of message; CTS(0) holds back; abort ends it from either side.

At most one connection per peer and direction is open, as the standard has it; what is to be sent meanwhile waits, and
a newer message of its group takes its place. Packets that were lost are asked for again twice, then the connection is
aborted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.machines import Send
from pilotwire.protocols.can.frame import CanFrame

from . import effects as fx
from .effects import ABORT, BAM, CTS, END, MAX_SIZE, PACKET, RTS, TP_CM, TP_DT, Aborted, Counts, Delivered, Packet
from .ids import GLOBAL, build, parse
from .timers import T1, T2, T3, T4, TH, TR

ALL = 255
"""Grant every packet with the first CTS, as chargers in the field do."""
_RETRIES = 2
_WAITING = 16


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is taken on."""

    window: int = ALL
    """Packets that one CTS grants."""
    sessions: int = 8
    """Long messages that are received at once."""
    max_bytes: int = MAX_SIZE
    """The longest message that is received."""
    pace_ms: int = 2
    """Between two data packets of ours; below Tr."""


class _In(msgspec.Struct):
    pgn: int
    sa: int
    da: int
    priority: int
    size: int
    packets: int
    window: int
    data: bytearray
    due: int | None
    missing: int = 0
    """The lowest packet that has not come, from 0."""
    last: int = 0
    """Packets below this one have been granted."""
    got: int = 0
    """A bit per packet."""
    retries: int = 0


class _Out(msgspec.Struct):
    pgn: int
    da: int
    priority: int
    data: bytes
    packets: int
    due: int
    next: int = 0
    last: int = 0
    """Packets below this one are granted."""
    highest: int = 0
    retries: int = 0

    @property
    def sending(self) -> bool:
        return self.next < self.last


class Transport:
    """One address on a bus. Not a `Machine` of its own: the machine above hands it frames and time."""

    def __init__(self, address: int, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        if not 0 < limits.window <= ALL or limits.pace_ms >= TR.ms:
            raise ValueError(f"a window has 1 to 255 packets, {TR.ms} ms at most lie between two of them")
        self.address = address
        self.limits = limits
        self.counts = Counts()
        self._in: dict[tuple[int, int], _In] = {}
        self._out: dict[int, _Out] = {}
        self._waiting: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._held = False

    @property
    def deadline(self) -> int | None:
        dues = [each.due for each in self._in.values() if each.due is not None]
        dues += [each.due for each in self._out.values()]
        return min(dues, default=None)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, pgn: int, da: int, data: bytes, priority: int, now: int) -> list[Any]:
        """`data` as one frame, or over a connection. Raises ValueError beyond 1785 bytes, or for a long broadcast."""
        if len(data) <= 8:
            return [Send(CanFrame(build(priority, pgn, da, self.address), data, True))]
        if len(data) > MAX_SIZE or da == GLOBAL:
            raise ValueError(f"{len(data)} bytes for {da:02X} are no message of the transport protocol")
        if da in self._out:
            if (da, pgn) in self._waiting or len(self._waiting) >= _WAITING:
                self.counts.shed += 1
            if (da, pgn) in self._waiting or len(self._waiting) < _WAITING:
                self._waiting[da, pgn] = priority, data
            return []
        packets = -(-len(data) // PACKET)
        self._out[da] = _Out(pgn, da, priority, data, packets, now + T3.ms)
        size = len(data).to_bytes(2, "little")
        return [self._control(da, pgn, bytes((RTS, *size, packets, ALL)))]

    def drop(self) -> None:
        """Forget all connections, without a word: the conversation is over, or begins anew."""
        self._in.clear()
        self._out.clear()
        self._waiting.clear()

    def hold(self, held: bool, now: int) -> list[Any]:
        """We cannot take long messages just now, or can again."""
        self._held = held
        effects: list[Any] = []
        for session in self._in.values():
            if session.da != GLOBAL and session.missing == session.last:
                effects += self._grant(session, now)
        return effects

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────────────────
    def receive(self, frame: CanFrame, now: int) -> list[Any]:
        """Frames for others, and standard ones, are left alone."""
        if not frame.extended:
            return []
        identifier = parse(frame.id)
        if identifier.da not in (self.address, GLOBAL) or identifier.sa == self.address:
            return []
        if identifier.pgn == TP_CM:
            return self._connection(identifier.sa, identifier.da, frame.data, now)
        if identifier.pgn == TP_DT:
            return self._data(identifier.sa, identifier.da, frame.data, now)
        return [
            Packet(
                pgn=identifier.pgn,
                sa=identifier.sa,
                da=identifier.da,
                priority=identifier.priority,
                data=frame.data,
            )
        ]

    def _connection(self, sa: int, da: int, data: bytes, now: int) -> list[Any]:
        if len(data) != 8:
            self.counts.malformed += 1
            return []
        pgn = int.from_bytes(data[5:8], "little")
        match data[0], da == GLOBAL:
            case (16, False) | (32, True):
                return self._opened(sa, da, pgn, data, now)
            case (17, False):
                return self._granted(sa, pgn, data, now)
            case (19, False):
                return self._ended(sa, pgn, data, now)
            case (255, False):
                return self._abort_came(sa, pgn, data[1], now)
            case _:
                self.counts.malformed += 1
                return []

    def _opened(self, sa: int, da: int, pgn: int, data: bytes, now: int) -> list[Any]:
        """RTS or BAM."""
        size, packets, window = int.from_bytes(data[1:3], "little"), data[3], data[4]
        broadcast = data[0] == BAM
        # More packets than the size needs are sent by some vehicles (41 bytes in 7): taken, and cut to the size.
        if not 9 <= size <= MAX_SIZE or packets < -(-size // PACKET):
            self.counts.malformed += 1
            return [] if broadcast else [self._abort(sa, pgn, fx.SIZE)]
        open_ = self._in.get((sa, da))
        if open_ is not None and open_.pgn != pgn and not broadcast:
            return [self._abort(sa, pgn, fx.BUSY)]  # the one that is open goes on
        if (open_ is None and len(self._in) >= self.limits.sessions) or size > self.limits.max_bytes:
            self.counts.shed += 1
            return [] if broadcast else [self._abort(sa, pgn, fx.RESOURCES)]
        if open_ is not None:
            self.counts.aborted += 1  # the sender has begun anew
        window = packets if broadcast else min(self.limits.window, window or ALL)
        session = _In(pgn, sa, da, 7, size, packets, window, bytearray(packets * PACKET), now + T1.ms)
        self._in[sa, da] = session
        if broadcast:
            session.last = packets
            return []
        return self._grant(session, now)

    def _grant(self, session: _In, now: int) -> list[Any]:
        """CTS for what is missing next, or for nothing when we are held."""
        if self._held:
            session.due = now + TH.ms
            session.last = session.missing
            return [self._control(session.sa, session.pgn, bytes((CTS, 0, 0xFF, 0xFF, 0xFF)))]
        count = min(session.window, session.packets - session.missing)
        session.last = session.missing + count
        session.due = now + T2.ms
        return [self._control(session.sa, session.pgn, bytes((CTS, count, session.missing + 1, 0xFF, 0xFF)))]

    def _data(self, sa: int, da: int, data: bytes, now: int) -> list[Any]:
        session = self._in.get((sa, da))
        if session is None or len(data) != 8:
            self.counts.malformed += 1
            return []
        index = data[0] - 1
        if session.got >> index & 1 if index >= 0 else False:
            self.counts.repeated += 1
            return []
        if not session.missing <= index < session.last:
            self.counts.malformed += 1
            if da == GLOBAL:
                del self._in[sa, da]
                self.counts.aborted += 1
                return []
            return self._give_up(session, fx.BAD_SEQUENCE)
        if da == GLOBAL and index != session.missing:  # nobody can be asked for it again
            del self._in[sa, da]
            self.counts.aborted += 1
            return [Aborted(pgn=session.pgn, peer=sa, role="receiver", reason=fx.BAD_SEQUENCE, by="us")]
        session.data[index * PACKET : index * PACKET + PACKET] = data[1:]
        session.got |= 1 << index
        while session.got >> session.missing & 1:
            session.missing += 1
        session.due = now + T1.ms
        if session.missing == session.packets:
            return self._complete(session)
        if index != session.last - 1:
            return []
        if session.missing < session.last:  # the last one granted has come, others have not
            session.retries += 1
            if session.retries > _RETRIES:
                return self._give_up(session, fx.RETRANSMISSIONS)
            self.counts.asked_again += 1
            return self._again(session, now)
        return self._grant(session, now)

    def _again(self, session: _In, now: int) -> list[Any]:
        """CTS for the first gap alone: what has come is not sent twice."""
        end = session.missing
        while end < session.last and not session.got >> end & 1:
            end += 1
        session.last = end
        session.due = now + T2.ms
        count = end - session.missing
        return [self._control(session.sa, session.pgn, bytes((CTS, count, session.missing + 1, 0xFF, 0xFF)))]

    def _complete(self, session: _In) -> list[Any]:
        del self._in[session.sa, session.da]
        self.counts.received += 1
        effects: list[Any] = []
        if session.da != GLOBAL:
            size = session.size.to_bytes(2, "little")
            effects.append(self._control(session.sa, session.pgn, bytes((END, *size, session.packets, 0xFF))))
        data = bytes(session.data[: session.size])
        packet = Packet(
            pgn=session.pgn,
            sa=session.sa,
            da=session.da,
            priority=session.priority,
            data=data,
            frames=session.packets,
        )
        return [*effects, packet]

    # ── answers to what we send ──────────────────────────────────────────────────────────────────────────────────────
    def _granted(self, sa: int, pgn: int, data: bytes, now: int) -> list[Any]:
        session = self._out.get(sa)
        if session is None or session.pgn != pgn:
            self.counts.malformed += 1
            return []
        if session.sending:
            return self._fail(session, fx.CTS_DURING_DATA, now)
        count, first = data[1], data[2] - 1
        if count == 0:
            session.due = now + T4.ms
            return []
        if not 0 <= first < session.packets or first > session.highest:
            self.counts.malformed += 1
            return self._fail(session, fx.BAD_SEQUENCE, now)
        if first < session.highest:
            session.retries += 1
            if session.retries > _RETRIES:
                return self._fail(session, fx.RETRANSMISSIONS, now)
        session.next, session.last = first, min(session.packets, first + count)
        return self._pump(session, now)

    def _pump(self, session: _Out, now: int) -> list[Any]:
        """The next data packet, or all that are due when there is no pace."""
        effects: list[Any] = []
        while session.sending:
            piece = session.data[session.next * PACKET : session.next * PACKET + PACKET]
            session.next += 1
            payload = bytes((session.next,)) + piece.ljust(PACKET, b"\xff")
            effects.append(Send(CanFrame(build(7, TP_DT, session.da, self.address), payload, True)))
            if self.limits.pace_ms and session.sending:
                session.due = now + self.limits.pace_ms
                break
        session.highest = max(session.highest, session.next)
        if not session.sending:
            session.due = now + T3.ms
        return effects

    def _ended(self, sa: int, pgn: int, data: bytes, now: int) -> list[Any]:
        session = self._out.get(sa)
        size = int.from_bytes(data[1:3], "little")
        if session is None or session.pgn != pgn:
            self.counts.malformed += 1
            return []
        if session.highest < session.packets or session.sending or size != len(session.data):
            self.counts.malformed += 1
            return self._fail(session, fx.OTHER, now)
        del self._out[sa]
        self.counts.delivered += 1
        return [Delivered(pgn=pgn, da=sa), *self._next(sa, now)]

    def _abort_came(self, sa: int, pgn: int, reason: int, now: int) -> list[Any]:
        effects: list[Any] = []
        incoming, outgoing = self._in.get((sa, self.address)), self._out.get(sa)
        if incoming is not None and incoming.pgn == pgn:
            del self._in[sa, self.address]
            self.counts.aborted += 1
            effects.append(Aborted(pgn=pgn, peer=sa, role="receiver", reason=reason, by="peer"))
        if outgoing is not None and outgoing.pgn == pgn:
            del self._out[sa]
            self.counts.aborted += 1
            effects += [Aborted(pgn=pgn, peer=sa, role="sender", reason=reason, by="peer"), *self._next(sa, now)]
        if not effects:
            self.counts.malformed += 1
        return effects

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def elapse(self, now: int) -> list[Any]:
        effects: list[Any] = []
        for session in [each for each in self._in.values() if each.due is not None and each.due <= now]:
            if self._held and session.da != GLOBAL and session.missing == session.last:
                effects += self._grant(session, now)
            else:
                effects += self._give_up(session, fx.TIMEOUT)
        for session in [each for each in self._out.values() if each.due <= now]:
            effects += self._pump(session, now) if session.sending else self._fail(session, fx.TIMEOUT, now)
        return effects

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _give_up(self, session: _In, reason: int) -> list[Any]:
        del self._in[session.sa, session.da]
        self.counts.aborted += 1
        aborted = Aborted(pgn=session.pgn, peer=session.sa, role="receiver", reason=reason, by="us")
        return [aborted] if session.da == GLOBAL else [self._abort(session.sa, session.pgn, reason), aborted]

    def _fail(self, session: _Out, reason: int, now: int) -> list[Any]:
        del self._out[session.da]
        self.counts.aborted += 1
        return [
            self._abort(session.da, session.pgn, reason),
            Aborted(pgn=session.pgn, peer=session.da, role="sender", reason=reason, by="us"),
            *self._next(session.da, now),
        ]

    def _next(self, da: int, now: int) -> list[Any]:
        """Whatever waits for this peer."""
        for to, pgn in self._waiting:
            if to == da:
                priority, data = self._waiting.pop((to, pgn))
                return self.send(pgn, da, data, priority, now)
        return []

    def _abort(self, da: int, pgn: int, reason: int) -> Send:
        return self._control(da, pgn, bytes((ABORT, reason, 0xFF, 0xFF, 0xFF)))

    def _control(self, da: int, pgn: int, head: bytes) -> Send:
        return Send(CanFrame(build(7, TP_CM, da, self.address), head + pgn.to_bytes(3, "little"), True))
