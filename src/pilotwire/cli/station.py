"""`pilotwire station`: one simulated charging station with a driver, or thousands, against any central system."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli.options import parser, positive
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    import ssl

    from pilotwire.cli.outlets import Closer
    from pilotwire.core.time import Scheduler
    from pilotwire.twin.fleet import Fleet, FleetConfig, Totals


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Run simulated charging stations, each a complete OCPP client with cars coming and going.")
    options.add_argument(
        "--url", default="ws://127.0.0.1:9000/ocpp", help="central system, without identity (%(default)s)"
    )
    options.add_argument("--id", default=None, metavar="ID", help="identity; with --count, {n} is the station's number")
    options.add_argument("--count", type=positive, default=1, help="how many stations (%(default)s)")
    options.add_argument("--version", choices=["1.6", "2.0.1", "2.1"], default="1.6", help="OCPP version (%(default)s)")
    options.add_argument("--password", help="Basic auth password, the same for all")
    options.add_argument(
        "--passwords", type=Path, metavar="FILE", help="a password for each: lines of identity and password"
    )
    options.add_argument("--token", action="append", default=[], help="card of a driver; may be given more than once")
    options.add_argument(
        "--no-card", action="store_true", help="drivers plug in at once and wait to be started by the central system"
    )
    options.add_argument("--evses", type=positive, default=1, help="EVSEs per station (%(default)s)")
    options.add_argument("--dc", action="store_true", help="DC outlets instead of AC")
    options.add_argument("--pad", action="store_true", help="no plug but a pad (WPT), with --link v2g")
    options.add_argument("--pantograph", action="store_true", help="no plug but a pantograph (ACDP), with --link v2g")
    options.add_argument("--no-cars", action="store_true", help="idle stations")
    options.add_argument(
        "--discharge", type=positive, metavar="KW", help="outlets that take energy back too (ISO 15118-20, CHAdeMO)"
    )
    options.add_argument(
        "--link",
        metavar="LINK",
        help="real vehicles plug in at the first EVSE instead of simulated ones: v2g:INTERFACE or v2g:HOST:PORT. The "
        "card of --token is shown when a vehicle asks; none with --no-card",
    )
    options.add_argument(
        "--pki", type=Path, metavar="FOLDER", help="with --link v2g: TLS and Plug & Charge, files of `pilotwire pki`"
    )
    options.add_argument("--autocharge", action="store_true", help="vehicles are let in by their own names")
    options.add_argument(
        "--ramp", type=positive, default=50, metavar="N", help="new connections a second (%(default)s)"
    )
    options.add_argument("--ca", type=Path, help="wss: certificate authority of the server, PEM")
    options.add_argument("--cert", type=Path, help="wss: own certificate (security profile 3), PEM")
    options.add_argument("--key", type=Path, help="wss: its key, PEM")
    options.add_argument("--state", type=Path, help="file in which the stations remember across restarts")
    options.add_argument("--quiet", action="store_true", help="no progress")
    chosen = options.parse_args(arguments)
    if chosen.count > 1 and chosen.id and "{n" not in chosen.id:
        raise ConfigError("with --count, --id needs {n} for the number, e.g. --id 'SIM-{n:04d}'")
    if (chosen.pad or chosen.pantograph) and not (chosen.link or "").startswith("v2g:"):
        raise ConfigError("--pad and --pantograph need --link v2g:INTERFACE or v2g:HOST:PORT")
    if chosen.pad and (chosen.dc or chosen.pantograph):
        raise ConfigError("--pad goes without --dc and --pantograph")
    if chosen.link and chosen.count > 1:
        raise ConfigError("--link is for one station")
    config = fleet_config(chosen)
    try:
        config.identities()
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"--id {chosen.id!r} is no pattern: only {{n}}, e.g. 'SIM-{{n:04d}}', is filled in"
        ) from error
    from pilotwire.cli.run import raise_file_limit

    raise_file_limit()
    import uvloop

    return uvloop.run(_run(chosen, config))


CAN_CONNECTORS = {"chademo": "cG105", "gbt27930": "cGBT-DC"}
"""By --link: OCPP's names of the plugs, which are all DC."""


