"""`pilotwire send`: a command to a station; what is printed is the station's own answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from pilotwire.cli.api import api, path
from pilotwire.cli.options import add_data, add_tenant, parser
from pilotwire.core.errors import LocalError

_EXAMPLES = """examples:
  pilotwire send CP-1 start '{"token": "04A1B2C3", "evse": 1}'
  pilotwire send CP-1 Reset '{"type": "Soft"}' --reason "frozen"  (OCPP 1.6, as the standard has it)
  pilotwire send CP-2 GetVariables '{"getVariableData": [{"component": {"name": "OCPPCommCtrlr"},
                                     "variable": {"name": "HeartbeatInterval"}}]}'
exit status: 0 answered, 1 not (offline, timed out, refused)"""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Send a command to a station of a running server and print the station's answer.")
    options.epilog = _EXAMPLES
    options.add_argument("station", metavar="STATION")
    options.add_argument(
        "action", metavar="ACTION", help="an OCPP action of the station's version, or start, stop, unlock, reset, …"
    )
    options.add_argument("payload", metavar="JSON", nargs="?", default="{}")
    options.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds to wait (%(default)s)")
    options.add_argument(
        "--expires", type=float, metavar="S", help="if the station is away, keep the command this long and send it then"
    )
    options.add_argument(
        "--reason",
        default="",
        metavar="TEXT",
        help="why; needed for reset, unlock, firmware and certificates, kept in the audit log",
    )
    add_data(options)
    add_tenant(options)
    return asyncio.run(_run(options.parse_args(arguments)))


async def _run(options: Any) -> int:
    try:
        payload = json.loads(options.payload)
    except ValueError as error:
        raise LocalError(f"the payload is not JSON: {error}") from error
    body: dict[str, Any] = {"action": options.action, "payload": payload, "timeout_s": options.timeout}
    if options.reason:
        body["reason"] = options.reason
    if options.expires:
        body["expires_in_s"] = options.expires
    async with api(options) as server:
        if not server.live:
            raise LocalError("no server runs over this data directory; start one: pilotwire run")
        reply = await server.call(
            "POST", path("stations", options.station, "commands"), json=body, timeout=options.timeout + 30
        )
    print(json.dumps(reply["answer"], indent=2, ensure_ascii=False))
    if reply["outcome"] != "answered":
        print(f"pilotwire send: {reply['outcome']}", file=sys.stderr)
    return 0 if reply["outcome"] == "answered" else 1
