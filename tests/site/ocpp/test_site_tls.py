"""Security profiles 2 and 3 through the box, with real certificates over real sockets: to a central system that wants
a client certificate. Who must not be let in, and whom the box must not believe, is refused and told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.crypto.tls_kit import kept

from pilotwire.crypto.certificates import make_authority, make_server, make_station
from pilotwire.crypto.subject import read_subject
from pilotwire.site.config import read
from pilotwire.site.parts import Built, findings
from pilotwire.site.replay import Step, replay
from pilotwire.site.run import run_site
from pilotwire.transport.ocpp.client import ConnectFailed, connect
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.ocpp.tls import client_context, server_context
from pilotwire.transport.port import Handshake, Link

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=400)
PATIENCE_S = 30
SECRETS = ("secret-of-cs2-itself", "secret-of-cs2-there", "secret-of-cs3-there", "secret-in-the-file")
TEXT = """
site: {id: safe}
nodes: [{id: grid, kind: connection, limits: [{source: fuse, current_a: 63}]}]
evses:
  - {id: two, node: grid, rotation: RST, maximum_a: 16, charger: {ocpp: CS2}}
  - {id: three, node: grid, rotation: RST, maximum_a: 16, charger: {ocpp: CS3}}
ocpp:
  listen: 127.0.0.1:0
  tls: {listen: '127.0.0.1:0', certificate: box.pem, key: box.key, client_ca: stations.pem}
  upstreams:
    - name: csms
      url: wss://127.0.0.1:PORT/ocpp
      ca: house.pem
      certificate: up-{identity}.pem
      key: up-{identity}.key
    - {name: other, url: 'wss://127.0.0.1:9/ocpp', password: secret-in-the-file}
  stations:
    - {identity: CS2, security_profile: 2, password_file: cs2.secret, password_files: {csms: cs2-there.secret}}
    - {identity: CS3, security_profile: 3, organization: Operator, password_files: {csms: cs3-there.secret}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files beside the site's, and what only central systems and stations have."""
    made = tmp_path_factory.mktemp("files")
    house, people, foreign = (make_authority(name, now=LONG_AGO) for name in ("House", "Stations", "Foreign"))
    for name, authority in (("house", house), ("stations", people), ("foreign", foreign)):
        kept(made, authority, name)
    here = ["localhost", "127.0.0.1"]
    kept(made, make_server(house, here, now=NOW), "box")
    kept(made, make_server(house, here, now=NOW), "csms")
    kept(made, make_server(house, ["csms.example"], now=NOW), "named-otherwise")
    kept(made, make_server(house, here, now=LONG_AGO, days=30), "over")
    kept(made, make_server(foreign, here, now=NOW), "foreigners")
    for identity in ("CS2", "CS3"):
        kept(made, make_station(people, identity, "Box", now=NOW), f"up-{identity}")
    kept(made, make_station(people, "CS3", "Operator", now=NOW), "CS3")
    kept(made, make_station(people, "CS9", "Operator", now=NOW), "CS9")
    kept(made, make_station(people, "CS3", "Operator", now=LONG_AGO, days=30), "CS3-over")
    kept(made, make_station(foreign, "CS3", "Operator", now=NOW), "CS3-foreign")
    for name, text in zip(("cs2", "cs2-there", "cs3-there"), SECRETS, strict=False):
        (made / f"{name}.secret").write_text(text + "\n")
    for path in (*made.glob("*.secret"), *made.glob("*.key")):
        path.chmod(0o600)
    return made


class Central:
    """A central system: takes boots, and remembers who came how."""

    def __init__(self) -> None:
        self.seen: dict[str, Handshake] = {}
        self.booted: set[str] = set()

    def admit(self, handshake: Handshake) -> Any:
        self.seen[handshake.identity] = handshake
        return End(lambda parts: self.answer(handshake.identity, parts))

    def answer(self, identity: str, parts: list[Any]) -> Any:
        if parts[2] == "BootNotification":
            self.booted.add(identity)
            return {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 4321}
        return {}


class End:
    """One end of a connection: CALLs are answered by `answer`, results are kept."""

    def __init__(self, answer: Callable[[list[Any]], Any] = lambda parts: {}) -> None:
        self._answer = answer
        self.link: Any = None
        self.results: list[Any] = []

    def opened(self, link: Link) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        parts = json.loads(data)
        if parts[0] == 2:
            self.link.send(json.dumps([3, parts[1], self._answer(parts)]).encode())
        else:
            self.results.append(parts[2])

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...


async def until(wanted: Callable[[], Any], said: list[str]) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not wanted():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"it never came to that; told: {said}")


