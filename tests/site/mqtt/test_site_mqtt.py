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
from pilotwire.site.entered import Want
from pilotwire.site.mqtt.commands import Ask, Commands, Pace, Refused, Repeated
from pilotwire.site.mqtt.homeassistant import HomeAssistant, discovery, found
from pilotwire.site.mqtt.sparkplug import SiteSparkplug
from pilotwire.site.mqtt.topics import Names, Standing, device_state, kilowatt_hours, watts
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
    return Commands(NAMES, frozenset({"a", "b"}), frozenset({"grid"}), {"cloud": 60_000})


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
    assert read("evse/a/set", {"mode": "min_pv", "expires_s": 60}).mode == "min_pv"
    entered = read("evse/a/set", {"departure": "2027-01-15T10:00:00+01:00", "energy_kwh": 12.5})
    assert (entered.departure_ms, entered.energy_wh, entered.valid_ms) == (NOW + 3_600_000, 12_500, None)
    assert read("evse/a/set", {"departure": None}).forget == {"departure"}
    assert read("node/grid/set", {"limit_a": [40, 41, 42.5], "expires_s": 60}).phases_ma == (40_000, 41_000, 42_500)
    sent = read("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T07:59:30Z"})
    assert sent.valid_ms == 30_000
    assert read("source/cloud/set", {"limit_a": 40, "limit_w": 30_000}) == Ask(
        id="", source="cloud", phases_ma=(40_000, 40_000, 40_000), power_mw=30_000_000, valid_ms=60_000
    )
    free = read("source/cloud/set", {"free": True, "id": "8"})
    assert (free.source, free.phases_ma, free.power_mw) == ("cloud", None, None)


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
        ("evse/a/set", {"mode": "fast", "expires_s": 60}, "cannot be read"),
        ("node/grid/set", {"mode": "off", "expires_s": 60}, "no mode"),
        ("node/grid/set", {"departure": 60}, "no departure"),
        ("evse/a/set", {"limit_a": "NaN", "expires_s": 60}, "no number"),
        ("evse/a/set", {"limit_a": 6, "expires_s": "sNaN"}, "no number"),
        ("node/grid/set", {"limit_w": "Infinity", "expires_s": 60}, "no number"),
        ("evse/a/set", {"priority": 10_000, "expires_s": 60}, "priority"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "yesterday"}, "no time"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T07:58:59Z"}, "expired"),
        ("evse/a/set", {"limit_a": 6, "expires_s": 60, "sent_at": "2027-01-15T08:01:00Z"}, "future"),
        ("evse/z/set", {"limit_a": 6, "expires_s": 60}, "no evse z"),
        ("node/grid/set", {"enable": True, "expires_s": 60}, "no enable"),
        ("source/cloud/set", {}, "asks for nothing"),
        ("source/cloud/set", {"free": False}, "cannot be read"),
        ("source/cloud/set", {"free": True, "limit_a": 40}, "no limit at all"),
        ("source/cloud/set", {"limit_a": 40, "expires_s": 60}, "leave out expires_s"),
        ("source/cloud/set", {"limit_a": 40, "sent_at": "2027-01-15T07:58:59Z"}, "expired"),
        ("source/cloud/set", {"limit_a": 40, "enable": True}, "no enable"),
        ("source/other/set", {"limit_a": 40}, "no source other"),
        ("node/grid/set", {"free": True, "expires_s": 60}, "no free"),
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
    assert answers == [("1", True, False), ("2", False, True), ("3", False, True)]
    assert not any(retain for _, _, _, retain in speak.messages)
    assert [ask.evse for ask in asked] == ["a", "b"]
    assert (one.counts.accepted, one.counts.refused, one.counts.repeated) == (1, 2, 1)


def test_more_commands_than_a_minute_takes_are_refused_and_fill_no_record():
    site, speak, asked, record = Pictured(), Spoken(), list[Ask](), list[tuple[str, str, str]]()

    def order(ask: Ask) -> str:
        asked.append(ask)
        return ""

    one = mqtt(site, speak, order, pace=Pace(3), audit=lambda *line: record.append(line))
    command = Message("pilotwire/small/evse/a/set", b'{"limit_a": 8, "expires_s": 9}', 1)
    for _ in range(5):
        one.heard(command)
    assert len(asked) == 3 and record[3:] == [("mqtt broker", "commands", "more than 3 commands in a minute")] * 2
    assert speak.of("pilotwire/small/result")[-1]["error"] == "more than 3 commands in a minute"
    site.run(21)
    one.heard(command)
    one.heard(command)
    assert len(asked) == 4
    pace = Pace(1)
    pace.check(1_000_000)
    for now, passes in ((1_059_999, False), (1_060_000, True), (0, False), (60_000, True)):  # a clock that is set back
        if passes:
            pace.check(now)
        else:
            with pytest.raises(Refused):
                pace.check(now)


