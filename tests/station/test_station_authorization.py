"""Who may charge (1.6 3.5 to 3.10, 2.x C): list, cache, groups, master passes, languages, EVSEs."""

from __future__ import annotations

import msgspec
import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.authorization import CACHE_LIMIT, Authorizer, Grant
from pilotwire.station.device_model import Place, inventory
from pilotwire.station.settings import BY_NAME, Settings

VERSIONS = ("1.6", "2.0.1", "2.1")
V2 = ("2.0.1", "2.1")
HOUR = 3600


def ready(make_world, version, **more):
    settings = {"local_preauthorize": "true", **more.pop("settings", {})}
    world = make_world(version, settings=settings, **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def info(world, status="Accepted", *, until=None, group=None, **more):
    """IdTagInfo or IdTokenInfoType; `until` in seconds from now."""
    m = world.csms.messages
    expiry = None if until is None else to_datetime(int(world.scheduler.now()) + until * 1000)
    if world.config.version == "1.6":
        return m.IdTagInfo(status=status, expiry_date=expiry, parent_id_tag=group)
    token = None if group is None else m.IdTokenType(id_token=group, type="Central")
    return m.IdTokenInfoType(status=status, cache_expiry_date_time=expiry, group_id_token=token, **more)


def says(world, verdict):
    """What the CSMS says from now on: `verdict(token)` is an info."""
    m = world.csms.messages
    old = world.config.version == "1.6"

    def authorize(request):
        if old:
            return m.AuthorizeResponse(id_tag_info=verdict(request.id_tag))
        return m.AuthorizeResponse(id_token_info=verdict(request.id_token.id_token))

    def started(request):
        return m.StartTransactionResponse(id_tag_info=verdict(request.id_tag), transaction_id=7)

    def event(request):
        token = request.id_token
        return m.TransactionEventResponse(id_token_info=None if token is None else verdict(token.id_token))

    world.csms.scripts["Authorize"] = authorize
    world.csms.scripts["StartTransaction" if old else "TransactionEvent"] = started if old else event


def send_list(world, rows, *, number=1, kind="Full", **more):
    """`rows`: token → info; None takes it away."""
    m = world.csms.messages
    if world.config.version == "1.6":
        made = [m.AuthorizationData(id_tag=token, id_tag_info=one) for token, one in rows.items()]
        return ask(
            world, "SendLocalList", list_version=number, update_type=kind, local_authorization_list=made or None
        ).status
    made = [
        m.AuthorizationData(id_token=m.IdTokenType(id_token=token, type="ISO14443"), id_token_info=one)
        for token, one in rows.items()
    ]
    return ask(
        world, "SendLocalList", version_number=number, update_type=kind, local_authorization_list=made or None
    ).status


def asked(world):
    return [
        one.id_tag if world.config.version == "1.6" else one.id_token.id_token for one in world.csms.heard("Authorize")
    ]


def events(world, kind=None):
    return [e for e in world.csms.heard("TransactionEvent") if kind in (None, e.event_type)]


def energy(world):
    evse = world.station.evses[0]
    evse.settle(int(world.scheduler.now()))
    return evse.meter.energy_uj


def charge(world, token="AA11", token_type="ISO14443", *, seconds=60):
    """Plug in, show a card, pull the cable again; whether anything flowed."""
    world.station.plug(1, world.car())
    before = energy(world)
    world.station.tap(1, token, token_type)
    world.run(seconds)
    flowed = energy(world) > before
    world.station.unplug(1)
    world.run(5)
    return flowed


def _begins(request):
    return getattr(request, "event_type", "Started") == "Started"


def cached(world, token):
    return world.station.authorizer.entries_of(token, world.station.clock.now())[0]


def again(world):
    """The power goes and comes."""
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)


