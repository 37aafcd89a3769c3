"""Display messages: what is taken, what is shown when, what is told of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.displays import MOST, Displays

VERSIONS = ("2.0.1", "2.1")


def ready(make_world, version, **more):
    world = make_world(version, **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def show(world, id_, content="hello", *, priority="NormalCycle", format_="UTF8", language=None, **more):
    m = world.csms.messages
    info = m.MessageInfoType(
        id=id_,
        priority=priority,
        message=m.MessageContentType(format=format_, content=content, language=language),
        **more,
    )
    return ask(world, "SetDisplayMessage", message=info).status


def shown(world, evse=None):
    return [row.id for row in world.station.displays.showing(evse)]


def told(world, **fields):
    """(the answer, every message of the report)."""
    before = len(world.csms.heard("NotifyDisplayMessages"))
    status = ask(world, "GetDisplayMessages", request_id=77, **fields).status
    parts = world.csms.heard("NotifyDisplayMessages")[before:]
    assert all(part.request_id == 77 for part in parts)
    assert [bool(part.tbc) for part in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    return status, [info.id for part in parts for info in part.message_info]


@pytest.mark.parametrize("version", VERSIONS)
def test_priorities(make_world, version):
    world = ready(make_world, version)
    assert shown(world) == []
    assert show(world, 1) == show(world, 2) == "Accepted"
    assert shown(world) == [1, 2]
    assert show(world, 3, priority="InFront") == show(world, 4, priority="InFront") == "Accepted"
    assert shown(world) == [3, 4]
    assert show(world, 5, priority="AlwaysFront") == "Accepted"
    assert shown(world) == [5]
    assert show(world, 6, priority="AlwaysFront") == "Accepted"  # O01.FR.16: there is one
    assert shown(world) == [6] and told(world, id=[5]) == ("Unknown", [])
    assert ask(world, "ClearDisplayMessage", id=6).status == "Accepted"
    assert ask(world, "ClearDisplayMessage", id=6).status == "Unknown"
    assert shown(world) == [3, 4]


@pytest.mark.parametrize("version", VERSIONS)
def test_time_and_restart(make_world, version):
    world = ready(make_world, version)
    now = to_datetime(world.scheduler.now())
    assert (
        show(world, 1, start_date_time=now + timedelta(minutes=5), end_date_time=now + timedelta(minutes=10))
        == "Accepted"
    )
    assert show(world, 2, end_date_time=now - timedelta(minutes=1)) == "Rejected"
    assert shown(world) == []
    world.run(310)
    assert shown(world) == [1]
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    assert shown(world) == [1]
    world.run(600)
    assert shown(world) == [] and len(world.station.displays) == 0
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    assert len(world.station.displays) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_states_and_transactions(make_world, version):
    world = ready(make_world, version)
    evse = world.station.evses[0]
    assert show(world, 1, state="Idle") == show(world, 2, state="Charging") == "Accepted"
    assert show(world, 3, transaction_id="none-such") == "UnknownTransaction"
    assert shown(world) == [1]
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    key = world.station.truth[0].session
    assert shown(world) == [2]
    assert show(world, 3, priority="InFront", transaction_id=key) == "Accepted"
    assert shown(world, evse) == [3]
    world.station.tap(1, "AA11")
    world.run(5)
    assert shown(world, evse) == [1] and told(world, id=[3]) == ("Unknown", [])  # O02.FR.02
    world.station.break_down(1)
    assert show(world, 4, state="Faulted") == "Accepted"
    assert shown(world) == [4]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_refused(make_world, version):
    world = ready(make_world, version)
    assert show(world, 1, format_="HTML") == "NotSupportedMessageFormat"
    m = world.csms.messages
    assert show(world, 1, display=m.ComponentType(name="Billboard")) == "Rejected"
    if version == "2.1":
        assert show(world, 1, state="Discharging") == "NotSupportedState"
        assert show(world, 1, language="tlh") == "LanguageNotSupported"
        extra = [m.MessageContentType(format="UTF8", content="salut", language="fr")]
        assert show(world, 1, language="en", message_extra=extra) == "Accepted"
        row = next(iter(world.station.displays))
        assert row.text("fr").content == "salut" and row.text("de").content == row.text().content == "hello"
    world.station.settings.put(_setting("display_enabled"), "false")
    assert show(world, 2) == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("bound", [False, True], ids=["station", "transaction"])
def test_what_the_station_does_not_have(make_world, version, bound):
    """For the station as for one transaction."""
    lacking = {"display_priorities": "NormalCycle", "display_states": "Idle", "display_formats": "ASCII"}
    world = ready(make_world, version, settings=lacking)
    more = bind(world) if bound else {}
    assert show(world, 1, priority="InFront", **more) == "NotSupportedPriority"
    assert show(world, 1, state="Charging", format_="ASCII", **more) == "NotSupportedState"
    assert show(world, 1, format_="UTF8", **more) == "NotSupportedMessageFormat"
    assert len(world.station.displays) == 0
    assert show(world, 1, format_="ASCII", **more) == "Accepted"
    world.station.settings.put(_setting("display_enabled"), "false")
    cleared = ask(world, "ClearDisplayMessage", id=1).status
    assert (cleared, len(world.station.displays)) == (("Rejected", 1) if version == "2.1" else ("Accepted", 0))


def bind(world):
    """A transaction for messages to belong to."""
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    return {"transaction_id": world.station.truth[0].session}


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_a_transaction(make_world, version):
    """They have priorities, times and places as others have, survive a restart, and go with the transaction."""
    world = ready(make_world, version)
    bound = bind(world)
    now = to_datetime(world.scheduler.now())
    assert show(world, 1, **bound) == show(world, 2, **bound) == "Accepted"
    assert shown(world) == [1, 2]
    later = {"start_date_time": now + timedelta(minutes=5), "end_date_time": now + timedelta(minutes=10)}
    assert show(world, 3, priority="InFront", **bound, **later) == "Accepted"
    assert show(world, 4, priority="InFront", **bound, **later) == "Accepted"
    assert shown(world) == [1, 2]
    world.run(300)
    assert shown(world) == [3, 4]
    assert (
        show(world, 5, priority="AlwaysFront", **bound) == show(world, 6, priority="AlwaysFront", **bound) == "Accepted"
    )
    assert shown(world) == [6] and told(world, id=[5]) == ("Unknown", [])
    assert ask(world, "ClearDisplayMessage", id=6).status == "Accepted"
    assert told(world) == ("Accepted", [1, 2, 3, 4])
    again = Displays(world.build())
    again.restore(world.storage.load())
    assert {row.id for row in again} == {1, 2, 3, 4}
    again.stop()
    world.run(310)
    assert shown(world) == [1, 2] and told(world) == ("Accepted", [1, 2])
    for id_ in range(10, 8 + MOST):
        assert show(world, id_) == "Accepted"
    assert show(world, 99, **bound) == "Rejected"
    world.station.tap(1, "AA11")
    world.run(5)
    assert told(world, id=[1, 2]) == ("Unknown", [])


@pytest.mark.parametrize("bound", [False, True], ids=["station", "transaction"])
def test_a_driver_reads_his_own_language_else_english(make_world, bound):
    world = ready(make_world, "2.1", settings={"display_language": "de"})
    m, evse = world.csms.messages, world.station.evses[0]
    world.station.plug(1, world.car())
    for number, (first, second, wanted) in enumerate(
        (("fr-CH", None, "Salut"), ("tlh", "de", "Hallo"), ("tlh", None, "Hello"), ("nl", None, "Hello"))
    ):
        drivers = m.IdTokenInfoType(status="Accepted", language1=first, language2=second)
        world.csms.scripts["Authorize"] = lambda request, info=drivers: m.AuthorizeResponse(id_token_info=info)
        world.station.tap(1, f"TAG{number}")
        world.run(5)
        texts = [
            m.MessageContentType(format="UTF8", content=content, language=language)
            for content, language in (("Hallo", "de"), ("Hello", "en"), ("Salut", "fr"))
        ]
        more = {"transaction_id": world.station.truth[-1].session} if bound else {}
        info = m.MessageInfoType(id=1, priority="NormalCycle", message=texts[0], message_extra=texts[1:], **more)
        assert ask(world, "SetDisplayMessage", message=info).status == "Accepted"
        assert show(world, 2, "Nur deutsch", language="de", **more) == "Accepted"
        assert world.station.displays.words(evse) == [wanted, "Nur deutsch"]
        world.station.tap(1, f"TAG{number}")
        world.run(5)


@pytest.mark.parametrize("version", VERSIONS)
def test_specific_ones_are_told_in_parts_too(make_world, version):
    world = ready(make_world, version)
    for id_ in range(1, 31):
        assert show(world, id_, priority="InFront" if id_ % 3 else "NormalCycle") == "Accepted"
    assert told(world, priority="InFront") == ("Accepted", [id_ for id_ in range(1, 31) if id_ % 3])
    assert len(world.csms.heard("NotifyDisplayMessages")) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_many_are_told_in_parts_and_no_more_are_taken_than_fit(make_world, version):
    world = ready(make_world, version)
    assert told(world) == ("Unknown", [])
    for id_ in range(1, MOST + 1):
        assert show(world, id_, priority="InFront" if id_ % 2 else "NormalCycle") == "Accepted"
    assert show(world, 99) == "Rejected"
    assert show(world, 7, "changed") == "Accepted"  # O06: replaced
    status, ids = told(world)
    assert status == "Accepted" and sorted(ids) == list(range(1, MOST + 1))
    assert told(world, priority="InFront", id=[1, 2, 3, 7]) == ("Accepted", [1, 3])
    assert told(world, state="Faulted") == ("Unknown", [])
    found = ask(world, "GetVariables", get_variable_data=[_variable(world, "DisplayMessageCtrlr", "DisplayMessages")])
    assert found.get_variable_result[0].attribute_value == str(MOST)


def _variable(world, component, variable):
    m = world.csms.messages
    return m.GetVariableDataType(component=m.ComponentType(name=component), variable=m.VariableType(name=variable))


def _setting(name):
    from pilotwire.station.settings import BY_NAME

    return BY_NAME[name]
