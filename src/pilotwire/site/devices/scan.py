"""Who is behind an endpoint: units that answer, and which device files fit them.

A unit is known by its identification (function 43/14), by SunSpec's model 1, by the registers that files name in
`identify`; where none of these says anything, by figures: a file whose voltages and frequency come out as those of a
mains fits, and is offered as a guess. Nothing is ever written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.protocols.modbus.errors import GatewayPathUnavailable, GatewayTargetFailed, ModbusException
from pilotwire.protocols.modbus.identification import Identification
from pilotwire.protocols.modbus.pdu import Bits, ReadIdentification, ReadRegisters, Registers, Request, Response
from pilotwire.protocols.modbus.planner import ReadLimits, Want, plan
from pilotwire.protocols.sunspec.models import decode_model
from pilotwire.protocols.sunspec.walk import Chain, Walk
from pilotwire.transport.modbus.link import Link

from .identify import fits, mark_want
from .layout import resolve
from .plausibility import plausibility
from .schema import DeviceFile

_SIGHT = ("voltage_l1_mv", "voltage_l2_mv", "voltage_l3_mv", "frequency_mhz")
_COMMON = 68
"""Registers of model 1, its ID and L with them."""


_Read = Callable[[Want], Awaitable[Sequence[int] | PilotwireError]]


class Guess(msgspec.Struct, frozen=True):
    """A file that fits."""

    id: str
    by: str
    """identity: its marks fit; figures: what it reads could be a mains."""
    marks: int
    """How many marks fit, or how many of its registers are there, less three for each that is not."""


class Unit(msgspec.Struct, frozen=True):
    """A unit that has answered."""

    number: int
    identification: dict[int, str]
    """Objects of function 43/14 by number."""
    manufacturer: str
    model: str
    serial: str
    """Of SunSpec's model 1."""
    models: tuple[int, ...]
    """SunSpec's, in the order of the chain."""
    guesses: tuple[Guess, ...]
    """Best first."""


async def scan(
    link: Link, units: Iterable[int], library: Mapping[str, DeviceFile], *, timeout_ms: int = 400
) -> AsyncIterator[Unit]:
    """Each unit that answers, as it is found."""
    for number in units:
        found = await scan_unit(link, number, library, timeout_ms=timeout_ms)
        if found is not None:
            yield found


async def scan_unit(
    link: Link, number: int, library: Mapping[str, DeviceFile], *, timeout_ms: int = 400
) -> Unit | None:
    """One unit; None where nobody answers."""
    seen: dict[Want, Sequence[int] | PilotwireError] = {}

    async def ask(request: Request) -> Response | ModbusException | None:
        try:
            return await link.request(number, request, timeout_ms=timeout_ms)
        except ModbusException as error:
            return None if isinstance(error, GatewayPathUnavailable | GatewayTargetFailed) else error
        except PilotwireError:
            return None

    async def read(want: Want) -> Sequence[int] | PilotwireError:
        if want not in seen:
            (block,) = plan([want], ReadLimits())
            answer = await ask(block.request)
            values = [int(each) for each in answer.values] if isinstance(answer, Registers | Bits) else None
            seen[want] = values if values is not None else ModbusException(2)
        return seen[want]

    identified = await ask(ReadIdentification(1))
    if identified is None and await ask(ReadRegisters(3, 0, 1)) is None and await ask(ReadRegisters(4, 0, 1)) is None:
        return None
    objects = _objects(identified)
    chain = await _chain(read)
    common: Mapping[str, object] = {}
    placed = chain.find(1) if chain else None
    if placed is not None:
        body = await read(Want(3, placed.address, min(_COMMON, placed.length + 2)))
        if not isinstance(body, PilotwireError):
            common = decode_model(body)
    names = {key: str(common.get(key) or "") for key in ("Mn", "Md", "SN")}
    guesses: list[Guess] = []
    for device in library.values():
        marks = [await read(mark_want(mark)) for mark in device.identify.registers] if device.identify else []
        score = fits(device, seen, objects, names["Mn"], names["Md"])
        if score:
            guesses.append(Guess(device.id, "identity", score))
        elif chain and device.sunspec and not device.identify:
            if set(device.sunspec.models) <= {each.number for each in chain.models}:
                guesses.append(Guess(device.id, "figures", len(device.sunspec.models)))
        elif not marks and not device.sunspec and (readable := await _mains(device, read)):
            guesses.append(Guess(device.id, "figures", readable))
    guesses.sort(key=lambda guess: (guess.by != "identity", -guess.marks, guess.id))
    models = tuple(each.number for each in chain.models) if chain else ()
    return Unit(number, objects, names["Mn"], names["Md"], names["SN"], models, tuple(guesses))


def _objects(answer: Response | ModbusException | None) -> dict[int, str]:
    """The basic objects, as far as they came in one answer."""
    if not isinstance(answer, Identification):
        return {}
    return {at: data.decode("latin-1").strip("\0 ") for at, data in answer.objects}


async def _chain(read: _Read) -> Chain | None:
    walk = Walk()
    while (want := walk.want) is not None:
        got = await read(want)
        walk.answer(None if isinstance(got, PilotwireError) else got)
    return walk.chain


async def _mains(device: DeviceFile, read: _Read) -> int:
    """How many of a file's registers there are, if its voltages and frequency are those of a mains; 0 if not."""
    layout = resolve(device)
    cells = [layout.cells[name] for name in _SIGHT if name in layout.cells]
    if not any(cell.name.startswith("voltage") for cell in cells):
        return 0
    seen: dict[Want, Sequence[int] | PilotwireError] = {}
    for cell in cells:
        for want in cell.wants:
            seen[want] = await read(want)
            if isinstance(seen[want], PilotwireError):
                return 0
    values = {name: value for name, value in layout.decode(seen).items() if name in _SIGHT}
    if not values or not all(values.values()) or plausibility(values, kind=device.kind):
        return 0
    wants = {want for cell in layout.cells.values() for want in cell.wants}
    there = [not isinstance(await read(want), PilotwireError) for want in sorted(wants)]
    return max(1, there.count(True) - 3 * there.count(False))
