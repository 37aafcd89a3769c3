"""The site of `pilotwire site demo`, in simulated time: it shows everything, and stays within everything."""

from __future__ import annotations

from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy import Moment
from pilotwire.site.compiled import compile_site, findings
from pilotwire.site.config import read
from pilotwire.site.decide import Decision, untouched
from pilotwire.site.demo import TEXT, Demo, Operator
from pilotwire.site.inputs import TickInputs
from pilotwire.site.loop import Loop
from pilotwire.site.picture import picture

NOW = 1_767_268_800_000  # 2026-01-01T12:00:00Z


async def _ran(seconds: int, seed: int = 3) -> tuple[Loop, Demo, list[tuple[TickInputs, Decision]]]:
    config, wrong = read(TEXT)
    assert config is not None and wrong == [] and findings(config) == []
    site, clock = compile_site(config), SimScheduler(NOW)
    demo, said = Demo(config, clock, seed), []
    loop = Loop(
        site, demo.evses, demo.devices, clock, utc=lambda: int(clock.now()), state=untouched(site, Moment(NOW, NOW)),
        on_decision=lambda inputs, decision: said.append((inputs, decision)), report=lambda text: None,
    )  # fmt: skip
    await demo.start()
    operator = Operator(clock, seed)
    await operator.start(loop)
    loop.start()
    for _ in range(seconds):
        clock.run_for(1_000)
        wrong = [(node, ma) for node, ma in _above(demo) if ma]
        assert wrong == [], f"above a fuse after {clock.now() - NOW} ms"
    await operator.stop()
    loop.stop(1_000, lambda: None)
    await demo.stop()
    return loop, demo, said


def _above(demo: Demo) -> list[tuple[str, int]]:
    """By how much what really flows is above a node's fuse, with 5 % for a car that is still following."""
    found: list[tuple[str, int]] = []
    for node in demo.plant.tree.nodes:
        flows = demo.plant.flows(node.id)
        for limit in node.limits:
            for flow, most in zip(flows, limit.phases_ma or (), strict=False):
                found.append((node.id, max(0, flow - most * 105 // 100)))
    return found


async def test_the_demo_shows_every_part_of_a_site_and_stays_below_its_fuses() -> None:
    loop, _, said = await _ran(600)
    assert loop.counts.failures == 0
    config, _ = read(TEXT)
    assert config is not None
    kinds = {device.id: device.kind for device in config.devices}
    seen = [picture(loop.site, kinds, *each) for each in said[60::20]]
    last = seen[-1]
    assert {node.kind for node in last.nodes} == {"connection", "transformer", "feeder", "group"}
    assert {device.kind for device in last.devices} == {"meter", "inverter", "battery"}
    assert all(None not in (one.flows.grid, one.flows.pv, one.flows.battery, one.flows.cars) for one in seen)
    assert all((one.flows.pv or 0) <= 0 for one in seen)
    assert max(one.flows.cars or 0 for one in seen) > 20_000_000
    sources = {limit.source for one in seen for node in one.nodes for limit in node.limits}
    assert {"fuse", "transformer", "demand window quarter-hour", "order of the grid operator"} <= sources
    codes = {evse.code for one in seen for evse in one.evses}
    assert {"limit", "no_demand", "takes_less"} <= codes
    assert any(evse.soc for evse in last.evses) and any(evse.departure_ms for evse in last.evses)
    assert any(mark.code == "offline" for one in seen for mark in one.marks), "a charger is away for a while"
    batteries = [device.points["soc_permille"] for one in seen for device in one.devices if device.kind == "battery"]
    assert batteries[0] != batteries[-1]


async def test_the_devices_of_the_demo_take_their_commands_and_no_others() -> None:
    _, demo, _ = await _ran(5)
    ((_, inverter),), ((_, battery),) = demo.inverters.values(), demo.batteries.values()
    clock = demo.plant._scheduler
    told: list[bool] = []
    battery.command("setpoint_mw", 99_000_000, lambda answer: told.append(answer.ok))
    inverter.command("power_limit_mw", 1_000_000, lambda answer: told.append(answer.ok))
    inverter.command("setpoint_mw", 1, lambda answer: told.append(answer.ok))
    clock.run_for(10_000)
    assert told == [True, True, False]
    assert battery.points()["power_mw"].value > 14_900_000, "as much as it can, not as much as it was told"
    assert inverter.points()["power_mw"].value == -1_000_000
    battery.link = False
    battery.command("setpoint_mw", 0, lambda answer: told.append(answer.ok))
    clock.run_for(5_000)
    assert told[3:] == [False] and not battery.online


async def test_cars_charge_from_the_first_minute() -> None:
    """A window that was under way when the site began is reckoned with its target, not as if it were used up."""
    loop, _, said = await _ran(60)
    config, _ = read(TEXT)
    assert config is not None
    seen = picture(loop.site, {device.id: device.kind for device in config.devices}, *said[-1])
    assert sum(one.charging for one in seen.evses) >= 3
    assert {one.id: one.node for one in seen.devices} == {
        "main": "grid", "garage-meter": "garage", "roof": "grid", "cellar": "grid",
    }  # fmt: skip
