"""What a seat remembers over restarts, and the passwords that upstreams set."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from pilotwire.protocols.ocpp.version import VersionName

from . import frames
from .frames import Frame
from .renaming import Link

_TAKEN = ("Accepted", "RebootRequired")


class Notes(msgspec.Struct):
    """What a seat remembers over restarts."""

    version: VersionName = "1.6"
    boot: str = ""
    """The payload of the last BootNotification."""
    boot_answer: str = ""
    """The authority's last answer to one."""
    due: list[str] = []
    """Upstreams that have not accepted that boot yet."""
    links: list[Link] = []
    recent: dict[str, str] = {}
    """Fingerprint → what was answered, of the last messages."""
    passwords: list[str] = []
    """SHA-256 of the password that an upstream has set lately; which of them the station takes it for is not known."""
    moved: bool = False
    """It has come with that: the configured one is dead."""
    stop: list[str] = []
    """Sessions that the authority has refused and that still have to be ended."""
    north: msgspec.Raw = msgspec.Raw(b"null")


NOTES = msgspec.json.Decoder(Notes)


def new_passwords(action: str, payload: bytes, answer: Frame) -> list[bytes]:
    """The passwords, any of which the station may take an accepted change for; []: it was none."""
    if answer.kind != frames.CALLRESULT:
        return []
    found: list[bytes] = []
    if action == "ChangeConfiguration":
        told = frames.value(payload, "value")
        status = frames.value(answer.payload, "status")
        if frames.value(payload, "key") == "AuthorizationKey" and status in _TAKEN and isinstance(told, str):
            found.append(told.encode(errors="replace"))
            with suppress(ValueError):
                found.append(bytes.fromhex(told))
    elif action == "SetVariables":
        rows = frames.value(payload, "setVariableData")
        results = frames.value(answer.payload, "setVariableResult")
        if isinstance(rows, list) and isinstance(results, list):
            for row, result in zip(rows, results, strict=False):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                with suppress(KeyError, TypeError, AttributeError):
                    named = row["component"]["name"], row["variable"]["name"]
                    if named == ("SecurityCtrlr", "BasicAuthPassword") and result["attributeStatus"] in _TAKEN:
                        found.append(row["attributeValue"].encode())
    return found
