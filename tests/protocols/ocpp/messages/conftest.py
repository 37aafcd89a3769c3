"""The oracles: jsonschema-rs over the schemas of PyPI `ocpp` and, independently, over those of npm `ocpp-rpc`.

A test that asks for `case` runs once for every message of every version: 78 + 128 + 181. What the oracles and our
decoder are allowed to disagree on is the closed list `DIFFERENCES` below.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import pytest
from hypothesis import strategies as st

from pilotwire.protocols.ocpp import version
from pilotwire.protocols.ocpp.rpc.errors import RpcError

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
NPM_FILES = {"1.6": "ocpp1_6.json", "2.0.1": "ocpp2_0_1.json", "2.1": "ocpp2_1.json"}

NPM_PACKAGE = Path(os.environ.get("PILOTWIRE_OCPP_RPC", ROOT / "node_modules" / "ocpp-rpc"))
"""Where npm `ocpp-rpc` is installed; the root's package.json has it, `npm ci` installs it."""


@cache
def pypi_schemas(name: str) -> dict[str, Any]:
    spec = find_spec("ocpp")
    assert spec is not None and spec.origin is not None, "PyPI `ocpp` is not installed; requirements/test.lock has it"
    found = {}
    for path in (Path(spec.origin).parent / FOLDERS[name] / "schemas").glob("*.json"):
        message = path.stem if path.stem.endswith(("Request", "Response")) else f"{path.stem}Request"
        found[message] = json.loads(path.read_text("utf-8-sig"))
    return found


@cache
def npm_schemas(name: str) -> dict[str, Any]:
    path = NPM_PACKAGE / "lib" / "schemas" / NPM_FILES[name]
    assert path.exists(), (
        f"npm `ocpp-rpc` is not installed ({path} is missing): run `npm ci` in the root of the repository"
    )
    found = {}
    for schema in json.loads(path.read_text("utf-8")):
        message = schema["$id"].removeprefix("urn:").replace(".req", "Request").replace(".conf", "Response")
        found[message if message.endswith(("Request", "Response")) else f"{message}Request"] = schema
    return found


class Difference(NamedTuple):
    """Where `oracle` and our strict decoder disagree, on purpose."""

    name: str
    oracle: str
    versions: tuple[str, ...]
    kinds: tuple[str, ...]
    ours: bool
    """Our verdict; the oracle's is the opposite."""
    where: Callable[[str, str], bool]
    """(message, path of the field without indices)"""
    reason: str


def anywhere(message: str, path: str) -> bool:
    return True


DIFFERENCES = (
    Difference(
        "integral-number",
        "pypi",
        ("1.6", "2.0.1", "2.1"),
        ("integral",),
        False,
        anywhere,
        "draft 6 takes 1.0 for an integer, draft 4 does not. An integer is written without a fraction: refused "
        "strictly, taken when receiving by the rule of this name. (1.6's security messages are draft 6.)",
    ),
    Difference("integral-number", "npm", ("1.6", "2.0.1", "2.1"), ("integral",), False, anywhere, "the same, draft 7"),
    Difference(
        "hertz",
        "pypi",
        ("1.6",),
        ("enum-value",),
        True,
        lambda message, path: message == "StopTransactionRequest" and path.endswith(".unit"),
        "1.6 errata 4.0 adds the unit Hertz; PyPI ocpp has it in MeterValues alone, and one type serves both",
    ),
    Difference(
        "hertz", "npm", ("1.6",), ("enum-value",), True, lambda _, path: path.endswith(".unit"), "the same, in neither"
    ),
    Difference(
        "empty-meter-lists",
        "pypi",
        ("1.6",),
        ("few",),
        True,
        lambda message, _: message == "MeterValuesRequest",
        "PyPI ocpp asks for one item in meterValue and sampledValue, the official schema does not; chargers send none",
    ),
    Difference(
        "exi-response-length",
        "npm",
        ("2.0.1",),
        ("longest",),
        True,
        lambda message, path: message == "Get15118EVCertificateResponse" and path == "$.exiResponse",
        "7500 characters in PyPI ocpp, 5600 in the official schema; a receiver that takes more loses nothing",
    ),
    Difference(
        "magnitude",
        "pypi",
        ("1.6", "2.0.1", "2.1"),
        ("huge",),
        False,
        anywhere,
        "numbers of 1E+64 and more are refused: computing with them costs megabytes, and no quantity is such",
    ),
    Difference("magnitude", "npm", ("1.6", "2.0.1", "2.1"), ("huge",), False, anywhere, "the same"),
    Difference(
        "integer-of-64-bits",
        "pypi",
        ("1.6", "2.0.1", "2.1"),
        ("bits",),
        False,
        anywhere,
        "the standard's integers have 32 bits, the schemas do not say so; ours have 64, which every store can hold",
    ),
    Difference("integer-of-64-bits", "npm", ("1.6", "2.0.1", "2.1"), ("bits",), False, anywhere, "the same"),
    Difference(
        "leap-second",
        "pypi",
        ("1.6", "2.0.1", "2.1"),
        ("leap-second",),
        False,
        anywhere,
        "RFC 3339 has a second 60, datetime has not: refused strictly, taken when receiving by the rule of this name",
    ),
    Difference("leap-second", "npm", ("1.6", "2.0.1", "2.1"), ("leap-second",), False, anywhere, "the same"),
    Difference(
        "year-zero",
        "pypi",
        ("1.6", "2.0.1", "2.1"),
        ("year-zero",),
        False,
        anywhere,
        "RFC 3339 has a year 0000, datetime has not; nothing happened then",
    ),
    Difference("year-zero", "npm", ("1.6", "2.0.1", "2.1"), ("year-zero",), False, anywhere, "the same"),
)


