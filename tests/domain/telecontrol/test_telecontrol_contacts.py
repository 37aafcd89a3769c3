"""Contacts: every short sequence of samples against what they mean, written down in another way."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from pilotwire.domain.telecontrol import Contact, ContactState, Levels, Sample, active, contact_faults, step, sure
from pilotwire.domain.telecontrol.contacts import STEPS, resumed

WIRE = Levels(open=(100, 200), closed=(300, 400))
RAW = {"on": 350, "off": 150, "broken": 0}
STEP_MS = 50
TABLE = Contact(id="w4", debounce_on_ms=100, debounce_off_ms=150, fault_ms=100, stale_ms=120, levels=WIRE, lost="hold")


def run(contact: Contact, seen: tuple[str, ...], state: ContactState | None = None) -> list[ContactState]:
    """A sample each 50 ms; `gone`: there is none."""
    now, sample, found = 0, None, [state or ContactState()]
    for each in seen:
        now += STEP_MS
        if each != "gone":
            sample = Sample(RAW[each], now)
        found.append(step(contact, found[-1], sample, now)[0])
    return found


def meaning(seen: tuple[str, ...]) -> tuple[str, bool | None]:
    """The same, looking back over the whole history at each moment instead of step by step."""
    settled: str = "unknown"
    known: bool | None = None
    history: list[tuple[int, str]] = []
    for number, each in enumerate(seen, 1):
        now = number * STEP_MS
        if each != "gone":
            history.append((now, each))
        newest = history[-1][0] if history else STEP_MS
        if now - newest > TABLE.stale_ms:
            settled = "lost"
            history = [] if not history else [(newest, "gone")]
            continue
        if each == "gone":
            continue
        run_ms = 0
        for (early, what), (late, then) in reversed(list(pairwise(history))):
            if what != each or then != each:
                break
            run_ms += late - early
        if each != settled and run_ms >= {"on": 100, "off": 150, "broken": 100}[each]:
            settled = each
            known = each == "on" if each != "broken" else known
    return settled, known


@pytest.mark.parametrize("first", ["on", "off", "broken", "gone"])
def test_every_sequence_of_eight_looks(first: str) -> None:
    for rest in product(("on", "off", "broken", "gone"), repeat=7):
        seen = (first, *rest)
        state = run(TABLE, seen)[-1]
        assert (state.settled, state.known) == meaning(seen), seen


def test_every_state_says_what_to_do_with_everything_seen() -> None:
    settled = ("unknown", "on", "off", "broken", "lost")
    assert set(STEPS) == set(product(settled, ("on", "off", "broken", "lost")))
    assert all((wait is None) == (before == seen) for (before, seen), wait in STEPS.items())


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(("on", "off", "broken")), st.integers(1, 99)), min_size=1, max_size=30),
    st.booleans(),
)
def test_nothing_shorter_than_the_debounce_changes_anything(
    start: bool, pulses: list[tuple[str, int]], inverted: bool
) -> None:
    """Pulses of under 100 ms, sampled each 10 ms and at their edges, one after another, none like the one before."""
    contact = Contact(id="c", debounce_on_ms=100, debounce_off_ms=100, fault_ms=100, levels=WIRE, inverted=inverted)
    state = ContactState(settled="on" if start else "off", known=start, last_ms=0)
    now, last = 1, ""
    for kind, ms in pulses:
        if kind == last:
            continue
        last = kind
        for at in sorted({*range(now, now + ms, 10), now + ms - 1}):
            state, events = step(contact, state, Sample(RAW[kind], at), at)
            assert not events
            assert active(contact, state) is start
        now += ms


@pytest.mark.parametrize(("broken", "counts"), [("hold", False), ("active", True)])
def test_a_broken_wire_counts_as_it_is_written(broken: Literal["hold", "active"], counts: bool) -> None:
    contact = structs.replace(TABLE, broken=broken)
    found = run(contact, ("off",) * 6 + ("broken",) * 6)[-1]
    assert found.settled == "broken" and active(contact, found) is counts


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.booleans(), st.lists(st.sampled_from(("broken", "gone")), max_size=60), st.booleans())
def test_a_broken_wire_never_takes_an_order_away(start: bool, seen: list[str], strict: bool) -> None:
    contact = structs.replace(TABLE, broken="active" if strict else "hold")
    before = ContactState(settled="on" if start else "off", known=start, last_ms=0)
    for state in run(contact, tuple(seen), before):
        assert active(contact, state) >= start
        assert sure(contact, state) is (state.settled in ("on", "off"))


@pytest.mark.parametrize(("lost", "counts"), [("hold", True), ("active", True), ("inactive", False)])
def test_what_is_written_counts_when_the_device_is_lost(lost: str, counts: bool) -> None:
    contact = structs.replace(TABLE, lost=lost)  # pyright: ignore[reportArgumentType]
    state = run(contact, ("on", "on", "on", "gone", "gone", "gone"))[-1]
    assert state.settled == "lost" and active(contact, state) is counts
    never = run(contact, ("gone",) * 5)[-1]
    assert never.settled == "lost" and active(contact, never) is (lost == "active")


def test_silence_proves_nothing() -> None:
    """One sample that shows something else, and then none: the contact has not changed."""
    state = ContactState(settled="off", known=False, last_ms=0)
    for now in range(10, 5_000, 10):
        state, events = step(Contact(id="c"), state, Sample(1, 10), now)
        assert not events
    assert not active(Contact(id="c"), state)


def test_a_sample_older_than_the_newest_is_not_looked_at() -> None:
    contact = Contact(id="c", debounce_on_ms=0)
    state = ContactState(settled="off", known=False, last_ms=100)
    assert step(contact, state, Sample(1, 90), 110) == (state, ())
    after, events = step(contact, state, Sample(1, 9_999_999), 110)
    assert after.last_ms == 110 and events[0].at_ms == 110


def test_an_input_that_cannot_be_read_goes_stale() -> None:
    contact = Contact(id="c", stale_ms=100, debounce_on_ms=0)
    state, _ = step(contact, ContactState(), Sample(1, 0), 0)
    state, events = step(contact, state, Sample(None, 101), 101)
    assert state.settled == "lost" and events[0].before == "on" and active(contact, state)


@pytest.mark.parametrize(
    ("raw", "other", "inverted", "settled"),
    [
        (1, 0, False, "on"), (0, 1, False, "off"), (1, 1, False, "broken"), (0, 0, False, "broken"),
        (1, None, False, "broken"), (1, 0, True, "off"), (7, 0, False, "broken"),
    ],
)  # fmt: skip
def test_a_changeover_shows_opposites(raw: int, other: int | None, inverted: bool, settled: str) -> None:
    contact = Contact(id="c", changeover=True, inverted=inverted, fault_ms=200)
    state = ContactState()
    for now in range(0, 301, 100):
        state, _ = step(contact, state, Sample(raw, now, other), now)
    assert state.settled == settled


def test_after_a_restart_what_was_known_counts_until_it_is_read() -> None:
    state = resumed(ContactState(settled="on", known=True, last_ms=9_000_000, waiting="off", since_ms=8))
    assert active(TABLE, state) and not sure(TABLE, state)
    assert run(TABLE, ("off",) * 4, state)[-1] == ContactState(settled="off", known=False, last_ms=200)


def test_mistakes_in_a_contact_are_said() -> None:
    bad = Contact(id="c", debounce_on_ms=-1, levels=Levels(open=(1, 5), closed=(5, 9)))
    assert len(contact_faults(bad)) == 2
    assert contact_faults(Contact(id="c", levels=Levels(open=(5, 1), closed=(6, 9)))) and not contact_faults(TABLE)
