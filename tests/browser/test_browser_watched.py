"""Roll-outs watched in Chromium: the real `pilotwire csms`, and thirty stations in a process of their own over mutual
TLS. `make soak` does it with a thousand."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace
from tests.soak import watching


async def test_new_certificates_and_firmware_that_stops_itself(tmp_path: Path) -> None:
    stations = watching.fleet(30, charging=1)
    # The third is in the second stage, of three stations: one of them is too many.
    stations[2] = replace(stations[2], fault="install")
    async with (
        asyncio.timeout(120),
        watching.Desk.open(tmp_path, stations, tls=True, processes=1, step_ms=200) as desk,
    ):
        over = await watching.roll_over(desk)
        assert over.faults == []
        assert (over.status, over.counts["renewed"], over.sessions, over.lost) == ("done", 30, 30, 0)
        assert over.energy_wh >= 0 and over.seen >= 3

        out = await watching.roll_out(desk)
        assert out.faults == []
        assert (out.status, out.stage, out.counts["installed"], out.counts["failed"]) == ("stopped", 2, 2, 1)
        assert out.counts["untouched"] == 27 and out.seen >= 3
        assert out.why == "1 of 3 stations failed or fell silent, more than 1 %"
