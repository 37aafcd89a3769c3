"""Both ends of the link between a box and a central system, without sockets: explored, and with hostile bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.machines import Close, Send
from pilotwire.protocols.sitelink import (
    IDLE_MS,
    MOST_DOWN,
    MOST_UP,
    Asked,
    BoxEnd,
    Busy,
    CentralEnd,
    Greeted,
    Hello,
    Settled,
    Ticked,
    version_of,
)
from pilotwire.protocols.sitelink import box as of_box
from pilotwire.protocols.sitelink import central as of_central
from pilotwire.protocols.sitelink.bucket import Bucket
from pilotwire.protocols.sitelink.frames import Ask, BadFrame, Seen, Tick, Watch, decode_down, decode_up, encode

HELLO = Hello(site="yard", name="The yard", time_zone="Europe/Berlin", program="1")
STATE = msgspec.msgpack.encode({"power": 1})


def data_of(effects: Any) -> list[bytes]:
    return [each.data for each in effects if isinstance(each, Send)]


def closed(effects: Any) -> str:
    return next((each.reason for each in effects if isinstance(each, Close)), "")


class Pair:
    """Both ends and a line between them that loses nothing."""

    def __init__(self) -> None:
        self.now = 1_000
        self.box, self.central = BoxEnd(HELLO), CentralEnd(self.now)
        self.at_box: list[Any] = []
        self.at_central: list[Any] = []
        self.up(self.box.begin(self.now))

    def up(self, effects: Any) -> None:
        for data in data_of(effects):
            came = self.central.receive(data, self.now)
            self.at_central += [each for each in came if not isinstance(each, Send)]
            self.down(came)

    def down(self, effects: Any) -> None:
        for data in data_of(effects):
            came = self.box.receive(data, self.now)
            self.at_box += [each for each in came if not isinstance(each, Send)]
            self.up(came)

    def ask(self, method: str = "now") -> int:
        id, effects = self.central.ask(method, b"\x80", self.now)
        self.down(effects)
        return id


def test_it_greets_ticks_and_is_asked() -> None:
    pair = Pair()
    assert pair.at_central == [Greeted(HELLO)]
    pair.up(pair.box.tick(STATE, pair.now))
    assert pair.at_central[1:] == [Ticked(STATE)]
    id = pair.ask("outlook")
    assert pair.at_box == [Asked(id, "outlook", b"\x80")]
    pair.up(pair.box.answer(id, b"\xc0"))
    other = pair.ask("past")
    pair.up(pair.box.fail(other, "not_known", "nothing is known of then"))
    assert pair.at_central[2:] == [Settled(id, b"\xc0"), Settled(other, None, "not_known", "nothing is known of then")]
    assert pair.box.answer(other, b"\xc0") == [], "what is settled is settled"


def test_one_tick_is_under_way_and_no_other_waits() -> None:
    """Ten states within the time of one: one goes out; the next only once it was seen, and when it is due."""
    box = BoxEnd(HELLO)
    box.begin(0)
    sent = [data for now in range(10) for data in data_of(box.tick(STATE, now))]
    assert len(sent) == 1
    assert not box.wants(100 * IDLE_MS), "nobody has seen the first"
    assert box.receive(encode(Seen(1)), 40) == []
    assert not box.wants(50)
    assert box.wants(IDLE_MS)
    box.receive(encode(Watch(1_000)), 60)
    assert box.wants(60), "somebody looks: it need not wait for what was due before"


def test_a_tick_that_nobody_sees_ends_the_connection() -> None:
    box = BoxEnd(HELLO)
    box.begin(0)
    assert box.deadline is None
    box.tick(STATE, 500)
    assert box.deadline == 500 + of_box.SEEN_MS
    assert box.elapse(box.deadline - 1) == []
    assert "no sign of life" in closed(box.elapse(box.deadline))
    assert box.state == "closed" and box.receive(encode(Seen(1)), 1_000) == []


def test_who_looks_is_told_each_second_and_others_seldom() -> None:
    pair = Pair()
    pair.down(pair.central.watch(10))
    assert pair.box.every_ms == 1_000, "not faster than the loop"
    assert pair.central.watch(1_000) == [], "it is so already"
    pair.down(pair.central.watch(IDLE_MS))
    assert pair.box.every_ms == IDLE_MS


def test_questions_are_bounded_at_both_ends() -> None:
    pair = Pair()
    for _ in range(of_central.OPEN):
        pair.ask()
    with pytest.raises(Busy):
        pair.ask()
    box = BoxEnd(HELLO)
    box.begin(0)
    asked = [box.receive(encode(Ask(id, "now", msgspec.Raw(b"\x80"))), 0) for id in range(of_box.OPEN + 3)]
    assert sum(isinstance(each[0], Asked) for each in asked) == of_box.OPEN
    assert b"busy" in data_of(asked[-1])[0]
    for id in range(of_box.OPEN):
        box.answer(id, b"\xc0")
    fast = [box.receive(encode(Ask(id, "now", msgspec.Raw(b"\x80"))), 0) for id in range(100, 100 + of_box.BURST)]
    for id in range(100, 100 + of_box.BURST):
        box.answer(id, b"\xc0")
    assert any(b"busy" in data for each in fast for data in data_of(each)), "not more often than it is allowed"


def test_a_question_that_is_late_is_over_and_its_answer_harmless() -> None:
    pair = Pair()
    id = pair.ask()
    pair.now += of_central.ANSWER_MS - 1
    assert pair.central.elapse(pair.now) == []
    pair.now += 1
    (over,) = pair.central.elapse(pair.now)
    assert (over.id, over.kind) == (id, "late")
    pair.up(pair.box.answer(id, b"\xc0"))
    assert pair.central.state == "open" and not closed(pair.at_central)


def test_a_box_that_never_answers_is_not_there() -> None:
    pair = Pair()
    for _ in range(of_central.OPEN):
        pair.ask()
    pair.now += of_central.ANSWER_MS
    effects = pair.central.elapse(pair.now)
    assert [each.kind for each in effects if isinstance(each, Settled)] == ["late"] * of_central.OPEN
    assert closed(effects) == "it does not answer"


def test_silence_ends_it_and_all_that_was_asked() -> None:
    pair = Pair()
    pair.up(pair.box.tick(STATE, pair.now))
    pair.now += of_central.SILENT_MS - 10_000
    id = pair.ask()
    pair.now += 10_000
    effects = pair.central.elapse(pair.now)
    assert [(each.id, each.kind) for each in effects if isinstance(each, Settled)] == [(id, "lost")]
    assert "no sign of life" in closed(effects)
    assert pair.central.deadline is None


def test_a_connection_that_is_lost_settles_what_was_asked() -> None:
    pair = Pair()
    id = pair.ask()
    assert [(each.id, each.kind) for each in pair.central.lost(pair.now)] == [(id, "lost")]  # type: ignore[union-attr]
    with pytest.raises(Busy):
        pair.central.ask("now", b"\x80", pair.now)


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([Tick(1, msgspec.Raw(STATE))], "does not greet"),
        ([HELLO, HELLO], "greets twice"),
        ([HELLO, Tick(2, msgspec.Raw(STATE)), Tick(2, msgspec.Raw(STATE))], "tick 2 comes after tick 2"),
        ([HELLO, of_box.Answer(7, msgspec.Raw(b"\xc0"))], "nobody has asked question 7"),
        ([HELLO, Seen(1)], "not understood"),
        ([HELLO, *(Tick(seq, msgspec.Raw(STATE)) for seq in range(1, of_central.BURST + 2))], "ticks too fast"),
        ([Hello(site="x" * 300, name="", time_zone="")], "not understood"),
    ],
)
def test_a_box_that_does_what_it_must_not_is_cut(frames: list[Any], why: str) -> None:
    central = CentralEnd(0)
    effects = [each for frame in frames for each in central.receive(encode(frame), 5)]
    assert why in closed(effects)
    assert central.state == "closed" and central.receive(encode(HELLO), 6) == [], "nothing more is heard of it"


def test_nobody_who_does_not_greet_is_waited_for() -> None:
    central = CentralEnd(0)
    assert central.deadline == of_central.HELLO_MS
    assert central.elapse(of_central.HELLO_MS - 1) == []
    assert closed(central.elapse(of_central.HELLO_MS))


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([Seen(1)], "tick 1 is not under way"),
        ([Ask(1, "now", msgspec.Raw(b"\x80")), Ask(1, "now", msgspec.Raw(b"\x80"))], "open already"),
        ([HELLO], "not understood"),
    ],
)
def test_a_central_system_that_does_what_it_must_not_is_left(frames: list[Any], why: str) -> None:
    box = BoxEnd(HELLO)
    box.begin(0)
    assert why in closed([each for frame in frames for each in box.receive(encode(frame), 5)])


def test_nothing_too_large_is_sent_or_read() -> None:
    pair = Pair()
    id = pair.ask()
    pair.up(pair.box.answer(id, b"\xc6\x00\x40\x00\x00" + bytes(MOST_UP)))
    assert pair.at_central[-1].kind == "too_large"
    assert pair.box.tick(bytes(MOST_UP), pair.now) == [] and pair.box.wants(pair.now), "it is not under way either"
    with pytest.raises(BadFrame, match="are the most"):
        decode_up(bytes(MOST_UP + 1))
    with pytest.raises(BadFrame, match="are the most"):
        decode_down(bytes(MOST_DOWN + 1))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
def test_bytes_of_any_kind_are_answered_by_closing_at_most(pieces: list[bytes], greeted: bool) -> None:
    central, box = CentralEnd(0), BoxEnd(HELLO)
    box.begin(0)
    if greeted:
        central.receive(encode(HELLO), 0)
    for end in (central, box):
        for piece in pieces:
            for effect in end.receive(piece, 1):
                assert isinstance(effect, (Close, Greeted, Settled, Ticked, Send, Asked))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["tick", "ask", "answer", "fail", "watch", "wait", "idle"]), max_size=40))
def test_two_ends_that_keep_to_it_never_part_and_settle_each_question_once(steps: list[str]) -> None:
    pair = Pair()
    asked: list[int] = []
    ticks = 0
    for step in steps:
        pair.now += 200
        open = [each.id for each in pair.at_box if isinstance(each, Asked)]
        settled = {each.id for each in pair.at_central if isinstance(each, Settled)}
        waiting = [id for id in open if id not in settled]
        match step:
            case "tick":
                ticks += pair.box.wants(pair.now)
                pair.up(pair.box.tick(STATE, pair.now))
            case "ask" if len(waiting) < of_central.OPEN:
                asked.append(pair.ask())
            case "answer" if waiting:
                pair.up(pair.box.answer(waiting[0], b"\xc0"))
            case "fail" if waiting:
                pair.up(pair.box.fail(waiting[-1], "failed", "x"))
            case "watch":
                pair.down(pair.central.watch(1_000))
            case "idle":
                pair.down(pair.central.watch(IDLE_MS))
            case _:
                pair.now += 1_000
    ids = [each.id for each in pair.at_central if isinstance(each, Settled)]
    assert len(ids) == len(set(ids)) and set(ids) <= set(asked)
    assert sum(isinstance(each, Ticked) for each in pair.at_central) == ticks
    assert (pair.box.state, pair.central.state) == ("open", "open")


def test_versions_are_read_from_what_is_offered() -> None:
    assert version_of(["ocpp1.6", "pilotwire.site.v1", "pilotwire.site.v12"]) == 12
    assert version_of(["pilotwire.site.v", "pilotwire.site.vx", "pilotwire.site.v٣", "chat"]) is None


def test_a_bucket_lets_through_what_it_may_and_no_more() -> None:
    bucket = Bucket(3, 2)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(500), bucket.take(500)] == [True, False]
    assert bucket.take(400) is False, "a clock that goes back gives nothing"
    assert sum(bucket.take(1_000_000) for _ in range(10)) == 3
