"""The demo world of `pilotwire run`: a dozen stations of all three versions, AC and DC, with cars coming and going.

    world = DemoWorld(scheduler, dialer, ids, seed=7, password=..., storage=...)
    for account in world.accounts(): ...     the central system has to know these
    for token in world.tokens(): ...         and these
    world.start()
    world.stop()

The stations are real OCPP clients; `dialer` decides whether they come over loopback sockets or in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec

from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.ports import Files
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage, StationStorage
from pilotwire.transport.port import Dialer

from .bays import Bay, Traffic

VENDOR = "Pilotwire demo"

AC_11 = EvseConfig(max_ma=16_000, max_w=11_040)
AC_22 = EvseConfig(max_ma=32_000, max_w=22_080)
AC_7 = EvseConfig(phases=1, max_ma=32_000, max_w=7_360, fixed_cable=True)
DC_50 = EvseConfig(
    dc=True, phases=3, max_ma=125_000, max_w=50_000, max_mv=500_000, connector_type="cCCS2", fixed_cable=True
)
DC_150 = EvseConfig(
    dc=True, phases=3, max_ma=400_000, max_w=150_000, max_mv=920_000, connector_type="cCCS2", fixed_cable=True
)
CHADEMO_50 = msgspec.structs.replace(DC_50, connector_type="cG105")
GBT_120 = EvseConfig(
    dc=True, phases=3, max_ma=250_000, max_w=120_000, max_mv=750_000, connector_type="cGBT-DC", fixed_cable=True
)
DC_300 = EvseConfig(
    dc=True, phases=3, max_ma=500_000, max_w=300_000, max_mv=920_000, connector_type="cCCS2", fixed_cable=True
)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of demo station."""

    prefix: str
    model: str
    version: VersionName
    evses: tuple[EvseConfig, ...]
    firmware: str


MODELS: tuple[Model, ...] = (
    Model(prefix="AC", model="Duo 22", version="1.6", evses=(AC_22, AC_22), firmware="1.8.2"),
    Model(prefix="DC", model="Rapid 150", version="2.0.1", evses=(DC_150,), firmware="3.1.0"),
    Model(prefix="AC", model="Post 11", version="2.0.1", evses=(AC_11,), firmware="2.4.1"),
    Model(prefix="DC", model="Hub 300", version="2.1", evses=(DC_300, GBT_120), firmware="4.0.3"),
    Model(prefix="AC", model="Post 11", version="2.1", evses=(AC_11, AC_11), firmware="4.0.3"),
    Model(prefix="AC", model="Wall 7", version="1.6", evses=(AC_7,), firmware="1.5.0"),
    Model(prefix="DC", model="Rapid 50", version="2.0.1", evses=(CHADEMO_50,), firmware="3.1.0"),
    Model(prefix="AC", model="Duo 22", version="2.0.1", evses=(AC_22, AC_22), firmware="3.1.0"),
    Model(prefix="AC", model="Wall 7", version="2.1", evses=(AC_7,), firmware="4.0.1"),
    Model(prefix="AC", model="Post 11", version="1.6", evses=(AC_11,), firmware="1.8.0"),
    Model(prefix="DC", model="Rapid 150", version="2.1", evses=(DC_150,), firmware="4.0.3"),
    Model(prefix="AC", model="Duo 22", version="1.6", evses=(AC_22, AC_22), firmware="1.8.2"),
)
"""In this order, then again from the first."""

LINKS: Mapping[str, Sequence[str]] = {
    "cType2": ("pilot", "pilot", "iso2-ac", "iso20-ac"),
    "cCCS2": ("din", "iso2-dc", "iso20-dc"),
    "cG105": ("chademo1", "chademo2"),
    "cGBT-DC": ("gbt2011", "gbt2015"),
}
"""How cars talk, by the connector; names of `links.LINKS`."""

