"""Fuzz the RPC machine with all three versions: `python fuzz/fuzz_rpc.py -max_total_time=20`.

The first byte chooses the version and whether the frame is taken as it is or put behind a well-formed head, so that the
fuzzer gets past the envelope; it begins with a few messages of each kind. Every input is held to the rules of
`tests/protocols/ocpp/rpc/test_rpc_any_bytes.py`: one event, no exception, a reply that is a message, and a call of ours
that is over exactly when an event says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

with atheris.instrument_imports(
    include=["pilotwire.protocols.ocpp"], exclude=["pilotwire.protocols.ocpp.v16", "pilotwire.protocols.ocpp.v2"]
):
    from pilotwire.protocols.ocpp.rpc.machine import (
        AnswerMemory,
        CallReceived,
        ErrorReceived,
        Ignored,
        Limits,
        Malformed,
        Repeated,
        ResultErrorReceived,
        ResultReceived,
        Rpc,
        SendReceived,
    )
    from pilotwire.protocols.ocpp.version import load

    VERSIONS = [load(name) for name in ("1.6", "2.0.1", "2.1")]
    for module in ("diagnosis", "tolerance"):  # imported by the codec when first used
        import_module(f"pilotwire.protocols.ocpp.{module}")

EVENTS = (
    CallReceived,
    SendReceived,
    ResultReceived,
    ErrorReceived,
    ResultErrorReceived,
    Malformed,
    Repeated,
    Ignored,
)
HEADS = [
    (b"", b""),
    (b'[2,"new","', b"]"),
    (b'[2,"open","DataTransfer",', b"]"),
    (b'[2,"new","MeterValues",', b"]"),
    (b'[2,"new","BootNotification",', b"]"),
    (b'[2,"new","DataTransfer",', b"]"),
    (b'[3,"ours",', b"]"),
    (b'[4,"ours",', b"]"),
    (b'[5,"ours",', b"]"),
    (b'[6,"new","NotifyPeriodicEventStream",', b"]"),
    (b"[", b"]"),
]

SEEDS = {
    0: [
        b'[2,"new","Heartbeat",{}]',
        b'[3,"ours",{"status":"Accepted","data":"x"}]',
        b'[4,"ours","GenericError","why",{"x":[1,null]}]',
        b'[5,"ours","FormationViolation","",{}]',
        b'[6,"new","NotifyPeriodicEventStream",{}]',
        b'[2,"open","DataTransfer",{"vendorId":"x"}]',
        b'[2,"\\u00e9\\ud83d\\ude00","Reset",{"type":"Soft"}]',
    ],
    1: [b'Authorize",{"idTag":"x"}', b'Authorize",{"idToken":{"idToken":"x","type":"ISO14443"}}', b'X",[]'],
    3: [
        b'{"connectorId":1,"meterValue":[{"timestamp":"2026-01-31T12:00:00Z","sampledValue":[{"value":"1.5"}]}]}',
        b'{"evseId":1,"meterValue":[{"timestamp":"2026-01-31T12:00:00+01:00","sampledValue":[{"value":1.5e3}]}]}',
    ],
    4: [
        b'{"chargePointVendor":"V","chargePointModel":"M"}',
        b'{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"},"customData":{"vendorId":"x","y":[1]}}',
    ],
    6: [b'{"status":"Accepted"}', b'{"status":null}'],
    7: [b'"NotSupported","",{}'],
    9: [b'{"id":1,"pending":0,"basetime":"2026-01-31T12:00:00Z","data":[{"t":0,"v":"1"}]}'],
}
"""Where to begin, by index into `HEADS`."""


def check(data: bytes) -> None:
    """One input."""
    if not data:
        return
    version = VERSIONS[data[0] % 3]
    before, after = HEADS[data[0] // 3 % len(HEADS)]
    frame = before + data[1:] + after
    rpc = Rpc(version, memory=AnswerMemory(), limits=Limits(size=8192))
    request = version.actions["DataTransfer"].request_type(vendor_id="x")
    rpc.call("ours", "DataTransfer", request, 0)
    rpc.receive(b'[2,"open","DataTransfer",{"vendorId":"x"}]', 0)
    call = rpc.outstanding
    event = rpc.receive(frame, 1)
    if type(event) not in EVENTS:
        raise AssertionError(f"no event: {event!r}")
    ended = getattr(event, "call", None)
    if ended not in (None, call) or (rpc.outstanding is None) is not (ended is call):
        raise AssertionError(f"the outstanding call and the event disagree: {event!r}")
    if rpc.counters.internal_errors:
        cause = getattr(event, "error", None)
        raise AssertionError(f"a decoder failed: {getattr(cause, '__cause__', cause)!r}") from cause
    reply = getattr(event, "reply", None)
    if reply is not None:
        answer = json.loads(reply)
        if answer[0] not in (4, 5) or len(answer) != 5 or len(answer[1]) > 36 or answer[1] == "open":
            raise AssertionError(f"not a reply that may be sent: {reply!r}")
        if len(answer[3]) > 255 or not isinstance(answer[4], dict):
            raise AssertionError(f"not a reply that may be sent: {reply!r}")


def main() -> int:
    """Run until `-max_total_time` (60 s unless told) or the first failure; on its own corpus unless given one."""
    arguments = sys.argv[1:]
    if not any(argument.startswith("-max_total_time") for argument in arguments):
        arguments.append("-max_total_time=60")
    if any(not argument.startswith("-") for argument in arguments):
        atheris.Setup([sys.argv[0], *arguments], check)
        atheris.Fuzz()  # ends the process
    with tempfile.TemporaryDirectory() as corpus:
        for head, bodies in SEEDS.items():
            for number, body in enumerate(bodies):
                for version in range(3):
                    (Path(corpus) / f"{head}-{number}-{version}").write_bytes(bytes([head * 3 + version]) + body)
        return subprocess.call([sys.executable, __file__, *arguments, corpus])


if __name__ == "__main__":
    sys.exit(main())