class Box:
    """The site that runs, and what it has said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.built: Built | None = None

    def told(self, text: str) -> bool:
        return any(text in each for each in self.said)

    async def station(self, identity: str, folder: Path, shown: str = "", *, password: str = "", ca: str = "house"):
        """A station connects and boots."""
        assert self.built is not None
        chain, key = (folder / f"{shown}.pem", folder / f"{shown}.key") if shown else (None, None)
        end = End()
        await connect(
            f"wss://127.0.0.1:{self.built.ocpps_port}/ocpp/{identity}",
            end,
            subprotocols=("ocpp1.6",),
            user=identity if password else None,
            password=password.encode() or None,
            ssl=client_context(ca=folder / f"{ca}.pem", chain=chain, key=key),
        )
        end.link.send(
            json.dumps([2, "b", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}]).encode()
        )
        return end


@asynccontextmanager
async def box(text: str, data: Path, folder: Path) -> AsyncIterator[Box]:
    config, wrong = read(text)
    assert config is not None and not wrong, wrong
    one, stop = Box(), asyncio.Event()

    def make(scheduler: Any) -> Built:
        one.built = Built(config, data, scheduler, paths=folder, report=one.said.append)
        return one.built

    task = asyncio.create_task(
        run_site(config, text, data, make, stop=stop, report=one.said.append, show=lambda *_: ready.set())
    )
    ready = asyncio.Event()
    try:
        waits = asyncio.create_task(ready.wait())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait((waits, task), return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        yield one
    finally:
        stop.set()
        await task


@asynccontextmanager
async def csms(folder: Path, shown: str = "csms", *, demands: bool = True) -> AsyncIterator[tuple[Central, int]]:
    """With `demands` it lets in nobody without a certificate of the stations' authority."""
    context = server_context(
        ec_chain=folder / f"{shown}.pem", ec_key=folder / f"{shown}.key", client_ca=folder / "stations.pem"
    )
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
    central, server = Central(), PicowsServer()
    await server.start("127.0.0.1", 0, central, ssl=context)
    try:
        yield central, server.port
    finally:
        await server.drain(0)


async def test_profiles_2_and_3_to_a_central_system_that_wants_a_certificate(folder: Path, tmp_path: Path) -> None:
    async with csms(folder) as (central, port):
        text = TEXT.replace("PORT", str(port))
        config, _ = read(text)
        assert config is not None
        assert [each.where for each in findings(config, folder)] == ["ocpp.upstreams[other].password"]
        async with box(text, tmp_path, folder) as one:
            assert one.built is not None and one.built.ocpp_port == 0, "nobody needs ws://, so it is closed"
            two = await one.station("CS2", folder, password=SECRETS[0])
            three = await one.station("CS3", folder, "CS3")
            await until(lambda: central.booted == {"CS2", "CS3"} and two.results and three.results, one.said)
            for identity, secret in (("CS2", SECRETS[1]), ("CS3", SECRETS[2])):
                seen = central.seen[identity]
                assert seen.tls and seen.certificate is not None
                assert read_subject(seen.certificate) == (identity, "Box")
                assert (seen.user, seen.password) == (identity.encode(), secret.encode())
            # Renewed files are for the next connection of either side.
            tls = one.built._tls
            assert tls is not None and not tls.look()
            later = NOW + timedelta(minutes=1)
            house = make_authority("House, later", now=NOW)
            kept(tmp_path, house, "later")
            before = {each: (folder / each).read_text() for each in ("box.pem", "box.key")}
            try:
                kept(folder, make_server(house, ["127.0.0.1"], now=later), "box")
                assert tls.look()
                with pytest.raises(ConnectFailed, match="self-signed certificate"):
                    await one.station("CS2", folder, password=SECRETS[0])
                again = await one.station("CS2", tmp_path, password=SECRETS[0], ca="later")
                await until(lambda: again.results, one.said)
            finally:
                for name, what in before.items():
                    (folder / name).write_text(what)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".pwlog" for path in files) and any(path.suffix == ".yaml" for path in files)
    for secret in SECRETS:
        assert not [path for path in files if secret.encode() in path.read_bytes()], secret
        assert not one.told(secret)
    steps = [each for each in replay(tmp_path / "log") if isinstance(each, Step)]
    assert steps and not any(each.difference for each in steps), "no decision rests on a password"


