"""Two machines and a network that loses, repeats and reorders: every interleaving up to a number of steps.

States that are equal in all that matters are visited once, so the search is exhaustive and still short. A DataTransfer
carries its own id as data, both ways, so that an answer for the wrong call shows itself.
"""

from __future__ import annotations

import pytest

from pilotwire.protocols.ocpp.rpc.machine import (
    AnswerMemory,
    Busy,
    CallReceived,
    ErrorReceived,
    Ignored,
    Malformed,
    Repeated,
    ResultReceived,
    Rpc,
    RpcError,
)
from pilotwire.protocols.ocpp.version import load

CALLS_PER_SIDE = 2
IN_FLIGHT = 3


def clone_machine(rpc: Rpc, memory: AnswerMemory) -> Rpc:
    """A copy that shares nothing that changes."""
    copy = object.__new__(Rpc)
    for slot in (slot for kind in Rpc.__mro__ for slot in getattr(kind, "__slots__", ())):
        value = getattr(rpc, slot)
        setattr(copy, slot, dict(value) if slot in ("_open", "_ended") else value)
    copy._memory = memory
    return copy


def clone_memory(memory: AnswerMemory) -> AnswerMemory:
    copy = AnswerMemory()
    copy._kept.update(memory._kept)
    copy._scope = memory._scope
    return copy


class Side:
    """One end: its machine, and what a correct observer knows."""

    def __init__(self, name, version):
        self.name = name
        self.version = version
        self.memory = AnswerMemory()
        self.rpc = Rpc(version, memory=self.memory)
        self.made = 0
        self.ends = {}  # id of a call of ours → how it ended, None while it is open
        self.open = ()  # ids of the peer's calls that the application has in hand
        self.answered = {}  # id of a call of the peer → connection in which it got its CALLRESULT

    def copy(self):
        twin = object.__new__(Side)
        twin.__dict__.update(self.__dict__)
        twin.memory = clone_memory(self.memory)
        twin.rpc = clone_machine(self.rpc, twin.memory)
        twin.ends = dict(self.ends)
        twin.answered = dict(self.answered)
        return twin

    def key(self):
        return (
            self.made,
            tuple(self.ends.items()),
            self.open,
            tuple(sorted(self.answered.items())),
            tuple(self.rpc._ended.items()),
        )

    def end(self, call, how):
        assert call.message_id in self.ends, f"{self.name}: an end for a call that was never made"
        assert self.ends[call.message_id] is None, f"{self.name}: {call.message_id} ended twice"
        self.ends[call.message_id] = how


