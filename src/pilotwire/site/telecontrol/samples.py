"""From a device's points to samples of a contact."""

from __future__ import annotations

from pilotwire.domain.telecontrol import Sample
from pilotwire.site.ports import Device

from .config import InputEntry

__all__ = ["sample_of"]


def sample_of(entry: InputEntry, device: Device | None) -> Sample | None:
    """What its driver knows last of an input; None where it knows nothing. A change-over is as old as the older of its
    two inputs. A value that the driver does not believe is none; a driver that fails has none."""
    if device is None:
        return None
    try:
        points = device.points()
    except Exception:  # a driver's fault: the contact goes stale, and that is told
        return None
    value = points.get(entry.point)
    if value is None:
        return None
    raw = value.value if value.quality == "good" else None
    if entry.other is None:
        return Sample(raw=raw, at_ms=value.at_ms)
    other = points.get(entry.other)
    if other is None or other.quality != "good":
        return Sample(raw=None, at_ms=value.at_ms)
    return Sample(raw=raw, at_ms=min(value.at_ms, other.at_ms), other=other.value)
