"""The cases. Each returns rows of (what, figure, goal, remark)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx
import psutil

from .harness import ENVIRONMENT, ROOT, Load, _pin, closed_loop, rss, server, wait_for_rest
from .ports import free_port


class Row(NamedTuple):
    what: str
    figure: str
    goal: str
    remark: str


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


@contextmanager
def ours(*extra: str, data: Path | None = None, port: int | None = None) -> Iterator[tuple[psutil.Process, str, Path]]:
    """`pilotwire csms --lab`, pinned like any server here: (process, URL prefix, data directory)."""
    folder = data or Path(tempfile.mkdtemp(prefix="pilotwire-bench-"))
    port, http = port or free_port(), free_port()
    command = ["-m", "pilotwire", "csms", "--lab", "--message-rate", "0", "--data", str(folder)]
    command += ["--ocpp", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}", *extra]
    try:
        with server(command, port, http, quiet=True) as process:
            yield process, f"ws://127.0.0.1:{port}/ocpp", folder
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def baseline() -> Iterator[tuple[psutil.Process, str]]:
    port = free_port()
    with server(["-m", "bench.baseline_csms", str(port)], port) as process:
        yield process, f"ws://127.0.0.1:{port}"


def handler(rounds: int, quick: bool) -> list[Row]:
    """The handler alone, frame in and answer out without sockets, against mobilityhouse `ocpp`'s; alternately."""
    seconds = 0.5 if quick else 3.0
    found: dict[str, list[float]] = {"theirs": [], "ours": []}
    for _ in range(1 if quick else rounds):
        for who, costs in found.items():
            command = [sys.executable, "-m", "bench.handler", who, str(seconds)]
            told = subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT, preexec_fn=lambda: _pin(0))
            costs.append(json.loads(told)["us"])
    theirs, mine = median(found["theirs"]), median(found["ours"])
    remark = f"{mine:.1f} against {theirs:,.0f} µs of CPU per message"
    what = "validated MeterValues, full handler (store in memory), against mobilityhouse ocpp"
    return [Row(what, f"{theirs / mine:.1f} x", "≥ 30 x", remark)]


def throughput(rounds: int, quick: bool) -> list[Row]:
    """The whole server, store in memory, against mobilityhouse `ocpp`; alternately, the median of the rounds."""
    seconds = 1.0 if quick else 4.0
    theirs, mine = [], []
    for _ in range(1 if quick else rounds):
        with baseline() as (process, url):
            theirs.append(closed_loop(process, url, stations=128, seconds=seconds)["per_cpu_s"])
        with ours("--database", "memory:") as (process, url, _):
            wait_for_rest(process)
            mine.append(closed_loop(process, url, stations=128, seconds=seconds)["per_cpu_s"])
    ratio = median(mine) / median(theirs)
    remark = f"{median(mine):,.0f} against {median(theirs):,.0f} MeterValues per CPU-second"
    return [Row("the same through whole servers, sockets and all", f"{ratio:.1f} x", "", remark)]


