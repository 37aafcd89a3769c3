"""Who may come in: decided before the upgrade, from memory, at once.

Unknown identity 404, wrong credential 401 (also a right password with somebody else's user name), wrong security
profile or a disabled account 403. A station has exactly one security profile (2.1 part 2, A00): a connection of
another one is refused, the stronger too, since it is not what the operator set up.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal
from urllib.parse import unquote

from msgspec.structs import replace

from pilotwire.core.ids import DEFAULT_TENANT, MAX_IDENTITY, BadIdentity, StationKey, check_identity
from pilotwire.crypto.subject import read_subject
from pilotwire.domain.records import StationAccount
from pilotwire.protocols.ocpp.version import SUBPROTOCOL
from pilotwire.transport.bus import Refused
from pilotwire.transport.port import Handshake, Link, Receiver, Refuse, TurnedAway

from .around import Around

Verify = Callable[[str, bytes], bool]
"""(verifier, password as it came) → is it the one? In the same time for every answer; nothing fits the verifier ""."""

UNKNOWN = Refuse(404, "unknown-identity")
WRONG_CREDENTIAL = Refuse(401, "wrong-credential")
NO_CREDENTIAL = Refuse(401, "no-credential")
WRONG_PROFILE = Refuse(403, "wrong-security-profile")
WRONG_CERTIFICATE = Refuse(403, "wrong-certificate")
REVOKED_CERTIFICATE = Refuse(403, "revoked-certificate")
DISABLED = Refuse(403, "disabled")
LAB_ELSEWHERE = Refuse(403, "lab-account-off-loopback")


def is_local(peer: str) -> bool:
    """Whether "host:port" is this machine itself (an in-memory link is)."""
    host, _, _ = peer.rpartition(":")
    if host == "memory":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _shown(user: bytes | None) -> str:
    """A user name as it may be shown: what cannot be printed is replaced, and only the beginning."""
    text = (user or b"")[:64].decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


class Admission:
    """`transport.port.Doorkeeper`: judges handshakes, hands those admitted to `connect`."""

    def __init__(
        self,
        around: Around,
        connect: Callable[[StationKey, Handshake, str, int], Receiver],
        verify: Verify,
        *,
        by_certificate: Callable[[StationKey, bytes], None] = lambda key, der: None,
        is_revoked: Callable[[StationKey, bytes], bool] = lambda key, der: False,
    ) -> None:
        """`connect(key, handshake, version, security_profile)` makes the receiver of an admitted connection.
        `by_certificate` is told of every station that was let in by one (DER), `is_revoked` is asked before."""
        self._around = around
        self._connect = connect
        self._verify = verify
        self._by_one = by_certificate
        self._is_revoked = is_revoked

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        """See `Endpoint.admit`."""
        around = self._around
        key = StationKey(handshake.tenant, handshake.identity)
        verdict = self._judge(key, handshake)
        if isinstance(verdict, Refuse):
            around.counters.count(around.counters.rejected, verdict.reason)
            around.log("handshake refused", key, peer=handshake.peer, reason=verdict.reason)
            self._note(key, handshake, verdict.status, verdict.reason)
            return verdict
        around.counters.handshakes += 1
        version = SUBPROTOCOL.get(handshake.subprotocol or "")
        if version is None:
            self._note(key, handshake, 101, "no-common-subprotocol")
            return NoCommonVersion()
        self._note(key, handshake, 101, "")
        return self._connect(key, handshake, version, verdict.security_profile)

    def _note(self, key: StationKey, handshake: Handshake, status: int, reason: str) -> None:
        """Whoever looks for the reason hears of it. It is no fact of the journal: a stranger could fill that."""
        self._around.door.came(
            Refused(
                tenant=key.tenant,
                station=key.station[:MAX_IDENTITY],
                time=self._around.now(),
                peer=handshake.peer,
                status=status,
                reason=reason,
                path=handshake.path,
                user=_shown(handshake.user),
                offered=handshake.offered or ((handshake.subprotocol,) if handshake.subprotocol else ()),
                tls=handshake.tls,
            )
        )

    def turned_away(self, attempt: TurnedAway) -> None:
        """See `Doorkeeper`: it never came to admission, so whom it means is a guess from its path and user."""
        key = self._guess(attempt)
        self._around.door.came(
            Refused(
                tenant=key.tenant,
                station=key.station,
                time=self._around.now(),
                peer=attempt.peer,
                status=attempt.status,
                reason=attempt.reason,
                path=attempt.path,
                user=_shown(attempt.user),
                offered=attempt.offered,
                tls=attempt.tls,
                detail=attempt.detail,
            )
        )

    def _guess(self, attempt: TurnedAway) -> StationKey:
        """The account whose identity stands in the path or the user; else the default tenant's, under that name."""
        segments = [unquote(part) for part in attempt.path.partition("?")[0].split("/") if part]
        names = [*segments[::-1], _shown(attempt.user)]
        for name in names:
            for tenant in (*segments, DEFAULT_TENANT):
                if self._around.accounts.get(StationKey(tenant, name)) is not None:
                    return StationKey(tenant, name)
        for name in names[:1]:
            try:
                return StationKey(DEFAULT_TENANT, check_identity(name))
            except BadIdentity:
                break
        return StationKey(DEFAULT_TENANT, "")

    def _judge(self, key: StationKey, handshake: Handshake) -> StationAccount | Refuse:
        try:
            check_identity(handshake.identity)
        except BadIdentity:
            return UNKNOWN
        account = self._around.accounts.get(key)
        if account is None:
            return self._stranger(key, handshake)
        basic = self._basic(account, handshake)
        if not account.enabled:
            return DISABLED
        profile = account.security_profile
        if profile == 0:
            # Without a credential the way in is the proof: the lab's own machine.
            return account if self._around.config.lab and is_local(handshake.peer) else LAB_ELSEWHERE
        if account.next_profile > profile:
            # Told to go to a higher profile: when it comes by that one, the old one is over (A05).
            higher = self._by_profile(account, account.next_profile, handshake, basic)
            if not isinstance(higher, Refuse):
                self._came_with(key, "security-profile")
                return replace(account, security_profile=account.next_profile)
        return self._by_profile(account, profile, handshake, basic)

    def _by_profile(
        self, account: StationAccount, profile: int, handshake: Handshake, basic: Refuse | None
    ) -> StationAccount | Refuse:
        if profile == 3:
            return self._by_certificate(account, handshake)
        if isinstance(basic, Refuse):
            return basic
        if handshake.tls is not (profile == 2):
            return WRONG_PROFILE
        return account

    def _basic(self, account: StationAccount, handshake: Handshake) -> Refuse | None:
        """Judge Basic credentials. The password is checked whatever else is wrong, so that time tells nothing."""
        if handshake.user is None or handshake.password is None:
            return NO_CREDENTIAL
        right = self._verify(account.password, handshake.password)
        ours = handshake.user == handshake.identity.encode()
        if account.next_password and self._verify(account.next_password, handshake.password) and ours:
            # It was sent to the station, whose answer was lost: the old password is over.
            self._came_with(StationKey(account.tenant, account.id), "password")
            return None
        return None if right and ours else WRONG_CREDENTIAL

    def _came_with(self, key: StationKey, what: Literal["password", "security-profile"]) -> None:
        desk = self._around.certificates
        if desk is not None:
            desk.credentials.came_with(key, what)

    def _by_certificate(self, account: StationAccount, handshake: Handshake) -> StationAccount | Refuse:
        """A00.FR.404, 405: O is the operator's, CN is this station."""
        if not handshake.tls or handshake.certificate is None:
            return WRONG_PROFILE
        try:
            name, organization = read_subject(handshake.certificate)
        except ValueError:
            return WRONG_CERTIFICATE
        if name != (account.serial or account.id) or organization != account.organization:
            return WRONG_CERTIFICATE
        key = StationKey(account.tenant, account.id)
        if self._is_revoked(key, handshake.certificate):
            return REVOKED_CERTIFICATE
        self._by_one(key, handshake.certificate)
        return account

    def _stranger(self, key: StationKey, handshake: Handshake) -> StationAccount | Refuse:
        around = self._around
        if around.config.lab and is_local(handshake.peer):
            account = StationAccount(
                tenant=key.tenant,
                id=key.station,
                security_profile=0,
                created_at=around.now(),
                note="came by itself while the lab was open",
            )
            around.accounts.put(account)
            if around.keep_account is not None:
                around.keep_account(account)
            around.log("unknown station accepted by the lab", key, peer=handshake.peer)
            return account
        if handshake.password is not None:
            self._verify("", handshake.password)  # an unknown identity takes as long as a wrong password
        return UNKNOWN


class NoCommonVersion:
    """Part 4, 3.1.3: complete the handshake, then close at once."""

    def opened(self, link: Link) -> None:
        link.close(1002, "no common subprotocol")

    def frame(self, data: bytes) -> None:
        """Nothing is understood."""

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody to tell."""
