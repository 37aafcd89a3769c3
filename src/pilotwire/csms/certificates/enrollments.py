"""From a station's signing request to the certificate that it uses (A02, A03; 1.6 security whitepaper, the same flow).

    SignCertificate ─► judged ─► the authority ─► checked ─► CertificateSigned ─► delivered
                          │          │ later: asked again       │ the station is away: when it is back
                          ▼          ▼                          ▼ no answer: twice more
                       Rejected    failed                    refused (by the station)

We never sign ourselves: the authority does, even where it is the installation's own (A02.FR.*: the request is
forwarded). What comes back is checked before a station sees it: the key is the one that was asked for, the names are
the station's, and it leads to what the authority says it leads to. A newer request of a station takes the place of an
older one that is under way, since the station has forgotten the older's key (2.1: its requestId).

An intent outlives the process: requests at the authority are asked for again, CertificateSigned is a durable command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.hash_data import serial_text
from pilotwire.domain.certificates import NOBODY_SIGNS, STATION_USE, Judgement, SignCertificate
from pilotwire.domain.facts import AnyFact, CertificateIssued, CertificateSettled
from pilotwire.domain.records import StationAccount
from pilotwire.domain.trust import ENROLLMENTS, Enrollment
from pilotwire.storage.documents import put, sort_time
from pilotwire.transport.bus import CommandReply, CommandRequest

from .ports import Keeper, Later, Refused, Signed, Signer

if TYPE_CHECKING:
    from ..actor import StationActor
    from ..around import Around

CHAIN_LENGTH = 10_000
"""Characters of CertificateSigned's certificateChain, every version."""
GIVE_UP_MS = 24 * 3_600_000
"""How long an authority may take."""
DELIVER_MS = 7 * 24 * 3_600_000
"""How long a certificate waits for its station."""
DELIVERIES = 3
_AGAIN_S = 60
_WORDS = {"superseded": "a newer request of the station came"}

Authorities = Callable[[str, str], Signer | None]
"""(tenant, use) → who signs that, None where nobody does."""


