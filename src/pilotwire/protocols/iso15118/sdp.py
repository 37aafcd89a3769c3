"""SECC discovery (SDP): where on the link the station listens, and whether with TLS (ISO 15118-2 7.10.1, -20 7.10.1).

    request   9000   security | transport                                                      to FF02::1, port 15118
    response  9001   IPv6 address, 16 | TCP port, 2 | security | transport                     to the asker
    request   9002   security | transport | P2PS/PPD, 2 | coupling | EVID, 20 | EVSEID, 36      wireless (-20)
    response  9003   as 9001 | diagnosis | coupling | EVSEID, 36

Security is 00 for TLS and 10 for none, transport 00 for TCP. The wireless pair is what public implementations of
ISO 15118-20 send ([V2G20-2281], [V2G20-2284]); ids are ASCII, filled up with zeros from the left. Bytes behind the last
field are let pass, for one of those implementations sends some.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any, Final, Literal, NamedTuple

import msgspec

from pilotwire.core.errors import RemoteError
from pilotwire.core.machines import Send

from . import v2gtp
from .timers import SDP_MOST, SDP_RETRY
from .v2gtp import Frame

PORT: Final = 15118
GROUP: Final = "ff02::1"
TCP_PORTS: Final = (49_152, 65_535)
"""Where a station listens."""
TLS, NO_TLS = 0x00, 0x10
TCP: Final = 0x00

Diagnosis = Literal["ongoing", "found", "no-evse-id", "no-secc"]
_DIAGNOSES: Final[dict[int, Diagnosis]] = {0x00: "ongoing", 0x01: "found", 0x02: "no-evse-id", 0x10: "no-secc"}
_DIAGNOSIS_CODES: Final = {name: code for code, name in _DIAGNOSES.items()}

UNKNOWN_EVID: Final = "ZZ00000"
"""What a vehicle without an id says ([V2G20-2281])."""


class BadSdp(RemoteError):
    """The datagram is no message of discovery. It is not answered."""


class Wireless(NamedTuple):
    """What discovery over WLAN says beside the rest: which vehicle stands at which station."""

    p2ps: int = 0x0001
    """Point-to-point signalling, the sum of: 1 PPD on infrastructure, 2 PPD on the vehicle, 4 and 8 the same of a WPT
    LF system, 10 camera on the vehicle, 20 infrared, 40 directed WLAN."""
    coupling: int = 0x00
    """00 to 02 EN 50696 A.2 to A.4, 03 B, 04 C, 05 D, 06 IEC 61980, FF none."""
    evid: str = UNKNOWN_EVID
    evse_id: str = ""
    diagnosis: Diagnosis = "found"
    """Responses only."""


class Request(NamedTuple):
    """SECC Discovery Request."""

    tls: bool
    wireless: Wireless | None = None


class Response(NamedTuple):
    """SECC Discovery Response."""

    address: str
    port: int
    tls: bool
    wireless: Wireless | None = None


class Datagram(NamedTuple):
    """A datagram and whom it is from, or for; `peer` is the carrier's business."""

    data: bytes
    peer: Any = None


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def write_request(request: Request) -> bytes:
    """The datagram of a request."""
    head = bytes((TLS if request.tls else NO_TLS, TCP))
    if request.wireless is None:
        return v2gtp.write(Frame(v2gtp.SDP_REQUEST, head))
    air = request.wireless
    payload = head + air.p2ps.to_bytes(2, "big") + bytes((air.coupling,)) + _id(air.evid, 20) + _id(air.evse_id, 36)
    return v2gtp.write(Frame(v2gtp.SDP_REQUEST_WIRELESS, payload))


def write_response(response: Response) -> bytes:
    """The datagram of a response."""
    head = IPv6Address(response.address.partition("%")[0]).packed + response.port.to_bytes(2, "big")
    head += bytes((TLS if response.tls else NO_TLS, TCP))
    if response.wireless is None:
        return v2gtp.write(Frame(v2gtp.SDP_RESPONSE, head))
    air = response.wireless
    payload = head + bytes((_DIAGNOSIS_CODES[air.diagnosis], air.coupling)) + _id(air.evse_id, 36)
    return v2gtp.write(Frame(v2gtp.SDP_RESPONSE_WIRELESS, payload))


def read_request(data: bytes) -> Request:
    """Raises BadSdp."""
    frame = _frame(data, v2gtp.SDP_REQUEST, 2, v2gtp.SDP_REQUEST_WIRELESS, 61)
    payload = frame.payload
    tls = _security(payload[0], payload[1])
    if frame.type == v2gtp.SDP_REQUEST:
        return Request(tls)
    p2ps = int.from_bytes(payload[2:4], "big")
    return Request(tls, Wireless(p2ps, payload[4], _text(payload[5:25]), _text(payload[25:61])))


def read_response(data: bytes) -> Response:
    """Raises BadSdp."""
    frame = _frame(data, v2gtp.SDP_RESPONSE, 20, v2gtp.SDP_RESPONSE_WIRELESS, 58)
    payload = frame.payload
    tls = _security(payload[18], payload[19])
    address, port = IPv6Address(payload[:16]), int.from_bytes(payload[16:18], "big")
    wireless = None
    if frame.type == v2gtp.SDP_RESPONSE_WIRELESS:
        diagnosis = _DIAGNOSES.get(payload[20])
        if diagnosis is None:
            raise BadSdp(f"there is no diagnosis {payload[20]:02X}")
        wireless = Wireless(0, payload[21], "", _text(payload[22:58]), diagnosis)
    if wireless is None or wireless.diagnosis in ("found", "no-evse-id"):
        if not port:
            raise BadSdp("there is no TCP port 0")
        if address.is_multicast or address.is_unspecified:
            raise BadSdp(f"nobody listens at {address}")
    return Response(str(address), port, tls, wireless)