_SETTINGS = {"sample_interval": "10", "backoff_minimum": "2", "backoff_random": "3", "backoff_repeats": "3"}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the central system must know of a station."""

    identity: str
    password: str
    version: VersionName
    security_profile: int = 1
    vendor: str = VENDOR
    model: str = ""


class DemoToken(msgspec.Struct, frozen=True, kw_only=True):
    """A card of one of the drivers. Type as in 2.x; 1.6 knows only the id."""

    id: str
    type: str = "ISO14443"
    holder: str = ""


def _seeded_password(random: Random) -> Callable[[str], str]:
    return lambda identity: f"{random.getrandbits(100):025x}"[:20]


class DemoWorld:
    """See the head of this file."""

    def __init__(
        self,
        scheduler: Scheduler,
        dialer: Callable[[str, str], Dialer],
        ids: Ids,
        *,
        count: int = 12,
        seed: int = 7,
        password: Callable[[str], str] | None = None,
        storage: Callable[[str], StationStorage] | None = None,
        traffic: Traffic | None = None,
        files: Files | None = None,
        links: bool = False,
    ) -> None:
        """`links`: the cars talk with their stations, each by a protocol that fits its plug; else both just know.

        `dialer(identity, password)` makes a station's dialer. `password(identity)` must come from real randomness
        outside tests (16 to 20 printable ASCII characters); the default follows the seed. `storage(identity)` gives a
        station its memory; the default lasts as long as the process. `files`: their way to firmware and for their logs.
        """
        self._scheduler = scheduler
        self._random = Random(seed)
        self._starts: list[Timer] = []
        secret = password or _seeded_password(Random(seed))
        memory = storage or (lambda identity: MemoryStorage())
        self._tokens = tuple(
            DemoToken(id=f"DE5EED{number:02X}{self._random.getrandbits(24):06X}", holder=f"Driver {number}")
            for number in range(1, max(8, 2 * count) + 1)
        )
        counts: dict[str, int] = {}
        self._accounts: list[Account] = []
        self.stations: list[Station] = []
        self._bays: list[Bay] = []
        cards = [token.id for token in self._tokens]
        for number in range(count):
            model = MODELS[number % len(MODELS)]
            counts[model.prefix] = counts.get(model.prefix, 0) + 1
            identity = f"DEMO-{model.prefix}-{counts[model.prefix]:02d}"
            account = Account(identity=identity, password=secret(identity), version=model.version, model=model.model)
            self._accounts.append(account)
            config = StationConfig(
                identity=identity,
                version=model.version,
                evses=model.evses,
                vendor=VENDOR,
                model=model.model,
                serial=f"PW{model.prefix}{number + 1:06d}",
                firmware=model.firmware,
                settings=_SETTINGS,
                first_sample_ms=1_000,
                queue_limit=5_000,
            )
            station = Station(
                config,
                scheduler,
                dialer(identity, account.password),
                ids,
                Random(self._random.getrandbits(64)),
                memory(identity),
                files=files,
                # Without `on_password`: the password is made anew with each start, so the CSMS cannot set one.
                truth_limit=200,
            )
            self.stations.append(station)
            for evse, built in enumerate(model.evses, 1):
                chance = Random(self._random.getrandbits(64))
                talk = LINKS.get(built.connector_type, ()) if links else ()
                self._bays.append(Bay(station, evse, scheduler, chance, cards, traffic or Traffic(), talk))

    def accounts(self) -> Sequence[Account]:
        """The stations' identities and passwords."""
        return self._accounts

    def tokens(self) -> Sequence[DemoToken]:
        """The drivers' cards."""
        return self._tokens

    def start(self) -> None:
        """Stations come up one after another within half a second, cars follow at once."""
        for number, station in enumerate(self.stations):
            self._starts.append(self._scheduler.call_later(number * 40, station.power_on))
        for bay in self._bays:
            bay.open()

    def stop(self) -> None:
        """Close the connections in order. Running sessions end as after a loss of power when the world starts again."""
        for timer in self._starts:
            timer.cancel()
        self._starts.clear()
        for bay in self._bays:
            bay.close()
        for station in self.stations:
            station.shut_down()

    @property
    def charging(self) -> int:
        """EVSEs with power flowing."""
        return sum(evse.meter.power_mw > 0 for station in self.stations for evse in station.evses)
