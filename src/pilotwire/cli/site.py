"""`pilotwire site`: one box at the grid connection that measures, decides and commands every second."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli import https, site_commission, site_records
from pilotwire.cli.options import address, default_data, parser, positive
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.core.time import Scheduler
    from pilotwire.domain.energy import Moment
    from pilotwire.site.compiled import Site
    from pilotwire.site.config import SiteConfig
    from pilotwire.site.decide import Decision, SiteState
    from pilotwire.site.inputs import TickInputs
    from pilotwire.site.joined import Joined
    from pilotwire.site.loop import Loop
    from pilotwire.site.run import Drivers, Part
    from pilotwire.site.watch import Watched

_HELP = """\
Run a site: limits of every fuse on every phase, chargers, meters, and what happens when one of them is gone.

  pilotwire site demo               a simulated site, to see it work
  pilotwire site commission site.yaml   find devices, phases and fail-safes, run dry, write the file (--http: a wizard)
  pilotwire site init site.yaml     write a commented configuration to begin with
  pilotwire site check site.yaml    all that is wrong in it, and whether its fail-safe values fit
  pilotwire site run site.yaml      run it
  pilotwire site plan site.yaml     the plan in force: what flows when, who gets what, and why not all
  pilotwire site interventions FOLDER   what a grid operator has ordered
  pilotwire site audit FOLDER       who has told it what
  pilotwire site replay FOLDER      make each decision of its log again, and say why an EVSE got what it got
