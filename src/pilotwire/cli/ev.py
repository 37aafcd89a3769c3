"""`pilotwire ev`: a vehicle that plugs into any charging station by the network, and tells what happens."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli.can_ends import EDITIONS
from pilotwire.cli.options import address, parser, positive
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.cli.can_ends import CanCar
    from pilotwire.protocols.iso15118.config import Dialect, EvccConfig
    from pilotwire.transport.v2g.link import V2gLink
    from pilotwire.transport.v2g.tls import EvccTls
    from pilotwire.vehicle.car import Vehicle
    from pilotwire.vehicle.inside import Inside

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "auto": ("iso20", "iso2", "din"),
    "din": ("din",),
    "iso2": ("iso2",),
    "iso20": ("iso20",),
}
SERVICES = {
    "ac": "AC", "dc": "DC", "ac-bpt": "AC_BPT", "dc-bpt": "DC_BPT",
    "wpt": "WPT", "acdp": "DC_ACDP", "acdp-bpt": "DC_ACDP_BPT",
}  # fmt: skip
_QUIET = {"Flowing", "Offered"}
"""Events that come several times a second: only a change worth telling is told."""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        name,
        "A vehicle with a battery that charges at any station that speaks DIN SPEC 70121, ISO 15118-2 or ISO 15118-20: "
        "finds it on an interface by SDP, or connects to a host and port. With --link it speaks CHAdeMO or GB/T 27930 "
        "on a CAN bus, with `pilotwire station` there. Ends with 0 when the session ended in order.",
    )
    place = options.add_mutually_exclusive_group()
    place.add_argument("--interface", "-i", metavar="NAME", help="where to look for the station (SDP)")
    place.add_argument("--host", type=address, metavar="HOST:PORT", help="the station's address, e.g. [::1]:50000")
    place.add_argument("--can", metavar="BUS", help="socketcan:can0, udp_multicast:239.74.163.2 or virtual:name")
    options.add_argument("--link", choices=("v2g", *EDITIONS), default="v2g", help="how it talks (%(default)s)")
    options.add_argument("--edition", metavar="N", help="of --link: chademo 1 or 2, gbt27930 2011 or 2015 (the newest)")
    options.add_argument("--protocol", choices=PROTOCOLS, default="auto", help="what to speak (%(default)s)")
    options.add_argument("--service", choices=SERVICES, default="dc", help="energy service (%(default)s)")
    options.add_argument("--car", default="compact three-phase 11 kW", metavar="KIND", help="kind of car (%(default)s)")
    options.add_argument("--list-cars", action="store_true", help="print the kinds of cars and end")
    options.add_argument("--soc", type=percent, default=300, metavar="%", help="state of charge at the begin (30)")
    options.add_argument("--target", type=percent, default=800, metavar="%", help="where it stops charging (80)")
    options.add_argument("--energy", type=positive, metavar="WH", help="stop after so much energy")
    options.add_argument("--for", type=positive, dest="seconds", metavar="S", help="stop after so many seconds")
    options.add_argument("--departure", type=positive, metavar="MIN", help="tells the station when it leaves")
    options.add_argument("--discharge", type=positive, metavar="A", help="gives back so many amperes (bpt services)")
    options.add_argument("--pki", type=Path, metavar="FOLDER", help="TLS, with the files of `pilotwire pki FOLDER`")
    options.add_argument("--contract", action="store_true", help="Plug & Charge with the contract in --pki")
    options.add_argument("--install", action="store_true", help="has no contract yet and asks for one")
    options.add_argument("--json", action="store_true", help="events as JSON lines")
    if "--list-cars" in arguments:
        from pilotwire.vehicle.catalogue import CATALOGUE

        print("\n".join(CATALOGUE))
        return 0
    chosen = options.parse_args(arguments)
    if (chosen.contract or chosen.install) and chosen.pki is None:
        raise ConfigError("Plug & Charge needs TLS: give --pki FOLDER (made by `pilotwire pki FOLDER`)")
    check(chosen)
    return asyncio.run(_run(chosen))


def check(chosen: argparse.Namespace) -> None:
    """What does not go together. Raises ConfigError."""
    if chosen.link == "v2g":
        if chosen.can is not None:
            raise ConfigError("--can needs --link chademo or --link gbt27930")
        if chosen.edition is not None:
            raise ConfigError("--edition is of --link chademo or gbt27930; say --protocol instead")
        if chosen.interface is None and chosen.host is None:
            raise ConfigError("say where the station is: --interface NAME, --host HOST:PORT, or --link ... --can BUS")
        if chosen.pki is None and all(each.startswith("iso20") for each in evcc_config(chosen).dialects):
            raise ConfigError(
                "ISO 15118-20 is spoken over TLS alone: give --pki FOLDER (made by `pilotwire pki FOLDER`)"
            )
        return
    if chosen.can is None:
        raise ConfigError(f"--link {chosen.link} needs the bus: --can udp_multicast:239.74.163.2 or the like")
    if chosen.pki is not None:
        raise ConfigError(f"--pki is for --link v2g: {chosen.link} knows no certificates")


def percent(text: str) -> int:
    """0.1 % out of a percentage."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0 to 100")
    return round(value * 10)


