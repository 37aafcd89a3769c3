"""What an installation keeps secret on disk: pepper of station passwords, certificates. Mode 0600, made once."""

from __future__ import annotations

import hmac
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli.addresses import own_addresses
from pilotwire.cli.options import data_dir
from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.crypto.passwords import Passwords
    from pilotwire.transport.ocpp.tls import ServerTls

_PEPPER_BYTES = 32
RENEWED = timedelta(days=30)
"""So long before its end a certificate of our own is made anew."""


def passwords(data: Path) -> Passwords:
    """Verifiers with this installation's pepper ($PILOTWIRE_PEPPER, 64 hex digits, where several nodes share one)."""
    from pilotwire.crypto.passwords import Passwords

    return Passwords(_pepper(data))


def installation(data: Path) -> bytes:
    """What seals the audit log and locks secrets in the store: made of the pepper, so there is one file to keep."""
    return hmac.digest(_pepper(data), b"pilotwire installation", "sha256")


def _pepper(data: Path) -> bytes:
    text = os.environ.get("PILOTWIRE_PEPPER") or once(data_dir(data) / "pepper", secrets.token_hex(_PEPPER_BYTES))
    try:
        pepper = bytes.fromhex(text)
    except ValueError:
        pepper = b""
    if len(pepper) < _PEPPER_BYTES:
        raise ConfigError(f"the pepper must be {2 * _PEPPER_BYTES} hex digits; see {data / 'pepper'}")
    return pepper


def once(path: Path, text: str) -> str:
    """The file's text; where there is no file yet, it is made with `text` for the owner alone."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return text


def server_tls(
    data: Path, host: str, client_pem: Callable[[], str] | None = None, client_ca: Path | None = None
) -> ServerTls:
    """The listener's certificates in `<data>/tls`: what an operator put there, else a lab authority's own, which are
    made anew with the same keys where they end soon or lack a name.

    `client_pem` names more authorities that client certificates may be of, whenever the files are read; `client_ca`
    stands in for those of the folder. Raises ConfigError.
    """
    from pilotwire.transport.ocpp.tls import ServerTls

    folder = data / "tls"
    files = {
        name: folder / name for name in ("ec.pem", "ec.key", "rsa.pem", "rsa.key", "ca.pem", "ca.key", "clients.pem")
    }
    if not any(files[name].exists() for name in ("ec.pem", "rsa.pem")):
        make_certificates(folder, host)
    else:
        with suppress(ConfigError):  # what is there serves still; whoever keeps it up to date tells of it
            renew_certificates(folder, host, datetime.now(UTC))
    have = {name: path if path.exists() else None for name, path in files.items()}
    return ServerTls(
        ec_chain=have["ec.pem"],
        ec_key=have["ec.key"],
        rsa_chain=have["rsa.pem"],
        rsa_key=have["rsa.key"],
        client_ca=client_ca or have["clients.pem"] or have["ca.pem"],
        client_pem=client_pem,
    )


def server_chain(data: Path) -> str:
    """PEM of what the listener shows and of who signed it: what stations verify us with."""
    folder = data / "tls"
    files = [folder / name for name in ("ec.pem", "rsa.pem", "ca.pem")]
    return "".join(path.read_text() for path in files if path.exists())


def make_certificates(folder: Path, host: str) -> None:
    """A certificate authority of this installation, and an EC and an RSA server certificate signed by it."""
    from pilotwire.crypto import certificates

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = _names(host)
    now = datetime.now(UTC)
    authority = certificates.make_authority("Pilotwire installation", now=now)
    once(folder / "ca.key", authority.key_pem)
    once(folder / "ca.pem", authority.certificate_pem)
    for kind in ("ec", "rsa"):
        made = certificates.make_server(authority, names, kind=kind, now=now)
        once(folder / f"{kind}.key", made.key_pem)
        once(folder / f"{kind}.pem", made.certificate_pem)


def renew_certificates(folder: Path, host: str, now: datetime) -> None:
    """Those that we have made, where they end soon or lack a name of ours: with the same keys, so that a power cut in
    between leaves pairs that fit. Raises ConfigError."""
    from pilotwire.crypto import certificates
    from pilotwire.crypto.shown import shown

    names = _names(host)
    lasting = {one for one in names if ":" not in one or one == host}  # IPv6 addresses come and go by themselves
    for kind in ("ec", "rsa"):
        chain = folder / f"{kind}.pem"
        if not is_own(chain):
            continue
        try:
            found = shown(chain.read_text("ascii"))
            if found.until - now > RENEWED and lasting <= found.names:
                continue
            authority = certificates.Issued((folder / "ca.pem").read_text("ascii"), (folder / "ca.key").read_text())
            key = (folder / f"{kind}.key").read_text("ascii")
            made = certificates.make_server(authority, names, kind=kind, now=now, key_pem=key)
            replace(chain, made.certificate_pem)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the certificate {chain} cannot be made anew: {error}") from error


def is_own(chain: Path) -> bool:
    """Whether the authority that we have made beside it has signed it."""
    authority = chain.with_name("ca.pem")
    try:
        return chain.with_name("ca.key").exists() and chain.read_text("ascii").endswith(authority.read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return False


def replace(path: Path, text: str) -> None:
    """All of a file for its owner alone, or nothing. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    once(draft, text)
    draft.replace(path)


def _names(host: str) -> list[str]:
    return list(dict.fromkeys([socket.gethostname(), "localhost", "127.0.0.1", "::1", *own_addresses(host)]))
