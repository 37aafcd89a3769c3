"""A message of a car read and written, and how soon the first one is, beside the Java codec of `iso15118`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from pilotwire.protocols import exi
from pilotwire.protocols.exi.json_form import from_json

from .harness import ENVIRONMENT, ROOT

PEER = Path(sys.prefix) / "iso15118" / "bin" / "python"


def _physical(value: int, unit: str) -> dict[str, Any]:
    return {"Multiplier": 0, "Unit": unit, "Value": value}


DEMAND: dict[str, Any] = {
    "V2G_Message": {
        "Header": {"SessionID": "82DBA3A44ED6E5B9"},
        "Body": {
            "CurrentDemandReq": {
                "DC_EVStatus": {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 55},
                "EVTargetCurrent": _physical(100, "A"),
                "EVMaximumVoltageLimit": _physical(450, "V"),
                "EVMaximumCurrentLimit": _physical(200, "A"),
                "EVMaximumPowerLimit": _physical(20_000, "W"),
                "BulkChargingComplete": False,
                "ChargingComplete": False,
                "RemainingTimeToFullSoC": _physical(1200, "s"),
                "RemainingTimeToBulkSoC": _physical(800, "s"),
                "EVTargetVoltage": _physical(400, "V"),
            }
        },
    }
}
"""A CurrentDemandReq of ISO 15118-2, which comes four times a second, with all that it may hold."""


class Cost(NamedTuple):
    """µs of CPU per message."""

    encode: float
    decode: float


def ours(count: int) -> Cost:
    message = from_json("iso2", DEMAND)
    stream = exi.encode("iso2", message)
    return Cost(_each(lambda: exi.encode("iso2", message), count), _each(lambda: exi.decode("iso2", stream), count))


def _each(work: Callable[[], object], count: int) -> float:
    for _ in range(200):
        work()
    begun = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - begun) / count * 1e6


def theirs(count: int) -> Cost:
    """The same through the package's own entrance to its codec, both processes counted."""
    stream = exi.encode("iso2", from_json("iso2", DEMAND)).hex()
    command = [str(PEER), "-m", "bench.baseline_exi", str(count), stream]
    told = json.loads(subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT, input=json.dumps(DEMAND).encode()))
    if told["stream"] != stream:
        raise RuntimeError(f"the two do not write the same: {told['stream']} and {stream}")
    return Cost(told["encode"], told["decode"])


def first_ms(rounds: int) -> float:
    """From the start of an interpreter to the first message read."""
    stream = exi.encode("iso2", from_json("iso2", DEMAND)).hex()
    command = [
        sys.executable,
        "-c",
        f"from pilotwire.protocols import exi; exi.decode('iso2', bytes.fromhex('{stream}'))",
    ]
    took: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.check_call(command, cwd=ROOT, env=ENVIRONMENT)
        took.append(1000 * (time.perf_counter() - begun))
    return median(took)
