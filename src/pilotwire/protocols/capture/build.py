"""Captures of our own conversations: V2GTP messages as packets that any capture program opens.

recording = Recording()
recording.add(at_us, "ev", frame_bytes)
Path("session.pcapng").write_bytes(recording.file())
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final, Literal

from pilotwire.core.evse_link import Side
from pilotwire.protocols.can import CanFrame

from .ether import ACK, FIN, RST, SYN
from .packets import CAN_SOCKETCAN, ETHERNET, Packet
from .pcap import write

_PIECE: Final = 1_400
EV_HOST: Final = "fe80::1"
EVSE_HOST: Final = "fe80::2"
_MACS: Final = {"ev": bytes.fromhex("020000000001"), "evse": bytes.fromhex("020000000002")}
_HOSTS: Final = {"ev": EV_HOST, "evse": EVSE_HOST}
_ALL: Final = "ff02::1"


class Recording:
    """Puts packets together. Addresses and ports are made up; what is inside is as it was."""

    def __init__(self, *, ev_port: int = 50_000, evse_port: int = 64_109) -> None:
        self.packets: list[Packet] = []
        self._ports = {"ev": ev_port, "evse": evse_port}
        self._next = {"ev": 1_000, "evse": 5_000}
        self._open = False

    def add(self, at_us: int, side: Side, data: bytes) -> None:
        """Bytes of the TCP stream; the first ones open the connection."""
        if not self._open:
            self._open = True
            self._segment(at_us, "ev", b"", SYN)
            self._segment(at_us, "evse", b"", SYN | ACK)
        for start in range(0, len(data), _PIECE):
            self._segment(at_us, side, data[start : start + _PIECE], ACK)

    def end(self, at_us: int, side: Side, how: Literal["fin", "rst"] = "fin") -> None:
        """One side closes."""
        self._segment(at_us, side, b"", FIN | ACK if how == "fin" else RST)

    def datagram(self, at_us: int, side: Side, data: bytes, *, port: int = 15118) -> None:
        """A UDP datagram of discovery: the vehicle's to all, the station's to the vehicle."""
        ports = (49_200, port) if side == "ev" else (port, 49_200)
        udp = b"".join(each.to_bytes(2, "big") for each in (*ports, 8 + len(data), 0)) + data
        self._packet(at_us, side, 17, udp, _ALL if side == "ev" else None)

    def ethernet(self, at_us: int, frame: bytes) -> None:
        """A whole Ethernet frame, as SLAC sends them."""
        self.packets.append(Packet(at_us, ETHERNET, frame))

    def can(self, at_us: int, frame: CanFrame) -> None:
        """A CAN frame, as SocketCAN captures it."""
        self.packets.append(Packet(at_us, CAN_SOCKETCAN, socketcan(frame)))

    def file(self, comment: str = "") -> bytes:
        """All as pcapng."""
        return write(self.packets, comment=comment)

    def _segment(self, at_us: int, side: Side, data: bytes, flags: int) -> None:
        other: Side = "evse" if side == "ev" else "ev"
        acknowledged = self._next[other] if flags & ACK else 0
        tcp = (
            self._ports[side].to_bytes(2, "big")
            + self._ports[other].to_bytes(2, "big")
            + self._next[side].to_bytes(4, "big")
            + acknowledged.to_bytes(4, "big")
            + bytes((0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0))
            + data
        )
        self._next[side] = (self._next[side] + len(data) + bool(flags & (SYN | FIN))) % (1 << 32)
        self._packet(at_us, side, 6, tcp)

    def _packet(self, at_us: int, side: Side, kind: int, payload: bytes, target: str | None = None) -> None:
        other = "evse" if side == "ev" else "ev"
        source, to = IPv6Address(_HOSTS[side]).packed, IPv6Address(target or _HOSTS[other]).packed
        checked = _with_checksum(source, to, kind, payload)
        ip = b"\x60\0\0\0" + len(checked).to_bytes(2, "big") + bytes((kind, 255)) + source + to
        mac = _MACS[other] if target is None else bytes.fromhex("333300000001")
        self.packets.append(Packet(at_us, ETHERNET, mac + _MACS[side] + b"\x86\xdd" + ip + checked))


def socketcan(frame: CanFrame) -> bytes:
    """A frame as LINKTYPE_CAN_SOCKETCAN has it: identifier with flags, big-endian, length, data."""
    word = frame.id | (0x8000_0000 if frame.extended else 0)
    return word.to_bytes(4, "big") + bytes((len(frame.data), 0, 0, 0)) + frame.data


def from_socketcan(data: bytes) -> CanFrame | None:
    """The other way; None: an error or remote frame, or not whole."""
    if len(data) < 8 or data[4] > 8 or len(data) < 8 + data[4]:
        return None
    word = int.from_bytes(data[:4], "big")
    if word & 0x6000_0000:
        return None
    extended = bool(word & 0x8000_0000)
    return CanFrame(word & (0x1FFF_FFFF if extended else 0x7FF), data[8 : 8 + data[4]], extended)


def _with_checksum(source: bytes, target: bytes, kind: int, payload: bytes) -> bytes:
    """The payload with its checksum (RFC 8200 8.1): capture programs complain of wrong ones."""
    pseudo = source + target + len(payload).to_bytes(4, "big") + bytes((0, 0, 0, kind))
    data = pseudo + payload + bytes(len(payload) % 2)
    total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    place = 6 if kind == 17 else 16
    checksum = (~total & 0xFFFF) or 0xFFFF
    return payload[:place] + checksum.to_bytes(2, "big") + payload[place + 2 :]