def test_whoever_floods_the_site_does_not_silence_a_source():
    asked: list[Ask] = []

    def order(ask: Ask) -> str:
        asked.append(ask)
        return ""

    one = mqtt(Pictured(), Spoken(), order, pace=Pace(3), sources={"cloud": 60_000})
    for _ in range(5):
        one.heard(Message("pilotwire/small/evse/a/set", b'{"limit_a": 8, "expires_s": 9}', 1))
    for _ in range(100):
        one.heard(Message("pilotwire/small/source/cloud/set", b'{"limit_a": 30}', 1))
    assert [ask.source for ask in asked] == [""] * 3 + ["cloud"] * 60


def test_a_site_that_is_only_looked_at_hears_nothing():
    site, speak = Pictured(), Spoken()
    one = mqtt(site, speak, lambda ask: "", HomeAssistant(commands=False), commands=False)
    assert one.subscriptions == ("homeassistant/status",)
    two = mqtt(site, Spoken(), lambda ask: "", sources={"cloud": 60_000})
    assert two.subscriptions == tuple(f"pilotwire/small/{kind}/+/set" for kind in ("evse", "node", "source"))
    one.online()
    site.run(2)
    shown = {topic.split("/")[1] for topic, *_ in speak.messages if topic.startswith("homeassistant/")}
    assert shown == {"sensor", "binary_sensor"}
    plug = SiteSparkplug(EdgeNodeConfig("Depot", "small"), speak, lambda ask: "", utc=site.utc, commands=False)
    site.shown.append(plug.show)
    plug.online()
    site.run(2)
    births = [decode(data) for topic, data, _, _ in speak.messages if "/DBIRTH/" in topic]
    assert births and not any(str(metric.name).startswith("Command") for said in births for metric in said.metrics)


# ── Home Assistant ───────────────────────────────────────────────────────────────────────────────────────────────────
def entities(site: Pictured) -> dict[str, bytes]:
    assert site.last is not None
    meter = site.last.devices[0]
    more = tuple(msgspec.structs.replace(meter, id=kind, kind=kind) for kind in ("inverter", "battery", "load"))
    whole = msgspec.structs.replace(site.last, devices=(*site.last.devices, *more))
    every = frozenset({"power_mw", "battery_mw", "energy_import_wh", "soc_permille", "voltage_l1_mv", "temperature_mc"})
    points = {device.id: every for device in whole.devices}
    return discovery(NAMES, whole, HomeAssistant(limits={"a": (6_000, 32_000)}, points=points, version="1.2"))


