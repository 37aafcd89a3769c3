"""All that runs beside a site's loop, of one configuration: servers, a broker, telecontrol, and who wrote what.

joined = Joined(config, folder_of_the_file, folder_of_the_data, report)
await run_site(..., parts=joined.parts)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .audit import AuditFile
from .clock import ClockWatch
from .config import SiteConfig
from .outside import Outside
from .rivals import Rivals
from .run import Part
from .telecontrol.part import TelecontrolPart


class Joined:
    """`parts` in the order in which they have to be started."""

    def __init__(self, config: SiteConfig, paths: Path, data: Path, report: Callable[[str], None]) -> None:
        """`paths`: what paths in the configuration begin at. `data`: the site's folder."""
        wall = time.time_ns
        self.audit = AuditFile(data, lambda: wall() // 1_000_000, report)
        self.outside = Outside(config, paths, report, self.audit, data)
        self.telecontrol: TelecontrolPart | None = None
        self.parts: list[Part] = [self.audit, *self.outside.parts, Rivals(report, self.audit.note)]
        self.parts.append(ClockWatch(report, self.audit.note))
        if config.telecontrol is not None:
            meters = {node.id: node.meter for node in config.nodes if node.meter is not None}
            self.telecontrol = TelecontrolPart(config.telecontrol, meters, paths, data, report, self.audit.modbus)
            self.parts.append(self.telecontrol)
