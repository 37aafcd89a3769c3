"""The energy of a site: who gets how much of what the connection, the transformer and the feeders can carry.

`allocate(topology, policy, demands, signals, state, now)` is a pure function: the same input gives the same set-points,
reasons and next state, whatever the order of the demands. Currents are mA on each phase of the grid side, power is mW,
time is ms; everything is an integer. Import (into the site, into the car) is positive.

What a site has beside cars: a `Load` (a heat pump and the like) gets a share as a car does, a `Resource` (a battery, a
generator) is only counted. Budgets that cars share are pools (`Demand.pool`, `Signals.pools`). An EVSE with
`Evse.switching` is told with how many phases to charge (`SetPoint.phases`, see `switching`). A rotation that is not
written down is learned (see `rotation`; `pulse` for commissioning). Who is not heard comes in `Signals.lost`. `check`
refuses a site whose fail-safe sum is too much, `substitute` puts in force what is written for a loss, `quality` says
what cannot be believed.

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