class World:
    def __init__(self, version):
        self.sides = (Side("csms", version), Side("station", version))
        self.wires = ((), ())  # what is on its way to the other: from 0 to 1, from 1 to 0
        self.connection = 0

    def copy(self):
        twin = object.__new__(World)
        twin.sides = tuple(side.copy() for side in self.sides)
        twin.wires = self.wires
        twin.connection = self.connection
        return twin

    def key(self):
        return (self.wires, self.connection, self.sides[0].key(), self.sides[1].key())

    # ── what may happen ──────────────────────────────────────────────────────────────────────────────────────────

    def steps(self):
        yield ("reconnect",)
        for i, side in enumerate(self.sides):
            if side.made < CALLS_PER_SIDE:
                yield ("call", i)
            if side.rpc.outstanding is not None:
                yield ("expire", i)
            for message_id in side.open:
                yield ("answer", i, message_id)
                yield ("refuse", i, message_id)
            for n in range(len(set(self.wires[i]))):
                yield ("deliver", i, n)
                yield ("lose", i, n)
                yield ("repeat", i, n)

    def put(self, i, frame):
        if frame is not None and len(self.wires[i]) < IN_FLIGHT:
            wires = list(self.wires)
            wires[i] = (*wires[i], frame)
            self.wires = tuple(wires)

    def take(self, i, n):
        wires = list(self.wires)
        frame = wires[i][n]
        wires[i] = wires[i][:n] + wires[i][n + 1 :]
        self.wires = tuple(wires)
        return frame

    def apply(self, step):
        kind = step[0]
        if kind == "reconnect":
            # Frames of the old connection may still arrive: worse than any real network.
            for side in self.sides:
                call = side.rpc.close()
                if call is not None:
                    side.end(call, "closed")
                assert None not in side.ends.values()
                side.rpc = Rpc(side.version, memory=side.memory)
                side.open = ()
            self.connection += 1
            return
        i = step[1]
        side = self.sides[i]
        if kind == "call":
            self.call(i, side)
        elif kind == "expire":
            call = side.rpc.expire(side.rpc.outstanding.deadline)
            side.end(call, "expired")
            assert side.rpc.outstanding is None
        elif kind == "answer":
            side.open = tuple(m for m in side.open if m != step[2])
            side.answered[step[2]] = self.connection
            response = side.version.actions["DataTransfer"].response_type(status="Accepted", data=step[2])
            self.put(i, side.rpc.answer(step[2], response))
        elif kind == "refuse":
            side.open = tuple(m for m in side.open if m != step[2])
            self.put(i, side.rpc.refuse(step[2], RpcError("GenericError", step[2])))
        elif kind == "lose":
            self.take(i, step[2])
        elif kind == "repeat":
            self.put(i, self.wires[i][step[2]])
        else:
            self.receive(1 - i, self.sides[1 - i], self.take(i, step[2]))

    def call(self, i, side):
        message_id = f"{side.name}-{side.made}"
        request = side.version.actions["DataTransfer"].request_type(vendor_id="x", data=message_id)
        if side.rpc.outstanding is not None:
            with pytest.raises(Busy):
                side.rpc.call(message_id, "DataTransfer", request, 0)
            return
        side.made += 1
        side.ends[message_id] = None
        self.put(i, side.rpc.call(message_id, "DataTransfer", request, 0, tag=message_id))

    def receive(self, i, side, frame):
        event = side.rpc.receive(frame, 0)
        if type(event) is CallReceived:
            message_id = event.message_id
            assert event.request.data == message_id
            assert message_id not in side.open, "handed over twice"
            if side.version.name == "1.6":
                assert side.answered.get(message_id) != self.connection, "handed over again on the same connection"
            else:
                assert message_id not in side.answered, "handed over again after it was answered"
            side.open = (*side.open, message_id)
        elif type(event) is ResultReceived:
            assert event.response.data == event.call.message_id == event.call.request.data == event.call.tag
            assert event.call.message_id in self.sides[1 - i].answered
            side.end(event.call, "result")
        elif type(event) is ErrorReceived:
            assert event.error.description == event.call.message_id == event.call.tag
            side.end(event.call, "error")
        elif type(event) is Repeated:
            assert (event.reply is None) is (event.message_id in side.open)
            self.put(i, event.reply)
        else:
            assert type(event) is Ignored, "nothing in this world is malformed"
            assert type(event) is not Malformed

    def check(self):
        for side in self.sides:
            pending = [message_id for message_id, how in side.ends.items() if how is None]
            assert len(pending) <= 1, "more than one CALL outstanding in one direction"
            outstanding = side.rpc.outstanding
            assert pending == ([] if outstanding is None else [outstanding.message_id])
            assert set(side.open) == set(side.rpc._open)


@pytest.mark.parametrize(("name", "steps"), [("1.6", 8), ("2.1", 8)])
def test_every_interleaving(name, steps):
    seen = set()
    front = [World(load(name))]
    ends = set()
    for _ in range(steps):
        following = []
        for world in front:
            for step in world.steps():
                twin = world.copy()
                twin.apply(step)
                twin.check()
                key = twin.key()
                if key not in seen:
                    seen.add(key)
                    following.append(twin)
                    ends.update(how for side in twin.sides for how in side.ends.values())
        front = following
    # The search has been everywhere that it is about.
    assert ends == {None, "result", "error", "expired", "closed"}
    assert len(seen) > 5000
