"""Firmware images, what stations do with them, and the logs that stations leave."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PRINTABLE, Note, PageOf, Short, Time

_Word = Annotated[str, Meta(min_length=1, max_length=50, pattern=PRINTABLE)]
_Words = Annotated[str, Meta(max_length=50, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
_Certificate = Annotated[
    str,
    Meta(max_length=5500, pattern=r"^[^\x00]*$", description="The signing certificate in PEM, then those between it "
    "and the trusted authority; empty: the image is not signed"),
]  # fmt: skip
_Signature = Annotated[
    str,
    Meta(max_length=800, pattern=r"^[^\x00]*$", description="Base64 of the signature over the file: RSA-PSS or ECDSA "
    "with SHA-256"),
]  # fmt: skip
ImageStatus = Literal["empty", "ready", "rejected"]


class NewFirmware(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A firmware image; its file is sent afterwards."""

    version: Annotated[_Word, Meta(description="What a station says in BootNotification when it runs this image")]
    vendor: Annotated[_Words, Meta(description="Of the stations that it is for; empty: of any")] = ""
    model: Annotated[_Words, Meta(description="Of the stations that it is for; empty: of any")] = ""
    name: Annotated[Short, Meta(description="Name of the file, as stations see it")] = ""
    note: Note = ""
    signing_certificate: _Certificate = ""
    signature: _Signature = ""


class FirmwareChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; the file itself never changes."""

    vendor: _Words | msgspec.UnsetType = msgspec.UNSET
    model: _Words | msgspec.UnsetType = msgspec.UNSET
    note: Note | msgspec.UnsetType = msgspec.UNSET
    signing_certificate: _Certificate | msgspec.UnsetType = msgspec.UNSET
    signature: _Signature | msgspec.UnsetType = msgspec.UNSET


class Firmware(msgspec.Struct, kw_only=True):
    """A firmware image."""

    id: str
    version: str
    vendor: str
    model: str
    name: str
    note: str
    status: Annotated[
        ImageStatus,
        Meta(description="empty: no file yet; ready: can be sent; rejected: its signature is wrong, see `fault`"),
    ]
    fault: str
    signed: bool
    signed_by: Annotated[str, Meta(description="Subject of the signing certificate")]
    signing_certificate: str
    signature: str
    size: Annotated[int, Meta(description="Bytes")]
    sha256: str
    md5: Annotated[str, Meta(description="What PublishFirmware names a file by")]
    created_at: Time
    created_by: str


class FirmwarePage(PageOf[Firmware], kw_only=True):
    """Images, newest first."""


class NewFirmwareUpdate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Have a station update itself."""

    firmware_id: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Why; kept in the audit log")]
    retrieve_at: Annotated[Time | None, Meta(description="When to fetch it; null: now")] = None
    install_at: Annotated[Time | None, Meta(description="When to install it; null: when it is there")] = None
    retries: Annotated[int, Meta(ge=0, le=20)] = 3
    retry_interval_s: Annotated[int, Meta(ge=0, le=86_400)] = 60


class NewFirmwarePublication(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Have a local controller offer an image."""

    firmware_id: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Why; kept in the audit log")]
    retries: Annotated[int, Meta(ge=0, le=20)] = 3
    retry_interval_s: Annotated[int, Meta(ge=0, le=86_400)] = 60


class NewFirmwareWithdrawal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Have a local controller offer an image no longer."""

    firmware_id: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Why; kept in the audit log")]


class FirmwareStep(msgspec.Struct, kw_only=True):
    """What a station told."""

    time: Time
    status: str


class FirmwareUpdate(msgspec.Struct, kw_only=True):
    """The newest update that a station was given, and how far it is."""

    station_id: str
    firmware_id: str
    version: str
    version_before: str
    signed: bool
    request_id: int
    rollout_id: str | None
    ordered_by: str
    ordered_at: Time
    status: Annotated[str, Meta(description="The newest FirmwareStatus, as the station said it; empty: none yet")]
    steps: list[FirmwareStep]
    outcome: Annotated[
        Literal["running", "installed", "failed", "silent", "refused", "cancelled"],
        Meta(
            description="installed: it booted with the new version; failed: it told a failure or came back with "
            "another version; silent: it told nothing for too long"
        ),
    ]
    text: Annotated[str, Meta(description="Why, in words")]
    ended_at: Time | None


class NewLog(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Have a station leave a log here."""

    type: Literal["diagnostics", "security"] = "diagnostics"
    oldest: Annotated[Time | None, Meta(description="Nothing older than this")] = None
    latest: Annotated[Time | None, Meta(description="Nothing newer than this")] = None
    timeout_s: Annotated[float, Meta(ge=0.1, le=120, description="How long to wait for the station's answer")] = 30.0


class StationLog(msgspec.Struct, kw_only=True):
    """A log that was asked for, and what came."""

    id: str
    station_id: str
    type: Literal["diagnostics", "security"]
    status: Annotated[
        Literal["waiting", "received", "failed", "expired"],
        Meta(description="waiting: nothing came yet; failed: the station said so or refused; expired: nothing came"),
    ]
    told: Annotated[str, Meta(description="The newest UploadLogStatus or DiagnosticsStatus of the station")]
    text: str
    name: Annotated[str, Meta(description="Name of the file, as the station says")]
    size: Annotated[int, Meta(description="Bytes")]
    sha256: str
    asked_by: str
    asked_at: Time
    received_at: Time | None
    kept_until: Time | None


class StationLogPage(PageOf[StationLog], kw_only=True):
    """Logs, newest first."""
