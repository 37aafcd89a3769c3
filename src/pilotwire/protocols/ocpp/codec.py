"""Decoding and encoding of one action: strict first; when that fails, diagnosis, named repairs, and an exact error.

The fast path is one msgspec decode (types, lengths, items, enumerations, unknown and missing fields), the generated
check (numbers, URIs), and a look at the bytes for the little that msgspec takes and the schemas do not (`null`, loosely
written date-times). Only a message that fails any of these is parsed again and diagnosed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.protocols.ocpp.model import dec_hook
from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.version import Decoded, VersionName

Check = Callable[[Any], bool]
Marks = tuple[str, ...]
"""What to look for in the bytes: the wire names of the date-times inside a message, and NULLABLE (generated)."""

Row = tuple[str, bool, bool, Any, Check | None, Marks, Any, Check | None, Marks]

NULLABLE = "?"
"""Marks a message that has optional numbers, in which msgspec cannot tell `null` from absence."""

_NO_DEVIATIONS: tuple[str, ...] = ()

_encode = msgspec.json.Encoder(decimal_format="number").encode
_parse = msgspec.json.Decoder(float_hook=Decimal).decode
_SEVENTH_DECIMAL = re.compile(rb"\.\d{7}|\dE-")
_MICROSECONDS = re.compile(rb'\.\d{6}(?:Z|[+-]\d\d:\d\d)"')

# msgspec takes a space for the T of a date-time and an offset without a colon, RFC 3339 does not. What follows the key
# of a date-time that did decode is looked at with this; an escape inside the text does not match, and is looked at
# closely on the slow path.
_WELL_WRITTEN = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*"[^"\\ T]{10}[Tt][0-9:.]+(?:[Zz]|[+-]\d\d:\d\d)"').match


class Codec:
    """One message type: its decoder, made on first use, and the strict encoder."""

    __slots__ = (
        "_check",
        "_date_keys",
        "_decode",
        "_fieldless",
        "_nullable",
        "_six_decimals",
        "_trim",
        "type",
        "version",
    )

    def __init__(
        self,
        version: VersionName,
        type_: type[msgspec.Struct],
        check: Check | None,
        marks: Marks,
        *,
        to_station: bool,
    ) -> None:
        self.version: VersionName = version
        self.type = type_
        self._check = check
        self._date_keys = tuple(f'"{name}"'.encode() for name in marks if name != NULLABLE)
        self._nullable = NULLABLE in marks
        self._fieldless = not type_.__struct_fields__
        self._six_decimals = to_station and version != "1.6"
        self._decode: Callable[[Any], Any] | None = None
        self._trim: re.Pattern[bytes] | None = None

    def _make(self) -> Callable[[Any], Any]:
        self._decode = msgspec.json.Decoder(self.type, dec_hook=dec_hook, float_hook=Decimal).decode
        return self._decode

    def decode(self, payload: bytes | msgspec.Raw, *, tolerant: bool = True) -> Decoded:
        """The message; RpcError when it is none."""
        try:
            message = (self._decode or self._make())(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._second_look(payload, tolerant, error)
        if self.vouches(message, payload if type(payload) is bytes else bytes(payload)):
            return Decoded(message, _NO_DEVIATIONS)
        return self._second_look(payload, tolerant, None)

    def vouches(self, message: Any, data: bytes) -> bool:
        """Whether the schema would take `message` too, which the decoder took from `data`."""
        if self._check is not None and not self._check(message):
            return False
        if self._nullable and data.rfind(b"null") >= 0:
            return False
        for key in self._date_keys:
            at = data.rfind(key)  # from the end, since most date-times stand near the begin: less is searched twice
            while at >= 0:
                if _WELL_WRITTEN(data, at + len(key)) is None:
                    return False
                at = data.rfind(key, 0, at)
        return True

    def _second_look(self, payload: bytes | msgspec.Raw, tolerant: bool, error: Exception | None) -> Decoded:
        """The slow path: says what is wrong, or mends what a rule of tolerance explains and decodes the result."""
        from pilotwire.protocols.ocpp import diagnosis, tolerance

        try:
            root = [_parse(payload)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise RpcError(errors.FORMAT_VIOLATION, f"the payload is not JSON: {broken}") from broken
        if not tolerant:
            fault = next(diagnosis.faults(self.type, root), None)
            if fault is not None:
                raise RpcError(fault.code, fault.describe())
        names, repair = tolerance.mend(self.type, self.version, root)
        try:
            message = (self._decode or self._make())(_encode(root[0]) if names else payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as refused:
            # The diagnosis found nothing (more) and the decoder does: it has the last word.
            raise RpcError(errors.PROPERTY_CONSTRAINT, str(refused)) from error or refused
        if self._check is not None and not self._check(message):
            raise RpcError(errors.PROPERTY_CONSTRAINT, f"{self.type.__name__} has an invalid value") from error
        if repair.kept:
            tolerance.restore(message, repair)
        return Decoded(message, names)

    def encode(self, message: Any) -> bytes:
        """JSON, exactly what this codec would take strictly; LocalError otherwise."""
        if self._fieldless:
            return b"{}"
        try:
            data = _encode(message)
            if self._date_keys and _MICROSECONDS.search(data):
                data = self._milliseconds(data)
        except (TypeError, ValueError, msgspec.EncodeError, RecursionError) as error:
            raise LocalError(f"{self.type.__name__} cannot be written: {error}") from error
        try:
            self.decode(data, tolerant=False)
        except RpcError as error:
            raise LocalError(f"{self.type.__name__} may not be sent: {error.code}, {error.description}") from error
        if self._six_decimals and self._check is not None and _SEVENTH_DECIMAL.search(data):
            self._refuse_long_decimals(data)
        return data

    def _refuse_long_decimals(self, data: bytes) -> None:
        """2.x part 2, 2.1.4: a decimal sent towards the station has at most six decimal places. The caller rounds."""
        from pilotwire.protocols.ocpp import diagnosis

        path = diagnosis.long_decimal(diagnosis.shape_of(self.type), _parse(data))
        if path is not None:
            raise LocalError(f"{self.type.__name__} may not be sent: {path} has more than six decimal places")

    def _milliseconds(self, data: bytes) -> bytes:
        """Date-times cut to three decimals: the most that 2.x allows (part 2, 2.1.4) and some 1.6 stations survive.

        Only the fields that are date-times are touched. Inside a JSON string every quote is escaped, so `"name":"` is
        a key wherever it stands; but customData may have keys of that name, hence the walk by type when there is some.
        """
        if b'"customData"' in data:
            from pilotwire.protocols.ocpp import diagnosis

            tree = _parse(data)
            diagnosis.cut_date_times(diagnosis.shape_of(self.type), tree)
            return _encode(tree)
        if self._trim is None:
            keys = b"|".join(self._date_keys)
            self._trim = re.compile(rb"((?:" + keys + rb'):"[0-9T:-]{19}\.\d{3})\d{3}')
        return self._trim.sub(rb"\1", data)


class Whole(msgspec.Struct, array_like=True, tag=2, forbid_unknown_fields=True, gc=False):
    """A whole CALL. Each action has a subclass with the payload's own type, so that one decode reads it all."""

    message_id: str
    action: str
    payload: Any


