"""OCPP-J chapter 4: what a message is, and what is answered to what is none."""

from __future__ import annotations

import json

import pytest

from pilotwire.protocols.ocpp.rpc import events
from pilotwire.protocols.ocpp.rpc.machine import (
    CallReceived,
    Ignored,
    Limits,
    Malformed,
    OpenCall,
    ResultErrorReceived,
    ResultReceived,
    Rpc,
    RpcError,
    SendReceived,
)
from pilotwire.protocols.ocpp.version import load

FRAMEWORK = {"1.6": "FormationViolation", "2.0.1": "RpcFrameworkError", "2.1": "RpcFrameworkError"}


def refusal(event, message_id, code):
    """The event is a Malformed whose reply is a well-formed CALLERROR with this id and code."""
    assert type(event) is Malformed, event
    assert event.call is None
    answer = json.loads(event.reply)
    assert len(answer) == 5
    assert answer[:3] == [4, message_id, code]
    assert isinstance(answer[3], str)
    assert len(answer[3]) <= 255
    assert isinstance(answer[4], dict)
    return answer


class TestCall:
    """4.2.1: [2, messageId, action, payload]"""

    def test_is_handed_over_and_answered_by_callresult(self, version, make, frame, read):
        rpc = make(version)
        event = rpc.receive(frame(2, "19223201", "Heartbeat", {}), 0)
        assert type(event) is CallReceived
        assert (event.message_id, event.action.name, event.deviations) == ("19223201", "Heartbeat", ())
        assert isinstance(event.request, version.actions["Heartbeat"].request_type)
        response, _ = version.actions["Heartbeat"].decode_response(b'{"currentTime":"2026-01-31T12:00:00Z"}')
        reply = read(rpc.answer("19223201", response))
        assert reply[:2] == [3, "19223201"]
        assert reply[2]["currentTime"].startswith("2026-01-31T12:00:00")

    def test_may_have_white_space_where_json_allows_it(self, version, make):
        assert type(make(version).receive(b' [ 2 ,\t"a" ,\n"Heartbeat" , { } ]\r\n', 0)) is CallReceived

    def test_refused_by_the_application_with_the_code_spelled_as_the_version_does(self, version, make, frame, read):
        rpc = make(version)
        rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
        reply = rpc.refuse("a", RpcError("OccurrenceConstraintViolation", "x" * 999, {"field": "y"}))
        code = "OccurenceConstraintViolation" if version.name == "1.6" else "OccurrenceConstraintViolation"
        assert read(reply) == [4, "a", code, "x" * 255, {"field": "y"}]

    def test_unknown_action_is_not_implemented(self, version, make, frame):
        event = make(version).receive(frame(2, "a", "MakeCoffee", {}), 0)
        refusal(event, "a", "NotImplemented")

    def test_action_of_a_later_version_is_not_implemented(self, v16, make, frame):
        refusal(make(v16).receive(frame(2, "a", "TransactionEvent", {}), 0), "a", "NotImplemented")

    def test_action_names_are_case_sensitive(self, version, make, frame):
        refusal(make(version).receive(frame(2, "a", "heartbeat", {}), 0), "a", "NotImplemented")

    def test_unknown_action_is_quoted_shortly_and_harmlessly(self, version, make, frame):
        answer = refusal(make(version).receive(frame(2, "a", "é\u0000" * 9000, {}), 0), "a", "NotImplemented")
        assert answer[3].isascii()
        assert len(answer[3]) < 255

    def test_action_that_this_side_does_not_serve_is_left_to_the_application(self, v16, make, frame):
        # A station that sends the CSMS's own RemoteStopTransaction: recognised, so NotSupported, which the app says.
        event = make(v16).receive(frame(2, "a", "RemoteStopTransaction", {"transactionId": 1}), 0)
        assert type(event) is CallReceived

    def test_payload_that_its_type_refuses_gets_the_code_of_the_decoder(self, version, make, frame):
        payload = {"connectorId": "one"} if version.name == "1.6" else {"evseId": "one", "meterValue": []}
        event = make(version).receive(frame(2, "a", "MeterValues", payload), 0)
        assert type(event) is Malformed
        answer = json.loads(event.reply)
        assert answer[:2] == [4, "a"]
        assert answer[2].endswith(("Violation", "ProtocolError"))

    @pytest.mark.parametrize("payload", ["[]", '"x"', "5", "true"])
    def test_payload_that_is_no_object_is_refused(self, version, make, payload):
        event = make(version).receive(b'[2,"a","Authorize",%b]' % payload.encode(), 0)
        assert type(event) is Malformed
        assert json.loads(event.reply)[:2] == [4, "a"]

    def test_refused_call_is_not_open(self, version, make, frame):
        rpc = make(version)
        rpc.receive(frame(2, "a", "MakeCoffee", {}), 0)
        assert rpc.open_calls == 0

    def test_tolerated_deviations_are_carried(self, standin, make, frame):
        fake = standin.Version("1.6")
        fake.actions["Ask"].deviations = ("null-for-absent",)
        rpc = make(fake)
        assert rpc.receive(frame(2, "a", "Ask", {}), 0).deviations == ("null-for-absent",)
        assert rpc.counters.tolerated == 1

    def test_fault_of_a_decoder_of_ours_is_an_internal_error(self, standin, make, frame):
        fake = standin.Version("2.1")
        fake.actions["Ask"].fails = KeyError("secret")
        rpc = make(fake)
        event = rpc.receive(frame(2, "a", "Ask", {}), 0)
        assert "secret" not in refusal(event, "a", "InternalError")[3]
        assert isinstance(event.error.__cause__, KeyError)
        assert rpc.counters.internal_errors == 1


