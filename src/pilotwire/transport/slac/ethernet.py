"""Raw Ethernet frames of type 88E1 on an interface of Linux (AF_PACKET). It takes root or CAP_NET_RAW."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.slac.mme import ETHERTYPE

_MOST = 2_048
_AT_ONCE = 64
"""Frames read before others get their turn."""
_OUTGOING = 4
"""PACKET_OUTGOING: what we sent ourselves."""


class NoRawEthernet(ConfigError):
    """The interface cannot be used; the text says why and how to mend it."""


class EthernetPort:
    """One interface. `mac` is its address; `send` takes whole frames, `received` is given them.

    Raises NoRawEthernet when made. `lost` is called once when the interface goes away.
    """

    def __init__(
        self, interface: str, received: Callable[[bytes], None], lost: Callable[[], None] = lambda: None
    ) -> None:
        self.interface = interface
        self.shed = 0
        """Frames that could not be sent: the queue was full."""
        self._received = received
        self._lost = lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = _open(interface)
        self.mac: bytes = self._socket.getsockname()[4]

    def start(self) -> None:
        """Reads from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, frame: bytes) -> None:
        """Sends it now; SLAC says again what is lost, so nothing waits here."""
        try:
            self._socket.send(frame)
        except (BlockingIOError, InterruptedError):
            self.shed += 1
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self.shed += 1
            else:
                self._gone()

    def close(self) -> None:
        """Stops reading. May be called twice."""
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(_MOST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._gone()
                return
            if address[2] != _OUTGOING:
                self._received(data)
            if self._socket.fileno() < 0:
                return

    def _gone(self) -> None:
        if self._socket.fileno() >= 0:
            self.close()
            self._lost()


def _open(interface: str) -> socket.socket:
    family = getattr(socket, "AF_PACKET", None)
    if family is None:
        raise NoRawEthernet("raw Ethernet (SLAC) needs Linux; elsewhere use the simulated power line")
    try:
        raw = socket.socket(family, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    except PermissionError as error:
        raise NoRawEthernet(
            f"SLAC on {interface} needs raw Ethernet: run as root, or give the program CAP_NET_RAW "
            "(setcap cap_net_raw+ep on its interpreter, AmbientCapabilities=CAP_NET_RAW in systemd)"
        ) from error
    try:
        raw.setblocking(False)
        raw.bind((interface, ETHERTYPE))
    except OSError as error:
        with contextlib.suppress(OSError):
            raw.close()
        raise NoRawEthernet(f"there is no interface {interface} that can be listened to: {error.strerror}") from error
    return raw
