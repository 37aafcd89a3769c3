"""`pilotwire site commission`: a site is brought into service, in the browser (`--http`) or step by step in a terminal.

Steps that are named are done in their order: look for devices, enter them, pulses, fail-safes, dry run, the file. What
was done is kept in the data folder, so that each step can be a call of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli import https
from pilotwire.cli.options import address, default_data, positive
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.cli.box import Box
    from pilotwire.cli.https import HttpsOptions
    from pilotwire.core.time import Scheduler
    from pilotwire.domain.commissioning import Job, State
    from pilotwire.site.commissioning.bench import Drivers
    from pilotwire.site.commissioning.record import Make
    from pilotwire.site.commissioning.wizard import Wizard
    from pilotwire.site.config import SiteConfig

_LOOK_S = 0.2


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command."""
    each = commands.add_parser(
        "commission",
        help="bring a site into service: scan, map, phases by pulses, fail-safes, dry run",
        description="Without a step it says how far the commissioning of FILE is and what is next.",
    )
    each.add_argument("file", type=Path, help="the site's file: begun with if it is there, written in the end")
    each.add_argument("--data", type=Path, default=default_data() / "site", metavar="DIR", help="%(default)s")
    each.add_argument("--http", type=address, metavar="HOST:PORT", help="the wizard in the browser instead")
    https.add(each, "the wizard")
    each.add_argument("--lab", action="store_true", help="no login for it; on loopback only")
    each.add_argument("--scan", action="append", metavar="WHERE", help="192.168.1.0/24, 192.168.1.20-40, HOST[:PORT]")
    each.add_argument("--serial", action="append", metavar="PATH", help="a serial line, e.g. /dev/ttyUSB0")
    each.add_argument("--stations", type=positive, metavar="S", help="wait so long for OCPP stations that knock")
    each.add_argument("--unit", type=int, action="append", help="only these units")
    each.add_argument("--public", action="store_true", help="addresses outside of private networks, too")
    each.add_argument("--take", action="append", metavar="ID", help="enter what was found; `all` for everything")
    each.add_argument("--show", action="store_true", help="print the draft as the file that would be written")
    each.add_argument("--draft", type=Path, metavar="PATH", help="take this file's text as the draft")
    each.add_argument("--phases", nargs="*", metavar="EVSE", help="find phases by pulses; without names all unknown")
    each.add_argument("--verify", action="store_true", help="rotations that are written down, too")
    each.add_argument("--accept", action="store_true", help="write the rotations that were found into the draft")
    each.add_argument("--failsafe", action="store_true", help="set and read back all fail-safes")
    each.add_argument("--prove", action="store_true", help="and leave each charger alone until it falls back")
    each.add_argument("--dry-run", type=positive, metavar="S", help="decide for so long, and command nobody")
    each.add_argument("--write", action="store_true", help="write FILE; the one before stays beside it")
    each.add_argument("--json", action="store_true", help="the whole state as JSON at the end")


def run(chosen: argparse.Namespace) -> int:
    """`pilotwire site commission FILE`. 1 where a step did not end well."""
    import uvloop

    if chosen.http is not None or chosen.https is not None:
        return _served(chosen, https.chosen(chosen))
    return uvloop.run(_steps(chosen))


def folder_of(data: Path, file: Path) -> Path:
    """Where the commissioning of a file is kept."""
    return data / "commissioning" / file.stem


def _wizard(chosen: argparse.Namespace, **more: Any) -> Wizard:
    from pilotwire.site.commissioning.wizard import Wizard

    folder = folder_of(chosen.data, chosen.file)
    return Wizard(folder, chosen.file, make=_drivers(chosen.data, chosen.file), report=_report, **more)


def _drivers(data: Path, file: Path) -> Make:
    """With the secrets beside the file, and with the certificates that the site will show when it runs."""

    def make(config: SiteConfig, folder: Path, scheduler: Scheduler, silent: bool) -> Drivers:
        from pilotwire.cli.site_tls import site_tls
        from pilotwire.site.parts import Built

        secure = site_tls(config, file.parent, data / config.site.id, _report)
        tls = None if secure is None else secure.tls
        return Built(config, folder, scheduler, silent=silent, paths=file.parent, tls=tls, report=_report)

    return make


