"""Compiles the XML schemas of DIN SPEC 70121 and ISO 15118 into the tables that `pilotwire.protocols.exi` works from.

    python tools/compile_exi.py FOLDER            writes src/pilotwire/protocols/exi/tables/*.json
    python tools/compile_exi.py FOLDER --check    exits 1 when a checked-in table differs from what would be written

FOLDER is `iso15118/shared/schemas` of an installed PyPI `iso15118` (a venv of its own), which ships the schemas; they
are read there and never come into this repository. A table holds names, types, limits and the order of elements, no
prose, and the SHA-256 of every file that it was made from.
"""

from __future__ import annotations

import hashlib
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).resolve().parents[1] / "src" / "pilotwire" / "protocols" / "exi" / "tables"
FORMAT = 1
XS = "{http://www.w3.org/2001/XMLSchema}"
XS_URI = XS[1:-1]

ROOTS = {
    "sap": "V2G_CI_AppProtocol.xsd",
    "din": "din_spec/V2G_CI_MsgDef.xsd",
    "iso2": "iso15118_2/V2G_CI_MsgDef.xsd",
    "iso20-common": "iso15118_20/V2G_CI_CommonMessages.xsd",
    "iso20-ac": "iso15118_20/V2G_CI_AC.xsd",
    "iso20-dc": "iso15118_20/V2G_CI_DC.xsd",
    "iso20-wpt": "iso15118_20/V2G_CI_WPT.xsd",
    "iso20-acdp": "iso15118_20/V2G_CI_ACDP.xsd",
    "xmldsig": "xmldsig-core-schema.xsd",
}

INTEGERS: dict[str, tuple[int | None, int | None]] = {
    "byte": (-128, 127),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsignedByte": (0, 255),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "integer": (None, None),
    "nonNegativeInteger": (0, None),
}
TEXTS = {"string", "anyURI", "ID", "IDREF", "NCName", "token", "normalizedString"}
BYTES = {"hexBinary": "hex", "base64Binary": "base64"}

Name = tuple[str, str]
"""(namespace, local name)"""


class Place(NamedTuple):
    """An element of a schema file, and what its prefixes and its file stand for."""

    node: ET.Element
    prefixes: dict[str, str]
    target: str
    qualified: bool
    """Whether elements within types are in the target namespace,"""
    attributes_qualified: bool
    """and attributes."""


class Schemas:
    """The files that a root file imports, by what they declare."""

    def __init__(self, root: Path, base: Path) -> None:
        self.hashes: dict[str, str] = {}
        self.declared: dict[str, dict[Name, Place]] = {
            "element": {},
            "complexType": {},
            "simpleType": {},
            "attribute": {},
        }
        self._base = base.resolve()
        self._read(root.resolve())

    def _read(self, path: Path) -> None:
        name = path.relative_to(self._base).as_posix()
        if name in self.hashes:
            return
        data = path.read_bytes()
        self.hashes[name] = hashlib.sha256(data).hexdigest()
        prefixes: dict[str, str] = {}
        root: ET.Element | None = None
        for event, value in ET.iterparse(path, events=("start", "start-ns")):
            if event == "start-ns":
                prefix, uri = value  # type: ignore[misc]
                prefixes.setdefault(str(prefix), str(uri))
            elif root is None:
                root = value  # type: ignore[assignment]
        assert root is not None
        target = root.get("targetNamespace", "")
        forms = [root.get(f"{kind}FormDefault") == "qualified" for kind in ("element", "attribute")]
        for child in root:
            if child.tag == f"{XS}import":
                place = (path.parent / child.get("schemaLocation", "")).resolve()
                self._read(place if place.exists() else self._base / place.name)  # one file is where none looks for it
            elif (kind := child.tag.removeprefix(XS)) in self.declared:
                self.declared[kind][target, child.get("name", "")] = Place(child, prefixes, target, *forms)


