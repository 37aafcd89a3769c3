"""The OpenAPI document: made by litestar from the handlers and types, then put straight.

Litestar describes its own error format; ours is problem+json everywhere. What each operation can answer is listed here
once, by rules.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from . import examples, types
from .exports import MEDIA_TYPES
from .problems import CATALOGUE, MEDIA_TYPE, ProblemDetails

_DESCRIPTION = """\
The public API of a Pilotwire central system.

**Logging in.** Programs send `Authorization: Bearer pw_…` (make a key with `pilotwire users key NAME`); the console
uses a cookie. With `--lab` no login is needed on the machine itself.

**Tenants.** Everything that you see is of one tenant, your own. A platform admin works in another one with the header
`X-Tenant`, or the parameter `tenant` where a header cannot be sent.

**Reasons.** Commands that can cut a station off, take it out of service or change whom it trusts need a `reason`. It
is kept in the audit log.

**Lists** answer `{"items": [...], "next": cursor or null}`; ask again with `cursor=<next>`. Query parameters that
are not known are ignored.

**Errors** are `application/problem+json` (RFC 9457) with a stable `type`; `detail` says what to do next and `errors`
names the fields.

**Units.** Energy in Wh, power in W, whole numbers. Times in RFC 3339, UTC.
"""

_PUBLIC = ("/healthz", "/readyz", "/metrics")


def config(version: str) -> OpenAPIConfig:
    """For `Litestar(openapi_config=...)`. No page of litestar's own: those load scripts from elsewhere."""
    return OpenAPIConfig(
        title="Pilotwire",
        version=version,
        description=_DESCRIPTION,
        path="/openapi-of-litestar",
        use_handler_docstrings=True,
        render_plugins=(),
        security=[{"key": []}, {"login": []}],
        components=Components(
            security_schemes={
                "key": SecurityScheme(type="http", scheme="bearer", description="An API key, pw_…"),
                "login": SecurityScheme(
                    type="apiKey", name="pilotwire_login", security_scheme_in="cookie", description="A login"
                ),
            }
        ),
        tags=[
            Tag("Stations", "Charging stations, their accounts and device models."),
            Tag("Certificates", "What stations show and trust, whom we trust, and who signs."),
            Tag("Firmware", "Images, updates, roll-outs in stages, and the logs that stations leave."),
            Tag("Sites", "Where stations stand, and what the connection there carries."),
            Tag("Controllers", "What the controller of a site does, did and plans, and why."),
            Tag("Commissioning", "Bringing a site into service: scan, draft, phases, fail-safes, dry run, going live."),
            Tag("Device model", "Variables and configuration keys, with what they mean."),
            Tag("Views", "Saved filters, order and columns of tables."),
            Tag("Jobs", "The same thing done to many stations, with progress."),
            Tag("Commands", "What is asked of a station, and what it answered."),
            Tag("Sessions", "What was charged."),
            Tag("Live", "The present, and every fact as it is committed."),
            Tag("Tokens", "Who may charge."),
            Tag("Tariffs", "What charging costs, and for whom."),
            Tag("Drivers", "The people who carry tokens: personal data."),
            Tag("Access", "Who may use this API."),
            Tag("Tenants", "The customers of an installation, each apart from all others."),
            Tag("Audit", "Who did what, when, to what and why, in a chain that nobody can change unseen."),
            Tag("Alarms", "What is wrong, by rules: raised, acknowledged, muted, cleared."),
            Tag("Notifications", "Who is told of alarms, by e-mail or webhook, and what became of it."),
            Tag("Webhooks", "Where events are sent: signed, tried again, logged."),
            Tag("Reports", "Energy, utilisation, availability and uptime, by station and site."),
            Tag("Operations", "For those who run it."),
        ],
    )


def schema_of(app: Litestar) -> dict[str, Any]:
    """The document as JSON values; made once for an app, whichever thread asks first."""
    made: dict[str, Any] | None = app.state.get("openapi_document")
    if made is None:
        with _making:
            made = _schema_of(app)
    return made


_making = threading.Lock()


def _schema_of(app: Litestar) -> dict[str, Any]:
    made: dict[str, Any] | None = app.state.get("openapi_document")
    if made is None:
        bodies = {
            str(handler.operation_id): handler.opt["body"]
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for handler in route.route_handlers
            if "body" in handler.opt
        }
        files = {
            str(handler.operation_id)
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for handler in route.route_handlers
            if "exports" in handler.opt
        }
        made = _straightened(app.openapi_schema.to_schema(), bodies, files)
        app.state.openapi_document = made
    return made


