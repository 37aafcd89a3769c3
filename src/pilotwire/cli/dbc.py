"""`pilotwire dbc`: our tables of what is said on a CAN bus, for other tools."""

from __future__ import annotations

from collections.abc import Sequence

from pilotwire.cli.can import PROTOCOLS
from pilotwire.cli.options import parser
from pilotwire.protocols.can.signals import Table


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Print our table of a protocol's messages as a DBC file, for other tools.")
    options.add_argument("protocol", choices=PROTOCOLS)
    chosen = options.parse_args(arguments)
    from pilotwire.protocols.can.dbc import export

    print(export(_table(chosen.protocol)), end="")
    return 0


def _table(protocol: str) -> Table:
    if protocol == "chademo":
        from pilotwire.protocols.chademo.frames import FRAMES

        return FRAMES
    from pilotwire.protocols.gbt27930.table import TABLE

    return TABLE