def _frame(data: bytes, wired: int, wired_length: int, wireless: int, wireless_length: int) -> Frame:
    try:
        frame = v2gtp.read(data)
    except v2gtp.BadHeader as error:
        raise BadSdp(str(error)) from None
    least = {wired: wired_length, wireless: wireless_length}.get(frame.type)
    if least is None:
        raise BadSdp(f"payload type {frame.type:04X} is not one of {wired:04X} and {wireless:04X}")
    if len(frame.payload) < least or (frame.type == wired and len(frame.payload) != least):
        raise BadSdp(f"a payload of {len(frame.payload)} bytes, not {least}")
    return frame


def _security(security: int, transport: int) -> bool:
    if security not in (TLS, NO_TLS):
        raise BadSdp(f"security {security:02X} is neither 00 nor 10")
    if transport != TCP:
        raise BadSdp(f"transport {transport:02X} is not TCP")
    return security == TLS


def _id(text: str, length: int) -> bytes:
    return text.encode("ascii", "replace")[:length].rjust(length, b"0")


def _text(data: bytes) -> str:
    """An id without what it was filled up with. One of zeros only is none."""
    if not data.isascii():
        raise BadSdp("an id holds ASCII only")
    return data.decode().lstrip("0\x00")


# ── machines ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Found(msgspec.Struct, frozen=True):
    """The station that answered first and fits."""

    address: str
    port: int
    tls: bool
    evse_id: str = ""
    """Wireless only."""


class NotFound(msgspec.Struct, frozen=True):
    """Nobody has answered as wanted."""

    reason: str


class SdpClient:
    """The vehicle asks until a station answers: 50 times, 250 ms apart ([V2G2-159], [V2G2-161]).

    Sends `Send(bytes)` for the group, takes `bytes`; events: `Found` or `NotFound`, once. `tls`: it wants security and
    takes nothing else ("required"), would rather have it ("preferred"), or has none ("none").
    """

    def __init__(
        self, tls: Literal["required", "preferred", "none"] = "preferred", wireless: Wireless | None = None
    ) -> None:
        self.tries = 0
        self.ignored = 0
        """Datagrams that were no answer."""
        self._tls = tls
        self._request = write_request(Request(tls != "none", wireless))
        self._wireless = wireless is not None
        self._due: int | None = None
        self._why = "nobody answered"

    @property
    def deadline(self) -> int | None:
        return self._due

    def start(self, now: int) -> Sequence[Any]:
        if self.tries:
            return ()
        return self._ask(now)

    def receive(self, data: bytes, now: int) -> Sequence[Any]:
        if self._due is None:
            return ()
        try:
            response = read_response(data)
        except BadSdp as error:
            self.ignored += 1
            self._why = f"what came was no answer: {error}"
            return ()
        air = response.wireless
        if (air is not None) != self._wireless:
            self.ignored += 1
            return ()
        if air is not None and air.diagnosis == "no-secc":
            self._why = "the vehicle stands at no station"
            return ()
        if air is not None and air.diagnosis == "ongoing":
            # It looks where the vehicle stands; the asking goes on as long as it does.
            self.tries = min(self.tries, 1)
            self._why = "the station has not found the vehicle"
            return ()
        if (self._tls == "required" and not response.tls) or (self._tls == "none" and response.tls):
            self._why = f"the station at {response.address} {'wants' if response.tls else 'has no'} TLS"
            return ()
        self._due = None
        return [Found(response.address, response.port, response.tls, air.evse_id if air is not None else "")]

    def elapse(self, now: int) -> Sequence[Any]:
        if self._due is None or now < self._due:
            return ()
        return self._ask(now)

    def lost(self, now: int) -> Sequence[Any]:
        return self._give_up("the link is gone") if self._due is not None else ()

    def _ask(self, now: int) -> Sequence[Any]:
        if self.tries == SDP_MOST:
            return self._give_up(f"{self._why}, asked {SDP_MOST} times")
        self.tries += 1
        self._due = now + SDP_RETRY.ms
        return [Send(self._request)]

    def _give_up(self, reason: str) -> Sequence[Any]:
        self._due = None
        return [NotFound(reason)]


class SdpServer:
    """The station answers every request with its address. Takes and sends `Datagram`; waits for nothing.

    `tcp` and `tls` are the ports it listens on without and with security, or None. A vehicle that asks for what there
    is not is told what there is, and stays away if it cannot do with that.
    """

    deadline: int | None = None

    def __init__(self, address: str, *, tcp: int | None, tls: int | None, evse_id: str = "") -> None:
        if tcp is None and tls is None:
            raise ValueError("a station listens with TLS, without, or both")
        self.answered = 0
        self.ignored = 0
        """Datagrams that were no request."""
        self.diagnosis: Diagnosis = "found"
        """For wireless requests: whether the station has found which vehicle stands where."""
        self._address = address
        self._tcp = tcp
        self._tls = tls
        self._evse_id = evse_id

    def receive(self, data: Datagram, now: int) -> Sequence[Any]:
        try:
            request = read_request(data.data)
        except BadSdp:
            self.ignored += 1
            return ()
        port, tls = (self._tls, True) if self._tcp is None or request.tls else (self._tcp, False)
        if port is None:
            port, tls = self._tcp, False
        assert port is not None
        air = request.wireless
        if air is not None:
            known = self._evse_id if self.diagnosis == "found" else ""
            air = Wireless(0, air.coupling, "", known, self.diagnosis)
        self.answered += 1
        return [Send(Datagram(write_response(Response(self._address, port, tls, air)), data.peer))]

    def elapse(self, now: int) -> Sequence[Any]:
        return ()

    def lost(self, now: int) -> Sequence[Any]:
        return ()
