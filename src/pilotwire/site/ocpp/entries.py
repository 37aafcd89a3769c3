"""`ocpp:` of a site's file: the local controller, whose stations come to us and for whom we go to central systems.

    ocpp:
      tls: {listen: 0.0.0.0:9443}
      upstreams: [{name: csms, url: "wss://csms.example/ocpp", ca: csms-ca.pem, certificate: "{identity}.pem"}]
      stations: [{identity: CS1, security_profile: 2, password_file: cs1.secret, password_files: {csms: csms.secret}}]

Secrets are read from files beside the site's when the controller is made, and nowhere written.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.transport.ocpp.tls import ServerTls

from ..sections import Section
from .config import KnownStation, Upstream


class TlsEntry(Section, frozen=True):
    """Where stations of security profiles 2 and 3 connect."""

    listen: str
    """HOST:PORT; a station connects to wss://HOST:PORT/ocpp/IDENTITY."""
    certificate: str | None = None
    """PEM file with the chain; left out: what is in tls/ of the site's data, made there at the first start."""
    key: str | None = None
    """PEM file; left out: in the certificate's."""
    client_ca: str | None = None
    """PEM file of who signs the certificates of stations with profile 3; left out: clients.pem or ca.pem in tls/."""


class UpstreamEntry(Upstream, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A central system, and how it knows us."""

    password_file: str | None = None
    """Instead of `password`. `{identity}` in the names of files stands for the station's."""
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    """wss: PEM files; without `ca` the system's authorities count, without `key` it is in the certificate's file."""


class StationEntry(KnownStation, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A station that may come."""

    password_file: str | None = None
    """Of the password that it comes with, instead of `password_sha256`."""
    password_files: Mapping[str, str] = {}
    """Upstream's name → the file with the password for this station there, instead of `passwords`."""


class OcppEntry(Section, frozen=True):
    """The local controller: stations connect to us, we to their central systems in their names."""

    listen: str = "127.0.0.1:9000"
    """HOST:PORT; a station of profile 0 or 1 connects to ws://HOST:PORT/ocpp/IDENTITY. Closed where there is none, and
    `tls` for the others."""
    tls: TlsEntry | None = None
    upstreams: tuple[UpstreamEntry, ...] = ()
    stations: tuple[StationEntry, ...] = ()
    unknown_tokens: Literal["accept", "refuse"] = "refuse"
    """Cards that neither list nor cache knows, while the first upstream is away."""
    tokens: tuple[str, ...] = ()
    """Cards that are always let in while it is away."""
    authorize_first: bool = False
    """Cards that are known as accepted are let in at once though it could be asked."""

    @property
    def plain(self) -> bool:
        """Whether anybody needs `listen`."""
        return self.tls is None or any(each.security_profile < 2 for each in self.stations)


def path_of(folder: Path, text: str, identity: str = "") -> Path:
    """A file that is named in the section; `folder`: what paths begin at."""
    return folder / text.replace("{identity}", identity)


def secret_of(path: Path) -> bytes:
    """What a password's file holds, without the line's end. Raises ConfigError."""
    try:
        found = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; it holds a password") from error
    if not found:
        raise ConfigError(f"{path} is empty; it holds a password")
    return found


def text_secret_of(path: Path) -> str:
    """The same as text, as Basic credentials towards an upstream are. Raises ConfigError."""
    try:
        return secret_of(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; it holds a password") from error


def stations_of(entry: OcppEntry, folder: Path) -> tuple[KnownStation, ...]:
    """The stations with the passwords of their files. Raises ConfigError."""
    return tuple(_station(each, entry.upstreams, folder) for each in entry.stations)


def _station(each: StationEntry, upstreams: tuple[UpstreamEntry, ...], folder: Path) -> KnownStation:
    passwords = dict(each.passwords)
    for upstream in upstreams:
        file = each.password_files.get(upstream.name, upstream.password_file)
        if file is not None and upstream.name not in passwords:
            passwords[upstream.name] = text_secret_of(path_of(folder, file, each.identity))
    hashed = each.password_sha256
    if each.password_file is not None:
        hashed = sha256(secret_of(path_of(folder, each.password_file, each.identity))).hexdigest()
    return msgspec.structs.replace(each, passwords=passwords, password_sha256=hashed)


def given_tls(entry: TlsEntry, folder: Path) -> ServerTls | None:
    """The certificate that the file names; None where it names none. Raises ConfigError."""
    if entry.certificate is None:
        return None
    return ServerTls(
        ec_chain=folder / entry.certificate,
        ec_key=None if entry.key is None else folder / entry.key,
        client_ca=None if entry.client_ca is None else folder / entry.client_ca,
    )
