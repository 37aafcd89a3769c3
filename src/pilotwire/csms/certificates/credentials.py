"""Our own record of how a station is let in, in step with what we tell the station (A01, A05).

A password is sent in a command, and the connection may break between the station's taking it and its telling us so.
Therefore the new one counts beside the old before the command goes out, durably; which of them lives on is decided by
the station's answer, or, where none came, by what it next logs in with:

    Accepted              the new one alone (A01: the old credential is dead)
    refused, not sent     the old one alone
    no answer             both, until the station logs in with the new one

A higher security profile likewise: the station changes when it restarts, so both are taken until it comes by the new
one. From then on the old one is refused, and nothing here ever goes down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import AnyFact, CredentialChanged
from pilotwire.domain.records import StationAccount

from .ports import Keeper

if TYPE_CHECKING:
    from ..actor import StationActor
    from ..around import Around

PASSWORD_KEYS = ("AuthorizationKey", "BasicAuthPassword")
_TAKEN = ("Accepted", "RebootRequired")


class Change:
    """What a command changes about how the station is let in."""

    __slots__ = ("index", "password", "profile")

    def __init__(self, password: bytes | None = None, profile: int = 0, index: int = -1) -> None:
        self.password = password
        self.profile = profile
        self.index = index
        """Which of SetVariables' items it is."""

    def __bool__(self) -> bool:
        return self.password is not None or bool(self.profile)


def change_of(action: str, request: Any) -> Change:
    """What a request of ours changes. Raises ValueError for a value that no station can take."""
    if action == "ChangeConfiguration":
        if request.key.lower() == "authorizationkey":
            return Change(_key_16(request.value))
        if request.key.lower() == "securityprofile":
            return Change(profile=_profile(request.value))
    elif action == "SetVariables":
        for index, one in enumerate(request.set_variable_data):
            if one.component.name.lower() != "securityctrlr" or (one.attribute_type or "Actual") != "Actual":
                continue
            if one.variable.name.lower() == "basicauthpassword":
                return Change(_password_2(one.attribute_value), index=index)
            if one.variable.name.lower() == "securityprofile":
                return Change(profile=_profile(one.attribute_value), index=index)
    elif action == "SetNetworkProfile":
        data = request.connection_data
        password = getattr(data, "basic_auth_password", None)
        return Change(_password_2(password) if password is not None else None, _profile(str(data.security_profile)))
    return Change()


def _key_16(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("an AuthorizationKey is an even number of hexadecimal digits") from None


def _password_2(value: str) -> bytes:
    if not 16 <= len(value) <= 64:
        raise ValueError("a BasicAuthPassword has 16 to 64 characters")
    return value.encode()


def _profile(value: str) -> int:
    if value.strip() not in ("0", "1", "2", "3"):
        raise ValueError("a security profile is 1, 2 or 3")
    return int(value)


class Credentials:
    """Changes accounts, for the commands of every station."""

    def __init__(self, around: Around, keeper: Keeper, hash_password: Callable[[bytes], str] | None) -> None:
        self._around = around
        self._keeper = keeper
        self._hash = hash_password

    # -- commands -----------------------------------------------------------------------------------------------------
    def objection(self, key: StationKey, action: str, request: Any) -> str:
        """Why a command would lock the station out, or weaken how it is let in; "" where it does not."""
        account = self._around.accounts.get(key)
        try:
            change = change_of(action, request)
        except ValueError as error:
            return str(error)
        if account is None or not change.profile:
            return ""
        if change.profile < account.security_profile:
            return (
                f"the station has security profile {account.security_profile}; going down to {change.profile} is not "
                "allowed (A05)"
            )
        if change.profile == 3 and account.security_profile < 3 and not account.organization:
            return "security profile 3 needs the organization (O) of the station's certificate in its account first"
        if change.profile == 2 and not account.password and change.password is None:
            return "security profile 2 needs a password: set one first"
        return ""

    def offer(self, key: StationKey, action: str, request: Any, go: Callable[[bool], None]) -> None:
        """Called before the command is sent; `go(True)` when it may be, at once where it changes nothing of ours."""
        change, account = change_of(action, request), self._around.accounts.get(key)
        if not change or account is None:
            go(True)
            return
        if change.password is not None and self._hash is not None:
            account = replace(account, next_password=self._hash(change.password))
        if change.profile > account.security_profile:
            account = replace(account, next_profile=change.profile)
        self._put(account, go)

    def settled(self, actor: StationActor, action: str, request: Any, outcome: str, answer: Mapping[str, Any]) -> None:
        """The command has come to its end."""
        change, account = change_of(action, request), self._around.accounts.get(actor.key)
        if not change or account is None or outcome == "timed-out":
            return
        taken = outcome == "answered" and _status(answer, change.index) in _TAKEN
        if not taken:
            self._put(replace(account, next_password="", next_profile=0 if change.profile else account.next_profile))
            return
        if change.password is not None and account.next_password and action != "SetNetworkProfile":
            # A network profile counts from when the station is told to use it: its password waits for that.
            self._put(replace(account, password=account.next_password, next_password=""))
            self._tell(actor.key, "password")

    # -- logins -------------------------------------------------------------------------------------------------------
    def came_with(self, key: StationKey, what: Literal["password", "security-profile"]) -> None:
        """The station has logged in with what it was told to: the old one is dead."""
        account = self._around.accounts.get(key)
        if account is None:
            return
        if what == "password" and account.next_password:
            self._put(replace(account, password=account.next_password, next_password=""))
            self._tell(key, "password")
        elif what == "security-profile" and account.next_profile > account.security_profile:
            self._put(replace(account, security_profile=account.next_profile, next_profile=0))
            self._tell(key, "security-profile", str(account.next_profile))

    # -- inner --------------------------------------------------------------------------------------------------------
    def _put(self, account: StationAccount, done: Callable[[bool], None] | None = None) -> None:
        self._around.accounts.put(account)
        self._keeper.account(account, done or (lambda durable: None))

    def _tell(self, key: StationKey, what: str, value: str = "") -> None:
        fact: AnyFact = CredentialChanged(event_time=self._around.now(), what=what, value=value)
        actor = self._around.actor(key)
        actor.when_ready(lambda: actor.record((fact,), None))


def _status(answer: Mapping[str, Any], index: int) -> str:
    if index < 0:
        return str(answer.get("status", ""))
    rows = answer.get("setVariableResult")
    if isinstance(rows, list) and index < len(rows):  # type: ignore[reportUnknownArgumentType]
        return str(rows[index].get("attributeStatus", ""))  # type: ignore[reportUnknownMemberType]
    return ""
