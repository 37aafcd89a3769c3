"""The codec of PyPI `iso15118`, called as the package calls it; run by the Python of its own venv."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import files
from typing import Any

from py4j.java_gateway import JavaGateway

NAMESPACE = "urn:iso:15118:2:2013:MsgDef"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(java: int) -> float:
    """Of this process and of the Java machine."""
    with open(f"/proc/{java}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / TICKS


def main(count: int, stream: bytes, message: str) -> None:
    (jar,) = [one for one in files("iso15118") or () if one.name == "EXICodec.jar"]
    options = ["--add-opens", "java.base/java.lang=ALL-UNNAMED"]
    gateway = JavaGateway.launch_gateway(classpath=str(jar.locate()), die_on_exit=True, javaopts=options)
    codec = gateway.jvm.com.siemens.ct.exi.main.cmd.EXICodec()
    pid = gateway.java_process.pid

    def each(work: Any) -> float:
        for _ in range(count):  # it gets faster with use
            work()
        begun = cpu_seconds(pid)
        for _ in range(count):
            work()
        return (cpu_seconds(pid) - begun) / count * 1e6

    written = codec.encode(message, NAMESPACE)
    if written is None:
        raise RuntimeError(codec.get_last_encoding_error())
    found = {
        "stream": bytes(written).hex(),
        "encode": each(lambda: codec.encode(message, NAMESPACE)),
        "decode": each(lambda: codec.decode(stream, NAMESPACE)),
    }
    print(json.dumps(found))
    gateway.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.stdin.read())
