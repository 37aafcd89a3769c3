"""OCPP-J 4.1.1 and 4.2: calls of ours, their answers, and answers that are none."""

from __future__ import annotations

import json

import pytest

from pilotwire.core.errors import LocalError, TransientError
from pilotwire.protocols.ocpp.rpc import events
from pilotwire.protocols.ocpp.rpc.machine import (
    Busy,
    CallReceived,
    Closed,
    Counters,
    ErrorReceived,
    Ignored,
    Limits,
    Malformed,
    ResultReceived,
)


def data_transfer(version, **fields):
    return version.actions["DataTransfer"].request_type(vendor_id="org.example", **fields)


@pytest.fixture
def calling(version, make):
    """A machine with the CALL "a" outstanding since 1000, its deadline at 31000."""
    rpc = make(version)
    rpc.call("a", "DataTransfer", data_transfer(version), 1000)
    return rpc


ACCEPTED = b'[3,"a",{"status":"Accepted"}]'


class TestCall:
    def test_is_written_as_the_standard_says(self, version, make, read):
        assert read(make(version).call("a", "DataTransfer", data_transfer(version), 0)) == [
            2,
            "a",
            "DataTransfer",
            {"vendorId": "org.example"},
        ]

    def test_only_one_may_be_outstanding(self, version, calling):
        first = calling.outstanding
        with pytest.raises(Busy) as error:
            calling.call("b", "DataTransfer", data_transfer(version), 1000)
        assert isinstance(error.value, TransientError)
        assert calling.outstanding is first

    def test_the_next_one_follows_the_end_of_the_first(self, version, calling):
        assert type(calling.receive(ACCEPTED, 1001)) is ResultReceived
        assert calling.outstanding is None
        calling.call("b", "DataTransfer", data_transfer(version), 1002)
        assert calling.outstanding.message_id == "b"

    def test_calls_may_cross(self, version, calling, frame, read):
        event = calling.receive(frame(2, "a", "Heartbeat", {}), 1001)
        assert type(event) is CallReceived
        assert calling.outstanding.message_id == "a"
        response, _ = event.action.decode_response(b'{"currentTime":"2026-01-31T12:00:00Z"}')
        assert read(calling.answer("a", response))[0] == 3
        assert type(calling.receive(ACCEPTED, 1002)) is ResultReceived

    @pytest.mark.parametrize("message_id", ["", "-1", "x" * 37])
    def test_id_must_be_one(self, version, make, message_id):
        rpc = make(version)
        with pytest.raises(LocalError):
            rpc.call(message_id, "DataTransfer", data_transfer(version), 0)
        assert rpc.outstanding is None

    def test_action_must_exist_and_request_must_be_its_own(self, version, make):
        rpc = make(version)
        with pytest.raises(LocalError):
            rpc.call("a", "MakeCoffee", data_transfer(version), 0)
        with pytest.raises(LocalError):
            rpc.call("a", "Heartbeat", data_transfer(version), 0)
        with pytest.raises(LocalError):
            rpc.call("a", "DataTransfer", version.actions["DataTransfer"].response_type(status="Accepted"), 0)
        assert rpc.outstanding is None

    def test_what_the_schema_refuses_is_not_sent(self, version, make):
        rpc = make(version)
        with pytest.raises(LocalError):
            rpc.call("a", "DataTransfer", version.actions["DataTransfer"].request_type(vendor_id="x" * 256), 0)
        assert rpc.outstanding is None


