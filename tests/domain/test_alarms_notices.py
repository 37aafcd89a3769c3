"""Digests that keep quiet, power per site, signatures that hold, delays that grow."""

from __future__ import annotations

import hmac
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain import facts, webhooks
from pilotwire.domain.alarms_digest import GATHER_MS, MAX_LINES, Digest, Line, body, gather, subject, take
from pilotwire.domain.alarms_power import SitePower

T = 1_767_268_800_000
MINUTE = 60_000


def line(alarm: str, what: str = "raised", severity: str = "major", at: int = T) -> Line:
    return Line(alarm=alarm, what=what, at=at, severity=severity, station="CP-1", site="north", text="faulted")  # type: ignore[arg-type]


def test_the_first_is_told_at_once_and_what_follows_goes_out_together() -> None:
    digest = gather(Digest(), line("a"), T, 5 * MINUTE)
    digest = gather(digest, line("b"), T + 1_000, 5 * MINUTE)
    assert take(digest, T + GATHER_MS - 1)[1] == ()
    digest, lines, more = take(digest, T + GATHER_MS)
    assert ([one.alarm for one in lines], more) == (["a", "b"], 0)
    digest = gather(digest, line("c"), T + 10_000, 5 * MINUTE)
    digest = gather(digest, line("c", "cleared"), T + 20_000, 5 * MINUTE)
    assert take(digest, T + 4 * MINUTE)[1] == ()
    digest, lines, _ = take(digest, T + GATHER_MS + 5 * MINUTE)
    assert [(one.alarm, one.what) for one in lines] == [("c", "raised"), ("c", "cleared")]
    assert take(digest, T + 60 * MINUTE)[1] == ()


def test_what_is_critical_does_not_wait() -> None:
    digest = gather(Digest(sent_at=T), line("a"), T + 1, 60 * MINUTE)
    assert digest.due == T + 60 * MINUTE
    digest = gather(digest, line("b", severity="critical"), T + 2, 60 * MINUTE)
    assert digest.due == T + 2 + GATHER_MS


def test_a_storm_is_counted_and_not_listed() -> None:
    digest = Digest()
    for number in range(MAX_LINES + 7):
        digest = gather(digest, line(f"a{number}"), T, MINUTE)
    _, lines, more = take(digest, T + GATHER_MS)
    assert (len(lines), more) == (MAX_LINES, 7)
    assert "7 more" in subject(lines, more) and "7 more" in body(lines, more, {T: "then"})


def test_subjects_say_the_worst_first() -> None:
    assert subject((line("a"),), 0) == "[major] CP-1: faulted"
    assert subject((line("a", "cleared"),), 0) == "[cleared] CP-1: faulted"
    several = (line("a", severity="minor"), line("b", severity="critical"), line("c", "cleared"))
    assert subject(several, 0) == "Alarms: 1 critical, 1 minor, 1 cleared"
    text = body(several, 0, {T: "12:00"})
    assert text.index("Raised:") < text.index("Over:") and "12:00  critical  CP-1 (north): faulted" in text


def test_power_is_summed_where_the_stations_stand() -> None:
    sites = {"A": "north", "B": "north", "C": "south"}
    power = SitePower(lambda station: sites.get(station, ""))

    def update(session: str, watts: int | None) -> facts.SessionUpdated:
        return facts.SessionUpdated(event_time=T, session_id=session, power_w=watts)

    assert power.fact("A", update("1", 11_000)) == "north"
    assert power.fact("A", update("1", None)) is None and power.fact("A", update("1", 11_000)) is None
    assert power.fact("B", update("2", 7_000)) == "north" and power.fact("C", update("3", 5_000)) == "south"
    assert power.totals == {"north": 18_000, "south": 5_000}
    assert power.fact("A", facts.SessionEnded(event_time=T, session_id="1")) == "north"
    assert power.totals["north"] == 7_000
    sites["B"] = "south"
    power.moved()
    assert power.totals == {"south": 12_000}
    assert power.fact("B", update("2", 0)) == "south" and power.totals["south"] == 5_000


# -- webhooks ---------------------------------------------------------------------------------------------------------
def test_a_signature_is_what_the_recipe_says() -> None:
    header = webhooks.sign("whsec_x", 1_700_000_000, b'{"a":1}')
    by_hand = hmac.new(b"whsec_x", b'1700000000.{"a":1}', sha256).hexdigest()
    assert header == f"t=1700000000,v1={by_hand}"


@given(st.binary(max_size=200), st.integers(0, 2**31), st.integers(-400, 400))
def test_a_signature_holds_for_its_body_and_its_time_alone(data: bytes, at: int, late: int) -> None:
    header = webhooks.sign("secret", at, data)
    assert webhooks.verify("secret", header, data, at + late) is (abs(late) <= 300)
    assert not webhooks.verify("other", header, data, at)
    assert not webhooks.verify("secret", header, data + b"x", at)
    assert not webhooks.verify("secret", header.replace(f"t={at}", f"t={at + 1}"), data, at)


@given(st.text(max_size=100))
def test_no_header_breaks_the_verification(header: str) -> None:
    assert not webhooks.verify("secret", header, b"", 1_700_000_000)


def test_a_second_signature_beside_a_foreign_one_is_found() -> None:
    header = webhooks.sign("new", 100, b"x")
    assert webhooks.verify("new", f"t=100,v1={'0' * 64},{header.partition(',')[2]}", b"x", 100)


def test_what_an_answer_means() -> None:
    assert {
        status: webhooks.judge(status) for status in (200, 204, 301, 400, 401, 404, 408, 410, 422, 429, 500, 503)
    } == {
        200: "delivered",
        204: "delivered",
        301: "down",
        400: "refused",
        401: "down",
        404: "down",
        408: "down",
        410: "gone",
        422: "refused",
        429: "down",
        500: "down",
        503: "down",
    }


@given(st.integers(1, 200), st.text(max_size=20))
def test_delays_grow_to_an_hour_and_are_spread(attempts: int, name: str) -> None:
    delay = webhooks.delay_ms(attempts, name)
    base = min(3_600_000, 5_000 * 2 ** (attempts - 1))
    assert 0.8 * base <= delay <= 1.2 * base
    assert delay == webhooks.delay_ms(attempts, name)
    assert webhooks.delay_ms(attempts, name, 10**9) >= 3_600_000
    assert webhooks.delay_ms(attempts, name, 10**9) <= 1.2 * 3_600_000


def test_filters() -> None:
    assert webhooks.wants(("*",), "anything") and webhooks.wants(("a", "b"), "b") and not webhooks.wants(("a",), "b")