"""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, _HELP)
    commands = options.add_subparsers(dest="command", metavar="COMMAND", required=True)
    init = commands.add_parser("init", help="write a commented configuration to begin with")
    init.add_argument("file", type=Path)
    init.add_argument("--force", action="store_true", help="over a file that is there")
    check = commands.add_parser("check", help="all that is wrong in a configuration")
    check.add_argument("file", type=Path)
    check.add_argument("--json", action="store_true", help="findings as JSON")
    run = commands.add_parser("run", help="run a site")
    run.add_argument("file", type=Path)
    run.add_argument("--data", type=Path, default=default_data() / "site", metavar="DIR", help="%(default)s")
    demo = commands.add_parser("demo", help="a simulated site, to see it work")
    demo.add_argument("--data", type=Path, metavar="DIR", help="keep its log there (default: nowhere)")
    demo.add_argument("--seed", type=int, default=1, help="other cars at other times (%(default)s)")
    for each in (run, demo):
        each.add_argument("--json", action="store_true", help="a line of JSON for each second")
        each.add_argument("--quiet", action="store_true", help="nothing but troubles")
        each.add_argument("--seconds", type=positive, help="end after so long")
        each.add_argument("--http", type=address, metavar="HOST:PORT", help="console and API of this site (off)")
        https.add(each)
        each.add_argument("--lab", action="store_true", help="no login for them; on loopback only")
    plan = commands.add_parser("plan", help="make the last plan of a site that runs again, and say what it gives whom")
    plan.add_argument("file", type=Path)
    plan.add_argument("--data", type=Path, default=default_data() / "site", metavar="DIR", help="%(default)s")
    plan.add_argument("--at", metavar="TIME", help="the plan in force then, of the last 48")
    plan.add_argument("--json", action="store_true", help="all of it as JSON")
    replay = commands.add_parser("replay", help="make each decision of a log again")
    replay.add_argument("folder", type=Path, help="the site's folder, DIR/SITE-ID below --data DIR, or the log in it")
    replay.add_argument("--at", metavar="TIME", help="the decision in force then, e.g. 2026-01-31T12:00:00+01:00")
    replay.add_argument("--evse", metavar="ID", help="why it got what it got")
    site_records.add(commands)
    site_commission.add(commands)
    chosen = options.parse_args(arguments)
    return _COMMANDS[chosen.command](chosen)


def _init(chosen: argparse.Namespace) -> int:
    from pilotwire.site.starter import TEXT

    file: Path = chosen.file
    if file.exists() and not chosen.force:
        raise ConfigError(f"{file} is there already; --force writes over it")
    try:
        file.write_text(TEXT, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from error
    print(f"{file} is written. Change it to what is there, then: pilotwire site check {file}")
    return 0


def _check(chosen: argparse.Namespace) -> int:
    from pilotwire.site.compiled import findings
    from pilotwire.site.config import read, text_of

    config, found = read(text_of(chosen.file))
    if config is not None:
        from pilotwire.site import parts

        found = [*findings(config), *parts.findings(config, chosen.file.parent)]
    errors = [each for each in found if each.severity == "error"]
    if chosen.json:
        print(json.dumps([{"where": f.where, "text": f.text, "severity": f.severity} for f in found], indent=2))
        return 1 if errors else 0
    for each in found:
        print(f"{'wrong  ' if each.severity == 'error' else 'mind   '} {each}")
    if errors or config is None:
        print(f"{chosen.file}: {_count(len(errors), 'thing')} to mend; it will not run like this")
        return 1
    print(
        f"{chosen.file}: can run. {_count(len(config.evses), 'EVSE')}, {_count(len(config.nodes), 'node')}, "
        f"{_count(len(config.devices), 'device')}; with the box switched off no limit at any node is exceeded"
    )
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _run(chosen: argparse.Namespace) -> int:
    from pilotwire.cli.site_tls import site_tls
    from pilotwire.site.config import load, text_of
    from pilotwire.site.joined import Joined
    from pilotwire.site.parts import Built, findings
    from pilotwire.site.planning.part import Planner

    config = load(chosen.file)
    wrong = [each for each in findings(config, chosen.file.parent) if each.severity == "error"]
    if wrong:
        raise ConfigError("the site cannot be run:\n" + "\n".join(f"  {each}" for each in wrong))
    folder, paths = chosen.data / config.site.id, chosen.file.parent
    planner = Planner(config, paths, folder, _report)
    joined = Joined(config, paths, folder, _report)
    secure = site_tls(config, paths, folder, _report)
    parts = [*joined.parts, *_gateway(config, joined, paths, folder), planner, *([secure] if secure else [])]

    def make(scheduler: Scheduler) -> Built:
        tls = None if secure is None else secure.tls
        return Built(config, folder, scheduler, paths=paths, tls=tls, report=_report)

    return _go(chosen, config, text_of(chosen.file), folder, make, parts)


def _gateway(config: SiteConfig, joined: Joined, paths: Path, folder: Path) -> list[Part]:
    if not config.gateway:
        return []
    from pilotwire.cli.site_gateway import GatewayPart

    return [GatewayPart(config.gateway, joined.outside.orders.limits, paths, folder, _report)]


def _demo(chosen: argparse.Namespace) -> int:
    from tempfile import TemporaryDirectory

    from pilotwire.site.config import read
    from pilotwire.site.decide import untouched
    from pilotwire.site.demo import TEXT, Demo, Operator
    from pilotwire.site.planning.part import Planner

    config, _ = read(TEXT)
    assert config is not None
    with TemporaryDirectory(prefix="pilotwire-site-") as folder:
        data = chosen.data / config.site.id if chosen.data else Path(folder)
        make = lambda scheduler: Demo(config, scheduler, chosen.seed)  # noqa: E731 - its type is that of `_go`
        parts: list[Part] = [Operator(seed=chosen.seed), Planner(config, data, data, _report)]
        return _go(chosen, config, TEXT, data, make, parts, state=untouched)


def _go(
    chosen: argparse.Namespace,
    config: SiteConfig,
    text: str,
    folder: Path,
    make: Callable[[Scheduler], Drivers],
    parts: Sequence[Part] = (),
    state: Callable[[Site, Moment], SiteState] | None = None,
) -> int:
    from importlib.metadata import version

    import uvloop

    from pilotwire.site.planning.part import Planner
    from pilotwire.site.run import run_site
    from pilotwire.site.watch import Watched

    planner = next((each for each in parts if isinstance(each, Planner)), None)
    watched = Watched(
        config,
        outlook=None if planner is None else planner.outlook,
        planned=None if planner is None else planner.planned_at,
    )
    parts = [*parts, *_shown(chosen, config, folder, watched)]

    async def go() -> int:
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        if chosen.seconds:
            asyncio.get_running_loop().call_later(chosen.seconds, stop.set)
        show = None if chosen.quiet else _as_json() if chosen.json else _as_line()
        loop = await run_site(
            config,
            text,
            folder,
            make,
            stop=stop,
            parts=parts,
            show=show,
            watched=watched,
            state=state,
            report=_report,
            version=version("pilotwire"),
        )
        if not chosen.quiet and not chosen.json:
            counts = loop.counts
            said = [f"{counts.ticks:,} ticks", f"{counts.commands:,} commands", f"{counts.failures} failures"]
            late = f", {counts.late} late" if counts.late else ""
            print(f"\nended: {', '.join(said)}{late}; every charger that is there was told its safe value")
        return 0

    return uvloop.run(go())


def _shown(chosen: argparse.Namespace, config: SiteConfig, folder: Path, watched: Watched) -> list[Part]:
    """Where people see the site: its own console, a central system."""
    parts: list[Part] = []
    secure = https.chosen(chosen)
    if chosen.http or secure:
        from pilotwire.cli.box import box_of

        box = box_of(config, folder, chosen.http, secure, watched, lab=chosen.lab, report=_report)
        if "file" in chosen:
            site_commission.beside(box, folder, chosen.file, config.site.id)
        parts.append(box)
    if config.central is not None:
        from pilotwire import __version__
        from pilotwire.site.link.dial import CentralLink

        begins = chosen.file.parent if "file" in chosen else Path()
        parts.append(CentralLink(config.central, watched, begins, folder, _report, program=__version__))
    return parts


def _report(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)


def _as_json() -> Callable[[Loop, TickInputs, Decision], None]:
    last = [-1]

    def show(loop: Loop, inputs: TickInputs, decision: Decision) -> None:
        if inputs.now.tick_ms // 1_000 == last[0]:
            return
        last[0] = inputs.now.tick_ms // 1_000
        print(json.dumps(status(loop, inputs, decision)), flush=True)

    return show


def status(loop: Loop, inputs: TickInputs, decision: Decision) -> dict[str, Any]:
    """What a program wants to know of a moment."""
    from pilotwire.core.time import to_rfc3339
    from pilotwire.site.picture import why_not_more

    return {
        "at": to_rfc3339(inputs.now.utc_ms),
        "seq": decision.seq,
        "meters": {node: list(reading.phases_ma) for node, reading in decision.state.meters.items()},
        "evses": {
            point.evse: {
                "value": point.value,
                "target": point.target,
                "unit": point.unit,
                "reason": why_not_more(decision, point.evse)[1] if point.evse in decision.reasons else "",
            }
            for point in decision.set_points
        },
        "marks": [{"where": mark.where, "code": mark.code, "words": mark.words} for mark in loop.marks],
        "counts": {
            "ticks": loop.counts.ticks,
            "commands": loop.counts.commands,
            "failures": loop.counts.failures,
            "late": loop.counts.late,
        },
    }


_GREETING_MS = 3_000


def _as_line() -> Callable[[Loop, TickInputs, Decision], None]:
    """One line that is written over itself on a terminal; what begins or ends to be wrong stays above it."""
    from pilotwire.core.time import to_rfc3339
    from pilotwire.site.decide import figure

    there: dict[tuple[str, str], str] = {}
    last = [-1]
    first: list[int] = []
    terminal = sys.stdout.isatty()

    def show(loop: Loop, inputs: TickInputs, decision: Decision) -> None:
        if not first:
            first.append(inputs.now.tick_ms)
        if inputs.now.tick_ms - first[0] < _GREETING_MS:
            return  # everybody is unknown until he has answered once
        clock = to_rfc3339(inputs.now.utc_ms)[11:19]
        now = {(mark.where, mark.code): f"{mark.where}: {mark.words}" for mark in loop.marks}
        clear = "\r\033[K" if terminal else ""
        for key, words in now.items():
            if key not in there:
                print(f"{clear}{clock} ! {words}")
        for where, code in there:
            if (where, code) not in now:
                print(f"{clear}{clock} ✓ {where}: no longer {code.replace('_', ' ')}")
        there.clear()
        there.update(now)
        second = inputs.now.tick_ms // (1_000 if terminal else 5_000)
        if second == last[0]:
            return
        last[0] = second
        flows = "  ".join(
            f"{node} {'/'.join(figure(ma // 100 * 100, 'AC').removesuffix(' A') for ma in reading.phases_ma)} A"
            for node, reading in decision.state.meters.items()
        )
        evses = loop.site.topology.evses
        given = "  ".join(
            f"{point.evse} {figure(point.value, evses[point.evse].current)}" for point in decision.set_points
        )
        line = f"{clock}  {flows}  |  {given}"
        print(f"{clear}{line[:150]}" if terminal else line, end="" if terminal else "\n", flush=True)

    return show


def _replay(chosen: argparse.Namespace) -> int:
    from pilotwire.core.time import from_rfc3339, to_rfc3339
    from pilotwire.site.explain import explain
    from pilotwire.site.replay import Note, Step, replay

    folder: Path = chosen.folder
    if (folder / "log").is_dir():
        folder = folder / "log"
    at = None
    if chosen.at:
        try:
            at = int(from_rfc3339(chosen.at))
        except ValueError as error:
            raise ConfigError(f"--at {chosen.at}: {error}; e.g. 2026-01-31T12:00:00+01:00") from error
    ticks = differences = faults = 0
    wanted: Step | None = None
    codes: Counter[str] = Counter()
    for item in replay(folder, from_utc_ms=at):
        if isinstance(item, Note):
            faults += item.fault
            print(f"{'damaged: ' if item.fault else ''}{item.text}")
            continue
        ticks += 1
        codes.update(mark.code for mark in item.decision.marks)
        if item.difference:
            differences += 1
            if differences == 1:
                print(f"the first difference: {to_rfc3339(item.inputs.now.utc_ms)}, tick {item.inputs.seq} of")
                print(f"  {item.segment}: {item.difference}")
        if at is None or item.inputs.now.utc_ms <= at:
            wanted = item
        elif wanted is not None:
            break
    if wanted is not None and (chosen.evse or at is not None):
        print(f"{to_rfc3339(wanted.inputs.now.utc_ms)}, tick {wanted.inputs.seq}:")
        for evse in [chosen.evse] if chosen.evse else sorted(wanted.site.outlets):
            try:
                said = explain(wanted.site, wanted.inputs, wanted.decision, evse)
            except LookupError as error:
                raise ConfigError(f"--evse: {error.args[0]}") from error
            print("\n    ".join(f"  {line}" if not number else line for number, line in enumerate(said)))
    elif at is not None:
        raise ConfigError(f"nothing was decided up to {chosen.at}; the log begins later")
    verdict = "every one as it was" if not differences else f"{differences:,} other than they were"
    marks = ", ".join(f"{code} in {count:,}" for code, count in codes.most_common(6))
    print(f"{ticks:,} decisions made again, {verdict}{'; ' + marks if marks else ''}")
    return 1 if differences or faults else 0


def _plan(chosen: argparse.Namespace) -> int:
    from pilotwire.cli.site_plan import show

    return show(chosen.file, chosen.data, chosen.at, as_json=chosen.json)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "init": _init,
    "check": _check,
    "run": _run,
    "demo": _demo,
    "plan": _plan,
    "replay": _replay,
    "commission": site_commission.run,
    "interventions": site_records.interventions,
    "audit": site_records.audit,
}
