"""The file of the demo's depot: which limits, devices and EVSEs its controller knows."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

ID = "depot"
NAME = "Depot with a roof"
ZONE = "Europe/Berlin"
POWER_LIMIT_W = 55_200
"""What its fuse carries, 80 A on three phases."""

TEXT = """\
# The depot of `pilotwire run`: its chargers are stations of the demo, which really connect to this controller by OCPP;
# its meters, its roof and its battery are simulated, and show what these stations really draw.
site: {{id: depot, name: Depot with a roof, time_zone: Europe/Berlin}}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: [24, 20, 20]
    feeds_a: 66
    limits:
      - {{source: fuse, current_a: 80}}
      - {{source: grid code, imbalance_a: 40}}
  - id: hall
    kind: feeder
    parent: grid
    meter: hall-meter
    side_lost_a: 3
    limits:
      - {{source: fuse, current_a: 50}}
  - id: yard
    kind: feeder
    parent: grid
    limits:
      - {{source: fuse, current_a: 63}}
devices:
  - {{id: main, kind: meter, file: simulated, endpoint: simulated}}
  - {{id: hall-meter, kind: meter, file: simulated, endpoint: simulated}}
  - {{id: roof, kind: inverter, file: simulated, endpoint: simulated}}
  - {{id: cellar, kind: battery, file: simulated, endpoint: simulated}}
failsafe: {{current_a: 6, power_kw: 0, watchdog_s: 60}}
policy: {{order: first_come}}
log: {{megabytes: 20}}
steering:
  windows:
    - id: quarter-hour
      node: grid
      minutes: 15
      contracted_kw: 42
      worst_kw: 80
      side_lost_kw: 14
      reserve_kw: 3
  rates:
    - {{import_price: 0.36, export_price: 0.08, span: {{from: "17:00", until: "20:00"}}}}
    - {{import_price: 0.24, export_price: 0.08}}
  surplus: {{node: grid, enable_s: 20, disable_s: 40, grace_s: 20, priority_percent: 40}}
  batteries:
    - {{id: cellar, node: grid, capacity_kwh: 30, charge_kw: 12, discharge_kw: 12, backup_percent: 10,
       peak_percent: 30}}
  inverters:
    - {{id: roof, node: grid, nominal_kw: 30}}
evses:
  - {{id: hall-1, node: hall, rotation: RST, maximum_a: 32, charger: {{ocpp: DEPOT-AC-01, connector: 1}}}}
  - {{id: hall-2, node: hall, rotation: STR, maximum_a: 32, charger: {{ocpp: DEPOT-AC-01, connector: 2}}}}
  - {{id: hall-3, node: hall, rotation: TRS, maximum_a: 32, charger: {{ocpp: DEPOT-AC-02, connector: 1}}}}
  - {{id: hall-4, node: hall, rotation: RST, maximum_a: 32, mode: min_pv, charger: {{ocpp: DEPOT-AC-02, connector: 2}}}}
  - {{id: hall-5, node: hall, rotation: STR, maximum_a: 16, mode: pv, charger: {{ocpp: DEPOT-AC-03}}}}
  - {{id: hall-6, node: hall, phases: 1, rotation: TRS, maximum_a: 32, charger: {{ocpp: DEPOT-AC-04}}}}
  - {{id: yard-1, node: yard, rotation: RST, maximum_a: 16, charger: {{ocpp: DEPOT-AC-05, connector: 1}}}}
  - {{id: yard-2, node: yard, rotation: STR, maximum_a: 16, charger: {{ocpp: DEPOT-AC-05, connector: 2}}}}
  - {{id: yard-dc, node: yard, current: DC, maximum_kw: 50, minimum_kw: 5, charger: {{ocpp: DEPOT-DC-01}}}}
ocpp:
  listen: 127.0.0.1:0
  upstreams: [{{name: csms, url: '{upstream}'}}]
  stations:
{stations}
"""


def site_text(upstream: str, passwords: Mapping[str, str]) -> str:
    """The file, with the central system's address (without an identity) and the stations' passwords by identity."""
    stations = "\n".join(
        f"    - {{identity: {identity}, security_profile: 1, password_sha256: {sha256(word.encode()).hexdigest()}}}"
        for identity, word in passwords.items()
    )
    return TEXT.format(upstream=upstream, stations=stations)
