"""The `pilotwire` command. Help is plain text from the table below; a command is imported only when it is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "everything on one machine: central system, console and a living demo site"),
    "csms": ("run", "the central system alone (run without the demo)"),
    "site": ("site", "one site: fuses, chargers, meters, each second; `site demo` shows it"),
    "station": ("station", "one simulated charging station, or thousands, against any central system"),
    "ev": ("ev", "a vehicle that charges at any station by ISO 15118 or DIN 70121"),
    "stations": ("stations", "add, list or show stations"),
    "tokens": ("tokens", "add, list or remove the tokens that may charge"),
    "users": ("users", "add, list or remove people who may log in; make API keys"),
    "audit": ("audit", "read, export or verify the audit log"),
    "sessions": ("sessions", "list charging sessions"),
    "send": ("send", "send a command to a station and print its answer"),
    "top": ("top", "watch stations, sessions, messages, lag and alarms in the terminal"),
    "tail": ("tail", "watch frames as they pass"),
    "decode": ("decode", "explain OCPP frames, EXI (`decode exi`), captures (`decode v2g`), CAN logs (`decode can`)"),
    "explain": ("explain", "say why a charging session ended, from a capture or a CAN log"),
    "device": ("device", "Modbus chargers, meters, inverters, batteries: list, show, find, test, simulate"),
    "dbc": ("dbc", "print the messages of CHAdeMO or GB/T 27930 as a DBC file"),
    "encode": ("encode", "write an EXI stream (`encode exi`)"),
    "pki": ("pki", "make a whole test PKI of Plug & Charge"),
    "check": ("check", "check any CSMS or charging station against the standard"),
    "doctor": ("doctor", "check this machine and this installation"),
    "backup": ("backup", "copy the store while it is running"),
    "restore": ("backup", "bring a backup back into an empty store"),
    "journal": ("journal", "verify the journal, or rebuild all state from it"),
    "docs": ("docs", "read the guides in a browser, or build them as a site"),
    "bench": ("bench", "measure what this machine can do"),
}


def usage() -> str:
    """The text of `pilotwire --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    return (
        "Pilotwire: the open stack for every conversation behind an EV charging session\n\n"
        f"usage: pilotwire COMMAND [options]\n\n{rows}\n\n"
        "`pilotwire COMMAND --help` tells the options of a command. Begin with `pilotwire run`.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(usage())
        return 0 if arguments else 2
    if arguments[0] in {"-V", "--version"}:
        from pilotwire import __version__

        print(f"pilotwire {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, 1)
        hint = f"; did you mean `{near[0]}`?" if near else "."
        sys.stderr.write(f"pilotwire: there is no command {name!r}{hint} See `pilotwire --help`.\n")
        return 2
    from pilotwire.core.errors import PilotwireError

    try:
        status = import_module(f"pilotwire.cli.{COMMANDS[name][0]}").main(name, arguments[1:])
        sys.stdout.flush()
        return status
    except PilotwireError as error:
        sys.stderr.write(f"pilotwire {name}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us (`head`) has enough. What is still buffered would fail once more when the interpreter ends.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0


if __name__ == "__main__":
    sys.exit(main())