NOT_JSON = [
    b"",
    b" ",
    b"hello",
    b"[2,",
    b"[2,2,3",
    b'{"a":1',
    b"[2,NaN]",
    b"[Infinity]",
    b"[01]",
    b"[1,]",
    b"\xef\xbb\xbf[]",
    b"[] []",
    b"\xff\xfe",
    b'["\xc3"]',
    b'["\\ud800"]',
    b'["\\ud800x"]',
    b'["\\udc00\\ud800"]',
    b'["\x00"]',
]
NO_ARRAY = [b"{}", b'"text"', b"5", b"null", b"true", b'{"2":"a"}']


class TestWhatIsNoMessage:
    """4.2.3: "-1" stands for a messageId that cannot be read; RpcFrameworkError, in 1.6 FormationViolation."""

    @pytest.mark.parametrize("data", NOT_JSON + NO_ARRAY)
    def test_not_json_or_not_an_array(self, version, make, data):
        event = make(version).receive(data, 0)
        refusal(event, "-1", FRAMEWORK[version.name])

    @pytest.mark.parametrize(
        "data",
        [b"[]", b"[null]", b'["2"]', b"[2]", b"[2,17]", b"[2,null]", b'[2,["a"]]', b'[2.5,"%s"]' % (b"x" * 37)],
    )
    def test_array_without_a_readable_id(self, version, make, data):
        refusal(make(version).receive(data, 0), "-1", FRAMEWORK[version.name])

    @pytest.mark.parametrize(
        "data",
        [
            b'[2,"a"]',
            b'[2,"a","Heartbeat"]',
            b'[2,"a","Heartbeat",{},{}]',
            b'[2,"a",17,{}]',
            b'[2,"a",null,{}]',
            b'["2","a","Heartbeat",{}]',
            b'[2.0,"a","Heartbeat",{}]',
            b'[null,"a"]',
            b'[true,"a"]',
            b'[{},"a"]',
        ],
    )
    def test_array_whose_id_can_be_read_is_answered_under_it(self, version, make, data):
        refusal(make(version).receive(data, 0), "a", FRAMEWORK[version.name])

    @pytest.mark.parametrize(
        "data",
        [b'[2,"a","Heartbeat",{', b'[2,"a","Heartbeat",{"x":NaN}]', b'[2,"a","Heartbeat",{"x":"\xff"}]', b'[2,"a"'],
    )
    def test_cut_off_or_spoilt_call_is_answered_under_its_id(self, version, make, data):
        refusal(make(version).receive(data, 0), "a", FRAMEWORK[version.name])

    @pytest.mark.parametrize(
        "data", [b'[2,"\xff","Heartbeat",{}]', b'[2,"a\\u0062', b'[2,"%s' % (b"x" * 300), b'[2,"%s",' % (b"x" * 37)]
    )
    def test_spoilt_call_with_an_id_that_is_not_plain_is_answered_under_minus_one(self, version, make, data):
        refusal(make(version).receive(data, 0), "-1", FRAMEWORK[version.name])

    @pytest.mark.parametrize("data", [b'<script>alert("x")</script>', b'[2,"a","Heartbeat",{"secret":'])
    def test_invalid_json_is_never_quoted_back(self, version, make, data):
        reply = make(version).receive(data, 0).reply
        assert b"script" not in reply
        assert b"secret" not in reply


