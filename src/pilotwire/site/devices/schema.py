"""What stands in a device file (`library/<kind>s/<id>.yaml`).

    id: keba-p30                      # the file's name, lower case, digits and hyphens
    kind: charger                     # charger, meter, inverter, battery, load, contacts
    vendor: KEBA
    models: [KeContact P30 c-series]
    sources:                          # short name → where the registers were read; `from:` below refers to them
      a: {title: ..., publisher: ..., version: ..., url: https://..., licence: ...}
    modbus: {unit: 255, transports: [tcp], ...}     # `Modbus`
    points:                           # what can be read: name of `site.ports.POINTS` → `Point`
    commands:                         # what can be told: name of `site.ports.POINTS` → `Command`
    abilities: {...}                  # chargers, and whoever falls back by himself: `Abilities`
    identify: {...}                   # how a scan knows it: `Identify`
    outlets: {...}                    # several outlets in one device: `Outlets`
    evidence: which registers the sources agree on, and what they disagree on

A point is one of four things:

    {table: input, address: 52, type: f32, scale: "1000"}      registers; raw × scale + offset is our base unit
    {sunspec: [701.W, 103.W], scale: "1000"}                    a point of the first SunSpec model that is there
    {sum: [power_l1_mw, power_l2_mw, -_export]}                 other points added; with "-" before it: subtracted
    {product: [voltage_l1_mv, current_l1_ma], scale: "0.001"}   other points multiplied
    {cases: [{when: {_plug: [0]}, is: A}, ..., {is: B}]}        the first case whose points have one of the values

Names that begin with "_" are helpers: any unit, seen by `sum`, `product` and `cases` alone. Import is positive: power
into the site, into the car, into a battery; a generator's power is negative (`invert: true` turns a sign round).
Addresses are those on the wire, 0 to 65535, decimal or 0x: never 40001 notation. Numbers with a fraction are quoted
("0.1"), that they stay exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

import msgspec

Address: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
RawType: TypeAlias = Literal["bit", "u16", "s16", "u32", "s32", "u48", "u64", "s64", "f32", "f64", "string"]
ReadTable: TypeAlias = Literal["holding", "input", "coils", "discrete"]
WriteTable: TypeAlias = Literal["holding", "coils"]
Order: TypeAlias = Literal["big", "little"]
Poll: TypeAlias = Literal["fast", "slow", "once"]
Kind: TypeAlias = Literal["charger", "meter", "inverter", "battery", "load", "contacts"]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A struct of a device file: a field that is not known is a fault."""


class Source(Strict, frozen=True, kw_only=True):
    """Where the registers were read. Two sources are independent when neither was made from the other."""

    title: str
    publisher: str
    url: str
    version: str = ""
    """Edition, date or commit."""
    licence: str = ""
    """Of program text that was read for its facts."""


class Serial(Strict, frozen=True, kw_only=True):
    """As the device is delivered."""

    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


class Modbus(Strict, frozen=True, kw_only=True):
    """How the device is spoken to."""

    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502
    transports: tuple[Literal["tcp", "rtu", "rtu+tcp"], ...] = ("tcp",)
    serial: Serial = Serial()
    word_order: Order = "big"
    """Which register of several comes first: the one with the highest bits (big), or the lowest."""
    byte_order: Order = "big"
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    """So many may be read at once."""
    gap: Annotated[int, msgspec.Meta(ge=0, le=124)] = 0
    """So many registers that nobody wants may be read along, to join two ranges: 0 where unknown addresses fail."""
    forbidden: tuple[tuple[Address, Address], ...] = ()
    """First and last address of ranges that must not be touched."""
    borders: tuple[Address, ...] = ()
    """Addresses before which a read has to end."""
    pause_ms: int = 0
    """Silence that the device wants between two requests."""
    timeout_ms: int = 1000
    clients: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """So many connections at once it bears; none: not known."""


class SunSpec(Strict, frozen=True, kw_only=True):
    """The device is walked by SunSpec models; `sunspec:` of points and commands names model and point."""

    models: tuple[int, ...]
    """What it has, in the order of its chain as far as it is known; the simulator serves these."""
    base: tuple[Address, ...] = (40000, 0, 50000)
    """Where its chain may begin."""
    counts: dict[int, int] = {}
    """Model → how often its repeating block comes (160: strings; 802 and on)."""


class SignFrom(Strict, frozen=True, kw_only=True):
    """A register that says in which direction a value without a sign goes."""

    address: Address
    type: Literal["bit", "u16", "s16", "u32", "s32"] = "u16"
    table: ReadTable | None = None
    """As the value's own, where none is named."""
    mask: int | None = None
    negative: tuple[int, ...]
    """Raw values for which the point is negative."""


class Case(Strict, frozen=True, kw_only=True):
    """One line of `cases`."""

    when: dict[str, tuple[int | str, ...]] = {}
    """Point → values; all points have to have one of theirs. Empty: always."""
    is_: int | str = msgspec.field(name="is")
    """A to F for `state`, else a number."""


