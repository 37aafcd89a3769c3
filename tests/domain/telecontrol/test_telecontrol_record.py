"""Exactly one record of each intervention, whatever is forgotten at a restart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.steering import Intervention
from pilotwire.domain.telecontrol import Opened, Record, Step, merged, reconcile


def order(from_ms: int, limit: int = 1, until: int | None = None, **more: int | None) -> Intervention:
    figures: dict[str, int | None] = {"before_mw": 9, "after_mw": None, "highest_mw": None, **more}
    return Intervention(
        id="w4", source="box", kind="steuve_limit", node="grid", limit_mw=limit, from_ms=from_ms, until_ms=until,
        **figures,
    )  # fmt: skip


class Book:
    """The log in memory: only ever added to, and opened anew from its rows alone."""

    def __init__(self) -> None:
        self.rows: list[Step] = []
        self.opened: Mapping[str, Opened] = {}
        self.first = True

    def note(self, going: list[Intervention], ended: list[Intervention], utc_ms: int) -> None:
        told = {(row.intervention.id, row.intervention.from_ms) for row in self.rows}
        number = 1 + max((row.number for row in self.rows), default=0)
        found = reconcile(
            self.opened, {each.id: each for each in going}, ended, lambda *key: key in told, number, utc_ms,
            first=self.first,
        )  # fmt: skip
        self.rows += found.steps
        self.opened, self.first = found.opened, False

    def restart(self) -> None:
        self.first = True

    @property
    def records(self) -> list[Record]:
        numbers = sorted({row.number for row in self.rows})
        found = [merged(row for row in self.rows if row.number == number) for number in numbers]
        return [each for each in found if each is not None]


def spans(book: Book) -> list[tuple[int, int | None, int, bool]]:
    return [(each.from_ms, each.until_ms, each.limit_mw, each.uncertain) for each in book.records]


def test_begin_effect_and_end_are_one_record() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.note([order(10, after_mw=5)], [], 20)
    assert len(book.rows) == 1
    book.note([order(10, after_mw=4, highest_mw=4)], [], 30)
    book.note([], [order(10, until=40, after_mw=3, highest_mw=5)], 40)
    assert spans(book) == [(10, 40, 1, False)]
    record = book.records[0]
    assert (record.before_mw, record.after_mw, record.highest_mw) == (9, 3, 5)
    assert [row.what for row in book.rows] == ["begin", "followed", "end"]


def test_a_changed_figure_is_a_new_record() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.note([order(20, 2)], [order(10, until=20)], 20)
    assert spans(book) == [(10, 20, 1, False), (20, None, 2, False)]


def test_steering_has_forgotten_all() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.restart()
    book.note([order(50, before_mw=1)], [], 50)
    book.restart()
    book.note([order(70)], [], 70)
    book.note([], [order(70, until=80)], 80)
    assert spans(book) == [(10, 80, 1, False)] and book.records[0].before_mw == 9
    book.restart()
    book.note([], [order(70, until=90)], 90)
    assert len(book.records) == 1, "what has been seen to end is not told again"


def test_it_was_over_when_we_came_back() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.restart()
    book.note([], [], 50)
    assert spans(book) == [(10, 50, 1, True)]


def test_steering_is_older_than_the_log() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.note([], [order(10, until=20)], 20)
    book.restart()
    book.note([order(10)], [], 50)  # the order came again while we were down
    assert spans(book) == [(10, 20, 1, False), (50, None, 1, False)]
    book.note([], [order(10, until=60)], 60)
    assert spans(book)[1] == (50, 60, 1, False)


def test_begun_and_ended_unseen_by_the_log() -> None:
    book = Book()
    book.note([], [order(10, until=20, after_mw=7)], 20)
    assert spans(book) == [(10, 20, 1, False)] and book.records[0].after_mw == 7


def test_another_figure_after_a_restart() -> None:
    book = Book()
    book.note([order(10)], [], 10)
    book.restart()
    book.note([order(30, 2)], [], 30)
    assert spans(book) == [(10, 30, 1, True), (30, None, 2, False)]


@pytest.mark.parametrize("forget", ["nothing", "all", "a while"])
@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from((0, 1, 1, 2, "restart")), max_size=25))
def test_one_record_for_each_stretch_of_an_order(forget: str, story: list[int | str]) -> None:
    """The order's figure tick by tick (0: none), with restarts that forget nothing, all, or the last two ticks."""
    book = Book()
    going: Intervention | None = None
    past: list[Intervention | None] = [None, None, None]
    wanted: list[tuple[int, int]] = []
    before = 0
    for now, each in enumerate(story, 1):
        if each == "restart":
            book.restart()
            going = {"nothing": going, "all": None, "a while": past[-3]}[forget]
            continue
        limit = int(each)
        ended: list[Intervention] = []
        if going is not None and going.limit_mw != limit:
            ended, going = [order(going.from_ms, going.limit_mw, now)], None
        if limit and going is None:
            going = order(now, limit)
        book.note([going] if going is not None else [], ended, now)
        past.append(going)
        if limit and limit != before:
            wanted.append((limit, now))
        before = limit
    assert [each.limit_mw for each in book.records] == [limit for limit, _ in wanted]
    assert [each.until_ms is None for each in book.records] == [
        at == len(wanted) - 1 and before > 0 for at in range(len(wanted))
    ]
    starts = [row for row in book.rows if row.what == "begin"]
    assert len(starts) == len({row.number for row in starts})