# ── who is asked ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_no_energy_without_authorization_and_the_csms_is_asked_about_each_new_token(make_world, version):
    world = ready(make_world, version)
    says(world, lambda token: info(world, "Accepted" if token == "GOOD" else "Invalid"))
    world.station.plug(1, world.car())
    world.run(60)
    assert energy(world) == 0 and asked(world) == []
    world.station.tap(1, "BAD")
    world.run(60)
    assert energy(world) == 0
    world.station.tap(1, "GOOD")
    world.run(60)
    assert energy(world) > 0
    assert asked(world) == ["BAD", "GOOD"]
    world.station.tap(1, "GOOD")
    world.run(5)
    assert world.station.evses[0].session is None
    assert asked(world) == ["BAD", "GOOD"], "who began it may end it without a question"


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("kind", ["Local", "KeyCode", "ISO15693", "eMAID"])
def test_what_is_presented_goes_to_the_csms_with_its_type(make_world, version, kind):
    world = ready(make_world, version)
    assert charge(world, "1234", kind)
    (one,) = world.csms.heard("Authorize")
    assert (one.id_token.id_token, one.id_token.type) == ("1234", kind)
    begun = events(world, "Started")[0].id_token
    assert (begun.id_token, begun.type) == ("1234", kind)
    assert cached(world, "1234").status == "Accepted"


@pytest.mark.parametrize("version", V2)
def test_a_button_starts_without_an_id_and_leaves_no_trace_in_the_cache(make_world, version):
    world = ready(make_world, version, autostart_token="BUTTON")
    world.station.plug(1, world.car())
    world.run(60)
    begun = events(world, "Started")[0].id_token
    assert (begun.type, begun.id_token) == ("NoAuthorization", "")
    assert asked(world) == [] and energy(world) > 0
    assert cached(world, "") is None and cached(world, "BUTTON") is None
    assert world.station.authorizer.learn("X", "NoAuthorization", Grant("Accepted"), 0) is False
    assert cached(world, "X") is None


@pytest.mark.parametrize("version", V2)
def test_what_the_csms_has_made_itself_it_is_not_asked_about(make_world, version):
    world = ready(make_world, version, settings={"authorize_remote": "true"})
    m = world.csms.messages
    world.station.plug(1, world.car())
    for number, (token, kind) in enumerate((("MADE", "Central"), ("CARD", "ISO14443")), 5):
        answer = ask(
            world,
            "RequestStartTransaction",
            evse_id=1,
            remote_start_id=number,
            id_token=m.IdTokenType(id_token=token, type=kind),
        )
        assert answer.status == "Accepted"
        world.run(30)
        begun = events(world, "Started")[-1]
        assert begun.transaction_info.remote_start_id == number and begun.id_token.id_token == token
        world.station.tap(1, token, kind)
        world.run(5)
    assert asked(world) == ["CARD"]
    assert cached(world, "MADE") is None and cached(world, "CARD").status == "Accepted"


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cache_keeps_every_verdict_and_serves_when_it_is_a_yes(make_world, version):
    world = ready(make_world, version)
    verdicts = {"GOOD": "Accepted", "BAD": "Blocked", "TURNS": "Accepted"}
    says(world, lambda token: info(world, verdicts[token]))
    for token in verdicts:
        assert charge(world, token) is (verdicts[token] == "Accepted")
    assert [cached(world, token).status for token in verdicts] == ["Accepted", "Blocked", "Accepted"]
    assert asked(world) == ["GOOD", "BAD", "TURNS"]
    verdicts["BAD"] = "Accepted"
    assert charge(world, "GOOD") and charge(world, "BAD"), "the CSMS is asked again about what was refused"
    began = world.csms.heard("StartTransaction" if version == "1.6" else "TransactionEvent")
    tokens = [one.id_tag if version == "1.6" else one.id_token.id_token for one in began if _begins(one)]
    assert tokens == ["GOOD", "TURNS", "GOOD", "BAD"]
    assert asked(world) == ["GOOD", "BAD", "TURNS", "BAD"]
    assert cached(world, "BAD").status == "Accepted"
    verdicts["TURNS"] = "Blocked"
    charge(world, "TURNS")
    assert asked(world)[-1] == "BAD", "let in by the cache"
    assert cached(world, "TURNS").status == "Blocked", "the answer to the start corrects it"
    again(world)
    assert [cached(world, token).status for token in verdicts] == ["Accepted", "Accepted", "Blocked"]
    world.station.settings.change(BY_NAME["cache_enabled"], "false")
    charge(world, "GOOD")
    assert asked(world)[-1] == "GOOD"
    assert world.station.authorizer.clear_cache() is False


