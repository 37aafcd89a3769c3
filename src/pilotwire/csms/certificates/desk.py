"""All that the central system has of certificates: who signs, who is trusted, what is under way, who is asked.

What people set up is read from the store at the start and whenever settings change. Where nothing was ever set up and
there is a vault, the installation's own authority is made: the first station can have a certificate at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509

from pilotwire.core.errors import PilotwireError
from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, est, pem
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.vault import NotOurs, Vault
from pilotwire.domain.certificates import STATION_USE
from pilotwire.domain.trust import (
    ANCHORS,
    AUTHORITY,
    AUTHORITY_KEY,
    ENROLLMENTS,
    EST_PASSWORD,
    AuthoritySettings,
    Enrollment,
    EstSettings,
    TrustAnchor,
)
from pilotwire.storage.documents import sort_time

from .contracts import HttpContracts
from .credentials import Credentials
from .enrollments import Enrollments
from .installed import Installed
from .ports import Contracts, Keeper, Signer, StatusDesk
from .signers import BuiltIn, Est, Spawn, client_context
from .status import Statuses

if TYPE_CHECKING:
    from ..actor import StationActor
    from ..around import Around

_PAGE = 500
_LOOK_BACK_MS = 400 * 86_400_000
"""Older requests have no certificate that is still valid."""
_read_settings = msgspec.json.Decoder(AuthoritySettings).decode
_read_anchor = msgspec.json.Decoder(TrustAnchor).decode
_read_enrollment = msgspec.json.Decoder(Enrollment).decode


class Desk:
    """See the module."""

    def __init__(
        self,
        around: Around,
        actor: Callable[[StationKey], StationActor],
        keeper: Keeper,
        *,
        vault: Vault | None = None,
        spawn: Spawn | None = None,
        hash_password: Callable[[bytes], str] | None = None,
    ) -> None:
        """`vault` opens what the store holds of secrets. `spawn` runs coroutines; None: nobody outside is asked."""
        self._around = around
        self._vault = vault
        self._spawn = spawn
        self.keeper = keeper
        self.settings = AuthoritySettings()
        self.authority: Authority | None = None
        """The installation's own, whether or not it is the one that signs."""
        self._signers: dict[str, Signer] = {}
        self._anchors: dict[str, list[tuple[TrustAnchor, x509.Certificate]]] = {}
        self._restored: set[str] = set()
        self._asked_by: tuple[str, ...] = ()
        self.enrollments = Enrollments(
            around,
            actor,
            lambda tenant, use: self._signers.get(use),
            keeper,
            organization=lambda: self.settings.organization,
        )
        self.credentials = Credentials(around, keeper, hash_password)
        self.installed = Installed(around, keeper)
        self.on_anchors: Callable[[], None] = lambda: None
        """Called when `client_anchors` says something else than before."""
        self.statuses: StatusDesk | None = None
        self.contracts: Contracts | None = None
        if spawn is not None:
            self.statuses = Statuses(around.scheduler, spawn, self.issuers, hosts=lambda: self.settings.ocsp_hosts)

    def ask_privately(self) -> None:
        """From now on the status of certificates may be asked at loopback and private addresses, at any port: of a PKI
        that is in the house."""
        if self._spawn is not None:
            self.statuses = Statuses(
                self._around.scheduler,
                self._spawn,
                self.issuers,
                hosts=lambda: self.settings.ocsp_hosts,
                private=True,
            )

    # -- what others ask ----------------------------------------------------------------------------------------------
    def issuers(self, tenant: str) -> list[x509.Certificate]:
        """Every authority that the tenant trusts for anything."""
        own = [self.authority.issuing, self.authority.root] if self.authority is not None else []
        return [*(one for _, one in self._anchors.get(tenant, ())), *own]

    def trusted(self, tenant: str, uses: Collection[str]) -> list[x509.Certificate]:
        """The authorities that the tenant trusts for one of these uses."""
        return [one for anchor, one in self._anchors.get(tenant, ()) if anchor.use in uses]

    def client_anchors(self) -> str:
        """PEM of those whom stations' client certificates may lead to, for the listener."""
        found = [self.authority.root] if self.authority is not None else []
        for anchors in self._anchors.values():
            found += [one for anchor, one in anchors if anchor.use == "station"]
        return pem.text(list(dict.fromkeys(chains.der(one) for one in found))) if found else ""

    # -- setting up ---------------------------------------------------------------------------------------------------
    def use(self, authority: Authority, settings: AuthoritySettings | None = None) -> None:
        """Sign stations with this one."""
        self.authority = authority
        self.settings = settings or AuthoritySettings(source="built-in")
        self._signers[STATION_USE] = BuiltIn(authority, self._around.scheduler, days=self.settings.days)

    async def load(self) -> None:
        """Read what people have set up, and take up what is under way. What cannot be read leaves the old in place."""
        store, before = self._around.store, self.client_anchors()
        text = await store.setting(AUTHORITY)
        if text is None and self._vault is not None:
            text = await self._first()
        if text is not None:
            try:
                await self._set_up(_read_settings(text), text)
            except (msgspec.DecodeError, PilotwireError, ValueError) as error:
                self._log("the certificate authority cannot be used", error)
        for tenant in self._around.accounts.tenants() | {DEFAULT_TENANT}:
            await self._load_anchors(tenant)
            if tenant not in self._restored:
                self._restored.add(tenant)
                self.enrollments.restore(tenant, await self._load_enrollments(tenant))
        if self.client_anchors() != before:
            self._tell_listener()

    def _tell_listener(self) -> None:
        try:
            self.on_anchors()
        except PilotwireError as error:
            self._log("the listener cannot take the authorities of client certificates", error)

    async def _first(self) -> str:
        """Make the installation's own authority, unless another process was quicker."""
        assert self._vault is not None
        store = self._around.store
        if await store.setting(AUTHORITY_KEY) is None:
            made = Authority.new("Pilotwire", now=to_datetime(self._around.now()))
            await store.put_setting(AUTHORITY_KEY, self._vault.lock(AUTHORITY_KEY, made.keep()))
        text = msgspec.json.encode(AuthoritySettings(source="built-in")).decode()
        await store.put_setting(AUTHORITY, text)
        return text

    async def _set_up(self, settings: AuthoritySettings, text: str) -> None:
        locked = await self._around.store.setting(AUTHORITY_KEY)
        if locked is not None and self._vault is not None:
            try:
                self.authority = Authority.taken_up(self._vault.open(AUTHORITY_KEY, locked))
            except (NotOurs, ValueError) as error:
                self._log("the installation's certificate authority cannot be read", error)
        if self._asked_by == (text, locked or ""):
            return
        signers: dict[str, Signer] = {}
        if settings.source == "built-in" and self.authority is not None:
            signers[STATION_USE] = BuiltIn(self.authority, self._around.scheduler, days=settings.days)
        elif settings.source == "est" and settings.est is not None and self._spawn is not None:
            signers[STATION_USE] = self._est(settings.est, self._spawn)
        if settings.est_v2g is not None and self._spawn is not None:
            signers["V2GCertificate"] = signers["V2G20Certificate"] = self._est(settings.est_v2g, self._spawn)
        self.contracts = None
        if settings.contracts_url and self._spawn is not None:
            token = self._open("contracts", settings.contracts_token)
            self.contracts = HttpContracts(settings.contracts_url, token, self._spawn)
        self.settings, self._signers = settings, signers
        self._asked_by = (text, locked or "")

    def _est(self, settings: EstSettings, spawn: Spawn) -> Est:
        password = self._open(EST_PASSWORD, settings.password)
        server = est.Server(settings.url, settings.label, settings.user, password)
        return Est(server, spawn, trust=client_context(settings.trust))

    def _open(self, purpose: str, locked: str) -> str:
        if not locked:
            return ""
        if self._vault is None:
            raise NotOurs("there is no vault to open it with")
        return self._vault.open(purpose, locked)

    async def _load_anchors(self, tenant: str) -> None:
        found: list[tuple[TrustAnchor, x509.Certificate]] = []
        cursor: str | None = None
        while True:
            page = await self._around.store.documents(tenant, ANCHORS, cursor=cursor, limit=_PAGE)
            for one in page.items:
                try:
                    anchor = _read_anchor(one.body)
                    found.append((anchor, chains.load(pem.one(anchor.certificate))))
                except (msgspec.DecodeError, PilotwireError) as error:
                    self._log("a trusted authority cannot be read", error)
            cursor = page.next
            if cursor is None:
                break
        self._anchors[tenant] = found

    async def _load_enrollments(self, tenant: str) -> list[Enrollment]:
        found: list[Enrollment] = []
        since = sort_time(max(0, self._around.now() - _LOOK_BACK_MS))
        cursor: str | None = None
        while True:
            page = await self._around.store.documents(tenant, ENROLLMENTS, low=since, cursor=cursor, limit=_PAGE)
            found += [_read_enrollment(one.body) for one in page.items]
            cursor = page.next
            if cursor is None:
                return found

    def _log(self, event: str, error: Exception) -> None:
        self._around.log(event, StationKey(DEFAULT_TENANT, "-"), error=str(error))
