"""Day-ahead prices from a file: CSV or JSON, read again when it changes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler, Timer, from_rfc3339
from pilotwire.domain.steering import External, Price

from ..config import SiteConfig
from ..decide import Mark
from ..typed import Finding
from .entries import PricesEntry

LOOK_MS = 5_000
MOST_BYTES = 2_000_000
MOST_ROWS = 20_000
MOST = Decimal(100)
"""Per kWh. Exchanges end at 4 or 5; what is far above that was told per another unit."""
LONGEST_MS = 86_400_000
_KEYS = ("from", "until", "import", "export")


def read_prices(path: Path, entry: PricesEntry) -> tuple[Price, ...]:
    """In order of time. Raises ConfigError that says what is wrong and in which row."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes: that are no day-ahead prices")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from error
    return parse_prices(text, entry, path.name)


def parse_prices(text: str, entry: PricesEntry, name: str = "the file") -> tuple[Price, ...]:
    """`text` is JSON where it begins with a bracket, else CSV with commas or semicolons. Raises ConfigError."""
    rows = _json(text, name) if text.lstrip()[:1] in ("[", "{") else _csv(text, name)
    if len(rows) > MOST_ROWS:
        raise ConfigError(f"{name} has {len(rows):,} rows; {MOST_ROWS:,} at most")
    found: list[tuple[int, int | None, int, int]] = []
    for number, row in enumerate(rows, 1):
        where = f"{name}, row {number}"
        begin = _time(row.get("from"), where, "from")
        until = None if row.get("until") in (None, "") else _time(row.get("until"), where, "until")
        found.append((begin, until, *_figures(row, entry, where)))
    found.sort(key=lambda row: row[0])
    return tuple(_joined(found, name))


def _joined(rows: Sequence[tuple[int, int | None, int, int]], name: str) -> Iterable[Price]:
    last_ms = 0
    for at, (begin, until, imported, exported) in enumerate(rows):
        following = rows[at + 1][0] if at + 1 < len(rows) else None
        if until is None:
            # The last row lasts as long as the one before it; a single one an hour.
            usual = begin - rows[at - 1][0] if at else 3_600_000
            until = following if following is not None else begin + usual
        if until <= begin:
            raise ConfigError(f"{name}: a price ends at or before it begins, or two begin at the same time")
        if until - begin > LONGEST_MS:
            raise ConfigError(f"{name}: a price lasts longer than a day; are rows missing?")
        if begin < last_ms:
            raise ConfigError(f"{name}: two prices hold at the same time")
        last_ms = until
        yield Price(begin, until, imported, exported)


def _figures(row: Mapping[str, Any], entry: PricesEntry, where: str) -> tuple[int, int]:
    per = 1_000 if entry.per == "mwh" else 1
    bought = (_number(row.get("import"), where, "import") / per + entry.add_price) * entry.factor_percent / 100
    given = row.get("export")
    sold = entry.export_price if given in (None, "") else _number(given, where, "export") / per
    for price in (bought, sold):
        if abs(price) > MOST:
            raise ConfigError(f"{where}: {price:f} per kWh; is `per: {entry.per}` right?")
    return int(bought * 1_000_000), int(sold * 1_000_000)


def _number(value: Any, where: str, key: str) -> Decimal:
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite() or found.adjusted() > 12:
        raise ConfigError(f"{where}: {key} is {value!r}, no number (with a point, not a comma)")
    return found


def _time(value: Any, where: str, key: str) -> int:
    try:
        return int(from_rfc3339(str(value).strip()))
    except ValueError as error:
        text = f"{where}: {key} is {value!r}, no time with an offset; e.g. 2026-01-31T06:00:00+01:00"
        raise ConfigError(text) from error


def _csv(text: str, name: str) -> list[dict[str, Any]]:
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        fields = [str(field).strip().lower() for field in reader.fieldnames or ()]
        if "from" not in fields or "import" not in fields:
            raise ConfigError(
                f"{name} has no head with `from` and `import` (and `until`, `export`): it has {head[:80]!r}"
            )
        reader.fieldnames = fields
        return [{key: row.get(key) for key in _KEYS} for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{name} is no CSV: {error}") from error


def _json(text: str, name: str) -> list[dict[str, Any]]:
    try:
        data: Any = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no JSON: {error}") from error
    rows: Any = data.get("prices") if isinstance(data, dict) else data  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):  # pyright: ignore[reportUnknownVariableType]
        raise ConfigError(f"{name} has to be a list of objects with from, until, import, export")
    return rows  # pyright: ignore[reportUnknownVariableType]


def findings(config: SiteConfig, folder: Path) -> list[Finding]:
    """What is wrong with the file of a configuration's prices. One that is not there yet may come."""
    entry = config.prices
    if entry is None:
        return []
    path = folder / entry.file
    try:
        prices = read_prices(path, entry)
    except ConfigError as error:
        return [Finding("prices.file", str(error), "warning" if not path.exists() else "error")]
    return [] if prices else [Finding("prices.file", f"{path} holds no price", "warning")]


class Hears(msgspec.Struct):
    """What the file has told."""

    reads: int = 0
    failures: int = 0


class PricesFile:
    """Looks at the file each few seconds and puts its prices into the loop. What cannot be read leaves those that
    were: they end by themselves, each with its time."""

    def __init__(self, path: Path, entry: PricesEntry, scheduler: Scheduler, utc: Callable[[], int],
                 report: Callable[[str], None]) -> None:  # fmt: skip
        self.counts = Hears()
        self.failure = ""
        self._path, self._entry = path, entry
        self._scheduler, self._utc, self._report = scheduler, utc, report
        self._stamp: tuple[int, int, int] | None = None
        self._timer: Timer | None = None

    def start(self, loop: Any) -> None:
        """`loop`: `site.loop.Loop`."""

        def wake() -> None:
            self._timer = self._scheduler.call_later(LOOK_MS, wake)
            self.look(loop)

        wake()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def look(self, loop: Any) -> None:
        """Takes over what is new, and says so where there are no prices for now."""
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = (0, 0, 0)
        utc = self._utc()
        if stamp != self._stamp:
            self._stamp = stamp
            self.counts.reads += 1
            try:
                prices = read_prices(self._path, self._entry)
            except ConfigError as error:
                self.counts.failures += 1
                self.failure = str(error)
                self._report(f"prices: {error}; those that were read before are kept")
            else:
                self.failure = ""
                external: External = loop.external
                # A day back: what is not known yet of tomorrow is taken to be as today.
                young = tuple(price for price in prices if price.until_ms > utc - 86_400_000)
                loop.external = msgspec.structs.replace(external, prices=young)
                loop.nudge()
        self._say(loop, utc)

    def _say(self, loop: Any, utc: int) -> None:
        prices = loop.external.prices
        if any(price.from_ms <= utc < price.until_ms for price in prices) and not self.failure:
            loop.notices.pop("prices", None)
        else:
            words = self.failure or f"{self._path.name} has no price for now"
            loop.notices["prices"] = Mark("prices", "no_prices", words)
