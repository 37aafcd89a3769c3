"""The gateway as a process of its own, for tests that kill it: `python box.py PORT CSMS_URL VERSION FILE [NAME]`.

A charger of the library behind Modbus TCP appears as station NAME (GW-1) at the CSMS. It ends with SIGTERM, in order.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from random import Random

from pilotwire.site.devices.driver import Pace, client_config
from pilotwire.site.devices.evse import ModbusEvse
from pilotwire.site.devices.load import LIBRARY, load_device
from pilotwire.site.gateway.config import GatewayConfig
from pilotwire.station.storage import SqliteShelf
from pilotwire.transport.modbus.link import open_link
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler, SystemIds
from pilotwire.twin.gateway import gateway_station

DEVICE = LIBRARY / "chargers" / "phoenix-charx-sec.yaml"
PASSWORD = b"secret-of-station"


async def main(port: str, url: str, version: str, path: str, name: str = "GW-1") -> None:
    """Until SIGTERM."""
    device = load_device(DEVICE)
    link = open_link(f"tcp://127.0.0.1:{port}", client_config([device]))
    driver = ModbusEvse("bay-1", device, link, SteadyScheduler(), pace=Pace(fast_ms=50, slow_ms=50, verify_ms=5))
    driver.start()
    shelf = SqliteShelf(Path(path))
    config = GatewayConfig(
        identity=name, url=url, version=version, evses=("bay-1",), poll_ms=50, store_ms=100,  # type: ignore[arg-type]
        settings={"sample_interval": "1", "backoff_minimum": "1", "backoff_random": "0"},
    )  # fmt: skip
    dialer = LoopDialer(f"{url}/{name}", user=name, password=PASSWORD)
    box = gateway_station(
        config, {"bay-1": driver}, LoopScheduler(), dialer, SystemIds(), Random(1), shelf.open(name), told=print
    )
    box.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    box.stop()
    driver.stop()
    link.close()
    await asyncio.sleep(0.05)
    shelf.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
