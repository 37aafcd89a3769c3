"""Makes `docs/guide/modbus-map.md` of the table that the server uses: `python -m pilotwire.site.facades.own_doc`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cells import Cell
from .own_table import COMMAND, EVSE, HEADER_CELLS, SITE_CELLS, STRIDE, command_cells, evse_cells

_KINDS = {"u16": "uint16", "s16": "int16", "u32": "uint32", "s32": "int32", "u64": "uint64", "string": "text"}
_INTRO = f"""# Our own Modbus map

Any charger of a site, whether it speaks OCPP or Modbus itself, is read and steered by these registers. They are the
same as holding registers (functions 3, 6, 16) and as input registers (function 4); addresses count from 0, the high
word comes first. Values that are not known read 0xFFFF, 0xFFFFFFFF (unsigned) or 0x80000000 (signed). Text is UTF-8,
filled up with NUL. Registers between the ones named here read 0 and may get a meaning later. All registers of one
answer are of the same moment.

Nothing can be written unless the site's configuration names the client. What is out of range is refused with
exception 3, what cannot be written with 2, a client that may not write with 1, one that writes too often with 6.

Whatever is commanded is one limit among others, and the lowest counts: the site's own limits always hold. It expires.

## Command for the whole site

Write what you want of the registers from {COMMAND}, in one request or in several. With `sequence` the command is taken,
all of it at once; until then nothing counts, and what another client prepares is not mixed with it. What was not
written stays as it was in the last command, so that `sequence` alone renews it. Read `accepted`, `remaining` and
`applied` to see what became of it. After `validity` seconds the command is over: what `fallback` says holds then, until
the next one.

## Command for one EVSE

Write to `set_max`, `set_enable`, `set_priority` or `set_power` of its block. One request is one command, it holds for
`set_validity` seconds and is renewed by being written again.

`set_departure` and `set_energy` command nothing: they say of the car that is plugged in what it cannot say itself, and
hold until it unplugs, whatever `set_validity` says; 4294967295 takes them back. They are refused with exception 3 where
no car is, for a departure of 0 s or more than 7 days ahead, and for more than 1,000,000 Wh. `set_energy` reads what is
left of it.

If two clients command different things of the same place, `conflict` is 1, and the site reports it.
"""


def page() -> str:
    """The page, in Markdown."""
    most = (6_553_400, 4_294_967_294_000, 3600)
    parts = [
        _INTRO,
        _table("Header", "Who serves, and where the rest is.", HEADER_CELLS),
        _table("Site", "The connection to the grid.", SITE_CELLS),
        _table("Command", "What the whole site may draw. `accepted` and what follows are the echo.",
               command_cells(*most)),
        _table("EVSE", f"Number n (from 1) has its block at {EVSE} + {STRIDE} × (n - 1); addresses are from there.",
               evse_cells(*most)),
    ]  # fmt: skip
    return "\n".join(parts)


def _table(title: str, text: str, cells: Sequence[Cell]) -> str:
    rows = [
        f"## {title}\n",
        f"{text}\n",
        "| Address | Name | Type | Unit | Write | Meaning |",
        "|---|---|---|---|---|---|",
    ]
    for cell in cells:
        size = cell.field.registers
        where = str(cell.address) if size == 1 else f"{cell.address}-{cell.end - 1}"
        write = "yes" if cell.write else ""
        rows.append(f"| {where} | `{cell.name}` | {_KINDS[cell.field.kind]} | {cell.unit} | {write} | {cell.text} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
