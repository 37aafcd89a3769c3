"""The device library as a whole: how many files of each kind, where every register was read, and what is said about a
device that nobody speaks to."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from pilotwire.site.devices.load import LIBRARY, library_paths, load_device
from pilotwire.site.devices.schema import Command, DeviceFile, Point, Source
from pilotwire.site.ports import POINTS

FEWEST = {"charger": 15, "meter": 20, "inverter": 15, "battery": 10, "load": 1, "contacts": 2}
FEWEST_TOGETHER = 60
FEWEST_TWO_SOURCED = {"": 50, "charger": 8, "meter": 15, "inverter": 6, "battery": 6}
TWO_SOURCED = 60
"""Percent of a file's registers that two sources have to give alike, for it to count as read in two."""
LIMITS = {"limit_ma", "limit_mw", "enable"}
SILENT = ("silence", "nobody speaks")


def registers(device: DeviceFile) -> Iterator[tuple[str, Point | Command]]:
    """What is read from the wire or written to it; what is only made from other points was read nowhere."""
    for name, point in device.points.items():
        if point.address is not None or point.sunspec:
            yield name, point
    yield from device.commands.items()


def two_sourced(device: DeviceFile) -> int:
    """Percent of its registers that two sources give."""
    counted = [len({address(device.sources[each]) for each in item.from_}) > 1 for _, item in registers(device)]
    return 100 * sum(counted) // max(1, len(counted))


def address(source: Source) -> str:
    """Two files of one project are one source: what is behind the owner and the project on GitHub does not count.

    A vendor's document that a project keeps a copy of is the vendor's.
    """
    parts = urlsplit(source.url)
    if source.url.lower().split("?")[0].endswith((".pdf", ".xlsx", ".csv", ".html")):
        return source.publisher
    return "/".join([parts.netloc, *parts.path.split("/")[1:3]]) if parts.netloc == "github.com" else parts.netloc


