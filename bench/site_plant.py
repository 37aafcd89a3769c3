"""A site's Modbus devices as a process of their own: `python -m bench.site_plant CHARGERS [PORT ...]`.

One meter and so many chargers, each a Modbus TCP server on loopback with a car that takes 16 A; the meter shows what
the cars draw beside 5 A of a building. Prints {"meter": PORT, "chargers": [PORT, ...]} and runs until its input ends.
With ports it listens there: the meter's first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.runtime import SteadyScheduler

if TYPE_CHECKING:
    from pilotwire.site.devices.behaviour import ChargerBehaviour, MeterBehaviour

BUILDING_MW = 5 * 230_000


def site_text(plant: dict[str, object], *, id: str = "bench", log_s: int = 60) -> str:
    """The configuration of a site of these devices."""
    chargers = plant["chargers"]
    assert isinstance(chargers, list)
    amps = 20 * len(chargers)
    evses = "".join(
        f"  - {{id: bay-{at}, node: grid, rotation: {('RST', 'STR', 'TRS')[at % 3]}, maximum_a: 32, "
        f"charger: {{file: keba-p30, endpoint: 'tcp://127.0.0.1:{port}', unit: 255}}}}\n"
        for at, port in enumerate(chargers, 1)
    )
    return (
        f"site: {{id: {id}}}\n"
        f"nodes: [{{id: grid, kind: connection, meter: main, side_lost_a: 10, "
        f"limits: [{{source: fuse, current_a: {amps}}}]}}]\n"
        f"devices: [{{id: main, kind: meter, file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:{plant['meter']}', "
        "unit: 1}]\n"
        f"log: {{flush_s: {log_s}}}\n"
        f"evses:\n{evses}"
    )


async def main(count: int, ports: list[int]) -> None:
    """See the module."""
    scheduler = SteadyScheduler()
    simulators = [Simulator(scheduler) for _ in range(count + 1)]
    meter: MeterBehaviour = simulators[0].add(find_device("eastron-sdm630"), unit=1)  # type: ignore[assignment]
    keba = find_device("keba-p30")
    cars: list[ChargerBehaviour] = []
    for each in simulators[1:]:
        cars.append(each.add(keba))  # type: ignore[arg-type]
        cars[-1].plugged = True
    found = [
        await each.listen(port=port) for each, port in zip(simulators, ports or [0] * len(simulators), strict=True)
    ]
    print(json.dumps({"meter": found[0], "chargers": found[1:]}), flush=True)

    def flow() -> None:
        drawn = sum(int(each.step(int(scheduler.now())).get("current_l1_ma", 0)) for each in cars)
        each_mw = drawn * 230 + BUILDING_MW
        meter.loads = (each_mw, each_mw, each_mw)  # type: ignore[assignment]
        scheduler.call_later(200, flow)

    flow()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for each in simulators:
        await each.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
