"""The sentences of a site's controller, as `domain.energy.reasons`, `domain.steering.reasons`, `site.explain` and
`site.decide` make them: with names in braces where those fill in places, sources and figures.

A field called `words` is a sentence itself; `allowed` is a list of figures with who says them.
"""

from __future__ import annotations

from pilotwire.api.language import N_

SENTENCES: tuple[str, ...] = (
    # why an EVSE gets no more
    N_("no car wants energy here"),
    N_("it gets all that the car, its cable and the EVSE can take"),
    N_("it draws less than it was offered, so the rest goes to others"),
    N_("it draws nothing; it keeps its minimum so that it can wake up"),
    N_("no set-point lies between the minimum and the maximum of car and EVSE"),
    N_("{what} of {place} ({source}) has no room for another step, shared by {order}"),
    N_("the quota of {place} ({what}, {source}) is used up, shared by {order}"),
    N_("its pool {place} ({what}, {source}) has no room for another step, shared by {order}"),
    N_("it waits: its pool {place} ({what}, {source}) has no room for its minimum"),
    N_("it waits: {what} of {place} ({source}) has no room for its minimum, and others come first by {order}"),
    N_("it is raised when its last change is over, in {wait}"),
    N_("it is raised when others have let go: {what} of {place} ({source}) is still loaded"),
    N_("it has been switched off lately and stays off for another {wait}"),
    N_("it is paused for a moment to be switched to {phases} phase(s)"),
    N_("it is not heard: {kept} on each of its phases are kept free for what it may be drawing"),
    N_("nothing explains it; please report this"),
    N_("it draws more than it is given and is counted with what it draws"),
    N_("it is on one phase, because three have not had room for long enough"),
    # the answer, and what the charger says
    N_("{evse}: it is paused"),
    N_("{evse}: it is paused, on the way to its share of {target}"),
    N_("{evse}: it may give {value}"),
    N_("{evse}: it may give {value}, on the way to its share of {target}"),
    N_("{evse}: it may give {value} on 1 phase"),
    N_("{evse}: it may give {value} on 1 phase, on the way to its share of {target}"),
    N_("{evse}: it may give {value} on {phases} phases"),
    N_("{evse}: it may give {value} on {phases} phases, on the way to its share of {target}"),
    N_("because {words}"),
    N_("the charger says: no car"),
    N_("the charger says: no car, drawing {amps}"),
    N_("the charger says: a car that does not charge"),
    N_("the charger says: a car that does not charge, drawing {amps}"),
    N_("the charger says: a car that charges"),
    N_("the charger says: a car that charges, drawing {amps}"),
    N_("the charger says: it does not say whether a car is there"),
    N_("the charger says: it does not say whether a car is there, drawing {amps}"),
    N_("a command of {late} ago is not confirmed yet"),
    N_("above it, {node} carried {amps} {age} before; allowed: {allowed}"),
    N_("above it, {node} allowed: {allowed}"),
    # contracts, prices, sun, batteries, orders
    N_("{limit} for the rest of the demand window ({source}: target {target}, used {energy}, {left} left)"),
    N_("{limit} for the rest of the demand window ({source}: target {target}); its meter is lost and the worst is "
       "assumed, {energy} so far"),
    N_("{limit} until the demand window ends in {left}: nothing told now would have an effect in it ({source})"),
    N_("{limit} have been contracted ({source})"),
    N_("limited by the schedule of {source}"),
    N_("{price} is not above the limit of {limit}, so it charges ({source})"),
    N_("{price} is above the limit of {limit} ({source})"),
    N_("this is one of the cheapest hours until departure ({source}, {price}, {needs} needed)"),
    N_("there are cheaper hours until departure ({source}, {price} now, {needs} needed)"),
    N_("the plan gives it {limit} now"),
    N_("it is switched off"),
    N_("the surplus of {surplus} carries its minimum of {minimum}"),
    N_("the surplus of {surplus} has to carry its minimum of {minimum} for {wait} more"),
    N_("the surplus of {surplus} no longer carries the minimum of {minimum}; it pauses in {wait}"),
    N_("the surplus of {surplus} does not carry its minimum of {minimum}"),
    N_("{limit} of surplus are shared by the cars beyond what they are guaranteed (measured {surplus})"),
    N_("the surplus is not known: {source} is lost"),
    N_("the battery at {soc} keeps it going"),
    N_("the battery at {soc} adds {limit}"),
    N_("the surplus of {surplus} is too little for three phases"),
    N_("the surplus of {surplus} is enough for three phases"),
    N_("gives {power} so that {source} stays within {limit}"),
    N_("gives {power} that would be imported"),
    N_("takes {power} that would be exported"),
    N_("takes {power} to refill its reserve"),
    N_("follows the plan with {power}"),
    N_("has nothing to do"),
    N_("gives nothing to cars that charge at full power ({power})"),
    N_("keeps its reserve of {reserve} (at {soc})"),
    N_("has not been heard of, and is not counted on"),
    N_("held at {limit} so that no more than {export} is exported ({source})"),
    N_("may give all it can"),
    N_("held at {limit}: the meter of {source} is lost"),
    N_("held at {limit}: exporting costs money ({price})"),
    N_("{limit} by order of {source}"),
    N_(
        "{limit} for all controllable devices by order of {source} (legal minimum {floor}, own surplus {surplus} on "
        "top)"
    ),
    N_("{limit} of surplus are left for it"),
    N_("may take what it needs"),
    N_("limited by order of {source}"),
    N_("may take less by order of {source}"),
    N_("paused by order of {source}"),
    # the plan
    N_("the plan is in force"),
    N_("as the plan has it"),
    # what is wrong
    N_("is out of service by the configuration: nothing is kept free for it"),
    N_("has never been heard: {kept} are kept free for it"),
    N_("is not heard: {kept} are kept free for it"),
    N_("does not confirm what it is told: {kept} are kept free for it"),
    N_("has not confirmed anything yet: {kept} are kept free for it"),
    N_("its fail-safe registers have not been read back: it may keep its maximum"),
    N_("its meter is not heard"),
    N_("meter {device} is not believed"),
    N_("meter {device} is not believed: {words}"),
    N_("meter {device} is lost: {amps} are assumed beside the EVSEs"),
    N_("has said nothing for too long: {words}"),
    N_("the last tick failed, the safe state is commanded: {words}"),
)  # fmt: skip

ORDERS = {
    "equal": N_("equal shares"),
    "priority": N_("priority"),
    "first_come": N_("who came first"),
    "lowest_soc": N_("who has the lowest charge"),
    "earliest_departure": N_("who leaves first"),
    "least_laxity": N_("who has the least time to spare"),
    "power": N_("power"),
}
"""How what is scarce is shared (`Policy.order`), and what a limit is of."""
