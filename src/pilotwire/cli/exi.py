"""`pilotwire decode exi` and `pilotwire encode exi`: what a car and a charger said to each other, and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilotwire.cli.options import parser
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.exi import SCHEMAS, DecodeError, decode, decode_fragment, encode, encode_fragment
from pilotwire.protocols.exi.json_form import from_json, to_json

V2GTP = b"\x01\xfe"
"""The head of a V2GTP message: version and its inverse; payload type and length follow, two and four bytes."""
_HEAD = 8
_BY_PAYLOAD = {
    0x8001: ("sap", "din", "iso2"),
    0x8002: ("iso20-common",),
    0x8003: ("iso20-ac",),
    0x8004: ("iso20-dc",),
    0x8005: ("iso20-acdp",),
    0x8006: ("iso20-wpt",),
}


def decode_main(name: str, arguments: Sequence[str]) -> int:
    options = parser(f"{name} exi", "Read an EXI stream of DIN SPEC 70121 or ISO 15118, with or without V2GTP head.")
    options.add_argument("stream", help="hexadecimal digits, or the name of a file with them or with the bytes")
    options.add_argument("--schema", choices=SCHEMAS, help="default: every schema that reads it to the last bit")
    options.add_argument("--fragment", action="store_true", help="it is a fragment, as signatures are made over")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = options.parse_args(arguments)
    data = _bytes_of(chosen.stream)
    schemas: Sequence[str] = (chosen.schema,) if chosen.schema else SCHEMAS
    if data.startswith(V2GTP):
        data, likely = _unpacked(data)
        schemas = (chosen.schema,) if chosen.schema else likely
    found: dict[str, dict[str, Any]] = {}
    faults: dict[str, str] = {}
    for schema in schemas:
        read, write = (decode_fragment, encode_fragment) if chosen.fragment else (decode, encode)
        try:
            message = read(schema, data)
        except DecodeError as error:
            faults[schema] = str(error)
            continue
        # Several schemas may read the same bits; whoever wrote them meant one that gives them back.
        if chosen.schema or data.startswith(write(schema, message)):  # zero bytes may follow
            found[schema] = to_json(schema, message)
        else:
            faults[schema] = "it can be read, but would be written otherwise"
    if chosen.json:
        print(json.dumps({"messages": found, "faults": {} if found else faults}, ensure_ascii=False))
    else:
        for schema, message in found.items():
            print(f"{schema}\n{json.dumps(message, ensure_ascii=False, indent=2)}")
        for schema, fault in {} if found else faults.items():
            print(f"{schema}: {fault}")
    return 0 if found else 1


def encode_main(name: str, arguments: Sequence[str]) -> int:
    about = "Write a message of DIN SPEC 70121 or ISO 15118 as EXI; `decode exi` shows the form of the JSON."
    options = parser(f"{name} exi", about)
    options.add_argument("file", nargs="?", type=Path, help="a JSON object; default: standard input")
    options.add_argument("--schema", choices=SCHEMAS, required=True)
    options.add_argument("--fragment", action="store_true", help="as a fragment, as signatures are made over")
    if arguments[:1] != ["exi"] and not {"-h", "--help"} & set(arguments):
        options.error("say what to write: `pilotwire encode exi`")
    chosen = options.parse_args(arguments[1:] if arguments[:1] == ["exi"] else arguments)
    try:
        text = chosen.file.read_text() if chosen.file else sys.stdin.read()
        shown = json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{chosen.file or 'standard input'} is no JSON: {error}") from None
    write = encode_fragment if chosen.fragment else encode
    print(write(chosen.schema, from_json(chosen.schema, shown)).hex())
    return 0


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        data = Path(text).read_bytes()
    except OSError:
        raise ConfigError(f"{text!r} is neither hexadecimal digits nor a file") from None
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        return data


def _unpacked(data: bytes) -> tuple[bytes, Sequence[str]]:
    """What a V2GTP message carries, and the schemas that it can be of."""
    kind, length = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:_HEAD], "big")
    if len(data) < _HEAD or len(data) - _HEAD != length:
        raise ConfigError(f"the V2GTP head announces {length} bytes, {max(0, len(data) - _HEAD)} follow")
    if kind not in _BY_PAYLOAD:
        raise ConfigError(f"V2GTP payload type {kind:04X} is no EXI")
    return data[_HEAD:], _BY_PAYLOAD[kind]
