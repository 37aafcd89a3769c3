"""A capture as a timeline: what was said when and by whom, the values that matter, and pauses that were too long.

timeline = read_timeline(data)                    # the bytes of a pcap or pcapng file
for entry in timeline.entries: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from pilotwire.core.evse_link import Side
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.iso15118 import sdp, v2gtp

from . import can_timeline, pcap
from .build import from_socketcan
from .ether import Datagram, Mme, Segment, is_can, unpack
from .limits import SEQUENCE_MS, answer_ms
from .packets import Packet
from .tcp import Reassembler
from .v2g import V2gEvent, V2gMessage, V2gReader
from .values import values_of

Carrier = Literal["v2g", "sdp", "slac", "tcp", "chademo", "gbt27930", "can"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline."""

    index: int
    """Number of the message, from 1; what `explain` means by a message."""
    at_us: int
    carrier: Carrier
    side: Side | None
    """Who sent it."""
    name: str
    values: Mapping[str, str] = {}
    body: Mapping[str, Any] = {}
    """As it was decoded."""
    schema: str = ""
    session: str = ""
    flow: int = -1
    packet: int = 0
    error: str = ""
    pause_ms: int | None = None
    """So long after the message before it, where that is more than it may be."""
    source: str = ""
    """The sender's address on the carrier: a MAC of SLAC."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """A whole capture."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    end_us: int = 0
    """When the last packet of the capture was seen, of whatever kind."""


def read_timeline(data: bytes, *, schema: str = "", gap_ms: int = 0) -> Timeline:
    """The timeline of a pcap or pcapng file. `gap_ms`: mark pauses longer than this; 0: those that a timer forbids.

    Raises CaptureError.
    """
    packets, notes = pcap.read(data)
    return timeline_of(packets, notes=notes, schema=schema, gap_ms=gap_ms)


def timeline_of(packets: Iterable[Packet], *, notes: Iterable[str] = (), schema: str = "", gap_ms: int = 0) -> Timeline:
    """The timeline of packets."""
    maker = _Maker(schema)
    said = list(notes)
    for number, packet in enumerate(packets, 1):
        maker.add(packet, number)
    entries = maker.finished(gap_ms)
    if maker.v2g.left():
        said.append(f"{maker.v2g.left()} bytes of messages that never became whole")
    if maker.tcp.dropped:
        said.append(f"{maker.tcp.dropped} segments of connections beyond what is followed")
    return Timeline(entries=tuple(entries), notes=tuple(said), end_us=maker.end_us)


def can_timeline_of(frames: Iterable[tuple[int, CanFrame]], protocol: str = "", *, gap_ms: int = 0) -> Timeline:
    """The timeline of CAN frames (µs, frame). `protocol`: chademo or gbt27930; empty: whichever fits."""
    reader = can_timeline.CanReader(protocol)
    maker = _Maker("")
    for number, (at_us, frame) in enumerate(frames, 1):
        maker.end_us = max(maker.end_us, at_us)
        for found in reader.feed(at_us, frame):
            maker.append(found, number)
    return Timeline(entries=tuple(maker.finished(gap_ms)), end_us=maker.end_us)