def test_home_assistant_s_own_schemas_accept_every_entity(site: Pictured):
    payloads = {topic: payload.decode() for topic, payload in entities(site).items()}
    assert len(payloads) > 60
    python = ROOT / ".venv" / "homeassistant" / "bin" / "python"
    line = [str(python), str(Path(__file__).with_name("home_assistant_end.py"))]
    done = subprocess.run(line, input=json.dumps(payloads), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["refused"] == {} and said["accepted"] == len(payloads)
    assert said["missed"] == [], "an entity that is wrong must not be accepted"
    assert len(said["texts"]) == 4
    for sent, taken_back, shown, nothing in said["texts"]:
        assert json.loads(sent)["departure"].endswith("T07:30:00+00:00") and json.loads(taken_back)["departure"] is None
        assert (shown, nothing) == ("06:30", ""), "as clocks show it there"


def test_templates_find_what_the_topics_say_and_commands_are_commands(site: Pictured):
    speak = Spoken()
    standing = {"a": Standing(mode="pv", enabled=False, maximum=16_000)}
    mqtt(site, speak, lambda ask: "", standing=lambda: standing).online()
    site.run(2)
    states = {topic: json.loads(payload) for topic, payload, _, _ in speak.messages if payload.startswith(b"{")}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for topic, payload in entities(site).items():
        entity = json.loads(payload)
        # A text's template has filters that only Home Assistant knows: `home_assistant_end` renders it.
        if entity["state_topic"] not in states or "device/" in entity["state_topic"] or "/text/" in topic:
            continue
        shown = environment.from_string(entity["value_template"]).render(value_json=states[entity["state_topic"]])
        assert shown != "" and ("binary_sensor" not in topic or shown in ("ON", "OFF"))
    state = states["pilotwire/small/evse/a/state"]

    def of(component: str, name: str) -> Any:
        return json.loads(entities(site)[f"homeassistant/{component}/pilotwire_small/evse_a_{name}/config"])

    def shown_by(entity: Any) -> str:
        return environment.from_string(entity["value_template"]).render(value_json=state)

    limit = of("number", "maximum")
    assert (shown_by(limit), shown_by(of("select", "mode")), shown_by(of("switch", "enable"))) == ("16", "pv", "OFF")
    heard = limit["availability"][1]
    assert heard["topic"] == limit["state_topic"] and limit["availability"][0]["topic"] == "pilotwire/small/status"
    for online in (True, False):
        there = environment.from_string(heard["value_template"]).render(value_json=state | {"online": online})
        assert there == ("online" if online else "offline")
    assert len(of("binary_sensor", "online")["availability"]) == 1, "it is there to say that its device is not"
    now: Any = type("Now", (), {"timestamp": lambda self: 1.5})
    command = environment.from_string(limit["command_template"]).render(value=10.0, now=now)
    reader = commands()
    assert reader.read(limit["command_topic"], command.encode(), False, NOW).phases_ma == (10_000,) * 3
    later: Any = type("Now", (), {"timestamp": lambda self: 2.5})
    choose = of("select", "mode")
    command = environment.from_string(choose["command_template"]).render(value="min_pv", now=later)
    assert reader.read(choose["command_topic"], command.encode(), False, NOW).mode == "min_pv"
    needs = of("number", "needs")
    for number, (value, wanted, forgotten) in enumerate(((20.0, 20_000, set()), (0.0, None, {"energy_kwh"}))):
        at: Any = type("Now", (), {"timestamp": lambda self, number=number: number})
        ask = reader.read(
            needs["command_topic"],
            environment.from_string(needs["command_template"]).render(value=value, now=at).encode(), False, NOW,
        )  # fmt: skip
        assert (ask.energy_wh, ask.forget) == (wanted, forgotten)
    switch = of("switch", "enable")
    assert reader.read(switch["command_topic"], switch["payload_off"].encode(), False, NOW).enable is False
    assert reader.read(switch["command_topic"], switch["payload_on"].encode(), False, NOW).enable is True
    assert not limit["retain"] and not switch["retain"]


def test_home_assistant_is_introduced_once_and_again_when_it_has_been_started_anew(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "", HomeAssistant())
    one.online()
    site.run(5)

    def introductions() -> int:
        return sum(topic == "homeassistant/sensor/pilotwire_small/site_grid_w/config" for topic, *_ in speak.messages)

    assert introductions() == 1 and "homeassistant/status" in one.subscriptions
    one.heard(Message("homeassistant/status", b"offline"))
    one.heard(Message("homeassistant/status", b"online"))
    assert introductions() == 2
    one.online()
    assert introductions() == 3


def test_the_energy_dashboard_takes_counters_and_only_of_what_a_device_has(site: Pictured):
    made = {topic: json.loads(payload) for topic, payload in entities(site).items()}
    counters = {topic for topic, one in made.items() if one.get("device_class") == "energy"}
    assert {topic.split("/")[3] for topic in counters} == {
        *(f"evse_{id}_{name}" for id in "abcd" for name in ("session_kwh", "energy_kwh")),
        *(f"device_{id}_energy_import_kwh" for id in ("main", "inverter", "battery", "load")),
    }
    for topic in counters:
        assert (made[topic]["state_class"], made[topic]["unit_of_measurement"]) == ("total_increasing", "kWh")
    assert not [topic for topic in made if "frequency" in topic], "no point of that name"
    assert all(one["default_entity_id"].startswith(topic.split("/")[1] + ".") for topic, one in made.items())


def test_no_entity_is_another_s_whatever_sites_and_evses_are_called(site: Pictured):
    assert site.last is not None
    picture, seen = site.last, set[str]()
    evse, device = picture.evses[0], picture.devices[0]
    ids = ("a", "b_c", "b.c", "b:c", "b-c", "a_power_w", "online")
    whole = msgspec.structs.replace(
        picture, evses=tuple(msgspec.structs.replace(evse, id=id) for id in ids),
        devices=tuple(msgspec.structs.replace(device, id=id) for id in ids),
    )  # fmt: skip
    none, one = (
        len(discovery(NAMES, msgspec.structs.replace(picture, evses=evses, devices=devices), HomeAssistant()))
        for evses, devices in (((), ()), ((evse,), (device,)))
    )
    each = none + len(ids) * (one - none)
    places = [Names("a"), Names("a_b"), Names("a.b"), Names("a:b"), Names("b", "a"), Names("a", "x/y"), Names("x_y_a")]
    for number, names in enumerate(places, 1):
        made = discovery(names, whole, HomeAssistant())
        seen |= {json.loads(payload)["unique_id"] for payload in made.values()}
        assert len(made) == each and len(seen) == number * each
    assert len({found(names, "homeassistant") for names in places}) == len(places)


def test_what_is_not_there_any_more_is_taken_back_and_nothing_else(site: Pictured):
    speak = Spoken()
    one = mqtt(site, speak, lambda ask: "", HomeAssistant())
    assert one.glances == ("pilotwire/small/+/+/state", "homeassistant/+/pilotwire_small/+/config")
    old = ("pilotwire/small/evse/old/state", "homeassistant/sensor/pilotwire_small/evse_old_power_w/config")
    ours = ("pilotwire/small/evse/a/state", "homeassistant/sensor/pilotwire_small/evse_a_power_w/config")
    for topic in (*old, *ours):
        one.heard(Message(topic, b"{}", 0, True))
    one.heard(Message("pilotwire/small/evse/gone/state", b"", 0, True))
    one.heard(Message("pilotwire/small/evse/live/state", b"{}", 0, False))
    one.online()
    site.run(2)
    one.heard(Message(old[0], b"{}", 0, True))
    assert [topic for topic, payload, _, retain in speak.messages if retain and not payload] == [*old, old[0]]
    assert one.counts.taken_back == 3 and not speak.of("pilotwire/small/result")
    off = mqtt(site, speak, lambda ask: "", HomeAssistant(on=False))
    site.run(2)
    speak.messages.clear()
    off.heard(Message(ours[1], b"{}", 0, True))
    assert [(topic, payload) for topic, payload, *_ in speak.messages] == [(ours[1], b"")]


def test_a_site_that_is_larger_than_the_connection_takes_at_once_is_shown_whole(site: Pictured):
    speak, room = Spoken(), 0

    def little(topic: str, payload: bytes, qos: Any = 0, *, retain: bool = False) -> bool:
        nonlocal room
        room -= 1
        return room >= 0 and speak(topic, payload, qos, retain=retain)

    one = mqtt(site, little, lambda ask: "", HomeAssistant())
    one.online()
    for _ in range(20):
        room = 10
        site.run(1)
    shown = [topic for topic, *_ in speak.messages if topic.startswith("homeassistant/")]
    assert len(shown) == len(set(shown)) > 60
    assert site.last is not None and set(shown) == set(discovery(NAMES, site.last, HomeAssistant()))


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
        Ask(id="", evse="a", phases_ma=(10_500, 10_500, 10_500), valid_ms=200_000),
        Ask(id="", evse="a", enable=False, valid_ms=300_000),
    ]
    for bad in (now - 300_000, now + 60_000):
        command("Command/Limit", "Double", 10.0, bad)
    for value in (-1.0, float("inf"), float("nan")):
        command("Command/Limit", "Double", value, now)
    command("Command/Mode", "String", "fast", now)
    assert len(scada.asked) == 2 and scada.one.refused == 6
    command("Command/Mode", "String", "pv", now)
    assert scada.asked.pop() == Ask(id="", evse="a", mode="pv", valid_ms=300_000)
    command("power_w", "Double", 1.0, now)
    assert scada.one.node.counts.not_writable == 1


