"""The station's certificates over time (A02, A03, A05; M03 to M05): asked for, renewed, exchanged without a gap.

    triggered, or a month before the end ─► new key, CSR ─► SignCertificate ─► … ─► CertificateSigned
        no certificate in CertSigningWaitMinimum: again, each time after twice as long, CertSigningRepeatTimes times
    taken ─► the next connection is made with the new one; where the CSMS does not let it in, with the old one again,
        by turns. The one that works stays, the other is thrown away; when that was the new one, the CSMS is told.

Charging goes on meanwhile: what happens between two connections waits in the outbox as always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pilotwire.core.time import Timer, to_datetime
from pilotwire.crypto.hash_data import write
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.transport.port import Dialer, DialResult, Receiver

from . import keystore
from .keystore import CSMS_ROOT, STATION_USE, Kept, Leaf, Pending, Unfit
from .parts import Part
from .settings import BY_NAME

if TYPE_CHECKING:
    from .program import Station

RENEW_BEFORE_MS = 30 * 86_400_000
"""A03.FR.02: a month."""
_LONGEST_TIMER_MS = 7 * 86_400_000
ATTEMPTS = 3
"""Attempts with a raised security profile before the one before is tried again."""
_KEY = "certificates"
V2G_USES = ("V2GCertificate", "V2G20Certificate")
_read = msgspec.json.Decoder(Kept).decode
_TLS_WORDS = ("certificate", "ssl", "tls", "alert", "closed the connection during the handshake")


class Identity(NamedTuple):
    """As whom the station connects next, and whom it trusts: for whoever owns the dialer. PEM texts, "" for none."""

    profile: int
    chain: str
    key: str
    roots: str
    """The CSMS roots; "": what the dialer was made with."""


class Dialing:
    """A dialer that is told before each attempt as whom to connect, and tells what became of it."""

    __slots__ = ("_dialer", "_report", "_tell")

    def __init__(self, dialer: Dialer, tell: Callable[[], None], report: Callable[[DialResult], None]) -> None:
        self._dialer = dialer
        self._tell = tell
        self._report = report

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """See `Dialer.dial`."""
        self._tell()

        def ended(result: DialResult) -> None:
            self._report(result)
            done(result)

        self._dialer.dial(receiver, offered, ended)


class Certificates(Part):
    """See the module."""

    __slots__ = (
        "_attempts",
        "_due",
        "_kept",
        "_migrating",
        "_on_identity",
        "_renewal",
        "_told",
        "_trouble",
        "_with_new",
        "_with_old_root",
    )

    def __init__(self, station: Station, on_identity: Callable[[Identity], None] | None) -> None:
        """`on_identity` puts what it is told where the dialer finds it; None: certificates are kept, never used."""
        super().__init__(station)
        self._on_identity = on_identity
        self._kept = Kept()
        self._due: dict[str, Timer] = {}
        """By use: when a signing request is repeated."""
        self._renewal: Timer | None = None
        self._told: Identity | None = None
        self._with_new = False
        """The attempt under way is made with the new certificate."""
        self._with_old_root = False
        """The attempt under way trusts the CSMS root that is to be replaced."""
        self._migrating = False
        """It goes elsewhere than the last connection went."""
        self._attempts = 0
        """Of the raised profile."""
        self._trouble = ""
        """The last security trouble of the connection that was told."""

    # -- told by the program ------------------------------------------------------------------------------------------
    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._kept = _read(stored[_KEY]) if _KEY in stored else Kept()
        self._told = None
        self._with_new = self._kept.new is not None
        self._with_old_root = self._migrating = False
        self._attempts = 0
        if self._kept.pnc_off:
            self._kept.pnc_off = False
            self._station.settings.put(BY_NAME["pnc_enabled"], "true")
            self._save()
        self._watch_end()

    def stop(self) -> None:
        for timer in (*self._due.values(), self._renewal):
            if timer is not None:
                timer.cancel()
        self._due.clear()
        self._renewal = None

    def accepted(self, *, booted: bool) -> None:
        """Requests that were under way when the connection or the power went are sent again."""
        for pending in self._kept.pending:
            if pending.use not in self._due and pending.tries <= self._station.settings.number("sign_repeats"):
                self._send(pending)

    def clock_moved(self) -> None:
        self._watch_end()

    # -- what others ask ----------------------------------------------------------------------------------------------
    @property
    def profile(self) -> int:
        """The security profile that the station uses."""
        return self._kept.profile or self._station.config.security_profile

    @property
    def entries(self) -> int:
        """How many certificates are installed (CertificateEntries)."""
        kept = self._kept
        return len(kept.roots) + sum(one is not None for one in (kept.leaf, kept.v2g))

    @property
    def leaf(self) -> Leaf | None:
        """The certificate that is in use."""
        return self._kept.leaf

    @property
    def v2g(self) -> Leaf | None:
        """The certificate towards vehicles (ISO 15118)."""
        return self._kept.v2g

    @property
    def pending(self) -> list[Pending]:
        """Requests under way."""
        return self._kept.pending

    def roots(self, use: str = CSMS_ROOT) -> list[str]:
        """PEM of the installed roots of a use."""
        return [root.certificate for root in self._kept.roots if root.use == use]

    def identity(self) -> Identity:
        """As whom the next connection is made."""
        kept = self._kept
        new = kept.new if self._with_new else None
        leaf = new if new is not None and new.begins() <= self._station.clock.now() else kept.leaf
        profile = self._station.networks.security or self.profile
        if kept.old_profile and self._attempts >= ATTEMPTS and self._attempts % 2:
            profile = kept.old_profile
        return Identity(profile, leaf.chain if leaf else "", leaf.key if leaf else "", "".join(self._trusted()))

    def _trusted(self) -> list[str]:
        """The CSMS roots to verify with: the newest, or the one that it replaces (M05.FR.14), not both."""
        old = self._kept.old_root
        if not old:
            return self.roots()
        return [old] if self._with_old_root else [root for root in self.roots() if root != old]

    def objection(self, profile: int) -> str:
        """Why the station cannot go to a security profile; "" where it can (A05.FR.02, .03, .08 to .10)."""
        down = profile < self.profile
        if down and not (self._station.settings.flag("allow_downgrade") and (self.profile, profile) == (3, 2)):
            return "it is lower than the present one"
        if profile > self.profile and profile >= 2 and not self.roots():
            return "no CSMSRootCertificate is installed"
        if profile > self.profile and profile == 3 and self._kept.leaf is None and self._kept.new is None:
            return "no certificate of the station is installed"
        return "" if profile in (1, 2, 3) else "there is no such profile"

    def rise(self, profile: int) -> None:
        """Go to a higher profile with the next connection; back where it never works."""
        if profile == self.profile:
            return
        self._kept.old_profile, self._kept.profile = self.profile, profile
        self._attempts = 0
        self._save()
        self._station.security.event("ReconfigurationOfSecurityParameters", f"security profile {profile}")

    def settle(self, profile: int) -> None:
        """A connection was made by a network connection profile with this security profile (A05.FR.06)."""
        if profile != self.profile:
            self._kept.profile, self._kept.old_profile = profile, 0
            self._save()
            self._station.security.event("ReconfigurationOfSecurityParameters", f"security profile {profile}")

    def provide(self, leaf: Leaf | None, roots: Mapping[str, Sequence[str]]) -> None:
        """What the factory or an installer puts in: a certificate with its key, and roots (PEM) by their use."""
        self._kept.leaf = leaf
        self._kept.roots = [keystore.Root(use, text) for use, texts in roots.items() for text in texts]
        self._kept.old_root = ""
        self._save()
        self._station.commit()
        if self._station.powered:
            self._watch_end()

    # -- signing requests ---------------------------------------------------------------------------------------------
    def enroll(self, use: str = STATION_USE) -> None:
        """Make a new key pair and have its certificate signed."""
        station = self._station
        pending = keystore.ask(self._kept, use, self._common_name, station.settings.text("organization"), "ec-p256")
        self._save()
        self._cancel(use)
        self._send(pending)
        station.finish()

    @property
    def _common_name(self) -> str:
        config = self._station.config
        return config.serial or config.identity

    def _send(self, pending: Pending) -> None:
        station = self._station
        if not station.online and station.conversation.registration != "Pending":
            return  # `accepted` takes it up
        m, more = station.messages, dict[str, Any]()
        if station.config.version != "1.6":
            more["certificate_type"] = pending.use
        if station.config.version == "2.1":
            more["request_id"] = pending.request_id
            root = next((one for one in self._kept.roots if one.use == "V2GRootCertificate"), None)
            if pending.use in V2G_USES and root is not None:
                more["hash_root_certificate"] = write(root.data(), m.CertificateHashDataType)  # A02.FR.27

        def answered(response: Any, error: RpcError | None) -> None:
            if pending not in self._kept.pending:
                return  # signed, or asked anew, in the meantime
            if response is not None and response.status != "Accepted":
                self._forget(pending)  # not before somebody asks for it
                if pending.use in V2G_USES:
                    self._without_pnc()
            else:
                self._arm(pending)

        pending.tries += 1
        self._save()
        station.conversation.call("SignCertificate", m.SignCertificateRequest(csr=pending.csr, **more), answered)

    def _arm(self, pending: Pending) -> None:
        """A02.FR.17, .18: again after the wait, which doubles."""
        settings = self._station.settings
        if pending.tries > settings.number("sign_repeats"):
            return  # A02.FR.19: no more; a late certificate is still taken
        wait = settings.number("sign_wait") * 1000 * 2 ** (pending.tries - 1)

        def due() -> None:
            self._due.pop(pending.use, None)
            if pending in self._kept.pending:
                self._send(pending)
                self._station.finish()

        self._cancel(pending.use)
        self._due[pending.use] = self._station.scheduler.call_later(wait, due)

    def _without_pnc(self) -> None:
        """A02.FR.21: no certificate towards vehicles, no Plug & Charge until the next restart."""
        station = self._station
        if "pnc" in station.features and station.settings.flag("pnc_enabled"):
            station.settings.put(BY_NAME["pnc_enabled"], "false")
            self._kept.pnc_off = True
            self._save()

    def _cancel(self, use: str) -> None:
        timer = self._due.pop(use, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, pending: Pending) -> None:
        self._cancel(pending.use)
        self._kept.pending = [one for one in self._kept.pending if one is not pending]
        self._save()

    def signed(self, chain: str, use: str, request_id: int | None) -> tuple[str, Callable[[], None] | None]:
        """CertificateSigned: ("" or why it is not taken, what to do after the answer)."""
        station = self._station
        if len(chain) > station.settings.number("chain_size"):
            return "the chain is longer than MaxCertificateChainSize", None
        if any(own is not None and own.same(chain) for own in (self._kept.new, self._kept.leaf, self._kept.v2g)):
            return "", None  # taken before, and the answer to that was lost
        before = list(self._kept.pending)
        try:
            leaf = keystore.take(
                self._kept,
                use,
                chain,
                request_id,
                now=station.clock.wall(),
                lead_ms=0 if station.config.version == "2.1" else keystore.LEAD_MS,
                common_name=self._common_name,
                organization=station.settings.text("organization"),
            )
        except Unfit as error:
            if before and not (request_id is not None and all(one.request_id != request_id for one in before)):
                # A02.FR.07, .20: thrown away, and not asked for again before the CSMS wants it.
                station.security.event("InvalidChargingStationCertificate", str(error))
                for pending in [one for one in before if one.use == use]:
                    self._forget(pending)
            return str(error), None
        self._cancel(use)
        # A02.FR.09 (not in 2.1, where the one that is sent is the one to use), .15: the newest by its beginning.
        before_it = self._kept.leaf if use == STATION_USE else self._kept.v2g
        newest = before_it is None or leaf.begins() >= before_it.begins()
        if not newest and (use != STATION_USE or station.config.version != "2.1"):
            self._save()
            return "", None
        if use != STATION_USE:
            self._kept.v2g = leaf
            self._save()
            self._station.contracts.renewed()
            return "", None
        if self._kept.leaf is None or self.profile < 3:
            # Nothing is connected by a certificate yet: there is none to fall back to.
            self._kept.leaf, self._kept.new = leaf, None
            self._with_new = False
            self._save()
            self._watch_end()
            return "", None
        self._kept.new = leaf
        self._with_new = True
        self._save()
        self._watch_end()
        return "", lambda: self._change_over(leaf)

    def _change_over(self, leaf: Leaf) -> None:
        """A02.FR.08: with the new certificate, as soon as it counts."""
        station = self._station
        wait = leaf.begins() - station.clock.now()
        if wait > 0:
            station.scheduler.call_later(wait, lambda: self._reconnect(leaf))
        else:
            self._reconnect(leaf)

    def _reconnect(self, leaf: Leaf) -> None:
        if self._station.powered and self._kept.new is leaf:
            self._station.conversation.reconnect()

    def _watch_end(self) -> None:
        """A03.FR.02: a month before the certificate expires a new one is asked for."""
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        leaf = self._kept.new or self._kept.leaf
        if leaf is None:
            return
        wait = max(1_000, leaf.ends() - RENEW_BEFORE_MS - self._station.clock.now())

        def due() -> None:
            self._renewal = None
            if not self._station.powered:
                return
            if leaf.ends() - RENEW_BEFORE_MS > self._station.clock.now():
                self._watch_end()
            elif not any(one.use == STATION_USE for one in self._kept.pending) and self._kept.new is None:
                self.enroll()

        self._renewal = self._station.scheduler.call_later(min(wait, _LONGEST_TIMER_MS), due)

    # -- connecting ---------------------------------------------------------------------------------------------------
    def tell(self) -> None:
        """An attempt to connect begins."""
        networks = self._station.networks
        self._migrating = networks.migrating
        if networks.returned:
            networks.returned, self._with_old_root = False, True  # M05.FR.16
        if self._on_identity is None:
            return
        identity = self.identity()
        if identity != self._told:
            self._told = identity
            self._on_identity(identity)

    def dialed(self, result: DialResult) -> None:
        """An attempt has ended."""
        if result.opened:
            self._worked()
            return
        trouble = _trouble(result)
        if trouble and trouble != self._trouble:
            self._trouble = trouble
            self._station.security.event(trouble, result.reason)
        if self._kept.old_profile:
            self._attempts += 1
        if self._kept.new is not None and self._kept.leaf is not None and _turned_away(result):
            self._with_new = not self._with_new  # A02.FR.28: by turns
        if self._kept.old_root and trouble == "InvalidCsmsCertificate" and not self._migrating:
            self._with_old_root = not self._with_old_root  # M05.FR.14

    def _worked(self) -> None:
        """A02.FR.10: the one that works stays."""
        kept, changed = self._kept, False
        self._trouble = ""
        if kept.old_profile:
            used = self._told.profile if self._told is not None else kept.profile
            kept.profile, kept.old_profile, changed = used, 0, True
            self._attempts = 0
        if kept.new is not None and self._told is not None and kept.new.begins() <= self._station.clock.now():
            changed = True
            if self._told.chain == kept.new.chain:
                kept.leaf = kept.new
            else:
                self._station.security.event(
                    "DiscardedRenewedClientCertificate", "the CSMS did not let it in; the old one is used"
                )
            kept.new, self._with_new = None, False
            self._watch_end()
        if kept.old_root and self._told is not None and self._told.profile >= 2:
            if kept.old_root not in self._told.roots:
                keystore.settle_root(kept)
                changed = True
            self._with_old_root = False
        if changed:
            self._save()

    # -- roots --------------------------------------------------------------------------------------------------------
    def install(self, use: str, text: str) -> str:
        """InstallCertificate: "" or why it is not taken."""
        settings = self._station.settings
        # 1.6 counts roots (CertificateStoreMaxLength), 2.x every certificate (CertificateEntries).
        own = 0 if self._station.config.version == "1.6" else self.entries - len(self._kept.roots)
        try:
            keystore.install(
                self._kept,
                use,
                text,
                now=to_datetime(self._station.clock.now()),
                limit=settings.number("certificates_max") - own,
                check_root=settings.flag("root_check"),
            )
        except Unfit as error:
            return str(error)
        self._save()
        return ""

    def delete(self, wanted: keystore.HashData) -> str:
        """DeleteCertificate: Accepted, Failed or NotFound."""
        status = keystore.delete(self._kept, wanted, by_tls=self.profile >= 2)
        if status == "Accepted":
            self._save()
        return status

    def listed(self, uses: list[str] | None) -> list[keystore.Installed]:
        """GetInstalledCertificateIds."""
        return keystore.listed(self._kept, uses)

    def _save(self) -> None:
        self._station.store({_KEY: msgspec.json.encode(self._kept)})


def _turned_away(result: DialResult) -> bool:
    """Whether it was our certificate that was not liked, and not the network that was down."""
    reason = result.reason.lower()
    return result.status in (401, 403) or any(word in reason for word in _TLS_WORDS)


def _trouble(result: DialResult) -> str:
    """The security event that a failed attempt is; "" where it is none."""
    reason = result.reason.lower().replace("_", " ")
    if result.status in (401, 403):
        return "FailedToAuthenticateAtCsms"
    if "certificate verify failed" in reason:
        return "InvalidCsmsCertificate"
    if "unsupported protocol" in reason or "protocol version" in reason or "wrong version" in reason:
        return "InvalidTLSVersion"
    if "no shared cipher" in reason or "no ciphers" in reason or "handshake failure" in reason:
        return "InvalidTLSCipherSuite"
    return ""
