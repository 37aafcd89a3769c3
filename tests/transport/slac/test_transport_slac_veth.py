"""SLAC over a real cable of Ethernet between two network namespaces, both ends ours and in processes of their own."""

from __future__ import annotations

from typing import Any

from tests.netns import cable

END = "tests/interop/slac/slac_end.py"


def said(event: str) -> Any:
    return lambda one: one.get("event") == event


def test_both_ends_over_a_cable():
    with (
        cable() as (at_evse, at_ev),
        at_evse.python(END, "evse", "evse0") as evse,
        at_ev.python(END, "ev", "ev0") as ev,
    ):
        evse_mac = evse.until(said("ready"))["mac"]
        ev_mac = ev.until(said("ready"))["mac"]
        ev.say({"start": True})
        assert ev.until(said("Matched"))["mac"] == evse_mac
        ev.until(said("LinkUp"))
        matched = evse.until(said("Matched"))
        assert (matched["mac"], matched["attenuation"]) == (ev_mac, 4)
        looks = []
        for end in (evse, ev):
            end.say({"look": True})
            looks.append(end.until(said("look")))
        assert looks[0] == looks[1] and looks[0]["state"] == "matched" and len(looks[0]["key"]) == 32


def test_an_interface_that_is_not_there():
    with cable() as (at_evse, _), at_evse.python(END, "refused", "plc7") as end:
        assert "there is no interface plc7" in end.until(said("refused"))["why"]


def test_the_cable_is_cut():
    with cable() as (at_evse, _), at_evse.python(END, "evse", "evse0") as evse:
        evse.until(said("ready"))
        at_evse.run("ip", "link", "del", "evse0")
        assert evse.until(said("GivenUp"))["reason"] == "the interface is gone"
