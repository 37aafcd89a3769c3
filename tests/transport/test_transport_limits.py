"""Back-off, rates and the parser of the opening handshake, without sockets."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pilotwire.core.ids import check_identity
from pilotwire.transport.ocpp.handshake import (
    HttpRefusal,
    accept_key,
    parse_basic,
    parse_path,
    parse_request,
    read_upgrade,
    response,
    station_url,
)
from pilotwire.transport.ocpp.limits import AddressRate, AuthGuard, EdgeCounters, EdgeLimits, Networks


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


LIMITS = EdgeLimits(failures_per_identity=3, failures_per_address=5, unlimited_networks=("10.0.0.0/8",))


def fail(guard: AuthGuard, address: str, identity: str, times: int) -> None:
    for _ in range(times):
        guard.failed(address, "t", identity)


def test_blocks_double_up_to_the_longest_and_are_forgotten(clock: Clock) -> None:
    guard = AuthGuard(LIMITS, clock)
    seen: list[float] = []
    for _ in range(7):
        fail(guard, "1.1.1.1", "A", 3)
        seen.append(guard.wait("2.2.2.2", "t", "A"))
        clock.now += seen[-1]
        assert guard.wait("2.2.2.2", "t", "A") == 0
    assert seen == [60, 120, 240, 480, 900, 900, 900]
    clock.now += 901
    fail(guard, "3.3.3.3", "A", 3)
    assert guard.wait("2.2.2.2", "t", "A") == 60


def test_few_failures_or_slow_ones_block_nobody(clock: Clock) -> None:
    guard = AuthGuard(LIMITS, clock)
    for _ in range(20):
        fail(guard, "1.1.1.1", "A", 2)
        assert guard.wait("1.1.1.1", "t", "A") == 0
        clock.now += 61


def test_guessing_at_an_identity_does_not_lock_its_station_out(clock: Clock) -> None:
    guard = AuthGuard(LIMITS, clock)
    guard.passed("5.5.5.5", "t", "A")
    fail(guard, "1.1.1.1", "A", 3)
    assert guard.wait("5.5.5.5", "t", "A") == 0
    assert guard.wait("6.6.6.6", "t", "A") == 60
    assert guard.wait("6.6.6.6", "other", "A") == 0


def test_an_address_is_blocked_for_all_identities_unless_its_network_is_free(clock: Clock) -> None:
    guard = AuthGuard(LIMITS, clock)
    for index in range(5):
        guard.failed("1.1.1.1", "t", f"S{index}")
        guard.failed("10.1.1.1", "t", f"T{index}")
    assert guard.wait("1.1.1.1", "t", "fresh") == 60
    assert guard.wait("10.1.1.1", "t", "fresh") == 0


def test_the_memory_of_failures_is_bounded(clock: Clock) -> None:
    guard = AuthGuard(LIMITS, clock, remembered=100)
    fail(guard, "1.1.1.1", "A", 3)
    for index in range(200):
        guard.failed(f"10.0.0.{index}", "t", f"S{index}")
        guard.passed(f"10.0.0.{index}", "t", f"S{index}")
    assert guard.wait("2.2.2.2", "t", "A") == 0
    assert len(guard._records) <= 100 and len(guard._good) <= 100


def test_zero_switches_the_back_off_off(clock: Clock) -> None:
    guard = AuthGuard(EdgeLimits(failures_per_identity=0, failures_per_address=0, unlimited_networks=()), clock)
    fail(guard, "1.1.1.1", "A", 1000)
    assert guard.wait("1.1.1.1", "t", "A") == 0


def test_a_rate_per_address(clock: Clock) -> None:
    rate = AddressRate(2, 4, clock, remembered=10)
    assert [rate.take("a") for _ in range(5)] == [True] * 4 + [False]
    assert rate.take("b")
    clock.now = 1.0
    assert [rate.take("a") for _ in range(3)] == [True, True, False]
    clock.now = 100.0
    assert [rate.take("a") for _ in range(5)] == [True] * 4 + [False]
    for index in range(100):
        rate.take(str(index))
    assert len(rate._buckets) <= 10
    assert all(AddressRate(0, 0, clock).take("a") for _ in range(100))


def test_networks() -> None:
    networks = Networks(("127.0.0.0/8", "::1/128", "10.1.0.0/16"))
    assert "127.0.0.1" in networks and "::1" in networks and "10.1.255.1" in networks
    assert "::ffff:127.0.0.1" in networks, "an IPv4 address on an IPv6 socket"
    assert "10.2.0.1" not in networks and "fe80::1%eth0" not in networks and "nonsense" not in networks
    assert "127.0.0.1" not in Networks(())


def test_close_codes_are_counted_without_growing() -> None:
    counters = EdgeCounters()
    for code in (1000, 1006, 4000, 4999, 3000, 1000):
        counters.close(code)
    assert counters.closed == {1000: 2, 1006: 1, 0: 3}


def test_the_accept_key_of_the_rfc() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(max_size=400))
@example(b"GET / HTTP/1.1\r\nAuthorization: Basic =")
def test_any_request_is_read_or_refused(head: bytes) -> None:
    limits = EdgeLimits()
    for candidate in (head, b"GET /ocpp/CS1 HTTP/1.1\r\n" + head):
        try:
            request = parse_request(candidate, limits)
            upgrade = read_upgrade(request, prefix="/ocpp", limits=limits)
        except HttpRefusal as refusal:
            assert response(refusal.status, refusal.text, refusal.headers).startswith(b"HTTP/1.1 4")
        else:
            assert check_identity(upgrade.identity)


@given(st.binary(max_size=100))
def test_any_authorization_is_read_or_is_401(value: bytes) -> None:
    try:
        user, password = parse_basic(value)
    except HttpRefusal as refusal:
        assert refusal.status == 401
    else:
        assert user is not None and password is not None and b":" not in user


identities = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=":"), min_size=1, max_size=48)


@given(identities, identities)
def test_every_identity_survives_its_url(tenant: str, identity: str) -> None:
    if not tenant.isprintable() or not identity.isprintable():
        return
    target = station_url("ws://host:1/ocpp", identity, tenant).removeprefix("ws://host:1")
    assert parse_path(target, "/ocpp") == (tenant, identity)
