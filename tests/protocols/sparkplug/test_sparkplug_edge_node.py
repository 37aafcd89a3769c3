"""The edge node: who is born when, what is said by alias, and what is done with commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotwire.core.errors import ConfigError, LocalError
from pilotwire.protocols.sparkplug import (
    Command,
    EdgeNode,
    EdgeNodeConfig,
    Metric,
    MetricDefinition,
    Payload,
    Publish,
    decode,
    encode,
    parse,
)  # fmt: skip

OWN = (MetricDefinition("power", "Double"), MetricDefinition("limit", "UInt32", writable=True))
EVSE = (MetricDefinition("power", "Double"), MetricDefinition("enable", "Boolean", writable=True))


def node(host: str | None = None, **more: Any) -> EdgeNode:
    return EdgeNode(EdgeNodeConfig("g", "n", OWN, host, **more))


def told(effects: list[Any]) -> list[tuple[str, Payload]]:
    return [(parse(one.topic).type, decode(one.payload)) for one in effects if isinstance(one, Publish)]


def values(payload: Payload) -> dict[str | int | None, Any]:
    return {metric.alias if metric.name is None else metric.name: metric.value for metric in payload.metrics}


def command(one: EdgeNode, *metrics: Metric, device: str | None = None, now: int = 5) -> list[Any]:
    topic = "spBv1.0/g/NCMD/n" if device is None else f"spBv1.0/g/DCMD/n/{device}"
    return one.receive(topic, encode(Payload(timestamp_ms=now, metrics=metrics)), now)


def state(one: EdgeNode, online: bool, at: int) -> list[Any]:
    return one.receive("spBv1.0/STATE/host", json.dumps({"online": online, "timestamp": at}).encode(), at)


def test_births_carry_all_and_data_only_what_changed_by_alias():
    one = node()
    will = one.will()
    assert will.topic == "spBv1.0/g/NDEATH/n" and values(decode(will.payload)) == {"bdSeq": 0}
    assert one.device("evse-1", EVSE, 1) == []  # nobody is there to hear it
    births = told(one.connected(2))
    assert [kind for kind, _ in births] == ["NBIRTH", "DBIRTH"] and [said.seq for _, said in births] == [0, 1]
    own = values(births[0][1])
    assert own == {"bdSeq": 0, "Node Control/Rebirth": False, "power": None, "limit": None}
    assert values(births[1][1]) == {"power": None, "enable": None}
    aliases = {(at, metric.name): metric.alias for at, (_, said) in enumerate(births) for metric in said.metrics}
    ((kind, said),) = told(one.report("evse-1", {"power": 11.0}, 3, 4))
    assert kind == "DDATA" and said.seq == 2 and values(said) == {aliases[1, "power"]: 11.0}
    assert said.metrics[0].timestamp_ms == 3 and said.timestamp_ms == 4
    assert one.report("evse-1", {"power": 11.0}, 5, 5) == []
    given = [alias for alias in aliases.values() if alias is not None]
    assert len(given) == len(set(given)) == 4


def test_the_sequence_goes_round_and_each_connection_has_a_number_of_its_own():
    one = node()
    for round in range(3):
        assert values(decode(one.will().payload)) == {"bdSeq": round}
        assert told(one.connected(0))[0][1].seq == 0
        seqs = [
            told(one.report(None, {"power": float(n)}, n, n))[0][1].seq for n in range(1000 * round, 1000 * round + 300)
        ]
        assert seqs == [(1 + n) % 256 for n in range(300)]
        one.lost()
    assert EdgeNode(EdgeNodeConfig("g", "n"), bd_seq=255).will() == EdgeNode(EdgeNodeConfig("g", "n")).will()


def test_what_is_measured_without_a_connection_comes_later_as_history_and_the_oldest_is_shed():
    one = node(backlog=3)
    for at in range(5):
        assert one.report(None, {"power": float(at)}, at, at) == []
    assert one.counts.shed == 2
    one.will()
    (_, birth), (kind, late) = told(one.connected(10))
    assert values(birth)["power"] == 4.0 and kind == "NDATA" and late.seq == 1
    assert [(metric.value, metric.timestamp_ms, metric.historical) for metric in late.metrics] == [
        (2.0, 2, True), (3.0, 3, True), (4.0, 4, True)
    ]  # fmt: skip
    assert len(told(one.connected(11))) == 1


def test_a_device_dies_and_is_born_again():
    one = node()
    one.will()
    one.connected(0)
    assert [kind for kind, _ in told(one.device("evse-1", EVSE, 1))] == ["DBIRTH"]
    one.report("evse-1", {"power": 7.0}, 2, 2)
    ((kind, said),) = told(one.device_gone("evse-1", 3))
    assert kind == "DDEATH" and said.metrics == () and said.seq == 3
    assert one.device_gone("evse-1", 4) == [] == one.report("evse-1", {"power": 0.0}, 4, 4)
    ((kind, said),) = told(one.device("evse-1", EVSE, 5))
    assert kind == "DBIRTH" and values(said)["power"] == 0.0


def test_rebirth_on_command_but_not_all_the_time():
    one = node()
    ask = Metric(name="Node Control/Rebirth", kind="Boolean", value=True)
    assert command(one, ask) == []  # not born yet: the birth will come by itself
    one.will()
    one.connected(0)
    one.report(None, {"power": 1.0}, 1, 1)
    ((kind, said),) = told(command(one, ask, now=2))
    assert kind == "NBIRTH" and said.seq == 0 and values(said)["bdSeq"] == 0
    assert command(one, ask, now=5_001) == [] and one.counts.rebirths_held == 1
    assert len(told(command(one, ask, now=5_002))) == 1
    assert command(one, Metric(name="Node Control/Rebirth", kind="Boolean", value=False), now=20_000) == []


def test_commands_by_name_or_alias_of_what_may_be_written():
    one = node()
    one.will()
    births = told([*one.connected(0), *one.device("evse-1", EVSE, 0)])
    alias = next(metric.alias for metric in births[1][1].metrics if metric.name == "enable")
    assert command(one, Metric(name="limit", kind="UInt32", value=16_000, timestamp_ms=4)) == [
        Command(None, "limit", 16_000, 4)
    ]
    assert command(one, Metric(alias=alias, kind="Boolean", value=True), device="evse-1") == [
        Command("evse-1", "enable", True, 5)
    ]
    assert command(one, Metric(name="power", kind="Double", value=1.0)) == [] and one.counts.not_writable == 1
    assert command(one, Metric(name="other", kind="Int8", value=1)) == [] and one.counts.unknown_metrics == 1
    assert command(one, Metric(name="enable", kind="Boolean", value=True), device="nobody") == []
    assert one.counts.unknown_metrics == 2
    for wrong in (Metric(name="limit", kind="Int32", value=-1), Metric(name="limit", kind="Boolean", value=True),
                  Metric(name="limit", kind="UInt32", value=None)):  # fmt: skip
        assert command(one, wrong) == []
    assert one.counts.wrong_types == 3
    one.receive("spBv1.0/g/NCMD/n", b"\x80", 6)
    one.receive("spBv1.0/g/NCMD/other", b"", 6)
    one.receive("nonsense", b"", 6)
    assert (one.counts.bad_payloads, one.counts.bad_topics) == (1, 2)


def test_without_the_primary_host_nothing_is_published():
    one = node("host")
    assert one.subscriptions == ("spBv1.0/g/NCMD/n", "spBv1.0/g/DCMD/n/+", "spBv1.0/STATE/host")
    one.will()
    assert one.connected(0) == [] and one.report(None, {"power": 3.0}, 1, 1) == []
    assert [kind for kind, _ in told(state(one, True, 10))] == ["NBIRTH", "NDATA"]
    assert state(one, True, 11) == []
    assert state(one, False, 9) == []  # older than what is known
    ((kind, said),) = told(state(one, False, 12))
    assert kind == "NDEATH" and values(said) == {"bdSeq": 0} and not one.born
    assert one.report(None, {"power": 4.0}, 13, 13) == []
    assert [kind for kind, _ in told(state(one, True, 14))] == ["NBIRTH", "NDATA"]
    one.lost()
    one.will()
    assert one.connected(20) == []  # its state is told anew by the broker, for it is retained
    assert told(state(one, True, 14))[0][0] == "NBIRTH"
    for bad in (b"no", b"[]", b"{}", b'{"online": 1, "timestamp": 1}'):
        assert one.receive("spBv1.0/STATE/host", bad, 30) == []
    one.receive("spBv1.0/STATE/other", b"{}", 30)
    assert (one.counts.bad_payloads, one.counts.bad_topics) == (4, 1)


def test_who_takes_leave_says_so_itself():
    one = node()
    assert one.leave() == []
    one.will()
    one.connected(0)
    ((kind, said),) = told(one.leave())
    assert kind == "NDEATH" and values(said) == {"bdSeq": 0} and not one.born
    assert one.report(None, {"power": 1.0}, 1, 1) == []


def test_mistakes_of_the_caller():
    with pytest.raises(ConfigError):
        EdgeNode(EdgeNodeConfig("g/x", "n"))
    with pytest.raises(LocalError):
        EdgeNode(EdgeNodeConfig("g", "n", (MetricDefinition("bdSeq", "Int64"),)))
    with pytest.raises(LocalError):
        EdgeNode(EdgeNodeConfig("g", "n", (OWN[0], OWN[0])))
    one = node()
    with pytest.raises(LocalError):
        one.report(None, {"nothing": 1.0}, 0, 0)
    with pytest.raises(LocalError):
        one.report("nobody", {"power": 1.0}, 0, 0)
