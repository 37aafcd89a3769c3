"""Whatever bytes come: one event, no exception, and a reply that is a message of the version."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotwire.protocols.ocpp.rpc import events
from pilotwire.protocols.ocpp.rpc.machine import (
    AnswerMemory,
    CallReceived,
    ErrorReceived,
    Ignored,
    Limits,
    Malformed,
    Repeated,
    ResultErrorReceived,
    ResultReceived,
    Rpc,
    SendReceived,
)
from pilotwire.protocols.ocpp.version import load

EVENTS = (
    CallReceived,
    SendReceived,
    ResultReceived,
    ErrorReceived,
    ResultErrorReceived,
    Malformed,
    Repeated,
    Ignored,
)
REASONS = {value for name, value in vars(events).items() if name.startswith("IGNORED_")}
CODES = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "PropertyConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}
CODES_OF = {
    "1.6": CODES | {"FormationViolation", "OccurenceConstraintViolation"},
    "2.0.1": CODES
    | {"FormatViolation", "OccurrenceConstraintViolation", "MessageTypeNotSupported", "RpcFrameworkError"},
}
CODES_OF["2.1"] = CODES_OF["2.0.1"]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
IDS = st.sampled_from(["open", "ours", "-1", "new"]) | JSON_VALUES
ACTIONS = (
    st.sampled_from(["Heartbeat", "DataTransfer", "MeterValues", "NotifyPeriodicEventStream", "Nope"]) | JSON_VALUES
)
PAYLOADS = (
    st.sampled_from([{}, {"vendorId": "x"}, {"status": "Accepted"}, {"connectorId": 1, "meterValue": []}]) | JSON_VALUES
)
MESSAGES = st.tuples(st.integers(-1, 9) | JSON_VALUES, IDS, ACTIONS, PAYLOADS, JSON_VALUES).flatmap(
    lambda all_five: st.integers(0, 5).map(lambda n: json.dumps(list(all_five[:n])).encode("utf-8", "surrogatepass"))
)


@st.composite
def spoilt(draw):
    """A message with a few bytes changed, taken out or put in."""
    data = bytearray(draw(MESSAGES))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


def machine(name):
    """A machine in the middle of things: a call of ours outstanding, one of the peer open, one answered."""
    version = load(name)
    rpc = Rpc(version, memory=AnswerMemory(), limits=Limits(size=4096, depth=6))
    action = version.actions["DataTransfer"]
    rpc.call("ours", "DataTransfer", action.request_type(vendor_id="x"), 0)
    for message_id in ("open", "new"):
        assert type(rpc.receive(b'[2,"%b","DataTransfer",{"vendorId":"x"}]' % message_id.encode(), 0)) is CallReceived
    rpc.answer("new", action.response_type(status="Accepted"))
    return rpc


def check_reply(name, reply):
    answer = json.loads(reply)
    assert answer[0] in ((3, 4, 5) if name == "2.1" else (3, 4))
    assert isinstance(answer[1], str)
    assert len(answer[1]) <= 36
    if answer[0] == 3:
        assert len(answer) == 3
        assert isinstance(answer[2], dict)
    else:
        assert len(answer) == 5
        assert answer[2] in CODES_OF[name]
        assert isinstance(answer[3], str)
        assert len(answer[3]) <= 255
        assert isinstance(answer[4], dict)
    return answer


def check(name, data):
    rpc = machine(name)
    call = rpc.outstanding
    event = rpc.receive(data, 1)
    assert type(event) in EVENTS
    ended = getattr(event, "call", None)
    assert ended in (None, call)
    assert (rpc.outstanding is None) is (ended is call), "the call is over exactly when an event says so"
    if type(event) is Ignored:
        assert event.reason in REASONS
    if getattr(event, "reply", None) is not None:
        answer = check_reply(name, event.reply)
        assert answer[1] != "open", "the answer to the open CALL is the application's"
    assert rpc.counters.internal_errors == 0
    assert rpc.open_calls == (2 if type(event) is CallReceived else 1)


@pytest.mark.parametrize("name", ["1.6", "2.0.1", "2.1"])
# The first draw of text builds tables; how long that takes is no matter here.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=80) | MESSAGES | spoilt())
def test_any_bytes(name, data):
    check(name, data)


@pytest.mark.parametrize("name", ["1.6", "2.0.1", "2.1"])
@pytest.mark.parametrize("number", range(2, 7))
def test_each_message_cut_off_everywhere(name, number):
    data = b'[%d,"ours","DataTransfer",{"vendorId":"x","data":"\\u00e9\\"]}"}]' % number
    for end in range(len(data) + 1):
        check(name, data[:end])
    for at in range(len(data)):
        check(name, data[:at] + data[at + 1 :])
