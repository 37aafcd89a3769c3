"""DC_ACDP and DC_ACDP_BPT, both ends: DC over a pantograph (ISO 15118-20, 8.3.4.7).

As DC, with two differences: ACDP_Connect comes before the cable check, and ACDP_Disconnect in place of welding
detection. Down and in contact is what a locked plug is to others: `LockAsked(True)` lowers the pantograph, `Locked`
says that it is there; up again likewise. Positioning is in `before_secc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pilotwire.core.evse_link import Service

from ... import v2gtp
from .. import services, timers
from ..before_secc import mechanical
from ..services import Selection
from ..states import requests
from ..wire import Came
from .dc import DcSecc
from .dc_ev import DcEvcc

if TYPE_CHECKING:
    from ..evcc import Iso20Evcc
    from ..secc import Iso20Secc

Message = dict[str, Any]

_AWAY: Final[Message] = {
    "EVSEProcessing": "Finished",
    "EVSEElectricalChargingDeviceStatus": "State_A",
    "EVSEMechanicalChargingDeviceStatus": "Home",
}
ACDP_EMPTY: Final[dict[str, Message]] = {"ACDP_ConnectRes": _AWAY, "ACDP_DisconnectRes": _AWAY}
_ABORTS = requests("ACDP_DisconnectReq")


class AcdpSecc(DcSecc):
    """Connect, cable check, precharge, loop, disconnect."""

    states: ClassVar = {
        "DC_ChargeParameterDiscovery": DcSecc.states["DC_ChargeParameterDiscovery"],
        "ACDP_Connect": requests("ACDP_ConnectReq", "SessionStopReq") | _ABORTS,
        **{state: DcSecc.states[state] | _ABORTS for state in ("DC_CableCheck", "DC_PreCharge", "DC_PowerDelivery")},
        "DC_ChargeLoop": DcSecc.states["DC_ChargeLoop"],
        "ACDP_Disconnect": _ABORTS,
    }
    prepare = "ACDP_Connect"
    stopped = "ACDP_Disconnect"
    locks_early = False

    def __init__(self, secc: Iso20Secc, selection: Selection) -> None:
        super().__init__(secc, selection)
        del self.handlers["DC_WeldingDetectionReq"]
        self.handlers |= {"ACDP_ConnectReq": self._connect, "ACDP_DisconnectReq": self._disconnect}

    @classmethod
    def parameters(cls, secc: Iso20Secc, service: Service) -> list[Message]:
        fixed = {"BPTChannel": 1, "GeneratorMode": 1} if service in services.BIDIRECTIONAL else {}
        return services.parameter_sets(fixed, secc.services.controls())

    def _connect(self, came: Came) -> None:
        secc = self.secc
        if not secc.position.in_place:
            secc.refuse(came, "FAILED", "the vehicle does not stand below the pantograph", "8.3.4.7.4")
            return
        secc.output.lock()
        done = secc.output.locked
        if done:
            secc.alarms.drop("ongoing")
            secc.go("DC_CableCheck")
        else:
            secc.alarms.begin("ongoing", secc.now + timers.PERFORMANCE.ms)
        self._moved(came, done)

    def _disconnect(self, came: Came) -> None:
        """Nothing flows and nothing is closed before it moves."""
        secc = self.secc
        self.stop()
        secc.output.off()
        secc.power.stopped = True
        if not secc.output.closed:
            secc.output.unlock()
        done = not (secc.output.closed or secc.output.locked)
        if done:
            secc.alarms.drop("ongoing")
        else:
            secc.alarms.begin("ongoing", secc.now + timers.PERFORMANCE.ms)
        secc.go("SessionStop" if done else "ACDP_Disconnect")
        self._moved(came, done)

    def _moved(self, came: Came, done: bool) -> None:
        self.secc.answer(
            came,
            EVSEProcessing="Finished" if done else "Ongoing",
            EVSEElectricalChargingDeviceStatus="State_B" if self.secc.output.locked else "State_A",
            EVSEMechanicalChargingDeviceStatus=mechanical(self.secc),
        )

    def over(self) -> None:
        """However it ended: a bus must be able to drive off. The contactor was told to open before."""
        self.secc.output.unlock()

    def changed(self) -> None:
        secc = self.secc
        if not secc.position.in_place and secc.output.lock_wanted:
            secc.doom("the vehicle has moved below the pantograph", "ev", "EVNotInPosition")
            return
        super().changed()


class AcdpEvcc(DcEvcc):
    """The vehicle's part."""

    def __init__(self, evcc: Iso20Evcc, selection: Selection) -> None:
        super().__init__(evcc, selection)
        self.handlers |= {"ACDP_ConnectRes": self._connected, "ACDP_DisconnectRes": self._disconnected}

    def prepare(self) -> None:
        power = self.evcc.power
        power.doing, power.ongoing_rule = "ACDP_Connect", timers.ONGOING
        self._connect()

    def _connect(self) -> None:
        self.evcc.send(v2gtp.ACDP, "ACDP_ConnectReq", EVElectricalChargingDeviceStatus="State_A")

    def _connected(self, came: Came) -> None:
        if came.body["EVSEProcessing"] == "Finished":
            self.evcc.alarms.drop("ongoing")
            super().prepare()
        else:
            self.evcc.poll(self._connect)

    def stopped(self) -> None:
        power = self.evcc.power
        power.doing, power.ongoing_rule = "ACDP_Disconnect", timers.ONGOING
        self._disconnect()

    def _disconnect(self) -> None:
        status = "State_C" if self.evcc.contacts else "State_B"
        self.evcc.send(v2gtp.ACDP, "ACDP_DisconnectReq", EVElectricalChargingDeviceStatus=status)

    def _disconnected(self, came: Came) -> None:
        evcc = self.evcc
        if came.body["EVSEProcessing"] == "Finished" and not evcc.contacts:
            evcc.alarms.drop("ongoing")
            evcc.power.stop_session()
        else:
            evcc.poll(self._disconnect)
