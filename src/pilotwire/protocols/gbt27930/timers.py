"""The timers of GB/T 27930-2015 (clauses 8 and 10, annexes A and C) and those of GB/T 18487.1 that go with them.

Those without a clause are ours: they end what the standard leaves open.
"""

from __future__ import annotations

from typing import Literal

from pilotwire.core.timers import TimerRule


def _rule(side: Literal["ev", "evse"], name: str, ms: int, clause: str, then: str, *, least: bool = False) -> TimerRule:
    return TimerRule(name=name, protocol="GB/T 27930-2015", side=side, ms=ms, clause=clause, then=then, least=least)


_ERROR = "output off, CEM, and anew from the identification, three times at most"
LOCK = _rule("evse", "lock", 5_000, "figure A.6", "the plug is not locked: no session")
BHM = _rule("evse", "BHM", 5_000, "8", "no BHM: the vehicle is taken for one of 2011")
INSULATION = _rule(
    "evse", "insulation test", 25_000, "", "of ours: no result before the vehicle's 30 s are over: no session"
)
BRM = _rule("evse", "BRM", 5_000, "10.1.4, figure A.6", _ERROR)
BCP = _rule("evse", "BCP", 5_000, "10.2.1", _ERROR)
BRO = _rule("evse", "BRO", 5_000, "figure A.6", _ERROR)
BRO_READY = _rule("evse", "BRO(AA)", 60_000, "10.2.4, figure A.6", _ERROR)
READY = _rule(
    "evse", "CRO(AA) of ours", 55_000, "", "of ours: not authorised or not precharged before the vehicle's 60 s: end"
)
BCL_FIRST = _rule("evse", "first BCL", 5_000, "8", _ERROR)
BCL = _rule("evse", "BCL", 1_000, "10.3.1", _ERROR)
BCS = _rule("evse", "BCS", 5_000, "10.3.2", _ERROR)
PERMISSION = _rule("evse", "BSM permission", 600_000, "annex C, note 1", "the charger stops (CST)")
BST = _rule("evse", "BST", 5_000, "figure A.6", "output is off; the session ends with a fault (CEM)")
BSD = _rule("evse", "BSD", 10_000, "figure A.6", "output is off; the session ends with a fault (CEM)")
CURRENT = _rule("evse", "5 A after CST", 100, "figure A.6", "the contactor is opened under load, a fault is told")
UNPLUGGED = _rule("evse", "5 A after CC1", 50, "figure A.10", "the contactor is opened under load, a fault is told")
VOLTAGE = _rule("evse", "60 V", 1_000, "GB/T 18487.1 B.3.7", "the outlet stays live: the plug stays locked, a fault")
OPENED = _rule(
    "evse", "contactor open", 5_000, "", "of ours: the contactor is not said to be open: the plug stays locked, a fault"
)
SHOWN = _rule("evse", "CEM shown", 1_000, "", "of ours: CEM is no longer sent, all begins anew", least=True)
LINGER = _rule(
    "evse",
    "CSD lingers",
    1_000,
    "",
    "of ours: no BSD any more: the vehicle has heard CSD, the session ends",
    least=True,
)

_BEM = "contactors open, BEM, and 30 s for the charger to begin anew"
POWER = _rule("ev", "CRM after power", 60_000, "figure A.6", "nothing comes: no session")
CRM = _rule("ev", "CRM after CHM", 30_000, "figure A.6", _BEM)
CRM_AA = _rule("ev", "CRM(AA)", 5_000, "10.1.4, figure A.6", _BEM)
CML = _rule("ev", "CTS and CML", 5_000, "8", _BEM)
CRO = _rule("ev", "CRO", 5_000, "figure A.6", _BEM)
CRO_READY = _rule("ev", "CRO(AA)", 60_000, "10.2.5, figure A.6", _BEM)
CCS_FIRST = _rule("ev", "first CCS", 5_000, "8", _BEM)
CCS = _rule("ev", "CCS", 1_000, "10.3.3", _BEM)
CCS_PERMISSION = _rule("ev", "CCS permission", 600_000, "annex C, note 1", "the vehicle stops (BST)")
CST = _rule("ev", "CST", 5_000, "figure A.6", _BEM)
CSD = _rule("ev", "CSD", 10_000, "figure A.6", "the session ends with a fault (BEM)")
SEVERE = _rule("ev", "opening after BST", 300, "figure A.8", "the contactors open, whatever flows")
OVERCURRENT = _rule(
    "ev", "more than asked for", 1_000, "", "of ours: more flows than was asked for: the vehicle stops (BST)"
)
AGAIN = _rule("ev", "CRM after an error", 30_000, "figures A.11, A.12", "the charger does not begin anew: the end")
EV_OPENED = _rule("ev", "contactors open", 5_000, "", "of ours: the contactors are not said to be open: a fault")

RECONNECTS = 3
"""So often the charger begins anew; then the plug has to be drawn (annex C, note 2; figure A.9)."""

EVSE_TIMERS = (
    LOCK, BHM, INSULATION, BRM, BCP, BRO, BRO_READY, READY, BCL_FIRST, BCL, BCS, PERMISSION, BST, BSD, CURRENT,
    UNPLUGGED, VOLTAGE, OPENED, SHOWN, LINGER,
)  # fmt: skip
EV_TIMERS = (
    POWER, CRM, CRM_AA, CML, CRO, CRO_READY, CCS_FIRST, CCS, CCS_PERMISSION, CST, CSD, SEVERE, OVERCURRENT, AGAIN,
    EV_OPENED,
)  # fmt: skip
TIMERS = EVSE_TIMERS + EV_TIMERS
