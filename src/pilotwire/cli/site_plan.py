"""`pilotwire site plan`: a plan of a running site, made again from all that it rested on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import from_rfc3339


def show(file: Path, data: Path, at: str | None, *, as_json: bool) -> int:
    """Prints it. 1: it did not come out as it was made. Raises ConfigError where there is none."""
    from pilotwire.domain.tariffs.clock import zone
    from pilotwire.site.config import load
    from pilotwire.site.planning.child import answer
    from pilotwire.site.planning.kept import last_plan
    from pilotwire.site.planning.outlook import data_of, table_of
    from pilotwire.site.planning.part import FILE
    from pilotwire.site.planning.record import answer_of, record_of

    config = load(file)
    path = data / config.site.id / FILE
    before = None
    if at is not None:
        try:
            before = int(from_rfc3339(at))
        except ValueError as error:
            raise ConfigError(f"--at {at}: {error}; e.g. 2026-01-31T12:00:00+01:00") from error
    try:
        found = last_plan(path, before)
    except sqlite3.Error as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if found is None:
        missing = "no plan is kept of that time" if path.exists() else "no plan has been made yet"
        how = "enter `planning:` into the file and let `pilotwire site run` go on for a minute"
        raise ConfigError(f"{missing} ({path}); {how}, or say --data")
    try:
        record, kept = record_of(found[0]), answer_of(found[1])
    except ValueError as error:
        raise ConfigError(f"{path} holds a plan of another version: {error}") from error
    made = answer(found[0])
    if made.plan is None:
        raise ConfigError(f"the plan cannot be made again: {made.error}")
    same = made.plan == kept.plan
    if as_json:
        print(json.dumps({**data_of(record, made.plan), "same": same}, indent=2))
    else:
        print("\n".join(table_of(record, made.plan, zone(config.site.time_zone))))
        if not same:
            print("\nmind: made again it is another plan than the one that was followed")
    return 0 if same else 1
