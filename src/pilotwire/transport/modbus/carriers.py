"""Where a Modbus device or bus is, and how bytes come and go there.

    tcp://10.0.0.5:502                              Modbus TCP; the port is 502 where none is named
    rtu+tcp://10.0.0.6:4001                         RTU frames through a TCP connection
    rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1   a serial port; 9600, N, 1 where nothing is named

A serial port is opened for us alone (a lock that pyserial keeps too) and set to raw bytes by termios. The standard's
own setting is 19200 with even parity; most devices are delivered with 9600 and none.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from collections.abc import Callable
from typing import Literal, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pilotwire.core.errors import ConfigError

CONNECT_S = 5.0
_BACKLOG = 64 * 1024
_READ = 4096


class TcpEndpoint(msgspec.Struct, frozen=True):
    """A device, or a gateway with units behind it."""

    host: str
    port: int = 502
    framing: Literal["tcp", "rtu"] = "tcp"


class SerialEndpoint(msgspec.Struct, frozen=True):
    """A bus behind a serial port of this machine."""

    path: str
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    framing: Literal["rtu"] = "rtu"

    @property
    def gap_ms(self) -> int:
        """3.5 characters of 11 bits, 1.75 ms above 19200 (Serial Line V1.02, clause 2.5.1.1), in whole ms."""
        return max(2, -(-38_500 // self.baud))


Endpoint = TcpEndpoint | SerialEndpoint


def parse_endpoint(text: str) -> Endpoint:
    """An address as in this module's head. Raises ConfigError, which says what is wrong."""
    try:
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        port = parts.port or 502
        baud, stop = int(options.pop("baud", "9600")), int(options.pop("stop", "1"))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no Modbus address: {error}") from None
    parity = options.pop("parity", "N")
    if options:
        raise ConfigError(f"{text!r}: {', '.join(options)} is unknown; there are baud, parity and stop")
    if parts.scheme in ("tcp", "rtu+tcp") and parts.hostname and parts.path in ("", "/") and not parts.query:
        return TcpEndpoint(parts.hostname, port, "tcp" if parts.scheme == "tcp" else "rtu")
    if parts.scheme != "rtu" or parts.netloc or not parts.path:
        raise ConfigError(f"{text!r} is no Modbus address: tcp://host:port, rtu+tcp://host:port, rtu:///dev/ttyUSB0?…")
    if f"B{baud}" not in termios.__dict__:
        raise ConfigError(f"{text!r}: {baud} is no speed of a serial port")
    if parity not in ("N", "E", "O") or stop not in (1, 2):
        raise ConfigError(f"{text!r}: parity is N, E or O, and stop 1 or 2")
    return SerialEndpoint(parts.path, baud, parity, stop)  # type: ignore[arg-type]


class Carrier(Protocol):
    """An open way to the other side."""

    def write(self, data: bytes) -> None:
        """Never raises: what cannot be written ends the carrier."""
        ...

    def close(self) -> None:
        """Hang up. `lost` is not called for it."""
        ...


Heard = Callable[[bytes], None]
Lost = Callable[[str], None]


class Dialer(Protocol):
    """How a carrier is opened."""

    def dial(self, heard: Heard, lost: Lost, done: Callable[[Carrier | str], None]) -> None:
        """Try once. `done` is called exactly once, later: with the carrier, or with what went wrong in words.

        After it every chunk of bytes goes to `heard`, in order; `lost` is called at most once, at the end.
        """
        ...


class _Stream(asyncio.Protocol):
    def __init__(self, heard: Heard, lost: Lost) -> None:
        self._heard = heard
        self._lost: Lost | None = lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._lost is not None:
            self._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(str(exc) if exc else "the other side has hung up")

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > _BACKLOG:
            self._transport.abort()  # it takes nothing: connection_lost follows
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self._lost = None
        if self._transport is not None:
            self._transport.close()


class SerialPort:
    """An open serial port: a `Carrier`. Raises OSError or termios.error where it cannot be opened or set."""

    def __init__(self, endpoint: SerialEndpoint, heard: Heard, lost: Lost) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._lost = lost
        self._left = b""
        self._fd = os.open(endpoint.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._set(endpoint)
        except BaseException:
            os.close(self._fd)
            raise
        self._loop.add_reader(self._fd, self._readable)

    def _set(self, endpoint: SerialEndpoint) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        speed = getattr(termios, f"B{endpoint.baud}")
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        if endpoint.parity != "N":
            control |= termios.PARENB | (termios.PARODD if endpoint.parity == "O" else 0)
        if endpoint.stop_bits == 2:
            control |= termios.CSTOPB
        characters = termios.tcgetattr(self._fd)[6]
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0  # with 0, nothing there would look like the end
        checked = termios.INPCK if endpoint.parity != "N" else 0
        termios.tcsetattr(self._fd, termios.TCSANOW, [checked, 0, control, 0, speed, speed, characters])
        termios.tcflush(self._fd, termios.TCIFLUSH)

    def write(self, data: bytes) -> None:
        if self._fd < 0:
            return
        if len(self._left) + len(data) > _BACKLOG:
            self._end("the port takes nothing any more")
            return
        begun = bool(self._left)
        self._left += data
        if not begun:
            self._writable()
            if self._left and self._fd >= 0:
                self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        try:
            self._left = self._left[os.write(self._fd, self._left) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if not self._left:
            self._loop.remove_writer(self._fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if data:
            self._heard(data)
        else:
            self._end("the port has gone")

    def _end(self, why: str) -> None:
        if self._fd >= 0:
            self.close()
            self._loop.call_soon(self._lost, why)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            os.close(fd)


class EndpointDialer:
    """Opens the real thing. To be used in a running event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(self, heard: Heard, lost: Lost, done: Callable[[Carrier | str], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._dial(heard, lost, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, heard: Heard, lost: Lost, done: Callable[[Carrier | str], None]) -> None:
        endpoint = self.endpoint
        try:
            if isinstance(endpoint, SerialEndpoint):
                carrier: Carrier = SerialPort(endpoint, heard, lost)
            else:
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(CONNECT_S):
                    _, carrier = await loop.create_connection(
                        lambda: _Stream(heard, lost), endpoint.host, endpoint.port
                    )
        except TimeoutError:
            done(f"no connection within {CONNECT_S:g} s")
        except (OSError, termios.error, UnicodeError) as error:
            done(str(error) or type(error).__name__)
        else:
            done(carrier)