class Mutation(NamedTuple):
    """One change to one place of a valid instance."""

    kind: str
    path: str
    """`$.meterValue.sampledValue.unit`, without indices"""
    text: bytes


class Case:
    """One message of one version: our codec, the oracles, and instances made from the schema."""

    def __init__(self, version_name: str, message: str) -> None:
        self.version = version_name
        self.message = message
        self.schema = pypi_schemas(version_name)[message]
        self.is_request = message.endswith("Request")
        self.action = version.load(version_name).actions[message.removesuffix("Request").removesuffix("Response")]

    def __repr__(self) -> str:
        return f"{self.version}-{self.message}"

    def decode(self, data: bytes, *, tolerant: bool = False) -> version.Decoded:
        decode = self.action.decode_request if self.is_request else self.action.decode_response
        return decode(data, tolerant=tolerant)

    def accepts(self, data: bytes) -> bool:
        """Our strict verdict."""
        try:
            decoded = self.decode(data)
        except RpcError as error:
            assert error.code.endswith("Violation") and error.description.startswith("$"), error
            return False
        assert decoded.deviations == ()
        return True

    def oracle(self, name: str) -> Callable[[Any], bool]:
        return _oracle(name, self.version, self.message)

    def definitions(self) -> dict[str, Any]:
        return self.schema.get("definitions", {})

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self.definitions()[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    # --- valid instances --------------------------------------------------------------------------------------------

    def instances(self) -> st.SearchStrategy[dict[str, Any]]:
        """Valid instances, made from the schema."""
        return self._strategy(self.schema)

    def _strategy(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        schema = self.resolve(schema)
        match schema.get("type"):
            case _ if "enum" in schema:
                return st.sampled_from(schema["enum"])
            case "string" if schema.get("format") == "date-time":
                return DATE_TIMES
            case "string" if schema.get("format") == "uri":
                return st.sampled_from(["http://example.org/a?b=c#d", "ftp://u:p@[2001:db8::1]:21/x", "urn:a:b", "a:"])
            case "string":
                longest = schema.get("maxLength")
                return st.one_of(
                    st.text(TEXT, max_size=min(longest or 20, 20)), st.just("ä" * (20 if longest is None else longest))
                )
            case "integer":
                return st.integers(int(schema.get("minimum", -(2**63))), int(schema.get("maximum", 2**63 - 1)))
            case "number":
                return self._numbers(schema)
            case "boolean":
                return st.booleans()
            case "array":
                least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
                return st.lists(self._strategy(schema["items"]), min_size=least, max_size=max(least, min(most, 3)))
            case "object":
                return self._objects(schema)
            case _:
                # 2.x DataTransfer.data may be anything; null there reads as absent, which is how OCPP-J writes nothing.
                return ANY_JSON.filter(lambda value: value is not None)

    def _numbers(self, schema: dict[str, Any]) -> st.SearchStrategy[Decimal]:
        if "multipleOf" in schema:
            assert schema["multipleOf"] == 0.1
            return st.integers(-(10**6), 10**6).map(lambda tenths: Decimal(tenths) / 10)
        low, high = schema.get("minimum", -(10**9)), schema.get("maximum", 10**9)
        return st.decimals(int(low), int(high), allow_nan=False, allow_infinity=False, places=4)

    def _objects(self, schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        required = set(schema.get("required", []))
        named = {wire: self._strategy(inner) for wire, inner in schema.get("properties", {}).items()}
        strategy = st.fixed_dictionaries(
            {wire: inner for wire, inner in named.items() if wire in required},
            optional={wire: inner for wire, inner in named.items() if wire not in required},
        )
        if schema.get("additionalProperties") is False:
            return strategy
        extra = st.dictionaries(st.text(TEXT, max_size=8).filter(lambda key: key not in named), ANY_JSON, max_size=2)
        return st.builds(lambda known, more: {**more, **known}, strategy, extra)

    # --- mutations ---------------------------------------------------------------------------------------------------

    def fullest(self) -> dict[str, Any]:
        """One valid instance with every optional field in it and a single item in every list that may have one."""
        return self._full(self.schema)

    def _full(self, schema: dict[str, Any]) -> Any:
        schema = self.resolve(schema)
        match schema.get("type"):
            case _ if "enum" in schema:
                return schema["enum"][0]
            case "string" if schema.get("format") == "date-time":
                return "2026-01-02T03:04:05Z"
            case "string" if schema.get("format") == "uri":
                return "https://example.org/log"
            case "string":
                return "x"
            case "integer":
                return (
                    max(1, int(schema.get("minimum", 1))) if schema.get("maximum", 1) >= 1 else int(schema["maximum"])
                )
            case "number":
                return Decimal(int(schema["maximum"])) if schema.get("maximum", 1) < 1 else Decimal(1)
            case "boolean":
                return True
            case "array":
                return [self._full(schema["items"]) for _ in range(max(1, schema.get("minItems", 0)))]
            case "object":
                return {wire: self._full(inner) for wire, inner in schema.get("properties", {}).items()}
            case _:
                return {"any": [1, "thing", None]}

    def mutations(self) -> Iterator[Mutation]:
        """Every place of the fullest instance, changed in every way that matters to it; some changes are valid."""
        whole = self.fullest()
        root = [whole]
        for kind, path, container, key, value in self._changes(self.schema, whole, "$", root, 0):
            before = copy.copy(container)
            if value is ABSENT:
                del container[key]
            else:
                container[key] = value
            yield Mutation(kind, path, write(root[0]))
            if isinstance(container, dict):
                container.clear()
                container.update(before)
            else:
                container[:] = before

    def _changes(
        self, schema: dict[str, Any], value: Any, path: str, container: Any, key: Any
    ) -> Iterator[tuple[str, str, Any, Any, Any]]:
        schema = self.resolve(schema)
        kind = schema.get("type")
        if kind is not None:
            for other in (None, "x", 7, Decimal("1.5"), True, [], {}, "1.5"):
                if not (kind == "array" and other == []):  # that is "few"
                    yield "type", path, container, key, other
        for text in schema.get("enum", []):
            yield "enum-value", path, container, key, text
        if "enum" in schema:
            yield "enum", path, container, key, "NoSuchValue"
            yield "enum", path, container, key, schema["enum"][0].swapcase()
            yield "enum", path, container, key, ""
            if "kWh" in schema["enum"]:
                yield "enum-value", path, container, key, "Hertz"
        if "maxLength" in schema:
            yield "longest", path, container, key, "x" * schema["maxLength"]
            yield "longest", path, container, key, "😀" * schema["maxLength"]
            yield "long", path, container, key, "x" * (schema["maxLength"] + 1)
            yield "empty", path, container, key, ""
        if schema.get("format") == "date-time":
            for text in DATE_TIME_TEXTS:
                yield "date-time", path, container, key, text
            yield "leap-second", path, container, key, "2016-12-31T23:59:60Z"
            yield "year-zero", path, container, key, "0000-01-01T00:00:00Z"
        if schema.get("format") == "uri":
            for text in URI_TEXTS:
                yield "uri", path, container, key, text
        if kind in ("integer", "number"):
            step = 1 if kind == "integer" else Decimal("0.0001")
            for limit, sign in (("minimum", -1), ("maximum", 1)):
                if limit in schema:
                    yield "limit", path, container, key, int(schema[limit])
                    yield "range", path, container, key, int(schema[limit]) + sign * step
        if kind == "integer":
            yield "limit", path, container, key, 2**63 - 1
            yield "limit", path, container, key, -(2**63)
            for big in (2**63, -(2**63) - 1, 2**64, 10**30):
                if schema.get("minimum", big) <= big <= schema.get("maximum", big):
                    yield "bits", path, container, key, big
            yield "integral", path, container, key, Decimal("1.0") if schema.get("maximum", 1) >= 1 else Decimal("0.0")
        if kind == "number":
            yield "big", path, container, key, 10**30
            yield "big", path, container, key, -(2**64)
            yield "huge", path, container, key, Decimal("1E+64") if schema.get("maximum", 1) >= 1 else Decimal("-1E+64")
            if "multipleOf" in schema:
                for tenths in (1, 3, 7, 11, 299, 3000):
                    yield "multiple", path, container, key, Decimal(tenths) / 10
                    yield "multiple", path, container, key, Decimal(tenths) / 10 + Decimal("0.05")
                    yield "multiple", path, container, key, Decimal(tenths) / 10 + Decimal("1E-9")
        if kind == "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems")
            yield "few", path, container, key, value[:1] * max(0, least - 1)
            yield "items", path, container, key, value[:1] * max(least, 1)
            if most is not None:
                yield "items", path, container, key, value[:1] * most
                yield "many", path, container, key, value[:1] * (most + 1)
            yield from self._changes(schema["items"], value[0], path, value, 0)
        if kind == "object":
            yield "extra", path, value, "noSuchField", 1
            for wire, inner in schema.get("properties", {}).items():
                yield "drop", f"{path}.{wire}", value, wire, ABSENT
                yield from self._changes(inner, value[wire], f"{path}.{wire}", value, wire)


class Absent:
    pass


ABSENT = Absent()

TEXT = st.characters(exclude_categories=["Cs"])
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.decimals(-(10**9), 10**9, places=3)
    | st.text(TEXT, max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(TEXT, max_size=4), inner, max_size=2),
    max_leaves=4,
)


def _date_time(day: Any, milliseconds: int, offset: str) -> str:
    return f"{day:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{milliseconds:03d}" if milliseconds else "") + offset


