"""UnlockConnector and Reset reach a charger that can be told so, after its session; the others say that they cannot."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from tests.site.gateway.gateway_world import Gateway

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v201 import messages as v201

BOTH = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


def unlock(world: Gateway) -> None:
    if world.config.version == "1.6":
        world.csms.command("UnlockConnector", v16.UnlockConnectorRequest(connector_id=1))
    else:
        world.csms.command("UnlockConnector", v201.UnlockConnectorRequest(evse_id=1, connector_id=1))


def answer(world: Gateway, action: str) -> Any:
    """The last one."""
    return [response for name, response in world.csms.answers if name == action][-1]


def charging(version: str, **more: Any) -> Gateway:
    """A car has been charging for a minute."""
    world = Gateway(version, free_vend=True, token="FREE", **more)
    world.run(5)
    world.charger.plug()
    world.run(60)
    assert world.charger.drawn_ma == 16_000
    return world


@BOTH
def test_a_plug_is_set_free_once_the_charger_says_so(version: str):
    world = Gateway(version)
    world.run(5)
    unlock(world)
    world.run(0.2)
    assert world.csms.answers == [], "not before it is true"
    world.run(3)
    assert answer(world, "UnlockConnector").status == "Unlocked" and world.charger.told == [("unlock", 0)]


@BOTH
@pytest.mark.parametrize("why", ["no register", "fixed cable"])
def test_where_there_is_nothing_to_unlock_that_is_the_answer(version: str, why: str):
    world = Gateway(version, unlocks=why != "no register", fixed_cable=why == "fixed cable")
    world.run(5)
    unlock(world)
    world.run(2)
    said = answer(world, "UnlockConnector")
    if version == "1.6":
        assert said.status == "NotSupported"
    else:
        assert said.status == "UnlockFailed" and said.status_info.reason_code == "UnsupportedRequest"
    assert world.charger.told == []


def test_in_1_6_the_session_ends_first_and_the_lock_opens_without_current():
    world = charging("1.6")
    unlock(world)
    world.run(10)
    assert answer(world, "UnlockConnector").status == "Unlocked" and world.charger.told == [("unlock", 0)]
    (session,) = world.sessions()
    assert session["reason"] == "UnlockCommand" and world.statuses()[-1] == "Finishing"
    world.run(60)
    assert len(world.sessions()) == 1 and world.charger.drawn_ma == 0, "the same car begins nothing new"


def test_in_2_0_1_a_session_keeps_its_plug():
    world = charging("2.0.1")
    unlock(world)
    world.run(20)
    assert answer(world, "UnlockConnector").status == "OngoingAuthorizedTransaction"
    assert world.charger.told == [] and world.charger.drawn_ma == 16_000


@BOTH
def test_a_lock_that_does_not_open_and_a_charger_that_does_not_answer(version: str):
    world = Gateway(version)
    world.run(5)
    world.charger.locks = False
    unlock(world)
    world.run(3)
    assert answer(world, "UnlockConnector").status == "UnlockFailed"
    assert world.said == ["EVSE 1: it was not unlocked: exception 4"]
    world.charger.online, world.charger.told = False, []
    unlock(world)
    world.run(20)
    assert answer(world, "UnlockConnector").status == "UnlockFailed"
    assert world.said[-1] == "EVSE 1: it was not unlocked: the charger does not answer" and world.charger.told == []


def test_no_lock_is_opened_under_current():
    world = charging("1.6")
    world.charger.deaf = True
    unlock(world)
    world.run(20)
    assert world.charger.drawn_ma == 16_000 and world.charger.told == []
    assert answer(world, "UnlockConnector").status == "UnlockFailed"
    assert world.said[-1] == "EVSE 1: it was not unlocked: it still gives current"


@BOTH
def test_who_asked_and_went_away_gets_no_answer(version: str):
    world = Gateway(version)
    world.run(5)
    unlock(world)
    world.run(0.1)
    world.offline()
    world.run(5)
    world.online()
    world.run(120)
    assert world.charger.told == [("unlock", 0)] and world.csms.answers == []
    unlock(world)
    world.run(3)
    assert answer(world, "UnlockConnector").status == "Unlocked"


def reset(world: Gateway, kind: Literal["Soft", "Hard", "Immediate", "OnIdle"]) -> None:
    if kind in ("Soft", "Hard"):
        world.csms.command("Reset", v16.ResetRequest(type=kind))
    else:
        world.csms.command("Reset", v201.ResetRequest(type=kind))


@pytest.mark.parametrize("kind", ["Soft", "Hard", "Immediate"])
def test_a_reset_ends_the_session_and_then_restarts_the_charger(kind: Any):
    world = charging("2.0.1" if kind == "Immediate" else "1.6")
    reset(world, kind)
    world.run(15)
    said = answer(world, "Reset")
    assert said.status == "Accepted" and getattr(said, "status_info", None) is None
    (session,) = world.sessions()
    assert session["reason"] == {"Soft": "SoftReset", "Hard": "HardReset", "Immediate": "ImmediateReset"}[kind]
    assert world.charger.told == [("restart", 0)]
    world.run(120)
    assert len(world.csms.heard("BootNotification")) == 2
    assert len(world.sessions()) == 1, "the car that is still there does not begin anew by itself"
    assert session["stop"] == world.charger.register_uj // 3_600_000_000
    world.charger.unplug()
    world.run(10)
    assert world.statuses()[-1] == "Available"


@pytest.mark.parametrize("kind", ["Soft", "Hard", "Immediate"])
def test_a_charger_that_cannot_be_restarted_is_not_said_to_be(kind: Any):
    """Hard is for hardware: refused. The others restart the station, which is the gateway; 2.0.1 has room to say so."""
    world = charging("2.0.1" if kind == "Immediate" else "1.6", restarts=False)
    reset(world, kind)
    world.run(60)
    said = answer(world, "Reset")
    if kind == "Hard":
        assert said.status == "Rejected"
        assert world.charger.drawn_ma == 16_000 and len(world.csms.heard("BootNotification")) == 1
        return
    assert said.status == "Accepted" and world.charger.told == []
    if kind == "Immediate":
        assert "cannot be restarted" in said.status_info.additional_info
    assert len(world.csms.heard("BootNotification")) == 2 and "end" in world.sessions()[0]


def test_a_charger_that_is_stuck_under_current_is_restarted_all_the_same():
    world = charging("1.6")
    world.charger.deaf = True
    reset(world, "Hard")
    world.run(10)
    assert world.charger.told == [], "it may still end"
    world.run(20)
    assert world.charger.told == [("restart", 16_000)]


def test_a_reset_when_idle_waits_for_the_session():
    world = charging("2.0.1")
    reset(world, "OnIdle")
    world.run(60)
    assert answer(world, "Reset").status == "Scheduled" and world.charger.told == []
    world.charger.unplug()
    world.run(30)
    assert world.charger.told == [("restart", 0)]
    world.run(60)
    assert len(world.csms.heard("BootNotification")) == 2 and world.statuses()[-1] == "Available"