@pytest.mark.parametrize("version", VERSIONS)
def test_entries_of_the_cache_expire(make_world, version):
    world = ready(make_world, version, settings={"cache_lifetime": str(HOUR)})
    says(world, lambda token: info(world, until={"DATED": 2 * HOUR, "PAST": -60}.get(token)))
    for token in ("DATED", "PLAIN", "PAST"):
        charge(world, token)
    world.station.entrance.learned("ONCE", "ISO14443", Grant("Accepted"))
    assert cached(world, "ONCE").status == "Accepted"
    over = Grant("Accepted", expires_at=world.station.clock.now() - 1)
    world.station.entrance.learned("ONCE", "ISO14443", over)
    once = cached(world, "ONCE")
    assert once is None if version == "2.1" else once.status == "Expired"
    past = cached(world, "PAST")
    assert past is None if version == "2.1" else past.status == "Expired"
    assert (cached(world, "DATED").status, cached(world, "PLAIN").status) == ("Accepted", "Accepted")
    world.run(HOUR)
    plain = "Accepted" if version == "1.6" else "Expired"
    assert (cached(world, "DATED").status, cached(world, "PLAIN").status) == ("Accepted", plain)
    world.run(HOUR)
    assert cached(world, "DATED").status == "Expired"
    before = len(asked(world))
    charge(world, "DATED")
    assert asked(world)[before:] == ["DATED"]
    again(world)
    world.offline()
    world.run(3 * HOUR)
    assert not charge(world, "DATED"), "what has expired is no yes without the CSMS"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_cache_loses_first_what_does_not_count(version):
    held = Authorizer(Settings({}, lambda name: None), version)
    for number in range(CACHE_LIMIT):
        held.learn(f"T{number}", "", Grant("Blocked" if number in (5, 9) else "Accepted"), number)
    held.learn("T0", "", Grant("Accepted"), 500)
    held.learn("NEW", "", Grant("Blocked"), 501)
    assert [held.entries_of(f"T{n}", 501)[0] is None for n in (0, 1, 5, 9)] == [False, False, True, True]
    newest = held.entries_of("NEW", 501)[0]
    assert newest is not None and newest.status == "Blocked"
    held.learn("MORE", "", Grant("Accepted"), 502)
    held.learn("LAST", "", Grant("Accepted"), 503)
    held.learn("VERY", "", Grant("Accepted"), 504)
    known = [held.entries_of(f"T{n}", 504)[0] is not None for n in (0, 1, 2, 3)]
    assert known == [True, False, True, True], "then what is oldest, and what was used is not"
    assert held.entries_of("NEW", 504)[0] is None


def test_what_the_cache_holds_of_a_token(make_world):
    """2.1 keeps the whole IdTokenInfoType but additionalInfo; 2.0.1 nothing of what drivers are told of tariffs."""
    for version in V2:
        world = ready(make_world, version)
        m = world.csms.messages
        more = m.AdditionalInfoType(additional_id_token="SECRET", type="X")
        group = m.IdTokenType(id_token="FLEET", type="Central", additional_info=[more])
        told = m.IdTokenInfoType(
            status="Accepted",
            charging_priority=4,
            language1="nl",
            language2="de",
            group_id_token=group,
            personal_message=m.MessageContentType(format="UTF8", content="0.35 EUR per kWh"),
        )
        says(world, lambda token, told=told: told)
        charge(world, "AA11")
        world.station.commit()
        stored = world.storage.load()["cache"]
        assert b"SECRET" not in stored
        assert (b"0.35 EUR" in stored) is (version == "2.1")
        if version == "2.1":
            kept = msgspec.json.decode(cached(world, "AA11").info, type=m.IdTokenInfoType)
            assert kept == msgspec.structs.replace(
                told, group_id_token=msgspec.structs.replace(group, additional_info=None)
            )
            assert b"ISO14443/aa11" in stored


def test_21_a_token_of_another_type_is_another_token(make_world):
    world = ready(make_world, "2.1")
    charge(world, "AA11")
    assert asked(world) == ["AA11"]
    charge(world, "aa11")
    assert asked(world) == ["AA11"], "the case of its letters makes no difference"
    charge(world, "AA11", "eMAID")
    assert asked(world) == ["AA11", "AA11"]
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(10)
    world.station.tap(1, "AA11", "eMAID")
    world.run(10)
    assert world.station.evses[0].session is not None
    world.station.tap(1, "Aa11")
    world.run(10)
    assert world.station.evses[0].session is None


