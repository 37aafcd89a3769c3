"""Resets, firmware updates and log uploads: the work of minutes that ends in notifications.

The hardware is simulated. With a way to files (`ports.Files`) the image is fetched, its signature is verified (1.6
whitepaper, 2.x L01), and the station comes back with the version that the first line of the image tells:
`pilotwire-station 1.4.3`; an image that tells none changes nothing. Logs are left where they are asked for. Without
such a way an update goes through every status and a restart, and the upload of a log fails.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import msgspec

from pilotwire.core.time import Timer, to_datetime
from pilotwire.crypto import chains, pem
from pilotwire.crypto import firmware as signing

from .keystore import MANUFACTURER_ROOT
from .parts import FIRMWARE_VERSION, Part, firmware_version
from .ports import Files, Trusting
from .transactions import RESUMING

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session

_EVSE_MS = 2_000
"""How long one EVSE takes to start anew."""
_FLUSH_MS = 5_000
"""How long a reset waits for the last messages to be answered (B12.FR.05: the rest goes out after the restart)."""
_VERSION = re.compile(rb"pilotwire-station ([!-~]{1,50})\n")
_LAST = "firmware-told"
Told = tuple[str, int | None]
"""(status, requestId) of the last message about firmware."""
_SCHEMES = ("http://", "https://", "ftp://", "ftps://", "sftp://")


class Update(msgspec.Struct, kw_only=True):
    """A firmware update in progress; survives the restart in its middle."""

    location: str
    retrieve_at: int
    """Station clock, ms."""
    install_at: int | None = None
    request_id: int | None = None
    status: str = "Idle"
    certificate: str = ""
    """PEM of who has signed it; "": it is not signed."""
    signature: str = ""
    retries: int = 0
    interval_ms: int = 60_000
    version: str = ""
    """What the image says of itself, once it is here."""
    waiting: bool = False
    """It could be installed, if no session were running."""


class Maintenance(Part):
    """What goes on besides charging."""

    __slots__ = (
        "_files",
        "_last",
        "_log_kind",
        "_log_place",
        "_log_timer",
        "_on_idle",
        "_reset_timer",
        "_timer",
        "log_id",
        "log_is_diagnostics",
        "log_status",
        "shuts",
        "update",
        "version",
    )

    def __init__(self, station: Station, files: Files | None = None) -> None:
        super().__init__(station)
        self._files = files
        self.version = station.config.firmware
        """What runs now."""
        self.update: Update | None = None
        self._last: Told = ("Idle", None)
        self.shuts = False
        """No EVSE may begin anything: an update waits for the sessions to end, or is being installed (L01.FR.07)."""
        self.log_status = "Idle"
        self.log_id: int | None = None
        self.log_is_diagnostics = False
        self._log_place = self._log_kind = ""
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
        self.shuts = False

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """After a restart."""
        self.update = _read(stored["firmware"]) if "firmware" in stored else None
        self._last = _read_last(stored[_LAST]) if _LAST in stored else ("Idle", None)
        self.version = firmware_version(stored) or self._station.config.firmware

    def accepted(self, *, booted: bool) -> None:
        """After a restart: an update that restarted the station is installed now."""
        update = self.update
        if update is None or not booted:
            return
        if update.status in ("Installing", "InstallRebooting"):
            if self._fault != "old-version":
                self._station.security.event("FirmwareUpdated", update.version)
                self._firmware("Installed")
            self.update = None
            self._station.store({"firmware": None})
        elif self._timer is None:
            update.waiting = False
            self._wait_for(update.retrieve_at, self._download)

    # ── resets ───────────────────────────────────────────────────────────────────────────────────────────────────

    def reset(self, stop_reason: str, boot_reason: str = "RemoteReset") -> None:
        """End the sessions, let their last messages out, restart."""
        self._station.transactions.stop_all(stop_reason, "ResetCommand")
        self._station.finish()
        self._await_flush(boot_reason, int(self._station.scheduler.now()) + _FLUSH_MS)

    def reset_and_resume(self, evse_id: int | None) -> None:
        """Restart, or reset one EVSE, without an end of the sessions (2.1 B13)."""
        station = self._station
        now = int(station.scheduler.now())
        for evse in station.evses if evse_id is None else (station.evses[evse_id - 1],):
            session = evse.session
            if session is not None and session.begun:
                station.dialect.progressed(evse, session, "ResetCommand")
                if evse_id is not None:
                    station.scheduler.call_later(_EVSE_MS, partial(station.transactions.go_on, evse, session))
            station.energy.cancel(evse)
            evse.settle(now)
            evse.open()
        if evse_id is None:
            station.store({RESUMING: b"1"})
            self._await_flush("RemoteReset", now + _FLUSH_MS)
        station.finish()

    def reset_on_idle(self) -> None:
        """Restart as soon as no session runs."""
        self._on_idle = "ScheduledReset"

    def session_ended(self, session: Session) -> None:
        """Something may have waited for this."""
        self._reset_if_idle()
        if self.update is not None and self.update.waiting and not self._station.transactions.busy:
            self._later(0, self._install)

    def setting_changed(self, name: str) -> None:
        """Whether new sessions may begin while an update waits."""
        if name == "sessions_before_update" and self.update is not None and self.update.waiting:
            self._shut(not self._station.settings.flag(name))

    def _reset_if_idle(self) -> None:
        if self._on_idle and not self._station.transactions.busy and self._reset_timer is None:
            reason, self._on_idle = self._on_idle, ""
            self._await_flush(reason, int(self._station.scheduler.now()) + _FLUSH_MS)

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
                if boot_reason == "FirmwareUpdate" and self._fault == "gone":
                    station.stay_off()

        self._reset_timer = station.scheduler.call_later(500, look)

    @property
    def installing(self) -> bool:
        """Firmware is being written: power and program have to stay as they are."""
        return self.update is not None and self.update.status in ("Installing", "InstallRebooting")

    # ── firmware ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _fault(self) -> str:
        return self._station.config.quirks.firmware_fault

    def objection(self, certificate: str) -> Literal["InvalidCertificate", "RevokedCertificate"] | None:
        """What is wrong with a signing certificate (L01.FR.21), as the answer says it: it does not lead to a root of
        the manufacturer's, or is revoked. A security event tells of it."""
        try:
            first, others = signing.signer(certificate)
            revoked = {int(serial, 16) for serial in self._station.config.revoked_signers}
            if any(one.serial_number in revoked for one in (first, *others)):
                raise signing.BadFirmware("RevokedCertificate", "the manufacturer has revoked the certificate")
            roots = [chains.load(pem.one(root)) for root in self._station.certificates.roots(MANUFACTURER_ROOT)]
            signing.check_chain(first, others, roots, to_datetime(self._station.clock.now()))
        except signing.BadFirmware as error:
            self._station.security.event("InvalidFirmwareSigningCertificate", str(error))
            return "RevokedCertificate" if error.code == "RevokedCertificate" else "InvalidCertificate"
        return None

    @property
    def told(self) -> Told:
        """What the CSMS is told when it asks: the last status, Idle after Installed (L01.FR.25, .26)."""
        return ("Idle", None) if self._last[0] == "Installed" else self._last

    @property
    def too_late(self) -> bool:
        """The new firmware is in its place and the restart under way: nothing can be called off any more."""
        return self.update is not None and self.update.status == "InstallRebooting"

    def update_firmware(self, update: Update) -> bool:
        """Take the update on; True when it took the place of another one."""
        replaced = self.update is not None
        self.update = update
        self._save()
        return replaced

    def _shut(self, shut: bool) -> None:
        """Keep everybody out (True), or let them in again."""
        if shut != self.shuts:
            self.shuts = shut
            for evse in self._station.evses:
                self._station.availability.session_over(evse)

    def begin_update(self) -> None:
        """After the answer."""
        update = self.update
        if update is None:
            return
        self._shut(False)
        if update.retrieve_at > self._station.clock.now() and self._wordy:
            self._firmware("DownloadScheduled")
        self._wait_for(update.retrieve_at, self._download)
        self._station.finish()

    def _download(self) -> None:
        update = self.update
        if update is None:
            return
        if not update.location.lower().startswith(_SCHEMES):
            self._end("DownloadFailed")
            return
        self._firmware("Downloading")
        if self._files is None:
            self._later(self._station.config.firmware_step_ms, self._downloaded)
        else:
            self._way(self._files).fetch(update.location, lambda data: self._fetched(update, data))

    def _fetched(self, update: Update, data: bytes | None) -> None:
        if update is not self.update or not self._station.powered:
            return
        if data is None or self._fault == "download":
            if update.retries > 0:
                update.retries -= 1
                self._save()
                self._later(update.interval_ms, self._download)
            else:
                self._end("DownloadFailed")
            self._station.finish()
            return
        found = _VERSION.match(data)
        update.version = found[1].decode() if found else ""
        if update.signature and not self._verified(update, data):
            self._firmware("Downloaded")
            self._station.security.event("InvalidFirmwareSignature", "the signature is not of this file")
            self._end("InvalidSignature")
            return
        self._downloaded()

    def _verified(self, update: Update, data: bytes) -> bool:
        try:
            signing.check_signature(
                signing.signer(update.certificate)[0], update.signature, hashlib.sha256(data).digest()
            )
        except signing.BadFirmware:
            return False
        return True

    def _end(self, status: str) -> None:
        """It has failed, and that is told."""
        self._firmware(status)
        self.update = None
        self._shut(False)
        self._station.store({"firmware": None})
        self._reset_if_idle()
        self._station.finish()

    def _downloaded(self) -> None:
        update = self.update
        if update is None:
            return
        self._firmware("Downloaded")
        if self._fault == "silent":
            self.update = None
            self._station.store({"firmware": None})
            return
        if update.signature and self._files is not None:
            self._firmware("SignatureVerified")
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
            update.waiting = True
            if self._wordy and update.status != "InstallScheduled":
                self._firmware("InstallScheduled")
            update.status = "InstallScheduled"
            self._save()
            self._shut(not self._station.settings.flag("sessions_before_update"))
            self._station.finish()
            return
        update.waiting = False
        # Whoever began now would be thrown out by the restart.
        self._shut(True)
        self._firmware("Installing")
        self._later(self._station.config.firmware_step_ms, self._restart)

    def _restart(self) -> None:
        update = self.update
        if update is None:
            return
        if self._fault in ("install", "verification"):
            worded = self._fault == "verification" and self._wordy
            self._end("InstallVerificationFailed" if worded else "InstallationFailed")
            return
        if self._wordy:
            self._firmware("InstallRebooting")
        if update.version and self._fault != "old-version":
            self._station.store({FIRMWARE_VERSION: update.version.encode()})
        self._await_flush("FirmwareUpdate", int(self._station.scheduler.now()) + _FLUSH_MS)

    @property
    def _wordy(self) -> bool:
        """The messages have all the statuses: those of 2.x, and in 1.6 those about signed firmware."""
        return self._station.config.version != "1.6" or (self.update is not None and self.update.request_id is not None)

    def _firmware(self, status: str) -> None:
        update = self.update
        if update is not None:
            update.status = status
            self._save()
        self._last = status, update.request_id if update else None
        self._station.store({_LAST: msgspec.json.encode(self._last)})
        self._station.dialect.firmware_status(*self._last)
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

    def upload_log(self, request_id: int | None, location: str = "", kind: str = "", *, diagnostics: bool) -> bool:
        """Announce a log; True when an earlier upload was called off. `kind`: a 2.x LogEnumType."""
        replaced = self.log_status == "Uploading"
        if replaced and self._log_timer is not None:
            self._log_timer.cancel()
            self._station.dialect.log_status("AcceptedCanceled", self.log_id, diagnostics=self.log_is_diagnostics)
        self.log_id = request_id
        self.log_is_diagnostics = diagnostics
        self.log_status = "Uploading"
        self._log_place, self._log_kind = location, kind
        return replaced

    def begin_upload(self) -> None:
        """After the answer."""
        station = self._station
        station.dialect.log_status("Uploading", self.log_id, diagnostics=self.log_is_diagnostics)
        self._log_timer = station.scheduler.call_later(station.config.firmware_step_ms, self._upload)
        station.finish()

    def _upload(self) -> None:
        self._log_timer = None
        if self._files is None or not self._log_place.lower().startswith(_SCHEMES):
            self._uploaded(self.log_id, False)
            return
        number = self.log_id
        name = f"{self._station.config.identity}-{self._log_kind or 'diagnostics'}.log"
        data = "\n".join(self._log_lines()).encode() + b"\n"
        place = self._log_place
        if self._station.config.version == "2.1" and place.endswith("/"):
            place += quote(name, safe="")  # N01.FR.21
        self._way(self._files).leave(place, name, data, lambda taken: self._uploaded(number, taken))

    def _way(self, files: Files) -> Files:
        """N01.FR.15: whom the station trusts as its CSMS it trusts with files as well."""
        roots = "".join(self._station.certificates.roots())
        return files.trust(roots) if roots and isinstance(files, Trusting) else files

    def _log_lines(self) -> list[str]:
        """What stands in it: no secrets, no tokens."""
        station = self._station
        if self._log_kind == "SecurityLog":
            return station.security.lines()
        config = station.config
        made = [f"{config.vendor} {config.model}, firmware {self.version}, OCPP {config.version}"]
        made += [f"EVSE {evse.id}: {evse.reported or 'unknown'}, {evse.meter.register_wh} Wh" for evse in station.evses]
        return [*made, *station.security.lines()]

    def _uploaded(self, number: int | None, taken: bool) -> None:
        if number != self.log_id or self.log_status != "Uploading" or not self._station.powered:
            return  # another one took its place, or the power was cut meanwhile
        self.log_status = "Idle"
        failed = "UploadFailed" if self.log_is_diagnostics else "UploadFailure"
        self._station.dialect.log_status(
            "Uploaded" if taken else failed, self.log_id, diagnostics=self.log_is_diagnostics
        )
        self._station.finish()


_read = msgspec.json.Decoder(Update).decode
_read_last = msgspec.json.Decoder(tuple[str, int | None]).decode
