"""Asking one endpoint who is there: what `pilotwire device scan` and the commissioning have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.transport.modbus.link import open_link

from .driver import client_config
from .scan import Unit, scan_unit
from .schema import DeviceFile

ANSWER_S = 10.0
ALIKE = 4
"""So many units that answer alike are one device that does not look at the unit."""


def usual_units(library: Mapping[str, DeviceFile], serial: bool) -> list[int]:
    """Where devices are found as they are delivered: a bus from its first address on, else what the files name."""
    if serial:
        return list(range(1, 33))
    return list(dict.fromkeys([*range(1, 11), *sorted({device.modbus.unit for device in library.values()})]))


def alike(found: Sequence[Unit]) -> bool:
    """Whether all units say the very same, and are too many for that to be chance."""
    said = {(unit.serial, tuple(unit.guesses), str(unit.identification)) for unit in found}
    return len(found) >= ALIKE and len(said) == 1


def one_of(found: Sequence[Unit], library: Mapping[str, DeviceFile]) -> Unit:
    """Of units that are one device: the one that its file names, or the first."""
    wanted = [library[guess.id].modbus.unit for guess in found[0].guesses[:1]]
    return next((unit for unit in found if unit.number in wanted), found[0])


async def probe(
    address: str, units: Sequence[int], library: Mapping[str, DeviceFile], *, timeout_ms: int
) -> AsyncIterator[tuple[int, Unit | None]]:
    """Each unit in turn with what it is, None where nobody answers. Raises ConfigError where there is no connection,
    or it is lost."""
    config = client_config([next(iter(library.values()))], "tcp")
    config = msgspec.structs.replace(config, answer_ms=timeout_ms, give_up=0, rest_after=0)
    link = open_link(address, config)
    try:
        try:
            async with asyncio.timeout(ANSWER_S):
                while not link.online:  # noqa: ASYNC110 - a link has no event for it
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ConfigError(f"{address}: {link.trouble or 'no connection'}") from None
        for number in units:
            unit = await scan_unit(link, number, library, timeout_ms=timeout_ms + 100)
            if unit is None and not link.online:
                raise ConfigError(f"{address}: the connection was lost: {link.trouble}")
            yield number, unit
    finally:
        link.close()
