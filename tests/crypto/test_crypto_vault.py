"""What is locked is read again with the same secret and purpose alone."""

from __future__ import annotations

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.crypto.vault import NotOurs, Vault

SECRET = bytes(range(32))


@pytest.mark.parametrize("text", ["", "a secret", "schlüssel 🔑", "x" * 10_000])
def test_what_is_locked_is_read_again(text: str) -> None:
    vault = Vault(SECRET)
    locked = vault.lock("totp", text)
    assert vault.open("totp", locked) == text and Vault(SECRET).open("totp", locked) == text
    assert vault.lock("totp", text) != locked, "never twice the same"
    assert not text or text not in locked


def test_another_secret_or_purpose_does_not_open_it() -> None:
    locked = Vault(SECRET).lock("totp", "a secret")
    for vault, purpose in ((Vault(bytes(32)), "totp"), (Vault(SECRET), "webhook")):
        with pytest.raises(NotOurs):
            vault.open(purpose, locked)


def test_every_changed_character_is_noticed() -> None:
    vault = Vault(SECRET)
    locked = vault.lock("totp", "a secret of some length")
    for at in range(len(locked)):
        changed = locked[:at] + ("A" if locked[at] != "A" else "B") + locked[at + 1 :]
        with pytest.raises(NotOurs):
            vault.open("totp", changed)


@pytest.mark.parametrize(
    "given", ["", "v1.", "v1.!!", "v1.AAAA", "plain text", "v2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_what_was_never_locked_is_refused(given: str) -> None:
    with pytest.raises(NotOurs):
        Vault(SECRET).open("totp", given)


def test_macs_tell_purposes_and_texts_apart() -> None:
    vault = Vault(SECRET)
    made = {vault.mac(purpose, text) for purpose in ("a", "b") for text in ("x", "y", "")}
    assert len(made) == 6 and vault.mac("a", "x") == Vault(SECRET).mac("a", "x")


def test_a_short_secret_is_none() -> None:
    with pytest.raises(LocalError):
        Vault(b"short")
