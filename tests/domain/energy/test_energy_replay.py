"""What a tick leaves can be written down and read again: the next tick is the same, bit for bit."""

import random

import msgspec
from tests.domain.energy.energy_wide import wide_world

from pilotwire.domain.energy import Allocation, Moment, Signals, State, allocate, prepare


def test_a_state_that_was_written_down_gives_the_same_decisions():
    for seed in range(12):
        here = wide_world(seed)
        draw = random.Random(seed)
        topology, again = prepare(here.tree), prepare(here.tree)
        state = State()
        for second in range(20):
            now = Moment(tick_ms=1_000_000 + second * 1_000, utc_ms=1_800_000_000_000)
            demands = draw.sample(here.demands, len(here.demands))
            signals = msgspec.json.decode(msgspec.json.encode(here.signals), type=Signals)
            if second % 7 == 3:
                signals = msgspec.structs.replace(signals, lost={})
            read = msgspec.json.decode(msgspec.json.encode(state), type=State)
            assert read == state
            result = allocate(topology, here.policy, demands, signals, state, now)
            same = allocate(again, here.policy, here.demands, signals, read, now)
            assert msgspec.json.encode(same, order="sorted") == msgspec.json.encode(result, order="sorted")
            assert msgspec.json.decode(msgspec.json.encode(result), type=Allocation) == result
            state = result.state
