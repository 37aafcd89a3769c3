"""What the wizard's console had becomes the site's when it goes live: its people, its keys and its certificate.

Whoever logged in and trusted the certificate in the wizard goes on with both. A site that has people or a certificate
of its own keeps them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pilotwire.cli import runfile
from pilotwire.cli.options import data_dir
from pilotwire.core.errors import ConfigError

STORE = "pilotwire.db"
_ALL = ("pepper", "tls/https.key", "tls/https.pem", f"{STORE}-wal", STORE)
"""The store is the last: only with it all of them count. Without the pepper nobody could log in."""


def carry(wizard: Path, folder: Path) -> bool:
    """From the wizard's folder into that of the site, before anything is opened there; whether there was something.

    Raises ConfigError where it cannot be written.
    """
    if not (wizard / STORE).exists() or any((folder / name).exists() for name in _ALL if not name.endswith("-wal")):
        return False
    if runfile.read(wizard) is not None:
        return False  # it is in use there
    data_dir(folder)
    try:
        for name in _ALL:
            if (wizard / name).exists():
                (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
                draft = (folder / name).with_name(f".{Path(name).name}.carried")
                shutil.copy2(wizard / name, draft)
                draft.replace(folder / name)
    except OSError as error:
        raise ConfigError(f"what the wizard has cannot be carried to {folder}: {error.strerror or error}") from error
    return True
