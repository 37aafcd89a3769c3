"""What a site says over MQTT, what may be asked of it, and how Home Assistant and SCADA see it."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import pysparkplug
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.mqtt.mqtt_kit import Pictured, Spoken, mqtt

from pilotwire.protocols.sparkplug import EdgeNodeConfig, Metric, Payload, decode, encode, parse
from pilotwire.site.mqtt.commands import Ask, Commands, Refused, Repeated
from pilotwire.site.mqtt.homeassistant import discovery
from pilotwire.site.mqtt.publisher import HomeAssistant
from pilotwire.site.mqtt.sparkplug import SiteSparkplug
from pilotwire.site.mqtt.topics import Names, device_state, kilowatt_hours, watts
from pilotwire.site.picture import DevicePicture
from pilotwire.transport.mqtt import Message

ROOT = Path(__file__).resolve().parents[3]
NAMES = Names("small")


@pytest.fixture
def site() -> Pictured:
    """Two cars and a building, settled."""
    made = Pictured()
    made.chargers["a"].plug(32_000)
    made.chargers["c"].plug(16_000, 1)
    made.side("grid", (10_000, 4_000, 0))
    made.run(60)
    return made


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_each_topic_says_what_the_site_decided_in_the_units_of_people(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "")
    one.online()
    site.run(3)
    assert speak.messages[0] == ("pilotwire/small/status", b"online", 1, True)
    assert all(retain for topic, _, _, retain in speak.messages)
    points = site.set_points()
    a = speak.of("pilotwire/small/evse/a/state")[-1]
    assert a["limit_a"] * 1000 == points["a"] > 0 and a["charging"] and a["plugged"] and a["pilot"] == "C"
    assert a["current_l1_a"] * 1000 == site.drawn()["a"] and a["reason"]
    assert a["power_w"] == pytest.approx(3 * 230 * a["current_l1_a"])
    b = speak.of("pilotwire/small/evse/b/state")[-1]
    assert (b["limit_a"], b["charging"], b["reason"]) == (0, False, "no car wants energy here")
    grid = speak.of("pilotwire/small/node/grid/state")[-1]
    assert (grid["limit_l1_a"], grid["limit_l1_source"], grid["limit_l3_a"]) == (45, "cloud lost", 45)
    whole = speak.of("pilotwire/small/state")[-1]
    assert whole["charging"] == 2 and whole["plugged"] == 2
    assert whole["trouble"] == ["cloud: has said nothing for too long: the limit for its loss is in force"]
    assert whole["building_w"] == 14 * 230 and whole["grid_w"] == whole["building_w"] + whole["cars_w"]
    assert whole["pv_w"] is None and "at" in whole


def test_what_has_not_changed_is_not_said_again_until_it_is_time(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "")
    one.online()
    site.run(5)
    speak.messages.clear()
    site.run(60)
    assert speak.of("pilotwire/small/evse/b/state") == []
    site.run(300)
    assert len(speak.of("pilotwire/small/evse/b/state")) == 1
    topics = [topic for topic, *_ in speak.messages]
    assert topics.count("pilotwire/small/evse/a/state") <= 360  # never more often than a tick


def test_without_a_broker_nothing_is_lost_but_what_is_old(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "")
    one.online()
    speak.online = False
    site.chargers["b"].plug(16_000)
    site.run(60)
    speak.online = True
    speak.messages.clear()
    one.online()
    assert speak.messages[0][0] == "pilotwire/small/status"
    assert speak.of("pilotwire/small/evse/b/state")[-1]["limit_a"] == site.set_points()["b"] / 1000 > 0


def test_who_is_lost_is_trouble(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "")
    one.online()
    site.chargers["a"].link = False
    site.run(20)
    assert speak.of("pilotwire/small/evse/a/state")[-1]["online"] is False
    (trouble,) = [text for text in speak.of("pilotwire/small/state")[-1]["trouble"] if text.startswith("a: ")]
    assert "not heard" in trouble


def test_figures_are_exact_and_names_follow_their_units():
    device = DevicePicture(
        id="x", kind="battery", online=True,
        points={"power_mw": -1_234_567, "soc_permille": 505, "energy_import_wh": 1, "frequency_mhz": 49_987, "error": 7,
                "temperature_mc": 21_500, "voltage_l1_mv": 230_100, "reactive_mvar": 5_000, "watchdog_ms": 60_000},
    )  # fmt: skip
    assert device_state(device) == {
        "online": True, "power_w": Decimal("-1234.567"), "soc_percent": Decimal("50.5"),
        "energy_import_kwh": Decimal("0.001"), "frequency_hz": Decimal("49.987"), "error": 7,
        "temperature_c": Decimal("21.5"), "voltage_l1_v": Decimal("230.1"), "reactive_var": 5, "watchdog_s": 60,
    }  # fmt: skip
    assert str(watts(11_040_000)) == "11040" and kilowatt_hours(None) is None


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────
NOW = 1_800_000_000_000


def commands() -> Commands:
    return Commands(NAMES, frozenset({"a", "b"}), frozenset({"grid"}))


def read(topic: str, what: Any, retained: bool = False) -> Ask:
    payload = what if isinstance(what, bytes) else json.dumps(what).encode()
    return commands().read(f"pilotwire/small/{topic}", payload, retained, NOW)


def test_commands_in_base_units():
    assert read("evse/a/set", {"id": "1", "limit_a": 10.5, "expires_s": 60}) == Ask(
        id="1", evse="a", phases_ma=(10_500, 10_500, 10_500), valid_ms=60_000
    )
    assert read("evse/b/set", {"enable": False, "priority": 3, "phases": 1, "limit_w": 2000, "expires_s": 1}) == Ask(
        id="", evse="b", enable=False, priority=3, phases=1, power_mw=2_000_000, valid_ms=1_000
    )
    assert read("node/grid/set", {"limit_a": [40, 41, 42.5], "expires_s": 60}).phases_ma == (40_000, 41_000, 42_500)
    sent = read("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T07:59:30Z"})
    assert sent.valid_ms == 30_000


@pytest.mark.parametrize(
    ("topic", "what", "why"),
    [
        ("evse/a/set", b"", "cannot be read"),
        ("evse/a/set", b"\xff\xfe", "cannot be read"),
        ("evse/a/set", b"[" * 4_000, "cannot be read"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "other": 1}, "other"),
        ("evse/a/set", b"x" * 5_000, "at most"),
        ("evse/a/set", {"expires_s": 60}, "asks for nothing"),
        ("evse/a/set", {"limit_a": 6}, "expires_s"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 0}, "expires_s"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 100_000}, "expires_s"),
        ("evse/a/set", {"limit_a": -1, "expires_s": 60}, "from 0"),
        ("evse/a/set", {"limit_a": 1e30, "expires_s": 60}, "from 0"),
        ("evse/a/set", {"limit_a": [6, 6, 6], "expires_s": 60}, "one figure"),
        ("evse/a/set", {"limit_w": -5, "expires_s": 60}, "from 0"),
        ("evse/a/set", {"phases": 2, "expires_s": 60}, "cannot be read"),
        ("evse/a/set", {"priority": 10_000, "expires_s": 60}, "priority"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "yesterday"}, "no time"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T07:58:59Z"}, "expired"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T08:01:00Z"}, "future"),
        ("evse/z/set", {"limit_a": 6, "expires_s": 60}, "no evse z"),
        ("node/grid/set", {"enable": True, "expires_s": 60}, "no enable"),
        ("evse/a/state", {"limit_a": 6, "expires_s": 60}, "nothing is commanded"),
    ],
)
def test_commands_that_are_refused_say_why(topic: str, what: Any, why: str):
    with pytest.raises(Refused, match=why):
        read(topic, what)


def test_what_was_retained_is_refused_and_what_comes_twice_counts_once():
    good = {"id": "7", "limit_a": 6, "expires_s": 60}
    with pytest.raises(Refused, match="not retained"):
        read("evse/a/set", good, retained=True)
    reader = commands()
    payload = json.dumps(good).encode()
    reader.read("pilotwire/small/evse/a/set", payload, False, NOW)
    with pytest.raises(Repeated):
        reader.read("pilotwire/small/evse/a/set", payload, False, NOW)
    for number in range(1_000):
        reader.read("pilotwire/small/evse/a/set", json.dumps(good | {"id": f"x{number}"}).encode(), False, NOW)
    reader.read("pilotwire/small/evse/a/set", payload, False, NOW)  # forgotten: memory is bounded


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
       lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["limit_a", "expires_s", "id", "enable"]), inner)
       ).map(lambda what: json.dumps(what).encode()))  # fmt: skip
@settings(max_examples=200, derandomize=True, deadline=None)
def test_whatever_comes_is_a_command_or_refused(payload: bytes):
    site = Names("small")
    try:
        Commands(site, frozenset({"a"}), frozenset()).read("pilotwire/small/evse/a/set", payload, False, NOW)
    except Refused as refused:
        assert str(refused)


def test_each_command_gets_its_answer():
    site, speak, asked = Pictured(), Spoken(), list[Ask]()

    def order(ask: Ask) -> str:
        asked.append(ask)
        return "" if ask.evse == "a" else "this one is not ours to command"

    one = mqtt(site, speak, order)
    for topic, what in (("evse/a/set", {"id": "1", "limit_a": 8, "expires_s": 9}),
                        ("evse/a/set", {"id": "1", "limit_a": 8, "expires_s": 9}),
                        ("evse/b/set", {"id": "2", "limit_a": 8, "expires_s": 9}),
                        ("evse/a/set", {"id": "3"})):  # fmt: skip
        one.heard(Message(f"pilotwire/small/{topic}", json.dumps(what).encode(), 1))
    answers = [(each["id"], each["accepted"], bool(each["error"])) for each in speak.of("pilotwire/small/result")]
    assert answers == [("1", True, False), ("2", False, True), ("", False, True)]
    assert not any(retain for _, _, _, retain in speak.messages)
    assert [ask.evse for ask in asked] == ["a", "b"]
    assert (one.counts.accepted, one.counts.refused, one.counts.repeated) == (1, 2, 1)


# ── Home Assistant ───────────────────────────────────────────────────────────────────────────────────────────────────
def found(site: Pictured) -> dict[str, bytes]:
    assert site.last is not None
    meter = site.last.devices[0]
    more = tuple(msgspec.structs.replace(meter, id=kind, kind=kind) for kind in ("inverter", "battery", "load"))
    whole = msgspec.structs.replace(site.last, devices=(*site.last.devices, *more))
    return discovery(NAMES, whole, {"a": (6_000, 32_000)}, prefix="homeassistant", version="1.2")


def test_home_assistant_s_own_schemas_accept_every_entity(site: Pictured):
    payloads = {topic: payload.decode() for topic, payload in found(site).items()}
    assert len(payloads) > 60
    python = ROOT / ".venv" / "homeassistant" / "bin" / "python"
    line = [str(python), str(Path(__file__).with_name("home_assistant_end.py"))]
    done = subprocess.run(line, input=json.dumps(payloads), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["refused"] == {} and said["accepted"] == len(payloads)
    assert said["missed"] == [], "an entity that is wrong must not be accepted"


def test_templates_find_what_the_topics_say_and_commands_are_commands(site: Pictured):
    speak = Spoken()
    mqtt(site, speak, lambda ask: "").online()
    site.run(2)
    states = {topic: json.loads(payload) for topic, payload, _, _ in speak.messages if payload.startswith(b"{")}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for topic, payload in found(site).items():
        entity = json.loads(payload)
        if entity["state_topic"] not in states or "device/" in entity["state_topic"]:
            continue
        shown = environment.from_string(entity["value_template"]).render(value_json=states[entity["state_topic"]])
        assert shown != "" and ("binary_sensor" not in topic or shown in ("ON", "OFF"))
    limit = json.loads(found(site)["homeassistant/number/pilotwire_small_a/limit_a/config"])
    now: Any = type("Now", (), {"timestamp": lambda self: 1.5})
    command = environment.from_string(limit["command_template"]).render(value=10.0, now=now)
    reader = commands()
    assert reader.read(limit["command_topic"], command.encode(), False, NOW).phases_ma == (10_000,) * 3
    switch = json.loads(found(site)["homeassistant/switch/pilotwire_small_a/enable/config"])
    assert reader.read(switch["command_topic"], switch["payload_off"].encode(), False, NOW).enable is False
    assert reader.read(switch["command_topic"], switch["payload_on"].encode(), False, NOW).enable is True
    assert not limit["retain"] and not switch["retain"]


def test_home_assistant_is_introduced_once_and_again_when_it_has_been_started_anew(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "", HomeAssistant())
    one.online()
    site.run(5)

    def introductions() -> int:
        return sum(topic.startswith("homeassistant/sensor/pilotwire_small/grid_w") for topic, *_ in speak.messages)

    assert introductions() == 1 and "homeassistant/status" in one.subscriptions
    one.heard(Message("homeassistant/status", b"offline"))
    one.heard(Message("homeassistant/status", b"online"))
    assert introductions() == 2
    one.online()
    assert introductions() == 3


# ── Sparkplug B ──────────────────────────────────────────────────────────────────────────────────────────────────────
class Scada:
    """What a host application sees: pysparkplug reads all."""

    def __init__(self, site: Pictured) -> None:
        self.said = Spoken()
        self.asked: list[Ask] = []
        self.one = SiteSparkplug(EdgeNodeConfig("Depot", "small"), self.said, self._order, utc=site.utc)
        site.shown.append(self.one.show)

    def _order(self, ask: Ask) -> str:
        self.asked.append(ask)
        return ""

    def all(self) -> list[tuple[str, str | None, Payload]]:
        return [
            (parse(topic).type, parse(topic).device, decode(data))
            for topic, data, _, _ in self.said.messages
        ]  # fmt: skip


def test_a_site_is_an_edge_node_and_its_evses_are_devices(site: Pictured):
    scada = Scada(site)
    assert scada.one.will.topic == "spBv1.0/Depot/NDEATH/small"
    site.run(2)
    scada.one.online()
    births = scada.all()
    assert [(kind, device) for kind, device, _ in births[:2]] == [("NBIRTH", None), ("DBIRTH", "a")]
    assert {device for kind, device, _ in births if kind == "DBIRTH"} == {"a", "b", "c", "d", "main"}
    theirs = pysparkplug.DBirth.decode(scada.said.messages[1][1])
    power = next(metric for metric in theirs.metrics if metric.name == "power_w")
    assert power.value == site.drawn()["a"] * 3 * 0.23
    assert [said.seq for _, _, said in births] == list(range(len(births)))
    site.chargers["a"].link = False
    site.run(20)
    assert [(kind, device) for kind, device, _ in scada.all()].count(("DDEATH", "a")) == 1
    site.chargers["a"].link = True
    site.run(20)
    assert [(kind, device) for kind, device, _ in scada.all()].count(("DBIRTH", "a")) == 2
    seqs = [said.seq for _, _, said in scada.all()]
    assert seqs == [number % 256 for number in range(len(seqs))]


def test_commands_of_scada_count_for_a_while_from_when_they_were_sent(site: Pictured):
    scada = Scada(site)
    scada.one.will  # noqa: B018 - asked for before the connection
    scada.one.online()
    site.run(1)
    now = site.utc()

    def command(name: str, kind: Any, value: Any, at: int | None, device: str = "a") -> None:
        data = encode(Payload(timestamp_ms=at, metrics=(Metric(name=name, kind=kind, value=value),)))
        scada.one.heard(Message(f"spBv1.0/Depot/DCMD/small/{device}", data))

    command("Command/Limit", "Double", 10.5, now - 100_000)
    command("Command/Enable", "Boolean", False, None)
    assert scada.asked == [
        Ask(id="", evse="a", phases_ma=(10_500,) * 3, valid_ms=200_000),
        Ask(id="", evse="a", enable=False, valid_ms=300_000),
    ]
    for bad in (now - 300_000, now + 60_000):
        command("Command/Limit", "Double", 10.0, bad)
    for value in (-1.0, float("inf"), float("nan")):
        command("Command/Limit", "Double", value, now)
    assert len(scada.asked) == 2 and scada.one.refused == 5
    command("power_w", "Double", 1.0, now)
    assert scada.one.node.counts.not_writable == 1
