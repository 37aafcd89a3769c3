"""Who logged in at the wizard, and what certificate it showed, are the site's once it is live."""

from __future__ import annotations

import os
from pathlib import Path

from pilotwire.cli import https, runfile, secret
from pilotwire.cli.addresses import Address
from pilotwire.cli.carried import carry
from pilotwire.cli.compose import first_user, store_for

NOW = 1_767_225_600_000


async def _opened(folder: Path) -> tuple[str | None, str]:
    """(the first user's password if one was made, the certificate) as the console of a box has them."""
    options = https.HttpsOptions(Address("127.0.0.1", 8443), None, None)
    folder.mkdir(parents=True, exist_ok=True)
    certificate = https.prepared(options, folder).certificate.read_text()
    store = store_for(folder, None)
    await store.open()
    password = await first_user(store, secret.passwords(folder), NOW)
    await store.close()
    return password, certificate


async def test_people_and_certificate_go_with_the_site(tmp_path: Path) -> None:
    wizard, folder = tmp_path / "commissioning" / "site", tmp_path / "north"
    assert not carry(wizard, folder), "there was no wizard"
    password, certificate = await _opened(wizard)
    assert password is not None
    assert carry(wizard, folder)
    assert await _opened(folder) == (None, certificate), "admin is there already, and nobody is warned anew"
    assert secret.installation(folder) == secret.installation(wizard)
    assert (folder / "pepper").stat().st_mode & 0o777 == 0o600
    assert not carry(wizard, folder), "once"


async def test_a_site_keeps_what_is_its_own_and_a_wizard_that_runs_its(tmp_path: Path) -> None:
    wizard, folder = tmp_path / "wizard", tmp_path / "north"
    await _opened(wizard)
    runfile.write(wizard, runfile.RunFile(os.getpid(), "http://127.0.0.1:1", "key"))
    assert not carry(wizard, folder)
    runfile.remove(wizard)
    _, certificate = await _opened(folder)
    assert not carry(wizard, folder)
    assert await _opened(folder) == (None, certificate)
