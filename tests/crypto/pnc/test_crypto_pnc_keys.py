"""Keys, and their way into a car; and that no key is ever shown."""

from __future__ import annotations

import base64
import copy
import pickle
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey

from pilotwire.crypto.pnc import transport
from pilotwire.crypto.pnc.keys import (
    SUITES,
    Kind,
    SoftwareKey,
    UnfitKey,
    Wrapped,
    new_key,
    of_secret,
    read_key,
    verify,
)

KINDS: tuple[Kind, ...] = ("p256", "p521", "ed448")


def key_of(kind: Kind, seed: int = 1) -> SoftwareKey:
    return new_key(kind, random.Random(seed).randbytes)


def public_of(key: SoftwareKey):
    return key.raw.public_key()


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_are_raw_and_verify(kind: Kind) -> None:
    key = key_of(kind)
    signature = key.sign(b"data")
    assert len(signature) == SUITES[kind].size
    assert verify(public_of(key), SUITES[kind], b"data", signature)
    assert not verify(public_of(key), SUITES[kind], b"date", signature)
    assert not verify(public_of(key), SUITES[kind], b"data", signature[:-1])
    assert not verify(public_of(key_of(kind, 2)), SUITES[kind], b"data", signature)
    for other in KINDS:
        assert verify(public_of(key), SUITES[other], b"data", signature) == (other == kind)


def test_an_algorithm_that_is_not_the_keys_is_refused_even_where_the_numbers_are_right() -> None:
    key = key_of("p256")
    signature = key.sign(b"data")
    padded = bytes(34) + signature[:32] + bytes(34) + signature[32:]
    assert len(padded) == SUITES["p521"].size
    assert not verify(public_of(key), SUITES["p521"], b"data", padded)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_keys(kind: Kind) -> None:
    key = key_of(kind)
    assert read_key(key.secret_pem()).secret() == key.secret()
    locked = key.secret_pem(b"word")
    assert "ENCRYPTED" in locked
    assert read_key(locked, b"word").public == key.public
    for text, password in ((locked, b"other"), (locked, b""), ("nothing", b"")):
        with pytest.raises(ValueError, match="no private key"):
            read_key(text, password)
    assert of_secret(kind, key.secret()).public == key.public


def test_a_number_beyond_the_curve_is_no_key() -> None:
    for kind, size in (("p256", 32), ("p521", 66)):
        for secret in (bytes(size), b"\xff" * size):
            with pytest.raises(ValueError, match="no key"):
                of_secret(kind, secret)


def test_transport_of_2_has_the_bytes_that_the_standard_says() -> None:
    """Written out a second time: SHA-256 over a counter, the shared number and 01 'U' 'V'."""
    from hashlib import sha256

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    car, contract = key_of("p256", 3), key_of("p256", 4)
    packet = transport.wrapped(contract, car.point, "p256", random.Random(5).randbytes)
    assert (len(packet.public), packet.public[0], len(packet.data)) == (65, 4, 48)
    shared = car.agree(packet.public)
    key = sha256(b"\0\0\0\1" + shared + b"\x01\x55\x56").digest()[:16]
    plain = Cipher(algorithms.AES(key), modes.CBC(packet.data[:16])).decryptor().update(packet.data[16:])
    assert plain == contract.secret()
    assert car.open(packet).public == contract.public


def test_transport_of_20_has_its_bytes_and_is_bound_to_car_and_contract() -> None:
    car, contract = key_of("p521", 3), key_of("p521", 4)
    bound = transport.bound_to("WMI-12345678901234-5", bytes.fromhex("4123456789abcdef"))
    assert bound == b"WMI1234567890123454123456789ABCDEF"
    assert len(bound) == 34
    packet = transport.wrapped(contract, car.point, "p521", random.Random(5).randbytes, bound)
    assert (len(packet.public), len(packet.data)) == (133, 94)
    assert car.open(packet).public == contract.public
    for changed in (
        packet._replace(bound=bound[:-1] + b"E"),
        packet._replace(data=packet.data[:-1] + bytes([packet.data[-1] ^ 1])),
        packet._replace(data=packet.data[:30] + bytes([packet.data[30] ^ 1]) + packet.data[31:]),
    ):
        with pytest.raises(transport.BadTransport):
            car.open(changed)


