"""Tokens from a CSV file: what a file would do is told row by row before anything is done.

Forgiving in what does not matter (byte order marks, UTF-8, UTF-16 and Windows-1252, commas, semicolons, tabs and bars,
headings in English or German and in any case), strict in what does: a row that cannot be taken as it is says why.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from pilotwire.core.time import from_datetime, to_rfc3339
from pilotwire.domain.records import Token

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..language import _
from ..problems import problem
from .tokens import changed

MAX_ROWS = 50_000
MAX_BYTES = 16 << 20
_SHOWN_FAULTS = 1_000
_SHOWN_CHANGES = 200
OnError = Literal["nothing", "good-rows"]

_HEADINGS: dict[str, tuple[str, ...]] = {
    "token": ("token", "idtag", "idtoken", "id", "uid", "rfid", "rfidtag", "tag", "card", "cardnumber", "karte",
              "kartennummer", "rfidnummer", "rfidkarte"),
    "type": ("type", "tokentype", "idtokentype", "typ", "tokentyp"),
    "status": ("status", "state", "zustand"),
    "parent": ("parent", "group", "groupid", "parentidtag", "groupidtoken", "gruppe", "parentid"),
    "expires_at": ("expiresat", "expires", "expiry", "expirydate", "expirationdate", "validuntil", "validto",
                   "gueltigbis", "gultigbis", "ablauf", "ablaufdatum"),
    "note": ("note", "notes", "comment", "description", "bemerkung", "notiz", "kommentar", "beschreibung"),
}  # fmt: skip
_MEANING = {heading: field for field, headings in _HEADINGS.items() for heading in headings}
_OURS = frozenset({"createdat"})
"""Headings of our own export that an import does not set."""
_STATUSES = {
    "accepted": "Accepted", "active": "Accepted", "aktiv": "Accepted", "valid": "Accepted",
    "blocked": "Blocked", "gesperrt": "Blocked", "inactive": "Blocked", "inaktiv": "Blocked",
    "expired": "Expired", "abgelaufen": "Expired", "invalid": "Invalid", "ungueltig": "Invalid", "ungültig": "Invalid",
}  # fmt: skip
_TYPES = {
    one.casefold(): one
    for one in ("Central", "DirectPayment", "eMAID", "EVCCID", "ISO14443", "ISO15693", "KeyCode", "Local",
                "MacAddress", "NEMA", "NoAuthorization", "VIN")
}  # fmt: skip
_SHORTENED = re.compile(r"\d[.,]\d+[eE]\+\d+")
_GERMAN_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


class _Row(NamedTuple):
    line: int
    cells: list[str]


class _Sheet(NamedTuple):
    headings: list[str]
    rows: list[_Row]
    meaning: dict[int, str]
    encoding: str
    delimiter: str


class _Bad(Exception):
    def __init__(self, message: str) -> None:
        self.message = message


async def import_tokens(
    context: ApiContext,
    principal: Principal,
    data: bytes,
    *,
    dry_run: bool = True,
    on_error: OnError = "nothing",
) -> types.TokenImport:
    """Read a CSV file and, unless it is a `dry_run`, write what it says.

    `on_error="nothing"`: one bad row and nothing is written; `"good-rows"`: the others are. What is written is written
    at once, in one transaction. Tokens that are known (in any case) keep what the file has no column for. Raises
    Problem 422 `bad-file` for what is no table of tokens at all.
    """
    principal.need("tokens:write")
    known = {one.token.casefold(): one for one in await context.store.tokens(principal.tenant)}
    now = context.scheduler.now()
    told, fresh = await asyncio.to_thread(_judge, data, principal.tenant, known, now, context.config.zone)
    told.dry_run = dry_run
    if dry_run or (told.failed and on_error == "nothing"):
        return told
    if fresh:
        await context.store.put_tokens(fresh)
        await changed(context, principal.tenant)
    told.applied = True
    detail: dict[str, object] = {"created": told.created, "changed": told.changed, "failed": told.failed}
    await audit.record(context, principal, "tokens.import", "tokens", detail=detail)
    return told


def _judge(
    data: bytes, tenant: str, known: dict[str, Token], now: int, zone: tzinfo
) -> tuple[types.TokenImport, list[Token]]:
    """What the file says, and the tokens to write. Runs in a thread."""
    sheet = _read(data)
    told = types.TokenImport(
        dry_run=True,
        applied=False,
        rows=len(sheet.rows),
        created=0,
        changed=0,
        unchanged=0,
        failed=0,
        errors=[],
        warnings=[],
        changes=[],
        columns={sheet.headings[index]: field for index, field in sheet.meaning.items()},
        ignored=[
            heading
            for index, heading in enumerate(sheet.headings)
            if index not in sheet.meaning and heading and _plain(heading) not in _OURS
        ],
        encoding=sheet.encoding,
        delimiter=sheet.delimiter,
    )
    seen: dict[str, int] = {}
    fresh: list[Token] = []
    for row in sheet.rows:
        faults: list[types.ImportFault] = []
        values = _values(sheet, row, zone, faults)
        name = str(values.get("token", ""))
        if name and (first := seen.setdefault(name.casefold(), row.line)) != row.line:
            faults.append(_fault(sheet, row, "token", f"stands in line {first} already"))
        if faults:
            told.failed += 1
            told.errors += faults[: max(0, _SHOWN_FAULTS - len(told.errors))]
            continue
        if len(told.warnings) < _SHOWN_FAULTS:
            told.warnings += _warnings(sheet, row, values, now)
        before = known.get(name.casefold())
        token = _token(tenant, values, before, now)
        fields = _differences(before, token)
        if before is not None and not fields:
            told.unchanged += 1
            continue
        fresh.append(token)
        outcome: Literal["created", "changed"] = "changed" if before is not None else "created"
        told.created += before is None
        told.changed += before is not None
        if len(told.changes) < _SHOWN_CHANGES:
            told.changes.append(types.ImportChange(line=row.line, token=token.token, outcome=outcome, fields=fields))
    return told, fresh


def _token(tenant: str, values: dict[str, Any], before: Token | None, now: int) -> Token:
    base = before or Token(tenant=tenant, token=values["token"], created_at=now)
    return replace(
        base,
        type=values.get("type", base.type),
        status=values.get("status", base.status),
        parent=values.get("parent", base.parent),
        expires_at=values.get("expires_at", base.expires_at),
        note=values.get("note", base.note),
    )


def _differences(before: Token | None, after: Token) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for field in ("type", "status", "parent", "expires_at", "note"):
        old, new = getattr(before, field) if before is not None else None, getattr(after, field)
        if old != new and not (before is None and new in ("", None)):
            if field == "expires_at":
                old, new = (to_rfc3339(one) if one is not None else None for one in (old, new))
            found[field] = (old, new)
    return found


# -- the file ---------------------------------------------------------------------------------------------------------
def _read(data: bytes) -> _Sheet:
    """The table. Raises Problem 422 where there is none."""
    text, encoding = _decoded(data)
    if not text.strip():
        raise problem("bad-file", _("The file is empty."))
    if "\0" in text:
        raise problem("bad-file", _("The file holds NUL bytes: it is no text."))
    delimiter, text, skipped = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_Row(line + skipped, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
            if len(rows) > MAX_ROWS + 1:
                raise problem("bad-file", _("The file has more than {n} rows: import it in parts.", n=f"{MAX_ROWS:,}"))
    except csv.Error as error:
        told = f"Near line {reader.line_num + skipped} it cannot be read as CSV: {error} (is a quote not closed?)."
        raise problem("bad-file", told) from None
    headings = [cell.lstrip("\ufeff") for cell in rows[0].cells]
    meaning: dict[int, str] = {}
    for index, heading in enumerate(headings):
        field = _MEANING.get(_plain(heading))
        if field and field not in meaning.values():
            meaning[index] = field
    if "token" in meaning.values():
        return _Sheet(headings, rows[1:], meaning, encoding, delimiter)
    if all(len(row.cells) == 1 for row in rows) and not meaning:
        return _Sheet(["token"], rows, {0: "token"}, encoding, delimiter)  # a bare list of tokens
    raise problem(
        "bad-file",
        _(
            "No column holds the tokens. The first line has: {headings}. Name one of them `token`; the others may be "
            "{others}.",
            headings=", ".join(headings)[:200],
            others=", ".join(field for field in _HEADINGS if field != "token"),
        ),
    )


def _decoded(data: bytes) -> tuple[str, str]:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise problem(
                    "bad-file",
                    _("It begins as {encoding} and is not: byte {start}.", encoding=encoding, start=error.start),
                ) from None
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "windows-1252"


def _delimiter(text: str) -> tuple[str, str, int]:
    """The delimiter, the text from the heading on, and how many lines went before it (Excel's `sep=;`)."""
    lines = text.split("\n", 1)
    first = lines[0].strip().strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], lines[1] if len(lines) > 1 else "", 1
    plain = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    return max(",;\t|", key=plain.count), text, 0