def _straightened(document: dict[str, Any], bodies: dict[str, type | str], files: set[str]) -> dict[str, Any]:
    schemas = _schemas()
    document["components"]["schemas"] = schemas
    document["paths"] = {path: item for path, item in document["paths"].items() if "openapi-of-litestar" not in path}
    document["servers"] = [{"url": "/"}]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                if operation["operationId"] in files:
                    _as_files(operation)
                _straighten(path, method, operation, bodies)
                _conventions(path, method, operation, schemas)
                for parameter in operation.get("parameters", ()):
                    _with_example(parameter, schemas)
    return document


def _as_files(operation: dict[str, Any]) -> None:
    """An operation that can also answer with a file."""
    content = operation["responses"]["200"]["content"]
    for kind in [kind for kind in content if kind != "application/json"]:
        del content[kind]
    if operation["operationId"] not in _JSON_AND_FILES:
        content.clear()
    for kind in MEDIA_TYPES.values():
        binary = {"type": "string", "format": "binary"} if "parquet" in kind else {"type": "string"}
        content[kind.partition(";")[0]] = {"schema": binary}


_JSON_AND_FILES = frozenset(("listSamples",))
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A random text of yours: the same request with the same key within a day is done once, and answered "
    "with the first one's answer",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_FIELDS = {
    "name": "fields",
    "in": "query",
    "required": False,
    "description": "Only these fields, with a comma between; of a list, of each item",
    "schema": {"type": "string"},
}
_HELD = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that you hold: 304 when it is still the same",
    "schema": {"type": "string", "maxLength": 1000},
}


def _conventions(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """What `pilotwire.api.conventions` does for every operation."""
    if not path.startswith("/api/"):
        return
    parameters = operation.setdefault("parameters", [])
    if method == "post":
        parameters.append({**_KEY})
    good = operation["responses"].get("200", {})
    if method == "get" and "application/json" in good.get("content", {}):
        names = _names(good["content"]["application/json"]["schema"], schemas)
        if names:
            parameters.append({**_FIELDS, "example": ",".join(names[:2])})
        parameters.append({**_HELD})
        good.setdefault("headers", {})["ETag"] = {
            "description": "Changes when the answer does; send it back as If-None-Match, or with an edit as If-Match",
            "schema": {"type": "string"},
        }
        operation["responses"]["304"] = {"description": "You hold the present answer already"}


GEOJSON = "application/geo+json"
_FEATURES = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {"type": "string"},
                    "geometry": {
                        "type": ["object", "null"],
                        "required": ["type", "coordinates"],
                        "properties": {
                            "type": {"enum": ["Point", "Polygon", "MultiPolygon"]},
                            "coordinates": {"type": "array"},
                        },
                    },
                    "properties": {"type": "object"},
                },
            },
        },
    },
}
"""RFC 7946, as far as an answer goes."""


def _names(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """The fields that an answer, or each item of its page, has."""
    whole = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema).get("properties", {})
    if whole.get("items", {}).get("type") == "array":
        return _names(whole["items"].get("items", {}), schemas)
    return list(whole)


def _with_example(parameter: dict[str, Any], schemas: dict[str, Any]) -> None:
    if "example" not in parameter and "examples" not in parameter:
        with contextlib.suppress(examples.NoExample):  # a test names it
            parameter["example"] = examples.of_parameter(parameter["name"], parameter.get("schema", {}), schemas)