class Enrollments:
    """Every request that is under way, by station and use."""

    def __init__(
        self,
        around: Around,
        actor: Callable[[StationKey], StationActor],
        authorities: Authorities,
        keeper: Keeper,
        *,
        organization: Callable[[], str] = lambda: "",
        delivered: Callable[[StationKey, Enrollment], None] | None = None,
    ) -> None:
        """`organization()`: O of stations whose account names none. `delivered` is told of every success."""
        self._around = around
        self._actor = actor
        self._authorities = authorities
        self._keeper = keeper
        self._organization = organization
        self._delivered = delivered
        self._open: dict[tuple[StationKey, str], Enrollment] = {}
        self._had: set[tuple[StationKey, str]] = set()
        """Who has had a certificate from here before: it is renewed."""

    def __len__(self) -> int:
        return len(self._open)

    def under_way(self, key: StationKey) -> list[Enrollment]:
        """Of one station."""
        return [one for (station, _), one in self._open.items() if station == key]

    # -- asked --------------------------------------------------------------------------------------------------------
    def judge(self, key: StationKey, csr: str, use: str) -> Judgement:
        """What is to be said of a request before anybody is asked to sign it."""
        account = self._around.accounts.get(key)
        if account is None or self._authorities(key.tenant, use) is None:
            return NOBODY_SIGNS
        try:
            request = requests.read(csr)
        except requests.BadRequest as error:
            return Judgement("InvalidCSR", str(error))
        told = (request.common_name, request.organization, request.key)
        names, organization = self._names(account, use)
        try:
            if names:
                requests.check(request, names, organization if request.organization else "")
        except requests.BadRequest as error:
            return Judgement("InvalidCSR", str(error), *told)
        return Judgement("", "", *told)

    def _names(self, account: StationAccount, use: str) -> tuple[tuple[str, ...], str]:
        """The common name that must be asked for, and the organization. What the station itself says its serial number
        is does not count: it could name another station's."""
        organization = account.organization or self._organization()
        if use == STATION_USE:
            return (account.serial or account.id,), organization
        # ISO 15118: CN of a SECC certificate is its SECCID or EVSEID, which the PKI judges.
        return (), organization

    def begin(self, key: StationKey, given: SignCertificate) -> None:
        """A request that was accepted and is durable."""
        now = self._around.now()
        older = self._open.pop((key, given.use), None)
        if older is not None:
            self._settle(key, older, "superseded", _WORDS["superseded"])
        one = Enrollment(
            id=self._around.ids.new(),
            station=key.station,
            use=given.use,
            status="signing",
            asked_at=now,
            changed_at=now,
            csr=given.csr,
            request_id=given.request_id,
            common_name=given.judged.common_name,
            organization=given.judged.organization,
            key=given.judged.key,
        )
        self._keep(key, one)
        self._ask(key, one)

    def restore(self, tenant: str, found: Iterable[Enrollment]) -> None:
        """Take up what another process left: `found` are those of a tenant, oldest first."""
        for one in found:
            key = StationKey(tenant, one.station)
            if one.status == "delivered":
                self._had.add((key, one.use))
            if one.over or (key, one.use) in self._open:
                continue
            self._open[key, one.use] = one
            if one.status == "signing":
                self._ask(key, one)
            else:
                self._resume(self._actor(key), one)

    def _resume(self, actor: StationActor, one: Enrollment) -> None:
        """Deliver, unless the command to do so waits for the station already."""

        def look() -> None:
            waiting = actor.known().commands.values()
            if not any(command.action == "CertificateSigned" and _same(command.payload, one) for command in waiting):
                self._deliver(actor.key, one)

        actor.when_ready(look)

    # -- signed -------------------------------------------------------------------------------------------------------
    def _ask(self, key: StationKey, one: Enrollment) -> None:
        signer, account = self._authorities(key.tenant, one.use), self._around.accounts.get(key)
        if signer is None or account is None:
            self._settle(key, one, "failed", "no certificate authority is set up" if account else "no such station")
            return
        try:
            request = requests.read(one.csr)
        except requests.BadRequest as error:
            self._settle(key, one, "failed", str(error))
            return
        names, organization = self._names(account, one.use)
        one = replace(
            one,
            attempts=one.attempts + 1,
            authority=signer.name,
            common_name=names[0] if names else request.common_name,
            organization=organization or request.organization,
        )
        self._keep(key, one)
        signer.sign(
            request,
            one.common_name,
            one.organization,
            again=(key, one.use) in self._had,
            done=lambda result: self._answered(key, one, request, signer, result),
        )

    def _answered(
        self,
        key: StationKey,
        one: Enrollment,
        request: requests.Request,
        signer: Signer,
        result: Signed | Later | Refused,
    ) -> None:
        if self._open.get((key, one.use)) is not one:
            return  # superseded meanwhile
        now = self._around.now()
        if isinstance(result, Later):
            if now + result.after_s * 1000 > one.asked_at + GIVE_UP_MS:
                self._settle(key, one, "failed", f"no certificate within a day: {result.why}")
                return
            one = replace(one, reason=result.why, changed_at=now)
            self._keep(key, one)
            self._around.scheduler.call_later(
                result.after_s * 1000, lambda: self._ask(key, one) if self._is_open(key, one) else None
            )
            return
        if isinstance(result, Refused):
            self._settle(key, one, "failed", result.why)
            return
        try:
            signed = self._checked(one, request, signer, result.chain)
        except (chains.ChainError, ValueError) as error:
            self._around.log("an authority's certificate was not passed on", key, reason=str(error))
            self._settle(key, one, "failed", f"the authority's certificate cannot be used: {error}")
            return
        self._keep(key, signed)
        fact = CertificateIssued(
            event_time=now,
            enrollment=signed.id,
            use=signed.use,
            authority=signed.authority,
            serial=signed.serial,
            issuer=signed.issuer,
            not_after=signed.not_after,
        )
        self._record(key, fact)
        self._deliver(key, signed)

    def _is_open(self, key: StationKey, one: Enrollment) -> bool:
        return self._open.get((key, one.use)) is one

    def _checked(self, one: Enrollment, request: requests.Request, signer: Signer, chain: list[bytes]) -> Enrollment:
        """The enrollment with its certificate. Raises ChainError, ValueError for one that no station should have."""
        found = [chains.load(der) for der in chain]
        leaf = found[0]
        if requests.fingerprint(leaf.public_key()) != request.fingerprint:
            raise ValueError("it is for another key")
        names = [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [one.common_name]:
            raise ValueError(f"its CN is {', '.join(names) or 'missing'}, not {one.common_name}")
        if signer.anchors:
            chains.verify(leaf, found[1:], signer.anchors, to_datetime(self._around.now()))
        text = pem.text(chain)
        if len(text) > CHAIN_LENGTH:
            raise ValueError(f"the chain is longer than {CHAIN_LENGTH} characters")
        return replace(
            one,
            status="delivering",
            changed_at=self._around.now(),
            certificate=text,
            reason="",
            serial=serial_text(leaf.serial_number),
            issuer=leaf.issuer.rfc4514_string(),
            not_before=int(from_datetime(leaf.not_valid_before_utc)),
            not_after=int(from_datetime(leaf.not_valid_after_utc)),
        )

    # -- delivered ----------------------------------------------------------------------------------------------------
    def _deliver(self, key: StationKey, one: Enrollment) -> None:
        one = replace(one, deliveries=one.deliveries + 1)
        self._keep(key, one)
        actor = self._actor(key)
        actor.when_ready(lambda: self._send(actor, one))

    def _send(self, actor: StationActor, one: Enrollment) -> None:
        if not self._is_open(actor.key, one):
            return
        payload: dict[str, Any] = {"certificateChain": one.certificate}
        if actor.version != "1.6":
            payload["certificateType"] = one.use
        if actor.version == "2.1" and one.request_id is not None:
            payload["requestId"] = one.request_id
        asked = CommandRequest(
            tenant=actor.key.tenant,
            station=actor.key.station,
            action="CertificateSigned",
            payload=payload,
            by="certificates",
            expires_at=self._around.now() + DELIVER_MS,
        )

        def undelivered(reply: CommandReply) -> None:
            # What the station says comes by `settled`, also in a later process; here is what never got so far.
            if reply.outcome in ("invalid", "undeliverable"):
                still = self._open.get((actor.key, one.use))
                if still is not None and still.id == one.id:
                    self._not_now(actor.key, still, str(reply.answer.get("description", reply.outcome)))

        actor.outbox.request(asked, undelivered)

    def settled(self, actor: StationActor, payload: Mapping[str, Any], outcome: str, answer: Mapping[str, Any]) -> None:
        """A CertificateSigned has come to its end, whoever sent it and whenever."""
        key, chain = actor.key, payload.get("certificateChain")
        one = next(
            (one for one in self.under_way(key) if one.status == "delivering" and one.certificate == chain), None
        )
        if one is None:
            return  # sent by hand, or its request is superseded
        if outcome == "answered":
            if answer.get("status") == "Accepted":
                self._had.add((key, one.use))
                self._settle(key, one, "delivered", "")
                if self._delivered is not None:
                    self._delivered(key, one)
            else:
                self._settle(key, one, "refused", _info(answer) or "the station did not accept the certificate")
        elif outcome == "refused":
            code, text = answer.get("code", ""), answer.get("description", "")
            self._settle(key, one, "refused", f"{code}: {text}".strip(": "))
        elif outcome == "expired":
            self._settle(key, one, "failed", "the station did not come back in time")
        else:
            self._not_now(key, one, str(answer.get("description", outcome)))

    def _not_now(self, key: StationKey, one: Enrollment, why: str) -> None:
        if one.deliveries >= DELIVERIES:
            self._settle(key, one, "failed", f"it could not be delivered: {why}")
            return
        one = replace(one, reason=why, changed_at=self._around.now())
        self._keep(key, one)
        self._around.scheduler.call_later(
            _AGAIN_S * 1000, lambda: self._deliver(key, one) if self._is_open(key, one) else None
        )

    # -- kept ---------------------------------------------------------------------------------------------------------
    def _settle(self, key: StationKey, one: Enrollment, status: Any, reason: str) -> None:
        one = replace(one, status=status, reason=reason, changed_at=self._around.now())
        self._open.pop((key, one.use), None)
        self._write(key, one)
        fact = CertificateSettled(
            event_time=one.changed_at, enrollment=one.id, use=one.use, status=status, reason=reason, serial=one.serial
        )
        self._record(key, fact)

    def _keep(self, key: StationKey, one: Enrollment) -> None:
        self._open[key, one.use] = one
        self._write(key, one)

    def _write(self, key: StationKey, one: Enrollment) -> None:
        self._keeper.change(key.tenant, put(ENROLLMENTS, one.id, one, sort=sort_time(one.asked_at)))

    def _record(self, key: StationKey, fact: AnyFact) -> None:
        actor = self._actor(key)
        actor.when_ready(lambda: actor.record((fact,), None))


def _info(answer: Mapping[str, Any]) -> str:
    info = answer.get("statusInfo")
    if not isinstance(info, dict):
        return ""
    return ": ".join(str(info[name]) for name in ("reasonCode", "additionalInfo") if info.get(name))


def _same(payload: str, one: Enrollment) -> bool:
    return bool(msgspec.json.decode(payload).get("certificateChain") == one.certificate)


decode = msgspec.json.Decoder(Enrollment).decode
"""A document's body."""
