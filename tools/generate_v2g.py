"""Writes the typed messages of supportedAppProtocol, DIN 70121, ISO 15118-2 and -20 from the checked-in EXI tables.

    python tools/generate_v2g.py            writes the modules
    python tools/generate_v2g.py --check    exits 1 when a checked-in file differs from what would be written

A message stays the dict that `protocols.exi` reads and writes; the TypedDicts and Literals only tell a type checker
what is in it. Complex types bear the schema's names; the tables have none for enumerations, which are called after the
element that they are the type of, with Type behind it. What -20 shares between its schemas is written once, in
`common_messages`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "src" / "pilotwire" / "protocols" / "exi" / "tables"
TARGET = ROOT / "src" / "pilotwire" / "protocols" / "iso15118"
COMMON = "iso20-common"


class Wanted(NamedTuple):
    """A module to write."""

    path: str
    what: str


MODULES = {
    "sap": Wanted("sap_messages.py", "supportedAppProtocol"),
    "din": Wanted("din70121/messages.py", "DIN SPEC 70121"),
    "iso2": Wanted("iso2/messages.py", "ISO 15118-2"),
    "iso20-common": Wanted("iso20/common_messages.py", "ISO 15118-20, common"),
    "iso20-ac": Wanted("iso20/ac_messages.py", "ISO 15118-20, AC"),
    "iso20-dc": Wanted("iso20/dc_messages.py", "ISO 15118-20, DC"),
    "iso20-wpt": Wanted("iso20/wpt_messages.py", "ISO 15118-20, wireless power transfer"),
    "iso20-acdp": Wanted("iso20/acdp_messages.py", "ISO 15118-20, automatic connection (pantograph)"),
}

# Enumerations of several elements, of one that is called otherwise in a sister schema, or whose name says too little.
ENUMERATIONS = {
    "AuthorizationServices": "AuthorizationServiceType",
    "EVProcessing": "ProcessingType",
    "EVElectricalChargingDeviceStatus": "ElectricalChargingDeviceStatusType",
    "ValueType": "ParameterValueType",
}
ENUMERATIONS_20 = {**ENUMERATIONS, "EVSEProcessing": "ProcessingType"}
TEXT = "value"  # of protocols.exi.grammar, which this tool does not need to import for one word


class Use(NamedTuple):
    """A field of a complex type."""

    name: str
    type: int
    required: bool
    least: int
    most: int
    """-1: any number."""


class Module:
    """The types of one schema."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        table = json.loads((TABLES / f"{schema}.json").read_text("ascii"))
        self.kinds: list[dict[str, Any]] = table["types"]
        self.document: list[tuple[str, int]] = [(local, index) for local, _, index in table["document"]]
        self.names: dict[int, str] = {}
        self.uses: dict[int, list[Use]] = {}
        self._reach()

    def _reach(self) -> None:
        """Names every complex type and enumeration that a global element can hold."""
        self._elements: dict[int, list[str]] = {}
        waiting: list[int] = []
        for local, index in self.document:
            self._elements.setdefault(index, []).append(local)
            waiting.append(index)
        while waiting:
            index = waiting.pop()
            if index in self.uses or self.kinds[index]["kind"] != "complex":
                continue
            self.uses[index] = self._fields(self.kinds[index])
            for use in self.uses[index]:
                self._elements.setdefault(use.type, []).append(use.name)
                waiting.append(use.type)
        for index in sorted(self._elements):
            kind = self.kinds[index]
            if kind["kind"] == "complex":
                local = self._elements[index][0]
                self.names[index] = kind.get("name") or f"{local[0].upper()}{local[1:]}Type"
            elif kind["kind"] == "enumeration":
                self.names[index] = self._enumeration(
                    sorted(set(self._elements[index]), key=lambda one: (len(one), one))
                )
        if len(set(self.names.values())) != len(self.names):
            raise SystemExit(f"{self.schema}: two types have the same name; name one in ENUMERATIONS")

    def _enumeration(self, elements: list[str]) -> str:
        known = ENUMERATIONS_20 if self.schema.startswith("iso20") else ENUMERATIONS
        local = elements[0]
        return known.get(local) or f"{local[0].upper()}{local[1:]}Type"

    def _fields(self, kind: dict[str, Any]) -> list[Use]:
        found = [
            Use(name, index, required, int(required), 1) for name, _, index, required in kind.get("attributes", ())
        ]
        if "text" in kind:
            found.append(Use(TEXT, kind["text"], True, 1, 1))
        if "content" in kind:
            merged: dict[str, Use] = {}
            for use in self._particle(kind["content"]):
                before = merged.get(use.name)
                if before is None:
                    merged[use.name] = use
                elif before.type != use.type:
                    raise SystemExit(f"{self.schema}: {use.name} has two types within one element")
                else:
                    merged[use.name] = Use(use.name, use.type, before.required or use.required, 0, -1)
            found += merged.values()
        return found

    def _particle(self, particle: list[Any], least: int = 1, most: int = 1) -> Iterator[Use]:
        """The elements of a content model, and how often each may come in all."""
        *_, low, high = particle
        least *= low
        most = -1 if -1 in (most, high) else most * high
        if particle[0] == "element":
            yield Use(particle[1], particle[3], least > 0, least, most)
        elif particle[0] == "sequence":
            for child in particle[1]:
                yield from self._particle(child, least, most)
        elif particle[0] == "choice":
            alone = len(particle[1]) == 1
            for child in particle[1]:
                yield from self._particle(child, least if alone else 0, most)

    # -- text ---------------------------------------------------------------------------------------------------------
    def annotation(self, use: Use) -> str:
        kind = self.kinds[use.type]
        simple = {"boolean": "bool", "integer": "int", "string": "str", "base64": "bytes", "hex": "bytes"}
        text = simple.get(kind["kind"]) or self.names[use.type]
        if use.most != 1:
            text = f"list[{text}]"
        return text if use.required else f"NotRequired[{text}]"

    def limits(self, use: Use) -> str:
        """What the annotation cannot say, as a comment."""
        kind = self.kinds[use.type]
        said: list[str] = []
        if use.most != 1:
            said.append(f"{use.least} to {use.most} times" if use.most > 0 else f"{use.least} or more times")
        if kind["kind"] == "integer":
            low, high = kind["min"], kind["max"]
            if low is not None and high is not None and high < 2**63 - 1:
                said.append(f"{low} to {high}")
            elif low is not None and low >= 0:
                said.append(f"{low} or more")
        low, high = kind.get("minLength", 0), kind.get("maxLength")
        unit = "bytes" if kind["kind"] in ("hex", "base64") else "characters"
        if high is not None:
            said.append(
                f"{low} to {high} {unit}" if low not in (0, high) else f"{'' if low else 'up to '}{high} {unit}"
            )
        return f"  # {'; '.join(said)}" if said else ""

    def class_text(self, index: int) -> str:
        lines = [f"class {self.names[index]}(TypedDict):"]
        lines += [f"    {use.name}: {self.annotation(use)}{self.limits(use)}" for use in self.uses[index]]
        if not self.uses[index]:
            lines.append('    """Nothing is in it."""')
        return "\n".join(lines)

    def literal_text(self, name: str, values: list[str]) -> str:
        return "\n".join([f"{name} = Literal[", *(f"    {json.dumps(value)}," for value in values), "]"])

    def texts(self) -> dict[str, str]:
        """Name → definition, of every type; enumerations and complex types each by name."""
        found: dict[str, str] = {}
        for index, name in self.names.items():
            kind = self.kinds[index]
            complex_ = kind["kind"] == "complex"
            found[name] = self.class_text(index) if complex_ else self.literal_text(name, kind["values"])
        return found

    def messages(self) -> tuple[list[tuple[str, int]], list[str]]:
        """The roots of messages, and the names of all requests and responses."""
        roots = [(local, index) for local, index in self.document if local.endswith(("Req", "Res"))]
        for local, index in self.document:
            if local == "V2G_Message":
                (body,) = [use for use in self.uses[index] if use.name == "Body"]
                inside = [use.name for use in self.uses[body.type] if use.name.endswith(("Req", "Res"))]
                return [(local, index)], inside
        return roots, [local for local, _ in roots]


