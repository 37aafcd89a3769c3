"""The firmware update of one station: what it told, whether it is over, and whether that is proven.

A station that says Installed has said so; that it works is shown by the BootNotification with the new version. One that
says nothing for too long has fallen silent: what it does is not known, and nobody waits for it any more.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Outcome = Literal["running", "installed", "failed", "silent", "refused", "cancelled"]
"""installed: booted with the new version; failed: told a failure, or came back with another version; silent: told
nothing for too long; refused: did not take the order; cancelled: another update took its place."""

FAILED: Final = frozenset(
    (
        "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature", "InvalidCertificate",
        "RevokedCertificate",
    )
)  # fmt: skip
"""Statuses after which an update is over (1.6 4.5 and whitepaper; 2.x L01.FR.10 ff.)."""
WAITING: Final = frozenset(("DownloadScheduled", "DownloadPaused", "InstallScheduled"))
"""The station waits for a time that was given, or for its sessions to end: no silence."""
_INSTALLING: Final = frozenset(("Installing", "InstallRebooting", "Installed"))
MOST_STEPS: Final = 40
"""A station that repeats itself for ever fills no document."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was told when (ms)."""

    at: int
    status: str


class Update(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The newest update that a station was given."""

    station: str
    firmware: str
    """Id of the image."""
    version: str
    before: str = ""
    """The version that it had."""
    request_id: int
    rollout: str = ""
    by: str = ""
    signed: bool = False
    ordered_at: int
    changed_at: int
    wait_until: int = 0
    """Until then (ms) the station may wait before it begins, or before it installs."""
    taken: bool = False
    """The station has said that it will. Until then nobody knows whether it has had the order."""
    status: str = ""
    steps: list[Step] = []
    outcome: Outcome = "running"
    reason: str = ""
    ended_at: int | None = None
    seq: int = 0
    """The journal's last entry that was taken in."""

    @property
    def over(self) -> bool:
        """Nothing more is expected."""
        return self.outcome != "running"


def told(update: Update, status: str, request_id: int | None, now: int) -> bool:
    """(Signed)FirmwareStatusNotification. False where it is about another update, or tells nothing new."""
    if update.over or (request_id is not None and request_id != update.request_id) or status == "Idle":
        return False
    if status == update.status and status not in WAITING:
        update.changed_at = now  # it is alive
        return False
    update.status, update.changed_at = status, now
    if len(update.steps) < MOST_STEPS:
        update.steps.append(Step(now, status))
    if status in FAILED:
        end(update, "failed", status, now)
    return True


def booted(update: Update, version: str, now: int) -> bool:
    """BootNotification: with the new version it is the proof; with another one after the installing, of the failure."""
    if update.over:
        return False
    if version == update.version:
        if len(update.steps) < MOST_STEPS:
            update.steps.append(Step(now, "Booted"))
        end(update, "installed", "", now)
        return True
    if update.status in _INSTALLING:
        end(update, "failed", f"came back with version {version or 'unknown'}", now)
        return True
    return False


def overdue(update: Update, now: int, silent_ms: int) -> bool:
    """Whether it has been silent for too long; it is over then."""
    since = max(update.changed_at, update.wait_until)
    if update.over or now - since < silent_ms:
        return False
    if update.status in WAITING and now - since < 24 * 3_600_000:
        return False
    said = f"told {update.status} last" if update.status else "told nothing"
    end(update, "silent", said, now)
    return True


def end(update: Update, outcome: Outcome, reason: str, now: int) -> None:
    """It is over."""
    update.outcome, update.reason, update.ended_at, update.changed_at = outcome, reason, now, now
