"""`pilotwire site interventions` and `pilotwire site audit`: what a site has written down, also while it runs."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

from pilotwire.cli.table import show
from pilotwire.core.errors import ConfigError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The two commands."""
    each = commands.add_parser("interventions", help="what a grid operator has ordered, and what became of it")
    each.add_argument("folder", type=Path, help="the site's folder: --data and the site's id")
    each.add_argument("--csv", action="store_true", help="as CSV, times in UTC and powers in W")
    _span(each)
    each = commands.add_parser("audit", help="who has told the site what, and whether it was refused")
    each.add_argument("folder", type=Path, help="the site's folder: --data and the site's id")
    each.add_argument("--refused", action="store_true", help="only what was refused")
    each.add_argument("--json", action="store_true", help="a line of JSON for each")
    _span(each)


def _span(each: argparse.ArgumentParser) -> None:
    each.add_argument("--from", dest="begin", metavar="TIME", help="not before, e.g. 2026-01-31T12:00:00+01:00")
    each.add_argument("--until", dest="end", metavar="TIME", help="before then")


def _time(name: str, text: str | None) -> int | None:
    from pilotwire.core.time import from_rfc3339

    if text is None:
        return None
    try:
        return int(from_rfc3339(text))
    except ValueError as error:
        raise ConfigError(f"{name} {text}: {error}; e.g. 2026-01-31T12:00:00+01:00") from error


def interventions(chosen: argparse.Namespace) -> int:
    """`pilotwire site interventions FOLDER`."""
    from pilotwire.core.time import to_rfc3339
    from pilotwire.site.telecontrol.log import InterventionLog
    from pilotwire.site.telecontrol.part import LOG_NAME

    path: Path = chosen.folder / LOG_NAME
    if not path.is_file():
        raise ConfigError(f"there is no {path}: a site with `telecontrol:` writes it, in its folder below --data")
    begin, end = _time("--from", chosen.begin), _time("--until", chosen.end)
    try:
        log = InterventionLog.reading(path)
        try:
            if chosen.csv:
                sys.stdout.write(log.export(begin, end).replace("\r\n", "\n"))
                return 0
            records = log.records(begin, end)
        finally:
            log.close()
    except sqlite3.Error as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    rows = [
        {
            "number": each.number,
            "from": to_rfc3339(each.from_ms)[:19],
            "until": "goes on"
            if each.until_ms is None
            else to_rfc3339(each.until_ms)[:19] + ("?" if each.uncertain else ""),
            "by": each.source,
            "order": each.kind.replace("_", " "),
            "node": each.node,
            "limit": _kw(each.limit_mw),
            "before": _kw(each.before_mw),
            "after": _kw(each.after_mw),
            "highest": _kw(each.highest_mw),
        }
        for each in records
    ]
    titles = {
        "number": "", "from": "from (UTC)", "until": "until", "by": "by", "order": "order", "node": "node",
        "limit": "limit kW", "before": "before", "after": "after", "highest": "highest",
    }  # fmt: skip
    show(rows, titles, as_json=False, empty="no intervention")
    if any(each.uncertain for each in records):
        print("? it was over when the site was started again: nobody saw it end")
    return 0


def _kw(mw: int | None) -> str:
    return "" if mw is None else f"{mw / 1_000_000:.1f}"


def audit(chosen: argparse.Namespace) -> int:
    """`pilotwire site audit FOLDER`."""
    import msgspec

    from pilotwire.core.time import from_rfc3339
    from pilotwire.site.audit import entries

    begin, end = _time("--from", chosen.begin), _time("--until", chosen.end)
    folder: Path = chosen.folder
    encode = msgspec.json.Encoder().encode
    damaged = shown = 0
    try:
        for entry in entries(folder):
            if isinstance(entry, str):
                damaged += 1
                print(f"damaged: {entry}", file=sys.stderr)
                continue
            if chosen.refused and not entry.refused:
                continue
            at = int(from_rfc3339(entry.at))
            if (begin is not None and at < begin) or (end is not None and at >= end):
                continue
            shown += 1
            if chosen.json:
                print(encode(entry).decode())
                continue
            again = f"  ({entry.times} times until {entry.until[11:19]})" if entry.until else ""
            outcome = f"  refused: {entry.refused}" if entry.refused else ""
            print(f"{entry.at[:10]} {entry.at[11:19]}  {entry.by}  {entry.what}{again}{outcome}")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {error.args[0]}: `pilotwire site run` writes it below --data") from error
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error}") from error
    if not shown and not chosen.json:
        print("nothing that fits" if begin or end or chosen.refused else "nobody has told the site anything")
    return 1 if damaged else 0