# --- in a terminal ------------------------------------------------------------------------------------------------
async def _steps(chosen: argparse.Namespace) -> int:
    from pilotwire.domain.commissioning import Edit, PhasesAsk, Refused, ScanAsk

    wizard = _wizard(chosen)
    shows = sys.stderr.isatty() and not chosen.json
    task = asyncio.current_task()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, lambda: None if task is None else task.cancel())
    good = True
    try:
        if chosen.scan or chosen.serial or chosen.stations:
            ask = ScanAsk(
                hosts=tuple(chosen.scan or ()), serial=tuple(chosen.serial or ()), units=tuple(chosen.unit or ()),
                public=chosen.public, stations_s=chosen.stations or 0,
            )  # fmt: skip
            await wizard.scan(ask)
            good &= await _over(wizard, shows)
        if chosen.take:
            state = await wizard.state()
            every = [one.id for one in state.found if (one.files or one.identity) and one.id not in state.mapped]
            await wizard.edit(Edit(take=dict.fromkeys(every if "all" in chosen.take else chosen.take, "")))
        if chosen.draft is not None:
            from pilotwire.site.config import text_of

            await wizard.edit(Edit(text=text_of(chosen.draft)))
        if chosen.phases is not None or chosen.verify:
            await wizard.phases(PhasesAsk(evses=tuple(chosen.phases or ()), verify=chosen.verify))
            good &= await _over(wizard, shows)
        if chosen.accept:
            await wizard.accept(())
        if chosen.failsafe or chosen.prove:
            await wizard.failsafe(chosen.prove)
            good &= await _over(wizard, shows)
        if chosen.dry_run:
            await wizard.dry_run(chosen.dry_run)
            good &= await _over(wizard, shows)
        if chosen.write:
            _report(f"written: {await wizard.write(live=False)}")
        state = await wizard.state()
        if chosen.show:
            print(state.draft.text, end="")
        elif chosen.json:
            import msgspec

            print(json.dumps(msgspec.to_builtins(state, str_keys=True), ensure_ascii=False))
        else:
            _print(state, chosen.file)
        return 0 if good else 1
    except Refused as error:
        raise ConfigError(str(error)) from error
    except asyncio.CancelledError:
        _report("ended; nobody is commanded any more")
        return 1
    finally:
        await wizard.close()


