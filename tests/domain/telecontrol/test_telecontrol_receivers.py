"""What contacts order together."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from pilotwire.domain.steering import Control
from pilotwire.domain.telecontrol import (
    Contact,
    ContactState,
    Figure,
    Receiver,
    ReceiverState,
    Row,
    decode,
    dimming_contact,
    fnn_box,
    pattern,
    receiver_faults,
    resumed_receiver,
    ripple_receiver,
)

NAMES = ("w3", "s2", "s1", "w4")
BOX = fnn_box("fnn", "grid", w3="w3", s2="s2", s1="s1", w4="w4")
RSE = ripple_receiver("rse", "grid", {("k1",): 1000, ("k2",): 600, ("k3",): 300, ("k4",): 0})
CODED = ripple_receiver(
    "rse", "grid", {("b0",): 600, ("b1",): 300, ("b0", "b1"): None, ("b2",): 0}, coded=True, minimum_ms=1_000
)


def contacts(**on: bool | str) -> dict[str, tuple[Contact, ContactState]]:
    """True, False, or `broken+` and `broken-`: broken, active or not when it was last good."""
    return {
        id: (
            Contact(id=id),
            ContactState(settled="on" if each else "off", known=each)
            if isinstance(each, bool)
            else ContactState(settled="broken", known=each.endswith("+")),
        )
        for id, each in on.items()
    }


@pytest.mark.parametrize("on", list(product((False, True), repeat=4)))
def test_every_pattern_of_four_relays(on: tuple[bool, ...]) -> None:
    w3, s2, s1, w4 = on
    share = 0 if w3 else 300 if s2 else 600 if s1 else None
    wanted: list[Control] = []
    if share is not None:
        wanted.append(Control("fnn/export_limit", "FNN control box", "export_limit", "grid", permille=share))
    if w4:
        wanted.append(Control("fnn/steuve_limit", "FNN control box", "steuve_limit", "grid"))
    _, controls, events = decode(BOX, contacts(**dict(zip(NAMES, on, strict=True))), ReceiverState(), 0)
    assert list(controls) == wanted and len(events) == len(wanted)


def test_the_single_contact_dims_and_curtails_nothing() -> None:
    receiver = dimming_contact("a", "grid", "w4")
    _, controls, _ = decode(receiver, contacts(w4=True), ReceiverState(), 0)
    assert controls == (Control("a/steuve_limit", "§ 14a contact", "steuve_limit", "grid"),)
    assert decode(receiver, contacts(w4=False), ReceiverState(), 0)[1] == ()


@pytest.mark.parametrize(
    ("on", "permille"), [("", None), ("k1", 1000), ("k2", 600), ("k1 k3", 300), ("k1 k2 k3 k4", 0)]
)
def test_a_contact_for_each_step(on: str, permille: int | None) -> None:
    found = pattern(RSE, "export_limit", frozenset(on.split()))
    assert found == (None if permille is None else Figure(permille=permille))


@pytest.mark.parametrize(
    ("on", "permille"),
    [("", None), ("b0", 600), ("b1", 300), ("b0 b1", None), ("b2", 0), ("b0 b2", 0), ("b0 b1 b2", 0)],
)
def test_patterns_and_impossible_ones(on: str, permille: int | None) -> None:
    found = pattern(CODED, "export_limit", frozenset(on.split()))
    assert found == (None if permille is None else Figure(permille=permille))


def test_relays_break_before_they_make() -> None:
    box = structs.replace(BOX, release_ms=500)
    state, _, _ = decode(box, contacts(w3=False, s2=True, s1=False, w4=False), ReceiverState(), 0)
    for now in (100, 300, 599):
        state, controls, _ = decode(box, contacts(w3=False, s2=False, s1=now > 200, w4=False), state, now)
        assert controls[0].permille == 300
    _, controls, events = decode(box, contacts(w3=False, s2=False, s1=True, w4=False), state, 600)
    assert controls[0].permille == 600 and events[0].before == Figure(permille=300)


def test_an_order_has_its_minimum_time_and_a_stricter_one_comes_at_once() -> None:
    state, _, _ = decode(CODED, contacts(b0=True, b1=False, b2=False), ReceiverState(), 0)
    state, controls, _ = decode(CODED, contacts(b0=False, b1=False, b2=False), state, 999)
    assert controls[0].permille == 600
    stricter, controls, _ = decode(CODED, contacts(b0=False, b1=True, b2=False), state, 999)
    assert controls[0].permille == 300 and stricter.held["export_limit"].since_ms == 999
    assert decode(CODED, contacts(b0=False, b1=False, b2=False), state, 1_000)[1] == ()


LOOKS = st.lists(
    st.tuples(*(st.sampled_from((True, False, "broken+", "broken-")) for _ in range(4))), min_size=1, max_size=12
)
HARD = ripple_receiver(
    "x", "grid", {("w3",): 300, ("w3", "s2"): 1000, ("s2",): None, ("s1",): 600, ("s1", "w4"): None}, coded=True
)


@pytest.mark.parametrize("receiver", [BOX, HARD], ids=["box", "coded"])
@settings(max_examples=300, derandomize=True, deadline=None)
@given(looks=LOOKS)
def test_an_order_never_rises_by_a_broken_wire(receiver: Receiver, looks: list[tuple[Any, ...]]) -> None:
    """While any contact of a kind is broken, no order of that kind becomes looser, whatever the others show."""
    state = ReceiverState()
    for now, look in enumerate(looks):
        shown = contacts(**dict(zip(NAMES, look, strict=True)))
        before, (state, controls, _) = state, decode(receiver, shown, state, now)
        for kind, held in state.held.items():
            told = [each for each in controls if each.kind == kind]
            assert bool(told) is (held.figure is not None)
            broken = any(shown[id][1].settled == "broken" for id in receiver.contacts_of(kind))  # type: ignore[arg-type]
            old = before.held.get(kind)
            if broken and old is not None and old.figure is not None:
                assert held.figure is not None and held.figure.strictness <= old.figure.strictness


def test_a_broken_wire_of_one_kind_holds_nothing_of_another() -> None:
    state, _, _ = decode(BOX, contacts(w3=True, s2=False, s1=False, w4=True), ReceiverState(), 0)
    _, controls, _ = decode(BOX, contacts(w3="broken-", s2=False, s1=False, w4=False), state, 1)
    assert [(each.kind, each.permille) for each in controls] == [("export_limit", 0)]


def test_a_lost_device_releases_only_where_that_is_written() -> None:
    receiver = dimming_contact("a", "grid", "w4")
    on, _, _ = decode(receiver, contacts(w4=True), ReceiverState(), 0)
    lost = ContactState(settled="lost", known=True)
    for rule, count in (("hold", 1), ("active", 1), ("inactive", 0)):
        shown = {"w4": (Contact(id="w4", lost=rule), lost)}  # type: ignore[arg-type]
        assert len(decode(receiver, shown, on, 1)[1]) == count
    assert len(decode(receiver, {}, on, 1)[1]) == 1, "a contact that nobody knows releases nothing"


def test_after_a_restart_the_order_holds_until_contacts_are_read() -> None:
    state, _, _ = decode(BOX, contacts(w3=True, s2=False, s1=False, w4=False), ReceiverState(), 5_000)
    state = resumed_receiver(state, 7)
    unread = {id: (Contact(id=id), ContactState()) for id in NAMES}
    state, controls, _ = decode(BOX, unread, state, 8)
    assert controls[0].permille == 0
    assert decode(BOX, contacts(w3=False, s2=False, s1=False, w4=False), state, 9)[1] == ()


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        (Receiver(id="r", source="s", node="g", rows=()), "empty"),
        (Receiver(id="r", source="s", node="g", rows=(Row(contacts=("x",), kind="steuve_limit"),)), "no contact 'x'"),
        (Receiver(id="r", source="s", node="g", rows=(Row(contacts=("w3",), kind="export_limit"),)), "legal minimum"),
        (Receiver(id="r", source="s", node="g", rows=(Row(contacts=(), kind="steuve_limit"),)), "names a contact"),
        (
            Receiver(id="r", source="s", node="g", rows=(
                Row(contacts=("w3",), kind="export_limit", figure=Figure(permille=0)),
                Row(contacts=("w3",), kind="export_limit", figure=Figure(value_mw=0)),
            )), "twice",
        ),
        (
            Receiver(id="r", source="s", node="g", rows=(
                Row(contacts=("w3",), kind="export_limit", figure=Figure(permille=0)),
                Row(contacts=("s2",), kind="export_limit", figure=Figure(value_mw=0)),
            )), "powers and shares",
        ),
        (ripple_receiver("r", "g", {("w3",): 1001}), "out of range"),
        (
            Receiver(id="r", source="s", node="g", rows=(
                Row(contacts=("w3",), kind="import_limit", figure=Figure(permille=5)),
            )), "installed generation",
        ),
        (structs.replace(BOX, release_ms=-1), "0 or more"),
    ],
)  # fmt: skip
def test_mistakes_in_a_table_are_said(receiver: Receiver, said: str) -> None:
    assert any(said in fault for fault in receiver_faults(receiver, frozenset(NAMES)))
    assert not receiver_faults(BOX, frozenset(NAMES))
