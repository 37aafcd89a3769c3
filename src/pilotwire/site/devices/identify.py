"""By what a device is known: registers, function 43/14, SunSpec's model 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotwire.core.errors import PilotwireError
from pilotwire.protocols.modbus.planner import Want
from pilotwire.protocols.modbus.values import Field, decode_value, encode_value

from .registers import FUNCTIONS, raw_field, width
from .schema import DeviceFile, Mark


def mark_want(mark: Mark) -> Want:
    """What to read for a mark."""
    return Want(FUNCTIONS[mark.table], mark.address, width(mark.type, mark.length))


def mark_fits(mark: Mark, device: DeviceFile, got: Sequence[int] | PilotwireError | None) -> bool:
    """Whether what was read is what the mark says."""
    if got is None or isinstance(got, PilotwireError):
        return False
    try:
        value = decode_value(_field(mark, device), [int(each) for each in got])
    except PilotwireError:
        return False
    if isinstance(value, str):
        return any(isinstance(each, str) and value.startswith(each) for each in mark.is_)
    return value in mark.is_


def mark_registers(mark: Mark, device: DeviceFile) -> tuple[Want, list[int]]:
    """What stands in a device that the mark fits."""
    return mark_want(mark), encode_value(_field(mark, device), mark.is_[0])


def fits(
    device: DeviceFile,
    registers: Mapping[Want, Sequence[int] | PilotwireError],
    device_id: Mapping[int, str],
    manufacturer: str,
    model: str,
) -> int:
    """How many of a file's marks fit; 0 where it has none, or one does not."""
    identify = device.identify
    if identify is None:
        return 0
    verdicts = [mark_fits(mark, device, registers.get(mark_want(mark))) for mark in identify.registers]
    verdicts += [device_id.get(number, "").startswith(text) for number, text in identify.device_id.items()]
    if identify.manufacturer:
        verdicts.append(manufacturer.startswith(identify.manufacturer))
    if identify.model:
        verdicts.append(model.startswith(identify.model))
    return len(verdicts) if all(verdicts) else 0


def _field(mark: Mark, device: DeviceFile) -> Field:
    return raw_field(mark, device.modbus)