class _Maker:
    def __init__(self, schema: str) -> None:
        self.tcp = Reassembler()
        self.v2g = V2gReader(schema)
        self.can = can_timeline.CanReader("")
        self.end_us = 0
        self._entries: list[Entry] = []

    def add(self, packet: Packet, number: int) -> None:
        self.end_us = max(self.end_us, packet.at_us)
        if is_can(packet):
            frame = from_socketcan(packet.data)
            if frame is not None:
                for found in self.can.feed(packet.at_us, frame):
                    self.append(found, number)
            return
        inside = unpack(packet)
        if isinstance(inside, Segment):
            for chunk in self.tcp.feed(inside, packet.at_us, number):
                for found in self.v2g.feed(chunk):
                    self._v2g(found)
        elif isinstance(inside, Datagram):
            self._sdp(inside, packet.at_us, number)
        elif isinstance(inside, Mme):
            self._slac(inside, packet.at_us, number)

    def append(self, found: can_timeline.CanSaid, number: int) -> None:
        self._entries.append(
            Entry(
                index=0, at_us=found.at_us, carrier=found.protocol, side=found.side, name=found.name,
                values=found.words, body=found.values, packet=number, error=found.error,
            )
        )  # fmt: skip

    def _v2g(self, found: V2gMessage | V2gEvent) -> None:
        if isinstance(found, V2gMessage):
            self._entries.append(
                Entry(
                    index=0, at_us=found.at_us, carrier="v2g", side=found.side, name=found.name or "unreadable",
                    values=values_of(found.body), body=found.body, schema=found.schema, session=found.session,
                    flow=found.flow, packet=found.packet, error=found.error,
                )
            )  # fmt: skip
        else:
            self._entries.append(
                Entry(
                    index=0, at_us=found.at_us, carrier="tcp", side=found.side, name=found.what, flow=found.flow,
                    packet=found.packet, error=found.text if found.what == "garbage" else "",
                    values={"note": found.text} if found.text and found.what != "garbage" else {},
                )
            )  # fmt: skip

    def _sdp(self, datagram: Datagram, at_us: int, number: int) -> None:
        if sdp.PORT not in (datagram.source.port, datagram.target.port):
            return
        asked = datagram.target.port == sdp.PORT
        name, error, values = ("SDPRequest" if asked else "SDPResponse"), "", {}
        try:
            frame = v2gtp.read(datagram.data)
            if frame.type in (v2gtp.SDP_REQUEST, v2gtp.SDP_REQUEST_WIRELESS):
                request = sdp.read_request(datagram.data)
                values = {"security": "TLS" if request.tls else "none"}
            else:
                answer = sdp.read_response(datagram.data)
                security = "TLS" if answer.tls else "none"
                values = {"security": security, "address": answer.address, "port": str(answer.port)}
        except (v2gtp.BadHeader, sdp.BadSdp) as fault:
            error = str(fault)
        self._entries.append(
            Entry(index=0, at_us=at_us, carrier="sdp", side="ev" if asked else "evse", name=name, values=values,
                  packet=number, error=error, source=datagram.source.host)
        )  # fmt: skip

    def _slac(self, mme: Mme, at_us: int, number: int) -> None:
        from pilotwire.protocols.slac import mme as slac

        name, error, values, body = "MME", "", {}, dict[str, Any]()
        try:
            message = slac.decode(mme.data).message
            name = type(message).__name__
            body = {field: getattr(message, field) for field in type(message).__struct_fields__}
            values = values_of({key: value for key, value in body.items() if not isinstance(value, tuple)})
        except slac.BadMme as fault:
            error = str(fault)
        self._entries.append(
            Entry(index=0, at_us=at_us, carrier="slac", side=_SLAC_SIDES.get(name), name=name, values=values, body=body,
                  packet=number, error=error, source=mme.data[6:12].hex(":").upper())
        )  # fmt: skip

    def finished(self, gap_ms: int) -> list[Entry]:
        """Numbered, in order of time, pauses marked."""
        entries: list[Entry] = []
        before: dict[tuple[str, int], Entry] = {}
        for entry in sorted(self._entries, key=lambda each: (each.at_us, each.packet)):
            last = before.get((entry.carrier, entry.flow))
            pause = 0 if last is None else (entry.at_us - last.at_us) // 1000
            most = gap_ms or _most_pause(last, entry)
            marked = pause if last is not None and most and pause > most else None
            entry = msgspec.structs.replace(entry, index=len(entries) + 1, pause_ms=marked)
            entries.append(entry)
            before[entry.carrier, entry.flow] = entry
        return entries


_SLAC_SIDES: dict[str, Side] = {
    "SlacParmReq": "ev", "SlacParmCnf": "evse", "StartAttenCharInd": "ev", "MnbcSoundInd": "ev",
    "AttenCharInd": "evse", "AttenCharRsp": "ev", "SlacMatchReq": "ev", "SlacMatchCnf": "evse",
    "ValidateReq": "ev", "ValidateCnf": "evse",
}  # fmt: skip
"""Who sends what in SLAC."""


def _most_pause(last: Entry | None, entry: Entry) -> int:
    """Milliseconds that may lie between two messages of one connection, as the standards' timers have it."""
    if last is None or entry.carrier != "v2g" or last.carrier != "v2g":
        return 0
    if last.side == "ev":
        return answer_ms(last.name, last.schema)
    return SEQUENCE_MS