@pytest.mark.parametrize(
    ("identity", "shown", "password", "status", "told"),
    [
        ("CS3", "", "", 403, "station CS3 from 127.0.0.1:* is refused: it shows no client certificate, which security"),
        ("CS3", "CS9", "", 403, "its certificate is not of CN CS3 and O Operator"),
        ("CS3", "CS3-over", "", 0, "turned away: tls failed: certificate verify failed: certificate has expired"),
        ("CS3", "CS3-foreign", "", 0, "turned away: tls failed: certificate verify failed"),
        ("CS2", "", "wrong", 401, "station CS2 from 127.0.0.1:* is refused: its password is wrong"),
        ("CS2", "", "", 401, "it comes without a password"),
        ("CS8", "", "any", 404, "'CS8' is not below ocpp.stations"),
    ],
)
async def test_a_station_that_must_not_come_in(
    folder: Path, tmp_path: Path, identity: str, shown: str, password: str, status: int, told: str
) -> None:
    async with box(TEXT.replace("PORT", "9"), tmp_path, folder) as one:
        for _ in range(2):
            with pytest.raises((ConnectFailed, AttributeError)) as refused:
                await one.station(identity, folder, shown, password=password)
            assert getattr(refused.value, "status", 0) == status
        start, _, end = told.rpartition("*")
        await until(lambda: [each for each in one.said if start in each and end in each], one.said)
        assert len([each for each in one.said if end in each]) == 1, "told once"
        assert not password or not one.told(password + " ")


async def test_a_station_that_does_not_believe_the_box(folder: Path, tmp_path: Path) -> None:
    async with box(TEXT.replace("PORT", "9"), tmp_path, folder) as one:
        assert one.built is not None
        port, context = one.built.ocpps_port, client_context(ca=folder / "foreign.pem")

        def knock() -> None:
            """As a station does: event loops hang up without the alert."""
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
                context.wrap_socket(plain, server_hostname="127.0.0.1")

        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(knock)
        await until(lambda: one.told("turned away: tls failed: tlsv1 alert unknown ca"), one.said)


@pytest.mark.parametrize(
    ("shown", "change", "told"),
    [
        ("foreigners", {}, "self-signed certificate in certificate chain"),
        ("named-otherwise", {}, "IP address mismatch"),
        ("over", {}, "certificate has expired"),
        (
            "csms",
            {"      certificate: up-{identity}.pem\n      key: up-{identity}.key\n": ""},
            "want a client certificate",
        ),
        ("csms", {"up-{identity}": "CS3-foreign"}, "want a client certificate, or another"),
        ("csms", {"up-{identity}": "CS3-over"}, "want a client certificate, or another"),
    ],
)
async def test_a_central_system_that_is_not_believed_or_does_not_believe_us(
    folder: Path, tmp_path: Path, shown: str, change: dict[str, str], told: str
) -> None:
    text = TEXT
    for before, after in change.items():
        assert before in text
        text = text.replace(before, after)
    async with csms(folder, shown) as (central, port), box(text.replace("PORT", str(port)), tmp_path, folder) as one:
        await one.station("CS2", folder, password=SECRETS[0])
        await until(lambda: one.told("upstream csms is not reached for CS2"), one.said)
        line = next(each for each in one.said if "upstream csms" in each)
        assert told in line, line
        assert central.booted == set()
        assert not [each for each in one.said for secret in SECRETS if secret in each]
