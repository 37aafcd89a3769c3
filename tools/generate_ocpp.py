"""Writes `messages.py` of OCPP 1.6, 2.0.1 and 2.1 from the JSON schemas that PyPI `ocpp` ships.

    python tools/generate_ocpp.py            writes the three files
    python tools/generate_ocpp.py --check    exits 1 when a checked-in file differs from what would be written

Only names, limits and enumerations are taken over, no prose. What the schemas do not say is data here: who may send an
action, and for 1.6, whose schemas nest without names, the names that the standard gives its types.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "pilotwire" / "protocols" / "ocpp"

VERSIONS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}

# Who may send an action as a CALL (or SEND). 1.6: chapters 4 and 5 and the security whitepaper; 2.x: the use cases of
# part 2.
BOTH = {"DataTransfer"}


def _names(text: str) -> list[str]:
    return text.split()


BY_STATION = {
    "1.6": _names("""
        Authorize BootNotification DiagnosticsStatusNotification FirmwareStatusNotification Heartbeat
        LogStatusNotification MeterValues SecurityEventNotification SignCertificate SignedFirmwareStatusNotification
        StartTransaction StatusNotification StopTransaction
    """),
    "2.0.1": _names("""
        Authorize BootNotification ClearedChargingLimit FirmwareStatusNotification Get15118EVCertificate
        GetCertificateStatus Heartbeat LogStatusNotification MeterValues NotifyChargingLimit NotifyCustomerInformation
        NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent NotifyMonitoringReport
        NotifyReport PublishFirmwareStatusNotification ReportChargingProfiles ReservationStatusUpdate
        SecurityEventNotification SignCertificate StatusNotification TransactionEvent
    """),
}
BY_STATION["2.1"] = [
    *BY_STATION["2.0.1"],
    *_names("""
        BatterySwap ClosePeriodicEventStream GetCertificateChainStatus NotifyDERAlarm NotifyDERStartStop
        NotifyPeriodicEventStream NotifyPriorityCharging NotifySettlement OpenPeriodicEventStream
        PullDynamicScheduleUpdate ReportDERControl VatNumberValidation
    """),
]

# 1.6: schema property (or "Message.property" where the same name means several things) to the standard's type name.
NAMES_16 = {
    "chargingProfile": "ChargingProfile",
    "csChargingProfiles": "ChargingProfile",
    "chargingSchedule": "ChargingSchedule",
    "chargingSchedulePeriod": "ChargingSchedulePeriod",
    "configurationKey": "KeyValue",
    "idTagInfo": "IdTagInfo",
    "localAuthorizationList": "AuthorizationData",
    "meterValue": "MeterValue",
    "transactionData": "MeterValue",
    "sampledValue": "SampledValue",
    "chargingProfileKind": "ChargingProfileKindType",
    "chargingProfilePurpose": "ChargingProfilePurposeType",
    "chargingRateUnit": "ChargingRateUnitType",
    "context": "ReadingContext",
    "errorCode": "ChargePointErrorCode",
    "format": "ValueFormat",
    "location": "Location",
    "measurand": "Measurand",
    "phase": "Phase",
    "reason": "Reason",
    "recurrencyKind": "RecurrencyKindType",
    "requestedMessage": "MessageTrigger",
    "unit": "UnitOfMeasure",
    "updateType": "UpdateType",
    "ChangeAvailabilityRequest.type": "AvailabilityType",
    "ResetRequest.type": "ResetType",
    "IdTagInfo.status": "AuthorizationStatus",
    "BootNotificationResponse.status": "RegistrationStatus",
    "CancelReservationResponse.status": "CancelReservationStatus",
    "ChangeAvailabilityResponse.status": "AvailabilityStatus",
    "ChangeConfigurationResponse.status": "ConfigurationStatus",
    "ClearCacheResponse.status": "ClearCacheStatus",
    "ClearChargingProfileResponse.status": "ClearChargingProfileStatus",
    "DataTransferResponse.status": "DataTransferStatus",
    "DiagnosticsStatusNotificationRequest.status": "DiagnosticsStatus",
    "FirmwareStatusNotificationRequest.status": "FirmwareStatus",
    "GetCompositeScheduleResponse.status": "GetCompositeScheduleStatus",
    "RemoteStartTransactionResponse.status": "RemoteStartStopStatus",
    "RemoteStopTransactionResponse.status": "RemoteStartStopStatus",
    "ReserveNowResponse.status": "ReservationStatus",
    "ResetResponse.status": "ResetStatus",
    "SendLocalListResponse.status": "UpdateStatus",
    "SetChargingProfileResponse.status": "ChargingProfileStatus",
    "StatusNotificationRequest.status": "ChargePointStatus",
    "TriggerMessageResponse.status": "TriggerMessageStatus",
    "UnlockConnectorResponse.status": "UnlockStatus",
}

# 1.6 StopTransaction.transactionData is a list of the same MeterValue that MeterValues carries (standard 7.33), so both
# are one type here. The shipped schemas differ: only MeterValues has the unit Hertz (1.6 errata 4.0 adds it) and at
# least one item in meterValue and sampledValue (the official schema does not). The wider form of both is used: chargers
# send empty lists, and a StopTransaction may not be lost over its meter data.
MERGED_16 = {"MeterValue", "SampledValue", "UnitOfMeasure"}
MERGED_FROM = "MeterValuesRequest"
UNLIMITED_16 = {"meterValue", "sampledValue"}

# Words that their capitals would split.
WORDS = {"SoC": "Soc", "soC": "soc", "soH": "soh", "EMAIDs": "Emaids", "VRef": "Vref", "V2X": "V2x"}

PROSE = ("description", "javaType", "comment", "default", "title", "$id", "$schema", "additionalItems")


def strip(schema: Any) -> Any:
    """The schema without prose, and with `additionalProperties` only where it means something."""
    if isinstance(schema, list):
        return [strip(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: strip(value)
        for key, value in schema.items()
        if not (key in PROSE and not isinstance(value, dict))
        and not (key == "additionalProperties" and schema.get("type") != "object")
    }


def snake(name: str) -> str:
    """`idTag` → `id_tag`, `responderURL` → `responder_url`, `targetSoC` → `target_soc`."""
    for written, word in WORDS.items():
        name = name.replace(written, word)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return f"{text}_" if keyword.iskeyword(text) else text


def camel(name: str) -> str:
    """msgspec's `rename="camel"`, to know where it needs help."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class Source:
    """The shipped schemas of one version: `{"AuthorizeRequest": schema, ...}` in order of action names."""

    def __init__(self, version: str) -> None:
        spec = find_spec("ocpp")
        if spec is None or spec.origin is None:
            raise SystemExit("PyPI `ocpp` is not installed; it ships the schemas (requirements/test.lock has it)")
        folder = Path(spec.origin).parent / VERSIONS[version] / "schemas"
        self.version = version
        self.schemas: dict[str, Any] = {}
        for path in sorted(folder.glob("*.json"), key=lambda item: item.stem.lower()):
            name = path.stem if path.stem.endswith(("Request", "Response")) else f"{path.stem}Request"
            self.schemas[name] = strip(json.loads(path.read_text("utf-8-sig")))
        if not self.schemas:
            raise SystemExit(f"no schemas in {folder}")

    @property
    def actions(self) -> list[str]:
        return sorted(name.removesuffix("Request") for name in self.schemas if name.endswith("Request"))