class Compiler:
    """Makes the table of one root file."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._types: list[dict[str, Any]] = []
        self._known: dict[object, int] = {}
        self._heads: dict[Name, list[Name]] = {}
        self.seen: dict[Name, set[int]] = {}
        """Every element that can occur, with its types: what a fragment may begin with."""
        for name, place in schemas.declared["element"].items():
            if head := place.node.get("substitutionGroup"):
                self._heads.setdefault(_resolve(head, place), []).append(name)

    def table(self) -> dict[str, Any]:
        document = sorted(self._schemas.declared["element"], key=_by_name)
        elements = [
            [local, uri, self._element_type(self._schemas.declared["element"][uri, local])] for uri, local in document
        ]
        for local, uri, index in elements:
            self.seen.setdefault((uri, local), set()).add(index)
        for name in self._schemas.declared["complexType"]:
            self._named(name)  # an element that no message can hold counts among those of fragments all the same
        fragment = [[local, uri, sorted(self.seen[uri, local])] for uri, local in sorted(self.seen, key=_by_name)]
        return {
            "format": FORMAT,
            "sources": dict(sorted(self._schemas.hashes.items())),
            "types": self._types,
            "document": elements,
            "fragment": fragment,
        }

    # -- types --------------------------------------------------------------------------------------------------------
    def _element_type(self, place: Place) -> int:
        given = place.node.get("type")
        if given is not None:
            return self._named(_resolve(given, place))
        for child in place.node:
            if child.tag in (f"{XS}complexType", f"{XS}simpleType"):
                return self._anonymous(place._replace(node=child))
        raise SystemExit(f"{place.node.get('name')}: an element without a type")

    def _named(self, name: Name) -> int:
        uri, local = name
        if uri == XS_URI:
            return self._add(("built-in", local), lambda: self._built_in(local))
        if name in self._schemas.declared["simpleType"]:
            return self._add(name, lambda: self._simple(self._schemas.declared["simpleType"][name]))
        place = self._schemas.declared["complexType"][name]
        return self._complex(name, place, local)

    def _anonymous(self, place: Place) -> int:
        if place.node.tag == f"{XS}simpleType":
            return self._add(id(place.node), lambda: self._simple(place))
        return self._complex(id(place.node), place, "")

    def _add(self, key: object, make: Any) -> int:
        if key not in self._known:
            made = make()
            self._known[key] = len(self._types)
            self._types.append(made)
        return self._known[key]

    def _built_in(self, local: str) -> dict[str, Any]:
        if local == "boolean":
            return {"kind": "boolean"}
        if local in INTEGERS:
            low, high = INTEGERS[local]
            return {"kind": "integer", "min": low, "max": high}
        if local in BYTES:
            return {"kind": BYTES[local]}
        if local in TEXTS:
            return {"kind": "string"}
        raise SystemExit(f"xs:{local} is not known here")

    def _simple(self, place: Place) -> dict[str, Any]:
        (restriction,) = [child for child in place.node if child.tag == f"{XS}restriction"]
        return self._restricted(self._types[self._named(_resolve(restriction.get("base", ""), place))], restriction)

    def _restricted(self, base: dict[str, Any], restriction: ET.Element) -> dict[str, Any]:
        made = dict(base)
        values = [child.get("value", "") for child in restriction if child.tag == f"{XS}enumeration"]
        if values:
            return {"kind": "enumeration", "values": values}
        for child in restriction:
            facet, value = child.tag.removeprefix(XS), child.get("value", "")
            if facet in ("minInclusive", "maxInclusive"):
                made[facet[:3]] = int(value)
            elif facet in ("minLength", "maxLength"):
                made[facet] = int(value)
            elif facet == "length":
                made["minLength"] = made["maxLength"] = int(value)
            elif facet not in ("annotation", "whiteSpace"):
                raise SystemExit(f"the facet {facet} is not known here")
        return made

    def _complex(self, key: object, place: Place, name: str) -> int:
        if key in self._known:
            return self._known[key]
        index = self._known[key] = len(self._types)
        made: dict[str, Any] = {"kind": "complex"}
        self._types.append(made)  # before what is in it, which may contain it again
        if name:
            made["name"] = name
        attributes, content, text, mixed = self._content(place)
        if attributes:
            made["attributes"] = sorted(attributes)
        if content is not None:
            made["content"] = content
        if text is not None:
            made["text"] = text
        if mixed:
            made["mixed"] = True
        return index

    def _content(self, place: Place) -> tuple[list[list[Any]], list[Any] | None, int | None, bool]:
        """(attributes, particle, type of the text, whether text may stand between elements)"""
        mixed = place.node.get("mixed") == "true"
        for child in place.node:
            if child.tag in (f"{XS}complexContent", f"{XS}simpleContent"):
                (derived,) = [one for one in child if one.tag != f"{XS}annotation"]
                base = _resolve(derived.get("base", ""), place)
                if derived.tag != f"{XS}extension":
                    raise SystemExit("complex types are derived by extension only")
                own_attributes, own, _, _ = self._plain(place._replace(node=derived))
                if child.tag == f"{XS}simpleContent":
                    return own_attributes, None, self._named(base), False
                attributes, content, text, base_mixed = self._content(self._schemas.declared["complexType"][base])
                both = [one for one in (content, own) if one is not None]
                joined = ["sequence", both, 1, 1] if len(both) == 2 else both[0] if both else None
                return attributes + own_attributes, joined, text, base_mixed
        attributes, content, _, _ = self._plain(place)
        return attributes, content, None, mixed

    def _plain(self, place: Place) -> tuple[list[list[Any]], list[Any] | None, None, bool]:
        attributes: list[list[Any]] = []
        content: list[Any] | None = None
        for child in place.node:
            tag = child.tag.removeprefix(XS)
            if tag == "attribute":
                attributes.append(self._attribute(place._replace(node=child)))
            elif tag in ("sequence", "choice"):
                content = self._particle(place._replace(node=child))
            elif tag != "annotation":
                raise SystemExit(f"{tag} is not known here")
        return attributes, content, None, False

    def _attribute(self, place: Place) -> list[Any]:
        node, uri = place.node, place.target if place.attributes_qualified else ""
        required = node.get("use") == "required"
        if ref := node.get("ref"):
            uri, _ = name = _resolve(ref, place)
            place = self._schemas.declared["attribute"][name]
            node = place.node
        return [node.get("name", ""), uri, self._named(_resolve(node.get("type", ""), place)), required]

    # -- particles ----------------------------------------------------------------------------------------------------
    def _particle(self, place: Place) -> list[Any]:
        node = place.node
        low = int(node.get("minOccurs", "1"))
        high = -1 if node.get("maxOccurs") == "unbounded" else int(node.get("maxOccurs", "1"))
        tag = node.tag.removeprefix(XS)
        if tag == "any":
            return ["any", low, high]
        if tag in ("sequence", "choice"):
            children = [self._particle(place._replace(node=child)) for child in node if child.tag != f"{XS}annotation"]
            return [tag, children, low, high]
        if tag != "element":
            raise SystemExit(f"{tag} is not known here")
        ref = node.get("ref")
        if ref is None:
            uri = place.target if place.qualified else ""
            return self._one(node.get("name", ""), uri, self._element_type(place), low, high)
        head = _resolve(ref, place)
        members = sorted(self._members(head), key=_by_name)
        if len(members) == 1:
            return self._one(head[1], head[0], self._global(head), low, high)
        return [
            "choice",
            [self._one(local, uri, self._global((uri, local)), 1, 1) for uri, local in members],
            low,
            high,
        ]

    def _one(self, local: str, uri: str, index: int, low: int, high: int) -> list[Any]:
        self.seen.setdefault((uri, local), set()).add(index)
        return ["element", local, uri, index, low, high]

    def _global(self, name: Name) -> int:
        return self._element_type(self._schemas.declared["element"][name])

    def _members(self, head: Name) -> Iterator[Name]:
        """The head of a substitution group and everything that may stand for it."""
        yield head
        for name in self._heads.get(head, ()):
            yield from self._members(name)


def _by_name(name: Name) -> tuple[str, str]:
    return name[1], name[0]


def _resolve(text: str, place: Place) -> Name:
    prefix, _, local = text.rpartition(":")
    return place.prefixes.get(prefix, ""), local


def compiled(folder: Path) -> dict[str, str]:
    """File name → its text."""
    found: dict[str, str] = {}
    for schema, root in ROOTS.items():
        table = Compiler(Schemas(folder / root, folder)).table()
        parts = [f'"{key}":{_text(table[key])}' for key in ("format", "sources")]
        parts += [f'"{key}":[\n{_lines(table[key])}\n]' for key in ("types", "document", "fragment")]
        found[f"{schema}.json"] = "{" + ",\n".join(parts) + "}\n"
    return found


def _lines(rows: list[Any]) -> str:
    return ",\n".join(_text(row) for row in rows)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def main(arguments: list[str]) -> int:
    if not arguments or len(arguments) > 2 or arguments[1:] not in ([], ["--check"]):
        print(__doc__)
        return 2
    made = compiled(Path(arguments[0]))
    if arguments[1:]:
        wrong = [name for name, text in made.items() if (TARGET / name).read_text() != text]
        print("\n".join(f"{name} is not what the schemas say" for name in wrong) or "the EXI tables are up to date")
        return 1 if wrong else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (TARGET / name).write_text(text)
        print(f"{name:<20} {len(text):>8,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
