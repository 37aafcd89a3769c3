"""The box is away while the charger goes on: what happened is told afterwards, by the register, with honest times."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.gateway.gateway_world import Gateway

from pilotwire.site.gateway.absence import Begun, Ended, Last, Rules, Seen, Whole, reconstruct

BOTH = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
HOUR = 3_600_000


def charging(version: str, **more: object) -> Gateway:
    """A session that has run for ten minutes at 11 kW."""
    world = Gateway(version, free_vend=True, token="FREE", **more)  # type: ignore[arg-type]
    world.run(5)
    world.charger.plug()
    world.run(600)
    return world


@BOTH
def test_a_session_goes_on_over_a_restart_in_its_middle(version: str):
    world = charging(version)
    world.kill()
    world.run(1800)
    world.start()
    world.run(600)
    world.charger.unplug()
    world.run(10)
    (session,) = world.sessions()
    register = world.charger.register_uj // 3_600_000_000
    assert session["stop"] == register and session["start"] == 1_000_000
    assert session["end"] - session["begin"] in range(3000, 3006)
    if version == "2.0.1":
        events = world.csms.heard("TransactionEvent")
        assert [each.seq_no for each in events] == list(range(len(events))), "no gap, and none twice"
        assert [each.event_type for each in events].count("Started") == 1
    counts = world.box.gateway.outlets[0].counts
    assert counts.reconstructed == 0


@BOTH
def test_a_session_that_ended_meanwhile(version: str):
    world = charging(version)
    world.kill()
    world.run(900)
    world.charger.unplug()
    ended, register = world.now, world.charger.register_uj // 3_600_000_000
    world.run(7200)
    world.start()
    world.run(30)
    (session,) = world.sessions()
    assert session["stop"] == register, "to the last watt-hour"
    assert abs(session["end"] - ended) <= 10, "when its energy was through, not when we came back"
    assert world.statuses()[-1] == "Available"


@BOTH
def test_a_session_that_began_meanwhile_and_goes_on(version: str):
    world = Gateway(version, free_vend=True, token="FREE")
    world.run(60)
    world.kill()
    world.run(1000)
    world.charger.told_ma = 16_000  # the charger's own fail-safe lets it charge
    world.charger.plug()
    began = world.now
    world.run(3600)
    world.start()
    world.run(600)
    world.charger.unplug()
    world.run(10)
    (session,) = world.sessions()
    assert session["start"] == 1_000_000 and session["stop"] == world.charger.register_uj // 3_600_000_000
    assert abs(session["begin"] - began) <= 2, "the charger's own clock of the session says so"
    assert session["end"] - session["begin"] in range(4195, 4206)


@BOTH
def test_a_session_that_began_and_ended_meanwhile(version: str):
    world = Gateway(version, free_vend=True, token="FREE")
    world.run(60)
    world.kill()
    left = world.now
    world.charger.told_ma = 16_000
    world.run(1000)
    world.charger.plug()
    world.run(3600)
    world.charger.unplug()
    world.run(1000)
    world.start()
    world.run(60)
    (session,) = world.sessions()
    assert session["stop"] - session["start"] == 11_040
    assert left - 30 <= session["begin"] <= session["end"] <= world.now
    assert session["end"] - session["begin"] >= 1800, "as long as its energy takes, at least"


@BOTH
def test_one_ended_and_another_began_meanwhile(version: str):
    world = charging(version)
    world.kill()
    world.run(900)
    world.charger.unplug()
    ended, border = world.now, world.charger.register_uj // 3_600_000_000
    world.run(600)
    world.charger.plug()
    began = world.now
    world.run(900)
    world.start()
    world.run(60)
    world.charger.unplug()
    world.run(5)
    one, two = world.sessions()
    assert abs(one["stop"] - border) <= 1 and one["stop"] == two["start"]
    assert abs(one["end"] - ended) <= 10 and abs(two["begin"] - began) <= 2
    assert two["stop"] == world.charger.register_uj // 3_600_000_000


def test_energy_that_nobody_can_be_named_for_is_said():
    world = Gateway("1.6")
    world.run(60)
    world.kill()
    world.charger.told_ma = 16_000
    world.charger.plug()
    world.run(3600)
    world.charger.unplug()
    world.start()
    world.run(60)
    assert world.sessions() == [] and world.box.gateway.outlets[0].counts.ownerless_wh == 11_040
    assert any("nobody can be named" in each for each in world.said)


def test_a_card_that_the_charger_let_in_by_itself():
    world = Gateway("1.6")
    world.run(60)
    world.kill()
    world.charger.told_ma = 16_000
    world.charger.card = "04DD"
    world.charger.plug()
    began = world.now
    world.run(1800)
    world.start()
    world.run(600)
    (session,) = world.sessions()
    assert session["token"] == "04DD" and session["start"] == 1_000_000 and abs(session["begin"] - began) <= 2
    assert world.charger.drawn_ma == 16_000
    assert world.csms.heard("Authorize") == [], "the session runs: its card is not asked for again, nor does it stop it"


def test_a_card_of_an_earlier_session_does_not_pay_for_another_car():
    world = Gateway("1.6")
    world.run(5)
    world.charger.plug()
    world.charger.card = "04AA"
    world.run(60)
    world.charger.unplug()
    world.charger.card = "04AA"  # this charger leaves the last one in its register
    world.run(60)
    world.kill()
    world.charger.told_ma = 16_000
    world.charger.plug()
    world.run(3600)
    world.start()
    world.run(60)
    assert len(world.sessions()) == 1 and world.charger.drawn_ma == 0
    assert any("nobody can be named" in each for each in world.said)


def test_no_csms_either_while_the_box_is_away():
    world = charging("1.6")
    world.offline()
    world.kill()
    world.run(600)
    world.start()
    world.run(600)
    world.charger.unplug()
    world.run(60)
    world.kill()
    world.run(60)
    world.start()
    world.run(60)
    world.online()
    world.run(400)
    (session,) = world.sessions()
    assert session["stop"] == world.charger.register_uj // 3_600_000_000
    assert session["end"] - session["begin"] in range(1800, 1806)


def test_the_charger_is_lost_and_back():
    world = charging("1.6")
    world.charger.online = False
    world.run(300)
    assert world.statuses()[-1] == "Faulted"
    heard = len(world.csms.heard("MeterValues"))
    world.run(600)
    assert len(world.csms.heard("MeterValues")) == heard, "what is old is no reading"
    assert len(world.sessions()) == 1 and "end" not in world.sessions()[0]
    world.charger.online = True
    world.run(10)
    assert world.statuses()[-1] == "Charging"
    world.charger.unplug()
    world.run(10)
    (session,) = world.sessions()
    assert session["stop"] == world.charger.register_uj // 3_600_000_000 and session["end"] == pytest.approx(
        world.now, abs=11
    )


def test_another_car_came_while_the_charger_was_lost():
    world = charging("1.6")
    border = world.charger.register_uj // 3_600_000_000
    world.charger.online = False
    world.charger.unplug()
    world.run(300)
    world.charger.plug()
    world.run(300)
    world.charger.online = True
    world.run(10)
    one, two = world.sessions()
    assert abs(one["stop"] - border) <= 4 and one["stop"] == two["start"] and "end" not in two


def test_a_short_silence_is_nothing():
    world = charging("1.6")
    world.charger.online = False
    world.run(8)
    world.charger.online = True
    world.run(60)
    assert "Faulted" not in world.statuses() and len(world.sessions()) == 1


def test_storage_that_cannot_be_read_is_said():
    world = charging("1.6")
    world.kill()
    world.storage.write({"gateway.1": b"{"})
    world.start()
    world.run(30)
    assert any("cannot be read" in each for each in world.said)
    assert len(world.sessions()) == 1 and "end" not in world.sessions()[0], "the session is the station's, and goes on"


# ── the pure part ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_names_of_sessions_tell_them_apart():
    last = Last(at_ms=0, register_wh=1000, plugged=True, running=True, session="S1", session_wh=500)
    same = Seen(at_ms=HOUR, register_wh=1100, plugged=True, session="S1", session_wh=50)
    other = Seen(at_ms=HOUR, register_wh=1100, plugged=True, session="S2", session_wh=600)
    assert reconstruct(last, same, Rules()) == (), "its name is the same, whatever else it says"
    assert isinstance(reconstruct(last, other, Rules())[0], Ended)


lasts = st.builds(
    Last, at_ms=st.just(0), register_wh=st.integers(0, 10**6), plugged=st.booleans(), running=st.booleans(),
    session=st.sampled_from(["", "S1", "S2"]), session_wh=st.none() | st.integers(0, 50_000),
    token=st.sampled_from(["", "T1", "T2"]), power_mw=st.sampled_from([0, 4_000_000, 11_000_000]),
)  # fmt: skip


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    lasts, st.integers(0, 100_000), st.integers(0, 48 * HOUR), st.booleans(), st.sampled_from(["", "S1", "S2"]),
    st.none() | st.integers(0, 50_000), st.none() | st.integers(0, 200_000), st.sampled_from(["", "T1", "T2"]),
    st.booleans(),
)  # fmt: skip
def test_whatever_happened_no_energy_is_told_twice_or_lost(
    last: Last,
    moved: int,
    away: int,
    plugged: bool,
    session: str,
    wh: int | None,
    s: int | None,
    token: str,
    free: bool,
):
    seen = Seen(
        at_ms=away, register_wh=last.register_wh + moved, plugged=plugged, session=session, session_wh=wh,
        session_s=s, token=token,
    )  # fmt: skip
    steps = reconstruct(last, seen, Rules(free=free))
    running, at_ms, register = last.running, last.at_ms, last.register_wh
    for step in steps:
        if isinstance(step, Ended):
            assert running and register <= step.register_wh <= seen.register_wh and at_ms <= step.at_ms <= seen.at_ms
            running, at_ms, register = False, step.at_ms, step.register_wh
        elif isinstance(step, Whole):
            assert not running and step.begin_wh == register and step.end_wh >= step.begin_wh
            assert at_ms <= step.begin_ms <= step.end_ms <= seen.at_ms
            at_ms, register = step.end_ms, step.end_wh
        else:
            assert isinstance(step, Begun) and not running and plugged
            assert register <= step.register_wh <= seen.register_wh and at_ms <= step.at_ms <= seen.at_ms
            assert step.register_wh - register < 20, "what lies between is no session"
            running, register = True, step.register_wh
    assert not (running and not plugged), "a session without a car"
    if not running:
        assert seen.register_wh - register < 20, "energy that no session has"
