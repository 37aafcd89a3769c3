"""Resets, firmware updates and log uploads: the work of minutes that ends in notifications.

The hardware is simulated and honest about it: a firmware update goes through every status and a restart without
fetching a file; a log is announced and its upload then fails, since there is nowhere that it could be sent from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Timer

from .parts import Part

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session

_FLUSH_MS = 5_000
"""How long a reset waits for the last messages to be answered (B12.FR.05: the rest goes out after the restart)."""
_SCHEMES = ("http://", "https://", "ftp://", "ftps://", "sftp://")


class Update(msgspec.Struct, kw_only=True):
    """A firmware update in progress; survives the restart in its middle."""

    location: str
    retrieve_at: int
    """Station clock, ms."""
    install_at: int | None = None
    request_id: int | None = None
    status: str = "Idle"


class Maintenance(Part):
    """What goes on besides charging."""

    __slots__ = (
        "_log_timer",
        "_on_idle",
        "_reset_timer",
        "_timer",
        "log_id",
        "log_is_diagnostics",
        "log_status",
        "update",
    )

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.update: Update | None = None
        self.log_status = "Idle"
        self.log_id: int | None = None
        self.log_is_diagnostics = False
        self._on_idle = ""
        self._timer: Timer | None = None
        self._log_timer: Timer | None = None
        self._reset_timer: Timer | None = None

    def stop(self) -> None:
        """Power-off."""
        for timer in (self._timer, self._log_timer, self._reset_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._log_timer = self._reset_timer = None
        self._on_idle = ""
        self.log_status = "Idle"

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """After a restart."""
        self.update = msgspec.json.decode(stored["firmware"], type=Update) if "firmware" in stored else None

    def accepted(self, *, booted: bool) -> None:
        """After a restart: an update that restarted the station is installed now."""
        update = self.update
        if update is None or not booted:
            return
        if update.status in ("Installing", "InstallRebooting"):
            self._firmware("Installed")
            self.update = None
            self._station.store({"firmware": None})
        elif self._timer is None:
            self._wait_for(update.retrieve_at, self._download)

    # ── resets ───────────────────────────────────────────────────────────────────────────────────────────────────

    def reset(self, stop_reason: str, boot_reason: str = "RemoteReset") -> None:
        """End the sessions, let their last messages out, restart."""
        self._station.transactions.stop_all(stop_reason, "ResetCommand")
        self._station.finish()
        self._await_flush(boot_reason, int(self._station.scheduler.now()) + _FLUSH_MS)

    def reset_on_idle(self) -> None:
        """Restart as soon as no session runs."""
        self._on_idle = "ScheduledReset"

    def session_ended(self, session: Session) -> None:
        """Something may have waited for this."""
        if self._on_idle and not self._station.transactions.busy and self._reset_timer is None:
            reason, self._on_idle = self._on_idle, ""
            self._await_flush(reason, int(self._station.scheduler.now()) + _FLUSH_MS)
        if self.update is not None and self.update.status == "InstallScheduled" and not self._station.transactions.busy:
            self._later(0, self._install)

    def _await_flush(self, boot_reason: str, deadline: int) -> None:
        station = self._station
        if self._reset_timer is not None:
            self._reset_timer.cancel()

        def look() -> None:
            self._reset_timer = None
            if len(station.outbox) and station.online and int(station.scheduler.now()) < deadline:
                self._await_flush(boot_reason, deadline)
            else:
                station.reboot(boot_reason)

        self._reset_timer = station.scheduler.call_later(500, look)

    # ── firmware ─────────────────────────────────────────────────────────────────────────────────────────────────

    def update_firmware(self, update: Update) -> bool:
        """Take the update on; True when it took the place of another one."""
        replaced = self.update is not None
        self.update = update
        self._save()
        return replaced

    def begin_update(self) -> None:
        """After the answer."""
        update = self.update
        if update is None:
            return
        if update.retrieve_at > self._station.clock.now() and self._station.config.version != "1.6":
            self._firmware("DownloadScheduled")
        self._wait_for(update.retrieve_at, self._download)
        self._station.finish()

    def _download(self) -> None:
        update = self.update
        if update is None:
            return
        if not update.location.lower().startswith(_SCHEMES):
            self._firmware("DownloadFailed")
            self.update = None
            self._station.store({"firmware": None})
            self._station.finish()
            return
        self._firmware("Downloading")
        self._later(self._station.config.firmware_step_ms, self._downloaded)

    def _downloaded(self) -> None:
        update = self.update
        if update is None:
            return
        self._firmware("Downloaded")
        if update.install_at is not None and update.install_at > self._station.clock.now():
            self._firmware("InstallScheduled")
            self._wait_for(update.install_at, self._install)
        else:
            self._later(1_000, self._install)

    def _install(self) -> None:
        update = self.update
        if update is None:
            return
        if self._station.transactions.busy:
            # No car is thrown out for an update; `session_ended` takes it up again.
            if self._station.config.version != "1.6" and update.status != "InstallScheduled":
                self._firmware("InstallScheduled")
            update.status = "InstallScheduled"
            self._save()
            self._station.finish()
            return
        self._firmware("Installing")
        self._later(self._station.config.firmware_step_ms, self._restart)

    def _restart(self) -> None:
        if self._station.config.version != "1.6":
            self._firmware("InstallRebooting")
        self._await_flush("FirmwareUpdate", int(self._station.scheduler.now()) + _FLUSH_MS)

    def _firmware(self, status: str) -> None:
        update = self.update
        if update is not None:
            update.status = status
            self._save()
        self._station.dialect.firmware_status(status, update.request_id if update else None)
        self._station.finish()

    def _save(self) -> None:
        self._station.store({"firmware": msgspec.json.encode(self.update)})

    def _wait_for(self, instant: int, then: object) -> None:
        self._later(max(0, instant - self._station.clock.now()), then)

    def _later(self, delay_ms: int, then: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

        def due() -> None:
            self._timer = None
            then()  # type: ignore[operator]

        self._timer = self._station.scheduler.call_later(delay_ms, due)

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def upload_log(self, request_id: int | None, *, diagnostics: bool) -> bool:
        """Announce a log; True when an earlier upload was called off."""
        replaced = self.log_status == "Uploading"
        if replaced and self._log_timer is not None:
            self._log_timer.cancel()
            self._station.dialect.log_status("AcceptedCanceled", self.log_id, diagnostics=self.log_is_diagnostics)
        self.log_id = request_id
        self.log_is_diagnostics = diagnostics
        self.log_status = "Uploading"
        return replaced

    def begin_upload(self) -> None:
        """After the answer."""
        station = self._station
        station.dialect.log_status("Uploading", self.log_id, diagnostics=self.log_is_diagnostics)
        self._log_timer = station.scheduler.call_later(station.config.firmware_step_ms, self._upload_failed)
        station.finish()

    def _upload_failed(self) -> None:
        self._log_timer = None
        self.log_status = "Idle"
        self._station.dialect.log_status(
            "UploadFailed" if self.log_is_diagnostics else "UploadFailure",
            self.log_id,
            diagnostics=self.log_is_diagnostics,
        )
        self._station.finish()
