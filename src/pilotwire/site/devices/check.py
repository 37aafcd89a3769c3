"""What is wrong with a device file though each line of it is well formed: places and words, for `load`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches

from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.planner import ReadLimits, Want, plan
from pilotwire.protocols.modbus.values import encode_value
from pilotwire.site.ports import POINTS

from .registers import FUNCTIONS, command_field, width
from .schema import Command, DeviceFile, Extra, Mark, Point

TOLD = frozenset({
    "limit_ma", "limit_mw", "enable", "phase_switch", "failsafe_ma", "failsafe_mw", "watchdog_ms", "alive",
    "unlock", "restart",
    "charge_limit_mw", "discharge_limit_mw", "setpoint_mw", "power_limit_mw", "power_limit_permille", "limit_enable",
    "revert_ms", "soc_reserve_permille", "mode", "feed_in_limit_mw",
})  # fmt: skip
"""The names that a command may have."""
TEXT = frozenset({"serial", "model", "firmware", "id_token"})
"""Points that are text where a device has it as text."""
STATES = frozenset("ABCDEF")

_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "charger": (("state",), ("power_mw", "current_l1_ma", "current_ma")),
    "meter": (("power_mw", "current_l1_ma"),),
    "inverter": (("power_mw",),),
    "battery": (("soc_permille",), ("power_mw", "battery_mw")),
    "load": (("power_mw",),),
    "contacts": (("input_1",),),
}
_Place = tuple[str | int, ...]
_Found = Iterator[tuple[_Place, str]]


def check_device(device: DeviceFile) -> _Found:
    """Every fault: its place in the file, and what is wrong with it."""
    yield from _head(device)
    for name, point in device.points.items():
        yield from _point(device, name, point)
    for name, command in device.commands.items():
        yield from _command(device, name, command)
    yield from _cycles(device)
    yield from _overlaps(device)
    yield from _readable(device)
    yield from _failsafe(device)


def _head(device: DeviceFile) -> _Found:
    if not device.sources:
        yield ("sources",), "name where the registers were read: at least one source"
    for name, source in device.sources.items():
        if not source.url.startswith(("https://", "http://")):
            yield ("sources", name, "url"), f"{source.url!r} is no address of a page"
    if not device.models:
        yield ("models",), "name at least one model"
    if len(device.evidence.split()) < 4:
        yield ("evidence",), "say which registers the sources agree on"
    for one_of in _NEEDED[device.kind]:
        if not any(name in device.points for name in one_of):
            yield ("points",), f"a {device.kind} needs {' or '.join(one_of)}"
    for name in device.simulate:
        if name not in device.points:
            yield ("simulate", name), "there is no such point here"
    if device.outlets and not device.outlets.stride and not device.outlets.units:
        yield ("outlets",), "say by how much its addresses (stride) or its unit (units) move from outlet to outlet"
    if "tcp" not in device.modbus.transports and device.modbus.unit in (0, 255):
        yield ("modbus", "unit"), f"{device.modbus.unit} is no address on a serial line: 1 to 247"
    for first, last in device.modbus.forbidden:
        if first > last:
            yield ("modbus", "forbidden"), f"[{first}, {last}] ends before it begins"
    if device.sunspec and any(model in (0, 0xFFFF) for model in device.sunspec.models):
        yield ("sunspec", "models"), "model numbers are 1 to 65534"


def _point(device: DeviceFile, name: str, point: Point) -> _Found:
    here: _Place = ("points", name)
    helper = name.startswith("_")
    if not helper and name not in POINTS:
        yield here, _unknown(name, POINTS)
    forms = [
        form for form in ("address", "sunspec", "sum", "product", "cases") if getattr(point, form) not in (None, ())
    ]
    if len(forms) != 1:
        told = " and ".join(forms) or "none"
        yield here, f"a point has exactly one of address, sunspec, sum, product and cases; here is {told}"
        return
    if forms[0] in ("address", "sunspec"):
        yield from _cited(device, here, point.from_)
    if forms[0] == "sunspec" and device.sunspec is None:
        yield (*here, "sunspec"), "the file has no section sunspec that names the models"
    if forms[0] == "address":
        yield from _register(here, point, point.table)
        if point.type == "string" and not helper and name not in TEXT and not point.map:
            yield (*here, "type"), f"{name} is a number: a string needs a map"
    if helper and name not in _used(device):
        yield here, "nothing here uses this helper: remove it, or name it as a point"
    if not point.scale or not point.scale.is_finite() or not point.offset.is_finite():
        yield (*here, "scale"), f"a scale is a number other than 0, not {point.scale}"
    if point.valid is not None and point.valid[0] > point.valid[1]:
        yield (*here, "valid"), f"{list(point.valid)} ends before it begins"
    yield from _mapped(here, name, point)
    for other in sorted(_names(point)):
        if other not in device.points:
            yield (*here, forms[0]), f"there is no point {other} here"
        elif other in TEXT or (other == "state" and forms[0] != "cases"):
            yield (*here, forms[0]), f"{other} is no number"


def _mapped(here: _Place, name: str, point: Point) -> _Found:
    outs = [*point.map.values(), *(case.is_ for case in point.cases)]
    if name == "state" and not outs:
        yield here, "a state needs a map or cases, that say which of A to F each value is"
    for value in outs:
        if name == "state" and value not in STATES:
            yield (*here, "map" if point.map else "cases"), f"{value!r} is none of A to F"
        elif name != "state" and isinstance(value, str) and name not in TEXT:
            yield (*here, "map" if point.map else "cases"), f"{value!r} is no number"
    for at, case in enumerate(point.cases):
        if not case.when and at != len(point.cases) - 1:
            yield (*here, "cases", at), "a case without `when` is always true: what follows it is never looked at"


def _register(here: _Place, item: Point | Command, table: str) -> _Found:
    if (table in ("coils", "discrete")) != (item.type == "bit"):
        yield (*here, "type"), "coils and discrete inputs are of type bit, and nothing else is"
        return
    if isinstance(item, Point):
        if (item.type == "string") != (item.length > 0):
            yield (*here, "length"), "a string has a length in registers, and nothing else has"
            return
        if item.mask is not None and (item.type[0] != "u" or item.mask >> 16 * width(item.type)):
            yield (*here, "mask"), f"a mask belongs to an unsigned integer and lies within it, not to {item.type}"
        if item.map and item.type == "bit" and set(item.map) - {0, 1}:
            yield (*here, "map"), "a bit is 0 or 1"
        if (item.type == "string") != all(isinstance(key, str) for key in item.map) and item.map:
            yield (*here, "map"), "the raw values of a string are texts (in quotes), of everything else numbers"
    elif item.type == "string":
        yield (*here, "type"), "a command is a number"
        return
    assert item.address is not None
    last = item.address + width(item.type, item.length if isinstance(item, Point) else 0) - 1
    if last > 0xFFFF:
        yield (*here, "address"), f"a {item.type} at {item.address} ends at {last}, behind the last address 65535"


def _command(device: DeviceFile, name: str, command: Command) -> _Found:
    here: _Place = ("commands", name)
    if name not in TOLD:
        yield (
            here,
            f"{name} is nothing that can be told" if name in POINTS else _unknown(name, {each: "" for each in TOLD}),
        )
    if (command.address is None) == (not command.sunspec):
        yield here, "a command has either an address or sunspec"
        return
    yield from _cited(device, here, command.from_)
    if command.sunspec and device.sunspec is None:
        yield (*here, "sunspec"), "the file has no section sunspec that names the models"
    if not command.scale or not command.scale.is_finite():
        yield (*here, "scale"), f"a scale is a number other than 0, not {command.scale}"
        return
    if command.address is not None:
        faults = list(_register(here, command, command.table))
        yield from faults
        if command.function is not None and not faults:
            coil, single = command.table == "coils", width(command.type) == 1
            if (command.function in (5, 15)) != coil or (command.function == 6 and not single):
                yield (
                    (*here, "function"),
                    f"function {command.function} does not write a {command.type} in {command.table}",
                )
        if not faults:
            yield from _range(here, device, command)
    for part, extras in (("before", command.before), ("after", command.after)):
        for at, extra in enumerate(extras):
            if (extra.address is None) == (not extra.sunspec):
                yield (*here, part, at), "an extra register has either an address or sunspec"
            elif (extra.table == "coils") != (extra.type == "bit"):
                yield (*here, part, at, "type"), "coils are of type bit, and nothing else is"
    if command.verify not in (None, "self", "none") and command.verify not in device.points:
        yield (*here, "verify"), f"there is no point {command.verify} here"
    if len(set(command.map.values())) != len(command.map):
        yield (*here, "map"), "two raw values mean the same: which one should be written?"
    if command.map and command.range:
        yield (*here, "range"), "a map names all values there are: no range beside it"
    if command.wear and command.min_ms == 0 and device.abilities and device.abilities.keepalive == name:
        yield (*here, "wear"), "what is repeated to keep a watchdog content must not wear: use another keepalive"


def _range(here: _Place, device: DeviceFile, command: Command) -> _Found:
    if command.range is None:
        return
    low, high = command.range
    if low > high:
        yield (*here, "range"), f"{[low, high]} ends before it begins"
        return
    if command.pause is not None and low <= command.pause <= high:
        yield (*here, "pause"), f"{command.pause} lies within the range: then it is no pause"
    if command.sf is not None or command.type == "bit":
        return
    ends = [low, high] if command.pause is None else [low, high, command.pause]
    for end in ends:
        number = Decimal(abs(end) if command.magnitude else -end if command.invert else end) - command.offset
        try:
            encode_value(command_field(command, device.modbus), number, rounding="down")
        except RequestError as error:
            yield (*here, "range"), f"{end} cannot be written: {error}"


def _cited(device: DeviceFile, here: _Place, names: tuple[str, ...]) -> _Found:
    if not names:
        yield here, "say in which source this was read: from: [a]"
    for name in names:
        if name not in device.sources:
            yield (*here, "from"), f"there is no source {name} here; there are {', '.join(device.sources)}"


def _cycles(device: DeviceFile) -> _Found:
    state: dict[str, int] = {}

    def visit(name: str) -> bool:
        if state.get(name) == 1:
            return True
        if name in state or name not in device.points:
            return False
        state[name] = 1
        circular = any([visit(other) for other in sorted(_names(device.points[name]))])
        state[name] = 2
        return circular

    for name in device.points:
        if visit(name):
            yield ("points", name), "is made from itself"


def _overlaps(device: DeviceFile) -> _Found:
    """Two values that share a part of their registers cannot both be right."""
    spans: list[tuple[str, int, int, str, object, _Place]] = []
    for name, point in device.points.items():
        if point.address is not None and point.type != "bit":
            key = (point.type, point.length, point.mask)
            stop = point.address + width(point.type, point.length)
            spans.append((point.table, point.address, stop, name, key, ("points", name)))
    seen: dict[tuple[str, int], str] = {}
    for name, command in device.commands.items():
        if command.address is None:
            continue
        if command.type != "bit":
            stop = command.address + width(command.type)
            spans.append((command.table, command.address, stop, name, (command.type, 0, None), ("commands", name)))
        other = seen.setdefault((command.table, command.address), name)
        if other != name and not (command.map and device.commands[other].map):
            yield ("commands", name), f"writes the register that {other} writes: which is it?"
    spans.sort(key=lambda each: (each[0], each[1], each[2]))
    for at, (table, start, stop, name, key, place) in enumerate(spans):
        for other_table, other_start, other_stop, other, other_key, other_place in spans[at + 1 :]:
            if other_table != table or other_start >= stop:
                break
            same = (start, stop) == (other_start, other_stop)
            masks = (
                isinstance(key, tuple)
                and isinstance(other_key, tuple)
                and (key[2] is not None or other_key[2] is not None)
            )
            both_read = place[0] == other_place[0] == "points"
            if not same:
                yield (
                    other_place,
                    (
                        f"lies at {other_start} to {other_stop - 1}, across {name} at {start} to {stop - 1}:"
                        " one address or type is wrong"
                    ),
                )
            elif (
                both_read
                and key == other_key
                and not masks
                and not _helper(name, other)
                and not _differ(device, name, other)
            ):
                yield other_place, f"reads the very register of {name} in the very same way: one address is wrong"


def _helper(*names: str) -> bool:
    return any(name.startswith("_") for name in names)


def _differ(device: DeviceFile, one: str, other: str) -> bool:
    """Whether two points make different things of one register (its sign, a map), as meters of one phase do."""
    a, b = device.points[one], device.points[other]
    return (a.scale, a.invert, a.map, a.valid, a.sf) != (b.scale, b.invert, b.map, b.valid, b.sf)


def _readable(device: DeviceFile) -> _Found:
    modbus = device.modbus
    limits = ReadLimits(registers=modbus.max_registers, forbidden=modbus.forbidden, borders=modbus.borders)
    for name, point in device.points.items():
        if point.address is None:
            continue
        count = width(point.type, point.length)
        try:
            plan([Want(FUNCTIONS[point.table], point.address, count)], limits)
        except RequestError:
            if point.address + count <= 0x10000:
                yield (
                    ("points", name),
                    (
                        f"{count} registers at {point.address} cannot be read: the section modbus allows"
                        f" {modbus.max_registers} at once, and forbids some addresses"
                    ),
                )


def _failsafe(device: DeviceFile) -> _Found:
    abilities, commands = device.abilities, device.commands
    if device.kind == "charger" and abilities is None:
        yield ("abilities",), "a charger needs abilities: minimum_ma, step_ma, phases, keepalive"
    if device.kind == "charger" and not {"limit_ma", "limit_mw", "enable"} & set(commands):
        yield ("commands",), "a charger that cannot be told anything is a meter: it needs limit_ma, limit_mw or enable"
    settable = [name for name in ("failsafe_ma", "failsafe_mw") if name in commands]
    watchdog = "watchdog_ms" in commands or (abilities is not None and abilities.watchdog_ms is not None)
    if settable and not watchdog:
        yield (
            ("commands", settable[0]),
            "a fail-safe without a watchdog never comes: name watchdog_ms, as command or ability",
        )
    if abilities is None:
        return
    fixed = abilities.failsafe_ma is not None or abilities.failsafe_mw is not None
    if watchdog and not settable and not fixed:
        yield ("abilities",), "a watchdog without a fail-safe: say in failsafe_ma what the device falls back to"
    if watchdog and abilities.keepalive is None:
        yield ("abilities", "keepalive"), 'say what keeps the watchdog content: a command\'s name, or "read"'
    if abilities.keepalive not in (None, "read") and abilities.keepalive not in commands:
        yield ("abilities", "keepalive"), f"there is no command {abilities.keepalive} here"
    if abilities.phase_switching != ("phase_switch" in commands):
        yield ("abilities", "phase_switching"), "is true exactly where there is a command phase_switch"
    if not 0 < abilities.minimum_ma <= abilities.maximum_ma or abilities.step_ma < 1:
        yield ("abilities",), "minimum_ma, maximum_ma and step_ma do not fit together"


def _names(point: Point) -> set[str]:
    found = {name.removeprefix("-") for name in point.sum} | set(point.product)
    return found.union(*(case.when for case in point.cases))


def _used(device: DeviceFile) -> set[str]:
    named = {command.verify for command in device.commands.values() if command.verify is not None}
    return named.union(*(_names(point) for point in device.points.values()))


def _unknown(name: str, known: Mapping[str, str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"there is no name {name!r}" + (f"; did you mean {near[0]}?" if near else " in site.ports.POINTS")


__all__ = ["STATES", "TEXT", "TOLD", "Extra", "Mark", "check_device"]