def _plain(heading: str) -> str:
    return re.sub(r"[^a-zäöüß]", "", heading.casefold()).replace("ü", "ue").replace("ä", "ae").replace("ö", "oe")


# -- a row ------------------------------------------------------------------------------------------------------------
def _fault(sheet: _Sheet, row: _Row, field: str, message: str) -> types.ImportFault:
    index = next((index for index, one in sheet.meaning.items() if one == field), None)
    value = row.cells[index] if index is not None and index < len(row.cells) else ""
    heading = sheet.headings[index] if index is not None else ""
    return types.ImportFault(line=row.line, column=heading, value=value[:100], message=message)


def _values(sheet: _Sheet, row: _Row, zone: tzinfo, faults: list[types.ImportFault]) -> dict[str, Any]:
    """Field → value, of the columns that there are; what is wrong goes to `faults`. An empty cell is the default."""
    if len(row.cells) > len(sheet.headings) and any(row.cells[len(sheet.headings) :]):
        message = _("has {n} cells where the heading has {n2}", n=len(row.cells), n2=len(sheet.headings))
        faults.append(types.ImportFault(line=row.line, column="", value="", message=message))
    values: dict[str, Any] = {}
    for index, field in sheet.meaning.items():
        text = row.cells[index] if index < len(row.cells) else ""
        if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@"):
            text = text[1:]
        try:
            value = _READERS[field](text, zone)
        except _Bad as bad:
            faults.append(_fault(sheet, row, field, bad.message))
            continue
        if value is not _NOTHING:
            values[field] = value
    return values


