"""What a running site is given to remember itself by: its history in a thread, its past in a child process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pilotwire.core.errors import ConfigError

from .compiled import Site
from .config import SiteConfig
from .history import History
from .history_file import DAY_MINUTES, QUARTER, Bounds
from .log import SiteLog
from .past import Record
from .watch import Watched


class Kept:
    """The history and the record of one site, joined with what shows it. `close` after its last tick."""

    def __init__(
        self,
        config: SiteConfig,
        site: Site,
        folder: Path,
        log: SiteLog,
        watched: Watched,
        report: Callable[[str], None],
    ) -> None:
        """Raises ConfigError where no file can be made in `folder`."""
        self._report = report
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        steering = site.steering
        capacities = {} if steering is None else {each.id: each.capacity_wh for each in steering.config.batteries}
        keep = config.history
        bounds = Bounds(
            minutes=min(keep.minute_days, keep.days) * DAY_MINUTES,
            quarters=keep.days * DAY_MINUTES // QUARTER,
            megabytes=keep.megabytes,
        )
        try:
            self.history = History(
                site,
                {device.id: device.kind for device in config.devices},
                capacities,
                folder / "history.db",
                bounds,
                run=lambda work: self._thread.submit(work).add_done_callback(self._done),
                report=report,
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot use {folder / 'history.db'}: {error}; choose another with --data") from error
        watched.join(history=self.history, thread=self._thread, record=Record(folder / "log", flush=log.flush))

    def _done(self, work: Future[None]) -> None:
        """Called in the thread. What `History` does not expect of its file is a fault of ours, and is told as one."""
        if (error := work.exception()) is not None:
            self._report(f"the history of the site failed: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Writes what there is."""
        self._thread.shutdown(wait=True)
        self.history.close()
