"""Home Assistant's own discovery schemas, in a virtual environment of their own.

Payloads by topic come in as JSON, what the schemas make of them goes out; ones that are made wrong on purpose show that
they look at all.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def checked(topic: str, payload: str) -> str:
    """ "" or why it is refused."""
    component = topic.split("/")[1]
    module: Any = importlib.import_module(f"homeassistant.components.mqtt.{component}")
    try:
        module.DISCOVERY_SCHEMA(json.loads(payload))
    except Exception as error:  # whatever voluptuous raises is a refusal
        return f"{type(error).__name__}: {error}"
    return ""


payloads: dict[str, str] = json.load(sys.stdin)
refused = {topic: why for topic, payload in payloads.items() if (why := checked(topic, payload))}
WRONG = (
    {"unique_id": ["x"]}, {"qos": 7}, {"device_class": "nonsense"}, {"device": {"name": "without identifiers"}},
)  # fmt: skip
missed = [
    f"{topic} with {change}"
    for topic, payload in payloads.items()
    for change in WRONG
    if "device_class" not in change or "/select/" not in topic  # which has none
    if not checked(topic, json.dumps(json.loads(payload) | change))
]
print(json.dumps({"accepted": len(payloads) - len(refused), "refused": refused, "missed": missed}))
