"""Six EVSEs of which nobody knows the rotation, in virtual time, with meters at the connection and at a feeder."""

from __future__ import annotations

from collections.abc import Sequence

from tests.site.site_kit import config_of

from pilotwire.core.time import SimScheduler
from pilotwire.domain.commissioning import Verdict
from pilotwire.domain.energy.model import Rotation
from pilotwire.domain.energy.pulse import Step, plan
from pilotwire.domain.steering import External
from pilotwire.site.commissioning.bench import loop_of, pulsed_site
from pilotwire.site.commissioning.course import drive
from pilotwire.site.commissioning.pulses import Detection, by_external
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import SiteConfig
from pilotwire.site.simulated import SimCharger, SimSite

HEAD = """
site: {id: six}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 15
    limits: [{source: fuse, current_a: 63}]
  - id: garage
    kind: feeder
    parent: grid
    meter: sub
    side_lost_a: 0
    limits: [{source: fuse, current_a: 40}]
devices:
  - {id: main, kind: meter, file: eastron-sdm630, endpoint: "tcp://127.0.0.1:1"}
  - {id: sub, kind: meter, file: eastron-sdm630, endpoint: "tcp://127.0.0.1:2"}
failsafe: {current_a: 6, watchdog_s: 30}
evses:
"""
REAL: dict[str, Rotation] = {"a": "RST", "b": "STR", "c": "TRS", "d": "RST", "e": "STR", "f": "TRS"}


def six(written: dict[str, str] | None = None, nodes: dict[str, str] | None = None) -> str:
    """The file; `written`: rotations that it says."""
    rows: list[str] = []
    for at, id in enumerate(REAL, start=3):
        rotation = f", rotation: {written[id]}" if written and id in written else ""
        node = (nodes or {}).get(id, "garage" if id in "abcd" else "grid")
        charger = f'{{file: keba-p30, endpoint: "tcp://127.0.0.1:{at}", unit: 255}}'
        rows.append(f"  - {{id: {id}, node: {node}{rotation}, maximum_a: 32, charger: {charger}}}\n")
    return HEAD + "".join(rows)


class Six:
    """The plant, and a loop for pulses over it. `real_nodes`: where EVSEs really hang."""

    def __init__(self, text: str, real: dict[str, str] | None = None) -> None:
        self.config: SiteConfig = config_of(text)
        self.time = SimScheduler(1_800_000_000_000)
        self.site = pulsed_site(self.config)
        truth = compile_site(config_of(six(dict(REAL), real)))
        tree = truth.topology.tree
        self.chargers = {evse.id: SimCharger(evse, self.time) for evse in tree.evses}
        self.plant = SimSite(tree, truth.topology, self.time, self.chargers)
        self.meters = {device: self.plant.meter(device, node) for node, device in truth.meters.items()}
        self.said: list[str] = []
        self.progress: list[str] = []
        self.over: list[tuple[str, tuple[int, int, int]]] = []
        self.limits = {"grid": 63_000, "garage": 40_000}
        self.found: list[Verdict] = []
        self.ended: list[tuple[Verdict, ...] | None] = []

        self.loop = loop_of(
            self.site, self, self.time, utc=lambda: int(self.time.now()), report=self.said.append,
        )  # fmt: skip
        self.loop.start()
        self._watch()

    @property
    def evses(self) -> Sequence[SimCharger]:
        return list(self.chargers.values())

    @property
    def devices(self) -> Sequence[object]:
        return list(self.meters.values())

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def _watch(self) -> None:
        self.time.call_later(250, self._watch)
        for node, limit in self.limits.items():
            flows = self.plant.flows(node)
            if max(flows) > limit:
                self.over.append((node, flows))

    def steps(self, everybody: bool = True) -> tuple[Step, ...]:
        return plan(self.site.topology, everybody=everybody)

    def detect(self, steps: Sequence[Step] | None = None) -> Detection:
        """Begun; `run` lets it go on."""
        written = {each.id: each.rotation for each in self.config.evses if each.rotation is not None}
        detection = Detection(
            self.loop, by_external(self.loop), self.steps() if steps is None else steps, written,
            now=lambda: int(self.time.now()), utc=lambda: int(self.time.now()),
            progress=lambda done, total, words: self.progress.append(words), heard=self.found.append,
        )  # fmt: skip

        def done(found: tuple[Verdict, ...] | None, error: Exception | None) -> None:
            if error is not None:
                raise error
            self.ended.append(found)

        self.driven = drive(detection.course(), self.time, done)
        return detection

    def run(self, seconds: float) -> None:
        self.time.run_for(int(seconds * 1_000))

    def until_done(self, most_s: int = 3_000) -> tuple[Verdict, ...]:
        for _ in range(most_s):
            if self.ended:
                break
            self.run(1)
        assert self.ended and self.ended[0] is not None, self.progress[-1:]
        return self.ended[0]

    @property
    def quiet(self) -> bool:
        """Nobody is ordered anything."""
        return self.loop.external == External()
