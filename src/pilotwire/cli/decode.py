"""`pilotwire decode`: what an OCPP frame says, whether its version allows it, and what the answer would be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.cli.options import parser
from pilotwire.protocols.ocpp.rpc.errors import RpcError, wire_code
from pilotwire.protocols.ocpp.version import Action, Version, load

_KINDS = {2: "CALL", 3: "CALLRESULT", 4: "CALLERROR", 5: "CALLRESULTERROR", 6: "SEND"}
_VERSIONS = ("1.6", "2.0.1", "2.1")
_ENVELOPE = "a frame is a JSON array that begins with 2, 3, 4, 5 or 6"
_REMEMBERED = 10_000
_read = msgspec.json.Decoder(float_hook=Decimal).decode
_write = msgspec.json.Encoder(decimal_format="number").encode


def main(name: str, arguments: Sequence[str]) -> int:
    if arguments[:1] == ["exi"]:
        from pilotwire.cli.exi import decode_main

        return decode_main(name, arguments[1:])
    if arguments[:1] == ["v2g"]:
        from pilotwire.cli.v2g import decode_main

        return decode_main(name, arguments[1:])
    if arguments[:1] == ["can"]:
        from pilotwire.cli.can import decode_main

        return decode_main(name, arguments[1:])
    options = parser(
        name,
        "Explain OCPP frames: one JSON array per line, from the argument or standard input; `decode exi` "
        "reads what cars say, `decode v2g` captures of it, `decode can` logs of CAN buses.",
    )
    options.add_argument("frame", nargs="?", help='e.g. \'[2,"1","Heartbeat",{}]\'; default: standard input')
    options.add_argument("--version", choices=_VERSIONS, help="the OCPP version; default: whichever fits")
    options.add_argument(
        "--action", help="for a CALLRESULT: the action that it answers; default: that of the CALL before it with its id"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object per frame")
    chosen = options.parse_args(arguments)
    versions = [chosen.version] if chosen.version else list(_VERSIONS)
    if chosen.frame is None:
        sys.stdin.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    worst = 0
    calls: dict[str, str] = {}
    for line in [chosen.frame] if chosen.frame is not None else sys.stdin:
        if chosen.frame is None and not line.strip():
            continue
        explained = explain(line, versions, chosen.action, calls)
        worst = max(worst, 0 if explained["valid"] else 1)
        print(_write(explained).decode() if chosen.json else render(explained), flush=True)
    return worst


def explain(
    text: str, versions: Sequence[str], action: str | None = None, calls: dict[str, str] | None = None
) -> dict[str, object]:
    """What `text` is in the first of `versions` that allows it, else why the first does not.

    `calls` remembers the action of each CALL by its id, for the CALLRESULT that answers it.
    """
    try:
        # The payload stays as it came: 1.10 is not 1.1 to whoever signed it.
        raw = msgspec.json.decode(text.encode(), type=list[msgspec.Raw])
        frame: list[Any] = [_read(each) for each in raw]
    except msgspec.ValidationError:
        return _fault("not OCPP-J", _ENVELOPE)
    except (ValueError, RecursionError) as error:
        return _fault("not JSON", f"{error}")
    kind = _KINDS.get(frame[0]) if frame and type(frame[0]) is int else None
    if kind is None:
        return _fault("not OCPP-J", _ENVELOPE)
    if len(frame) < 2 or not isinstance(frame[1], str):
        return _fault(kind, "the second element is the message id, a string")
    if kind in ("CALLERROR", "CALLRESULTERROR"):
        return _error(kind, frame)
    if kind == "CALLRESULT":
        action = action or (calls or {}).get(frame[1])
        if action is None:
            return _fault(kind, "a CALLRESULT does not say what it answers: name it with --action")
        frame, raw = [3, frame[1], action, *frame[2:]], [raw[0], raw[1], raw[1], *raw[2:]]
    if len(frame) != 4 or not isinstance(frame[2], str):
        return _fault(kind, 'a CALL is [2, "id", "Action", {…}], a CALLRESULT [3, "id", {…}]')
    if calls is not None and kind == "CALL":
        calls[frame[1]] = frame[2]
        if len(calls) > _REMEMBERED:
            del calls[next(iter(calls))]
    tried = [_try(load(version), kind, frame, bytes(raw[3])) for version in versions]
    # Which version's fault to tell: of one that at least knows the action.
    fits = [each for each in tried if each["valid"]] or [each for each in tried if "sent_by" in each] or tried
    return fits[0]


def _error(kind: str, frame: list[Any]) -> dict[str, object]:
    """A CALLERROR or CALLRESULTERROR: [4, "id", "Code", "description", {…}]."""
    whole = len(frame) == 5 and isinstance(frame[2], str) and isinstance(frame[3], str) and isinstance(frame[4], dict)
    if not whole:
        return _fault(kind, f'a {kind} is [{frame[0]}, "id", "Code", "description", {{…}}]')
    _, message_id, code, description, details = frame
    return {
        "valid": True,
        "kind": kind,
        "id": message_id,
        "code": code,
        "description": description,
        "payload": details,
    }


def _try(version: Version, kind: str, frame: list[Any], payload: bytes) -> dict[str, object]:
    result: dict[str, object] = {
        "valid": False,
        "kind": kind,
        "version": version.name,
        "id": frame[1],
        "action": frame[2],
    }
    action = version.actions.get(frame[2])
    if action is None:
        near = ", ".join(sorted(each for each in version.actions if each.lower() == frame[2].lower()))
        return result | {
            "error": "NotImplemented",
            "why": f"OCPP {version.name} has no such action" + (f"; {near}?" if near else ""),
        }
    result["sent_by"] = _senders(action) if kind != "CALLRESULT" else _senders(action, answers=True)
    if (kind == "SEND") is not action.is_send:
        why = f"{action.name} goes out as a {'SEND [6, …]' if action.is_send else 'CALL [2, …]'}"
        return result | {"error": wire_code("MessageTypeNotSupported", version.name), "why": why}
    try:
        decoded = action.decode_response(payload) if kind == "CALLRESULT" else action.decode_request(payload)
    except RpcError as error:
        return result | {"error": wire_code(error.code, version.name), "why": error.description}
    return result | {"valid": True, "deviations": list(decoded.deviations), "payload": frame[3]}


def _senders(action: Action, *, answers: bool = False) -> list[str]:
    """Who may send the CALL, or its answer."""
    station, csms = (action.by_csms, action.by_station) if answers else (action.by_station, action.by_csms)
    return [who for who, may in (("station", station), ("csms", csms)) if may]


def _fault(kind: str, why: str) -> dict[str, object]:
    return {"valid": False, "kind": kind, "error": "", "why": why}


def render(explained: dict[str, object]) -> str:
    """The explanation as a person reads it."""
    head = " ".join(str(explained[key]) for key in ("kind", "action", "code", "id") if explained.get(key))
    lines = [head + (f"   OCPP {explained['version']}" if "version" in explained else "")]
    if explained.get("sent_by"):
        lines.append("  sent by: " + " or ".join(map(str, explained["sent_by"])))  # type: ignore[call-overload]
    if explained.get("description"):
        lines.append(f"  because: {explained['description']}")
    if explained.get("why"):
        lines.append(f"  refused: {explained.get('error') or 'unreadable'}: {explained['why']}")
    lines += [f"  accepted by rule: {rule}" for rule in explained.get("deviations") or []]  # type: ignore[attr-defined]
    if explained.get("payload") is not None:
        lines += ["  " + line for line in msgspec.json.format(_write(explained["payload"])).decode().splitlines()]
    return "\n".join(lines)
