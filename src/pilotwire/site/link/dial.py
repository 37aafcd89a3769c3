"""The connection of a box to its central system, made anew for ever: `CentralLink`, a `run.Part`.

The loop is never waited for and never waits: a state is made when one may be sent, questions are answered beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.machines import Close, Send
from pilotwire.crypto.trust import server_trust
from pilotwire.domain.seen import Controller, NotKnown
from pilotwire.protocols.sitelink import BOX_HEADER, MOST_DOWN, SUBPROTOCOL, Asked, BoxEnd, Hello
from pilotwire.translate import site_link

from ..loop import Loop
from .entry import CentralEntry, address, key_of

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

FIRST_PAUSE_S: Final = 1.0
MOST_PAUSE_S: Final = 60.0
OPEN_S: Final = 20
LOOK_S: Final = 1.0
TELL_S: Final = 0.2
"""How soon a new state is seen here."""
ANSWER_S: Final = 18.0
"""A question that takes longer is given up: the central system waits for 20 s."""


class LinkCounts(msgspec.Struct):
    """Since the start."""

    attempts: int = 0
    connected: int = 0
    ticks: int = 0
    """States that were sent."""
    questions: int = 0
    failed: int = 0
    """Questions that could not be answered."""


class CentralLink:
    """One central system. `start`, then it is connected whenever it can be, until `stop`."""

    def __init__(
        self, entry: CentralEntry, controller: Controller, folder: Path, data: Path,
        report: Callable[[str], None], *, program: str = "", own: str = "",
        draw: Callable[[], float] = lambda: secrets.randbelow(1_000) / 1_000,
    ) -> None:  # fmt: skip
        """`folder` is what paths of the entry begin at, `data` the site's own folder; `draw` gives 0 to 1, so that not
        all boxes come back at the same moment. `own`: the box's id, instead of one that is kept in `data`."""
        self.entry, self.controller = entry, controller
        self.counts = LinkCounts()
        self.trouble = "not started"
        """Why there is no connection, in words; "" while there is one."""
        self._folder, self._data, self._report = folder, data, report
        self._program, self._own, self._draw = program, own, draw
        self._task: asyncio.Task[None] | None = None

    async def start(self, loop: Loop | None = None) -> None:
        """See `run.Part`. Raises ConfigError for an entry that cannot be used; a central system that is away is waited
        for."""
        self._url = address(self.entry, self.controller.id)
        self._key = key_of(self.entry, self._folder)
        self._own = self._own or box_id(self._data)
        self._tls = self._context() if self._url.startswith("wss:") else None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="link to the central system")

    async def stop(self) -> None:
        """See `run.Part`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    def _context(self) -> ssl.SSLContext:
        ca = self._folder / self.entry.ca if self.entry.ca else None
        try:
            return server_trust(ca=ca, fingerprint=self.entry.fingerprint)
        except ConfigError as error:
            raise ConfigError(f"central.{'ca' if ca else 'fingerprint'}: {error}") from error

    # --- again and again ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause, clock = FIRST_PAUSE_S, asyncio.get_running_loop()
        while True:
            begun = clock.time()
            self.counts.attempts += 1
            try:
                why = await self._once()
            except Exception as error:  # nothing of this may end: it is told, and tried again
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._offline(why)
            pause = FIRST_PAUSE_S if clock.time() - begun > MOST_PAUSE_S else min(MOST_PAUSE_S, pause)
            await asyncio.sleep(pause * (0.5 + self._draw() / 2))
            pause *= 2

    def _offline(self, why: str) -> None:
        if why != self.trouble:
            self._report(f"no link to the central system {self.entry.url}: {why}; it is tried again")
        self.trouble = why

    async def _once(self) -> str:
        """One connection, to its end; why it ended."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus
        from websockets.typing import Subprotocol

        try:
            connection = await connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {self._key}", BOX_HEADER: self._own},
                user_agent_header=f"pilotwire {self._program}".strip(),
                ssl=self._tls,
                open_timeout=OPEN_S,
                close_timeout=2,
                ping_interval=20,
                ping_timeout=20,
                max_size=MOST_DOWN,
                max_queue=8,
            )
        except InvalidStatus as error:
            return refusal(error.response.status_code, bytes(error.response.body or b""))
        except TimeoutError:
            return f"it does not answer within {OPEN_S} s"
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not trusted: {error.verify_message}; see central.ca, central.fingerprint"
        except (OSError, InvalidHandshake, EOFError) as error:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__
        if connection.subprotocol != SUBPROTOCOL:
            await connection.close(1002)
            return "there is no central system of ours, or it does not know boxes"
        self.counts.connected += 1
        self._report(f"the central system {self.entry.url} sees this site")
        self.trouble = ""
        return await _Connection(self, connection).run()

    @property
    def hello(self) -> Hello:
        """How the box greets."""
        controller = self.controller
        return Hello(
            site=controller.id, name=controller.name[:200], time_zone=controller.time_zone, program=self._program
        )


