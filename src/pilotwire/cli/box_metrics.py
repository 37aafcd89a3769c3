"""Prometheus metrics of a site that runs, read from its loop when they are scraped."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pilotwire.site.ports import shown

if TYPE_CHECKING:
    from pilotwire.cli.box import Box
    from pilotwire.site.loop import Loop

_COUNTS = {
    "ticks": "Ticks of the loop",
    "late": "Ticks more than half a second after they were due",
    "failures": "Ticks that raised: the safe state was commanded instead",
    "commands": "Commands to chargers and devices",
    "record_failures": "What could not be written down",
}
_PHASES = ("L1", "L2", "L3")
_POINTS = ("current_l1_ma", "current_l2_ma", "current_l3_ma")


def collect(loop: Loop, box: Box) -> Iterator[Metric]:
    """Everything that there is to know of a site's loop. Amperes and watts as floats, as Prometheus has them."""
    for name, text in _COUNTS.items():
        yield CounterMetricFamily(f"pilotwire_site_{name}", text, getattr(loop.counts, name))
    yield GaugeMetricFamily(
        "pilotwire_site_longest_tick_seconds", "The longest tick since the start", loop.counts.longest_ms / 1000
    )
    yield GaugeMetricFamily(
        "pilotwire_site_safe_state",
        "1 while the safe state is commanded, since a tick failed",
        int(bool(loop.safe_state)),
    )
    marks = GaugeMetricFamily("pilotwire_site_marks", "What is not as it should be, by its code", labels=["code"])
    for code, count in sorted(Counter(mark.code for mark in loop.marks).items()):
        marks.add_metric([code], count)
    yield marks
    yield from _nodes(loop)
    yield from _evses(loop)
    yield CounterMetricFamily("pilotwire_box_failures", "How often console and API have failed", box.failures)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily("pilotwire_cpu_seconds", "CPU time of this process", usage.ru_utime + usage.ru_stime)


def _nodes(loop: Loop) -> Iterator[Metric]:
    """As measured; a node whose meter is lost has none."""
    amperes = GaugeMetricFamily(
        "pilotwire_site_node_amperes", "Current of each phase, as measured", labels=["node", "phase"]
    )
    for node, device in loop.site.meters.items():
        meter = loop.devices.get(device)
        for phase, point in zip(_PHASES, _POINTS, strict=True):
            value = None if meter is None else shown(meter.points(), point)
            if value is not None:
                amperes.add_metric([node, phase], value / 1000)
    yield amperes


def _evses(loop: Loop) -> Iterator[Metric]:
    points = () if loop.decision is None else loop.decision.set_points
    amperes = GaugeMetricFamily("pilotwire_site_evse_amperes", "What an AC EVSE may give, per phase", labels=["evse"])
    watts = GaugeMetricFamily("pilotwire_site_evse_watts", "What a DC EVSE may give", labels=["evse"])
    for point in points:
        (amperes if point.unit == "mA" else watts).add_metric([point.evse], point.value / 1000)
    yield from (amperes, watts)
