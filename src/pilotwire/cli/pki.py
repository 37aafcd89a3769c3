"""`pilotwire pki FOLDER`: a whole test PKI of Plug & Charge, for both editions of ISO 15118."""

from __future__ import annotations

import os
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli.options import parser
from pilotwire.core.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from pilotwire.crypto.pnc.pki import Pki

EDITIONS = ("iso2", "iso20")
_COLUMNS = {
    "edition": "edition",
    "name": "name",
    "common_name": "CN",
    "key": "key",
    "until": "until",
    "bytes": "bytes",
    "file": "file",
}


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        name,
        "Make the certificates of a whole test PKI: V2G, MO and OEM roots, their sub-authorities, and the leaves of "
        "station, contract, provisioning certificate, provisioning service and vehicle. For tests and trials: the keys "
        "lie in the folder, readable by you alone.",
    )
    options.add_argument("folder", type=Path, help="is made; must be empty where it exists")
    options.add_argument("--edition", choices=EDITIONS, action="append", help="default: both")
    options.add_argument("--ed448", action="store_true", help="Ed448 in place of P-521 for ISO 15118-20")
    options.add_argument(
        "--emaid", type=_matching(r"[A-Z]{2}[A-Z0-9]{3}[A-Z0-9]{9,10}", "an EMAID"), help="of the contract"
    )
    options.add_argument("--pcid", type=_matching(r"[A-Z0-9]{17,18}", "a PCID"), help="of the provisioning certificate")
    options.add_argument("--secc", type=_matching(r".{1,64}", "a name"), help="of the station")
    options.add_argument("--organization", type=_matching(r".{1,64}", "a name"), help="O of all subjects")
    options.add_argument("--ocsp-url", help="where the status of certificates is told; left out, nobody is asked")
    options.add_argument("--json", action="store_true", help="print one JSON object a line")
    chosen = options.parse_args(arguments)
    return _make(chosen)


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def matched(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ArgumentTypeError(f"{text!r} is not {what}")
        return text

    return matched


def _make(chosen: Namespace) -> int:
    import secrets
    from datetime import UTC, datetime

    from pilotwire.cli.table import show
    from pilotwire.crypto.pnc import pki

    folder: Path = chosen.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty; name another folder")
    told = {"emaid": chosen.emaid, "pcid": chosen.pcid, "secc": chosen.secc, "organization": chosen.organization}
    names = pki.Names(**{key: value for key, value in told.items() if value})
    now = datetime.now(UTC)
    rows = []
    for edition in chosen.edition or EDITIONS:
        kind = "ed448" if chosen.ed448 and edition == "iso20" else None
        made = pki.make(
            edition,
            random=secrets.token_bytes,
            now=now,
            kind=kind,
            names=names,
            ocsp_url=chosen.ocsp_url or "",
        )
        place = folder / edition
        _write(made, place)
        rows += [{"edition": edition, **row._asdict(), "file": str(place / f"{row.name}.pem")} for row in made.rows()]
    # A vehicle trusts both editions' stations, and OpenSSL wants one file.
    roots = [(folder / edition / "v2g-root.pem").read_text() for edition in chosen.edition or EDITIONS]
    (folder / "v2g-roots.pem").write_text("".join(roots))
    show(rows, _COLUMNS, as_json=chosen.json, empty="")
    return 0


def _write(made: Pki, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content, secret in made.files():
        mode = 0o600 if secret else 0o644
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w") as file:
            file.write(content)


def load(folder: Path, edition: str) -> Pki:
    """What was made in a folder. Raises ConfigError."""
    from pilotwire.crypto.pnc import pki

    place = folder / edition
    try:
        files = {one.name: one.read_text() for one in sorted(place.iterdir()) if one.suffix in (".pem", ".key")}
        return pki.read("iso2" if edition == "iso2" else "iso20", files)
    except (OSError, ValueError, RemoteError) as error:
        raise ConfigError(f"{place} holds no PKI of `pilotwire pki`: {error}") from error