_NOTHING = object()


def _read_token(text: str, zone: tzinfo) -> object:
    if not text:
        raise _Bad("is missing")
    if not text.isprintable():
        raise _Bad("holds characters that cannot be printed")
    if len(text) > 255:
        raise _Bad(f"has {len(text)} characters; 255 are the most")
    if _SHORTENED.fullmatch(text):
        raise _Bad("is a number that a spreadsheet has shortened: format the column as text and save it again")
    if text.casefold() in ("import", "export"):
        raise _Bad("is not a token that can be used here")
    return text


def _read_type(text: str, zone: tzinfo) -> object:
    if not text:
        return _NOTHING
    known = _TYPES.get(text.casefold())
    if known is None:
        raise _Bad(f"is no type of token; known are {', '.join(_TYPES.values())}")
    return known


def _read_status(text: str, zone: tzinfo) -> object:
    if not text:
        return _NOTHING
    known = _STATUSES.get(text.casefold())
    if known is None:
        raise _Bad("is no status; one of Accepted, Blocked, Expired, Invalid")
    return known


def _read_parent(text: str, zone: tzinfo) -> object:
    if len(text) > 36:
        raise _Bad(f"has {len(text)} characters; a group has 36 at most")
    if not text.isprintable():
        raise _Bad("holds characters that cannot be printed")
    return text


def _read_note(text: str, zone: tzinfo) -> object:
    if len(text) > 500:
        raise _Bad(f"has {len(text)} characters; 500 are the most")
    return text


def _read_time(text: str, zone: tzinfo) -> object:
    """A time in ms; a day counts to its end by the server's zone."""
    if not text:
        return None
    try:
        if german := _GERMAN_DATE.fullmatch(text):
            day = date(int(german[3]), int(german[2]), int(german[1]))
        elif len(text) == 10:
            day = date.fromisoformat(text)
        else:
            moment = datetime.fromisoformat(text)
            return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        return from_datetime(datetime.combine(day + timedelta(days=1), time(), zone))
    except (ValueError, OverflowError):
        raise _Bad("is no date: write 2027-12-31 or 2027-12-31T18:00:00+01:00") from None


_READERS = {
    "token": _read_token,
    "type": _read_type,
    "status": _read_status,
    "parent": _read_parent,
    "expires_at": _read_time,
    "note": _read_note,
}


def _warnings(sheet: _Sheet, row: _Row, values: dict[str, Any], now: int) -> list[types.ImportFault]:
    found: list[types.ImportFault] = []
    if len(values["token"]) > 20:
        found.append(_fault(sheet, row, "token", "is longer than the 20 characters that OCPP 1.6 carries"))
    if len(values.get("parent", "")) > 20:
        found.append(_fault(sheet, row, "parent", "is longer than the 20 characters that OCPP 1.6 carries"))
    expires = values.get("expires_at")
    if expires is not None and expires <= now and values.get("status", "Accepted") == "Accepted":
        found.append(_fault(sheet, row, "expires_at", "is past: the token is refused at once"))
    return found