def _schemas() -> dict[str, Any]:
    """The types as JSON Schema 2020-12 by msgspec itself, which knows every constraint that it checks."""
    kinds = [kind for kind in vars(types).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    concrete = [kind for kind in kinds if kind.__module__.startswith(types.__name__) and kind is not types.PageOf]
    _, made = msgspec.json.schema_components([*concrete, ProblemDetails], ref_template="#/components/schemas/{name}")
    made["ProblemDetails"]["examples"] = [_EXAMPLE]
    for one in made.values():
        if not one.get("examples"):
            one["examples"] = [examples.of_type(one, made)]
    return made


def _straighten(path: str, method: str, operation: dict[str, Any], bodies: dict[str, type | str]) -> None:
    body = bodies.get(operation["operationId"])
    if isinstance(body, str):
        operation["requestBody"] = {"required": True, "content": {body: {"schema": {"type": "string"}}}}
    elif body is not None:
        reference = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    operation.pop("deprecated", None)
    responses = {
        status: response for status, response in operation["responses"].items() if status.startswith(("2", "3"))
    }
    for response in responses.values():
        content = response.get("content", {})
        if "text/event-stream" in content:
            content["text/event-stream"] = {"schema": {"type": "string"}}
            response["description"] = "Server-sent events"
        elif GEOJSON in content:
            content[GEOJSON] = {"schema": _FEATURES}
            response["description"] = "A FeatureCollection"
        elif not response.get("description"):
            response["description"] = "Done"
    for name in _problems(path, method, operation):
        status, title, _ = CATALOGUE[name]
        known = responses.get(str(status))
        text = f"{known['description']}; {title.lower()}" if known else title
        responses[str(status)] = {
            "description": text,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
    operation["responses"] = responses
    if path in _PUBLIC:
        operation["security"] = []
    if operation["operationId"] == "sendCommand":
        operation["requestBody"]["content"]["application/json"]["examples"] = _COMMANDS


_SENDING = ["bad-command", "reason-needed", "station-offline", "no-answer"]


def _problems(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    """The names of the problems that an operation can answer."""
    names = ["bad-host"] if path in _PUBLIC else ["bad-parameter", "login-needed", "not-allowed"]
    if "{" in path:
        names.append("not-found")
    if method == "get" and any(one["name"] == "cursor" for one in operation.get("parameters", ())):
        names.append("bad-cursor")
    if any(one["name"].lower() == "if-match" for one in operation.get("parameters", ())):
        names.append("stale")
    if path.startswith("/api/v1/"):
        names.append("too-many-requests")
    if method == "post" and path.startswith("/api/v1/"):
        names += ["key-in-use", "key-reused"]
    if "requestBody" in operation:
        names += ["bad-json", "bad-body", "too-large", "bad-media-type"]
    names += {
        "createStation": ["exists"],
        "createSite": ["exists"],
        "deleteSite": ["in-use"],
        "deleteJob": ["in-use"],
        "createRollout": ["reason-needed", "not-found"],
        "resumeRollout": ["in-use"],
        "pauseRollout": ["in-use"],
        "cancelRollout": ["in-use"],
        "deleteRollout": ["in-use"],
        "deleteFirmware": ["in-use"],
        "putFirmwareContent": ["exists", "bad-file"],
        "updateFirmware": _SENDING,
        "publishFirmware": _SENDING,
        "withdrawFirmware": _SENDING,
        "askForStationLog": ["bad-command", "station-offline", "no-answer", "too-many"],
        "createView": ["in-use"],
        "createJob": ["reason-needed"],
        "createGroup": ["exists"],
        "deleteGroup": ["in-use"],
        "createDriver": ["exists"],
        "createTariff": ["exists"],
        "getController": ["controller-away"],
        "streamController": ["busy"],
        "getControllerPast": ["nothing-known", "controller-away"],
        "listControllerChanges": ["nothing-known", "controller-away"],
        "getControllerCourse": ["nothing-known", "controller-away"],
        "exportControllerCourse": ["nothing-known", "controller-away"],
        "listControllerWindows": ["nothing-known", "controller-away"],
        "exportControllerWindows": ["nothing-known", "controller-away"],
        "getControllerPlan": ["nothing-known", "controller-away"],
        "deleteTariff": ["in-use"],
        "changeSessionTariff": _SENDING,
        "changeDriver": ["exists"],
        "importTokens": ["bad-file"],
        "sendCommand": ["bad-command", "station-offline", "no-answer"],
        "setVariables": ["station-offline", "no-answer", "bad-command"],
        "refreshStationCertificates": _SENDING,
        "renewStationCertificate": _SENDING,
        "installStationCertificate": _SENDING,
        "deleteStationCertificate": _SENDING,
        "changeStationPassword": _SENDING,
        "createTrustAnchor": ["exists", "too-many"],
        "renewCertificateAuthority": ["not-found"],
        "getReport": ["not-found"],
        "muteAlarms": ["not-found"],
        "getReadiness": ["not-ready"],
        "streamLive": ["busy"],
        "exportSessions": ["busy"],
        "putUser": ["last-admin"],
        "changeUser": ["last-admin"],
        "deleteUser": ["last-admin"],
        "createTenant": ["exists"],
        "deleteTenant": ["in-use"],
        "getOidc": ["not-found"],
        "deleteOidc": ["not-found"],
        "checkOidc": ["not-found"],
        "workInTenant": ["no-tenant"],
        "removeSecondFactor": ["not-found"],
        "renewRecoveryCodes": ["not-found"],
    }.get(operation["operationId"], [])
    if path.startswith("/api/v1/me/") or operation["operationId"] == "changeMe":
        names += ["not-a-person", "too-many-attempts"] if method == "post" else ["not-a-person"]
    if path not in _PUBLIC and operation["operationId"] != "streamLive":
        names.append("not-ready")
    return names


_EXAMPLE = {
    "type": "/api#problem-station-offline",
    "title": "The station is not connected",
    "status": 409,
    "detail": "CP-1001 is not connected. Wait for it, or send `expires_in_s` to keep the command.",
}

_COMMANDS = {
    "start": {"summary": "Start charging, any version", "value": {"action": "start", "payload": {"token": "04A1B2C3"}}},
    "reset": {
        "summary": "Reset, as OCPP 1.6 has it",
        "value": {"action": "Reset", "payload": {"type": "Soft"}, "reason": "display frozen"},
    },
    "variables": {
        "summary": "Read a variable, as OCPP 2.x has it",
        "value": {
            "action": "GetVariables",
            "payload": {
                "getVariableData": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]
            },
        },
    },
}
