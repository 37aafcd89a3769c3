"""Accounts and tokens in memory: looked up in the middle of a handshake or message.

They are read from the store at the start and again whenever people change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from pilotwire.core.ids import StationKey
from pilotwire.domain.context import Authorizer
from pilotwire.domain.inputs import TokenVerdict
from pilotwire.domain.records import StationAccount, Token

_INVALID = TokenVerdict(status="Invalid")


class Accounts:
    """Who may connect as which station."""

    def __init__(self) -> None:
        self._by_key: dict[StationKey, StationAccount] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def replace(self, accounts: Iterable[StationAccount]) -> None:
        """The whole book anew."""
        self._by_key = {StationKey(account.tenant, account.id): account for account in accounts}

    def put(self, account: StationAccount) -> None:
        """Add or replace one."""
        self._by_key[StationKey(account.tenant, account.id)] = account

    def get(self, key: StationKey) -> StationAccount | None:
        return self._by_key.get(key)

    def tenants(self) -> set[str]:
        """Those that have stations."""
        return {key.tenant for key in self._by_key}


class Tokens:
    """Which IdTokens may charge. Identifiers are compared without regard to case (1.6 4.1, 2.x IdTokenType)."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, dict[str, Token]] = {}

    def replace(self, tokens: Iterable[Token]) -> None:
        """The whole book anew."""
        books: dict[str, dict[str, Token]] = {}
        for token in tokens:
            books.setdefault(token.tenant, {})[token.token.casefold()] = token
        self._by_tenant = books

    def verdict(self, tenant: str, token: str, now: int, site: str = "") -> TokenVerdict:
        """What is answered about a token at `now` (ms), at a station of `site`: Invalid when it is unknown, Expired
        after its time, NotAtThisLocation where it may not charge (C01.FR.22), NoCredit when nothing is left (2.1
        C17.FR.02)."""
        found = self._by_tenant.get(tenant, {}).get(token.casefold())
        if found is None:
            return _INVALID
        status = found.status
        if status == "Accepted":
            if found.expires_at is not None and found.expires_at <= now:
                status = "Expired"
            elif found.sites and site not in found.sites:
                status = "NotAtThisLocation"
            elif found.credit and Decimal(found.credit) <= 0:
                status = "NoCredit"
        return TokenVerdict(status=status, parent=found.parent, expires_at=found.expires_at, credit=found.credit)

    def authorizer(self, tenant: str, site: Callable[[], str] = lambda: "") -> Authorizer:
        """The tenant's book as a decision about a station of `site` wants it. It stays true to the book when that is
        replaced."""

        def authorize(token: str, token_type: str, now: int) -> TokenVerdict:
            return self.verdict(tenant, token, now, site())

        return authorize
