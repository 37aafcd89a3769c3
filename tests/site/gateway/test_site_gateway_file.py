"""`gateway:` of a site's file: what is wrong in it, and what becomes of a central system's limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.site.site_kit import TEXT, Small, config_of

from pilotwire.core.errors import ConfigError
from pilotwire.site import parts
from pilotwire.site.config import read
from pilotwire.site.facades.orders import ExternalLimits, Order, each
from pilotwire.site.gateway.entries import station_config
from pilotwire.site.gateway.gateway import to_limits
from pilotwire.site.outside import Orders

SITE = """
site: {id: shown}
nodes: [{id: grid, kind: connection, limits: [{source: fuse, current_a: 63}]}]
evses:
  - {id: a, node: grid, rotation: RST, charger: {file: keba-p30, endpoint: "tcp://127.0.0.1:4"}}
  - {id: b, node: grid, rotation: RST, charger: {file: keba-p30, endpoint: "tcp://127.0.0.1:5"}}
  - {id: c, node: grid, rotation: RST, has_failsafe: false, maximum_a: 6, charger: {ocpp: C}}
ocpp: {upstreams: [{name: csms, url: "ws://up.example"}], stations: [{identity: C}]}
gateway:
  - {identity: PW-A, url: "ws://csms.example/ocpp", version: 1.6, evses: [a], free_vend: true, id_token: CARD}
  - {identity: PW-B, url: "wss://csms.example/ocpp", evses: [b], password_file: b.secret, rollover_kwh: 100}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.secret").write_text("hush\n")
    return tmp_path


def wrong(text: str, folder: Path) -> list[str]:
    config, found = read(text)
    if config is not None:
        found = parts.findings(config, folder)
    return [str(each) for each in found if each.severity == "error"]


def test_it_is_understood(folder: Path) -> None:
    assert wrong(SITE, folder) == []
    first, second = (station_config(section, folder) for section in config_of(SITE).gateway)
    assert (first.version, first.token, first.free_vend, first.password) == ("1.6", "CARD", True, "")
    assert (second.version, second.password, second.rollover_wh) == ("2.0.1", "hush", 100_000)
    (folder / "b.secret").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        station_config(config_of(SITE).gateway[1], folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 1.6", "version: 2.1", "gateway[PW-A].version: 2.1 is none that the gateway speaks"),
        ("evses: [a]", "evses: [x]", "gateway[PW-A].evses: there is no EVSE x"),
        ("evses: [a]", "evses: [c]", "c speaks OCPP itself"),
        ("evses: [a]", "evses: []", "is empty"),
        ("evses: [b]", "evses: [a]", "a is PW-A's already"),
        ("ws://csms", "http://csms", "is no address of a central system"),
        ("wss://csms", "wss://user:secret@csms", "has a password"),
        (", id_token: CARD", "", "OCPP 1.6 knows no session without a card"),
        ("b.secret", "c.secret", "there is no file"),
        ("identity: PW-A", "identity: 'PW:A'", "1 to 48 characters, and no colon"),
        ("id_token: CARD", "id_token: CARD, ca: b.secret", "begin it with wss://"),
        ("rollover_kwh: 100", "certificate: b.secret", "certificate and key go together"),
        ("free_vend", "freevend", "did you mean free_vend"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, said: str, folder: Path) -> None:
    assert old in SITE
    found = wrong(SITE.replace(old, new, 1), folder)
    assert any(said in each for each in found), found


async def test_what_a_central_system_allows_is_one_limit_among_others() -> None:
    small = Small(TEXT + "gateway: [{identity: PW, url: 'ws://x', evses: [a, b]}]\n")
    said: list[str] = []
    orders = Orders(said.append)
    await orders.start(small.loop)
    drivers: Any = small.chargers
    tell = to_limits(drivers, orders.limits, small.time, csms="PW")
    for charger in small.chargers.values():
        charger.plug(32_000)

    def both() -> tuple[int, int]:
        found = orders.limits.at(int(small.time.now())).evses
        orders.take_over = lambda loop: None  # its own clock is the wall's here
        from pilotwire.domain.steering import External, Ordered

        small.loop.external = External(
            evses={
                id: Ordered(source=each.source, maximum_ma=each.maximum_ma, pause=not each.enable)
                for id, each in found.items()
            }
        )
        small.run(40)
        given = small.set_points()
        return given["a"], given["b"]

    tell("a", 0, 60_000)
    tell("b", 9_000, 60_000)
    assert both() == (0, 9_000), "no session, and what its profile allows"
    tell("a", 32_000, 60_000)
    tell("b", 32_000, 60_000)
    now = int(small.time.now())
    limits: ExternalLimits = orders.limits
    limits.put(Order(channel="ems", client="10.0.0.7", evse="b", phases_ma=each(7_000), until_ms=now + 3_600_000), now)
    a, b = both()
    assert a > 9_000 and b == 7_000, "the lower of both"
    assert not limits.fights, "an energy manager that orders less does not contradict what may be had"
    small.run(60)
    assert both() == (0, 0), "a gateway that has fallen silent lets nobody charge"
    await orders.stop()