DATE_TIMES = st.builds(
    _date_time,
    st.datetimes(min_value=datetime(1970, 1, 1)).map(lambda day: day.replace(microsecond=0)),  # noqa: DTZ001
    st.sampled_from([0, 1, 10, 120, 999]),
    st.sampled_from(["Z", "+02:00", "-11:30"]),
)

DATE_TIME_TEXTS = (
    "2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.1234567Z", "2026-01-02t03:04:05z", "2026-01-02T03:04:05+02:00",
    "2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05+02",
    "2026-01-02T03:04:05+0200", "2026-01-02T03:04:05-0200", "2026-01-02T03:04Z", "2026-01-02", "yesterday", "",
    "2026-02-30T03:04:05Z", "2026-13-01T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "1767323045",
    "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05,5Z", " 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z ",
)  # fmt: skip

URI_TEXTS = (
    "ftp://user:secret@[2001:db8::7]:2121/a%20b", "http://example.org", "mailto:a@example.org", "file:///tmp/x", "a:",
    "", "no scheme", "/relative", "http://exa mple.org", "http://example.org/%zz", "://x", "1http://x", "http://[::1",
    "http://example.org/ä", "http://example.org/<x>",
)  # fmt: skip

_encode = msgspec.json.Encoder(decimal_format="number").encode


def write(instance: Any) -> bytes:
    return _encode(instance)


def read(data: bytes) -> Any:
    """JSON with exact numbers."""
    return json.loads(data, parse_float=Decimal)


@cache
def _oracle(name: str, version_name: str, message: str) -> Callable[[Any], bool]:
    schema = (pypi_schemas if name == "pypi" else npm_schemas)(version_name)[message]
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)

    def verdict(data: Any) -> bool:
        return validator.is_valid(json.loads(data))

    return verdict


CASES = [Case(name, message) for name in FOLDERS for message in sorted(pypi_schemas(name))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=repr)


@pytest.fixture(scope="session")
def differences() -> tuple[Difference, ...]:
    return DIFFERENCES


@pytest.fixture(scope="session")
def exact() -> Callable[[bytes], Any]:
    """JSON read with exact numbers."""
    return read


@pytest.fixture(scope="session")
def compact() -> Callable[[Any], bytes]:
    """An instance, numbers as Decimal, as JSON."""
    return write


@pytest.fixture(scope="session")
def all_cases() -> list[Case]:
    return CASES
