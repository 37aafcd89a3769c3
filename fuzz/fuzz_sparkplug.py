"""Fuzzes the payload of Sparkplug B and the edge node that is told it: nothing raises but what says what is wrong.

python fuzz/fuzz_sparkplug.py [--seconds 60] [corpus directory] [libFuzzer options]
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.errors import LocalError
    from pilotwire.protocols.sparkplug import BadPayload, EdgeNode, EdgeNodeConfig, MetricDefinition, decode, encode

TOPICS = ("spBv1.0/g/NCMD/n", "spBv1.0/g/DCMD/n/d", "spBv1.0/STATE/h", "spBv1.0/g/NCMD/n/x/y")
METRICS = (MetricDefinition("limit", "UInt32", True), MetricDefinition("on", "Boolean", True))


def one(raw: bytes) -> None:
    """One input."""
    data = raw[1:]
    try:
        read = decode(data)
    except BadPayload:
        read = None
    if read is not None:
        try:
            again = decode(encode(read))
        except LocalError:
            pass  # a type that is not one of ours, or a value that does not fit what it says
        else:
            assert again.seq == read.seq and len(again.metrics) == len(read.metrics)
    node = EdgeNode(EdgeNodeConfig("g", "n", METRICS, "h" if raw[:1] > b"\x80" else None))
    node.will()
    node.connected(0)
    node.device("d", METRICS, 0)
    node.receive(TOPICS[raw[0] % 4 if raw else 0], data, 1)


if __name__ == "__main__":
    run(one, "-max_len=1024", "-len_control=0")