# ── the list ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_the_list_comes_before_the_cache(make_world, version):
    world = ready(make_world, version)
    charge(world, "AA11")
    charge(world, "BB22")
    assert asked(world) == ["AA11", "BB22"]
    rows = {"AA11": info(world, "Blocked"), "CC33": info(world)}
    assert send_list(world, rows) == "Accepted"
    assert cached(world, "AA11") is None, "what the list holds is not cached"
    charge(world, "CC33")
    assert asked(world) == ["AA11", "BB22"], "the list's yes is enough"
    charge(world, "AA11")
    assert asked(world) == ["AA11", "BB22", "AA11"], "its no is asked about"
    assert cached(world, "AA11") is None and cached(world, "CC33") is None
    assert world.station.authorizer.entries_of("AA11", 0)[1].status == "Blocked", "only SendLocalList changes it"
    again(world)
    world.offline()
    world.run(5)
    assert [charge(world, token) for token in ("AA11", "BB22", "CC33", "DD44")] == [False, True, True, False]


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("looks", [True, False])
def test_whether_the_list_minds_the_time(make_world, version, looks):
    """C13 and C14, with LocalAuthListSupportsExpiryDateTime and without."""
    settings = {"list_expiry": "true" if looks else "false"}
    world = ready(make_world, version, settings=settings)
    rows = {"OVER": info(world, until=-60), "LATER": info(world, until=HOUR), "NEVER": info(world)}
    rows["BAD"] = info(world, "Invalid")
    assert send_list(world, rows) == "Accepted"
    for token in rows:
        charge(world, token)
    assert asked(world) == (["OVER", "BAD"] if looks else ["BAD"])
    world.offline()
    world.run(5)
    expected = [not looks, True, True, False]
    assert [charge(world, token) for token in rows] == expected
    assert not charge(world, "STRANGER")
    world.station.settings.change(BY_NAME["offline_unknown"], "true")
    assert [charge(world, token) for token in rows] == expected
    assert charge(world, "STRANGER")


@pytest.mark.parametrize("version", VERSIONS)
def test_whoever_is_let_in_unknown_is_told_of_and_not_remembered(make_world, version):
    world = ready(make_world, version, settings={"offline_unknown": "true"})
    world.offline()
    world.run(5)
    assert charge(world, "STRANGER")
    assert cached(world, "STRANGER") is None
    world.online()
    world.run(120)
    told = world.csms.heard("StartTransaction" if version == "1.6" else "TransactionEvent")[0]
    assert (told.id_tag if version == "1.6" else told.id_token.id_token) == "STRANGER"
    assert cached(world, "STRANGER").status == "Accepted", "now the CSMS has said so"


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_and_sizes_of_the_list(make_world, version):
    world = ready(make_world, version, settings={"list_items": "2", "list_max": "5"})

    def number():
        answer = ask(world, "GetLocalListVersion")
        return answer.list_version if version == "1.6" else answer.version_number

    assert number() == 0, "none has come yet"
    assert send_list(world, {"A": info(world), "B": info(world)}, number=4) == "Accepted"
    assert (number(), world.station.authorizer.entries) == (4, 2)
    assert send_list(world, {"C": info(world)}, number=4, kind="Differential") == "VersionMismatch"
    assert send_list(world, {"C": info(world)}, number=0, kind="Differential") == "Failed"
    assert send_list(world, dict.fromkeys("CDE", info(world)), number=5, kind="Differential") == "Failed", "at once"
    assert (number(), world.station.authorizer.entries) == (4, 2), "nothing of it counts"
    assert send_list(world, dict.fromkeys("CD", info(world)), number=5, kind="Differential") == "Accepted"
    assert send_list(world, dict.fromkeys("EF", info(world)), number=6, kind="Differential") == "Failed", "in all"
    assert (number(), world.station.authorizer.entries) == (5, 4), "nothing of it counts"
    assert send_list(world, {"A": None, "D": None}, number=7, kind="Differential") == "Accepted"
    assert (number(), world.station.authorizer.entries) == (7, 2)
    if version != "1.6":
        m = world.csms.messages
        rows = [
            m.GetVariableDataType(
                component=m.ComponentType(name="LocalAuthListCtrlr"), variable=m.VariableType(name=name)
            )
            for name in ("Entries", "Enabled", "ItemsPerMessage", "BytesPerMessage", "SupportsExpiryDateTime")
        ]
        found = ask(world, "GetVariables", get_variable_data=rows).get_variable_result
        assert [row.attribute_value for row in found] == ["2", "true", "2", "65536", "true"]
        place = Place(component="LocalAuthListCtrlr", variable="Entries")
        (entries,) = (one for one in inventory(world.station) if one.place == place)
        assert entries.max_limit == 5
        off = m.SetVariableDataType(component=rows[1].component, variable=rows[1].variable, attribute_value="false")
        (result,) = ask(world, "SetVariables", set_variable_data=[off]).set_variable_result
        assert result.attribute_status == "Accepted"
    else:
        assert ask(world, "ChangeConfiguration", key="LocalAuthListEnabled", value="false").status == "Accepted"
    charge(world, "C")
    assert asked(world) == ["C"], "a list that is switched off is not looked at"
    assert number() == (-1 if version == "1.6" else 0)
    assert send_list(world, {}, number=9) == ("NotSupported" if version == "1.6" else "Failed")


