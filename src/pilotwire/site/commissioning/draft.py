"""The draft of a site's file: plain data as YAML has it, edited by entries, checked as the file itself is."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

from pilotwire.domain.commissioning import Draft, DraftDevice, DraftEvse, DraftNode, Edit, Refused
from pilotwire.domain.commissioning import Finding as Note
from pilotwire.site import parts
from pilotwire.site.compiled import findings
from pilotwire.site.config import SiteConfig, plain
from pilotwire.site.typed import Finding, typed

from .suggest import Data, rows
from .text import file_text

LISTS = ("nodes", "devices", "evses")
FRESH: Data = {
    "site": {"id": "my-site", "time_zone": "UTC"},
    "nodes": [{"id": "grid", "kind": "connection"}],
    "failsafe": {"current_a": 6, "watchdog_s": 60, "meter_s": 11},
}


class DraftFile:
    """One draft. `folder`: what paths in it begin at."""

    def __init__(self, data: Mapping[str, Any], folder: Path) -> None:
        self.data: Data = deepcopy(dict(data))
        self._folder = folder
        self._checked: tuple[SiteConfig | None, list[Finding]] | None = None

    @classmethod
    def of_text(cls, text: str, folder: Path) -> DraftFile:
        """Raises Refused for a text that is no mapping."""
        data, wrong = plain(text)
        if data is None:
            raise Refused("; ".join(map(str, wrong)))
        return cls(data, folder)

    def edited(self, change: Edit) -> DraftFile:
        """A draft with the change made. Raises Refused for one that cannot be made."""
        if change.text is not None:
            return DraftFile.of_text(change.text, self._folder)
        made = DraftFile(self.data, self._folder)
        data = made.data
        for section in ("site", "failsafe"):
            given: Mapping[str, Any] = getattr(change, section)
            if given:
                merge(data.setdefault(section, {}), given)
        for section in LISTS:
            for entry in getattr(change, section):
                made._put(section, entry)
        for id in change.remove:
            for section in LISTS:
                data[section] = [each for each in rows(data, section) if each.get("id") != id]
        for section in LISTS:
            if not data.get(section):
                data.pop(section, None)
        return made

    def _put(self, section: str, entry: Mapping[str, Any]) -> None:
        id = entry.get("id")
        if not isinstance(id, str) or not id:
            raise Refused(f"{section}: an entry needs an id, e.g. bay-1")
        there = next((each for each in rows(self.data, section) if each.get("id") == id), None)
        if there is None:
            there = {"id": id}
            self.data.setdefault(section, []).append(there)
        merge(there, entry)

    # --- what it comes to ---------------------------------------------------------------------------------------

    def checked(self) -> tuple[SiteConfig | None, list[Finding]]:
        """The configuration where its form is right, and all that is wrong or worth knowing."""
        if self._checked is None:
            config, found = typed(self.data, SiteConfig)
            if config is not None:
                found = [*findings(config), *parts.findings(config, self._folder), *_own(config)]
                found = [each for each in found if each.text != "the connection has no limit"]  # `_own` says where
            self._checked = config, found
        return self._checked

    @property
    def config(self) -> SiteConfig:
        """Raises Refused where the draft may not run."""
        config, found = self.checked()
        wrong = [each for each in found if each.severity == "error"]
        if config is None or wrong:
            count = f"{len(wrong)} thing{'' if len(wrong) == 1 else 's'}"
            raise Refused(f"the draft has {count} to mend first: {wrong[0] if wrong else 'its form'}")
        if not config.evses:
            raise Refused("the draft has no EVSE yet: enter what was found first")
        return config

    @property
    def text(self) -> str:
        """The file."""
        return file_text(self.data)

    def shown(self) -> Draft:
        """As people see it."""
        site = self.data.get("site")
        about: Mapping[str, Any] = site if isinstance(site, Mapping) else {}
        nodes = rows(self.data, "nodes")
        return Draft(
            site=str(about.get("id", "")),
            name=str(about.get("name", "")),
            time_zone=str(about.get("time_zone", "UTC")),
            nodes=tuple(_node(each, nodes) for each in _by_tree(nodes)),
            devices=tuple(
                DraftDevice(
                    id=str(each.get("id", "")), kind=str(each.get("kind", "")), file=str(each.get("file", "")),
                    endpoint=str(each.get("endpoint", "")), unit=_whole(each.get("unit"), 1),
                )
                for each in rows(self.data, "devices")
            ),
            evses=tuple(_evse(each) for each in rows(self.data, "evses")),
            findings=tuple(Note(each.where, each.text, each.severity) for each in self.checked()[1]),
            text=self.text,
        )  # fmt: skip


def merge(there: Data, given: Mapping[str, Any]) -> None:
    """Settings over settings; None takes one away."""
    for key, value in given.items():
        if value is None:
            there.pop(key, None)
        else:
            there[key] = _plain(value)


def _plain(value: Any) -> Any:
    """As YAML would have read it: no floats."""
    match value:
        case float():
            return Decimal(str(value))
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _own(config: SiteConfig) -> list[Finding]:
    """What a site can run without, and should not."""
    found: list[Finding] = []
    for node in config.nodes:
        if node.kind == "connection" and not node.limits:
            text = "enter the main fuse: without a limit nothing protects the connection"
            found.append(Finding(f"nodes[{node.id}].limits", text))
        if node.kind == "connection" and node.meter is None:
            text = "no meter here: what the building takes has to be left free by lower limits"
            found.append(Finding(f"nodes[{node.id}].meter", text, "warning"))
    unknown = [each.id for each in config.evses if each.current == "AC" and each.rotation is None and each.in_service]
    found += [
        Finding(f"evses[{id}].rotation", "not known: it counts on each phase; find it by pulses", "warning")
        for id in unknown
    ]
    return found


def _by_tree(nodes: list[Data]) -> list[Data]:
    """Each below its parent; what hangs nowhere comes last."""
    below: dict[str, list[Data]] = {}
    for each in nodes:
        below.setdefault(str(each.get("parent") or ""), []).append(each)
    ordered: list[Data] = []

    def walk(parent: str, depth: int) -> None:
        for each in below.pop(parent, []):
            ordered.append(each)
            if depth < 32:
                walk(str(each.get("id", "")), depth + 1)

    walk("", 0)
    return [*ordered, *(each for each in nodes if not any(each is one for one in ordered))]


def _depth(node: Data, nodes: list[Data]) -> int:
    parents = {str(each.get("id")): str(each.get("parent") or "") for each in nodes}
    at, depth = str(node.get("parent") or ""), 0
    while at and depth < 32:
        at, depth = parents.get(at, ""), depth + 1
    return depth


def _node(each: Data, nodes: list[Data]) -> DraftNode:
    limits = [one for one in each.get("limits") or [] if isinstance(one, dict)]
    amps = next((one["current_a"] for one in limits if one.get("current_a") is not None), None)
    return DraftNode(
        id=str(each.get("id", "")), kind=str(each.get("kind", "")), parent=str(each.get("parent") or ""),
        fuse=_figure(amps), meter=str(each.get("meter") or ""), side=_figure(each.get("side_lost_a")),
        depth=_depth(each, nodes),
    )  # fmt: skip


def _evse(each: Data) -> DraftEvse:
    charger = each.get("charger")
    reached = ""
    if isinstance(charger, Mapping):
        connector = f", connector {charger['connector']}" if charger.get("connector") else ""
        if charger.get("ocpp"):
            reached = f"OCPP {charger['ocpp']}{connector}"
        else:
            reached = f"{charger.get('file', '?')} at {charger.get('endpoint', '?')}, unit {charger.get('unit', 1)}"
            reached += connector
    maximum = f"{_figure(each['maximum_a'])} A" if each.get("maximum_a") is not None else ""
    maximum = f"{_figure(each['maximum_kw'])} kW" if each.get("maximum_kw") is not None else maximum
    return DraftEvse(
        id=str(each.get("id", "")), node=str(each.get("node", "")), reached=reached,
        phases=_whole(each.get("phases"), 3), rotation=str(each.get("rotation") or ""), maximum=maximum,
        in_service=each.get("in_service", True) is not False,
    )  # fmt: skip


def _figure(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " / ".join(_figure(each) for each in value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) else default
