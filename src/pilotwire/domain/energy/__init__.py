"""The energy of a site: who gets how much of what the connection, the transformer and the feeders can carry.

`allocate(topology, policy, demands, signals, state, now)` is a pure function: the same input gives the same set-points,
reasons and next state, whatever the order of the demands. Currents are mA on each phase of the grid side, power is mW,
time is ms; everything is an integer. Import (into the site, into the car) is positive.

    tree = SiteTree(nodes=(...), evses=(...))          # model
    topology = prepare(tree)                           # validation, once for each configuration
    result = allocate(topology, Policy(), demands, Signals(), State(), Moment(tick_ms=0, utc_ms=...))
"""

from .allocation import Allocation, SetPoint, allocate
from .demand import Demand, Lost, Moment, Policy, Reading, Signals
from .failsafe import Overload, Part, check
from .losses import STATES, Deadlines, InForce, Remote, Substitution, Written, substitute
from .model import Evse, Limit, Load, Node, Resource, SiteTree, Switching, Tenant
from .reasons import Reason
from .state import Evidence, EvseState, Phasing, State
from .topology import Topology, prepare
from .validation import Fault, faults_of

__all__ = [
    "STATES",
    "Allocation",
    "Deadlines",
    "Demand",
    "Evidence",
    "Evse",
    "EvseState",
    "Fault",
    "InForce",
    "Limit",
    "Load",
    "Lost",
    "Moment",
    "Node",
    "Overload",
    "Part",
    "Phasing",
    "Policy",
    "Reading",
    "Reason",
    "Remote",
    "Resource",
    "SetPoint",
    "Signals",
    "SiteTree",
    "State",
    "Substitution",
    "Switching",
    "Tenant",
    "Topology",
    "Written",
    "allocate",
    "check",
    "faults_of",
    "prepare",
    "substitute",
]