def test_16_a_conflict_between_the_list_and_the_csms_is_told(make_world):
    world = ready(make_world, "1.6")
    assert send_list(world, {"AA11": info(world), "BB22": info(world)}) == "Accepted"
    says(world, lambda token: info(world, "Blocked" if token == "AA11" else "Accepted"))
    charge(world, "BB22")
    assert not [s for s in world.csms.heard("StatusNotification") if s.error_code == "LocalListConflict"]
    charge(world, "AA11")
    (told,) = [s for s in world.csms.heard("StatusNotification") if s.error_code == "LocalListConflict"]
    assert (told.connector_id, told.status) == (0, "Available")


# ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_who_of_the_group_may_stop(make_world, version):
    world = ready(make_world, version)
    groups = {"AA11": "FLEET", "MATE": "FLEET", "OTHER": "ELSE", "BAD": "FLEET"}
    says(world, lambda token: info(world, "Blocked" if token == "BAD" else "Accepted", group=groups.get(token)))
    charge(world, "MATE")
    assert asked(world) == ["MATE"]
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    for token in ("OTHER", "BAD", "NOBODY", "FLEET"):
        world.station.tap(1, token)
        world.run(5)
        assert world.station.evses[0].session is not None, token
    before = asked(world)
    assert before == ["MATE", "AA11", "OTHER", "BAD", "NOBODY", "FLEET"]
    world.station.tap(1, "MATE")
    world.run(5)
    assert world.station.evses[0].session is None and asked(world) == before, "the cache knows it"
    if version != "1.6":
        end = events(world, "Ended")[-1]
        assert (end.id_token.id_token, end.trigger_reason) == ("MATE", "StopAuthorized")


@pytest.mark.parametrize("version", V2)
def test_the_cache_tells_the_group_even_where_it_may_not_start_anything(make_world, version):
    """C01.FR.03 holds without LocalPreAuthorize too."""
    world = ready(make_world, version, settings={"local_preauthorize": "false"})
    world.csms.group = "FLEET"
    charge(world, "MATE")
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    assert asked(world) == ["MATE", "AA11"]
    world.station.tap(1, "MATE")
    world.run(5)
    assert world.station.evses[0].session is None and asked(world) == ["MATE", "AA11"]


