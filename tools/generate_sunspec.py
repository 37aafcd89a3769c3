"""Writes src/pilotwire/protocols/sunspec/tables.py from the model definitions that PyPI pysunspec2 ships.

    python tools/generate_sunspec.py      # what it writes says the package's version and each model's SHA-256

Names, types, sizes, scale factors, units and symbols are taken; no description is.
"""

from __future__ import annotations

import hashlib
import json
import pprint
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NUMBERS = (
    1, *range(101, 104), *range(111, 114), *range(120, 125), 160, *range(201, 205), *range(211, 215),
    *range(701, 716), *range(802, 806),
)  # fmt: skip
TARGET = Path(__file__).parents[1] / "src/pilotwire/protocols/sunspec/tables.py"
HEAD = '''"""The information models of SunSpec as text for `models`, written by tools/generate_sunspec.py: do not edit.

A point is name:type, then "!" where it may be written, "*" its scale factor, "=" its unit, " <" the names of its values
(bits, for a bit field) ">". A group is name[how often](points and groups); how often is a number, a point, or "*": as
often as the model's length says. From the JSON models of SunSpec (Apache-2.0) in PyPI pysunspec2 @VERSION@.
"""

MODELS: dict[int, str] = @MODELS@

HASHES: dict[int, str] = @HASHES@
"""SHA-256 of the JSON that each model was taken from."""
'''


def definitions() -> Path:
    """The folder of the installed package's JSON."""
    spec = find_spec("sunspec2")
    if spec is None or spec.origin is None:
        sys.exit("pysunspec2 is not installed")
    return Path(spec.origin).parent / "models" / "json"


def point(item: dict[str, Any]) -> str:
    """One point as text."""
    kind = item["type"] + (str(item["size"]) if item["type"] == "string" else "")
    text = f"{item['name']}:{kind}"
    text += "!" if item.get("access") == "RW" else ""
    text += f"*{item['sf']}" if item.get("sf") not in (None, "") else ""
    text += f"={item['units'].replace(' ', '_')}" if item.get("units") else ""
    if item.get("symbols"):
        text += " <" + " ".join(f"{each['value']}_{each['name']}".replace(" ", "") for each in item["symbols"]) + ">"
    return text


def group(item: dict[str, Any], top: bool = False) -> str:
    """A group's points and groups as text."""
    inner = " ".join([*map(point, item.get("points", ())), *map(group, item.get("groups", ()))])
    if top:
        return inner
    count = item.get("count", 1)
    return f"{item['name']}[{'*' if count == 0 else count}]( {inner} )"


def main() -> None:
    models: dict[int, str] = {}
    hashes: dict[int, str] = {}
    for number in NUMBERS:
        data = (definitions() / f"model_{number}.json").read_bytes()
        hashes[number] = hashlib.sha256(data).hexdigest()
        models[number] = group(json.loads(data)["group"], top=True)
    text = HEAD.replace("@VERSION@", version("pysunspec2"))
    text = text.replace("@MODELS@", pprint.pformat(models, width=118)).replace("@HASHES@", pprint.pformat(hashes))
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
