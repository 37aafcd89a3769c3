"""The bus within a process: who hears what, also when listeners come and go between two messages."""

from __future__ import annotations

import random

from pilotwire.transport.bus import LocalBus, Subscription, matches

PATTERNS = ("facts.>", "facts.t.>", "facts.t.CP-1", "power.t.CP-1", ">", "live.x")
SUBJECTS = ("facts.t.CP-1", "facts.u.CP-1", "power.t.CP-1", "live.x", "other")


def test_listeners_that_come_and_go_hear_exactly_what_is_theirs() -> None:
    for seed in range(30):
        rng, bus = random.Random(seed), LocalBus()
        there: list[tuple[str, Subscription, list[tuple[str, int]]]] = []
        for number in range(120):
            if rng.random() < 0.25:
                pattern = rng.choice(PATTERNS)
                there.append((pattern, bus.subscribe(pattern, limit=1_000), []))
            elif there and rng.random() < 0.2:
                there.pop(rng.randrange(len(there)))[1].close()
            subject = rng.choice(SUBJECTS)
            assert bus.wanted(subject) == any(matches(pattern, subject) for pattern, _, _ in there)
            bus.publish(subject, number)
            for pattern, _, heard in there:
                if matches(pattern, subject):
                    heard.append((subject, number))
        for _, subscription, heard in there:
            assert subscription.drain(1_000) == heard


def test_a_slow_listener_loses_its_oldest_and_knows_how_many() -> None:
    bus = LocalBus()
    subscription = bus.subscribe("a", limit=2)
    for number in range(5):
        bus.publish("a", number)
    assert (subscription.drain(10), subscription.shed) == ([("a", 3), ("a", 4)], 3)
