"""What a decision is made with and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import msgspec

from pilotwire.core.ids import Ids

from .facts import AnyFact
from .inputs import Outcome, TokenVerdict
from .metering import Samples
from .tariffs.model import Tariff

Authorizer = Callable[[str, str, int], TokenVerdict]
"""(token, type, now in ms) → what that token may do. Pure for the length of a decision."""


class Asked(NamedTuple):
    """Whose tariff is looked for: of a session that begins at this station, at `at` (ms, its own clock)."""

    evse: int
    token: str
    group: str
    """The token's group or parent."""
    named: str
    """The tariffId that the station says it uses; "": it has said none."""
    at: int


class Chosen(NamedTuple):
    """A tariff, why it is this one (driver, default or station), and the time zone of the place."""

    tariff: Tariff
    why: str
    zone: str


Pricer = Callable[[Asked], Chosen | None]
"""Pure for the length of a decision."""


@dataclass(slots=True, kw_only=True)
class Context:
    """Everything outside the station's own state that a decision may look at."""

    now: int
    """Arrival of the message (ms, our clock)."""
    ids: Ids
    version: str
    """OCPP version of the connection: "1.6", "2.0.1" or "2.1"."""
    epoch: int = 0
    boot: str = "Accepted"
    """RegistrationStatus that the station's account is to be answered."""
    heartbeat_interval_s: int = 300
    boot_retry_s: int = 60
    """How long a station that is not accepted waits before it asks again."""
    authorize: Authorizer
    lab: bool = False
    """Unknown tokens are accepted."""
    price: Pricer | None = None
    """Which tariff a session at this station has; None: nobody has any."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What happened (`facts`, for the journal), what was measured, and what to answer once both are durable."""

    facts: tuple[AnyFact, ...]
    samples: Samples
    outcome: Outcome


@final
class Need(NamedTuple):
    """The decision hangs on an older session that is not in memory.

    Ask `Store.find_session(key, transaction, start_key)`, hand what it finds (None too) to `StationState.add`, and
    decide again.
    """

    transaction: str
    start_key: str