class _Connection:
    def __init__(self, link: CentralLink, connection: ClientConnection) -> None:
        self._link, self._connection = link, connection
        self._end = BoxEnd(link.hello)
        self._answers: set[asyncio.Task[None]] = set()
        self._clock = asyncio.get_running_loop()
        self._why = ""

    def _now(self) -> int:
        return int(self._clock.time() * 1_000)

    async def run(self) -> str:
        """Until it ends; why it did."""
        from websockets.exceptions import ConnectionClosed

        connection = self._connection
        why = "the site has ended"
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._do(self._end.begin(self._now()))
            tasks = [asyncio.ensure_future(each) for each in (self._read(), self._tell(), self._watch())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
            why = self._why or why
        except ConnectionClosed as error:
            close = error.rcvd
            why = self._why or (close.reason if close and close.reason else "the connection is lost")
        finally:
            for each in (*tasks, *self._answers):
                each.cancel()
            await asyncio.gather(*tasks, *self._answers, return_exceptions=True)
            self._end.lost(self._now())
            with contextlib.suppress(Exception):  # it may be broken in any of a carrier's ways
                await connection.close(1008 if self._why else 1001, self._why[:100])
        return why

    async def _do(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                await self._connection.send(effect.data)
            elif isinstance(effect, Close):
                self._why = effect.reason
            elif isinstance(effect, Asked):
                task = asyncio.ensure_future(self._answer(effect))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)

    async def _read(self) -> None:
        """Ends where the other end does what it must not."""
        while not self._why:
            data = await self._connection.recv(decode=False)
            await self._do(self._end.receive(data, self._now()))

    async def _tell(self) -> None:
        """Each newest state, made when one may be sent and not before."""
        controller, told = self._link.controller, -1
        while not self._why:
            if self._end.wants(self._now()):
                with contextlib.suppress(NotKnown):  # it has not decided anything yet
                    state = await controller.now()
                    if state.picture.seq != told:
                        told = state.picture.seq
                        self._link.counts.ticks += 1
                        await self._do(self._end.tick(site_link.state(state), self._now()))
            await asyncio.sleep(TELL_S)

    async def _watch(self) -> None:
        while not self._why:
            await asyncio.sleep(LOOK_S)
            await self._do(self._end.elapse(self._now()))

    async def _answer(self, asked: Asked) -> None:
        from websockets.exceptions import ConnectionClosed

        end, counts = self._end, self._link.counts
        counts.questions += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await site_link.ask(self._link.controller, asked.method, asked.args)
            effects = end.answer(asked.id, site_link.encoded(result))
        except NotKnown as error:
            effects = end.fail(asked.id, "not_known", str(error.args[0] if error.args else error))
        except KeyError:
            effects = end.fail(asked.id, "unknown", f"there is no method {asked.method[:50]}")
        except site_link.BadContent as error:
            effects = end.fail(asked.id, "bad", str(error))
        except Exception as error:  # whatever it is: the question is answered, and the site goes on
            counts.failed += 1
            effects = end.fail(asked.id, "failed", f"{type(error).__name__}: {error}")
        with contextlib.suppress(ConnectionClosed):
            await self._do(effects)


def box_id(data: Path) -> str:
    """The box's own id, made once: by it a central system names it in its records. Raises ConfigError."""
    path = data / "box.id"
    try:
        if path.exists() and (known := path.read_text("ascii").strip()):
            return known
        data.mkdir(parents=True, exist_ok=True)
        made = secrets.token_hex(16)
        path.write_text(made + "\n", "ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot use {path} for the box's own id: {error}") from error
    return made


def refusal(status: int, body: bytes) -> str:
    """Why a central system has not let us in, in its own words where it has some."""
    try:
        said = json.loads(body)
        words = str(said.get("detail") or said.get("title") or "")[:500]
    except (ValueError, AttributeError):
        words = ""
    return f"it refuses us: {words}" if words else f"it answers with status {status}: is it a central system of ours?"
