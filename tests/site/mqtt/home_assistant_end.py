"""Home Assistant's own discovery schemas and templates, in a virtual environment of their own.

Payloads by topic come in as JSON, what the schemas and the templates of texts make of them goes out; ones that are made
wrong on purpose show that they look at all.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import tempfile
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
    if "device_class" not in change or not {"select", "text"} & set(topic.split("/"))  # which have none
    if not checked(topic, json.dumps(json.loads(payload) | change))
]


async def clocks(entity: dict[str, Any]) -> list[str]:
    """What is sent for a time of the day and for none, and what is shown of a time and of none."""
    dt: Any = importlib.import_module("homeassistant.util.dt")
    core: Any = importlib.import_module("homeassistant.core")
    template: Any = importlib.import_module("homeassistant.helpers.template")
    dt.set_default_time_zone(dt.UTC)
    home = core.HomeAssistant(tempfile.gettempdir())
    command, value = (template.Template(entity[name], home) for name in ("command_template", "value_template"))
    times = ({"value_json": {"departure": said}} for said in ("2026-01-31T07:30:00+01:00", None))
    sent = [command.async_render({"value": said}, parse_result=False) for said in ("07:30", "")]
    return [*sent, *(value.async_render(said, parse_result=False) for said in times)]


texts = [asyncio.run(clocks(json.loads(payload))) for topic, payload in payloads.items() if "/text/" in topic]
print(json.dumps({"accepted": len(payloads) - len(refused), "refused": refused, "missed": missed, "texts": texts}))
