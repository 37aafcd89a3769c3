"""Rows are read in threads from the first one on."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_READ = """
import sys, threading
from pilotwire.storage.codec import decode_as, encode
from pilotwire.domain.records import ClockEstimate, Marks, Reading, Register, Session, Station

session = Session(
    id="s", tenant="t", station_id="A", transaction="1", ocpp_version="1.6", evse=1, connector=1, started_at=1,
    marks=Marks(soc=50), first=Register(1, 2), edges=[Reading(1, 2, 3)],
)
rows = [
    (Session, encode(session)),
    (Station, encode(Station(id="A", tenant="t", clock=ClockEstimate()))),
]
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)

def read(kind, row):
    barrier.wait()
    decode_as(kind, row)

threads = [threading.Thread(target=read, args=rows[n % 2]) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(12))
def test_the_first_rows_are_read_by_several_threads_at_once(attempt: int) -> None:
    """msgspec 0.22 ends the process when a thread uses a struct that another is preparing: nothing is prepared late."""
    done = subprocess.run([sys.executable, "-c", FIRST_READ], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
