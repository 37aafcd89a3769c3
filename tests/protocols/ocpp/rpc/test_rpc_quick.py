"""The quick way through the machine finds what the long way finds, whatever the frame."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.ocpp.rpc.machine import CallReceived, Limits, Rpc
from pilotwire.protocols.ocpp.version import load

VERSION = load("1.6")
METER_VALUES = (
    b'[2,"id-1","MeterValues",{"connectorId":1,"transactionId":7,"meterValue":[{"timestamp":"2026-01-01T00:00:10Z",'
    b'"sampledValue":[{"value":"30","measurand":"Energy.Active.Import.Register","unit":"Wh"},{"value":"16.0",'
    b'"measurand":"Current.Import","phase":"L1","unit":"A"}]}]}]'
)
STATUS = (
    b'[2,"id-1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available",'
    b'"timestamp":"2026-01-01T00:00:10Z"}]'
)
PROFILE = (
    b'[2,"id-1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
    b'"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{"chargingRateUnit":"A",'
    b'"chargingSchedulePeriod":[{"startPeriod":0,"limit":16.1}]}}}]'
)
HEARTBEAT = b'[2,"id-1","Heartbeat",{}]'
PIECES = [
    b"", b" ", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"null", b"1", b"-1", b'"x":[[[[[[[[[[[[[[[[[[1',
    b'"timestamp"', b"2026-01-01 00:00:10Z", b"2026-01-01T00:00:10", b"\xff", "é".encode(), b"\\u0022", b"Heartbeat",
]  # fmt: skip


def said(event: Any) -> Any:
    """An event in values that compare."""
    kind = type(event).__name__
    if kind == "CallReceived":
        return kind, event.message_id, event.action.name, msgspec.json.encode(event.request), event.deviations
    if kind == "Malformed":
        return kind, event.error.code, event.error.description, event.reply
    return kind, event


def both(frame: bytes) -> tuple[Any, Any]:
    quick, long = Rpc(VERSION), Rpc(VERSION, limits=Limits(depth=15))
    assert quick._closed_actions and not long._closed_actions
    return said(quick.receive(frame, 0)), said(long.receive(frame, 0))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([METER_VALUES, STATUS, PROFILE, HEARTBEAT]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from(PIECES)), max_size=3),
)
def test_any_frame_is_the_same_either_way(frame: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for at, length, piece in cuts:
        at %= len(frame)
        frame = frame[:at] + piece + frame[at + length :]
    quick, long = both(frame)
    # The one difference allowed is the wording for a frame that is just beyond the smaller depth.
    assert quick == long or ("deeper than" in long[2] and quick[:2] == long[:2])


def test_an_escaped_id_cannot_pass_one_action_off_as_another() -> None:
    frame = b'[2,"a\\",\\"Heartbeat","StatusNotification",{}]'
    quick, long = both(frame)
    assert quick == long and quick[0] == "Malformed"


def test_every_request_of_1_6_is_of_closed_type() -> None:
    """Else its depth would have to be looked at; a number of open type is held to be one by the generated check."""

    def open_types(type_: Any, seen: set[type]) -> set[str]:
        info = msgspec.inspect.type_info(type_)
        found: set[str] = set()
        stack = [info]
        while stack:
            one = stack.pop()
            if isinstance(one, msgspec.inspect.StructType):
                if one.cls not in seen:
                    seen.add(one.cls)
                    stack += [field.type for field in one.fields]
            elif isinstance(one, msgspec.inspect.ListType):
                stack.append(one.item_type)
            elif isinstance(one, msgspec.inspect.Metadata):
                if (one.extra or {}).get("kind") != "number":
                    stack.append(one.type)
            elif isinstance(one, (msgspec.inspect.AnyType, msgspec.inspect.DictType, msgspec.inspect.CustomType)):
                found.add(type(one).__name__)
        return found

    for action in VERSION.actions.values():
        assert not open_types(action.request_type, set()), action.name


def test_the_plain_frames_take_the_quick_way() -> None:
    for frame in (METER_VALUES, STATUS, PROFILE, HEARTBEAT):
        name = frame.split(b'"', 4)[3]
        assert VERSION.closed[name].decode_whole(frame) is not None  # type: ignore[attr-defined]
        assert isinstance(Rpc(VERSION).receive(frame, 0), CallReceived)
