"""`pilotwire check`: the conformance kit, against any CSMS or charging station."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli.options import address, parser
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.check.case import Script
    from pilotwire.check.drive import Driver
    from pilotwire.check.player import Outcome, Place
    from pilotwire.check.settings import Settings

_PROFILES = (
    "core",
    "security",
    "local-auth",
    "smart-charging",
    "device-management",
    "ui",
    "reservation",
    "iso15118",
    "rpc",
)
_WORDS = """what is checked:
  pilotwire check csms ws://127.0.0.1:9000/ocpp      plays a station against this CSMS
  pilotwire check station                            listens for a station and plays its CSMS

Where something has to be asked of the operator of a CSMS, or done at a station:
  --drive pilotwire   our own: the REST API at --api; `check station` starts our own simulated station
  --drive ask         tells you on the terminal what to do
  --drive command     runs --command once for each, with PILOTWIRE_ACTION, PILOTWIRE_PAYLOAD and PILOTWIRE_STATION
                      (exit status 0: asked for, 3: cannot be asked for, else refused)
Without one such cases are "not run", which never counts as passed.

Settings (--set name=value): token.valid token.invalid token.blocked token.expired token.valid2 token.group token.master
  token.master.group token.type evse evse2 connector model vendor serial password unknown pending emaid tariff
  upgrade upgrade.url (a higher security profile, and where it connects) contract.hashes contract.certificate ocsp …
  A value that begins with [ or { is JSON.
exit status: 0 nothing failed, 1 something failed, 2 nothing was run, or the options are wrong"""


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(name, "Check a CSMS or a charging station against the standard, with test cases of its own.")
    options.epilog = _WORDS
    options.add_argument("side", choices=["csms", "station"], help="the system under test")
    options.add_argument("url", nargs="?", help="csms: where stations connect to, without the identity")
    options.add_argument("--version", choices=["1.6", "2.0.1", "2.1"], default="2.0.1", help="(%(default)s)")
    options.add_argument("--id", help="csms: the identity to come as; station: the one to wait for")
    options.add_argument("--password", help="csms: its password for Basic authentication")
    options.add_argument("--profile", action="append", default=[], choices=_PROFILES, help="only cases of this profile")
    options.add_argument("--only", action="append", default=[], metavar="ID", help="only cases whose id begins so")
    options.add_argument("--list", action="store_true", help="name the cases and end")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, see below")
    options.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait (%(default)s)")
    options.add_argument("--drive", choices=["pilotwire", "ask", "command", "none"], default="none")
    options.add_argument("--command", metavar="LINE", help="for --drive command")
    options.add_argument("--api", default="http://127.0.0.1:8080", metavar="URL", help="for --drive pilotwire")
    options.add_argument("--api-key", default="", metavar="KEY", help="for --drive pilotwire")
    options.add_argument(
        "--listen", type=address, default=address("127.0.0.1:9100"), metavar="HOST:PORT", help="station: (%(default)s)"
    )
    options.add_argument("--ca", type=Path, help="wss: certificate authority of the server, PEM")
    options.add_argument("--cert", type=Path, help="wss: own certificate (security profile 3), PEM")
    options.add_argument("--key", type=Path, help="wss: its key, PEM")
    options.add_argument("--bad-cert", type=Path, help="csms: a certificate that must be turned away, PEM")
    options.add_argument("--bad-key", type=Path, help="csms: its key, PEM")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    options.add_argument("--junit", type=Path, metavar="FILE", help="write the report there")
    options.add_argument("--quiet", action="store_true", help="only failures and counts")
    chosen = options.parse_args(arguments)
    try:
        return _checked(chosen)
    except ConfigError as error:  # 1 says that a case failed
        sys.stderr.write(f"pilotwire {name}: {error}\n")
        return 2


def _checked(chosen: argparse.Namespace) -> int:
    from pilotwire.check import library

    scripts = library.chosen(library.scripts(chosen.side, chosen.version), chosen.only, chosen.profile)
    if not scripts:
        raise ConfigError("no case fits --only, --profile and --version")
    if chosen.list:
        for script in scripts:
            print(f"{script.id:<22} {script.case.profile:<18} {script.case.title}")
        return 0
    if chosen.side == "csms" and not chosen.url:
        raise ConfigError("say where the CSMS is: pilotwire check csms ws://HOST:PORT/PATH")
    if chosen.drive == "command" and not chosen.command:
        raise ConfigError("--drive command needs --command")
    outcomes = asyncio.run(_play(chosen, scripts))
    return _told(chosen, outcomes)


def _value(text: str, value: str) -> Any:
    if value.lstrip("-").isdigit() and len(value) < 10:
        return int(value)
    if value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ConfigError(f"--set {text}: no JSON: {error}") from error
    return value


def settings_of(chosen: argparse.Namespace) -> Settings:
    """What the options say of the system under test. Raises ConfigError."""
    from pilotwire.check import keys
    from pilotwire.check.settings import Settings

    given: dict[str, Any] = {}
    for text in chosen.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: NAME=VALUE")
        given[name] = _value(text, value)
    if chosen.id:
        given["id" if chosen.side == "csms" else "station"] = chosen.id
    if chosen.password:
        given["password"] = chosen.password
    if chosen.side == "csms":
        given["url"] = chosen.url
        given["subprotocol"] = f"ocpp{chosen.version}"
        if chosen.url.startswith("wss:"):
            given["tls"] = True
            given["certificate"] = bool(chosen.cert)
            given["bad-certificate"] = bool(chosen.bad_cert)
    vendor, serial = str(given.get("vendor", "Pilotwire")), str(given.get("serial", "PW-CHECK-1"))
    given.setdefault("csr", keys.signing_request(serial, vendor))
    given.setdefault("ca.certificate", keys.authority("Pilotwire check root"))
    given.setdefault("firmware.certificate", keys.authority("Pilotwire check firmware"))
    return Settings(given)


async def _play(chosen: argparse.Namespace, scripts: list[Script]) -> list[Outcome]:
    from pilotwire.check import drive, keys, places, report
    from pilotwire.check.run import run

    settings = settings_of(chosen)

    def each(outcome: Outcome) -> None:
        if not chosen.quiet or outcome.status == "failed":
            print(report.line(outcome), flush=True)

    def show(text: str) -> None:
        print(text, flush=True)

    async with AsyncExitStack() as stack:
        driver: Driver = drive.Nobody()
        if chosen.drive == "ask":
            driver = drive.Person(show)
        elif chosen.drive == "command":
            driver = drive.Command(chosen.command)
        elif chosen.drive == "pilotwire" and chosen.side == "csms":
            driver = ours = drive.Pilotwire(chosen.api, chosen.api_key, timeout_s=chosen.timeout)
            stack.push_async_callback(ours.close)
        place: Place
        if chosen.side == "csms":
            tls = keys.contexts(chosen.ca, chosen.cert, chosen.key, chosen.bad_cert, chosen.bad_key)
            place = places.Dialled(chosen.url, chosen.version, settings, tls)
        else:
            context = None
            if chosen.cert:
                import ssl

                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(chosen.cert, chosen.key)
            host, port = chosen.listen
            place, port = await stack.enter_async_context(
                places.listening(host, port, chosen.version, settings, context)
            )
            show(f"listening on {'wss' if context else 'ws'}://{host}:{port} for a station of OCPP {chosen.version}")
            if chosen.drive == "pilotwire":
                from pilotwire.cli.own_station import OwnStation

                driver = await stack.enter_async_context(OwnStation.at(f"ws://{host}:{port}/ocpp", chosen.version))
        return await run(scripts, settings, driver, place, timeout_s=chosen.timeout, each=each)


def _told(chosen: argparse.Namespace, outcomes: list[Outcome]) -> int:
    from pilotwire.check import report

    print(report.summary(outcomes))
    try:
        if chosen.json:
            chosen.json.write_bytes(report.as_json(outcomes))
        if chosen.junit:
            chosen.junit.write_text(report.as_junit(outcomes))
    except OSError as error:
        raise ConfigError(f"the report cannot be written: {error}") from error
    if any(outcome.status == "failed" for outcome in outcomes):
        return 1
    if all(outcome.status == "not run" for outcome in outcomes):
        sys.stderr.write("pilotwire check: nothing was run\n")
        return 2
    return 0
