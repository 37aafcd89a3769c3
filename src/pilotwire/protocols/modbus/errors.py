"""What can go wrong on Modbus, typed: exceptions that a device answers, frames that are none, requests we may not make.

A `ModbusException` is both what a client is told and what a server answers with: raise it in a handler and the machine
sends it (Modbus Application Protocol V1.1b3, clause 7).
"""

from __future__ import annotations

from typing import ClassVar

from pilotwire.core.errors import LocalError, RemoteError, TransientError


class FrameError(RemoteError):
    """Bytes that are no frame, or a frame that is no answer to what was asked."""


class RequestError(LocalError):
    """A request that the protocol has no room for: over a limit, out of the 16 bits of an address."""


class NoAnswer(TransientError):
    """No answer was had: `why` is silent (asked, not answered in time), expired (the deadline came before it could be
    sent), full (the queue), lost (the connection went while it was open), offline (there is none)."""

    def __init__(self, why: str, text: str = "") -> None:
        super().__init__(text or why)
        self.why = why


class ModbusException(RemoteError):
    """An exception response. `code` is the standard's number; a code of a vendor's own keeps this class."""

    CODE: ClassVar[int] = 0
    WORDS: ClassVar[str] = "an exception of the device's own"

    def __init__(self, code: int | None = None, text: str = "") -> None:
        self.code = self.CODE if code is None else code
        if not 1 <= self.code <= 255:
            raise RequestError(f"an exception code is 1 to 255, not {self.code}")
        super().__init__(f"exception {self.code}: {text or self.WORDS}")


class IllegalFunction(ModbusException):
    CODE, WORDS = 1, "the function is not supported"


class IllegalDataAddress(ModbusException):
    CODE, WORDS = 2, "no such address, or not so many from there"


class IllegalDataValue(ModbusException):
    CODE, WORDS = 3, "the value or the form of the request is not allowed"


class ServerDeviceFailure(ModbusException):
    CODE, WORDS = 4, "the device failed while it did what was asked"


class Acknowledge(ModbusException):
    CODE, WORDS = 5, "the device has begun, and will take long"


class ServerDeviceBusy(ModbusException):
    CODE, WORDS = 6, "the device is busy: ask again later"


class MemoryParityError(ModbusException):
    CODE, WORDS = 8, "the device's extended memory has a parity error"


class GatewayPathUnavailable(ModbusException):
    CODE, WORDS = 10, "the gateway has no way to the device"


class GatewayTargetFailed(ModbusException):
    CODE, WORDS = 11, "the device behind the gateway did not answer"


_BY_CODE: dict[int, type[ModbusException]] = {
    each.CODE: each
    for each in (
        IllegalFunction,
        IllegalDataAddress,
        IllegalDataValue,
        ServerDeviceFailure,
        Acknowledge,
        ServerDeviceBusy,
        MemoryParityError,
        GatewayPathUnavailable,
        GatewayTargetFailed,
    )
}


def exception_of(code: int) -> ModbusException:
    """The typed exception of a code, 1 to 255."""
    known = _BY_CODE.get(code)
    return known() if known is not None else ModbusException(code)