@pytest.mark.parametrize("version", V2)
def test_nobody_takes_over_what_is_no_longer_authorized(make_world, version):
    world = ready(make_world, version, settings={"stop_on_invalid": "false"})
    says(world, lambda token: info(world, "Accepted" if token == "OTHER" else "Blocked"))
    world.station.authorizer.learn("AA11", "ISO14443", Grant("Accepted"), world.station.clock.now())
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    session = world.station.evses[0].session
    assert session.held
    world.station.tap(1, "OTHER")
    world.run(30)
    assert world.station.evses[0].session is session and session.held and session.token == "AA11"
    assert world.station.evses[0].meter.power_mw == 0


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("known_by", ["csms", "cache", "list"])
def test_a_master_pass_stops_everything_and_starts_nothing(make_world, version, known_by):
    from pilotwire.station.config import EvseConfig

    world = ready(make_world, version, settings={"master_group": "POLICE"}, evses=(EvseConfig(), EvseConfig()))
    says(world, lambda token: info(world, group="police" if token == "MASTER" else None))
    if known_by == "list":
        send_list(world, {"MASTER": info(world, group="POLICE")})
    assert not charge(world, "MASTER"), "with nothing to stop nothing happens"
    assert events(world) == []
    m = world.csms.messages
    if known_by == "csms":
        world.station.authorizer.clear_cache()
    else:
        world.csms.scripts.pop("Authorize")
        world.csms.silent.add("Authorize")
    for evse, token in ((1, "AA11"), (2, "BB22")):
        world.station.plug(evse, world.car())
        ask(
            world,
            "RequestStartTransaction",
            evse_id=evse,
            remote_start_id=evse,
            id_token=m.IdTokenType(id_token=token, type="Central"),
        )
    world.run(30)
    assert all(evse.session is not None for evse in world.station.evses)
    world.station.tap(1, "MASTER")
    world.run(30)
    ended = events(world, "Ended")
    assert [evse.session for evse in world.station.evses] == [None, None]
    assert [e.transaction_info.stopped_reason for e in ended] == ["MasterPass", "MasterPass"]
    if known_by == "csms":
        world.station.settings.change(BY_NAME["authorize_remote"], "true")
        token = m.IdTokenType(id_token="MASTER", type="ISO14443")
        ask(world, "RequestStartTransaction", evse_id=1, remote_start_id=9, id_token=token)
        world.run(30)
        assert world.station.evses[0].session is None, "nor from afar"
    assert {e.trigger_reason for e in ended} == {"StopAuthorized"}
    assert {(e.id_token.id_token, e.id_token.type) for e in ended} == {("MASTER", "ISO14443")}


# ── what else the CSMS may say ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
def test_a_token_for_one_evse_charges_only_there(make_world, version):
    from pilotwire.station.config import EvseConfig

    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()))
    says(world, lambda token: info(world, evse_id=[2] if token == "AA11" else None))
    for evse in (1, 2):
        world.station.plug(evse, world.car())
        world.station.tap(evse, "AA11")
        world.run(30)
    assert [evse.session is not None for evse in world.station.evses] == [False, True]
    world.station.tap(1, "BB22")
    world.run(5)
    assert world.station.evses[0].session is not None


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(
    ("languages", "shown"),
    [(("nl", "fr"), "Hallo"), (("it", "fr-BE"), "Bonjour"), (("it", "es"), "Hello"), ((None, None), "Hallo")],
)
def test_drivers_are_spoken_to_in_their_language(make_world, version, languages, shown):
    from pilotwire.station.displays import Message, Text

    world = ready(make_world, version, settings={"display_language": "nl"})
    texts = [Text("UTF8", "Hallo", "nl"), Text("UTF8", "Bonjour", "fr"), Text("UTF8", "Hello", "en-US")]
    world.station.displays.put(Message(id=1, priority="NormalCycle", texts=texts))
    says(world, lambda token: info(world, language1=languages[0], language2=languages[1]))
    evse = world.station.evses[0]
    assert world.station.displays.words(evse) == ["Hallo"], "nobody is there: the station's own"
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.displays.words(evse) == [shown]
    world.station.plug(1, world.car())
    world.run(30)
    assert evse.session is not None and world.station.displays.words(evse) == [shown]


@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_no_or_a_late_cable_it_can_be_tried_again(make_world, version):
    world = ready(make_world, version, settings={"connection_timeout": "30"})
    says(world, lambda token: info(world, "Accepted" if token == "AA11" else "Invalid"))
    world.station.tap(1, "AA11")
    world.run(40)
    world.station.plug(1, world.car())
    world.run(10)
    assert world.station.evses[0].session is None, "its time was over"
    world.station.tap(1, "BAD")
    world.run(5)
    assert world.station.evses[0].session is None
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.evses[0].session is not None


