"""ISO 15118 beside the power: contracts of vehicles, and whether certificates still hold (2.x C07, M01, M02, M06, M07).

    station.contracts.present(1, "DEABCC12345678", chain)    a vehicle shows its contract (Plug & Charge)
    station.contracts.install(exi, schema, then)             a vehicle wants contract certificates; the CSMS gets them
    station.contracts.check_chain(chain, then)               is a vehicle's certificate revoked? (2.1)

The OCSP answers for the station's own V2G certificates are fetched when they are new, and once a week.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pilotwire.core.errors import LocalError
from pilotwire.core.time import Timer, from_datetime
from pilotwire.crypto import chains, pem
from pilotwire.crypto.hash_data import HashData, hash_data, write
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .authorization import ACCEPTED, Grant
from .parts import Part

if TYPE_CHECKING:
    from .program import Station

_KEY = "ocsp"
WEEK_MS = 7 * 86_400_000
_AGAIN_MS = 86_400_000
"""After an answer that could not be had."""
_MOST = 4
"""Certificates of one request."""
_ROOTS = ("MORootCertificate", "V2GRootCertificate")
EMAID = "eMAID"

OnExi = Callable[[str, str, int], None]
"""(Accepted or Failed, the EXI answer, how many contracts remain)."""
OnStatus = Callable[[Mapping[HashData, str]], None]
"""Good, Revoked, Unknown or Failed of each certificate that something could be asked about."""


class Known(msgspec.Struct, frozen=True, array_like=True):
    """An OCSP answer (Base64 of its DER; "": it could not be had), and when it was asked for (true time, ms)."""

    at: int
    answer: str = ""


_decoder = msgspec.json.Decoder(dict[str, Known])


class _Checked(NamedTuple):
    status: str
    until: int
    """Station clock, ms."""


class Contracts(Part):
    """See the module."""

    __slots__ = ("_answers", "_asked", "_checked", "_timer")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._answers: dict[str, Known] = {}
        """By `_name` of the certificate."""
        self._asked: set[str] = set()
        self._checked: dict[tuple[str, str, str, str], _Checked] = {}
        self._timer: Timer | None = None

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._answers = _decoder.decode(stored.get(_KEY, b"{}"))
        self._asked.clear()
        self._checked.clear()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def accepted(self, *, booted: bool) -> None:
        self.renewed()

    def offline(self) -> None:
        self._asked.clear()

    # ── the station's own certificates ───────────────────────────────────────────────────────────────────────────

    def answer(self, certificate: bytes) -> str:
        """The OCSP answer that a vehicle is shown for a certificate (DER) of the station; "" where there is none."""
        data = self._hash(certificate, self._own())
        known = None if data is None else self._answers.get(_name(data))
        return "" if known is None else known.answer

    def _own(self) -> list[bytes]:
        own = self._station.certificates.v2g
        return [] if own is None else own.ders

    def renewed(self) -> None:
        """Ask for what is missing or a week old (M06.FR.06, .07, .10)."""
        self.stop()
        station = self._station
        if station.config.version == "1.6":
            return
        now = int(station.scheduler.now())
        chain = self._own()
        names: set[str] = set()
        due: list[int] = []
        for certificate in chain:
            data, url = self._hash(certificate, chain), responder(certificate)
            if data is None or not url:
                continue
            name = _name(data)
            names.add(name)
            known = self._answers.get(name)
            when = now if known is None else known.at + (WEEK_MS if known.answer else _AGAIN_MS)
            if when <= now and station.online:
                self._ask(name, data, url)
            elif when > now:
                due.append(when)
        if self._answers.keys() - names:
            self._answers = {name: known for name, known in self._answers.items() if name in names}
            self._save()
        if due:
            self._timer = station.scheduler.call_later(min(due) - now, self._look)

    def _look(self) -> None:
        self._timer = None
        self.renewed()
        self._station.finish()

    def _ask(self, name: str, data: HashData, url: str) -> None:
        if name in self._asked:
            return
        self._asked.add(name)
        m = self._station.messages
        self._station.conversation.call(
            "GetCertificateStatus",
            m.GetCertificateStatusRequest(ocsp_request_data=self._question(data, url)),
            lambda response, error: self._told(name, response),
        )

    def _told(self, name: str, response: Any) -> None:
        self._asked.discard(name)
        if response is None and not self._station.online:
            return  # asked again with the next connection
        got = response is not None and response.status == ACCEPTED
        before = self._answers.get(name)
        kept = before.answer if before is not None else ""
        result = (response.ocsp_result or "") if response is not None and got else kept
        now = int(self._station.scheduler.now())
        # What could not be had is asked for again in a day; the answer from before serves meanwhile.
        self._answers[name] = Known(now if got or not kept else now - WEEK_MS + _AGAIN_MS, result)
        self._save()
        self.renewed()

    def _save(self) -> None:
        self._station.store({_KEY: msgspec.json.encode(self._answers)})

    # ── hash data ────────────────────────────────────────────────────────────────────────────────────────────────

    def _roots(self) -> list[bytes]:
        return [pem.one(root) for use in _ROOTS for root in self._station.certificates.roots(use)]

    def _hash(self, certificate: bytes, chain: Sequence[bytes]) -> HashData | None:
        """By its issuer in the chain or among the installed roots; None where that is not there."""
        for issuer in (*chain, *self._roots()):
            try:
                return hash_data(certificate, issuer)
            except ValueError:
                continue
        return None

    def _question(self, data: HashData, url: str) -> Any:
        return self._station.messages.OCSPRequestDataType(
            hash_algorithm=data.algorithm,
            issuer_name_hash=data.issuer_name_hash,
            issuer_key_hash=data.issuer_key_hash,
            serial_number=data.serial_number,
            responder_url=url,
        )

    # ── contracts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _needs_pnc(self) -> None:
        station = self._station
        if "pnc" not in station.features or not station.settings.flag("pnc_enabled"):
            raise LocalError(f"{station.config.identity} has no Plug & Charge")

    def present(
        self, evse_id: int, emaid: str, chain: str, *, refused: Callable[[str], None] = lambda reason: None
    ) -> None:
        """A vehicle shows its contract: its id and its certificates (PEM, leaf first) (C07).

        `refused` is told why, when it is not let in. Raises LocalError without Plug & Charge, and BadPem for what is no
        chain.
        """
        self._needs_pnc()
        station = self._station
        evse = station.evse(evse_id)
        ders = pem.blocks(chain)
        valid = self._holds(ders)
        taken = evse.pending is not None or (evse.session is not None and evse.session.authorized)
        if not station.powered or taken:
            return

        def let_in(grant: Grant) -> None:
            station.entrance.let_in(evse, emaid, EMAID, grant, "", None)
            if evse.session is None or not evse.session.authorized:
                refused(grant.status if grant.status != ACCEPTED else "not at this EVSE")

        if not station.online:
            # C07.FR.07 to .12
            if station.settings.flag("contract_offline") and valid:
                let_in(station.authorizer.offline(emaid, EMAID, station.clock.now()))
            else:
                refused("nobody can be asked")
            station.finish()
            return
        m = station.messages
        rows: list[Any] = []
        for certificate in ders[:_MOST]:
            data, url = self._hash(certificate, ders), responder(certificate)
            if data is not None and url:
                rows.append(self._question(data, url))
        central = not valid and station.settings.flag("contract_central")

        def answered(response: Any, error: RpcError | None) -> None:
            if response is None:
                refused("nobody has answered")
                return
            grant = station.dialect.authorize_grant(response)
            station.entrance.learned(emaid, EMAID, grant)
            station.v2x.granted(emaid, getattr(response, "allowed_energy_transfer", None))
            if response.certificate_status in (None, ACCEPTED) and station.powered:
                let_in(grant)
            else:
                refused(response.certificate_status or "the station is off")

        station.conversation.call(
            "Authorize",
            m.AuthorizeRequest(
                id_token=m.IdTokenType(id_token=emaid, type=EMAID),
                certificate=pem.text(ders) if central else None,  # C07.FR.06
                iso15118_certificate_hash_data=rows or None,
            ),
            answered,
        )
        station.finish()

    def _holds(self, ders: Sequence[bytes]) -> bool:
        """Whether a contract leads to one of the installed roots and has not expired."""
        try:
            roots = [chains.load(root) for root in self._roots()]
            first, *others = [chains.load(der) for der in ders]
            chains.verify(first, others, roots, self._station.clock.wall())
        except chains.ChainError:
            return False
        return True

    def install(
        self,
        exi: str,
        schema: str,
        then: OnExi,
        *,
        update: bool = False,
        most: int | None = None,
        emaids: Sequence[str] = (),
    ) -> None:
        """A vehicle asks for contract certificates by EXI (M01, M02).

        `most`, `emaids`: of ISO 15118-20 alone; then it is asked until nothing remains. Raises LocalError without
        Plug & Charge.
        """
        self._needs_pnc()
        station = self._station
        if not station.settings.flag("contract_install"):
            raise LocalError("no contract certificates are installed here")
        m = station.messages
        newer = station.config.version == "2.1" and ":-20:" in schema
        more: dict[str, Any] = {}
        if newer:
            more = {"maximum_contract_certificate_chains": most, "prioritized_emaids": list(emaids[:8]) or None}

        def answered(response: Any, error: RpcError | None) -> None:
            if response is None:
                then("Failed", "", 0)
                return
            remaining = getattr(response, "remaining_contracts", None) or 0
            then(response.status, response.exi_response, remaining)
            if newer and response.status == ACCEPTED and remaining > 0:
                ask()  # M01.FR.06

        def ask() -> None:
            station.conversation.call(
                "Get15118EVCertificate",
                m.Get15118EVCertificateRequest(
                    iso15118_schema_version=schema,
                    action="Update" if update and not newer else "Install",  # M02.FR.02
                    exi_request=exi,
                    **more,
                ),
                answered,
            )

        ask()
        station.finish()

    # ── certificates of vehicles ─────────────────────────────────────────────────────────────────────────────────

    def check_chain(self, chain: str, then: OnStatus) -> None:
        """Ask whether certificates (PEM) are revoked; answers are kept as long as they hold, a week at most (M07).

        2.1 only: raises LocalError otherwise.
        """
        station = self._station
        if station.config.version != "2.1":
            raise LocalError("GetCertificateChainStatus is of 2.1")
        m = station.messages
        now = station.clock.now()
        ders = pem.blocks(chain)
        found: dict[HashData, str] = {}
        rows: list[Any] = []
        asked: dict[tuple[str, str, str, str], HashData] = {}
        for certificate in ders:
            data = self._hash(certificate, ders)
            url, source = responder(certificate), "OCSP"
            if not url:
                url, source = distribution_point(certificate), "CRL"
            if data is None or not url:
                continue
            known = self._checked.get(data.key())
            if known is not None and known.until > now:
                found[data] = known.status  # M07.FR.10
            elif len(rows) < _MOST:
                asked[data.key()] = data
                rows.append(
                    m.CertificateStatusRequestInfoType(
                        certificate_hash_data=write(data, m.CertificateHashDataType), source=source, urls=[url]
                    )
                )
        if not rows:
            then(found)
            return

        def answered(response: Any, error: RpcError | None) -> None:
            at = station.clock.now()
            for row in () if response is None else response.certificate_status:
                wire = row.certificate_hash_data
                data = asked.get(
                    HashData(wire.hash_algorithm, wire.issuer_name_hash, wire.issuer_key_hash, wire.serial_number).key()
                )
                if data is None:
                    continue
                found[data] = row.status
                if row.status != "Failed":
                    until = min(int(from_datetime(row.next_update)), at + WEEK_MS)
                    self._checked[data.key()] = _Checked(row.status, until)  # M07.FR.09
            for data in asked.values():
                found.setdefault(data, "Failed")
            then(found)

        station.conversation.call(
            "GetCertificateChainStatus",
            m.GetCertificateChainStatusRequest(certificate_status_requests=rows),
            answered,
        )
        station.finish()


def _name(data: HashData) -> str:
    return "/".join(data.key())


def responder(certificate: bytes) -> str:
    """The OCSP responder that a certificate (DER) names; "" for none."""
    try:
        found = chains.load(certificate).extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, chains.ChainError, ValueError):
        return ""
    for row in found.value:
        if row.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            row.access_location, x509.UniformResourceIdentifier
        ):
            return row.access_location.value
    return ""


def distribution_point(certificate: bytes) -> str:
    """Where the revocation list of a certificate's (DER) issuer is; "" for nowhere."""
    try:
        found = chains.load(certificate).extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except (x509.ExtensionNotFound, chains.ChainError, ValueError):
        return ""
    for point in found.value:
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                return name.value
    return ""
