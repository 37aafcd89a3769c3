"""What a charging station is made of: identity, hardware, version, and the faults it is to show in tests."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilotwire.protocols.ocpp.version import VersionName


class EvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One EVSE with one connector, as built. Currents in mA, powers in W, voltages in mV."""

    dc: bool = False
    phases: int = 3
    """AC phases connected; 0 is meaningless."""
    max_ma: int = 32_000
    """AC: per phase. DC: at the outlet."""
    max_w: int = 22_080
    max_mv: int = 920_000
    """DC only: the highest voltage the outlet can give."""
    min_mv: int = 150_000
    """DC only: the lowest voltage at which it gives its current."""
    connector_type: str = "cType2"
    fixed_cable: bool = False
    max_discharge_w: int = 0
    """What it can take back from a car; 0: it is no bidirectional EVSE (Q)."""

    @property
    def bidirectional(self) -> bool:
        """It can take energy back."""
        return self.max_discharge_w > 0

    @property
    def contactless(self) -> bool:
        """There is no plug but a pad or a pantograph: the vehicle has to find its place."""
        return self.connector_type in ("wInductive", "wResonant", "Pan")


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """Ways in which real stations differ or misbehave; the defaults are a station without fault."""

    message_ids: str = "random"
    """`random`; `counter`: 1, 2, 3 … from every power-on, so ids come back after a reboot."""
    new_id_on_retry: bool = False
    """A retry may reuse its messageId (the default here) or take a new one."""
    duplicate_every: int = 0
    """Every n-th transaction message is sent once more, word for word, after it has been answered."""
    clock_offset_ms: int = 0
    """The clock is wrong by this much and the station never learns: it ignores `currentTime`."""
    clock_at_epoch: bool = False
    """After power-on the clock shows 1970 until a `currentTime` arrives."""
    boot_on_reconnect: bool = False
    """Sends BootNotification on every new connection (the standard: only after a restart)."""
    never_boots: bool = False
    """Never sends BootNotification and takes itself for accepted."""
    firmware_fault: str = ""
    """What goes wrong with an update of the firmware: `download`, `install`, `verification` (these are told), `silent`
    (tells nothing more when it is downloaded), `old-version` (comes back as it was), `gone` (does not come back)."""
    offline_transaction_minus_one: bool = False
    """1.6: messages of a transaction that started offline carry transactionId -1 instead of waiting for the id."""


class StationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a station that does not change while it runs."""

    identity: str
    version: VersionName
    evses: tuple[EvseConfig, ...] = (EvseConfig(),)
    vendor: str = "Pilotwire demo"
    model: str = "AC-22"
    serial: str = ""
    firmware: str = "1.0.0"
    security_profile: int = 1
    security_events: bool = False
    """Tells of every start, restart and setting of the clock too (A04), as stations with the security block do."""
    settings: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """Factory values that differ, by the names in `pilotwire.station.settings`."""
    der_controls: tuple[str, ...] = ()
    """DERControlEnumTypes that it can follow (R); empty: it is no distributed energy resource."""
    swap_set: int = 0
    """A battery swap station (S): so many batteries make a set, and every EVSE is a slot. 0: it is none."""
    payment_terminal: bool = False
    """Cards are taken (C18)."""
    plug_and_charge: bool = False
    """Contracts of vehicles are taken (C07)."""
    web_payments: bool = False
    """QR codes are shown (C25)."""
    signed_firmware_only: bool = False
    """Firmware that nobody has signed is refused (1.6 whitepaper L01.FR.20)."""
    revoked_signers: tuple[str, ...] = ()
    """Serial numbers (hexadecimal) of the manufacturer's revocation list: what they have signed is refused."""
    signing_meter: bool = False
    """The meters sign what they read (2.x)."""
    autostart_token: str | None = None
    """Plug-in starts a session under this id; 2.x sends type NoAuthorization with an empty id."""
    call_timeout_ms: int = 30_000
    reboot_ms: int = 10_000
    """How long a restart takes after Reset or a firmware update."""
    firmware_step_ms: int = 5_000
    """How long the simulated download and installation take, each."""
    first_sample_ms: int | None = None
    """From the start of a session to its first periodic reading; None: one whole interval, as most stations do."""
    autocharge: bool = False
    """A vehicle that names itself (EVCCID, VIN) is let in by that name as if it were a card."""
    soc_over_ac: bool = False
    """AC stations know the SoC only over ISO 15118; most do not."""
    queue_limit: int = 20_000
    """Transaction messages kept while offline; beyond it every second periodic one is dropped (E04, E06.FR.13)."""
    quirks: Quirks = Quirks()

    @property
    def features(self) -> frozenset[str]:
        """What it has beyond what every station has: pnc and signing (2.x), v2x, der, swap, payment, webpay (2.1), and
        resume, which every 2.1 station has."""
        found: set[str] = set()
        if self.plug_and_charge and self.version != "1.6":
            found.add("pnc")
        if self.signing_meter and self.version != "1.6":
            found.add("signing")
        if self.version != "2.1":
            return frozenset(found)
        found.add("resume")
        if any(evse.bidirectional for evse in self.evses):
            found.add("v2x")
        if self.der_controls:
            found.add("der")
        if self.swap_set:
            found.add("swap")
        if self.payment_terminal:
            found.add("payment")
        if self.web_payments:
            found.add("webpay")
        return frozenset(found)
