"""What an energy service adds to the machines of either end. The seam behind which AC, DC, WPT and ACDP differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pilotwire.core.evse_link import Service

from ..services import Selection
from ..states import Allowed
from ..wire import Came

if TYPE_CHECKING:
    from ..evcc import Iso20Evcc
    from ..secc import Iso20Secc

Message = dict[str, Any]


class SeccMode:
    """The station's part of one energy service. One is made for each ServiceSelection."""

    payload: ClassVar[int]
    """V2GTP payload type of its messages."""
    states: ClassVar[Allowed]
    """Its own states, added to the common table."""
    discovery: ClassVar[str]
    """The state behind ServiceSelection."""
    prepare: ClassVar[str]
    """The state behind ScheduleExchange: cable check, pairing, or PowerDelivery at once."""
    loop: ClassVar[str]
    """The state in which energy flows."""
    stopped: ClassVar[str]
    """The state behind PowerDelivery(Stop)."""
    sides: ClassVar[Mapping[int, frozenset[str]]] = {}
    """Side streams of its own: payload type → requests, open whenever the service is selected."""

    def __init__(self, secc: Iso20Secc, selection: Selection) -> None:
        self.secc = secc
        self.selection = selection
        self.handlers: dict[str, Callable[[Came], None]] = {}
        """Requests of its states → what answers them (`secc.answer`, `secc.refuse`)."""

    @classmethod
    def parameters(cls, secc: Iso20Secc, service: Service) -> list[Message]:
        """The parameter sets that ServiceDetail offers."""
        raise NotImplementedError

    def start_ready(self) -> str:
        """Why PowerDelivery(Start) must not be; "": it may, as soon as the contactor is closed."""
        return ""

    def changed(self) -> None:
        """Offer, Measured or another command has come: what flows is looked at again."""

    def stop(self) -> None:
        """PowerDelivery(Stop): energy is to end; the output is off already."""

    def over(self) -> None:
        """The session is over, in order or not; the output is off already."""


class EvccMode:
    """The vehicle's part of one energy service."""

    payload: ClassVar[int]
    loop: ClassVar[str]
    """The request of its charge loop."""

    def __init__(self, evcc: Iso20Evcc, selection: Selection) -> None:
        self.evcc = evcc
        self.selection = selection
        self.handlers: dict[str, Callable[[Came], None]] = {}
        """Responses of its messages → what goes on behind them."""

    def discover(self) -> None:
        """Send ChargeParameterDiscovery. Behind it the mode calls `evcc.exchange_schedule`."""
        raise NotImplementedError

    def prepare(self) -> None:
        """The schedule is there: do what comes before PowerDelivery(Start), then call `evcc.start_power`."""
        raise NotImplementedError

    def started(self) -> None:
        """PowerDelivery(Start) is OK: begin the loop, `evcc.loop` when ready."""
        raise NotImplementedError

    def loop_request(self) -> Message:
        """The body of the next request of the loop, without its header."""
        raise NotImplementedError

    def stopped(self) -> None:
        """PowerDelivery(Stop) is OK: open, look for welds, then call `evcc.stop_session`."""
        raise NotImplementedError

    def contacts(self, closed: bool) -> None:
        """The inlet's contactors are there now."""

    def elapse(self, name: str) -> None:
        """An alarm of its own (named `mode:...`) has run out."""