def test_transport_by_x448() -> None:
    own = X448PrivateKey.from_private_bytes(random.Random(6).randbytes(56))
    secret = random.Random(7).randbytes(56)
    packet = transport.wrapped_x448(secret, own.public_key().public_bytes_raw(), random.Random(8).randbytes, b"x")
    assert (len(packet.public), len(packet.data)) == (56, 84)
    assert transport.unwrapped_x448(own, packet) == secret
    with pytest.raises(transport.BadTransport):
        transport.unwrapped_x448(own, packet._replace(bound=b"y"))


@pytest.mark.parametrize("kind", ["p256", "p521"])
def test_what_is_wrapped_for_another_car_never_opens_to_the_contract(kind: Kind) -> None:
    car, other, contract = key_of(kind, 3), key_of(kind, 9), key_of(kind, 4)
    packet = transport.wrapped(contract, car.point, kind, random.Random(5).randbytes, b"b")
    try:
        assert other.open(packet).public != contract.public, "CBC gives some other number"
    except transport.BadTransport as error:
        assert error.__cause__ is None
        assert error.__suppress_context__


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_packet(kind: Kind) -> None:
    car = key_of(kind)
    off_curve = b"\x04" + bytes(64 if kind == "p256" else 132)
    for packet in (Wrapped(b"", b""), Wrapped(off_curve, bytes(48 if kind == "p256" else 94)), Wrapped(bytes(65), b"")):
        with pytest.raises(transport.BadTransport):
            car.open(packet)
    if kind == "ed448":
        with pytest.raises(UnfitKey):
            car.agree(b"")


def shown(secret: bytes) -> list[str]:
    """How a number could stand in a text."""
    number = int.from_bytes(secret)
    coded = base64.b64encode(secret).decode().rstrip("=")[:-2]
    return [secret.hex()[8:40], secret.hex().upper()[8:40], str(number), coded[4:24], repr(secret)[4:30]]


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_is_in_a_repr_a_copy_or_a_pickle(kind: Kind, pkis, vehicle) -> None:
    key = key_of(kind)
    texts = [repr(key), str(key), f"{key}", f"{key!r}", repr([key]), repr({"key": key})]
    for one in pkis.values():
        texts += [repr(one), *(repr(issued) for issued in one.issued.values())]
    secrets = [key.secret(), *(one.key.secret() for pki in pkis.values() for one in pki.issued.values())]
    text = "\n".join(texts)
    for secret in secrets:
        assert not any(form in text for form in shown(secret))
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            way(key)
    assert not hasattr(key, "__dict__")


def test_no_key_is_in_a_log_or_an_error(pkis, vehicle, service, caplog, capsys) -> None:
    """Installing with everything that can go wrong, all loggers open."""
    import logging

    from pilotwire.protocols import exi

    caplog.set_level(logging.DEBUG)
    errors: list[str] = []
    for edition in ("iso2", "iso20"):
        car = vehicle(edition, contract=False)
        with pytest.raises(LookupError) as caught:
            car.sign(edition, b"")
        errors.append(repr(caught.value))
        for wrong in (Wrapped(b"", b""), Wrapped(pkis[edition]["oem"].key.point, bytes(94))):
            with pytest.raises(transport.BadTransport) as bad:
                pkis[edition]["oem"].key.open(wrong)
            errors.append(repr(bad.value))
        with pytest.raises(exi.EncodeError) as encode:
            exi.encode("iso2", {"V2G_Message": {"Header": {"Signature": pkis[edition]["oem"].key}}})
        errors += [repr(encode.value), repr(car), str(vars(car))]
    out = capsys.readouterr()
    text = caplog.text + "\n".join(errors) + out.out + out.err
    for pki in pkis.values():
        for one in pki.issued.values():
            assert not any(form in text for form in shown(one.key.secret()))
