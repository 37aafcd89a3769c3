"""A site that is described wrongly is refused, with every mistake in words."""

import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.domain.energy import Evse, Limit, Node, SiteTree, Tenant, faults_of, prepare

FUSE = Limit(source="fuse", phases_ma=(63_000, 63_000, 63_000))
GRID = Node(id="grid", kind="connection", limits=(FUSE,))


def _tree(*nodes: Node, evses: tuple[Evse, ...] = (), tenants: tuple[Tenant, ...] = (), volts: int = 230) -> SiteTree:
    return SiteTree(nodes=(GRID, *nodes), evses=evses, tenants=tenants, voltage_mv=volts * 1_000)


def test_a_right_site_has_no_fault():
    evse = Evse(id="1", node="a", maximum=32_000, tenant="shop")
    tenant = Tenant(id="shop", limits=(Limit(source="lease", power_mw=11_000_000),))
    tree = _tree(Node(id="a", kind="feeder", parent="grid"), evses=(evse,), tenants=(tenant,))
    assert faults_of(tree) == ()
    assert prepare(tree).evses["1"] is evse


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (SiteTree(nodes=()), "exactly one node has no parent"),
        (_tree(Node(id="other", kind="connection", limits=(FUSE,))), "exactly one node has no parent"),
        (_tree(GRID), "is there 2 times"),
        (_tree(volts=0), "voltage_mv is 0"),
        (_tree(Node(id="a", kind="feeder", parent="b")), "its parent b does not exist"),
        (_tree(Node(id="a", kind="feeder", parent="a")), "is its own ancestor: a → a"),
        (
            _tree(Node(id="a", kind="feeder", parent="b"), Node(id="b", kind="feeder", parent="a")),
            "is its own ancestor: b → a → b",
        ),
        (_tree(Node(id="a", kind="connection", parent="grid")), "the connection alone has none"),
        (SiteTree(nodes=(Node(id="grid", kind="connection"),)), "the connection has no limit"),
        (_tree(Node(id="a", kind="feeder", parent="grid", metered=True)), "side_lost_ma has to say"),
        (
            _tree(Node(id="a", kind="feeder", parent="grid", metered=True, side_lost_ma=(0, -1, 0))),
            "a lost meter gives no room",
        ),
        (
            _tree(Node(id="a", kind="feeder", parent="grid", limits=(Limit(source="x", phases_ma=(1, 0, 1)),))),
            "0 mA on L2",
        ),
        (_tree(Node(id="a", kind="feeder", parent="grid", limits=(Limit(source="x", power_mw=0),))), "0 mW"),
        (_tree(Node(id="a", kind="feeder", parent="grid", limits=(Limit(source="x"),))), "limits nothing"),
        (
            _tree(Node(id="a", kind="feeder", parent="grid", limits=(Limit(source="x", imbalance_ma=-1),))),
            "an imbalance of -1 mA is negative",
        ),
        (
            _tree(
                Node(
                    id="a",
                    kind="feeder",
                    parent="grid",
                    limits=(Limit(source="x", power_mw=1, from_ms=5, until_ms=5),),
                )
            ),
            "ends before it begins",
        ),
        (_tree(tenants=(Tenant(id="shop", limits=()),)), "has no limit"),
        (_tree(evses=(Evse(id="1", node="b", maximum=32_000),)), "its node b does not exist"),
        (_tree(evses=(Evse(id="1", node="grid", maximum=32_000, tenant="who"),)), "its tenant who does not exist"),
        (_tree(evses=(Evse(id="1", node="grid", maximum=32_000, step=0),)), "step is 0"),
        (_tree(evses=(Evse(id="1", node="grid", maximum=32_000, minimum=-1),)), "it cannot be negative"),
        (_tree(evses=(Evse(id="1", node="grid", maximum=5_000),)), "no multiple of its step"),
        (
            _tree(evses=(Evse(id="1", node="grid", minimum=6_000, step=4_000, maximum=7_900),)),
            "no multiple of its step",
        ),
        (_tree(evses=(Evse(id="1", node="grid", maximum=32_000, current="DC", efficiency=0),)), "efficiency is 0"),
        (_tree(evses=(Evse(id="1", node="grid", maximum=32_000, current="DC", phases=1),)), "three phases, not 1"),
        (_tree(evses=(Evse(id="", node="grid", maximum=32_000),)), "has an empty id"),
    ],
)
def test_what_is_wrong_is_said(tree: SiteTree, said: str):
    assert said in " | ".join(str(fault) for fault in faults_of(tree))
    with pytest.raises(ConfigError, match="the site cannot be used"):
        prepare(tree)


def test_a_branch_below_a_circle_does_not_hang():
    """Only those in the circle are blamed for it."""
    nodes = [Node(id="a", kind="feeder", parent="b"), Node(id="b", kind="feeder", parent="a")]
    faults = faults_of(_tree(*nodes, Node(id="c", kind="group", parent="a")))
    assert {fault.where for fault in faults} == {"node a", "node b"}


def test_all_mistakes_are_said_at_once():
    tree = _tree(evses=(Evse(id="1", node="b", maximum=32_000), Evse(id="2", node="grid", maximum=1)))
    with pytest.raises(ConfigError, match=r"EVSE 1: its node b does not exist; EVSE 2: no multiple"):
        prepare(tree)