class ActionCodec:
    """One action of one version; implements `pilotwire.protocols.ocpp.version.Action`."""

    __slots__ = (
        "_request",
        "_response",
        "_whole",
        "by_csms",
        "by_station",
        "decode_request",
        "is_send",
        "name",
        "request_type",
        "response_type",
    )

    def __init__(self, version: VersionName, row: Row) -> None:
        self.name, self.by_station, self.by_csms, request, check, marks, response, response_check, response_marks = row
        self._request = Codec(version, request, check, marks, to_station=self.by_csms)
        self._response = (
            None
            if response is None
            else Codec(version, response, response_check, response_marks, to_station=self.by_station)
        )

        self.is_send: bool = response is None
        """Goes out as SEND and has no response."""
        self.request_type: type[msgspec.Struct] = request
        self.response_type: type[msgspec.Struct] | None = response
        self.decode_request = self._request.decode
        """The request; RpcError with the code to answer when it is none."""

        self._whole: Callable[[Any], Whole] | None = None

    def __repr__(self) -> str:
        return f"<OCPP {self._request.version} {self.name}>"

    def decode_whole(self, frame: bytes) -> Whole | None:
        """The CALL of this action in `frame` if nothing is odd about it, read in one step; None: read it the long way.

        Only for requests that hold nothing of open type (`closed`): those cannot nest deeper than their type does.
        """
        try:
            whole = (self._whole or self._make_whole())(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return whole if whole.action == self.name and self._request.vouches(whole.payload, frame) else None

    def _make_whole(self) -> Callable[[Any], Whole]:
        type_: Any = msgspec.defstruct("Whole", [("payload", self.request_type)], bases=(Whole,), tag=2, gc=False)
        self._whole = msgspec.json.Decoder(type_, dec_hook=dec_hook, float_hook=Decimal).decode
        return self._whole

    def decode_response(self, payload: bytes | msgspec.Raw, *, tolerant: bool = True) -> Decoded:
        """The response; RpcError when it is none. LocalError for an action that has no response."""
        if self._response is None:
            raise LocalError(f"{self.name} has no response")
        return self._response.decode(payload, tolerant=tolerant)

    def encode(self, message: Any) -> bytes:
        """A request or response of this action as JSON; LocalError when the peer's schema would refuse it."""
        if self._response is not None and isinstance(message, self._response.type):
            return self._response.encode(message)
        if isinstance(message, self._request.type):
            return self._request.encode(message)
        raise LocalError(f"{type(message).__name__} is no message of {self.name}")


class OcppVersion:
    """One version of OCPP; implements `pilotwire.protocols.ocpp.version.Version`."""

    __slots__ = ("actions", "closed", "name")

    def __init__(self, name: VersionName, rows: tuple[Row, ...]) -> None:
        self.name: VersionName = name
        self.actions: Mapping[str, ActionCodec] = {row[0]: ActionCodec(name, row) for row in rows}
        # 1.6 has neither customData nor any other open type, so all of its requests are closed; those of 2.x are not.
        self.closed: Mapping[bytes, ActionCodec] = (
            {name.encode(): action for name, action in self.actions.items()} if name == "1.6" else {}
        )
        """Actions whose requests hold nothing of open type, by name."""

    def __repr__(self) -> str:
        return f"<OCPP {self.name}>"
