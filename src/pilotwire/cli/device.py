"""`pilotwire device`: chargers, meters, inverters and batteries on Modbus, each described in one file."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotwire.cli.options import parser, positive
from pilotwire.cli.table import show
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.site.devices.schema import Command, DeviceFile, Point

_PLURALS = {
    "charger": "chargers", "meter": "meters", "inverter": "inverters", "battery": "batteries", "load": "loads",
    "contacts": "contacts",
}  # fmt: skip
KINDS = tuple(_PLURALS)

EXAMPLES = """examples:
  pilotwire device list --kind charger            what we know how to speak to
  pilotwire device show keba-p30                  its registers, commands, fail-safe, and where that was read
  pilotwire device scan 10.0.0.5                  which units answer there, and which file fits them
  pilotwire device scan /dev/ttyUSB0 --units 1-32
  pilotwire device new my-meter --kind meter      begin a file of your own
  pilotwire device test my-meter.yaml             check the file, and drive its simulated device
  pilotwire device test my-meter.yaml 10.0.0.5    read the real device with it, and say what cannot be
  pilotwire device simulate keba-p30 --port 1502  a device to try things on

Devices are named by the id of a file of the library, or by the path of a file (my-meter.yaml).
"""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Devices on Modbus: list, describe, find, test and simulate them.")
    options.epilog = EXAMPLES
    commands = options.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(word: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            word,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    each = command("list", "the devices of the library")
    each.add_argument("--kind", choices=KINDS, help="these alone")
    each.add_argument("words", nargs="*", metavar="WORD", help="only devices whose vendor, models or id have the words")
    each.add_argument("--json", action="store_true", help="one JSON object a line")

    each = command("show", "registers, commands, fail-safe and sources of a device")
    each.add_argument("device", metavar="ID|FILE")
    each.add_argument("--json", action="store_true", help="the whole file as JSON")

    each = command("new", "begin a device file")
    each.add_argument("id", help="its name: lower case letters, digits and hyphens; the file is ID.yaml, here")
    each.add_argument("--kind", choices=KINDS, default="meter", help="what it is (%(default)s)")
    each.add_argument("--like", metavar="ID", help="begin with a copy of a file of the library")

    each = command("test", "check a device file, and read a simulated or the real device with it")
    each.add_argument("device", metavar="ID|FILE")
    each.add_argument("endpoint", nargs="?", metavar="ENDPOINT", help="the real device; without it: a simulated one")
    _bus(each)
    each.add_argument("--unit", type=_unit, help="the unit, where it is not the file's")
    each.add_argument("--outlet", type=positive, default=1, help="the outlet of a device with several (1)")
    each.add_argument("--seconds", type=positive, default=10, help="how long the real device is read (%(default)s)")
    each.add_argument(
        "--tell",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_told,
        help="write this to the real device and read it back: limit_ma=10000; nothing is written without it",
    )
    each.add_argument("--json", action="store_true", help="one JSON object")

    each = command("scan", "which units answer at an endpoint, and which file fits them; nothing is written")
    each.add_argument("endpoint", metavar="HOST[:PORT]|/dev/tty…|URL")
    _bus(each)
    each.add_argument(
        "--units",
        type=_units,
        metavar="1-10,255",
        help="which to try (TCP: 1-10 and those that files name; a serial line: 1-32)",
    )
    each.add_argument("--timeout", type=positive, default=400, metavar="MS", help="for each answer (%(default)s ms)")
    each.add_argument("--json", action="store_true", help="one JSON object a unit")

    each = command("simulate", "a simulated device, over TCP or a serial line, until Ctrl-C")
    each.add_argument(
        "device", metavar="ID|FILE", nargs="+", help="several are units behind one another, from --unit on"
    )
    each.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    each.add_argument("--port", type=int, default=1502, help="TCP port, 0 for any (%(default)s)")
    each.add_argument("--serial", metavar="/dev/tty…", help="a serial line instead, with the device's own settings")
    each.add_argument("--unit", type=_unit, help="the first unit, where it is not the file's")
    each.add_argument(
        "--plug", type=int, default=3, metavar="S", help="a car is plugged in after so many seconds (%(default)s)"
    )
    each.add_argument(
        "--clients", default="127.0.0.0/8,::1/128", metavar="NETWORKS", help="who may connect (%(default)s)"
    )
    each.add_argument("--seconds", type=positive, help="end after so long")

    chosen = options.parse_args(arguments)
    if chosen.command in ("test", "scan", "simulate"):
        from pilotwire.cli import device_live

        return asyncio.run(getattr(device_live, chosen.command)(chosen))
    return {"list": _list, "show": _show, "new": _new}[chosen.command](chosen)


def _bus(to: argparse.ArgumentParser) -> None:
    to.add_argument("--baud", type=positive, help="of a serial line, where it is not the file's (a scan: 9600)")
    to.add_argument(
        "--parity", choices=("N", "E", "O"), help="of a serial line, where it is not the file's (a scan: N)"
    )


def _unit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 255:
        raise argparse.ArgumentTypeError(f"{text!r} is no unit: 0 to 255")
    return int(text)


def _units(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = _unit(first), _unit(last or first)
        if low > high:
            raise argparse.ArgumentTypeError(f"{part!r} ends before it begins")
        found += range(low, high + 1)
    return list(dict.fromkeys(found))


def _told(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    try:
        return name, int(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, as in limit_ma=10000") from None


def _list(chosen: argparse.Namespace) -> int:
    from pilotwire.site.devices.load import load_library

    devices = [device for device in load_library().values() if _wanted(device, chosen)]
    rows = [
        {
            "id": device.id,
            "kind": device.kind,
            "vendor": device.vendor,
            "models": ", ".join(device.models) if not chosen.json else list(device.models),
            "points": sum(not name.startswith("_") for name in device.points),
            "commands": ", ".join(device.commands) if not chosen.json else list(device.commands),
            "sources": len(device.sources),
            "over": ", ".join(device.modbus.transports) if not chosen.json else list(device.modbus.transports),
        }
        for device in sorted(devices, key=lambda device: (KINDS.index(device.kind), device.id))
    ]
    if not chosen.json:
        for row in rows:
            row["models"] = _short(str(row["models"]), 44)
            row["commands"] = _short(str(row["commands"]), 34)
    columns = {
        "id": "ID",
        "kind": "KIND",
        "over": "OVER",
        "points": "POINTS",
        "models": "MODELS",
        "commands": "CAN BE TOLD",
    }
    show(rows, columns, as_json=chosen.json, empty="no device has these words; `pilotwire device list` names them all")
    if rows and not chosen.json:
        counts = [(kind, sum(device.kind == kind for device in devices)) for kind in KINDS]
        parts = [f"{count} {_PLURALS[kind] if count != 1 else kind}" for kind, count in counts if count]
        agree = sum(
            len({source for point in device.points.values() for source in point.from_}) > 1 for device in devices
        )
        print(f"\n{', '.join(parts)}; {agree} of them read in two sources or more")
    return 0 if rows else 1


def _wanted(device: DeviceFile, chosen: argparse.Namespace) -> bool:
    text = " ".join((device.id, device.vendor, *device.models)).lower()
    return (chosen.kind in (None, device.kind)) and all(word.lower() in text for word in chosen.words)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _show(chosen: argparse.Namespace) -> int:
    import msgspec

    from pilotwire.site.devices.load import find_device

    device = find_device(chosen.device)
    if chosen.json:
        print(json.dumps(msgspec.to_builtins(device, str_keys=True), ensure_ascii=False))
        return 0
    modbus = device.modbus
    print(f"{device.vendor}: {', '.join(device.models)}")
    print(f"{device.kind}, unit {modbus.unit}, over {', '.join(modbus.transports)}", end="")
    if "rtu" in modbus.transports:
        print(f" ({modbus.serial.baud} baud, parity {modbus.serial.parity}, {modbus.serial.stop_bits} stop)", end="")
    print(f"; {modbus.max_registers} registers at once" + (f", {modbus.clients} client(s)" if modbus.clients else ""))
    if device.outlets:
        print(f"{device.outlets.count} outlets: addresses as of the first")
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "where": _where(point),
            "type": _type(point),
            "worth": _worth(name, point),
            "from": "".join(point.from_),
        }
        for name, point in device.points.items()
    ]
    print()
    show(
        rows,
        {"name": "IT SAYS", "where": "WHERE", "type": "TYPE", "worth": "ONE IS", "from": "READ IN"},
        as_json=False,
        empty="",
    )
    if device.commands:
        print()
        told = [
            {
                "name": name,
                "where": _where(command),
                "type": _type(command),
                "worth": _worth(name, command),
                "range": _range(name, command),
                "verify": command.verify or ("same name" if name in device.points else "itself"),
                "from": "".join(command.from_),
            }
            for name, command in device.commands.items()
        ]
        columns = {"name": "CAN BE TOLD", "where": "WHERE", "type": "TYPE", "worth": "ONE IS", "range": "FROM … TO"}
        show(told, {**columns, "verify": "READ BACK AT", "from": "READ IN"}, as_json=False, empty="")
    print()
    if device.abilities:
        print(_silence(device))
    print("Evidence: " + device.evidence.strip())
    for name, source in device.sources.items():
        version = f", {source.version}" if source.version else ""
        print(f"  {name}  {source.publisher}: {source.title}{version}\n     {source.url}")
    return 0


def _silence(device: DeviceFile) -> str:
    able = device.abilities
    assert able is not None
    falls = [value for value in (able.failsafe_ma, able.failsafe_mw) if value is not None]
    settable = "failsafe_ma" in device.commands or "failsafe_mw" in device.commands
    if not settable and not falls:
        return "Left alone: it keeps what it was told last. It has no fail-safe of its own.\n"
    to = "what failsafe_ma was set to" if settable else f"{falls[0] / 1000:g} A"
    after = "after watchdog_ms" if "watchdog_ms" in device.commands else f"after {(able.watchdog_ms or 0) / 1000:g} s"
    return f"Left alone: {after} it falls back to {to}. Kept content by: {able.keepalive}.\n"


def _where(item: Point | Command) -> str:
    if item.sunspec:
        return "SunSpec " + (item.sunspec if isinstance(item.sunspec, str) else " or ".join(item.sunspec))
    if item.address is not None:
        return f"{item.table} {item.address} (0x{item.address:04X})"
    for form in ("sum", "product"):
        if names := getattr(item, form, ()):
            return (" + " if form == "sum" else " × ").join(names).replace("+ -", "− ")
    return "by cases: " + ", ".join(sorted({name for case in getattr(item, "cases", ()) for name in case.when}))


def _type(item: Point | Command) -> str:
    if item.address is None:
        return ""
    words = f" {item.word_order} words first" if item.word_order else ""
    return item.type + words + (f" & 0x{mask:X}" if (mask := getattr(item, "mask", None)) else "")


def _worth(name: str, item: Point | Command) -> str:
    from pilotwire.site.ports import POINTS

    if item.map:
        return ", ".join(f"{raw}={ours}" for raw, ours in list(item.map.items())[:6]) + (
            "…" if len(item.map) > 6 else ""
        )
    unit = POINTS.get(name, "")
    if item.type == "string" or unit in ("text", "A to F", ""):
        return ""
    scale = f"{item.scale.normalize():f}"
    times = " × " if unit[0].isdigit() else " "
    return f"{'-' if item.invert else ''}{scale}{times}{unit}" + (" × 10^sf" if item.sf is not None else "")


def _range(name: str, command: Command) -> str:
    from pilotwire.cli.device_words import words

    if command.range is None:
        return ""
    pause = f", or {words(name, command.pause)}" if command.pause is not None else ""
    return f"{words(name, command.range[0])} … {words(name, command.range[1])}{pause}"


def _new(chosen: argparse.Namespace) -> int:
    from pathlib import Path

    from pilotwire.cli.device_words import template
    from pilotwire.site.devices.load import library_paths

    path = Path(f"{chosen.id}.yaml")
    if path.exists():
        raise ConfigError(f"{path} is there already")
    if chosen.like:
        source = next((each for each in library_paths() if each.stem == chosen.like), None)
        if source is None:
            raise ConfigError(f"there is no device {chosen.like!r}; `pilotwire device list` names them all")
        text = source.read_text("utf-8").replace(f"id: {chosen.like}", f"id: {chosen.id}", 1)
    else:
        text = template(chosen.id, chosen.kind)
    from pilotwire.site.devices.load import FaultyFile, parse_device

    try:
        parse_device(text, path.name)
    except FaultyFile as error:
        if any(fault.where == "id" for fault in error.faults):
            raise ConfigError(f"{chosen.id!r} is no name: lower case letters, digits and single hyphens") from None
        raise
    path.write_text(text, "utf-8")
    print(
        f"{path} is there. Put in the registers, and where you read them; then: pilotwire device test {path}",
        file=sys.stderr,
    )
    return 0