def evcc_config(chosen: argparse.Namespace) -> EvccConfig:
    """What the vehicle speaks and wants."""
    from pilotwire.protocols.iso15118.config import EvccConfig

    service = SERVICES[chosen.service]
    current = chosen.service.removesuffix("-bpt")
    dialects: list[Dialect] = []
    for each in PROTOCOLS[chosen.protocol]:
        if each == "iso20":
            dialects.append(f"iso20-{current}")  # type: ignore[arg-type]
        elif service in ("AC", "DC") and not (each == "din" and current == "ac"):
            dialects.append(each)  # type: ignore[arg-type]
    if not dialects:
        raise ConfigError(f"{chosen.protocol} has no service {chosen.service}")
    return EvccConfig(
        dialects=tuple(dialects),
        services=(service,),  # type: ignore[arg-type]
        payments=("contract", "external") if chosen.contract or chosen.install else ("external",),
        install=chosen.install,
        dynamic=chosen.discharge is not None,
    )


class Voice:
    """Tells what happens, one line for each event."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._last: dict[str, tuple[Any, datetime]] = {}

    def __call__(self, event: Any) -> None:
        import msgspec

        name = type(event).__name__
        fields = {key: value for key, value in msgspec.structs.asdict(event).items() if value not in (None, "", ())}
        now = datetime.now(UTC)
        if name in _QUIET:
            # Four times a second something has moved: one line a second is enough to look at.
            told, at = self._last.get(name, (None, now))
            if told == fields or (told is not None and (now - at).total_seconds() < 1):
                return
            self._last[name] = fields, now
        if self._json:
            row = {"time": now.isoformat(timespec="milliseconds"), "event": name, **fields}
            print(msgspec.json.encode(row, enc_hook=_plain).decode(), flush=True)
        else:
            told = ", ".join(f"{key} {_shown(key, value)}" for key, value in fields.items())
            print(f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}  {name:<14} {told}", flush=True)


_UNITS = {"mv": ("V", 1000), "ma": ("A", 1000), "mw": ("kW", 1_000_000), "wh": ("kWh", 1000), "ms": ("s", 1000)}


def _shown(key: str, value: Any) -> str:
    """With its unit, where the name says which it is."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        rows = msgspec.structs.asdict(value).items()
        return (
            "(" + ", ".join(f"{name} {_shown(name, one)}" for name, one in rows if one not in (None, 0, (), "")) + ")"
        )
    unit = _UNITS.get(key.rpartition("_")[2])
    if unit is not None and isinstance(value, int):
        return f"{value / unit[1]:.1f} {unit[0]}"
    return str(value)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


async def _run(chosen: argparse.Namespace) -> int:
    from pilotwire.core.ev_link import Halt, Parted
    from pilotwire.transport.runtime import LoopScheduler
    from pilotwire.vehicle.car import Vehicle
    from pilotwire.vehicle.catalogue import CATALOGUE
    from pilotwire.vehicle.inside import Habits, Inside

    kind = CATALOGUE.get(chosen.car)
    if kind is None:
        raise ConfigError(f"there is no car {chosen.car!r}; `pilotwire ev --list-cars` names them")
    dc = chosen.link != "v2g" or not chosen.service.startswith("ac") or chosen.service.startswith("acdp")
    scheduler = LoopScheduler()
    vehicle = Vehicle(kind, chosen.soc, target_soc=chosen.target, max_taken_wh=chosen.energy)
    voice = Voice(json=chosen.json)
    habits = Habits(
        departure_ms=None if chosen.departure is None else chosen.departure * 60_000,
        discharge_ma=(chosen.discharge or 0) * 1000,
    )
    inside: Inside | None = None

    def opened(link: V2gLink | CanCar) -> Any:
        nonlocal inside
        inside = Inside(vehicle, scheduler, link.command, dc=dc, habits=habits)
        inside.watch = voice
        inside.begin()
        return inside.event

    link = await (_network(chosen, opened) if chosen.link == "v2g" else _bus(chosen, vehicle, opened))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    if chosen.seconds:
        loop.call_later(chosen.seconds, stop.set)

    async def halt() -> None:
        await stop.wait()
        link.command(Halt("the driver ends it"))

    halting = asyncio.create_task(halt())
    why = await link.done
    halting.cancel()
    assert inside is not None
    parted = inside.over or Parted(reason=why, by="evse", ok=False)
    print(
        f"{'ended in order' if parted.ok else 'failed'}: {parted.reason}; {vehicle.taken_uj / 3.6e9:.0f} Wh taken, "
        f"{vehicle.given_uj / 3.6e9:.0f} Wh given back, state of charge {vehicle.soc / 10:.1f} %",
        file=sys.stderr,
    )
    return 0 if parted.ok else 1


async def _network(chosen: argparse.Namespace, opened: Callable[[V2gLink], Any]) -> V2gLink:
    from pilotwire.transport.v2g.evcc import dial_secc

    tls, pnc = _secured(chosen)
    where: dict[str, Any] = {"interface": chosen.interface}
    if chosen.host is not None:
        where = {"host": chosen.host.host, "port": chosen.host.port}
    return await dial_secc(evcc_config(chosen), opened, tls=tls, pnc=pnc, **where)


async def _bus(chosen: argparse.Namespace, vehicle: Vehicle, opened: Callable[[CanCar], Any]) -> CanCar:
    from pilotwire.cli.can_ends import ev_end, plug_in

    machine = ev_end(chosen.link, chosen.edition, vehicle, gives=chosen.discharge is not None)
    return await plug_in(chosen.link, chosen.can, machine, opened)


def _secured(chosen: argparse.Namespace) -> tuple[EvccTls | None, Any]:
    if chosen.pki is None:
        return None, None
    from pilotwire.cli.v2g_keys import vehicle_of

    return vehicle_of(chosen.pki, contract=chosen.contract and not chosen.install)
