"""Verifiers: what fits, what does not, and what a database thief learns."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core.errors import LocalError
from pilotwire.crypto import passwords as module
from pilotwire.crypto.passwords import Passwords, authorization_key, new_station_password

PEPPER = bytes(range(32))


@pytest.fixture(scope="module")
def passwords():
    return Passwords(PEPPER)


@pytest.fixture(scope="module")
def verifier(passwords):
    """Of a person's password; slow to make."""
    return passwords.hash_human("Пароль für 🚗")


class TestStations:
    def test_right_and_wrong(self, passwords):
        verifier = passwords.hash_station(b"correct horse battery")
        assert passwords.verify_station(verifier, b"correct horse battery") is True
        assert passwords.verify_station(verifier, b"correct horse batterz") is False
        assert passwords.verify_station(verifier, b"") is False

    def test_any_bytes_are_a_password(self, passwords):
        # 1.6 AuthorizationKey: 20 raw bytes, hardly ever UTF-8.
        key = bytes.fromhex("00ff80c3280a0d00fffe7f3a245ce2822800a9b7")
        verifier = passwords.hash_station(key)
        assert passwords.verify_station(verifier, key)
        assert not passwords.verify_station(verifier, key.rstrip(b"\xb7"))
        assert authorization_key(key) == "00ff80c3280a0d00fffe7f3a245ce2822800a9b7"

    def test_form_is_hmac_over_salt_and_password_keyed_by_the_pepper(self):
        made = Passwords(PEPPER, salt=lambda size: b"\x07" * size).hash_station(b"secret")
        mac = hmac.new(PEPPER, b"\x07" * 16 + b"secret", hashlib.sha256).hexdigest()
        assert made == f"hmac-sha256${'07' * 16}${mac}"

    def test_same_password_twice_looks_different(self, passwords):
        assert passwords.hash_station(b"x" * 16) != passwords.hash_station(b"x" * 16)

    def test_another_installation_cannot_check_it(self, passwords):
        verifier = passwords.hash_station(b"x" * 16)
        assert not Passwords(PEPPER[::-1]).verify_station(verifier, b"x" * 16)

    @pytest.mark.parametrize(
        "verifier",
        [
            "",
            "$",
            "$$",
            "hmac-sha256",
            "hmac-sha256$$",
            "hmac-sha256$00$",
            "hmac-sha256$00$00",
            "hmac-sha256$zz$" + "00" * 32,
            "hmac-sha256$$" + "00" * 32,
            "hmac-sha1$00$" + "00" * 32,
            "plain",
            "é$é$é",
        ],
    )
    def test_what_is_no_verifier_fits_nothing(self, passwords, verifier):
        assert passwords.verify_station(verifier, b"") is False
        assert passwords.verify_station(verifier, b"plain") is False

    def test_unknown_identity_costs_a_real_check(self, passwords, monkeypatch):
        macs = []
        monkeypatch.setattr(module.hmac, "digest", lambda *given: macs.append(given) or bytes(32))
        known = passwords.hash_station(b"x" * 16)
        macs.clear()
        for check in (
            lambda: passwords.verify_station(known, b"y" * 16),
            lambda: passwords.verify_station("", b"y" * 16),
            lambda: passwords.verify_nobody(b"y" * 16),
        ):
            check()
            assert [(len(key), len(message), name) for key, message, name in macs] == [(32, 32, "sha256")]
            macs.clear()

    def test_the_decoy_lets_nobody_in(self):
        # Even who guesses the password that the decoy was made of.
        passwords = Passwords(PEPPER, salt=lambda size: b"\x07" * size)
        assert passwords.verify_nobody(b"\x07" * 16) is False
        assert passwords.verify_station("", b"\x07" * 16) is False

    def test_pepper_must_be_one(self):
        for pepper in (b"", b"short", bytes(15)):
            with pytest.raises(LocalError):
                Passwords(pepper)

    @given(right=st.binary(max_size=64), wrong=st.binary(max_size=64))
    def test_fits_itself_alone(self, right, wrong):
        verifier = Passwords(PEPPER).hash_station(right)
        assert Passwords(PEPPER).verify_station(verifier, right)
        assert Passwords(PEPPER).verify_station(verifier, wrong) is (right == wrong)


class TestNewStationPassword:
    def test_is_one_that_every_version_takes(self):
        for seed in range(50):
            password = new_station_password(Random(seed).choice)
            assert 16 <= len(password.encode()) <= 20, "1.6 AuthorizationKey: 16 to 20 bytes, 40 hex digits at most"
            assert password.isascii()
            assert password.isprintable()
            assert ":" not in password
            assert len(authorization_key(password.encode())) <= 40

    def test_has_112_bits_and_no_look_alikes(self):
        seen = set("".join(new_station_password() for _ in range(400)))
        assert len(seen) == 57
        assert not seen & set("IlO01")
        assert 57**20 > 2**112

    def test_never_repeats(self):
        assert len({new_station_password() for _ in range(1000)}) == 1000

    def test_randomness_is_injected(self):
        letters = itertools.cycle("ab")
        assert new_station_password(lambda alphabet: next(letters), length=4) == "abab"


class TestPeople:
    def test_right_and_wrong(self, passwords, verifier):
        assert verifier.startswith("$argon2id$")
        assert passwords.verify_human("Пароль für 🚗", verifier) is True
        assert passwords.verify_human("Пароль für 🚙", verifier) is False

    def test_what_is_no_verifier_fits_nothing(self, passwords):
        for verifier in ("", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "hmac-sha256$00$00"):
            assert passwords.verify_human("x", verifier) is False

    def test_what_is_no_text_fits_nothing(self, passwords, verifier):
        assert passwords.verify_human("\ud800", verifier) is False

    def test_weaker_ones_are_to_be_made_anew(self, passwords, verifier):
        from argon2 import PasswordHasher

        assert passwords.needs_rehash(verifier) is False
        assert passwords.needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")) is True
        assert passwords.needs_rehash("") is True