def fleet_config(chosen: argparse.Namespace) -> FleetConfig:
    from pilotwire.station.config import EvseConfig
    from pilotwire.twin.bays import Traffic
    from pilotwire.twin.fleet import FleetConfig

    back = (chosen.discharge or 0) * 1000
    on_can = CAN_CONNECTORS.get((chosen.link or "").partition(":")[0])
    direct = "Pan" if chosen.pantograph else on_can or "cCCS2"
    dc = EvseConfig(
        dc=True, max_ma=300_000, max_w=150_000, connector_type=direct, fixed_cable=True, max_discharge_w=back
    )
    ac = EvseConfig(max_w=11_040, connector_type="wInductive") if chosen.pad else EvseConfig(max_discharge_w=back)
    return FleetConfig(
        count=chosen.count,
        identity=chosen.id or ("CS-{n:05d}" if chosen.count > 1 else "CS-00001"),
        version=chosen.version,
        evses=(dc if chosen.dc or chosen.pantograph or on_can else ac,) * chosen.evses,
        ramp_per_s=chosen.ramp,
        cars=not chosen.no_cars and not chosen.link,
        plug_and_charge=chosen.pki is not None,
        autocharge=chosen.autocharge,
        tokens=() if chosen.no_card else tuple(chosen.token) or ("DEADBEEF",),
        traffic=Traffic(busy_at_start=100) if chosen.no_card else Traffic(),
        security_profile=3 if chosen.cert else 2 if chosen.url.startswith("wss:") else 1,
    )


def tls(chosen: argparse.Namespace) -> ssl.SSLContext | None:
    if not chosen.url.startswith("wss:"):
        return None
    from pilotwire.transport.ocpp.tls import client_context

    return client_context(ca=chosen.ca, chain=chosen.cert, key=chosen.key)


def passwords(path: Path) -> dict[str, str]:
    """Identity → password, from lines of the two with a blank between them. Raises ConfigError."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read --passwords {path}: {error}") from error
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise ConfigError(f"--passwords {path}: each line is an identity, a blank and its password")
    return {identity: password for identity, password in pairs}


async def _run(chosen: argparse.Namespace, config: FleetConfig) -> int:
    from pilotwire.station.storage import SqliteShelf
    from pilotwire.twin.fleet import run_fleet

    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    own = passwords(chosen.passwords) if chosen.passwords else {}
    shelf = SqliteShelf(chosen.state) if chosen.state else None

    async def outlets(fleet: Fleet, scheduler: Scheduler) -> Closer:
        from pilotwire.cli.outlets import open_outlet

        token = "" if chosen.no_card or chosen.autocharge else config.tokens[0]
        return await open_outlet(fleet.stations[0], 1, chosen.link, scheduler, token=token, pki=chosen.pki)

    totals = await run_fleet(
        config,
        chosen.url,
        password=lambda identity: own.get(identity, chosen.password),
        ssl=tls(chosen),
        storage=shelf.open if shelf else None,
        report=None if chosen.quiet else show,
        stop=stop,
        started=outlets if chosen.link else None,
    )
    if not chosen.quiet:
        show(totals)
        print(file=sys.stderr)
    return 0 if totals.accepted or not totals.stations else 1


def show(totals: Totals) -> None:
    """One line that is written over itself on a terminal."""
    line = (
        f"{totals.accepted}/{totals.stations} online, {totals.charging} charging, {totals.power_w / 1000:.1f} kW, "
        f"{totals.sessions} sessions, {totals.answered} answered, {totals.queued} queued, {totals.refused} refused, "
        f"{totals.timeouts} timed out"
    )
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r{line:<110}" if not end else line, end=end, file=sys.stderr, flush=True)
