"""EXI messages of all schemas and all kinds of messages, byte for byte against the Java codec of PyPI `iso15118`.

Each message is also read again, once as it is and once with a byte of zeros behind it, as some vehicles pad.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.protocols.exi.exi_messages import Maker, NotMade, xml

from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import Grammar, grammar_of

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(sys.prefix) / "iso15118" / "bin" / "python"
SIGNATURES = "xmldsig-core-schema.xsd"
FULLNESS = (0.0, 0.5, 1.0, 0.8)
"""Everything left out that may be; by chance; every list as long as it may be; nearly everything."""


class Made(NamedTuple):
    """One message."""

    schema: str
    kind: str
    """Its name: of -2 and DIN the name within the body."""
    local: str
    index: int
    value: Any


def kinds(grammar: Grammar) -> list[tuple[str, str, int]]:
    """(name, root element, its type) of all that can be sent, and of every other global element."""
    found: list[tuple[str, str, int]] = []
    for local, index in grammar.document:
        if local == "V2G_Message":
            body = grammar.fields(grammar.fields(index)["Body"].type)
            found += [(name, local, index) for name in body]
        found.append((local, local, index))
    return found


def made(count: int, seed: int) -> Iterator[Made]:
    """So many messages, of every kind in turn."""
    listed = [(schema, *kind) for schema in exi.SCHEMAS for kind in kinds(grammar_of(schema))]
    number = done = 0
    while done < count:
        schema, name, local, index = listed[number % len(listed)]
        grammar = grammar_of(schema)
        again = number // len(listed)
        maker = Maker(grammar, seed * 1_000_003 + number, FULLNESS[(number + again) % len(FULLNESS)])
        number += 1
        try:
            value = maker.element(index)
            if name != local:
                value["Body"] = {name: maker.element(grammar.fields(grammar.fields(index)["Body"].type)[name].type)}
        except NotMade:
            continue
        done += 1
        yield Made(schema, name, local, index, value)


def schemas_beside(folder: Path) -> Path:
    """The package's schemas, so that the parser asks no network for the document type of XML signatures."""
    (found,) = (PYTHON.parents[1] / "lib").glob("python*/site-packages/iso15118/shared/schemas")
    target = folder / "all"
    shutil.copytree(found, target)
    text = (target / SIGNATURES).read_text()
    entities = "".join(re.findall(r"<!ENTITY[^>]*>", text))
    text = re.sub(r"<!DOCTYPE.*?\]>", f"<!DOCTYPE schema [{entities}]>", text, count=1, flags=re.DOTALL)
    for place in (target, *(one for one in target.iterdir() if one.is_dir())):
        (place / SIGNATURES).write_text(text)
    return target


def messages(options: argparse.Namespace) -> bool:
    """`make soak`'s part."""
    sys.path.insert(0, str(ROOT / "tools"))
    from compile_exi import ROOTS

    faults: list[str] = []
    seen: dict[str, set[str]] = {}
    longest = size = 0
    with tempfile.TemporaryDirectory(prefix="pilotwire-soak-") as folder:
        command = [str(PYTHON), str(ROOT / "tests/protocols/exi/exificient.py"), str(schemas_beside(Path(folder)))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as java:
            assert java.stdin is not None and java.stdout is not None
            for one in made(options.exi, options.seed):
                grammar = grammar_of(one.schema)
                text = xml(grammar, one.local, grammar.namespaces[one.local], one.index, one.value)
                java.stdin.write(json.dumps([ROOTS[one.schema], False, text]) + "\n")
                java.stdin.flush()
                message = {one.local: one.value}
                ours = exi.encode(one.schema, message)
                theirs = json.loads(java.stdout.readline())
                if theirs.get("exi") != ours.hex():
                    faults.append(f"{one.schema} {one.kind}: {ours.hex()[:80]} and not {str(theirs)[:120]}")
                if exi.decode(one.schema, ours) != message or exi.decode(one.schema, ours + b"\0") != message:
                    faults.append(f"{one.schema} {one.kind}: it is read as another one")
                seen.setdefault(one.schema, set()).add(one.kind)
                longest, size = max(longest, len(ours)), size + len(ours)
            java.stdin.close()
    told = ", ".join(f"{len(names)} of {schema}" for schema, names in seen.items())
    print(f"EXI: {options.exi:,} messages, {size:,} bytes, the longest of {longest:,}; kinds: {told}")
    print(f"  against the Java codec: {len(faults)} faults")
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults
