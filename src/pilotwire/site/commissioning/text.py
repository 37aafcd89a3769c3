"""A configuration as the file that people keep: in the order of the example, a line for each thing, with comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

HEAD = """\
# The site {site}, as it was commissioned. Figures carry their unit in their name: _a ampere per phase, _kw kilowatt,
# _s second. `pilotwire site check` tells all that is wrong in it. All that can be said: docs/examples/site.yaml
"""
ORDER = (
    "site", "nodes", "devices", "tenants", "evses", "ocpp", "sources", "policy", "failsafe", "steering",
    "modbus_servers", "mqtt", "telecontrol", "gateway", "log",
)  # fmt: skip
_SECTIONS: Mapping[str, str] = {
    "nodes": "What carries current: one connection, below it feeders. Nothing below a node takes more than its limits.",
    "devices": "Meters and whatever else is measured or told; `pilotwire device list` names the files there are.",
    "evses": "Where cars charge.",
    "ocpp": "Stations that speak OCPP connect to ws://HOST:PORT/ocpp/IDENTITY here.",
    "failsafe": "What happens when somebody falls silent.",
    "sources": "Somebody outside who sets limits.",
    "steering": "Contracts, sun, batteries, prices.",
    "modbus_servers": "Maps by which others read the site, and give orders where they may.",
    "log": "The record of all decisions.",
}
_COMMENTS: Mapping[tuple[str, str], str] = {
    ("nodes", "meter"): "a device below that measures all that flows here",
    ("nodes", "side_lost_a"): "the most that the building takes beside the chargers, per phase",
    ("nodes", "feeds_a"): "the most that PV and batteries feed in below here",
    ("evses", "rotation"): "which phase of the grid is on its L1, L2, L3; left out where nobody knows",
    ("evses", "has_failsafe"): "it cannot fall back by itself: it counts with its maximum",
    ("evses", "in_service"): "switched off: nothing is kept free for it",
    ("failsafe", "current_a"): "chargers fall back to this",
    ("failsafe", "watchdog_s"): "after so long without a word",
    ("failsafe", "meter_s"): "a meter that was not read for so long is lost",
}
_COLUMN = 34


def file_text(data: Mapping[str, Any]) -> str:
    """`data`, plain as it comes from YAML, as a file that says the same."""
    site = data.get("site")
    name = site.get("id", "") if isinstance(site, Mapping) else ""
    pieces = [HEAD.format(site=str(name).replace("\n", " "))]
    said: set[tuple[str, str]] = set()
    for key in (*(key for key in ORDER if key in data), *(key for key in data if key not in ORDER)):
        comment = f"# {_SECTIONS[key]}\n" if key in _SECTIONS else ""
        pieces.append(comment + _section(key, data[key], said))
    return "\n".join(pieces)


def _section(key: str, value: Any, said: set[tuple[str, str]]) -> str:
    if isinstance(value, Mapping) and value:
        rows = [f"{key}:"]
        rows += [line for name, each in value.items() for line in _entry(key, str(name), each, 2, said)]
        return "\n".join(rows) + "\n"
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        rows = [f"{key}:"]
        for each in value:
            if isinstance(each, Mapping) and each:
                lines = [line for name, one in each.items() for line in _entry(key, str(name), one, 4, said)]
                rows += [f"  - {lines[0].lstrip()}", *lines[1:]]
            else:
                rows.append(f"  - {_flow(each)}")
        return "\n".join(rows) + "\n"
    return f"{key}: {_flow(value)}\n"


def _entry(section: str, name: str, value: Any, indent: int, said: set[tuple[str, str]]) -> list[str]:
    blank = " " * indent
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(each, Mapping) for each in value):
        return [f"{blank}{_flow(name)}:", *(f"{blank}  - {_flow(each)}" for each in value)]
    if isinstance(value, Mapping) and len(_flow(value)) > 90:
        inner = [line for key, each in value.items() for line in _entry("", str(key), each, indent + 2, said)]
        return [f"{blank}{_flow(name)}:", *inner]
    line = f"{blank}{_flow(name)}: {_flow(value)}"
    comment = _COMMENTS.get((section, name))
    if comment is not None and (section, name) not in said and len(line) < 60:
        said.add((section, name))
        line = f"{line.ljust(_COLUMN)} # {comment}"
    return [line]


def _flow(value: Any) -> str:
    """In one line."""
    import yaml

    text: str = yaml.dump(value, Dumper=_dumper(), default_flow_style=True, width=1_000_000, sort_keys=False,
                          allow_unicode=True)  # fmt: skip
    return text.strip().removesuffix("\n...").strip()


_DUMPERS: list[Any] = []


def _dumper() -> Any:
    """YAML with decimals as people write them, and without anchors."""
    if _DUMPERS:
        return _DUMPERS[0]
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def decimal(dumper: Any, value: Decimal) -> Any:
        text = format(value, "f")
        kind = "int" if "." not in text else "float"
        return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)

    Dumper.add_representer(Decimal, decimal)
    _DUMPERS.append(Dumper)
    return Dumper
