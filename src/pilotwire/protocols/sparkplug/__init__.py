"""Sparkplug B: telemetry and commands over MQTT for those who speak it (SCADA, historians), as an edge node.

`payload` is the protocol buffer, `topics` the names, `edge_node` the state machine: births, data by alias, deaths,
rebirth on command, and what a primary host application's absence means. Sparkplug 3.0.0.
"""

from .edge_node import Command, EdgeNode, EdgeNodeConfig, MetricDefinition, Publish, Will
from .payload import BadPayload, Metric, Payload, decode, encode
from .topics import Topic, parse

__all__ = [
    "BadPayload",
    "Command",
    "EdgeNode",
    "EdgeNodeConfig",
    "Metric",
    "MetricDefinition",
    "Payload",
    "Publish",
    "Topic",
    "Will",
    "decode",
    "encode",
    "parse",
]
