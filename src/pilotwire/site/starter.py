"""What `pilotwire site init` writes: a small site that passes the check, to be changed to what is there."""

TEXT = """\
# A site of Pilotwire. Figures carry their unit in their name: _a ampere per phase, _kw kilowatt, _s second.
# `pilotwire site check` tells all that is wrong in it. The whole of what can be said: docs/examples/site.yaml

site:
  id: my-site
  time_zone: Europe/Berlin

# What carries current: one connection, below it feeders. Nothing below a node takes more than its limits allow.
nodes:
  - id: grid
    kind: connection
    meter: main                  # a device below; left out where nothing is measured
    side_lost_a: 20              # the most that the building takes beside the chargers, per phase
    limits:
      - {source: fuse, current_a: 63}
  - id: garage
    kind: feeder
    parent: grid
    limits:
      - {source: fuse, current_a: 40}

# `pilotwire device list` names the files there are, `pilotwire device scan` finds what answers.
devices:
  - {id: main, kind: meter, file: eastron-sdm630, endpoint: "tcp://192.168.1.20:502", unit: 1}

evses:
  - id: bay-1
    node: garage
    rotation: RST                # which phase of the grid is on its L1, L2, L3; left out where nobody knows
    maximum_a: 32
    charger: {file: keba-p30, endpoint: "tcp://192.168.1.31:502", unit: 255}
  - id: bay-2
    node: garage
    rotation: STR
    maximum_a: 32
    charger: {file: keba-p30, endpoint: "tcp://192.168.1.32:502", unit: 255}

# Contracts, sun and batteries (steering), orders of a grid operator (telecontrol), chargers shown to a central system
# (gateway), other systems (modbus_servers, mqtt), a plan of the next day (prices, planning), heat pumps and other loads
# (loads), the site's pages in a central system (central): docs/examples/site.yaml.

# What happens when somebody falls silent.
failsafe:
  current_a: 6                   # chargers fall back to this
  watchdog_s: 60                 # after so long without a word
  meter_s: 11                    # a meter that was not read for so long is lost
"""
