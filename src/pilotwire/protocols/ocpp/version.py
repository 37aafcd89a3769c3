"""What the RPC machine needs to know of an OCPP version: its actions and their codecs.

Importing this imports no messages. `load("2.0.1")` imports one version, on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

VersionName = Literal["1.6", "2.0.1", "2.1"]

SUBPROTOCOL: Mapping[str, VersionName] = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}


class Decoded(NamedTuple):
    """A message and the names of the tolerance rules that it needed (empty for a clean one)."""

    message: msgspec.Struct
    deviations: tuple[str, ...]


class Action(Protocol):
    """One action of one version."""

    @property
    def name(self) -> str: ...

    @property
    def by_station(self) -> bool:
        """The station may send it as a CALL (or SEND)."""
        ...

    @property
    def by_csms(self) -> bool: ...

    @property
    def is_send(self) -> bool:
        """2.1 NotifyPeriodicEventStream: goes out as SEND (type 6) and is never answered."""
        ...

    @property
    def request_type(self) -> type[msgspec.Struct]: ...

    @property
    def response_type(self) -> type[msgspec.Struct] | None: ...

    def decode_request(self, payload: bytes | msgspec.Raw, *, tolerant: bool = True) -> Decoded:
        """Decode and validate in one step; raises `rpc.errors.RpcError` with the code to answer."""
        ...

    def decode_response(self, payload: bytes | msgspec.Raw, *, tolerant: bool = True) -> Decoded: ...

    def encode(self, message: Any) -> bytes:
        """A message of this action as JSON, strictly: what the schema would refuse raises LocalError."""
        ...


class Version(Protocol):
    """One version of OCPP."""

    @property
    def name(self) -> VersionName: ...

    @property
    def actions(self) -> Mapping[str, Action]:
        """By action name."""
        ...


def load(name: str) -> Version:
    """The version's actions, imported on first use. Raises KeyError for a version that we do not speak."""
    from importlib import import_module

    module = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}[name]
    return import_module(f"pilotwire.protocols.ocpp.{module}").VERSION
