"""One contact: from samples of an input to what it says, without bouncing, and with what is wrong with its wire.

    contact = Contact(id="w4", debounce_on_ms=100, debounce_off_ms=100)
    state, events = step(contact, ContactState(), Sample(raw=1, at_ms=now), now)
    active(contact, state)

A change counts once samples have shown it for the whole debounce time, without a single one that shows anything else:
it is measured from sample to sample, so silence proves nothing. A broken wire never makes a contact inactive that was
active: it stays as it was last (`hold`), or counts as active.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Seen = Literal["on", "off", "broken", "lost"]
"""What a sample shows. `broken`: its value or its pair of values cannot be, as by a wire that is cut or shorted."""
Settled = Literal["unknown", "on", "off", "broken", "lost"]
Wait = Literal["on", "off", "fault", "none"]


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two-wire supervision: the input's value with its resistors, (lowest, highest) for an open and a closed contact.

    All else is a cut or a short.
    """

    open: tuple[int, int]
    closed: tuple[int, int]


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one input is read. Times in ms."""

    id: str
    inverted: bool = False
    """Active while it is open: a wire that is cut then looks active."""
    debounce_on_ms: int = 100
    debounce_off_ms: int = 100
    fault_ms: int = 1_000
    """So long what cannot be has to be seen: both halves of a change-over contact are open while it changes over."""
    stale_ms: int = 10_000
    """Without a sample for longer than this, the input device is lost."""
    levels: Levels | None = None
    changeover: bool = False
    """There is a second input that always shows the opposite."""
    broken: Literal["hold", "active"] = "hold"
    lost: Literal["hold", "active", "inactive"] = "hold"
    """What counts while nobody reads the input: as last known (inactive where nothing is known), or as written."""


class Sample(msgspec.Struct, frozen=True):
    """One reading: `raw` None: the input could not be read. `other`: of the second input of a change-over."""

    raw: int | None
    at_ms: int
    other: int | None = None


class ContactState(msgspec.Struct, frozen=True):
    """`settled` is what counts, `known` what it was when it was last good; `waiting` has been seen since `since_ms`."""

    settled: Settled = "unknown"
    known: bool | None = None
    waiting: Seen | None = None
    since_ms: int = 0
    last_ms: int | None = None
    """Of the newest sample."""


class ContactEvent(msgspec.Struct, frozen=True):
    """A contact is not what it was."""

    contact: str
    before: Settled
    after: Settled
    at_ms: int


STEPS: Mapping[tuple[Settled, Seen], Wait | None] = {
    ("unknown", "on"): "on", ("unknown", "off"): "off", ("unknown", "broken"): "fault", ("unknown", "lost"): "none",
    ("on", "on"): None, ("on", "off"): "off", ("on", "broken"): "fault", ("on", "lost"): "none",
    ("off", "on"): "on", ("off", "off"): None, ("off", "broken"): "fault", ("off", "lost"): "none",
    ("broken", "on"): "on", ("broken", "off"): "off", ("broken", "broken"): None, ("broken", "lost"): "none",
    ("lost", "on"): "on", ("lost", "off"): "off", ("lost", "broken"): "fault", ("lost", "lost"): None,
}  # fmt: skip
"""What has to be waited for before what is seen counts; None: it is so already."""


def step(
    contact: Contact, state: ContactState, sample: Sample | None, now: int
) -> tuple[ContactState, tuple[ContactEvent, ...]]:
    """The newest sample there is, or None, at `now` of the same steady clock. A sample seen before changes nothing
    but its age; one from the future is taken as of now; one older than the newest is not looked at."""
    at = None if sample is None else min(sample.at_ms, now)
    fresh = sample is not None and at is not None and sample.raw is not None
    if fresh and at is not None and (state.last_ms is None or at > state.last_ms):
        seen = _seen(contact, sample)  # type: ignore[arg-type]
        moment = at
        state = msgspec.structs.replace(state, last_ms=at)
        if now - at > contact.stale_ms:
            seen, moment = "lost", now
    elif state.last_ms is None or now - state.last_ms > contact.stale_ms:
        seen, moment = "lost", now
        if state.last_ms is None and state.settled == "unknown" and state.waiting is None:
            # Nothing has been read yet: the device gets its time from the first look on.
            return msgspec.structs.replace(state, waiting="lost", since_ms=now), ()
        if state.last_ms is None and state.waiting == "lost" and now - state.since_ms <= contact.stale_ms:
            return state, ()
    else:
        return state, ()
    wait = STEPS[state.settled, seen]
    if wait is None:
        return msgspec.structs.replace(state, waiting=None), ()
    since = state.since_ms if state.waiting == seen else moment
    if moment - since < _wait_ms(contact, wait):
        return msgspec.structs.replace(state, waiting=seen, since_ms=since), ()
    known = seen == "on" if seen in ("on", "off") else state.known
    event = ContactEvent(contact.id, state.settled, seen, moment)
    return ContactState(settled=seen, known=known, last_ms=state.last_ms), (event,)


def active(contact: Contact, state: ContactState) -> bool:
    """Whether it counts as active now."""
    if state.settled == "broken" and contact.broken == "active":
        return True
    if state.settled == "lost" and contact.lost != "hold":
        return contact.lost == "active"
    return bool(state.known)


def sure(contact: Contact, state: ContactState) -> bool:
    """Whether what it says may loosen an order: it has been read and can be so, or its loss is written to mean that."""
    return state.settled in ("on", "off") or (state.settled == "lost" and contact.lost == "inactive")


def resumed(state: ContactState) -> ContactState:
    """After a restart, with another steady clock: what was known last, until the contact has been read again."""
    return ContactState(known=state.known)


def contact_faults(contact: Contact) -> tuple[str, ...]:
    """What is wrong with its configuration."""
    found = [
        f"contact {contact.id}: {name} is {value} ms, and has to be 0 or more"
        for name, value in (
            ("debounce_on_ms", contact.debounce_on_ms), ("debounce_off_ms", contact.debounce_off_ms),
            ("fault_ms", contact.fault_ms), ("stale_ms", contact.stale_ms),
        )
        if value < 0
    ]  # fmt: skip
    if contact.levels is not None:
        (a, b), (c, d) = contact.levels.open, contact.levels.closed
        if a > b or c > d:
            found.append(f"contact {contact.id}: levels are (lowest, highest)")
        elif a <= d and c <= b:
            found.append(f"contact {contact.id}: the levels of open and closed overlap")
    return tuple(found)


def _wait_ms(contact: Contact, wait: Wait) -> int:
    if wait == "on":
        return contact.debounce_on_ms
    if wait == "off":
        return contact.debounce_off_ms
    return contact.fault_ms if wait == "fault" else 0


def _seen(contact: Contact, sample: Sample) -> Seen:
    closed = _closed(contact, sample.raw)
    if closed is not None and contact.changeover:
        other = _closed(contact, sample.other)
        if other is None or other == closed:
            return "broken"
    if closed is None:
        return "broken"
    return "on" if closed != contact.inverted else "off"


def _closed(contact: Contact, raw: int | None) -> bool | None:
    if raw is None:
        return None
    if contact.levels is None:
        return bool(raw) if raw in (0, 1) else None
    (a, b), (c, d) = contact.levels.open, contact.levels.closed
    return False if a <= raw <= b else True if c <= raw <= d else None