def durable(rounds: int, quick: bool) -> list[Row]:
    """Answers after fsync with group commit on SQLite, 1,000 stations; then latency at half that load."""
    stations = 100 if quick else 1000
    found: list[dict[str, Any]] = []
    for _ in range(1 if quick else rounds):
        with ours() as (process, url, _):
            wait_for_rest(process)
            found.append(closed_loop(process, url, stations=stations, seconds=1.0 if quick else 5.0))
    best = sorted(found, key=lambda each: each["per_cpu_s"])[len(found) // 2]
    rate = best["per_wall_s"] / 2
    halves: list[dict[str, Any]] = []
    for _ in range(1 if quick else rounds):
        with ours() as (process, url, _):
            wait_for_rest(process)
            load = Load(url, "open", "--stations", stations, "--seconds", 1 if quick else 8, "--rate", rate)
            halves.append(load.finish())
    if any(each["errors"] or each["lost"] for each in halves):
        raise RuntimeError(f"not every message was answered: {halves}")
    halves.sort(key=lambda each: each["p99_ms"])
    half = halves[len(halves) // 2]
    return [
        Row(
            f"MeterValues answered after fsync (SQLite, {stations} stations)",
            f"{best['per_cpu_s']:,.0f} per CPU-s",
            "≥ 10,000",
            f"{best['per_wall_s']:,.0f} per second of wall time",
        ),
        Row(
            "their p99 at half that load, from the intended time of sending",
            f"{half['p99_ms']:.1f} ms",
            "< 50 ms",
            f"p50 {half['p50_ms']:.1f} ms at {rate:,.0f}/s; worst round {halves[-1]['p99_ms']:.1f} ms",
        ),
    ]


def memory(rounds: int, quick: bool) -> list[Row]:
    """Resident memory per idle station that has booted."""
    count = 200 if quick else 4000
    rows = []
    kinds = (
        ("plain", "< 40 KB", False, ()),
        ("TLS", "< 60 KB", True, ()),
        ("plain, deflate agreed", "", False, ("--deflate",)),
    )
    for label, goal, tls, more in kinds:
        port = free_port()
        extra = ["--ocpps", f"127.0.0.1:{port}"] if tls else []
        with ours(*extra) as (process, url, _):
            where = f"wss://127.0.0.1:{port}/ocpp" if tls else url
            warm = Load(where, "idle", "--stations", 50, "--prefix", "WARM-", *more)
            warm.line()
            time.sleep(1)
            before = rss(process)
            load = Load(where, "idle", "--stations", count, *more)
            load.line()
            time.sleep(2)
            per = (rss(process) - before) / count / 1000
            load.finish()
            warm.finish()
        rows.append(Row(f"memory per idle station, {label}", f"{per:.1f} KB", goal, f"{count} stations, booted"))
    return rows


def deflate(rounds: int, quick: bool) -> list[Row]:
    """What permessage-deflate (no context takeover, as OCPP 2.x has it) costs the central system per message."""
    seconds = 1.0 if quick else 4.0
    cost: dict[tuple[str, ...], list[float]] = {(): [], ("--deflate",): []}
    for _ in range(1 if quick else rounds):
        for more, found in cost.items():
            with ours("--database", "memory:") as (process, url, _):
                found.append(1e6 / closed_loop(process, url, *more, stations=128, seconds=seconds)["per_cpu_s"])
    plain, squeezed = (median(found) for found in cost.values())
    what = "deflate: CPU per MeterValues (840 bytes) beyond plain"
    return [Row(what, f"{squeezed - plain:.0f} µs", "", f"{squeezed:.0f} µs against {plain:.0f} µs")]


def storm(rounds: int, quick: bool) -> list[Row]:
    """All stations come back after a kill -9; a station that is already back authorizes meanwhile."""
    count = 300 if quick else 10_000
    folder = Path(tempfile.mkdtemp(prefix="pilotwire-bench-"))
    port = free_port()
    try:
        with ours(data=folder, port=port) as (process, url, _):
            first = Load(url, "storm", "--stations", count, "--width", 200)
            first.line()
            process.kill()
            first.finish()
        with ours(data=folder, port=port) as (_, url, _):
            probe = Load(url, "probe", "--stations", 1, "--prefix", "PROBE-")
            probe.line()
            again = Load(url, "storm", "--stations", count, "--width", 200)
            joined = again.line()
            if joined["errors"]:
                raise RuntimeError(f"{joined['errors']} stations were not accepted")
            again.finish()
            beside = probe.finish()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Row(
            f"{count:,} stations back after kill -9, all accepted",
            f"{joined['seconds']:.1f} s",
            "< 60 s",
            f"{count / joined['seconds']:,.0f} per second, boot included",
        ),
        Row(
            "Authorize of another station meanwhile, p99",
            f"{beside['p99_ms']:.0f} ms",
            "< 500 ms",
            f"{beside['answered']} calls, p50 {beside['p50_ms']:.1f} ms",
        ),
    ]


def startup(rounds: int, quick: bool) -> list[Row]:
    """`pilotwire run`: from the start of the process to the console's page; memory with the demo running.

    Each time in a new data folder, as a newcomer starts it. The first start, uncounted, leaves compiled modules.
    """
    took, held = [], []
    for _ in range(2 if quick else 1 + rounds):
        folder = Path(tempfile.mkdtemp(prefix="pilotwire-bench-"))
        try:
            seconds, bytes_held = _run(folder, 2 if quick else 15)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        took.append(seconds)
        held.append(bytes_held)
    remark = "new data folder, process start to the page at /"
    return [
        Row("`pilotwire run`: start to console", f"{median(took[1:]):.1f} s", "< 5 s", remark),
        Row("`pilotwire run`: memory with the demo", f"{max(held) / 1e6:.0f} MB", "< 150 MB", "resident, demo and all"),
    ]


def _run(folder: Path, watched_s: float) -> tuple[float, int]:
    """One `pilotwire run --lab`: (seconds until the console answers, bytes resident after `watched_s` more)."""
    http, ocpp = free_port(), free_port()
    command = [sys.executable, "-m", "pilotwire", "run", "--lab", "--data", str(folder)]
    command += ["--http", f"127.0.0.1:{http}", "--ocpp", f"127.0.0.1:{ocpp}"]
    begun = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            if child.poll() is not None:
                raise RuntimeError(f"`pilotwire run` ended with status {child.returncode}")
            try:
                if httpx.get(f"http://127.0.0.1:{http}/", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
        seconds = time.perf_counter() - begun
        time.sleep(watched_s)
        return seconds, rss(psutil.Process(child.pid))
    finally:
        child.terminate()
        child.wait(20)


def fleet(rounds: int, quick: bool) -> list[Row]:
    """Simulated stations in one process, connected and booted."""
    count = 100 if quick else 1000
    with ours() as (_, url, _):
        command = [sys.executable, "-m", "pilotwire", "station", "--url", url, "--count", str(count), "--quiet"]
        child = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        try:
            time.sleep(8 if quick else 30)
            if child.poll() is not None:
                raise RuntimeError("the fleet ended by itself")
            process = psutil.Process(child.pid)
            held = rss(process)
            online = len(
                [each for each in process.net_connections(kind="tcp") if each.status == psutil.CONN_ESTABLISHED]
            )
        finally:
            child.terminate()
            child.wait(20)
    return [
        Row(f"{count:,} simulated stations in one process", f"{held / 1e6:.0f} MB", "< 400 MB", f"{online} connected")
    ]


def api(rounds: int, quick: bool) -> list[Row]:
    """Reads over HTTP with an API key, and lists at 10,000 stations and a million sessions."""
    from . import web

    ours, theirs, size = web.reads(rounds, quick)
    rows = []
    for what, figure in ours.items():
        first = what == "a list of 50 stations"
        remark = f"{figure / theirs:.2f} x a bare litestar handler that answers {size / 1000:.0f} kB ({theirs:,.0f})"
        rows.append(
            Row(f"API: {what}", f"{figure:,.0f} per CPU-s", "≥ 3,000" if first else "", remark if first else "")
        )
    return rows


def console(rounds: int, quick: bool) -> list[Row]:
    """First paint of every page and every list, open consoles, live updates: on the data set."""
    from . import web

    lists, pages, at_once, first_page = web.times(quick)
    rows = [
        Row(
            "console: its first page after a start",
            f"{first_page:.0f} ms",
            "< 200 ms",
            "the server at rest, nobody asked before",
        ),
        Row(
            "console: its first page, the moment it listens",
            f"{at_once:.0f} ms",
            "",
            "while alarms and reports catch up",
        ),
    ]
    for goal, name, timed in (("< 200 ms", "page", pages), ("< 50 ms", "list", lists)):
        for one in timed:
            remark = f"{one.kilobytes:.0f} kB; first {one.first_ms:.0f} ms"
            rows.append(
                Row(
                    f"{name}: {one.what}",
                    f"{one.median_ms:.0f} ms",
                    goal,
                    remark + (f"; STATUS {one.status}" if one.status >= 400 else ""),
                )
            )
    one, beyond, latencies, rate = web.consoles(quick)
    for number, cost in beyond.items():
        remark = f"of a core, with {rate:.0f} meter values a second; one costs {one:.1f} %"
        rows.append(Row(f"{number} open consoles beyond one", f"{cost:.1f} %", "≤ 10 %", remark))
    worst = f"worst of {len(latencies)} {1000 * max(latencies):.0f} ms"
    rows.append(Row("meter value to the open page", f"{1000 * median(latencies):.0f} ms", "< 500 ms", worst))
    return rows


def schedules(rounds: int, quick: bool) -> list[Row]:
    """The composite schedule of 20 profiles of 24 periods over 24 h."""
    from .schedules import measure

    fresh, again, plain = measure(rounds, quick=quick)
    return [
        Row(
            "composite schedule, 20 profiles, 24 h",
            f"{fresh * 1000:.2f} ms",
            "< 1 ms",
            f"{again * 1000:.2f} ms when the profiles are known; every minute evaluated: {plain * 1000:.0f} ms, "
            f"{plain / fresh:.0f} times as long",
        )
    ]


def exi(rounds: int, quick: bool) -> list[Row]:
    """A message of a car, written and read, against the Java codec of `iso15118`."""
    from . import exi as measured

    mine = measured.ours(500 if quick else 10_000)
    theirs = measured.theirs(20 if quick else 300)
    return [
        Row(
            f"EXI: CurrentDemandReq of ISO 15118-2 {what}",
            f"{own:.0f} µs",
            "≤ 100 µs",
            f"{other / own:,.0f} times as fast as the Java codec of iso15118 ({other:,.0f} µs of CPU once warm)",
        )
        for what, own, other in zip(("written", "read"), mine, theirs, strict=True)
    ] + [Row("EXI: a new process has read its first message", f"{measured.first_ms(5):.0f} ms", "< 100 ms", "")]


def v2g(rounds: int, quick: bool) -> list[Row]:
    """Whole sessions of ISO 15118-2, and many stations at once, beside PyPI `iso15118`."""
    from . import v2g_peer, v2g_sessions

    v2g_sessions.session()
    here = sorted(v2g_sessions.session(seed) for seed in range(3 if quick else 20))
    middle = here[len(here) // 2]
    many = v2g_sessions.loop(50 if quick else 500, 1 if quick else 10)
    mine, theirs = v2g_peer.ours(1 if quick else rounds), v2g_peer.theirs(1 if quick else rounds)
    return [
        Row(
            "ISO 15118-2 DC session, both ends in one process",
            f"{middle.cpu_ms:.1f} ms",
            "< 50 ms",
            f"{middle.exchanges} exchanges",
        ),
        Row(
            "500 stations on a core, a CurrentDemand each 250 ms: slowest answer",
            f"{many.worst_ms:.1f} ms",
            "< 100 ms",
            f"p99 {many.p99_ms:.2f} ms; {many.cpu_us:.0f} µs an answer, {100 * many.busy:.0f} % of the core",
        ),
        Row(
            "ISO 15118-2 DC session, two processes over a network: CPU of both",
            f"{mine.cpu_s * 1000:.0f} ms",
            "",
            f"{theirs.cpu_s * 1000:,.0f} ms PyPI iso15118, its codec warm: {theirs.cpu_s / mine.cpu_s:,.0f} times",
        ),
        Row(
            "the same: memory of both processes",
            f"{mine.rss_mb:.0f} MB",
            "",
            f"{theirs.rss_mb:,.0f} MB PyPI iso15118; ready after {mine.ready_s:.1f} s and {theirs.ready_s:.1f} s",
        ),
    ]


def cabinet(rounds: int, quick: bool) -> list[Row]:
    """A power cabinet of 60 modules and 4 outputs: drivers, allocation, sharing, supervision."""
    from . import cabinet as measured

    cost = measured.cabinet(2 if quick else 20)
    return [
        Row(
            "power cabinet, 60 modules, 4 outputs: each time it wakes",
            f"{cost.tick:,.0f} µs",
            "< 5,000 µs",
            f"a frame of a module {cost.frame:.0f} µs; {cost.second / 10_000:.1f} % of a core in all",
        )
    ]


def allocation(rounds: int, quick: bool) -> list[Row]:
    """A tick of a site that is short of current everywhere, while set-points move and cars come and go."""
    from . import allocation as measured

    rows: list[Row] = []
    for evses, goal in measured.GOALS_MS.items():
        cost = measured.measure(evses, 10 if quick else 400)
        rows.append(
            Row(
                f"a tick of a site of {evses:,} EVSEs at {cost.nodes} nodes on 4 levels, p99",
                f"{cost.p99_ms:.1f} ms",
                f"< {goal:.0f} ms",
                f"median {cost.median_ms:.1f} ms, longest {cost.longest_ms:.1f} ms",
            )
        )
    return rows


def planner(rounds: int, quick: bool) -> list[Row]:
    """A plan of a day in quarters of an hour: cars, sun, battery, prices, demand windows, limits of each phase."""
    from . import planner as measured

    rows: list[Row] = []
    for cars, goal in measured.GOALS_MS.items():
        cost = measured.measure(cars, 1 if quick else 5)
        rows.append(
            Row(
                f"a plan of 96 steps for {cars} cars on 4 levels, median of {cost.plans}",
                f"{cost.median_ms:.0f} ms",
                f"< {goal:.0f} ms",
                f"longest {cost.longest_ms:.0f} ms, {cost.iterations:,} iterations; again after a small change "
                f"{cost.again_ms:.0f} ms",
            )
        )
    return rows


def modbus(rounds: int, quick: bool) -> list[Row]:
    """Reads of 60 registers beside pymodbus: the codecs alone, and client and server over TCP in one process."""
    from . import modbus as measured

    rows = []
    for what, goal, measure in (
        ("the codecs of both ends", "≥ 15,000 per CPU-s", lambda: measured.codecs(1000 if quick else 20_000)),
        ("client and server over TCP, their CPU together", "", lambda: measured.ends(1000 if quick else 20_000, 50)),
    ):
        found = [measure() for _ in range(1 if quick else rounds)]
        mine, theirs = median(each.ours for each in found), median(each.theirs for each in found)
        remark = f"{mine / theirs:.1f} times as many as pymodbus ({theirs:,.0f})"
        rows.append(Row(f"Modbus: reads of 60 registers, {what}", f"{mine:,.0f} per CPU-s", goal, remark))
    return rows


def site_memory(rounds: int, quick: bool) -> list[Row]:
    """`pilotwire site run` as a process, 50 EVSEs over 50 Modbus chargers of another process."""
    from . import site_memory as measured

    count = 5 if quick else 50
    rows = []
    for what, requests_s in (("", None), (" with its console", 0), (" with its console, 50 requests/s", 50)):
        held = measured.measure(count, 5 if quick else 30, requests_s)
        remark = f"{held.online} EVSEs charge; {held.ticks_s:.1f} ticks/s, {held.cpu_permille / 10:.0f} % of a core"
        if held.served:
            remark += f"; {held.served:,} answers, median {held.median_ms:.0f} ms"
        if requests_s is not None:
            remark += f"; the loop was late by {held.late_ms} ms at most, {held.late_ticks} late ticks"
        rows.append(
            Row(f"`pilotwire site run`{what}: memory, {count} EVSEs", f"{held.bytes / 1e6:.0f} MB", "< 150 MB", remark)
        )
    return rows


def site_box(rounds: int, quick: bool) -> list[Row]:
    """A site with all that a small box can have at once: console, planner, Modbus and OCPP, a look into the past."""
    from . import site_box as measured

    each = 2 if quick else 25
    found = measured.measure(each, each, 90 if quick else 150)
    if found.together:
        raise RuntimeError(f"two child processes were there at once, {found.together} times")
    busy = f"load of the machine {found.load:.0f}"
    rows = [
        ("when all cars charge, console not yet looked at", found.start, busy),
        ("with four streams of its console open", found.rest, f"{found.pages} pages were asked for"),
        ("while a moment of the past is made again", found.past, f"the most of {found.pasts}"),
        ("while a plan is made", found.plan, f"the most of {found.plans}"),
        ("the most of all", found.most, ""),
    ]
    made = [
        Row(
            f"a site of {each} Modbus and {each} OCPP chargers with console and planner, {what}",
            f"{weight.bytes / 1e6:.0f} MB", "< 150 MB",
            "; ".join(filter(None, (f"{', '.join(measured.shown(weight))} MB", remark))),
        )
        for what, weight, remark in rows
    ]  # fmt: skip
    log = found.log_bytes_s * 0.0864
    return [*made, Row("the same: its log, a day", f"{log:.0f} MB", "", f"200 MB are {200 / log:.1f} days")]


def site_past(rounds: int, quick: bool) -> list[Row]:
    """What it costs a site to be watched and remembered, and a moment of its past."""
    from . import site_past as measured

    count = 5 if quick else 50
    cost = measured.measure(count, 120 if quick else 1_500)
    remark = f"laid out for who looks: {cost.look_ms:.1f} ms; a day: log {cost.log_bytes_s * 0.0864:.1f} MB"
    return [
        Row(f"a site watched and remembered, {count} EVSEs: CPU of a tick", f"{cost.shown_us:.0f} µs", "small", remark),
        Row(
            f"a decision of the past made again, {count} EVSEs", f"{cost.past_ms / 1e3:.1f} s", "a few seconds",
            f"the slowest of {cost.moments} moments, in a child process, the same bit for bit",
        ),
    ]  # fmt: skip


def site_loop(rounds: int, quick: bool) -> list[Row]:
    """From a meter's answer to the last set-point: a site's process, 50 Modbus chargers and 50 OCPP stations."""
    from . import site_loop as measured

    each, steps = (2, 2) if quick else (50, 52)
    found = measured.measure(each, each, steps, 1 if quick else 60)
    if found.missed:
        raise RuntimeError(f"chargers were not told of a step: {found.missed}")
    rows: list[Row] = []
    for what, took in (("lowered", found.lower), ("raised", found.higher)):
        rows.append(
            Row(
                f"site: from the meter's answer until the last of {2 * each} chargers is {what}, p99",
                f"{measured.share(took, 0.99):,} ms",
                "< 1,500 ms",
                f"median {measured.share(took, 0.5)} ms, longest {took[-1]:,} ms of {len(took)} steps",
            )
        )
    modbus, ocpp = (measured.share(one, 0.5) for one in (found.modbus, found.ocpp))
    rows.append(
        Row(
            f"the same site: CPU and memory of its process, {2 * each} EVSEs",
            f"{found.idle_permille / 10:.1f} % of a core, {found.bytes / 1e6:.0f} MB",
            "",
            f"{found.stepping_permille / 10:.1f} % while it steps; last Modbus charger median {modbus} ms, "
            f"last OCPP station {ocpp} ms",
        )
    )
    return rows


CASES: dict[str, Callable[[int, bool], list[Row]]] = {
    "handler": handler,
    "throughput": throughput,
    "durable": durable,
    "deflate": deflate,
    "memory": memory,
    "storm": storm,
    "startup": startup,
    "fleet": fleet,
    "api": api,
    "console": console,
    "schedules": schedules,
    "exi": exi,
    "v2g": v2g,
    "cabinet": cabinet,
    "allocation": allocation,
    "planner": planner,
    "modbus": modbus,
    "site-memory": site_memory,
    "site-box": site_box,
    "site-past": site_past,
    "site-loop": site_loop,
}
