"""Versions, machines and readable frames for the tests of the RPC machine."""

from __future__ import annotations

import json
from types import SimpleNamespace

import msgspec
import pytest

from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.machine import Rpc
from pilotwire.protocols.ocpp.version import Decoded, load

VERSIONS = ("1.6", "2.0.1", "2.1")


class Ask(msgspec.Struct):
    """Request of the stand-in version."""

    text: str = ""


class Reply(msgspec.Struct):
    """Response of the stand-in version."""

    text: str = ""


class StandInAction:
    """An action that does what a test tells it: `fails` is raised by its decoders."""

    def __init__(self, name: str, is_send: bool = False) -> None:
        self.name = name
        self.by_station = self.by_csms = True
        self.is_send = is_send
        self.request_type = Ask
        self.response_type = None if is_send else Reply
        self.fails: Exception | None = None
        self.deviations: tuple[str, ...] = ()

    def _decode(self, payload, type_):
        if self.fails is not None:
            raise self.fails
        try:
            return Decoded(msgspec.json.decode(payload, type=type_), self.deviations)
        except msgspec.DecodeError as error:
            raise RpcError("TypeConstraintViolation", str(error)) from error

    def decode_request(self, payload, *, tolerant=True):
        return self._decode(payload, Ask)

    def decode_response(self, payload, *, tolerant=True):
        return self._decode(payload, Reply)

    def encode(self, message):
        return msgspec.json.encode(message)


class StandIn:
    """A version with one action to ask and one to send."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.actions = {"Ask": StandInAction("Ask"), "Tell": StandInAction("Tell", is_send=True)}


@pytest.fixture
def standin():
    return SimpleNamespace(Ask=Ask, Reply=Reply, Version=StandIn)


@pytest.fixture(params=VERSIONS)
def version(request):
    """Each version in turn."""
    return load(request.param)


@pytest.fixture(params=VERSIONS[1:])
def version2(request):
    """2.0.1 and 2.1."""
    return load(request.param)


@pytest.fixture
def v16():
    return load("1.6")


@pytest.fixture
def v201():
    return load("2.0.1")


@pytest.fixture
def v21():
    return load("2.1")


@pytest.fixture
def make():
    """`make(version, **options)`: a machine."""
    return lambda version, **options: Rpc(version, **options)


@pytest.fixture
def frame():
    """`frame(2, "1", "Heartbeat", {})`: the bytes of a message."""
    return lambda *elements: json.dumps(elements).encode()


@pytest.fixture
def read():
    """A reply of ours as Python values."""
    return lambda data: json.loads(data)