class Point(Strict, frozen=True, kw_only=True):
    """Where a value is."""

    address: Address | None = None
    table: ReadTable = "holding"
    type: RawType = "u16"
    length: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Registers of a string."""
    word_order: Order | None = None
    byte_order: Order | None = None
    """As the device's, where none is named."""
    mask: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Bits of an unsigned integer that hold the value; shifted down to bit 0."""
    sf: Address | None = None
    """A register (s16, same table) with a power of ten on top of `scale`."""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    """In our base unit, added after `scale`."""
    invert: bool = False
    """Import is negative at this device."""
    sign_from: SignFrom | None = None
    absent: tuple[int, ...] = ()
    """Raw patterns (unsigned) that mean "no value"."""
    map: dict[int | str, int | str] = {}
    """Raw value → ours: A to F for `state`, numbers for others. A raw value that is not there is bad."""
    valid: tuple[int, int] | None = None
    """In our base unit; what lies outside is bad."""
    shared: bool = False
    """One for all outlets: does not move with `outlets.stride`."""
    sunspec: str | tuple[str, ...] = ()
    sum: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    poll: Poll | None = None
    """fast: each cycle; slow: each ten seconds; once: when the connection is made. By the point's name, where none is
    named: powers, currents, voltages and states fast, energies and temperatures slow, serial numbers once."""
    optional: bool = False
    """Not every model has it: an answer "no such address" is no fault."""
    from_: tuple[str, ...] = msgspec.field(name="from", default=())
    """Short names of the sources in which this register was read."""


class Extra(Strict, frozen=True, kw_only=True):
    """A register that is written together with a command."""

    address: Address | None = None
    table: WriteTable = "holding"
    type: RawType = "u16"
    word_order: Order | None = None
    sunspec: str = ""
    value: int
    """Raw."""
    when: Literal["always", "positive", "negative", "zero", "nonzero"] = "always"
    """By the command's value in our own sign, before `invert`."""
    shared: bool = False


class Command(Strict, frozen=True, kw_only=True):
    """Where something is told. (ours - offset) / scale is what is written."""

    address: Address | None = None
    table: WriteTable = "holding"
    type: RawType = "u16"
    function: Literal[5, 6, 15, 16] | None = None
    """Where the device takes one only. Else 6 for one register and 16 for several, 5 for a coil."""
    word_order: Order | None = None
    byte_order: Order | None = None
    sf: Address | None = None
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    invert: bool = False
    magnitude: bool = False
    """Written without its sign; `before` tells the direction."""
    range: tuple[int, int] | None = None
    """What it takes, in our base unit."""
    pause: int | None = None
    """Of a limit: what is written for "no charging" though it lies outside `range`, in our base unit. Without it a
    charger is paused by `enable: 0`."""
    map: dict[int, int] = {}
    """Raw value → ours, as in `Point.map`; only these values can be told."""
    sunspec: str | tuple[str, ...] = ()
    before: tuple[Extra, ...] = ()
    after: tuple[Extra, ...] = ()
    verify: str | None = None
    """What is read back: a point's name, "self" (the same register), "none" (it cannot be read). Where nothing is
    named: the point of the same name if there is one, else the register itself."""
    tolerance: int = 0
    """By how much the read back may differ, in our base unit."""
    wear: bool = False
    """Each write is kept in a memory that wears out: never written again while unchanged."""
    min_ms: int = 0
    """Not to be written more often than this; a limit is lowered at once all the same."""
    shared: bool = False
    from_: tuple[str, ...] = msgspec.field(name="from", default=())


class Abilities(Strict, frozen=True, kw_only=True):
    """What a charger can do, and what a device does when nobody speaks to it."""

    minimum_ma: int = 6000
    maximum_ma: int = 32000
    step_ma: int = 1000
    minimum_mw: int = 0
    maximum_mw: int = 0
    step_mw: int = 1000
    """The three for chargers with `limit_mw` instead of `limit_ma`."""
    phases: Literal[1, 2, 3] = 3
    phase_switching: bool = False
    keepalive: str | None = None
    """The command that keeps the watchdog content; "read": each request does. None: it has no watchdog."""
    watchdog_ms: int | None = None
    """Its watchdog, where it cannot be set by a command `watchdog_ms`: what it is delivered with."""
    failsafe_ma: int | None = None
    failsafe_mw: int | None = None
    """What it falls back to, where that cannot be set by a command."""


class Outlets(Strict, frozen=True, kw_only=True):
    """Outlet n (1 and on) of one device: its addresses move by (n - 1) × `stride`, its unit by (n - 1) × `units`."""

    count: Annotated[int, msgspec.Meta(ge=2, le=64)]
    stride: int = 0
    units: int = 0


class Mark(Strict, frozen=True, kw_only=True):
    """A register by which the device is known."""

    address: Address
    table: ReadTable = "holding"
    type: RawType = "u16"
    length: int = 0
    word_order: Order | None = None
    is_: tuple[int | str, ...] = msgspec.field(name="is")
    """One of these; a string begins with one of these."""


class Identify(Strict, frozen=True, kw_only=True):
    """How a scan knows the device; every mark that is named has to fit."""

    registers: tuple[Mark, ...] = ()
    device_id: dict[int, str] = {}
    """Object of function 43/14 → how its text begins."""
    manufacturer: str = ""
    """How the manufacturer in SunSpec's model 1 begins."""
    model: str = ""
    """How the model in SunSpec's model 1 begins."""


class DeviceFile(Strict, frozen=True, kw_only=True):
    """A whole file."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    kind: Kind
    vendor: str
    models: tuple[str, ...]
    sources: dict[str, Source]
    modbus: Modbus
    points: dict[str, Point]
    commands: dict[str, Command] = {}
    abilities: Abilities | None = None
    sunspec: SunSpec | None = None
    outlets: Outlets | None = None
    identify: Identify | None = None
    simulate: dict[str, int | str] = {}
    """Point → what the simulator begins with, in our base unit, where its own choice would not do."""
    evidence: str
