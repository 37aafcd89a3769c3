"""What is lost, and what is written for it."""

from typing import get_args

from pilotwire.domain.energy import (
    STATES,
    Deadlines,
    Demand,
    Evse,
    Limit,
    Lost,
    Moment,
    Node,
    Policy,
    Reading,
    Remote,
    Resource,
    Signals,
    SiteTree,
    State,
    Substitution,
    allocate,
    prepare,
    substitute,
)
from pilotwire.domain.energy.losses import Loss

FUSE = Limit(source="fuse", phases_ma=(40_000,) * 3)
TREE = SiteTree(
    nodes=(Node(id="grid", kind="connection", limits=(FUSE,), metered=True, side_lost_ma=(10_500, 0, 0)),),
    evses=(Evse(id="a", node="grid", maximum=32_000, failsafe=6_000, watchdog_ms=60_000),),
    resources=(Resource(id="bat", node="grid", kind="battery", lost_ma=(5_000,) * 3),),
)
TOPOLOGY = prepare(TREE)
NOW = Moment(tick_ms=1_000_000, utc_ms=0)


def fresh(age_ms: int = 0) -> Signals:
    reading = Reading(phases_ma=(0, 0, 0), at_ms=NOW.tick_ms - age_ms)
    return Signals(meters={"grid": reading}, draws={"bat": reading})


def put(signals: Signals, *, remotes: tuple[Remote, ...] = (), **heard: int | None) -> Substitution:
    return substitute(TOPOLOGY, signals, Deadlines(), NOW, heard=heard, remotes=remotes)


def losses(found: Substitution) -> list[tuple[str, str]]:
    return [(each.loss, each.id) for each in found.in_force]


def test_every_loss_has_its_state():
    assert set(STATES) == set(get_args(Loss.__value__ if hasattr(Loss, "__value__") else Loss))


def test_while_nothing_is_lost_nothing_changes():
    assert put(fresh(11_000), a=NOW.tick_ms - 15_000) == Substitution(fresh(11_000), ())


def test_a_lost_meter():
    found = put(fresh(11_001))
    assert losses(found) == [("meter", "grid"), ("resource", "bat")]
    assert found.in_force[0].words == "its meter is lost: 10.5 A / 0 A / 0 A are taken for its side load"
    assert (found.in_force[0].since_ms, found.signals.meters) == (NOW.tick_ms - 11_001, {})
    result = allocate(TOPOLOGY, Policy(), [Demand(evse="a")], found.signals, State(), NOW)
    assert result.set_points[0].value == 29_000


def test_a_reading_of_the_future_is_none():
    assert losses(put(fresh(-1))) == [("meter", "grid"), ("resource", "bat")]


def test_a_lost_charger():
    found = put(fresh(), a=NOW.tick_ms - 15_001)
    assert losses(found) == [("charger", "a")]
    assert found.signals.lost == {"a": Lost(since_ms=NOW.tick_ms - 15_001)}
    never = put(fresh(), a=None)
    assert never.signals.lost == {"a": Lost()}
    result = allocate(TOPOLOGY, Policy(), [Demand(evse="a")], never.signals, State(), NOW)
    assert (result.set_points[0].value, result.reasons["a"].kept_ma) == (0, 32_000)


def test_who_has_put_it_into_lost_himself_knows_better():
    signals = Signals(meters=fresh().meters, draws=fresh().draws, lost={"a": Lost(possible=7_000)})
    found = put(signals, a=None)
    assert found.signals.lost == {"a": Lost(possible=7_000)}
    assert losses(found) == [("charger", "a")]


def test_limits_from_outside_give_way_to_their_fallback():
    said = {"grid": (Limit(source="EMS", phases_ma=(30_000,) * 3),)}
    fallback = {"grid": (Limit(source="EMS lost", phases_ma=(8_000,) * 3),)}
    for over, most in (("broker", 60_000), ("cloud", 900_000)):
        for age, limits, lost in (
            (most, said, []),
            (most + 1, fallback, [(over, over)]),
            (None, fallback, [(over, over)]),
        ):
            heard = None if age is None else NOW.tick_ms - age
            remote = Remote(over=over, heard_ms=heard, limits=said, fallback=fallback)  # pyright: ignore[reportArgumentType]
            found = put(fresh(), remotes=(remote,))
            assert (found.signals.limits, losses(found)) == (limits, lost)
    silent = put(fresh(), remotes=(Remote("cloud", None, said, {}),))
    assert silent.signals.limits == {}
    assert silent.in_force[0].words.endswith("it has no fallback limits: the local ones hold")


def test_local_limits_stay_beside_those_from_outside():
    local = Limit(source="DSO", phases_ma=(20_000,) * 3)
    signals = Signals(meters=fresh().meters, draws=fresh().draws, limits={"grid": (local,)})
    remote = Remote("cloud", NOW.tick_ms, {"grid": (Limit(source="EMS", phases_ma=(30_000,) * 3),)}, {})
    found = put(signals, remotes=(remote,))
    assert [each.source for each in found.signals.limits["grid"]] == ["DSO", "EMS"]
