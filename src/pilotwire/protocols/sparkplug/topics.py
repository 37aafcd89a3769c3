"""The names of Sparkplug B: `spBv1.0/group/type/node[/device]` and `spBv1.0/STATE/host` (Sparkplug 3.0.0, clause 4)."""

from __future__ import annotations

from typing import Literal, cast, get_args

import msgspec

from pilotwire.core.errors import ConfigError, RemoteError

NAMESPACE = "spBv1.0"
MessageType = Literal["NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD", "STATE"]
_TYPES = frozenset(get_args(MessageType))


class BadTopic(RemoteError):
    """A topic that is none of Sparkplug's."""


def part(text: str) -> str:
    """An identifier as a part of a topic. Raises ConfigError for what MQTT gives a meaning of its own."""
    if not text or any(character in text for character in "/+#"):
        raise ConfigError(f"Sparkplug's identifiers are not empty and hold no '/', '+' or '#': {text!r}")
    return text


class Topic(msgspec.Struct, frozen=True):
    """`device` is None for what concerns the node as a whole. For STATE, `node` is the host application's id."""

    type: MessageType
    group: str
    node: str
    device: str | None = None

    def __str__(self) -> str:
        if self.type == "STATE":
            return f"{NAMESPACE}/STATE/{self.node}"
        text = f"{NAMESPACE}/{self.group}/{self.type}/{self.node}"
        return text if self.device is None else f"{text}/{self.device}"


def parse(topic: str) -> Topic:
    """Raises BadTopic."""
    parts = topic.split("/")
    if parts[0] != NAMESPACE or "" in parts:
        raise BadTopic(f"{topic!r} does not begin with {NAMESPACE}, or has an empty part")
    if len(parts) == 3 and parts[1] == "STATE":
        return Topic("STATE", "", parts[2])
    if len(parts) not in (4, 5) or parts[2] not in _TYPES or parts[2] == "STATE":
        raise BadTopic(f"{topic!r} is no topic of Sparkplug")
    type, device = cast(MessageType, parts[2]), parts[4] if len(parts) == 5 else None
    if (type[0] == "D") != (device is not None):
        raise BadTopic(f"{topic!r}: {type} {'needs a device' if device is None else 'has no device'}")
    return Topic(type, parts[1], parts[3], device)
