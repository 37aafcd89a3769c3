"""Device files from disk: typed and checked, every fault with its file, line, place and what to do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from pilotwire.core.errors import ConfigError

from .check import check_device
from .schema import Abilities, Command, DeviceFile, Identify, Modbus, Outlets, Point, Source, SunSpec

LIBRARY = Path(__file__).parent / "library"
"""The files that come with the package: `<kind>s/<id>.yaml`."""

_Place = tuple[Hashable, ...]
_ITEMS: dict[str, type] = {"sources": Source, "points": Point, "commands": Command}
_SECTIONS: dict[str, type] = {
    "modbus": Modbus,
    "abilities": Abilities,
    "sunspec": SunSpec,
    "outlets": Outlets,
    "identify": Identify,
}
_FOLDERS = {
    "charger": "chargers", "meter": "meters", "inverter": "inverters", "battery": "batteries", "load": "loads",
    "contacts": "contacts",
}  # fmt: skip


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong in a file."""

    file: str
    line: int
    where: str
    """Path in the file: points.state.map."""
    text: str
    """What is wrong, and what to do."""

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.where}: {self.text}"
            if self.where
            else f"{self.file}:{self.line}: {self.text}"
        )


class FaultyFile(ConfigError):
    """A device file that cannot be used."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def load_device(path: Path | str) -> DeviceFile:
    """A file that has no fault. Raises FaultyFile with all that were found."""
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaultyFile([Fault(path.name, 0, "", f"cannot be read: {error}")]) from None
    return parse_device(text, path.name, path.parent.name if path.parent.name in _FOLDERS.values() else None)


def parse_device(text: str, name: str = "device.yaml", folder: str | None = None) -> DeviceFile:
    """A device file's text; `name` is its file's. In a `folder` of the library its kind has to fit.

    Raises FaultyFile.
    """
    data, lines, faults = _read(text, name)
    if faults:
        raise FaultyFile(faults)

    def fault(place: _Place, words: str) -> Fault:
        return Fault(name, _line(lines, place), ".".join(map(str, place)), words)

    try:
        device = msgspec.convert(data, DeviceFile)
    except msgspec.ValidationError as error:
        raise FaultyFile(_piecewise(data, fault) or [fault((), _words(error))]) from None
    faults = [fault(place, words) for place, words in check_device(device)]
    if device.id != Path(name).stem:
        faults.append(fault(("id",), f"the file is called {name}: name it {device.id}.yaml, or change the id"))
    if folder is not None and folder != _FOLDERS[device.kind]:
        faults.append(fault(("kind",), f"a {device.kind} belongs into the folder {_FOLDERS[device.kind]}/"))
    if faults:
        raise FaultyFile(sorted(faults, key=lambda each: each.line))
    return device


def library_paths(folder: Path = LIBRARY) -> list[Path]:
    """All files of a library, by id."""
    return sorted(folder.glob("*/*.yaml"), key=lambda path: path.stem)


def load_library(folder: Path = LIBRARY) -> dict[str, DeviceFile]:
    """All devices of a library by id. Raises FaultyFile with the faults of all files."""
    found: dict[str, DeviceFile] = {}
    faults: list[Fault] = []
    for path in library_paths(folder):
        try:
            device = load_device(path)
        except FaultyFile as error:
            faults += error.faults
            continue
        if device.id in found:
            faults.append(Fault(path.name, 1, "id", f"there are two devices called {device.id}"))
        found[device.id] = device
    if faults:
        raise FaultyFile(faults)
    return found


def find_device(name: str, folder: Path = LIBRARY) -> DeviceFile:
    """The device with an id, or in a file. Raises FaultyFile, or ConfigError where there is none."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return load_device(name)
    for path in library_paths(folder):
        if path.stem == name:
            return load_device(path)
    from difflib import get_close_matches

    near = get_close_matches(name, [path.stem for path in library_paths(folder)], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `pilotwire device list` names them all"
    raise ConfigError(f"there is no device {name!r}{hint}")


def _read(text: str, name: str) -> tuple[Any, dict[_Place, int], list[Fault]]:
    """The data of a YAML text, the line of each place in it, and what is wrong with it as YAML."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    lines: dict[_Place, int] = {}
    faults: list[Fault] = []

    def walk(node: Any, place: _Place) -> None:
        lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: set[Hashable] = set()
            for key_node, value in node.value:
                key = cast(Hashable, loader.construct_object(key_node))
                line = key_node.start_mark.line + 1
                if key in seen:
                    faults.append(Fault(name, line, ".".join(map(str, (*place, key))), "is there twice: remove one"))
                seen.add(key)
                lines[*place, key] = line
                walk(value, (*place, key))
        elif isinstance(node, yaml.SequenceNode):
            for at, value in enumerate(node.value):
                walk(value, (*place, at))

    try:
        node = loader.get_single_node()
        if node is None:
            return None, lines, [Fault(name, 1, "", "the file is empty")]
        walk(node, ())
        return loader.construct_document(node), lines, faults
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        words = getattr(error, "problem", None) or str(error)
        return None, lines, [Fault(name, mark.line + 1 if mark else 1, "", f"is no YAML: {words}")]
    except (TypeError, ValueError, RecursionError) as error:
        return None, lines, [Fault(name, 1, "", f"is no YAML that can be used: {error}")]
    finally:
        loader.dispose()


def _piecewise(data: Any, fault: Callable[[_Place, str], Fault]) -> list[Fault]:
    """The faults one by one: msgspec names the first alone, and not the key that it is under."""
    if not isinstance(data, Mapping):
        return [fault((), "a device file is a mapping: id, kind, vendor, ...")]
    document = cast(Mapping[str, Any], data)
    found: list[Fault] = []

    def attempt(value: Any, kind: Any, place: _Place) -> None:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$")
            inner = [part for part in path.rstrip("`").replace("[", ".[").split(".") if part and part != "[...]"]
            deeper: list[Hashable] = [int(part[1:-1]) if part[1:-1].isdigit() else part for part in inner]
            found.append(fault((*place, *deeper), _words_of(text, kind)))

    for section, kind in _ITEMS.items():
        items: Any = document.get(section)
        if isinstance(items, Mapping):
            for key, value in cast(Mapping[Any, Any], items).items():
                attempt(value, kind, (section, key))
    for section, kind in _SECTIONS.items():
        if document.get(section) is not None:
            attempt(document[section], kind, (section,))
    rest = {key: value for key, value in document.items() if key not in _ITEMS and key not in _SECTIONS}
    rest |= {key: {} for key in _ITEMS if isinstance(document.get(key), Mapping)}
    rest |= {key: document[key] for key in _ITEMS if key in document and key not in rest}
    rest |= {"modbus": {}} if "modbus" in document else {}
    attempt(rest, DeviceFile, ())
    return found


def _words(error: Exception) -> str:
    return _words_of(str(error), DeviceFile)


def _words_of(text: str, kind: Any) -> str:
    """msgspec's words in a file's terms."""
    if "contains unknown field" in text:
        from difflib import get_close_matches

        wrong = text.split("`")[1]
        names = msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()
        known = [each.encode_name for each in names]
        near = get_close_matches(wrong, known, 1)
        return f"there is no field {wrong!r} here" + (f"; did you mean {near[0]}?" if near else f": {', '.join(known)}")
    return text.replace("Object missing required field", "the field is missing:").replace("`", "")


def line_of(text: str, place: tuple[Hashable, ...]) -> int:
    """The line of a place of a YAML text, or of what it lies in."""
    return _line(_read(text, "")[1], place)


def _line(lines: Mapping[_Place, int], place: _Place) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)
