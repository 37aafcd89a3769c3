"""Values of devices as people write them, and the file that `pilotwire device new` begins with."""

from __future__ import annotations

_UNITS: dict[str, tuple[int, str, int]] = {
    "mv": (1000, "V", 1),
    "ma": (1000, "A", 2),
    "mhz": (1000, "Hz", 2),
    "wh": (1000, "kWh", 3),
    "permille": (10, "%", 1),
    "mc": (1000, "°C", 1),
    "ms": (1000, "s", 1),
    "s": (1, "s", 0),
    "mw": (1_000_000, "kW", 3),
    "mvar": (1_000_000, "kvar", 3),
    "mva": (1_000_000, "kVA", 3),
}


def words(name: str, value: int | str | None) -> str:
    """A value by its point's name: "230.1 V"."""
    if value is None:
        return "–"
    unit = _UNITS.get(name.rpartition("_")[2])
    if unit is None or isinstance(value, str):
        return str(value)
    divisor, symbol, digits = unit
    return f"{value / divisor:.{digits}f} {symbol}"


_HEAD = """# What is said here is explained in the module pilotwire.site.devices.schema.
# Addresses are those on the wire (0 to 65535): a manual's 40001 is holding 0, its 30013 is input 12.
id: {id}
kind: {kind}
vendor: Somebody
models: [Some Model]
sources:
  a:
    title: Modbus register list          # where you read it
    publisher: Somebody
    version: "1.0"
    url: https://example.org/registers.pdf
modbus:
  unit: 1
  transports: [tcp, rtu]
  serial: {{baud: 9600, parity: none, stop_bits: 1}}
  word_order: big                        # of u32, s32, f32, ...: highest bits first; else little
  max_registers: 60                      # so many may be read at once
  gap: 0                                 # so many that nobody wants may be read along
"""
_POWER = """  # raw x scale is our unit: mV, mA, mW, Wh, mHz. Import (into the site, the car, the battery) is positive.
  voltage_l1_mv: {table: input, address: 0, type: u16, scale: "100", from: [a]}       # 0.1 V
  current_l1_ma: {table: input, address: 3, type: s16, scale: "10", from: [a]}        # 0.01 A
  power_mw: {table: input, address: 10, type: s32, scale: "1000", from: [a]}          # 1 W
  energy_import_wh: {table: input, address: 20, type: u32, scale: "100", from: [a]}   # 0.1 kWh
"""
_MORE = {
    "meter": "points:\n" + _POWER,
    "charger": "points:\n"
    + _POWER
    + """  state: {table: input, address: 30, map: {0: A, 1: B, 2: C, 3: F}, from: [a]}
commands:
  limit_ma: {address: 100, scale: "1000", range: [6000, 32000], pause: 0, from: [a]}  # whole amperes; 0 pauses
  failsafe_ma: {address: 101, scale: "1000", range: [0, 32000], from: [a]}
  watchdog_ms: {address: 102, scale: "1000", range: [10000, 600000], from: [a]}
abilities: {minimum_ma: 6000, maximum_ma: 32000, step_ma: 1000, phases: 3, keepalive: limit_ma}
""",
    "inverter": "points:\n"
    + _POWER.replace('type: s32, scale: "1000",', 'type: s32, scale: "1000", invert: true,')
    + """commands:
  power_limit_permille: {address: 100, scale: "10", range: [0, 1000], from: [a]}      # percent of its rating
""",
    "battery": "points:\n"
    + _POWER
    + """  soc_permille: {table: input, address: 40, scale: "10", from: [a]}                   # percent
commands:
  setpoint_mw: {address: 100, type: s32, scale: "1000", range: [-5000000, 5000000], from: [a]}
""",
    "load": "points:\n"
    + _POWER
    + """commands:
  limit_mw: {address: 100, scale: "1000", range: [0, 3000000], from: [a]}
""",
    "contacts": """points:
  input_1: {table: discrete, type: bit, address: 0, from: [a]}
  input_2: {table: discrete, type: bit, address: 1, from: [a]}
""",
}


def template(id: str, kind: str) -> str:
    """A file that has no fault, to be filled with what is true."""
    return _HEAD.format(id=id, kind=kind) + _MORE[kind] + "evidence: one source so far, nothing was compared\n"
