"""Settings and documents of the store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import ApiKey, StationAccount, Token, User

from .documents import Change, Counter, Document, DocumentPage, DocumentTable
from .memory_records import copied

T = TypeVar("T")


class MemorySettings:
    """Accounts, tokens, users, API keys, settings of the installation, documents."""

    def __init__(self) -> None:
        self.account_changes = 0
        self._document_changes = Counter()
        self._accounts: dict[tuple[str, str], StationAccount] = {}
        self._tokens: dict[tuple[str, str], Token] = {}
        self._users: dict[tuple[str, str], User] = {}
        self._api_keys: dict[tuple[str, str], ApiKey] = {}
        self._settings: dict[str, str] = {}
        self._documents = DocumentTable()

    async def put_account(self, account: StationAccount) -> None:
        """Insert or replace a station's account."""
        self._accounts[account.tenant, account.id] = copied(account)
        self.account_changes += 1

    async def account(self, key: StationKey) -> StationAccount | None:
        """One account."""
        found = self._accounts.get(key)
        return copied(found) if found else None

    async def accounts(self, tenant: str | None = None) -> list[StationAccount]:
        """Accounts by tenant and id."""
        return _all_of(self._accounts, tenant)

    async def delete_account(self, key: StationKey) -> bool:
        """True when there was one."""
        self.account_changes += 1
        return self._accounts.pop(key, None) is not None

    async def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        self._tokens[token.tenant, token.token] = copied(token)

    async def put_tokens(self, tokens: Sequence[Token]) -> None:
        """As the port says."""
        self._tokens.update({(one.tenant, one.token): copied(one) for one in tokens})

    async def token(self, tenant: str, token: str) -> Token | None:
        """One token."""
        found = self._tokens.get((tenant, token))
        return copied(found) if found is not None else None

    async def tokens(self, tenant: str | None = None) -> list[Token]:
        """Tokens by tenant and token."""
        return _all_of(self._tokens, tenant)

    async def delete_token(self, tenant: str, token: str) -> bool:
        """True when there was one."""
        return self._tokens.pop((tenant, token), None) is not None

    async def put_user(self, user: User) -> None:
        """Insert or replace a user."""
        self._users[user.tenant, user.name] = copied(user)

    async def user(self, tenant: str, name: str) -> User | None:
        """One user."""
        found = self._users.get((tenant, name))
        return copied(found) if found else None

    async def users(self, tenant: str) -> list[User]:
        """Users by name."""
        return _all_of(self._users, tenant)

    async def delete_user(self, tenant: str, name: str) -> bool:
        """True when there was one."""
        return self._users.pop((tenant, name), None) is not None

    async def put_api_key(self, key: ApiKey) -> None:
        """Insert or replace an API key."""
        self._api_keys[key.tenant, key.id] = copied(key)

    async def api_keys(self, tenant: str | None = None) -> list[ApiKey]:
        """API keys by tenant and id."""
        return _all_of(self._api_keys, tenant)

    async def delete_api_key(self, tenant: str, key_id: str) -> bool:
        """True when there was one."""
        return self._api_keys.pop((tenant, key_id), None) is not None

    async def setting(self, name: str) -> str | None:
        """One setting of the installation."""
        return self._settings.get(name)

    async def put_setting(self, name: str, value: str) -> None:
        """Insert or replace a setting."""
        self._settings[name] = value

    # -- documents ----------------------------------------------------------------------------------------------------
    async def write_documents(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """As the port says."""
        versions = self._documents.write(tenant, changes)
        self._document_changes.count(tenant, changes)
        return versions

    def document_changes(self, tenant: str, kind: str) -> int:
        """Rises when a document of a kind is written or deleted through this store."""
        return self._document_changes.of(tenant, kind)

    async def document(self, tenant: str, kind: str, id: str) -> Document | None:
        """One document."""
        return self._documents.one(tenant, kind, id)

    async def documents(
        self,
        tenant: str,
        kind: str,
        *,
        low: str = "",
        high: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        newest_first: bool = False,
    ) -> DocumentPage:
        """As the port says."""
        return self._documents.page(tenant, kind, low, high, cursor, limit, newest_first)


def _all_of(table: dict[tuple[str, str], T], tenant: str | None) -> list[T]:
    return [copied(table[key]) for key in sorted(table) if tenant is None or key[0] == tenant]