def test_what_is_not_known_any_more_is_null(site: Pictured):
    scada = Scada(site)
    scada.one.will  # noqa: B018 - asked for before the connection
    scada.one.online()
    site.run(1)
    births = [said for kind, device, said in scada.all() if (kind, device) == ("DBIRTH", "a")]
    alias = next(metric.alias for metric in births[-1].metrics if metric.name == "session")
    assert site.last is not None
    picture = site.last
    for session in ("s-1", ""):
        evses = tuple(msgspec.structs.replace(each, session=session) for each in picture.evses)
        scada.one.show(msgspec.structs.replace(picture, evses=evses))
    told = [metric.value for kind, device, said in scada.all() if (kind, device) == ("DDATA", "a")
            for metric in said.metrics if metric.alias == alias]  # fmt: skip
    assert told[-2:] == ["s-1", None]


def test_who_says_when_a_car_leaves_is_a_text(site: Pictured):
    speak, car = Spoken(), Want(NOW, "entered", 12_500, "told by the car")
    node = SiteSparkplug(
        EdgeNodeConfig("Depot", "small"), speak, lambda ask: "", utc=site.utc, standing=lambda: {"a": Standing(car=car)}
    )
    site.shown.append(node.show)
    node.will  # noqa: B018 - asked for before the connection
    site.run(1)
    node.online()
    birth = next(decode(data) for topic, data, _, _ in speak.messages if topic.endswith("/DBIRTH/small/a"))
    found = {metric.name: (metric.kind, metric.value) for metric in birth.metrics}
    assert found["departure_by"] == ("String", "entered") and found["needs_by"] == ("String", "told by the car")
    assert found["needs_kwh"] == ("Double", 12.5)
