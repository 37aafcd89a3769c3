"""`central:` of a site's file: the central system in which the site is shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

from pilotwire.core.errors import ConfigError
from pilotwire.core.ids import check_identity
from pilotwire.crypto.trust import pinned

from ..sections import Id, Section
from ..typed import Finding

_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_MOST = 4_096


class CentralEntry(Section, frozen=True):
    """The box connects to it, so that no port has to be open at the site."""

    url: str
    """Where its console and API are: https://csms.example."""
    key_file: str
    """The file with the API key of role site-controller. The key itself does not stand here, since this file's text
    stands in the log of decisions."""
    site: Id | None = None
    """The site's id there; left out: the id it has here."""
    ca: str | None = None
    """PEM file of who signed its certificate; without it the system's authorities count."""
    fingerprint: str | None = None
    """SHA-256 of its certificate or of its public key: that one alone is believed (`pilotwire.crypto.trust`)."""


def address(entry: CentralEntry, site: str) -> str:
    """The address that is connected to. Raises ConfigError."""
    try:
        parts = urlsplit(entry.url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{entry.url} is no address: {error}") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigError(f"{entry.url} is no address of a central system: write https://HOST")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ConfigError(f"{entry.url} would send the key in plain text: write https://")
    where = f"[{host}]" if ":" in host else host
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path.rstrip('/')}/api/v1/sites/{quote(entry.site or site, safe='')}/controller/link"
    return f"{scheme}://{where}{f':{port}' if port else ''}{path}"


def key_of(entry: CentralEntry, folder: Path) -> str:
    """The API key. `folder`: what paths begin at. Raises ConfigError."""
    path = folder / entry.key_file
    try:
        text = path.read_bytes()[:_MOST].decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; it holds the central system's API key") from error
    except UnicodeDecodeError:
        text = ""
    if not text.startswith("pw_") or len(text.split()) != 1:
        raise ConfigError(
            f"{path} holds no API key: in the central system `pilotwire users key NAME --role site-controller "
            "--site ID` prints one"
        )
    check_identity(text.partition("@")[2] or "default")
    return text


def findings(entry: CentralEntry | None, site: str, folder: Path) -> list[Finding]:
    """What is wrong with the section. `folder`: what paths in it begin at."""
    if entry is None:
        return []
    found: list[Finding] = []
    try:
        address(entry, site)
    except ConfigError as error:
        found.append(Finding("central.url", str(error)))
    try:
        key_of(entry, folder)
    except ConfigError as error:
        found.append(Finding("central.key_file", str(error)))
    if entry.ca is not None and not (folder / entry.ca).is_file():
        found.append(Finding("central.ca", f"there is no file {folder / entry.ca}"))
    if entry.fingerprint is not None:
        try:
            pinned(entry.fingerprint)
        except ConfigError as error:
            found.append(Finding("central.fingerprint", str(error)))
    return found
