"""`make bench`: every figure of the issue's table, measured on this machine in one run.

python -m bench [--only handler,throughput,durable,deflate,memory,storm,startup,fleet,api,console,schedules,exi,
                        v2g,cabinet,allocation,planner,modbus,site-memory,site-box,
                        site-past,site-loop]
                [--quick] [--rounds N] [--json]
python -m bench dataset [--stations N] [--sessions N] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

from . import cases

_PACKAGES = ("picows", "uvloop", "msgspec", "websockets", "ocpp", "litestar")


def machine() -> str:
    """What it ran on, for the head of the table."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    return f"{model}, {len(cases.cores())} cores; Python {platform.python_version()}; {versions}"


def main() -> int:
    if sys.argv[1:2] == ["dataset"]:
        from . import dataset

        return dataset.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=",".join(cases.CASES), help="which cases (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of what is compared; the median counts (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="small counts: does it run at all (CI)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(machine(), file=sys.stderr)
    rows: list[cases.Row] = []
    for name in options.only.split(","):
        print(f"… {name}", file=sys.stderr, flush=True)
        rows += cases.CASES[name](options.rounds, options.quick)
    if options.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
        return 0
    widths = [max(len(str(row[at])) for row in [cases.Row._fields, *rows]) for at in range(3)]
    for row in [cases.Row(*(field.upper() for field in cases.Row._fields)), *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=False)), row.remark, sep="  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