def test_the_same_without_regard_to_case_in_16(make_world):
    world = ready(make_world, "1.6")
    for odd in ("x", "Ä-?/ {}", "0123456789ABCDEFGHIJ"):
        assert charge(world, odd), "nothing is presumed of how a token looks"
    assert asked(world) == ["x", "Ä-?/ {}", "0123456789ABCDEFGHIJ"]
    world.station.plug(1, world.car())
    world.station.tap(1, "aa11")
    world.run(5)
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.evses[0].session is None


STRANGER = {
    "ended": {"stop_on_invalid": "true", "stop_point": "PowerPathClosed"},
    "held": {"stop_on_invalid": "true", "stop_point": "EVConnected"},
    "suspended": {"stop_on_invalid": "false"},
    "limited": {"stop_on_invalid": "false", "max_energy_invalid": "500"},
}


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("becomes", list(STRANGER))
def test_what_becomes_of_a_stranger_that_the_csms_does_not_accept(make_world, version, becomes):
    world = ready(make_world, version, settings={"offline_unknown": "true", **STRANGER[becomes]})
    says(world, lambda token: info(world, "Invalid"))
    world.offline()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "STRANGER")
    world.run(60)
    assert energy(world) > 0
    world.online()
    world.run(30)
    told = len(events(world))
    assert told > 1, "what began offline is told"
    flowed = energy(world)
    world.run(1200)
    more = (energy(world) - flowed) // 3_600_000_000
    session, changed = world.station.evses[0].session, events(world, "Updated")
    assert (session is None) is (becomes == "ended")
    if becomes == "ended":
        last = events(world)[-1]
        assert (last.event_type, last.trigger_reason) == ("Ended", "Deauthorized")
        assert last.transaction_info.stopped_reason == "DeAuthorized"
    elif becomes == "held":
        (said,) = [e for e in changed if e.trigger_reason == "Deauthorized"]
        after = [e.transaction_info.charging_state for e in changed if e.seq_no >= said.seq_no]
        assert next(state for state in after if state) == "EVConnected"
    else:
        state = next(e for e in changed if e.transaction_info.charging_state == "SuspendedEVSE")
        assert state.trigger_reason == "ChargingStateChanged"
    assert world.station.evses[0].meter.power_mw == 0
    assert more == 0 if becomes != "limited" else 300 < more <= 500


@pytest.mark.parametrize("looks", ["true", "false"])
def test_16_what_is_known_is_not_unknown(make_world, looks):
    """3.5.4: what list or cache know to be wrong or over stays outside, whoever else is let in while nobody answers."""
    world = ready(make_world, "1.6", settings={"offline_unknown": "true", "local_offline": looks})
    rows = {"BAD": info(world, "Invalid"), "OVER": info(world, until=30), "GOOD": info(world)}
    assert send_list(world, rows) == "Accepted"
    says(world, lambda token: info(world, "Blocked"))
    charge(world, "CACHED")
    world.offline()
    world.run(60)
    assert [charge(world, token) for token in (*rows, "CACHED", "NEW")] == [False, False, True, False, True]


@pytest.mark.parametrize("version", V2)
def test_who_guesses_key_codes_has_to_wait(make_world, version):
    """C04.FR.06: each wrong one from the third on doubles the time in which none is taken."""
    world = ready(make_world, version)
    says(world, lambda token: info(world, "Accepted" if token in ("4711", "CARD") else "Invalid"))
    world.station.plug(1, world.car())

    def tries(count, every=2):
        before = len(asked(world))
        for _ in range(count):
            world.station.tap(1, "0000", "KeyCode")
            world.run(every)
        return len(asked(world)) - before

    assert tries(3) == 3
    assert tries(20) == 2, "after 10 s and after 20 s"
    assert tries(30) == 1
    world.station.tap(1, "4711", "KeyCode")
    world.run(2)
    assert world.station.evses[0].session is None, "nor the right one"
    world.station.tap(1, "CARD")
    world.run(2)
    assert world.station.evses[0].session is not None, "cards are no guesses"
    world.station.tap(1, "CARD")
    world.run(3600)
    world.station.tap(1, "4711", "KeyCode")
    world.run(2)
    assert world.station.evses[0].session is not None
    world.station.tap(1, "4711", "KeyCode")
    world.run(2)
    assert tries(3) == 3, "it is forgiven"