def doubtful_url(url: str) -> str:
    """What is wrong with it; "" if it can be a public page."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        return "not http(s)"
    if any(char.isspace() for char in url) or parts.username:
        return "not written as an address"
    try:
        return "" if ipaddress.ip_address(host).is_global else "an address of a private network"
    except ValueError:
        pass
    labels = host.split(".")
    if len(labels) < 2 or not all(labels) or not labels[-1].isalpha():
        return "not a public host"
    if labels[-1] in ("local", "localhost", "internal", "lan", "invalid", "test", "example", "arpa"):
        return "not a public host"
    if labels[-2] == "example":
        return "made for examples"
    return "" if len(parts.path) > 1 else "the front page of a host, not a document"


def silent_words(device: DeviceFile) -> str:
    """What is missing of: what a charger that can be limited does when nobody speaks to it; "" if it is there."""
    if not LIMITS & set(device.commands):
        return ""
    abilities = device.abilities
    if abilities is None:
        return "no abilities"
    if not any(word in device.evidence.lower() for word in SILENT):
        return "its evidence says nothing about silence"
    timed = "watchdog_ms" in device.commands or abilities.watchdog_ms is not None
    if timed and abilities.keepalive is None:
        return "it has a watchdog, and no keepalive"
    if timed and not (
        {"failsafe_ma", "failsafe_mw", "enable"} & set(device.commands)
        or abilities.failsafe_ma is not None
        or abilities.failsafe_mw is not None
    ):
        return "it has a watchdog, and nothing says what it falls back to"
    return ""


@pytest.fixture(scope="module")
def library() -> dict[Path, DeviceFile]:
    return {path: load_device(path) for path in library_paths()}


def test_there_are_enough_of_each_kind(library: dict[Path, DeviceFile]):
    counted = Counter(device.kind for device in library.values())
    assert {kind: counted[kind] for kind, least in FEWEST.items() if counted[kind] < least} == {}
    assert sum(counted.values()) >= FEWEST_TOGETHER


def test_each_file_is_in_the_folder_of_its_kind_and_named_as_its_id(library: dict[Path, DeviceFile]):
    folders = {
        "charger": "chargers", "meter": "meters", "inverter": "inverters", "battery": "batteries",
        "load": "loads", "contacts": "contacts",
    }  # fmt: skip
    assert [path.name for path, device in library.items() if path != LIBRARY / folders[device.kind] / path.name] == []
    assert [path.name for path, device in library.items() if path.stem != device.id] == []
    assert [name for name, count in Counter(device.id for device in library.values()).items() if count > 1] == []
    assert [path.name for path in LIBRARY.rglob("*") if path.is_file() and path not in library] == []


def test_each_register_names_where_it_was_read(library: dict[Path, DeviceFile]):
    bare = [
        f"{device.id}: {name}"
        for device in library.values()
        for name, item in registers(device)
        if not item.from_ or not set(item.from_) <= set(device.sources) or len(set(item.from_)) < len(item.from_)
    ]
    assert bare == []


def test_each_source_is_used_and_can_be_found(library: dict[Path, DeviceFile]):
    faults: list[str] = []
    for device in library.values():
        used = {each for _, item in registers(device) for each in item.from_}
        faults += [f"{device.id}: nothing was read in {name}" for name in sorted(set(device.sources) - used)]
        for name, source in device.sources.items():
            if reason := doubtful_url(source.url):
                faults.append(f"{device.id}: {name}: {source.url}: {reason}")
            if not source.version or not source.title or not source.publisher:
                faults.append(f"{device.id}: {name}: title, publisher and version belong to a source")
            if "/blob/" in source.url and len(source.url.split("/blob/")[1].split("/")[0]) != 40:
                faults.append(f"{device.id}: {name}: {source.url}: moves with a branch, name a commit")
            if source.url.endswith((".go", ".py", ".java", ".yaml")) and not source.licence:
                faults.append(f"{device.id}: {name}: under which licence was this text read?")
    assert faults == []


def test_points_and_commands_are_those_of_all_parts(library: dict[Path, DeviceFile]):
    names = {
        f"{device.id}: {name}"
        for device in library.values()
        for name in [*device.points, *device.commands]
        if not name.startswith("_") and name not in POINTS
    }
    assert names == set()


def test_enough_files_were_read_in_two_sources(library: dict[Path, DeviceFile]):
    counted = Counter(device.kind for device in library.values() if two_sourced(device) >= TWO_SOURCED)
    counted[""] = sum(counted.values())
    assert {kind: counted[kind] for kind, least in FEWEST_TWO_SOURCED.items() if counted[kind] < least} == {}


def test_what_was_read_in_one_source_says_so(library: dict[Path, DeviceFile]):
    """Whoever trusts a file is to know whether anybody has confirmed it."""
    words = ("one source", "alone", "single source", "only", "one independent source", "no second")
    quiet = [
        f"{device.id}: {two_sourced(device)} %"
        for device in library.values()
        if two_sourced(device) < TWO_SOURCED and not any(word in device.evidence.lower() for word in words)
    ]
    assert quiet == []


def test_a_charger_that_can_be_limited_says_what_it_does_on_silence(library: dict[Path, DeviceFile]):
    chargers = [device for device in library.values() if device.kind == "charger"]
    assert [f"{device.id}: {words}" for device in chargers if (words := silent_words(device))] == []
    assert sum(bool(LIMITS & set(device.commands)) for device in chargers) >= FEWEST["charger"]


def test_what_steers_an_inverter_or_a_battery_says_what_becomes_of_it_on_silence(library: dict[Path, DeviceFile]):
    quiet = [
        device.id
        for device in library.values()
        if device.kind in ("inverter", "battery") and device.commands and "silence" not in device.evidence.lower()
    ]
    assert quiet == []


def test_generators_and_batteries_measure_a_power_that_can_be_negative(library: dict[Path, DeviceFile]):
    """An inverter that shows its power as a load would be taken for one."""

    def negative(device: DeviceFile, name: str) -> bool:
        point = device.points[name]
        if point.sum:
            return any(each.startswith("-") or negative(device, each) for each in point.sum)
        if point.product:
            return any(negative(device, each) for each in point.product)
        return point.invert or point.sign_from is not None

    inverters = [device for device in library.values() if device.kind == "inverter"]
    assert [device.id for device in inverters if not negative(device, "power_mw")] == []
    assert [d.id for d in inverters if "dc_power_mw" in d.points and not negative(d, "dc_power_mw")] == []
    batteries = [device for device in library.values() if device.kind == "battery"]
    unsigned = [
        device.id
        for device in batteries
        if not negative(device, "power_mw") and device.points["power_mw"].type not in ("s16", "s32", "s64", "f32")
    ]
    assert unsigned == []


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://github.com/volkszaehler/mbmd/blob/fb8f9c22/meters/rs485/sdm.go", True),
        ("http://www.keba.com/download/x.pdf", True),
        ("https://8.8.8.8/map.pdf", True),
        ("ftp://www.keba.com/download/x.pdf", False),
        ("https://www.keba.com/", False),
        ("https://192.168.1.4/map.pdf", False),
        ("https://charger.local/map.pdf", False),
        ("https://localhost/map.pdf", False),
        ("https://example.com/map.pdf", False),
        ("https://www.keba..com/map.pdf", False),
        ("https://www.keba.com/a map.pdf", False),
    ],
)
def test_an_address_that_nobody_can_open_is_noticed(url: str, public: bool):
    assert (doubtful_url(url) == "") is public


def test_two_files_of_one_project_are_one_source(library: dict[Path, DeviceFile]):
    device = next(each for each in library.values() if two_sourced(each) == 100)
    assert two_sourced(device) == 100
    first = next(iter(device.sources.values()))
    assert two_sourced(msgspec.structs.replace(device, sources=dict.fromkeys(device.sources, first))) == 0


def test_a_charger_that_does_not_speak_of_silence_is_noticed(library: dict[Path, DeviceFile]):
    device = next(each for each in library.values() if each.id == "keba-p30")
    assert silent_words(device) == ""
    replace = msgspec.structs.replace
    assert "nothing about" in silent_words(replace(device, evidence="both sources agree on all registers"))
    assert device.abilities is not None
    assert "keepalive" in silent_words(replace(device, abilities=replace(device.abilities, keepalive=None)))
    told = {name: item for name, item in device.commands.items() if name not in ("failsafe_ma", "enable")}
    assert "falls back" in silent_words(replace(device, commands=told))