async def _over(wizard: Wizard, shows: bool) -> bool:
    """Until the job is over; whether it ended well."""
    said = ""
    while True:
        job = (await wizard.state()).job
        assert job is not None
        if job.status != "running":
            break
        if shows and job.words != said:
            said = job.words
            print(f"\r\033[K{job.done} of {job.total}: {said[:120]}", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(_LOOK_S)
    if shows:
        print("\r\033[K", end="", file=sys.stderr)
    _tell(job)
    return job.status == "done"


def _tell(job: Job) -> None:
    print(f"{job.kind.replace('_', ' ')}: {job.status}; {job.words}", file=sys.stderr)
    if job.todo:
        print(f"  next: {job.todo}", file=sys.stderr)


_NEXT = {
    "scan": "look for devices: --scan 192.168.1.0/24, --serial /dev/ttyUSB0 or --stations 60",
    "map": "--take all enters what was found; --show > draft.yaml, mend it, --draft draft.yaml (or --http)",
    "phases": "plug cars in, then --phases; --accept writes what was found into the draft",
    "failsafe": "--failsafe, and --prove to see each charger fall back",
    "dry_run": "--dry-run 86400",
    "live": "--write, then: pilotwire site run {file}",
}


def _print(state: State, file: Path) -> None:
    """What there is, in plain lines."""
    for one in state.found:
        fits = one.files[0].id if one.files else "OCPP" if one.identity else "no file fits"
        where = one.identity or f"{one.endpoint} unit {one.unit}"
        print(
            f"found    {where}: {fits}, {one.who or one.state}; {state.mapped.get(one.id) or 'not entered'}  {one.id}"
        )
    for each in state.draft.findings:
        print(f"{'wrong  ' if each.severity == 'error' else 'mind   '}  {each.where}: {each.text}")
    for verdict in state.verdicts:
        print(f"phases   {verdict.evse}: {verdict.rotation or verdict.outcome}; {verdict.words}")
        _todo(verdict.todo)
    for result in state.failsafes:
        print(f"failsafe {result.evse}: {result.outcome}, {result.proof.replace('_', ' ')}; {result.words}")
        _todo(result.todo)
    for text in state.overloads:
        print(f"wrong    {text}")
    if state.dry_run is not None:
        report = state.dry_run
        print(f"dry run  {report.seconds} s, {report.commands} commands not given, {report.failures} failures")
        for over in report.violations:
            unit = "kW" if over.what == "power" else "A"
            scale = 1_000_000 if over.what == "power" else 1_000
            print(
                f"         {over.what} of {over.node} was up to {over.highest / scale:.1f} {unit}, above the "
                f"{over.limit / scale:.1f} {unit} of {over.source}, for {over.seconds} s"
            )
    done = ", ".join(state.done) or "nothing"
    print(f"done: {done}; next: {_NEXT[state.stage].format(file=file)}")


def _todo(text: str) -> None:
    if text:
        print(f"         next: {text}")


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- in the browser -----------------------------------------------------------------------------------------------
def beside(box: Box, folder: Path, file: Path, site: str) -> None:
    """The wizard at the console of a site that runs: its draft can be worked on, and devices can be looked for."""
    from pilotwire.cli.carried import carry
    from pilotwire.site.commissioning.wizard import Wizard

    if carry(folder_of(folder.parent, file), folder):
        _report("people, keys and the certificate are those of the wizard")

    def register(context: Any) -> None:
        from pilotwire.api.resources.commissioning import Commissionings

        made = Wizard(folder / "commissioning", file, live=lambda: True, report=_report)
        Commissionings.of(context).add(site, made, tenant=context.config.tenant)

    box.extra.append(register)


def _served(chosen: argparse.Namespace, secure: HttpsOptions | None) -> int:
    import uvloop

    if (box := uvloop.run(_serve(chosen, secure))) is not None:
        from pilotwire.cli import site

        again = ["run", str(chosen.file), "--data", str(chosen.data), *https.again(box.https)]
        again += ["--http", str(box.http)] if box.http else []
        return site.main("pilotwire site", [*again, "--lab"] if chosen.lab else again)
    return 0


async def _serve(chosen: argparse.Namespace, secure: HttpsOptions | None) -> Box | None:
    """Where it was served, if the draft was written and the site is to run from it now."""
    from pilotwire.cli.box import Box, check_lab

    check_lab(chosen.http, secure.address if secure else None, lab=chosen.lab)
    over, live = asyncio.Event(), asyncio.Event()

    async def go_live() -> None:
        live.set()
        asyncio.get_running_loop().call_later(1.0, over.set)  # the answer is on its way

    wizard = _wizard(chosen, go_live=go_live)
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, over.set)
    folder = folder_of(chosen.data, chosen.file)
    folder.mkdir(parents=True, exist_ok=True)
    site = wizard.id
    box = _box(Box, site, folder, chosen, secure, _registered(site, wizard))
    try:
        await box.start(None)
        _report(f"  Wizard   {box.url}/sites/{site}/commissioning")
        await over.wait()
    finally:
        await box.stop()
        await wizard.close()
    return box if live.is_set() else None


def _registered(site: str, wizard: Wizard) -> Callable[[Any], None]:
    def register(context: Any) -> None:
        from pilotwire.api.resources.commissioning import Commissionings
        from pilotwire.api.resources.controllers import Controllers

        context.metrics = tuple
        Controllers.of(context).remove(site, tenant=context.config.tenant)  # nothing runs yet
        Commissionings.of(context).add(site, wizard, tenant=context.config.tenant)

    return register


def _box(
    kind: type[Box], site: str, folder: Path, chosen: argparse.Namespace, secure: HttpsOptions | None,
    extra: Callable[[Any], None],
) -> Any:  # fmt: skip
    class Bare(kind):
        """The console of a box before its site runs."""

        def readiness(self, loop: Any) -> bool | str:
            return True

    nobody: Any = None
    made = Bare(site, None, folder, chosen.http, nobody, lab=chosen.lab, report=_report, https=secure)
    made.extra.append(extra)
    return made
