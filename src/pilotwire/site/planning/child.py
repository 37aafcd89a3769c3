"""The process that plans: a record in, an answer out. `python -m pilotwire.site.planning.child`

It is started for one plan and ends with it: HiGHS and NumPy take 30 MB and more of a small box's memory only while
they work, whatever they leak is gone, and one that hangs can be killed. It gives way to the loop (niceness 10), and
ends by itself when its time is over, if nobody is left to kill it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

from pilotwire.core.errors import PilotwireError

from .record import Answer, Record, digest, encoded, problem_of, record_of

MOST_S = 330
"""Longer than any time-out that can be set."""
MEMORY = 2_000_000_000
"""Bytes of addresses: a problem that has gone wild must not take the box with it."""


def answer(data: bytes) -> Answer:
    """Plans. What is wrong with the record is said in the answer."""
    name = digest(data)
    begun = time.process_time()
    try:
        record: Record = record_of(data)
        from pilotwire.domain.planning import plan

        made = plan(problem_of(record), record.previous)
    except (PilotwireError, ValueError, MemoryError) as error:
        return Answer(name, error=str(error) or type(error).__name__)
    spent = int((time.process_time() - begun) * 1_000)
    return Answer(name, plan=made, cpu_ms=spent, peak_kb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> int:
    """Reads all of the standard input, writes the answer to the standard output."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each of its threads would reserve memory for nothing
    os.nice(10)
    signal.alarm(MOST_S)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    made = answer(sys.stdin.buffer.read())
    sys.stdout.buffer.write(encoded(made))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
