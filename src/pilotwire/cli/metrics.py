"""Prometheus metrics, read from plain counters when they are scraped: counting costs the hot path an integer."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from pilotwire.csms.counters import Counters
    from pilotwire.transport.ocpp.limits import EdgeCounters

_EDGE_GAUGES = frozenset({"open"})
_EDGE_LABELS = {"refused": "status", "closed": "code"}


def collect(csms: Counters, edges: Sequence[EdgeCounters]) -> Iterator[Metric]:
    """Every metric of one node."""
    yield from _messages(csms)
    yield from _csms(csms)
    yield from _edge(edges)
    yield from _slots("pilotwire_rpc", "RPC machines of all stations", csms.rpc)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily("pilotwire_cpu_seconds", "CPU time of this process", usage.ru_utime + usage.ru_stime)


def _labelled(name: str, text: str, label: str, table: Mapping[Any, int], *, gauge: bool = False) -> Metric:
    family: Any = (GaugeMetricFamily if gauge else CounterMetricFamily)(name, text, labels=[label])
    for key, value in table.items():
        family.add_metric([str(key)], value)
    return family


def _messages(csms: Counters) -> Iterator[Metric]:
    family = CounterMetricFamily("pilotwire_messages", "CALLs and SENDs from stations", labels=["version", "action"])
    for version, actions in csms.messages.items():
        for action, count in actions.items():
            if count:
                family.add_metric([version, action], count)
    yield family


def _csms(csms: Counters) -> Iterator[Metric]:
    yield _labelled("pilotwire_stations_connected", "Stations connected now", "version", csms.connected, gauge=True)
    yield _labelled("pilotwire_errors", "CALLERRORs that we answered", "code", csms.errors)
    yield _labelled("pilotwire_handshakes_rejected", "Handshakes refused", "reason", csms.rejected)
    yield _labelled("pilotwire_deviations", "Messages accepted by a tolerance rule", "rule", csms.deviations)
    yield _labelled("pilotwire_quirks", "Quirks of stations told of", "quirk", csms.quirks)
    yield _labelled("pilotwire_commands", "Commands settled", "outcome", csms.commands)
    for name in ("held_frames", "queued_commands"):
        yield GaugeMetricFamily(f"pilotwire_{name}", f"{name.replace('_', ' ')} now", getattr(csms, name))
    for name in (
        "handshakes",
        "duplicates_parked",
        "duplicates_refused",
        "duplicates_adopted",
        "commit_failures",
        "faults",
        "frames_dropped",
        "pauses",
    ):
        yield CounterMetricFamily(f"pilotwire_{name}", name.replace("_", " "), getattr(csms, name))


def _edge(edges: Sequence[EdgeCounters]) -> Iterator[Metric]:
    if not edges:
        return
    for field in dataclasses.fields(edges[0]):
        values = [getattr(edge, field.name) for edge in edges]
        text = f"OCPP listeners: {field.name.replace('_', ' ')}"
        if field.name in _EDGE_LABELS:
            table: dict[Any, int] = {}
            for each in values:
                for key, count in each.items():
                    table[key] = table.get(key, 0) + count
            yield _labelled(f"pilotwire_edge_{field.name}", text, _EDGE_LABELS[field.name], table)
        else:
            kind = GaugeMetricFamily if field.name in _EDGE_GAUGES else CounterMetricFamily
            yield kind(f"pilotwire_edge_{field.name}", text, sum(values))


def _slots(prefix: str, text: str, counters: object) -> Iterable[Metric]:
    for name in getattr(counters, "__slots__", ()) or [field.name for field in dataclasses.fields(counters)]:  # type: ignore[arg-type]
        value = getattr(counters, name)
        if isinstance(value, int):
            yield CounterMetricFamily(f"{prefix}_{name}", f"{text}: {name.replace('_', ' ')}", value)
