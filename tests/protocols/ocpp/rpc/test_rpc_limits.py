"""The depth of a JSON text, exactly, whatever its strings hold."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotwire.protocols.ocpp.rpc.limits import NOT_OUTLINE, DepthGuard, deeper_than, depth_guard

_TEXT = st.text(alphabet='[]{}"\\ax,:\n', max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=30,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def exceeded(guard: DepthGuard, data: bytes) -> bool:
    """As the machine asks."""
    return data.translate(None, NOT_OUTLINE) not in guard.shallow and guard.exceeded(data)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=_VALUES, limit=st.integers(0, 8), indent=st.sampled_from([None, 1]))
def test_exact_for_json(value, limit, indent):
    data = json.dumps(value, indent=indent).encode()
    assert deeper_than(data, limit) is (depth(value) > limit)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(_VALUES, min_size=20, max_size=40))
def test_memory_of_outlines_changes_no_verdict(values):
    guard = DepthGuard(3)
    for value in values + values:
        assert exceeded(guard, json.dumps(value).encode()) is (depth(value) > 3)


def test_brackets_in_strings_neither_add_nor_take_away():
    assert not deeper_than(b'["[[[[[[["]', 1)
    assert not deeper_than(b'["\\"[[[[[[["]', 1)
    # Closing brackets in strings, to make the opening ones vanish.
    assert deeper_than(b'["]",["]",["]",1,"["],"["],"["]', 2)
    assert deeper_than(b'["\\\\",["]",["]",1,"["],"["]]', 2)


def test_unclosed_counts():
    assert deeper_than(b"[" * 17, 16)
    assert deeper_than(b"]" * 17, 16)
    assert not deeper_than(b"[" * 16, 16)
    assert deeper_than(b"[[[{}" * 3, 8)


def test_hostile_strings_cost_no_more_than_their_length():
    # 256 KiB each; a scan that starts again at every quote would take minutes.
    for data in (b'"\\"' * 87_000, b'"' + b'\\"' * 131_000, b'"' + b"\\" * 262_001, b'"a' * 131_000):
        assert not deeper_than(b"[" + data + b"]", 16)


def test_memory_of_outlines_is_bounded():
    guard = DepthGuard(16)
    sizes = set()
    for n in range(1200):
        exceeded(guard, b"[" + b'"x",' * (n % 300) + b"{}," * (n // 300) + b"1]")
        sizes.add(len(guard.shallow))
    assert max(sizes) == 512
    assert all(len(outline) <= 512 for outline in guard.shallow)


def test_outline_with_escapes_is_not_remembered():
    guard = DepthGuard(1)
    # The same outline, `["\""]`-like: in the first the bracket is in the string, in the second it is not.
    assert not exceeded(guard, b'["\\"[]"]')
    assert exceeded(guard, b'["\\n",[]]') is True
    assert not guard.shallow


def test_one_guard_per_limit():
    assert depth_guard(5) is depth_guard(5)
    assert depth_guard(5) is not depth_guard(6)
