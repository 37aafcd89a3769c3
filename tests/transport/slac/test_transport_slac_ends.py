"""The simulated power line by itself, and what an interface says that cannot be used."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from pilotwire.core.time import SimScheduler
from pilotwire.protocols.slac import mme
from pilotwire.protocols.slac.keys import nid_of
from pilotwire.protocols.slac.mme import BROADCAST, LOCAL_MODEM, MmeFrame, decode, encode
from pilotwire.transport.slac import EthernetPort, NoRawEthernet, Powerline

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
KEY = bytes(range(16))


def line(**kw: Any) -> tuple[SimScheduler, Powerline, dict[bytes, list[bytes]]]:
    time = SimScheduler(0)
    wire = Powerline(time, **kw)
    heard: dict[bytes, list[bytes]] = {A: [], B: [], C: []}
    for mac in heard:
        wire.station(mac, heard[mac].append)
    return time, wire, heard


def test_near_is_heard_and_far_is_not():
    time, wire, heard = line()
    wire.attenuate(A, B, 10)
    sound = encode(MmeFrame(BROADCAST, A, mme.MnbcSoundInd(cnt=3, run_id=bytes(8), rnd=KEY)))
    wire.stations[0].send(sound)
    time.run_for(10)
    assert heard[C] == [] and heard[B][0] == sound and len(heard[B]) == 2
    profile = decode(heard[B][1])
    assert profile.src == LOCAL_MODEM and isinstance(profile.message, mme.AttenProfileInd)
    assert profile.message.pev_mac == A and {8, 9, 10, 11, 12} >= set(profile.message.aag)
    wire.attenuate(A, B, None)
    wire.stations[0].send(sound)
    time.run_for(10)
    assert len(heard[B]) == 2


def test_other_frames_only_go_where_the_key_is():
    time, wire, heard = line(crosstalk_db=30)
    ipv6 = B + A + b"\x86\xdd" + bytes(60)
    wire.stations[0].send(ipv6)
    time.run_for(10)
    assert heard[B] == []
    for n in (0, 1):
        wire.stations[n].send(encode(MmeFrame(LOCAL_MODEM, (A, B)[n], mme.SetKeyReq(nid=nid_of(KEY), new_key=KEY))))
    wire.stations[0].send(ipv6)
    wire.stations[0].send(BROADCAST + ipv6[6:])
    time.run_for(10)
    assert heard[B][-2:] == [BROADCAST + ipv6[6:], ipv6] or heard[B][-2:] == [ipv6, BROADCAST + ipv6[6:]]
    assert heard[C] == []


def test_a_modem_takes_no_key_whose_name_is_another():
    time, wire, heard = line()
    wire.stations[0].send(encode(MmeFrame(LOCAL_MODEM, A, mme.SetKeyReq(nid=bytes(7), new_key=KEY))))
    wire.stations[0].send(LOCAL_MODEM + A + b"\x88\xe1")
    time.run_for(10)
    assert wire.stations[0].nmk == b"" and len(heard[A]) == 1


def test_a_reset_forgets_the_key():
    time, wire, heard = line()
    wire.stations[0].send(encode(MmeFrame(LOCAL_MODEM, A, mme.SetKeyReq(nid=nid_of(KEY), new_key=KEY))))
    assert wire.stations[0].nmk == KEY
    wire.stations[0].send(encode(MmeFrame(LOCAL_MODEM, A, mme.ResetDeviceReq())))
    time.run_for(10)
    assert wire.stations[0].nmk == b"" and isinstance(decode(heard[A][-1]).message, mme.ResetDeviceCnf)


def test_what_is_lost_is_counted_and_the_same_each_time():
    def lost(seed: int) -> list[int]:
        time, wire, heard = line(crosstalk_db=20, loss=300, seed=seed)
        for n in range(200):
            wire.stations[0].send(encode(MmeFrame(B, A, mme.AmpMapReq(amdata=(n % 16,)))))
        time.run_for(10)
        assert wire.lost + len(heard[B]) == 200 and 30 < wire.lost < 90
        return [decode(frame).message.amdata[0] for frame in heard[B]]  # type: ignore[attr-defined]

    assert lost(1) == lost(1) != lost(2)


def test_without_the_right_to_raw_ethernet_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def refused(*args: Any, **kw: Any) -> Any:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(NoRawEthernet, match="CAP_NET_RAW"):
        EthernetPort("eth0", lambda frame: None)


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(socket, "AF_PACKET")
    with pytest.raises(NoRawEthernet, match="Linux"):
        EthernetPort("en0", lambda frame: None)


async def test_a_port_that_is_closed_twice(monkeypatch: pytest.MonkeyPatch):
    """Over a pair of datagram sockets in place of the interface: what is sent, what comes, what goes wrong."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)

    class Named:
        """A socket that has the address of an interface."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ours, name)

        def getsockname(self) -> Any:
            return ("plc0", mme.ETHERTYPE, 0, 1, A)

        def recvfrom(self, most: int) -> Any:
            data, _ = ours.recvfrom(most)
            return data, ("plc0", mme.ETHERTYPE, 4 if data == b"our own" else 0, 1, B)

    monkeypatch.setattr("pilotwire.transport.slac.ethernet._open", lambda interface: Named())
    heard: list[bytes] = []
    lost: list[bool] = []
    port = EthernetPort("plc0", heard.append, lambda: lost.append(True))
    assert port.mac == A
    port.start()
    for frame in (b"one", b"our own", b"two"):
        theirs.send(frame)
    port.send(b"three")
    await asyncio.sleep(0.02)
    assert heard == [b"one", b"two"] and theirs.recv(99) == b"three"
    for _ in range(2_000):
        port.send(bytes(1_000))
    assert port.shed > 0 and not lost
    theirs.close()
    port.send(b"four")
    assert lost == [True]
    port.close()
    port.close()
    assert lost == [True]