class TestMessageTypes:
    """4.1.3: an unknown message type is ignored by 1.6; 2.x has MessageTypeNotSupported for it."""

    @pytest.mark.parametrize("number", [-1, 0, 1, 7, 42, 2**63, 10**30])
    def test_unknown_in_16_is_ignored(self, v16, make, number):
        rpc = make(v16)
        assert rpc.receive(b'[%d,"a","Heartbeat",{}]' % number, 0) == Ignored(events.IGNORED_UNKNOWN_MESSAGE_TYPE)
        assert rpc.counters.ignored == 1

    @pytest.mark.parametrize("number", [-1, 0, 1, 7, 42, 2**63, 10**30])
    def test_unknown_in_2x_is_refused(self, version2, make, number):
        event = make(version2).receive(b'[%d,"a","Heartbeat",{}]' % number, 0)
        refusal(event, "a", "MessageTypeNotSupported")

    def test_unknown_in_2x_without_an_id(self, version2, make):
        refusal(make(version2).receive(b"[7]", 0), "-1", "MessageTypeNotSupported")

    @pytest.mark.parametrize("number", [5, 6])
    def test_those_of_21_are_unknown_before(self, v16, v201, make, number):
        data = b'[%d,"a","NotifyPeriodicEventStream",{}]' % number
        assert type(make(v16).receive(data, 0)) is Ignored
        refusal(make(v201).receive(data, 0), "a", "MessageTypeNotSupported")

    def test_spoilt_message_of_an_unknown_type(self, v16, v201, make):
        assert type(make(v16).receive(b'[6,"a","X",{', 0)) is Ignored
        refusal(make(v201).receive(b'[6,"a","X",{', 0), "a", "MessageTypeNotSupported")


class TestMessageId:
    """4.1.4: a string of at most 36 characters"""

    def test_36_characters_are_allowed(self, version, make, frame):
        assert make(version).receive(frame(2, "x" * 36, "Heartbeat", {}), 0).message_id == "x" * 36

    def test_37_are_not_and_are_not_sent_back(self, version, make, frame):
        refusal(make(version).receive(frame(2, "x" * 37, "Heartbeat", {}), 0), "-1", FRAMEWORK[version.name])

    def test_characters_count_and_not_bytes(self, version, make, frame, read):
        rpc = make(version)
        assert type(rpc.receive(frame(2, "é" * 36, "Heartbeat", {}), 0)) is CallReceived
        assert read(rpc.refuse("é" * 36, RpcError("GenericError")))[1] == "é" * 36

    def test_the_limit_can_be_raised_for_stations_that_need_it(self, version, make, frame):
        rpc = make(version, limits=Limits(message_id=38))
        assert type(rpc.receive(frame(2, "x" * 38, "Heartbeat", {}), 0)) is CallReceived

    @pytest.mark.parametrize("message_id", ["", '"', "\\", "\u0000", "a\nb", "-1", "😀"])
    def test_odd_ids_come_back_as_they_were(self, version, make, frame, read, message_id):
        rpc = make(version)
        assert type(rpc.receive(frame(2, message_id, "Heartbeat", {}), 0)) is CallReceived
        assert read(rpc.refuse(message_id, RpcError("GenericError")))[1] == message_id

    def test_integer_id_is_unreadable(self, version, make, frame):
        refusal(make(version).receive(frame(2, 17, "Heartbeat", {}), 0), "-1", FRAMEWORK[version.name])


PAYLOAD = {"id": 1, "pending": 0, "basetime": "2026-01-31T12:00:00Z", "data": [{"t": 0, "v": "1"}]}


