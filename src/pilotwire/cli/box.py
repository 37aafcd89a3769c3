"""The console and the API of a box at a site, beside its loop: people, keys and audit in the site's own folder.

`Box` is a `site.run.Part`. Control never waits for it: the address is taken before the first tick, so that one which
cannot be had is told at once; all else comes up while the site runs already. Whatever fails of it is reported and
begun again, after a pause that grows; the loop goes on.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from pilotwire import __version__
from pilotwire.cli import https as tls
from pilotwire.cli import runfile
from pilotwire.cli.addresses import Address, local, outward
from pilotwire.cli.https import HttpsOptions
from pilotwire.core.errors import ConfigError
from pilotwire.site.config import SiteConfig, zone
from pilotwire.transport.runtime import LoopScheduler

if TYPE_CHECKING:
    from pilotwire.api.https import Https
    from pilotwire.domain.seen import Controller
    from pilotwire.site.loop import Loop

FIRST_PAUSE_S = 1.0
MOST_PAUSE_S = 60.0
STEADY_S = 120.0
"""Who has served for so long begins again with the first pause."""
RATE_PER_S = 100.0
"""Requests a second that one login or key may make for long: a small machine has a site to run."""
STILL_MS = 3_000
"""A loop without a tick for so long is not ready."""


def check_lab(*listening: Address | None, lab: bool) -> None:
    """The lab is for this machine alone. Raises ConfigError."""
    for where in listening:
        if lab and where is not None and where.host not in tls.LOOPBACK:
            raise ConfigError(f"--lab asks nobody who he is, so it listens on loopback only, not on {where}")


class Box:
    """A `site.run.Part`: the console, the API, health and metrics of one site at `http`, over TLS at `https`."""

    def __init__(
        self, site: str, zone: ZoneInfo | None, folder: Path, http: Address | None,
        controller: Controller | None, *, lab: bool, report: Callable[[str], None], https: HttpsOptions | None = None,
    ) -> None:  # fmt: skip
        """`controller` is how the site that runs is looked at, None where none runs yet; `folder` is the site's own."""
        self.site, self.folder, self.http, self.https, self.lab = site, folder, http, https, lab
        self.certificate: Https | None = None
        """What is shown at `https`."""
        self.failures = 0
        """How often it has failed since the start."""
        self.extra: list[Callable[[Any], None]] = []
        """Told of the API's context before anything is served: whoever adds parts to it."""
        self.controller, self._zone, self._report = controller, zone, report
        self._task: asyncio.Task[None] | None = None
        self._closing: list[Callable[[], Awaitable[Any]]] = []
        self._servers: list[Any] = []

    async def start(self, loop: Loop | None) -> None:
        """See `site.run.Part`. Raises ConfigError where an address cannot be had."""
        taken = self._taken()
        if self.http is not None:
            self.http = Address(self.http.host, taken[False].getsockname()[1])
        if self.https is not None:
            where = Address(self.https.address.host, taken[True].getsockname()[1])
            self.https = msgspec.structs.replace(self.https, address=where)
        self._task = asyncio.get_running_loop().create_task(self._run(loop, taken), name="box")

    async def stop(self) -> None:
        """See `site.run.Part`. Raises nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None
        await self._close()

    def _taken(self) -> dict[bool, socket.socket]:
        """The addresses, taken; the key says whether TLS is spoken there. Raises ConfigError."""
        taken: dict[bool, socket.socket] = {}
        for secure, where in ((False, self.http), (True, self.https.address if self.https else None)):
            try:
                if where is not None:
                    taken[secure] = _taken(where, "--https" if secure else "--http")
            except ConfigError:
                for each in taken.values():
                    each.close()
                raise
        return taken

    @property
    def url(self) -> str:
        """Where people look."""
        if self.https is not None:
            return f"https://{outward(self.https.address)}"
        assert self.http is not None
        return f"http://{local(self.http)}"

    # --- begun again and again ----------------------------------------------------------------------------------

    async def _run(self, loop: Loop | None, taken: dict[bool, socket.socket] | None) -> None:
        clock = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            begun = clock.time()
            why = "it has ended by itself"
            try:
                await self._open(loop, taken or self._taken())
                await self._ended()
            except Exception as error:
                why = f"{error}" if isinstance(error, ConfigError) else traceback.format_exc().rstrip()
            taken = None
            self.failures += 1
            pause = FIRST_PAUSE_S if clock.time() - begun > STEADY_S else pause
            self._report(f"console and API have failed, the site goes on; they begin again in {pause:g} s: {why}")
            await self._close()
            await asyncio.sleep(pause)
            pause = min(pause * 2, MOST_PAUSE_S)

    async def _ended(self) -> None:
        """Waits until one of the servers serves no longer; raises what it has failed with."""
        waits = [asyncio.ensure_future(each.ended()) for each in self._servers]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in waits:
                each.cancel()

    async def _open(self, loop: Loop | None, taken: dict[bool, socket.socket]) -> None:
        """Brings everything up; what was opened is left to `_close`."""
        self._closing += [_closer(each) for each in taken.values()]
        # Half a second of work, more on a small machine: in a thread, so that ticks come in between.
        await asyncio.to_thread(_imported)
        if self.https is not None:
            self.certificate = await asyncio.to_thread(tls.prepared, self.https, self.folder)
        from pilotwire.api.context import ApiConfig, ApiContext
        from pilotwire.api.resources.controllers import Controllers
        from pilotwire.api.server import ApiServer
        from pilotwire.cli import secret
        from pilotwire.cli.box_metrics import collect
        from pilotwire.cli.compose import first_user, store_for
        from pilotwire.cli.lag import Lag
        from pilotwire.console.app import create_app
        from pilotwire.transport.bus import LocalBus
        from pilotwire.transport.runtime import SystemIds

        scheduler = LoopScheduler()
        store = store_for(self.folder, None)
        await store.open()
        self._closing.append(store.close)
        passwords = secret.passwords(self.folder)
        password = None if self.lab else await first_user(store, passwords, scheduler.now())
        lag = Lag(store)
        await lag.start()
        self._closing.append(lag.stop)
        key = f"pw_{secrets.token_urlsafe(32)}"
        context = ApiContext(
            store=store,
            bus=LocalBus(),
            scheduler=scheduler,
            ids=SystemIds(),
            passwords=passwords,
            config=ApiConfig(
                box=self.site, lab=self.lab, version=__version__, rate_per_s=RATE_PER_S,
                zone=self._zone or UTC, strict_transport=tls.strict(self.certificate, self.http),
            ),
            metrics=lambda: [*(collect(loop, self) if loop else ()), *lag.metrics(), *tls.metrics(self.certificate)],
            process_key=key,
            secret=secret.installation(self.folder),
            ready=lambda: self.readiness(loop),
            https=self.certificate,
        )  # fmt: skip
        if self.controller is not None:
            Controllers.of(context).add(self.site, self.controller, tenant=context.config.tenant)
        for each in self.extra:
            each(context)
        app = await asyncio.to_thread(create_app, context)
        for secure, listening in taken.items():
            server = ApiServer(app, warm=not self._servers, https=self.certificate if secure else None)
            self._servers.append(server)
            self._closing.append(server.stop)
            await server.start(taken=listening)
        runfile.write(self.folder, self._run_file(key))
        self._closing.append(_run_file_remover(self.folder))
        if self.certificate is not None and self.https is not None:
            renewal = tls.renewal(self.certificate, self.https, self.folder, self._report)
            await renewal.start()
            self._closing.append(renewal.stop)
        # What is loaded now lives as long as the process: the collector need not stop the loop to look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        sys.setswitchinterval(0.0005)
        self._greet(password)

    async def _close(self) -> None:
        """Closes what is open, last first; what cannot be closed is reported."""
        while self._closing:
            close = self._closing.pop()
            try:
                await close()
            except Exception as error:
                self._report(f"a part of the console did not end cleanly: {type(error).__name__}: {error}")
        self._servers.clear()

    def _run_file(self, key: str) -> runfile.RunFile:
        """How commands on this machine reach it."""
        if self.http is not None:
            return runfile.RunFile(os.getpid(), f"http://{local(self.http)}", key)
        assert self.https is not None and self.certificate is not None
        where = f"https://{local(self.https.address)}"
        return runfile.RunFile(os.getpid(), where, key, str(self.certificate.certificate.resolve()))

    def _greet(self, password: str | None) -> None:
        lines = [f"  Console  http://{local(self.http)}/"] if self.http else []
        if self.https is not None and self.certificate is not None:
            lines += [f"  Console  https://{outward(self.https.address)}/", *tls.told(self.certificate)]
        if warning := tls.open_to_all(self.http):
            lines += [warning]
        if self.lab:
            lines += ["  LAB MODE: no login. Never do this on a network."]
        elif password is not None:
            lines += [
                f"  Login    admin / {password}    (shown once; `pilotwire users add admin --data {self.folder}` sets "
                "another)"
            ]
        self._report("\n".join(lines))

    def readiness(self, loop: Loop | None) -> bool | str:
        """What /readyz answers: whether the site is being controlled."""
        if loop is None or loop.inputs is None:
            return "The loop has not begun."
        if loop.safe_state:
            return f"The last tick failed, the safe state is commanded: {loop.safe_state}"
        still = LoopScheduler().now() - loop.inputs.now.utc_ms
        return True if still < STILL_MS else f"The last tick was {still // 1000} s ago."


def box_of(
    config: SiteConfig, folder: Path, http: Address | None, https: HttpsOptions | None, controller: Controller, *,
    lab: bool, report: Callable[[str], None],
) -> Box:  # fmt: skip
    """The part that `pilotwire site run --http` adds. Raises ConfigError for a lab that is open to a network."""
    check_lab(http, https.address if https else None, lab=lab)
    return Box(config.site.id, zone(config), folder, http, controller, lab=lab, report=report, https=https)


def _taken(where: Address, option: str) -> socket.socket:
    """The address, taken; whoever connects is refused until it is listened on. Raises ConfigError."""
    made = socket.socket(socket.AF_INET6 if ":" in where.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((where.host, where.port))
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"the console cannot listen on {where}: {error.strerror or error}; choose another with {option}"
        ) from error
    return made


def _imported() -> None:
    """All that is needed, so that nothing is read from the disk on the loop's thread."""
    import pilotwire.api.server
    import pilotwire.cli.box_metrics
    import pilotwire.cli.compose
    import pilotwire.console.app  # noqa: F401


def _closer(taken: socket.socket) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        taken.close()

    return close


def _run_file_remover(folder: Path) -> Callable[[], Awaitable[None]]:
    async def remove() -> None:
        runfile.remove(folder)

    return remove
