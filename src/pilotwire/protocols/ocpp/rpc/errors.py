"""RPC errors with the answer attached, and the codes as each version spells them.

OCPP-J 1.6 writes `FormationViolation` and `OccurenceConstraintViolation` (errata ch. 5 keeps the spelling); 2.x part 4
table 7 writes `FormatViolation` and `OccurrenceConstraintViolation` and adds two codes. Both spellings are read, the
version's own is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotwire.core.errors import RemoteError

NOT_IMPLEMENTED = "NotImplemented"
NOT_SUPPORTED = "NotSupported"
INTERNAL_ERROR = "InternalError"
PROTOCOL_ERROR = "ProtocolError"
SECURITY_ERROR = "SecurityError"
FORMAT_VIOLATION = "FormatViolation"
PROPERTY_CONSTRAINT = "PropertyConstraintViolation"
OCCURRENCE_CONSTRAINT = "OccurrenceConstraintViolation"
TYPE_CONSTRAINT = "TypeConstraintViolation"
GENERIC_ERROR = "GenericError"
MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
RPC_FRAMEWORK_ERROR = "RpcFrameworkError"

_V16_SPELLING = {
    FORMAT_VIOLATION: "FormationViolation",
    OCCURRENCE_CONSTRAINT: "OccurenceConstraintViolation",
    # 1.6 has neither of these two: the nearest code that it has is sent.
    MESSAGE_TYPE_NOT_SUPPORTED: PROTOCOL_ERROR,
    RPC_FRAMEWORK_ERROR: "FormationViolation",
}
_CANONICAL = {"FormationViolation": FORMAT_VIOLATION, "OccurenceConstraintViolation": OCCURRENCE_CONSTRAINT}


def wire_code(code: str, version: str) -> str:
    """The canonical (2.x) `code` as `version` spells it."""
    return _V16_SPELLING.get(code, code) if version == "1.6" else code


def canonical_code(code: str) -> str:
    """Any spelling to the canonical one; unknown codes stay as they are."""
    return _CANONICAL.get(code, code)


class RpcError(RemoteError):
    """What a CALLERROR or CALLRESULTERROR carries: canonical code, description (cut to 255), details (an object)."""

    def __init__(self, code: str, description: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description[:255]
        self.details: Mapping[str, Any] = details or {}