class TestSend:
    """2.1: [6, messageId, action, payload] is never answered, whatever is wrong with it"""

    def test_is_handed_over_and_leaves_nothing_open(self, v21, make, frame):
        rpc = make(v21)
        event = rpc.receive(frame(6, "a", "NotifyPeriodicEventStream", PAYLOAD), 0)
        assert type(event) is SendReceived
        assert event.action.name == "NotifyPeriodicEventStream"
        assert rpc.open_calls == 0
        assert rpc.counters.sends_received == 1

    @pytest.mark.parametrize(
        ("elements", "code"),
        [
            ((6, "a", "MakeCoffee", {}), "NotImplemented"),
            ((6, "a", "Heartbeat", {}), "MessageTypeNotSupported"),
            ((6, "x" * 37, "NotifyPeriodicEventStream", PAYLOAD), "RpcFrameworkError"),
            ((6, "a", "NotifyPeriodicEventStream"), "RpcFrameworkError"),
            ((6,), "RpcFrameworkError"),
        ],
    )
    def test_bad_one_is_dropped(self, v21, make, frame, elements, code):
        rpc = make(v21)
        event = rpc.receive(frame(*elements), 0)
        assert type(event) is Malformed
        assert (event.error.code, event.reply, event.call) == (code, None, None)
        assert rpc.counters.malformed == 1

    def test_bad_payload_is_dropped(self, v21, make, frame):
        event = make(v21).receive(frame(6, "a", "NotifyPeriodicEventStream", {"id": "x"}), 0)
        assert type(event) is Malformed
        assert event.reply is None

    def test_spoilt_one_is_dropped(self, v21, make):
        assert make(v21).receive(b'[6,"a","NotifyPeriodicEventStream",{', 0).reply is None

    def test_its_action_may_not_come_as_call(self, v21, make, frame):
        event = make(v21).receive(frame(2, "a", "NotifyPeriodicEventStream", PAYLOAD), 0)
        refusal(event, "a", "MessageTypeNotSupported")

    def test_deviations_are_carried(self, standin, make, frame):
        fake = standin.Version("2.1")
        fake.actions["Tell"].deviations = ("odd",)
        rpc = make(fake)
        assert rpc.receive(frame(6, "a", "Tell", {}), 0).deviations == ("odd",)
        assert rpc.counters.tolerated == 1


class TestCallResultError:
    """2.1: [5, messageId, errorCode, errorDescription, errorDetails], the peer could not read our CALLRESULT"""

    def test_is_handed_over(self, v21, make, frame):
        rpc = make(v21)
        event = rpc.receive(frame(5, "a", "FormatViolation", "why", {"x": 1}), 0)
        assert type(event) is ResultErrorReceived
        assert event.message_id == "a"
        assert (event.error.code, event.error.description, event.error.details) == ("FormatViolation", "why", {"x": 1})
        assert rpc.counters.result_errors_received == 1

    @pytest.mark.parametrize("elements", [(5, "a"), (5, "a", 17, None, []), (5, "a", "GenericError")])
    def test_is_read_leniently(self, v21, make, frame, elements):
        event = make(v21).receive(frame(*elements), 0)
        assert type(event) is ResultErrorReceived
        assert (event.message_id, event.error.code, event.error.details) == ("a", "GenericError", {})

    @pytest.mark.parametrize("data", [b"[5]", b"[5,17]", b'[5,"%s","X","",{}]' % (b"x" * 37), b'[5,"a",{'])
    def test_without_a_readable_id_or_spoilt_is_dropped(self, v21, make, data):
        event = make(v21).receive(data, 0)
        assert type(event) is Malformed
        assert event.reply is None


