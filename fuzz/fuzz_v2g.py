"""Fuzzes what comes from a V2G link before any dialect reads it: V2GTP, discovery, supportedAppProtocol, TLS hellos.

    python fuzz/fuzz_v2g.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks the way, the second how a stream is cut, the rest is what comes. A frame, an answer or the error of
that way comes out, and nothing else; however a stream is cut, it says the same.
"""

from __future__ import annotations

from collections.abc import Callable

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.machines import Close, Send
    from pilotwire.protocols.iso15118 import sap, sdp, v2gtp
    from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
    from pilotwire.protocols.iso15118.evcc import Evcc
    from pilotwire.protocols.iso15118.secc import Secc
    from pilotwire.transport.v2g import hello


def stream(cut: int, raw: bytes) -> None:
    """However it is cut, the frames are the same, and what is written is what was read."""

    def read(size: int) -> tuple[list[v2gtp.Frame], bool]:
        reader, frames = v2gtp.FrameReader(), []
        try:
            for at in range(0, len(raw), size):
                frames += reader.feed(raw[at : at + size])
        except v2gtp.BadHeader:
            return frames, False
        assert reader.waiting < v2gtp.HEADER + v2gtp.MOST
        return frames, True

    pieces, good = read(1 + cut % 16)
    if good:
        whole, still = read(max(1, len(raw)))
        assert still and whole == pieces
        assert raw.startswith(b"".join(map(v2gtp.write, whole)))


def discovery(cut: int, raw: bytes) -> None:
    """Both ends take every datagram."""
    for framed in (raw, v2gtp.write(v2gtp.Frame(0x9000 + cut % 4, raw))):
        for read, write in ((sdp.read_request, sdp.write_request), (sdp.read_response, sdp.write_response)):
            try:
                message = read(framed)
            except sdp.BadSdp:
                continue
            assert read(write(message)) == message
        sdp.SdpServer("fe80::1", tcp=50_000, tls=None).receive(sdp.Datagram(framed), 0)
        client = sdp.SdpClient(wireless=sdp.Wireless() if cut & 4 else None)
        client.start(0)
        assert len(client.receive(framed, 1)) + (client.deadline is not None) >= 1


def negotiation(cut: int, raw: bytes) -> None:
    """The station answers every payload once; the vehicle goes on or closes."""
    payload = b"\x80" + raw if cut & 1 else raw
    known = ("din", "iso2", "iso20-dc")
    station = Secc(SeccConfig(dialects=known), random=bytes, tls=True)
    effects = list(station.receive(v2gtp.Frame(v2gtp.SAP, payload), 0))
    answer = sap.read(next(one.data.payload for one in effects if type(one) is Send))["supportedAppProtocolRes"]
    assert (answer["ResponseCode"] == "Failed_NoNegotiation") == any(type(one) is Close for one in effects)
    vehicle = Evcc(EvccConfig(dialects=known), random=bytes, tls=True)
    vehicle.start(0)
    effects = list(vehicle.receive(v2gtp.Frame(v2gtp.SAP, payload), 0))
    assert (vehicle.dialect is None) == any(type(one) is Close for one in effects)


def tls(cut: int, raw: bytes) -> None:
    """A hello, an error, or a wish for more."""
    try:
        hello.read((b"\x16\x03\x01" + len(raw).to_bytes(2, "big") + raw) if cut & 1 else raw)
    except hello.NotTls:
        return


WAYS: tuple[Callable[[int, bytes], None], ...] = (stream, discovery, negotiation, tls)


def one(raw: bytes) -> None:
    """One input."""
    if len(raw) > 1:
        WAYS[raw[0] % len(WAYS)](raw[1], raw[2:])


if __name__ == "__main__":
    run(one, "-max_len=512")
