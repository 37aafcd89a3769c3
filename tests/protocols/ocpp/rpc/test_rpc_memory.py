"""OCPP-J 4.1.4: a message may be sent again under its id, and then gets the answer it got before."""

from __future__ import annotations

import json

import pytest

from pilotwire.protocols.ocpp.rpc.machine import AnswerMemory, CallReceived, Malformed, Repeated, RpcError


@pytest.fixture
def ask(version):
    """The same CALL, and its answer."""
    response = version.actions["DataTransfer"].response_type(status="Accepted")
    return b'[2,"a","DataTransfer",{"vendorId":"x"}]', response


class TestTheSameCallAgain:
    def test_while_it_is_open_is_dropped(self, version, make, ask):
        rpc = make(version)
        rpc.receive(ask[0], 0)
        assert rpc.receive(ask[0], 1) == Repeated("a", None)
        assert rpc.open_calls == 1
        assert rpc.counters.repeated == 1

    def test_gets_the_same_answer(self, version, make, ask):
        rpc = make(version, memory=AnswerMemory())
        rpc.receive(ask[0], 0)
        reply = rpc.answer("a", ask[1])
        assert rpc.receive(ask[0], 1) == Repeated("a", reply)
        assert rpc.receive(ask[0], 2) == Repeated("a", reply)
        assert rpc.open_calls == 0

    def test_is_a_new_one_without_a_memory(self, version, make, ask):
        rpc = make(version)
        rpc.receive(ask[0], 0)
        rpc.answer("a", ask[1])
        assert type(rpc.receive(ask[0], 1)) is CallReceived

    def test_gets_a_new_chance_after_a_refusal(self, version, make, ask):
        rpc = make(version, memory=AnswerMemory())
        rpc.receive(ask[0], 0)
        rpc.refuse("a", RpcError("InternalError"))
        assert type(rpc.receive(ask[0], 1)) is CallReceived

    def test_is_read_again_when_its_answer_is_the_time(self, version, make, frame):
        rpc = make(version, memory=AnswerMemory())
        for _ in range(2):
            event = rpc.receive(frame(2, "a", "Heartbeat", {}), 0)
            assert type(event) is CallReceived
            response, _ = event.action.decode_response(b'{"currentTime":"2026-01-31T12:00:00Z"}')
            rpc.answer("a", response)

    def test_is_recognised_on_the_next_connection_in_2x(self, version2, make, frame):
        memory = AnswerMemory()
        data = frame(2, "a", "DataTransfer", {"vendorId": "x"})
        first = make(version2, memory=memory)
        first.receive(data, 0)
        first.close()
        reply = first.answer("a", version2.actions["DataTransfer"].response_type(status="Accepted"))
        assert make(version2, memory=memory).receive(data, 1) == Repeated("a", reply)

    def test_is_a_new_one_on_the_next_connection_in_16(self, v16, make, frame):
        # 1.6 ids are unique in one connection only: a rebooted station counts from 1 again.
        memory = AnswerMemory()
        data = frame(2, "1", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        response = v16.actions["StatusNotification"].response_type()
        first = make(v16, memory=memory)
        first.receive(data, 0)
        first.answer("1", response)
        first.receive(data.replace(b'"1"', b'"2"'), 0)
        first.close()
        second = make(v16, memory=memory)
        first.answer("2", response)  # the commit came after the reconnect; the answer belongs to the old connection
        assert type(second.receive(data, 1)) is CallReceived
        assert type(second.receive(data.replace(b'"1"', b'"2"'), 1)) is CallReceived

    def test_is_read_again_when_the_peer_could_not_read_the_answer(self, v21, make, frame):
        rpc = make(v21, memory=AnswerMemory())
        data = frame(2, "a", "DataTransfer", {"vendorId": "x"})
        rpc.receive(data, 0)
        rpc.answer("a", v21.actions["DataTransfer"].response_type(status="Accepted"))
        rpc.receive(frame(5, "a", "FormatViolation", "", {}), 1)
        assert type(rpc.receive(data, 2)) is CallReceived


class TestTheSameIdWithOtherContent:
    def test_is_a_new_call_and_counted(self, version, make, ask, frame, read):
        rpc = make(version, memory=AnswerMemory())
        rpc.receive(ask[0], 0)
        rpc.answer("a", ask[1])
        other = frame(2, "a", "DataTransfer", {"vendorId": "y"})
        assert type(rpc.receive(other, 1)) is CallReceived
        assert rpc.counters.message_id_reused == 1
        reply = rpc.answer("a", ask[1])
        assert rpc.receive(other, 2) == Repeated("a", reply)
        assert type(rpc.receive(ask[0], 3)) is CallReceived

    def test_is_refused_under_minus_one_while_the_first_is_open(self, version, make, ask, frame, read):
        # Under its id the refusal would pass for the answer to the first.
        rpc = make(version)
        rpc.receive(ask[0], 0)
        event = rpc.receive(frame(2, "a", "DataTransfer", {"vendorId": "y"}), 1)
        assert type(event) is Malformed
        assert json.loads(event.reply)[:2] == [4, "-1"]
        assert rpc.counters.message_id_reused == 1
        assert read(rpc.answer("a", ask[1]))[:2] == [3, "a"]

    def test_broken_frame_under_the_id_of_an_open_call_is_answered_under_minus_one(self, version, make, ask):
        rpc = make(version)
        rpc.receive(ask[0], 0)
        assert json.loads(rpc.receive(b'[2,"a","DataTransfer"]', 1).reply)[:2] == [4, "-1"]


class TestAnswerMemory:
    def test_keeps_the_newest(self):
        memory = AnswerMemory(capacity=2)
        scope = memory.enter(lasting=True)
        for name in "abc":
            memory.keep(scope, name, name.encode(), b"reply")
        assert [memory.find(name) is not None for name in "abc"] == [False, True, True]
        assert len(memory) == 2

    def test_an_answer_kept_again_is_the_newest(self):
        memory = AnswerMemory(capacity=2)
        for name in "abac":
            memory.keep(0, name, b"", b"")
        assert [memory.find(name) is not None for name in "abc"] == [True, False, True]

    def test_keeps_nothing_large(self):
        memory = AnswerMemory(max_bytes=10)
        memory.keep(0, "a", b"y" * 5, b"x" * 5)
        assert memory.find("a") is not None
        memory.keep(0, "b", b"y" * 5, b"x" * 6)
        assert memory.find("b") is None, "CALL and answer count together"
        memory.keep(0, "a", b"", b"x" * 11)
        assert memory.find("a") is None, "an answer too large to keep replaces the one before it all the same"

    def test_forgets(self):
        memory = AnswerMemory()
        memory.keep(0, "a", b"", b"")
        memory.forget("a")
        memory.forget("never there")
        assert memory.find("a") is None

    def test_keeps_the_call_with_its_answer(self):
        memory = AnswerMemory()
        memory.keep(0, "a", b"frame", b"reply")
        assert memory.find("a") == (b"frame", b"reply")

    def test_scope_ends_with_the_next_connection_unless_ids_last(self):
        memory = AnswerMemory(max_bytes=10)
        first = memory.enter(lasting=True)
        assert memory.enter(lasting=True) == first
        memory.keep(first, "a", b"", b"x" * 10)
        second = memory.enter(lasting=False)
        assert len(memory) == 0
        memory.keep(first, "a", b"", b"")
        assert memory.find("a") is None
        memory.keep(second, "a", b"", b"x" * 10)
        assert memory.find("a") is not None