class TestAnswers:
    def test_error_ends_the_call(self, calling, frame):
        event = calling.receive(frame(4, "a", "NotSupported", "no", {"x": 1}), 1001)
        assert type(event) is ErrorReceived
        assert event.call.message_id == "a"
        assert (event.error.code, event.error.description, event.error.details) == ("NotSupported", "no", {"x": 1})
        assert calling.outstanding is None
        assert calling.counters.errors_received == 1

    @pytest.mark.parametrize(
        ("code", "canonical"),
        [
            ("FormationViolation", "FormatViolation"),
            ("FormatViolation", "FormatViolation"),
            ("OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
            ("OccurrenceConstraintViolation", "OccurrenceConstraintViolation"),
            ("VendorsOwn", "VendorsOwn"),
        ],
    )
    def test_error_codes_are_read_in_any_spelling(self, calling, frame, code, canonical):
        assert calling.receive(frame(4, "a", code, "", {}), 0).error.code == canonical

    @pytest.mark.parametrize(
        "elements",
        [
            (4, "a"),
            (4, "a", ""),
            (4, "a", None, None, None),
            (4, "a", 17, 18, "x"),
            (4, "a", "GenericError", "", [1]),
            (4, "a", "GenericError", "", {}, "more"),
        ],
    )
    def test_error_ends_the_call_however_badly_it_is_written(self, calling, frame, elements):
        event = calling.receive(frame(*elements), 0)
        assert type(event) is ErrorReceived
        assert (event.error.code, event.error.details) == ("GenericError", {})

    def test_long_errors_are_cut(self, calling, frame):
        error = calling.receive(frame(4, "a", "C" * 9000, "d" * 9000, {}), 0).error
        assert len(error.code) == 64
        assert len(error.description) == 255

    def test_result_that_its_type_refuses_ends_the_call(self, version, calling):
        event = calling.receive(b'[3,"a",{"status":17}]', 1001)
        assert type(event) is Malformed
        assert event.call.message_id == "a"
        assert calling.outstanding is None
        if version.name == "2.1":
            assert json.loads(event.reply)[:3] == [5, "a", event.error.code]
        else:
            assert event.reply is None

    @pytest.mark.parametrize(
        "data", [b'[3,"a"]', b'[3,"a",{},{}]', b'[3,"a",{', b'[3,"a","\xff"]', b'[3,"a",%b]' % (b"[" * 20 + b"]" * 20)]
    )
    def test_result_that_is_no_message_ends_the_call(self, version, calling, data):
        event = calling.receive(data, 1001)
        assert type(event) is Malformed
        assert event.call.message_id == "a"
        assert event.error.code == "RpcFrameworkError"
        assert (event.reply is not None) is (version.name == "2.1")
        assert calling.outstanding is None

    def test_result_that_is_too_large_ends_the_call(self, version, make):
        rpc = make(version, limits=Limits(size=100))
        rpc.call("a", "DataTransfer", data_transfer(version), 0)
        event = rpc.receive(b'[3,"a",{"status":"Accepted","data":"%b"}]' % (b"x" * 100), 0)
        assert event.call.message_id == "a"

    def test_error_that_is_cut_off_ends_the_call_in_silence(self, calling):
        event = calling.receive(b'[4,"a","GenericErr', 1001)
        assert type(event) is Malformed
        assert event.call.message_id == "a"
        assert event.reply is None

    @pytest.mark.parametrize("data", [b"[3]", b"[4]", b"[3,17,{}]", b"[4,17]", b'[3,"%b"]' % (b"x" * 37)])
    def test_answer_without_a_readable_id_is_dropped(self, calling, data):
        event = calling.receive(data, 1001)
        assert type(event) is Malformed
        assert (event.reply, event.call) == (None, None)
        assert calling.outstanding is not None

    def test_fault_of_a_decoder_of_ours_ends_the_call(self, standin, make):
        fake = standin.Version("2.1")
        rpc = make(fake)
        rpc.call("a", "Ask", standin.Ask(), 0)
        fake.actions["Ask"].fails = ZeroDivisionError()
        event = rpc.receive(b'[3,"a",{}]', 0)
        assert (event.call.message_id, event.error.code) == ("a", "InternalError")
        assert json.loads(event.reply)[:3] == [5, "a", "InternalError"]

    def test_deviations_are_carried(self, standin, make):
        fake = standin.Version("1.6")
        fake.actions["Ask"].deviations = ("odd",)
        rpc = make(fake)
        rpc.call("a", "Ask", standin.Ask(), 0)
        assert rpc.receive(b'[3,"a",{}]', 0).deviations == ("odd",)
        assert rpc.counters.tolerated == 1

    @pytest.mark.parametrize(
        "data",
        [
            b'[3,"b",{"status":"Accepted"}]',
            b'[4,"b","GenericError","",{}]',
            b'[4,"b"]',
            b'[4,"b",0,0,0]',
            b'[3,"b"]',
            b'[3,"b",{',
        ],
    )
    def test_answer_for_nobody_is_ignored_and_counted(self, calling, data):
        assert calling.receive(data, 1001) == Ignored(events.IGNORED_UNASKED_ANSWER)
        assert calling.outstanding is not None
        assert calling.counters.unasked_answers == 1

    def test_answer_when_nothing_was_asked(self, version, make):
        assert make(version).receive(ACCEPTED, 0) == Ignored(events.IGNORED_UNASKED_ANSWER)

    def test_second_answer_is_ignored_and_counted(self, calling):
        calling.receive(ACCEPTED, 1001)
        for data in (ACCEPTED, b'[4,"a","GenericError","",{}]', b'[3,"a"]'):
            assert calling.receive(data, 1002) == Ignored(events.IGNORED_REPEATED_ANSWER)
        assert calling.counters.late_answers == 3

    def test_error_under_minus_one_belongs_to_no_call(self, calling, frame):
        event = calling.receive(frame(4, "-1", "RpcFrameworkError", "", {}), 1001)
        assert event == Ignored(events.IGNORED_UNREADABLE_AT_PEER)
        assert calling.outstanding is not None


class TestTime:
    def test_call_expires_at_its_deadline_and_not_before(self, calling):
        assert calling.expire(30_999) is None
        assert calling.expire(31_000).message_id == "a"
        assert calling.expire(31_000) is None
        assert calling.outstanding is None
        assert calling.counters.timeouts == 1

    def test_nothing_outstanding_nothing_expires(self, version, make):
        assert make(version).expire(10**15) is None

    def test_late_answer_is_ignored_and_counted(self, version, calling):
        calling.expire(31_000)
        assert calling.receive(ACCEPTED, 31_001) == Ignored(events.IGNORED_LATE_ANSWER)
        calling.call("b", "DataTransfer", data_transfer(version), 31_002)
        assert calling.receive(ACCEPTED, 31_003) == Ignored(events.IGNORED_LATE_ANSWER)
        assert calling.outstanding.message_id == "b"
        assert calling.counters.late_answers == 2

    def test_answer_after_the_deadline_counts_as_long_as_the_call_has_not_expired(self, calling):
        assert type(calling.receive(ACCEPTED, 99_999)) is ResultReceived

    def test_retry_may_reuse_the_id(self, version, calling):
        calling.expire(31_000)
        calling.call("a", "DataTransfer", data_transfer(version), 31_001)
        assert type(calling.receive(ACCEPTED, 31_002)) is ResultReceived

    def test_timeout_can_be_changed_for_the_next_call(self, version, make):
        rpc = make(version, timeout_ms=5)
        rpc.timeout_ms = 7
        rpc.call("a", "DataTransfer", data_transfer(version), 100)
        assert rpc.outstanding.deadline == 107

    def test_only_the_last_ended_calls_are_remembered(self, version, make):
        rpc = make(version)
        for n in range(20):
            rpc.call(f"c{n}", "DataTransfer", data_transfer(version), 0)
            rpc.expire(10**9)
        assert rpc.receive(b'[3,"c19",{}]', 0) == Ignored(events.IGNORED_LATE_ANSWER)
        assert rpc.receive(b'[3,"c12",{}]', 0) == Ignored(events.IGNORED_LATE_ANSWER)
        assert rpc.receive(b'[3,"c11",{}]', 0) == Ignored(events.IGNORED_UNASKED_ANSWER)


class TestClose:
    def test_ends_the_outstanding_call_once(self, calling):
        assert calling.close().message_id == "a"
        assert calling.close() is None
        assert calling.outstanding is None
        assert calling.expire(10**9) is None

    def test_nothing_is_received_or_called_any_more(self, version, calling):
        calling.close()
        assert calling.receive(ACCEPTED, 1001) == Ignored(events.IGNORED_CLOSED)
        with pytest.raises(Closed):
            calling.call("b", "DataTransfer", data_transfer(version), 1002)
        with pytest.raises(Closed):
            calling.send("b", "NotifyPeriodicEventStream", data_transfer(version))

    def test_open_calls_of_the_peer_can_still_be_answered(self, version, make, frame, read):
        rpc = make(version)
        event = rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
        rpc.close()
        response, _ = event.action.decode_response(b'{"currentTime":"2026-01-31T12:00:00Z"}')
        assert read(rpc.answer("a", response))[:2] == [3, "a"]


class TestAnswering:
    def test_each_call_is_answered_once(self, version, make, frame):
        rpc = make(version)
        event = rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
        response, _ = event.action.decode_response(b'{"currentTime":"2026-01-31T12:00:00Z"}')
        rpc.answer("a", response)
        with pytest.raises(LocalError):
            rpc.answer("a", response)
        with pytest.raises(LocalError):
            rpc.refuse("a", events.RpcError("GenericError"))

    def test_answers_may_come_in_any_order(self, version, make, frame, read):
        rpc = make(version)
        for message_id in "abc":
            rpc.receive(frame(2, message_id, "DataTransfer", {"vendorId": message_id}), 0)
        response = version.actions["DataTransfer"].response_type(status="Accepted")
        assert [read(rpc.answer(m, response))[1] for m in "cab"] == ["c", "a", "b"]
        assert rpc.counters.answers_sent == 3

    def test_answer_of_another_type_is_not_sent_and_the_call_stays_open(self, version, make, frame, read):
        rpc = make(version)
        rpc.receive(frame(2, "a", "DataTransfer", {"vendorId": "x"}), 0)
        for wrong in (
            version.actions["DataTransfer"].request_type(vendor_id="x"),
            version.actions["Heartbeat"].request_type(),
            version.actions["DataTransfer"].response_type(status="Nonsense"),
        ):
            with pytest.raises(LocalError):
                rpc.answer("a", wrong)
        assert read(rpc.refuse("a", events.RpcError("InternalError")))[:3] == [4, "a", "InternalError"]
        assert rpc.counters.refusals_sent == 1

    def test_action_without_a_response_cannot_be_answered(self, standin, make, frame):
        fake = standin.Version("2.1")
        fake.actions["Ask"].response_type = None
        rpc = make(fake)
        rpc.receive(frame(2, "a", "Ask", {}), 0)
        with pytest.raises(LocalError):
            rpc.answer("a", standin.Reply())


class TestSend:
    def request(self, v21):
        request, _ = v21.actions["NotifyPeriodicEventStream"].decode_request(
            b'{"id":1,"pending":0,"basetime":"2026-01-31T12:00:00Z","data":[{"t":0,"v":"1"}]}'
        )
        return request

    def test_goes_out_while_a_call_is_outstanding(self, v21, make, read):
        rpc = make(v21)
        rpc.call("a", "DataTransfer", data_transfer(v21), 0)
        assert read(rpc.send("b", "NotifyPeriodicEventStream", self.request(v21)))[:3] == [
            6,
            "b",
            "NotifyPeriodicEventStream",
        ]
        assert rpc.outstanding.message_id == "a"
        assert rpc.counters.sends_sent == 1

    def test_call_and_send_are_not_exchangeable(self, v21, make):
        rpc = make(v21)
        with pytest.raises(LocalError):
            rpc.send("a", "DataTransfer", data_transfer(v21))
        with pytest.raises(LocalError):
            rpc.call("a", "NotifyPeriodicEventStream", self.request(v21), 0)

    def test_earlier_versions_have_none(self, v16, v201, make):
        for version in (v16, v201):
            with pytest.raises(LocalError):
                make(version).send("a", "NotifyPeriodicEventStream", data_transfer(version))


def test_counters_may_be_shared(version, make, frame):
    counters = Counters()
    for _ in range(3):
        make(version, counters=counters).receive(frame(2, "a", "Heartbeat", {}), 0)
    assert dict(counters.items())["calls_received"] == 3
