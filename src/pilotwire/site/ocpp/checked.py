"""What is wrong with `ocpp:` of a site's file, and what should be minded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pilotwire.core.errors import ConfigError, RemoteError
from pilotwire.crypto.shown import dates, shown
from pilotwire.transport.ocpp.tls import client_context

from ..addresses import address
from ..typed import Finding
from .entries import OcppEntry, StationEntry, TlsEntry, UpstreamEntry, given_tls, path_of, secret_of, text_secret_of
from .upstream_tls import Files, files_of

_FOR_OTHERS = 0o004
_IN_LOG = "stands in this file for all to read; put it into a file of its own, mode 0600, and name that by"


def findings(entry: OcppEntry, folder: Path) -> Iterator[Finding]:
    """`folder`: what paths begin at."""
    if entry.stations and entry.plain:
        yield from _address("ocpp.listen", entry.listen)
    if entry.tls is not None:
        yield from _tls(entry, entry.tls, folder)
    names = Counter(each.name for each in entry.upstreams)
    for each in entry.upstreams:
        where = f"ocpp.upstreams[{each.name}]"
        if names[each.name] > 1:
            yield Finding(f"{where}.name", "is there twice; what waits for an upstream is kept under its name")
        yield from _upstream(entry, each, where, folder)
    known = Counter((each.tenant, each.identity) for each in entry.stations)
    for each in entry.stations:
        where = f"ocpp.stations[{each.identity}]"
        if known[each.tenant, each.identity] > 1:
            yield Finding(f"{where}.identity", "is there twice; each station has an identity of its own")
        yield from _station(entry, each, where, set(names), folder)


def _address(where: str, text: str) -> Iterator[Finding]:
    try:
        address(text)
    except ConfigError as error:
        yield Finding(where, str(error))


def _tls(entry: OcppEntry, tls: TlsEntry, folder: Path) -> Iterator[Finding]:
    where = "ocpp.tls"
    yield from _address(f"{where}.listen", tls.listen)
    if entry.plain and tls.listen == entry.listen and not tls.listen.endswith(":0"):
        yield Finding(f"{where}.listen", "is ocpp.listen too; give stations of profiles 2 and 3 a port of their own")
    if tls.key is not None and tls.certificate is None:
        yield Finding(f"{where}.key", "is of no use without its certificate; name that too")
    files = {"certificate": tls.certificate, "key": tls.key, "client_ca": tls.client_ca}
    missing = [*_missing(where, files, folder)]
    yield from missing
    if missing or tls.certificate is None:
        return
    try:
        given_tls(tls, folder)
    except ConfigError as error:
        yield Finding(f"{where}.certificate", str(error))
        return
    yield from _dates(f"{where}.certificate", folder / tls.certificate)
    yield from _guarded(f"{where}.key", folder / (tls.key or tls.certificate))


def _upstream(entry: OcppEntry, each: UpstreamEntry, where: str, folder: Path) -> Iterator[Finding]:
    place = urlsplit(each.url)
    if place.scheme not in ("ws", "wss") or not place.hostname:
        text = f"{each.url!r} is no address of a central system; e.g. wss://csms.example/ocpp"
        yield Finding(f"{where}.url", text)
        return
    if place.username or place.password:
        yield Finding(f"{where}.url", "has a user or a password; name them by user and password_file")
    if place.scheme == "ws" and (each.ca or each.certificate):
        yield Finding(f"{where}.url", "has TLS files but is not encrypted: begin it with wss://")
    if place.scheme == "ws" and not _loops(place.hostname) and _sends_password(entry, each):
        text = "is not encrypted: whoever listens on the way reads the stations' passwords; begin it with wss://"
        yield Finding(f"{where}.url", text, "warning")
    if each.key is not None and each.certificate is None:
        yield Finding(f"{where}.key", "is of no use without its certificate; name that too")
    if each.password is not None:
        yield Finding(f"{where}.password", f"{_IN_LOG} password_file", "warning")
        if each.password_file is not None:
            yield Finding(f"{where}.password_file", "and password are two passwords; drop one of them")
    told: set[Finding] = set()
    for identity in [station.identity for station in entry.stations] or [""]:
        for found in _files(each, identity, where, folder):
            if found not in told:
                told.add(found)
                yield found


def _files(each: UpstreamEntry, identity: str, where: str, folder: Path) -> Iterator[Finding]:
    """Of one station at an upstream; they are the same for all unless {identity} is in their names."""
    ca, chain, key = files = files_of(each, identity, folder)
    missing = [*_missing(where, dict(zip(("ca", "certificate", "key"), map(_text, files), strict=True)), Path())]
    yield from missing
    if not missing and each.url.startswith("wss:") and files != (None, None, None):
        try:
            client_context(ca=ca, chain=chain, key=key)
        except ConfigError as error:
            yield Finding(f"{where}.{'certificate' if chain is not None else 'ca'}", str(error))
        else:
            yield from _client_files(where, files)
    if each.password_file is not None:
        yield from _secret(f"{where}.password_file", path_of(folder, each.password_file, identity), text=True)


def _client_files(where: str, files: Files) -> Iterator[Finding]:
    _, chain, key = files
    if chain is not None:
        yield from _dates(f"{where}.certificate", chain)
        yield from _guarded(f"{where}.key", key or chain)


def _station(entry: OcppEntry, each: StationEntry, where: str, upstreams: set[str], folder: Path) -> Iterator[Finding]:
    profile, tls = each.security_profile, entry.tls
    if profile >= 2 and tls is None:
        text = f"{profile} needs TLS: say by ocpp.tls where stations connect, e.g. tls: {{listen: 0.0.0.0:9443}}"
        yield Finding(f"{where}.security_profile", text)
    if profile == 3 and tls is not None and tls.certificate is not None and tls.client_ca is None:
        text = "3 needs ocpp.tls.client_ca, the file of who signs the stations' certificates"
        yield Finding(f"{where}.security_profile", text)
    if profile in (1, 2):
        if each.password_file is None and not each.password_sha256:
            text = f"profile {profile} needs its password; without password_file or password_sha256 it is refused"
            yield Finding(where, text, "warning")
        if each.password_file is not None and each.password_sha256:
            yield Finding(f"{where}.password_file", "and password_sha256 are two passwords; drop one of them")
    if each.password_file is not None:
        yield from _secret(f"{where}.password_file", path_of(folder, each.password_file, each.identity))
    if each.passwords:
        yield Finding(f"{where}.passwords", f"{_IN_LOG} password_files", "warning")
    for name, file in each.password_files.items():
        if name in each.passwords:
            yield Finding(f"{where}.password_files.{name}", "and passwords have two for it; drop one of them")
        yield from _secret(f"{where}.password_files.{name}", path_of(folder, file, each.identity), text=True)
    for name in sorted({*each.passwords, *each.password_files} - upstreams):
        yield Finding(where, f"has a password for {name}, which is no upstream")


def _missing(where: str, files: dict[str, str | None], folder: Path) -> Iterator[Finding]:
    for name, text in files.items():
        if text is not None and not (folder / text).is_file():
            yield Finding(f"{where}.{name}", f"there is no file {folder / text}")


def _secret(where: str, path: Path, *, text: bool = False) -> Iterator[Finding]:
    try:
        if text:
            text_secret_of(path)
        else:
            secret_of(path)
    except ConfigError as error:
        yield Finding(where, str(error))
    else:
        yield from _guarded(where, path)


def _guarded(where: str, path: Path) -> Iterator[Finding]:
    if path.stat().st_mode & _FOR_OTHERS:
        yield Finding(where, f"everybody on this machine can read {path}: chmod 600 {path}", "warning")


def _dates(where: str, path: Path) -> Iterator[Finding]:
    try:
        trouble = dates(path, shown(path.read_text("ascii")), datetime.now(UTC))
    except (OSError, ValueError, RemoteError):
        return  # OpenSSL took it: it knows more forms than we
    if trouble:
        yield Finding(where, trouble, "warning")


def _sends_password(entry: OcppEntry, each: UpstreamEntry) -> bool:
    """Whether anybody's password goes there: its own, or what stations came with."""
    named = each.password is not None or each.password_file is not None
    return named or any(station.security_profile in (1, 2) or station.passwords for station in entry.stations)


def _loops(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
