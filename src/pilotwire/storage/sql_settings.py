"""Settings and documents of the `Store` port over plans: what people make, committed at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import ApiKey, StationAccount, Token, User

from . import documents, queries
from .codec import encode
from .documents import Change, Document, DocumentPage
from .queries import Plan

T = TypeVar("T")


class SqlSettings(ABC):
    """Accounts, tokens, users, API keys, settings of the installation, documents."""

    def __init__(self) -> None:
        self._document_changes = documents.Counter()
        self.account_changes = 0
        """Rises when an account is written or deleted through this store."""

    @abstractmethod
    async def read(self, plan: Plan[T]) -> T:
        """Run a plan that only reads, on one snapshot where the database can."""

    @abstractmethod
    async def change(self, plan: Plan[T]) -> T:
        """Run a plan in a transaction of its own and commit it. Raises StoreFailed when it cannot be committed."""

    async def put_account(self, account: StationAccount) -> None:
        """Insert or replace a station's account."""
        await self.change(queries.put_body("accounts", account.tenant, account.id, encode(account)))
        self.account_changes += 1

    async def account(self, key: StationKey) -> StationAccount | None:
        """One account."""
        return await self.read(queries.get_body("accounts", key.tenant, key.station, StationAccount))

    async def accounts(self, tenant: str | None = None) -> list[StationAccount]:
        """Accounts by tenant and id."""
        return await self.read(queries.list_bodies("accounts", tenant, StationAccount))

    async def delete_account(self, key: StationKey) -> bool:
        """True when there was one."""
        found = await self.change(queries.delete_body("accounts", key.tenant, key.station))
        self.account_changes += 1
        return found

    async def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        await self.change(queries.put_body("tokens", token.tenant, token.token, encode(token)))

    async def put_tokens(self, tokens: Sequence[Token]) -> None:
        """As the port says."""
        await self.change(queries.put_bodies("tokens", [(one.tenant, one.token, encode(one)) for one in tokens]))

    async def token(self, tenant: str, token: str) -> Token | None:
        """One token."""
        return await self.read(queries.get_body("tokens", tenant, token, Token))

    async def tokens(self, tenant: str | None = None) -> list[Token]:
        """Tokens by tenant and token."""
        return await self.read(queries.list_bodies("tokens", tenant, Token))

    async def delete_token(self, tenant: str, token: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("tokens", tenant, token))

    async def put_user(self, user: User) -> None:
        """Insert or replace a user."""
        await self.change(queries.put_body("users", user.tenant, user.name, encode(user)))

    async def user(self, tenant: str, name: str) -> User | None:
        """One user."""
        return await self.read(queries.get_body("users", tenant, name, User))

    async def users(self, tenant: str) -> list[User]:
        """Users by name."""
        return await self.read(queries.list_bodies("users", tenant, User))

    async def delete_user(self, tenant: str, name: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("users", tenant, name))

    async def put_api_key(self, key: ApiKey) -> None:
        """Insert or replace an API key."""
        await self.change(queries.put_body("api_keys", key.tenant, key.id, encode(key)))

    async def api_keys(self, tenant: str | None = None) -> list[ApiKey]:
        """API keys by tenant and id."""
        return await self.read(queries.list_bodies("api_keys", tenant, ApiKey))

    async def delete_api_key(self, tenant: str, key_id: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("api_keys", tenant, key_id))

    async def setting(self, name: str) -> str | None:
        """One setting of the installation."""
        return await self.read(queries.get_setting(name))

    async def put_setting(self, name: str, value: str) -> None:
        """Insert or replace a setting."""
        await self.change(queries.put_setting(name, value))

    # -- documents ----------------------------------------------------------------------------------------------------
    async def write_documents(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """As the port says."""
        versions = await self.change(documents.write_plan(tenant, changes))
        self._document_changes.count(tenant, changes)
        return versions

    def document_changes(self, tenant: str, kind: str) -> int:
        """Rises when a document of a kind is written or deleted through this store."""
        return self._document_changes.of(tenant, kind)

    async def document(self, tenant: str, kind: str, id: str) -> Document | None:
        """One document."""
        return await self.read(documents.one_plan(tenant, kind, id))

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
        return await self.read(documents.page_plan(tenant, kind, low, high, cursor, limit, newest_first))
