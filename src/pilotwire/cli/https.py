"""`--https`: console and API over TLS, with a certificate that was given or one that is made at the first start."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from pilotwire.cli import secret
from pilotwire.cli.addresses import Address, own_addresses
from pilotwire.cli.options import address
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from pilotwire.api.https import Https
    from pilotwire.crypto.shown import Shown

LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_LOOK_S = 10.0


class HttpsOptions(msgspec.Struct, frozen=True):
    """Where HTTPS is spoken, and with what."""

    address: Address
    cert: Path | None = None
    """PEM, with the chain; None: one of our own."""
    key: Path | None = None
    """PEM; None: in the file of the certificate."""


def add(options: argparse.ArgumentParser, what: str = "console and API") -> None:
    """The options."""
    options.add_argument("--https", type=address, metavar="HOST:PORT", help=f"{what} over TLS, https:// (off)")
    options.add_argument(
        "--https-cert",
        type=Path,
        metavar="FILE",
        help="its certificate with the chain, PEM; read again when it changes (one of its own in tls/ of the data)",
    )
    options.add_argument("--https-key", type=Path, metavar="FILE", help="its key, PEM (in the certificate's file)")


def chosen(options: argparse.Namespace) -> HttpsOptions | None:
    """What was asked for. Raises ConfigError where it does not go together."""
    if options.https is None:
        if options.https_cert or options.https_key:
            raise ConfigError("a certificate is of no use without an address: add --https HOST:PORT")
        return None
    if options.https_key and not options.https_cert:
        raise ConfigError("a key is of no use without its certificate: add --https-cert FILE")
    return HttpsOptions(options.https, options.https_cert, options.https_key)


def again(options: HttpsOptions | None) -> list[str]:
    """The same as arguments of a command."""
    if options is None:
        return []
    given = {"--https": options.address, "--https-cert": options.cert, "--https-key": options.key}
    return [text for name, value in given.items() if value is not None for text in (name, str(value))]


def prepared(options: HttpsOptions, data: Path) -> Https:
    """The certificate that was given, else the one in `<data>/tls`, which is made if need be. Raises ConfigError."""
    from pilotwire.api.https import Https

    if options.cert is not None:
        return Https(options.cert, options.key)
    certificate, key = data / "tls" / "https.pem", data / "tls" / "https.key"
    try:
        if not certificate.exists():
            make(certificate, key, options.address.host)
        made = Https(certificate, key)
        if is_own(made, data) and _wanting(made, options.address.host):
            make(certificate, key, options.address.host)
            made.look()
    except OSError as error:
        raise ConfigError(f"cannot keep a certificate in {certificate.parent}: {error.strerror}") from error
    return made


def is_own(https: Https, data: Path) -> bool:
    """Whether it is one that we have made: nobody else has signed it, and it lies where we have put it."""
    return not https.shown.issuer and https.certificate == data / "tls" / "https.pem"


def make(certificate: Path, key: Path, host: str) -> None:
    """A certificate of our own. The key is kept if there is one, so that whoever has pinned it goes on trusting."""
    from pilotwire.crypto.certificates import make_own

    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        made = make_own(names(host), now=datetime.now(UTC), key_pem=key.read_text("ascii") if key.exists() else "")
    except ValueError as error:
        raise ConfigError(f"{key} holds no key that can be used; without that file a new one is made") from error
    if not key.exists():
        secret.once(key, made.key_pem)
    secret.replace(certificate, made.certificate_pem)


def names(host: str) -> list[str]:
    """Under what a listener on `host` is reached: this machine's name first."""
    own = socket.gethostname()[:63]
    found = [own, "localhost", "127.0.0.1", "::1", *own_addresses(host)]
    return list(dict.fromkeys([own, *([] if "." in own else [f"{own}.local"]), *found[1:]]))


def _wanting(https: Https, host: str) -> bool:
    """Whether a certificate of our own ends soon, or lacks a name. IPv6 addresses come and go by themselves."""
    lasting = {one for one in names(host) if ":" not in one or one == host}
    return https.shown.until - datetime.now(UTC) < secret.RENEWED or not lasting <= https.shown.names


class Renewable(Protocol):
    """Certificates in files: `api.https.Https`, `ocpps.StationTls`."""

    @property
    def shown(self) -> Shown:
        """What is shown now; of several the one that ends first."""
        ...

    def look(self) -> bool:
        """Takes new ones. Raises ConfigError."""
        ...

    def trouble(self, now: datetime) -> str:
        """What is wrong with their dates."""
        ...


class Renewal:
    """Takes a certificate that was renewed on disk, renews one of our own, and tells what is wrong with its dates."""

    def __init__(
        self,
        https: Renewable,
        report: Callable[[str], None],
        remake: Callable[[], None] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`remake` makes one of our own anew; None: it is somebody else's."""
        self._https, self._report, self._remake, self._now = https, report, remake, now
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.look()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="certificates")

    async def stop(self) -> None:
        """Raises nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Once. Whatever is wrong is reported, never raised: what was shown before still is."""
        https, now = self._https, self._now()
        try:
            if self._remake is not None and https.shown.until - now < secret.RENEWED:
                self._remake()
            if https.look():
                self._report(f"a new certificate is shown, valid until {https.shown.until:%Y-%m-%d}")
        except (ConfigError, OSError) as error:
            self._report(f"{error}; the certificate before it is still shown")
        trouble = https.trouble(now)
        if trouble and trouble != self._told:
            self._report(trouble)
        self._told = trouble


def renewal(https: Https, options: HttpsOptions, data: Path, report: Callable[[str], None]) -> Renewal:
    """What keeps it up to date while a server runs."""
    own = is_own(https, data)
    key = data / "tls" / "https.key"
    return Renewal(https, report, (lambda: make(https.certificate, key, options.address.host)) if own else None)


def strict(https: Https | None, http: Address | None) -> bool:
    """Whether browsers may be told to come by HTTPS alone (HSTS, RFC 6797): somebody vouches for the certificate, and
    nothing else of ours is open to the network."""
    return https is not None and bool(https.shown.issuer) and (http is None or http.host in LOOPBACK)


def metrics(https: Https | None) -> Iterator[Metric]:
    """When the certificate ends, so that somebody can be told in time."""
    from prometheus_client.core import GaugeMetricFamily

    if https is not None:
        name, text = "pilotwire_https_certificate_not_after_seconds", "When the certificate of HTTPS ends, Unix time"
        yield GaugeMetricFamily(name, text, https.shown.until.timestamp())


def told(https: Https) -> list[str]:
    """Lines for whoever starts it: what to pin."""
    from pilotwire.crypto.trust import written

    if https.shown.issuer:
        return []
    shown = https.shown.fingerprints
    return [
        "  Nobody vouches for its certificate: browsers warn once, and show this SHA-256 of it",
        f"    {written(shown.certificate)}",
        "  Programs and sites pin the SHA-256 of its key, which stays when it is renewed",
        f"    {shown.public_key}",
    ]


def open_to_all(http: Address | None) -> str:
    """What is said of plain HTTP on a network; "" where there is nothing to say."""
    if http is None or http.host in LOOPBACK or _loops(http.host):
        return ""
    return (
        f"  http://{http} is not encrypted: whoever listens on the network reads passwords and keys.\n"
        f"  Use --https {http} instead (a certificate is made at the first start), or keep --http on 127.0.0.1\n"
        "  behind a proxy that speaks TLS."
    )


def _loops(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