class Writer:
    """Turns the schemas of one version into the text of its `messages.py`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.version = source.version
        self.enums: dict[str, list[str]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.order: list[str] = []
        for message, schema in self.merged_first():
            self.visit(message, schema, schema.get("definitions", {}), message)

    def merged_first(self) -> Iterator[tuple[str, Any]]:
        yield from sorted(self.source.schemas.items(), key=lambda item: item[0] != MERGED_FROM)

    # --- collecting types -------------------------------------------------------------------------------------------

    def visit(self, name: str, schema: dict[str, Any], definitions: dict[str, Any], message: str) -> None:
        """Registers the object `name` and everything below it; types of one name must be equal wherever they occur."""
        fields: dict[str, Any] = {}
        for wire, prop in schema.get("properties", {}).items():
            fields[wire] = self.resolve(wire, prop, definitions, message, name)
        entry = {
            "fields": fields,
            "required": sorted(schema.get("required", [])),
            "open": schema.get("additionalProperties") is not False,
        }
        known = self.objects.get(name)
        if known is None:
            self.objects[name] = entry
            self.order.append(name)
        elif known != entry and name not in MERGED_16:
            raise SystemExit(f"{self.version}: two types are called {name}")

    def resolve(
        self, wire: str, prop: dict[str, Any], definitions: dict[str, Any], message: str, owner: str
    ) -> dict[str, Any]:
        """A property with its type by name: {"kind": ..., limits...}."""
        if "$ref" in prop:
            name = prop["$ref"].rpartition("/")[2]
            return self.named(name, definitions[name], definitions, message)
        kind = prop.get("type")
        if kind == "array":
            item = self.resolve(wire, prop["items"], definitions, message, owner)
            if item.get("format") == "date-time":
                raise SystemExit(f"{owner}.{wire}: a list of date-times, which the codec does not expect")
            if self.version == "1.6" and wire in UNLIMITED_16:
                return {"kind": "array", "items": item}
            return {"kind": "array", "items": item, **{k: prop[k] for k in ("minItems", "maxItems") if k in prop}}
        if kind == "object" or "enum" in prop:
            return self.named(self.name_16(owner, wire), prop, definitions, message)
        if kind is None:
            return {"kind": "any"}
        return {"kind": kind, **{k: v for k, v in prop.items() if k != "type"}}

    def name_16(self, owner: str, wire: str) -> str:
        if self.version != "1.6":
            raise SystemExit(f"{owner}.{wire}: an unnamed type, which only the 1.6 schemas have")
        name = NAMES_16.get(f"{owner}.{wire}") or NAMES_16.get(wire)
        if name is None:
            raise SystemExit(f"1.6 {owner}.{wire}: NAMES_16 does not name this type")
        return name

    def named(self, name: str, schema: dict[str, Any], definitions: dict[str, Any], message: str) -> dict[str, Any]:
        if "enum" in schema:
            values = list(schema["enum"])
            known = self.enums.setdefault(name, values)
            if sorted(known) != sorted(values) and name not in MERGED_16:
                raise SystemExit(f"{self.version}: two enumerations are called {name}")
            return {"kind": "enum", "name": name}
        if schema.get("type") != "object":
            return self.resolve(name, schema, definitions, message, name)
        if name == "CustomDataType":
            return {"kind": "custom"}
        self.visit(name, schema, definitions, message)
        return {"kind": "object", "name": name}

    # --- writing types ----------------------------------------------------------------------------------------------

    def annotation(self, field: dict[str, Any]) -> str:
        kind = field["kind"]
        if kind in ("object", "enum"):
            return field["name"]
        if kind == "custom":
            return "CustomDataType"
        if kind == "any":
            return "Any"
        if kind == "boolean":
            return "bool"
        if kind == "array":
            return self.limited(
                f"list[{self.annotation(field['items'])}]",
                min_length=field.get("minItems"),
                max_length=field.get("maxItems"),
            )
        if kind == "string":
            if field.get("format") == "date-time":
                return "DateTime"
            if field.get("format") == "uri":
                return "Uri"
            if "maxLength" in field:
                alias = f"Str{field['maxLength']}"
                self.aliases[alias] = self.limited("str", max_length=field["maxLength"])
                return alias
            return "str"
        if kind == "integer":
            least, most = whole(field.get("minimum")), whole(field.get("maximum"))
            if least is None and most is None:
                return "Integer"
            low, high = "MIN_INTEGER" if least is None else least, "MAX_INTEGER" if most is None else most
            return f"Annotated[int, Meta(ge={low}, le={high})]"
        if kind == "number":
            bounds = {"ge": field.get("minimum"), "le": field.get("maximum"), "multiple_of": field.get("multipleOf")}
            given = ", ".join(
                f'{key}=Decimal("{decimal(value)}")' for key, value in bounds.items() if value is not None
            )
            return f"Annotated[Number, Bounds({given})]" if given else "Number"
        raise SystemExit(f"{self.version}: no rule for {field}")

    @staticmethod
    def limited(base: str, **limits: int | None) -> str:
        given = ", ".join(f"{key}={value}" for key, value in limits.items() if value is not None)
        return f"Annotated[{base}, Meta({given})]" if given else base

    # --- checks -----------------------------------------------------------------------------------------------------

    def needs_check(self, name: str) -> bool:
        """Does the type, or one inside it, have what its annotation cannot say?"""
        return any(self.field_needs_check(field) for field in self.objects[name]["fields"].values())

    def field_needs_check(self, field: dict[str, Any]) -> bool:
        if field["kind"] == "array":
            return self.field_needs_check(field["items"])
        if field["kind"] == "object":
            return self.needs_check(field["name"])
        return field["kind"] == "number" or field.get("format") == "uri"

    def check_lines(self, name: str) -> Iterator[str]:
        entry = self.objects[name]
        yield f"def check_{name}(o: Any) -> bool:"
        for wire, field in entry["fields"].items():
            if not self.field_needs_check(field):
                continue
            python, pad = snake(wire), "    "
            yield f"{pad}v = o.{python}"
            if wire not in entry["required"]:
                yield f"{pad}if v is not None:"
                pad += "    "
            if field["kind"] == "array":
                item = field["items"]
                if item["kind"] == "number":
                    yield f"{pad}for i, x in enumerate(v):"
                    yield f"{pad}    if type(x) is not Decimal:"
                    yield f"{pad}        if type(x) is not int:"
                    yield f"{pad}            return False"
                    yield f"{pad}        v[i] = x = Decimal(x)"
                    yield f"{pad}    if not ({self.number_test('x', item)}):"
                    yield f"{pad}        return False"
                else:
                    yield f"{pad}for x in v:"
                    yield f"{pad}    if not {self.call(item, 'x')}:"
                    yield f"{pad}        return False"
            elif field["kind"] == "number":
                yield f"{pad}if type(v) is not Decimal:"
                yield f"{pad}    if type(v) is not int:"
                yield f"{pad}        return False"
                yield f"{pad}    o.{python} = v = Decimal(v)"
                yield f"{pad}if not ({self.number_test('v', field)}):"
                yield f"{pad}    return False"
            else:
                yield f"{pad}if not {self.call(field, 'v')}:"
                yield f"{pad}    return False"
        yield "    return True"

    @staticmethod
    def call(field: dict[str, Any], variable: str) -> str:
        return f"is_uri({variable})" if field["kind"] == "string" else f"check_{field['name']}({variable})"

    def number_test(self, variable: str, field: dict[str, Any]) -> str:
        tests = [f"-{self.magnitude} < {variable}.adjusted() < {self.magnitude}"]
        if "minimum" in field:
            tests.append(f"{variable} >= {decimal(field['minimum'])}")
        if "maximum" in field:
            tests.append(f"{variable} <= {decimal(field['maximum'])}")
        if "multipleOf" in field:
            tests.append(f'is_multiple({variable}, Decimal("{decimal(field["multipleOf"])}"))')
        return " and ".join(tests)

    magnitude = 64

    # --- the file ---------------------------------------------------------------------------------------------------

    def marks(self, name: str) -> set[str]:
        """What the codec looks for in the bytes: the wire names of the date-times of a type and of all inside it, and
        "?" when there are optional numbers, in which the decoder cannot tell null from absence."""
        marks: set[str] = set()
        entry = self.objects[name]
        for wire, field in entry["fields"].items():
            inner = field["items"] if field["kind"] == "array" else field
            if inner.get("format") == "date-time":
                marks.add(wire)
            if field["kind"] == "number" and wire not in entry["required"]:
                marks.add("?")
            if inner["kind"] == "object":
                marks |= self.marks(inner["name"])
        return marks

    def class_lines(self, name: str) -> Iterator[str]:
        entry = self.objects[name]
        if entry["open"]:
            raise SystemExit(f"{self.version} {name}: only CustomDataType may have further properties")
        yield f"class {name}(Message, kw_only=True):"
        if not entry["fields"]:
            yield "    pass"
        pythons = [snake(wire) for wire in entry["fields"]]
        if len(set(pythons)) != len(pythons):
            raise SystemExit(f"{self.version} {name}: two fields have the same Python name")
        required = [wire for wire in entry["fields"] if wire in entry["required"]]
        for wire in [*required, *(wire for wire in entry["fields"] if wire not in required)]:
            python, annotation = snake(wire), self.annotation(entry["fields"][wire])
            named = camel(python) != wire
            if wire in entry["required"]:
                default = f' = field(name="{wire}")' if named else ""
            else:
                annotation = f"Opt[{annotation}]"
                default = f' = field(default=None, name="{wire}")' if named else " = None"
            yield f"    {python}: {annotation}{default}"

    def text(self) -> str:
        objects = [line for name in self.order for line in ("", "", *self.class_lines(name))]
        checks = [line for name in self.order if self.needs_check(name) for line in ("", "", *self.check_lines(name))]
        enums: list[str] = []
        for name, values in sorted(self.enums.items()):
            enums += [f"{name} = Literal[", *(f"    {json.dumps(value)}," for value in values), "]"]
        lines = [
            f"# Generated by tools/generate_ocpp.py from the OCPP {self.version} JSON schemas"
            f" shipped in PyPI ocpp {metadata.version('ocpp')}; do not edit.",
            f"# pyright: {', '.join(f'reportUnknown{what}Type=false' for what in ('Argument', 'Member', 'Variable'))}",
            f'"""The messages of OCPP {self.version}; `pilotwire.protocols.ocpp.model` says how they are written."""',
            "",
            "from __future__ import annotations",
            "",
            *self.foreign_imports([*objects, *checks, *self.aliases.values()]),
            "",
            *(
                ["from pilotwire.protocols.ocpp.checks import is_uri"]
                if any("is_uri" in line for line in checks)
                else []
            ),
            f"from pilotwire.protocols.ocpp.model import {', '.join(self.imports([*objects, *checks]))}",
            "",
            "__all__ = [",
            *(
                f'    "{name}",'
                for name in sorted([*self.enums, *self.order, *(["CustomDataType"] if self.version != "1.6" else [])])
            ),
            "]",
            "",
            *(f"{alias} = {text}" for alias, text in sorted(self.aliases.items(), key=lambda item: int(item[0][3:]))),
            "",
            *enums,
            *objects,
            *checks,
            "",
            "",
            "ACTIONS = (",
            *(f"    {row}," for row in self.rows()),
            ")",
            '"""(name, by station, by CSMS, then of the request and the response: type, check, marks in the bytes)"""',
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def imports(body: list[str]) -> list[str]:
        """Names of `model` that the text needs, in the order of ruff's isort."""
        names = (
            "MAX_INTEGER",
            "MIN_INTEGER",
            "Bounds",
            "CustomDataType",
            "DateTime",
            "Integer",
            "Message",
            "Number",
            "Opt",
            "Uri",
            "is_multiple",
        )
        return [name for name in names if any(re.search(rf"\b{name}\b", line) for line in body)]

    @staticmethod
    def foreign_imports(body: list[str]) -> list[str]:
        """Imports of the standard library and of msgspec that the text needs."""

        def used(*names: str) -> str:
            return ", ".join(name for name in names if any(re.search(rf"\b{name}\b", line) for line in body))

        lines = [f"from decimal import {used('Decimal')}"] if used("Decimal") else []
        typing = ", ".join(filter(None, [used("Annotated", "Any"), "Literal"]))
        return [*lines, f"from typing import {typing}", "", f"from msgspec import {used('Meta', 'field')}"]

    def rows(self) -> Iterator[str]:
        for action in self.source.actions:
            by_station = action in BY_STATION[self.version] or action in BOTH
            by_csms = action not in BY_STATION[self.version] or action in BOTH
            parts = [json.dumps(action), str(by_station), str(by_csms)]
            for suffix in ("Request", "Response"):
                name = action + suffix
                if name not in self.objects:
                    parts += ["None", "None", "()"]
                    continue
                marks = "".join(f"{json.dumps(wire)}, " for wire in sorted(self.marks(name)))
                parts += [
                    name,
                    f"check_{name}" if self.needs_check(name) else "None",
                    f"({marks.rstrip(' ')})" if marks else "()",
                ]
            yield f"({', '.join(parts)})"


def whole(value: Any) -> int | None:
    """A limit of an integer as an int: the schemas write some as 0.0."""
    if value is None:
        return None
    if int(value) != value:
        raise SystemExit(f"a limit of an integer is not whole: {value}")
    return int(value)


def decimal(value: float) -> str:
    """A limit as the schema writes it: 0.1 is 0.1, and 0.0 is 0."""
    return str(int(value)) if int(value) == value else repr(value)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    status = 0
    for version, folder in VERSIONS.items():
        source = Source(version)
        unknown = {*BY_STATION[version], *BOTH} - set(source.actions)
        if unknown:
            raise SystemExit(f"{version}: no schema for {sorted(unknown)}")
        text = Writer(source).text()
        path = TARGET / folder / "messages.py"
        shown = path.relative_to(ROOT)
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"{shown}: {len(source.actions)} actions, {len(source.schemas)} messages")
        elif not path.exists() or path.read_text("utf-8") != text:
            print(f"{shown} differs from what tools/generate_ocpp.py writes; run it and commit the result")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
