"""Tokens, their groups, and the people who carry them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, Note, PageOf, Short, Time, TokenCredit, TokenSites

TokenStatus = Literal["Accepted", "Blocked", "Expired", "Invalid"]
TokenType = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=20,
        pattern=PRINTABLE,
        description="IdTokenEnumType of OCPP 2.x: ISO14443, ISO15693, eMAID, Central, KeyCode, Local, MacAddress …",
        examples=["ISO14443"],
    ),
]
_PERSONAL = {"x-personal-data": True}


class TokenChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a token; what is left out stays, null takes a value away."""

    type: TokenType | UnsetType = msgspec.UNSET
    status: TokenStatus | UnsetType = msgspec.UNSET
    parent: Annotated[Short, Meta(description="Group: parentIdTag, groupIdToken")] | UnsetType = msgspec.UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = msgspec.UNSET
    credit: TokenCredit | UnsetType | None = msgspec.UNSET
    sites: TokenSites | UnsetType = msgspec.UNSET
    note: Note | UnsetType = msgspec.UNSET


class ImportFault(msgspec.Struct, kw_only=True):
    """What is wrong with a row."""

    line: Annotated[int, Meta(description="Line of the file, from 1 (the heading is line 1)")]
    column: Annotated[str, Meta(description="The file's own heading of the column; empty: the whole row")]
    value: str
    message: str


class ImportChange(msgspec.Struct, kw_only=True):
    """What a row would do, or did."""

    line: int
    token: str
    outcome: Literal["created", "changed"]
    fields: Annotated[
        dict[str, tuple[Any, Any]], Meta(description="Field → (present value, new value), of those that differ")
    ]


class TokenImport(msgspec.Struct, kw_only=True):
    """What an import found, and whether it was carried out."""

    dry_run: bool
    applied: Annotated[bool, Meta(description="The good rows were written")]
    rows: Annotated[int, Meta(description="Rows of the file without heading and empty lines")]
    created: int
    changed: int
    unchanged: int
    failed: int
    errors: Annotated[list[ImportFault], Meta(description="By line; the first 1,000")]
    warnings: Annotated[list[ImportFault], Meta(description="Taken as they are, but worth a look; the first 1,000")]
    changes: Annotated[list[ImportChange], Meta(description="What becomes of the rows; the first 200")]
    columns: Annotated[dict[str, str], Meta(description="Heading → what it was taken for")]
    ignored: Annotated[list[str], Meta(description="Headings that mean nothing here")]
    encoding: Annotated[str, Meta(examples=["utf-8"])]
    delimiter: Annotated[str, Meta(examples=[";"])]


class Group(msgspec.Struct, kw_only=True):
    """Tokens that may stop one another's sessions: parentIdTag in OCPP 1.6, groupIdToken in 2.x."""

    id: Annotated[str, Meta(examples=["FLEET-7"])]
    name: str
    note: str
    tokens: Annotated[int, Meta(description="How many tokens are in it")]
    created_at: Annotated[Time | None, Meta(description="Null: known only because tokens name it")]
    updated_at: Time | None


class NewGroup(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A group to add. OCPP 1.6 carries 20 characters of its id, 2.0.1 36."""

    id: Annotated[str, Meta(min_length=1, max_length=36, pattern=PRINTABLE, examples=["FLEET-7"])]
    name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    note: Note = ""


class GroupChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a group."""

    name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] | UnsetType = msgspec.UNSET
    note: Note | UnsetType = msgspec.UNSET


class Consent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a driver has agreed to."""

    purpose: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["invoices by e-mail"])]
    given_at: Annotated[datetime, Meta(tz=True)]
    withdrawn_at: Annotated[datetime, Meta(tz=True)] | None = None


PersonName = Annotated[
    str,
    Meta(min_length=1, max_length=100, pattern=PRINTABLE, extra_json_schema=_PERSONAL, examples=["Kim Example"]),
]
Email = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^([^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+)?$",
        extra_json_schema=_PERSONAL,
        examples=["kim@example.com"],
    ),
]
Phone = Annotated[
    str,
    Meta(max_length=40, pattern=r"^[0-9+()/ .\-]*$", extra_json_schema=_PERSONAL, examples=["+49 30 123456"]),
]
Language = Annotated[
    str,
    Meta(
        max_length=35,
        pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*)?$",
        description="BCP 47; what a 2.x station shows messages in",
        examples=["de"],
    ),
]
PersonalNote = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$", extra_json_schema=_PERSONAL)]
DriverTokens = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]],
    Meta(max_length=100, description="Tokens that the person carries; a token has one driver at most"),
]
Consents = Annotated[list[Consent], Meta(max_length=50)]


class Driver(msgspec.Struct, kw_only=True):
    """Somebody who charges. Name, e-mail, phone and note are personal data (`x-personal-data`)."""

    id: str
    name: PersonName
    email: Email
    phone: Phone
    language: str
    note: PersonalNote
    tokens: list[str]
    consents: list[Consent]
    created_at: Time
    updated_at: Time


class NewDriver(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to add."""

    name: PersonName
    email: Email = ""
    phone: Phone = ""
    language: Language = ""
    note: PersonalNote = ""
    tokens: DriverTokens = []
    consents: Consents = []


class DriverChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a driver; what is left out stays."""

    name: PersonName | UnsetType = msgspec.UNSET
    email: Email | UnsetType = msgspec.UNSET
    phone: Phone | UnsetType = msgspec.UNSET
    language: Language | UnsetType = msgspec.UNSET
    note: PersonalNote | UnsetType = msgspec.UNSET
    tokens: DriverTokens | UnsetType = msgspec.UNSET
    consents: Consents | UnsetType = msgspec.UNSET


class ErasureOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Forget a person."""

    reason: Annotated[str, Meta(min_length=3, max_length=500, pattern=PRINTABLE, examples=["asked for by the person"])]
    delete_tokens: Annotated[bool, Meta(description="Also delete their tokens, so that they may charge no longer")] = (
        True
    )


class Erasure(msgspec.Struct, kw_only=True):
    """What was forgotten, and what stays."""

    driver_id: str
    tokens_deleted: int
    tokens_kept: int
    sessions_kept: Annotated[int, Meta(description="Sessions with their tokens; kept without any name, as records")]


class DriverExport(msgspec.Struct, kw_only=True):
    """Everything that is kept of a person (GDPR article 15 and 20)."""

    exported_at: Time
    driver: Driver
    tokens: list[dict[str, Any]]
    sessions: list[dict[str, Any]]


class GroupPage(PageOf[Group], kw_only=True):
    """Groups by id."""


class DriverPage(PageOf[Driver], kw_only=True):
    """Drivers by name."""
