"""Contract certificates for cars (M01, M02): a provider of the Plug & Charge ecosystem has them, we pass the car's
request on and its answer back. What is inside is EXI that only car and provider read.

The provider is asked as the certificate pools of the ecosystem are (OPNC, CCP `signedcontractdata`): the request and
the answer are Base64 of EXI in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.ids import StationKey
from pilotwire.domain.certificates import EvCertificateAsked, EvCertificateTold
from pilotwire.transport.outward import Outward

from .signers import Spawn

TOTAL_S = 4.0
"""The car waits five seconds for all of it (ISO 15118-2, V2G_EVCC_Msg_Timeout_CertificateInstallationReq)."""
RESPONSE_LENGTH = 17_000
_LONGEST = 262_144
_CARS = 256
"""That fetch one contract after another at the same time; the one that asked longest ago starts anew."""
_read = msgspec.json.Decoder(dict[str, Any]).decode


class HttpContracts:
    """`Contracts` over HTTP."""

    def __init__(self, url: str, token: str, spawn: Spawn) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._spawn = spawn
        # An operator has typed the address in: it may stand in the operator's own network.
        self._outward = Outward(private=True, total_s=TOTAL_S)
        self._rest: dict[tuple[StationKey, str], list[str]] = {}
        """What a car has not fetched yet, by its station and request (ISO 15118-20 repeats it, M01.FR.06, .07)."""

    def certificate(
        self, key: StationKey, asked: EvCertificateAsked, done: Callable[[EvCertificateTold], None]
    ) -> None:
        """See `Contracts`."""
        if asked.maximum_chains is not None and (key, asked.exi_request) in self._rest:
            done(self._next(key, asked))
        else:
            self._spawn(self._ask(key, asked, done))

    async def _ask(self, key: StationKey, asked: EvCertificateAsked, done: Callable[[EvCertificateTold], None]) -> None:
        try:
            told = await self._told(key, asked)
        except PilotwireError as error:
            told = EvCertificateTold(status="Failed", reason_code="NoAnswer", additional_info=str(error))
        done(told)

    def _next(self, key: StationKey, asked: EvCertificateAsked) -> EvCertificateTold:
        """The next contract, and how many are left."""
        first, *rest = self._rest.pop((key, asked.exi_request))
        if rest:
            self._rest[key, asked.exi_request] = rest
            while len(self._rest) > _CARS:
                del self._rest[next(iter(self._rest))]
        return EvCertificateTold(status="Accepted", exi_response=first, remaining=len(rest))

    async def _told(self, key: StationKey, asked: EvCertificateAsked) -> EvCertificateTold:
        name = "certificateInstallationReq" if asked.action == "Install" else "certificateUpdateReq"
        body = {name: asked.exi_request, "xsdMsgDefNamespace": asked.schema_version}
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        if self._token:
            headers.append(("authorization", f"Bearer {self._token}"))
        answer = await self._outward.fetch(
            "POST", f"{self._url}/signedcontractdata", headers, msgspec.json.encode(body), at_most=_LONGEST
        )
        if answer.status == 404:
            return EvCertificateTold(
                status="Failed", reason_code="NotFound", additional_info="the provider has no contract for this car"
            )
        if answer.status != 200:
            return _failed(f"the provider says HTTP {answer.status}")
        try:
            found = _responses(_read(answer.body))
        except msgspec.DecodeError:
            return _failed("the provider's answer cannot be read")
        if not found:
            return _failed("the provider's answer holds no certificate")
        if any(len(one) > RESPONSE_LENGTH for one in found):
            return _failed("the provider's answer is too long")
        if asked.maximum_chains is None:
            return EvCertificateTold(status="Accepted", exi_response=found[0], remaining=len(found) - 1)
        self._rest[key, asked.exi_request] = found[: max(1, asked.maximum_chains)]
        return self._next(key, asked)


def _failed(why: str) -> EvCertificateTold:
    return EvCertificateTold(status="Failed", reason_code="NoAnswer", additional_info=why)


def _responses(answer: dict[str, Any]) -> list[str]:
    """Every EXI answer in it, in its order: `certificateInstallationRes` wherever it stands."""
    found: list[str] = []
    pending: list[Any] = [answer]
    while pending and len(found) < 64:
        one = pending.pop(0)
        if isinstance(one, dict):
            for name, value in one.items():  # type: ignore[reportUnknownVariableType]
                if name in ("certificateInstallationRes", "certificateUpdateRes") and isinstance(value, str):
                    found.append(value)
                else:
                    pending.append(value)
        elif isinstance(one, list):
            pending.extend(one)  # type: ignore[reportUnknownArgumentType]
    return found
