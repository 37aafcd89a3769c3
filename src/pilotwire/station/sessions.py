"""A charging session as the station knows it, and the truth of it that tests compare a CSMS with."""

from __future__ import annotations

from decimal import Decimal

import msgspec

RFID = "ISO14443"
"""IdTokenEnumType of a contactless card."""
NO_AUTHORIZATION = "NoAuthorization"
"""IdTokenEnumType where nobody is asked; the id is empty."""


class Sampled(msgspec.Struct, frozen=True, array_like=True):
    """One sampled value, in the words that both version lines share."""

    measurand: str
    value: Decimal
    unit: str
    phase: str | None = None
    location: str | None = None


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """Sampled values taken together; `time` is station clock, ms."""

    time: int
    context: str
    values: tuple[Sampled, ...]


class Session(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A transaction from start to end. Kept in the station's memory until its last message is queued."""

    key: str
    """The station's own name for it; in 2.x it is the transactionId."""
    evse: int
    token: str
    token_type: str = RFID
    group: str = ""
    started_at: int
    """Station clock, ms."""
    true_start: int
    """True time, ms."""
    register_start: int
    """Wh."""
    transaction: int | None = None
    """1.6: the CSMS's id, once its answer has come."""
    offline_start: bool = False
    seq_no: int = 0
    """2.x: of the next event."""
    remote_start_id: int | None = None
    reservation: int | None = None
    """Id of the reservation that the session has used up."""
    reserved_ms: int | None = None
    """How long its place was reserved before it began, in whole seconds."""
    token_sent: bool = False
    held: bool = False
    """The CSMS does not accept the token, yet the session may not be ended: no energy flows."""
    authorized: bool = True
    """2.x: somebody has been let in; otherwise no energy flows. In 1.6 a session ends with its authorization."""
    released: str = ""
    """2.x: why it is authorized no more, although it goes on; the reason of its end too (E07.FR.05, F04.FR.03)."""
    begun: bool = True
    """2.x: the transaction runs. Before its TxStartPoint the CSMS hears nothing of the session."""
    cable_by: int | None = None
    """2.x: until when the cable is awaited (true time, ms)."""
    allowed_wh: int | None = None
    """Register up to which energy still flows although the CSMS does not accept the token (E05.FR.03)."""
    phases: int = 0
    """2.x: the number of phases in use that was told last."""
    wait_until: int | None = None
    """Until when no energy flows after the session was resumed (true time, ms; E17.FR.18)."""
    last_state: str = ""
    """2.x: the charging state that was reported last."""
    next_sample: int | None = None
    """True time, ms."""
    next_ended_sample: int | None = None
    last_interval_wh: int = 0
    """Register at the last periodic sample, for Energy.Active.Import.Interval."""
    kept: list[Reading] = []
    """Readings that go with the last message (StopTxnSampledData, TxEndedMeasurands)."""
    cost: Decimal | None = None
    """What it has cost so far, as the CSMS says."""
    languages: tuple[str, ...] = ()
    """Of the driver, the preferred first."""
    ending: bool = False


class Truth(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What really happened in one session, by the meter and by true time (ms)."""

    n: int
    """Counted from 1 over the station's life."""
    session: str
    evse: int
    token: str
    started_at: int
    register_start: int
    transaction: str = ""
    """The id that the CSMS knows it by; empty while a 1.6 station has not been told."""
    ended_at: int | None = None
    register_end: int | None = None
    reason: str = ""
    cost: Decimal | None = None
    """What it has cost in all, as the CSMS said last."""

    @property
    def energy_wh(self) -> int | None:
        return None if self.register_end is None else self.register_end - self.register_start