class TestLimits:
    def test_too_large_is_answered_under_the_id_without_decoding(self, version, make, frame):
        data = frame(2, "a", "DataTransfer", {"vendorId": "x", "data": "y" * 500})
        rpc = make(version, limits=Limits(size=len(data) - 1))
        refusal(rpc.receive(data, 0), "a", FRAMEWORK[version.name])
        assert type(make(version, limits=Limits(size=len(data))).receive(data, 0)) is CallReceived

    def test_too_large_and_unreadable(self, version, make):
        refusal(make(version).receive(b"x" * 262_145, 0), "-1", FRAMEWORK[version.name])

    @pytest.mark.parametrize("opening", [b"[", b'{"a":'])
    def test_too_deep(self, version, make, opening):
        closing = b"]" if opening == b"[" else b"}"
        for depth in (16, 900, 40_000):
            data = b'[2,"a","Heartbeat",' + opening * depth + b"1" + closing * depth + b"]"
            answer = refusal(make(version).receive(data, 0), "a", FRAMEWORK[version.name])
            assert "deeper" in answer[3]
            unclosed = refusal(make(version).receive(data[: -depth - 1], 0), "a", FRAMEWORK[version.name])
            assert "deeper" in unclosed[3]

    def test_deep_enough(self, v201, make):
        data = b'[2,"a","DataTransfer",{"vendorId":"x","data":' + b"[" * 14 + b"]" * 14 + b"}]"
        assert type(make(v201).receive(data, 0)) is CallReceived

    def test_no_limit_is_beyond_the_stack(self, version, make):
        data = b'[2,"a","Heartbeat",' + b"[" * 100_000 + b"]" * 100_000 + b"]"
        event = make(version, limits=Limits(depth=10**9)).receive(data, 0)
        refusal(event, "a", FRAMEWORK[version.name])

    def test_as_many_open_calls_as_allowed(self, version, make, frame):
        rpc = make(version, limits=Limits(open_calls=2))
        for message_id in "ab":
            assert type(rpc.receive(frame(2, message_id, "Heartbeat", {}), 0)) is CallReceived
        code = "GenericError" if version.name == "1.6" else "RpcFrameworkError"
        refusal(rpc.receive(frame(2, "c", "Heartbeat", {}), 0), "c", code)
        assert rpc.counters.overloaded == 1
        rpc.refuse("a", RpcError("GenericError"))
        assert type(rpc.receive(frame(2, "c", "Heartbeat", {}), 0)) is CallReceived

    @pytest.mark.parametrize(
        "payload",
        [
            '{"connectorId":' + "9" * 5000 + ',"meterValue":[]}',
            '{"connectorId":1e999999999,"meterValue":[]}',
            '{"connectorId":-0.0e-0,"meterValue":{}}',
            '{"connectorId":1,"connectorId":"x","connectorId":1}',
            '{"\\u0000":1}',
            '{"":{}}',
        ],
    )
    def test_numbers_and_keys_to_choke_on_are_refused_quickly(self, version, make, payload):
        event = make(version).receive(b'[2,"a","MeterValues",%b]' % payload.encode(), 0)
        assert type(event) is Malformed
        answer = json.loads(event.reply)
        assert answer[:2] == [4, "a"]
        assert answer[2] != "InternalError"


class TestErrorsOfOurs:
    def test_details_and_description_that_are_no_json_are_left_out(self, version, make, frame, read):
        rpc = make(version)
        for details in ({"x": object()}, {"x": "\ud800"}, {object(): 1}):
            rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
            reply = read(rpc.refuse("a", RpcError("GenericError", "lone \ud800", details)))
            assert reply == [4, "a", "GenericError", "lone ?", {}]

    def test_16_sends_the_nearest_of_the_codes_that_it_has(self, v16, make, frame, read):
        codes = {
            "FormatViolation": "FormationViolation",
            "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
            "MessageTypeNotSupported": "ProtocolError",
            "RpcFrameworkError": "FormationViolation",
            "TypeConstraintViolation": "TypeConstraintViolation",
        }
        rpc = make(v16)
        for canonical, spelled in codes.items():
            rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
            assert read(rpc.refuse("a", RpcError(canonical)))[2] == spelled


def test_two_machines_never_quarrel(version, make):
    """What one answers to rubbish, the other takes in silence."""
    left, right = make(version), make(version)
    for data in [*NOT_JSON, *NO_ARRAY, b"[]", b"[7]", b"[2]", b"[3]", b"[4]", b"[5]", b"[6]", b'[2,"a","X",{}]']:
        answer = left.receive(data, 0).reply if type(left.receive(data, 0)) is Malformed else None
        if answer is not None:
            assert getattr(right.receive(answer, 0), "reply", None) is None


def test_open_call_and_result_name_their_action():
    version = load("1.6")
    rpc = Rpc(version, timeout_ms=1000)
    request = version.actions["Reset"].request_type(type="Soft")
    rpc.call("a", "Reset", request, 500, tag="mine")
    call = rpc.outstanding
    assert type(call) is OpenCall
    assert (call.action.name, call.request, call.tag, call.sent_at, call.deadline) == (
        "Reset",
        request,
        "mine",
        500,
        1500,
    )
    event = rpc.receive(b'[3,"a",{"status":"Accepted"}]', 600)
    assert type(event) is ResultReceived
    assert event.call is call
    assert event.response.status == "Accepted"