def needed(text: str, names: set[str]) -> set[str]:
    """Which of `names` a definition speaks of."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
    return names & set(words)


def shared(mine: dict[str, str], theirs: dict[str, str]) -> set[str]:
    """What is the same in both, down to the last field of what is in it."""
    same = {name for name, text in mine.items() if theirs.get(name) == text}
    while True:
        left = {name for name in same if needed(mine[name], set(mine)) <= same}
        if left == same:
            return same
        same = left


def module_text(schema: str, module: Module, common: dict[str, str]) -> str:
    """The whole file."""
    texts = module.texts()
    borrowed = shared(texts, common)
    own = {name: text for name, text in texts.items() if name not in borrowed}
    roots, names = module.messages()
    whole = ["class Message(TypedDict, total=False):", '    """What `exi.decode` gives: one of these."""', ""]
    whole += [f"    {local}: {module.names[index]}" for local, index in roots]
    body = "\n".join([*own.values(), *whole])
    typing = [name for name in ("Literal", "NotRequired", "TypedDict") if name == "Literal" or name in body]
    enumerations = sorted(name for name, text in own.items() if not text.startswith("class "))
    classes = sorted(name for name in own if name not in enumerations)
    lines = [
        f"# Generated by tools/generate_v2g.py from protocols/exi/tables/{schema}.json; do not edit.",
        f'"""The messages of {MODULES[schema].what}, as `exi.decode("{schema}", ...)` gives them.',
        "",
        "Dicts at run time: import this module for type checking only, or for the Literals.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        f"from typing import {', '.join(typing)}",
    ]
    if borrowed:
        lines += [
            "",
            "from .common_messages import (",
            *(f"    {name}," for name in sorted(borrowed, key=str.lower)),
            ")",
        ]
    exported = sorted([*texts, "Message", "MessageName"])
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in exported), "]", ""]
    lines += [module.literal_text("MessageName", names)]
    lines += [own[name] for name in enumerations]
    for name in classes:
        lines += ["", "", own[name]]
    lines += ["", "", *whole]
    return "\n".join(lines) + "\n"


def written() -> dict[Path, str]:
    """Path → text."""
    modules = {schema: Module(schema) for schema in MODULES}
    common = modules[COMMON].texts()
    found: dict[Path, str] = {}
    for schema, module in modules.items():
        lent = common if schema.startswith("iso20") and schema != COMMON else {}
        found[TARGET / MODULES[schema].path] = module_text(schema, module, lent)
    return found


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    status = 0
    for path, text in written().items():
        shown = path.relative_to(ROOT)
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"{shown}: {text.count('(TypedDict')} types")
        elif not path.exists() or path.read_text("utf-8") != text:
            print(f"{shown} differs from what tools/generate_v2g.py writes; run it and commit the result")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
