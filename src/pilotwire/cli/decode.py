"""`pilotwire decode`: what an OCPP frame says, whether its version allows it, and what the answer would be."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pilotwire.cli.options import parser
from pilotwire.core.errors import LocalError
from pilotwire.protocols.ocpp.rpc.errors import RpcError, wire_code
from pilotwire.protocols.ocpp.version import Action, Version, load

_KINDS = {2: "CALL", 3: "CALLRESULT", 4: "CALLERROR", 5: "CALLRESULTERROR", 6: "SEND"}
_VERSIONS = ("1.6", "2.0.1", "2.1")


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Explain OCPP frames: one JSON array per line, from the argument or standard input.")
    options.add_argument("frame", nargs="?", help='e.g. \'[2,"1","Heartbeat",{}]\'; default: standard input')
    options.add_argument("--version", choices=_VERSIONS, help="the OCPP version; default: whichever fits")
    options.add_argument("--action", help="for a CALLRESULT: the action that it answers")
    options.add_argument("--json", action="store_true", help="print one JSON object per frame")
    chosen = options.parse_args(arguments)
    lines = [chosen.frame] if chosen.frame else [line for line in sys.stdin if line.strip()]
    versions = [chosen.version] if chosen.version else list(_VERSIONS)
    worst = 0
    for line in lines:
        explained = explain(line, versions, chosen.action)
        worst = max(worst, 0 if explained["valid"] else 1)
        print(json.dumps(explained, ensure_ascii=False) if chosen.json else render(explained))
    return worst


def explain(text: str, versions: Sequence[str], action: str | None = None) -> dict[str, object]:
    """What `text` is in the first of `versions` that allows it, else why the first does not."""
    try:
        frame = json.loads(text)
    except ValueError as error:
        return _fault("not JSON", f"{error}")
    if not isinstance(frame, list) or not frame or frame[0] not in _KINDS:
        return _fault("not OCPP-J", "a frame is a JSON array that begins with 2, 3, 4, 5 or 6")
    kind = _KINDS[frame[0]]
    if frame[0] in (4, 5):
        code, *rest = [*frame[2:], "", "", {}][:3]
        return {"valid": len(frame) == 5, "kind": kind, "id": frame[1], "code": code, "payload": rest}
    if frame[0] == 3:
        if action is None:
            raise LocalError("a CALLRESULT does not say what it answers: name it with --action")
        frame = [3, frame[1], action, *frame[2:]]
    if len(frame) != 4 or not isinstance(frame[1], str) or not isinstance(frame[2], str):
        return _fault(kind, 'a CALL is [2, "id", "Action", {…}], a CALLRESULT [3, "id", {…}]')
    tried = [_try(load(version), kind, frame) for version in versions]
    return next((each for each in tried if each["valid"]), tried[0])


def _try(version: Version, kind: str, frame: list[object]) -> dict[str, object]:
    result: dict[str, object] = {
        "valid": False,
        "kind": kind,
        "version": version.name,
        "id": frame[1],
        "action": frame[2],
    }
    action = version.actions.get(str(frame[2]))
    if action is None:
        near = ", ".join(sorted(each for each in version.actions if each.lower() == str(frame[2]).lower()))
        return result | {
            "error": "NotImplemented",
            "why": f"OCPP {version.name} has no such action" + (f"; {near}?" if near else ""),
        }
    payload = json.dumps(frame[3]).encode()
    try:
        decoded = action.decode_response(payload) if kind == "CALLRESULT" else action.decode_request(payload)
    except RpcError as error:
        return result | {"error": wire_code(error.code, version.name), "why": error.description}
    return result | {
        "valid": True,
        "sent_by": _senders(action),
        "deviations": list(decoded.deviations),
        "payload": frame[3],
    }


def _senders(action: Action) -> list[str]:
    return [who for who, may in (("station", action.by_station), ("csms", action.by_csms)) if may]


def _fault(kind: str, why: str) -> dict[str, object]:
    return {"valid": False, "kind": kind, "error": "", "why": why}


def render(explained: dict[str, object]) -> str:
    """The explanation as a person reads it."""
    head = " ".join(str(explained[key]) for key in ("kind", "action", "code", "id") if explained.get(key))
    lines = [head + (f"   OCPP {explained['version']}" if "version" in explained else "")]
    if explained.get("sent_by"):
        lines.append("  sent by: " + " or ".join(map(str, explained["sent_by"])))  # type: ignore[call-overload]
    if explained.get("why"):
        lines.append(f"  refused: {explained.get('error') or 'unreadable'}: {explained['why']}")
    lines += [f"  accepted by rule: {rule}" for rule in explained.get("deviations") or []]  # type: ignore[attr-defined]
    if explained.get("payload") is not None:
        lines += ["  " + line for line in json.dumps(explained["payload"], indent=2, ensure_ascii=False).splitlines()]
    return "\n".join(lines)
