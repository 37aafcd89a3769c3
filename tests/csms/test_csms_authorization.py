"""Who may charge, as the central system says it (1.6 4.1, 2.x C), and the lists that it sends (1.6 5.15, 2.x D)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.core.time import from_datetime
from pilotwire.domain import facts

VERSIONS = ("1.6", "2.0.1", "2.1")
V2 = ("2.0.1", "2.1")
TOKEN = {"idToken": "TAG", "type": "ISO14443"}


def ready(version: str) -> tuple[World, Client]:
    made = World()
    made.token()
    station = made.station(version=version)
    station.boot()
    return made, station


def of(name: str, kind: str = "ISO14443") -> dict[str, str]:
    return {"idToken": name, "type": kind}


def authorize(station: Client, name: str, kind: str = "ISO14443") -> dict[str, Any]:
    if station.version == "1.6":
        return station.call("Authorize", {"idTag": name})["idTagInfo"]
    return station.call("Authorize", {"idToken": of(name, kind)})["idTokenInfo"]


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_every_question_is_answered_by_the_book(version: str) -> None:
    world, station = ready(version)
    world.token("BLOCKED", status="Blocked")
    world.token("OLD", expires_at=world.clock.now() - 1)
    said = {name: authorize(station, name) for name in ("TAG", "tag", "BLOCKED", "OLD", "NOBODY")}
    assert {name: info["status"] for name, info in said.items()} == {
        "TAG": "Accepted", "tag": "Accepted", "BLOCKED": "Blocked", "OLD": "Expired", "NOBODY": "Invalid",
    }  # fmt: skip
    assert said["TAG"] == {"status": "Accepted"}, "for any EVSE, and in no language"
    world.token("BLOCKED", status="Accepted")
    assert authorize(station, "BLOCKED")["status"] == "Accepted", "as it is now"


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("kind", ["KeyCode", "Local", "eMAID", "Central"])
def test_tokens_of_every_type_are_looked_up(version: str, kind: str) -> None:
    world, station = ready(version)
    world.token("1234", type=kind)
    assert authorize(station, "1234", kind)["status"] == "Accepted"
    assert authorize(station, "4321", kind)["status"] == "Invalid"
    answer = station.call("TransactionEvent", station.event("Started", 0, idToken=of("4321", kind)))
    assert answer["idTokenInfo"]["status"] == "Invalid"


@pytest.mark.parametrize("version", V2)
def test_where_nobody_is_asked_for_a_token_it_is_accepted(version: str) -> None:
    world, station = ready(version)
    answer = station.call("TransactionEvent", station.event("Started", 0, idToken=of("", "NoAuthorization")))
    assert answer["idTokenInfo"] == {"status": "Accepted"}
    assert [one.verdict for one in world.facts(facts.SessionStarted)] == ["Accepted"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_group_goes_with_every_answer(version: str) -> None:
    world, station = ready(version)
    world.token("MATE", parent="FLEET")
    world.token("BAD", parent="FLEET", status="Blocked")
    if version == "1.6":
        assert authorize(station, "MATE") == {"status": "Accepted", "parentIdTag": "FLEET"}
        begun = station.call("StartTransaction", station.start_v16("MATE"))
        assert begun["idTagInfo"]["parentIdTag"] == "FLEET"
        stop = {"transactionId": begun["transactionId"], "meterStop": 1000, "timestamp": station.at(), "idTag": "BAD"}
        info = station.call("StopTransaction", stop)["idTagInfo"]
        assert info == {"status": "Blocked", "parentIdTag": "FLEET"}
        assert "parentIdTag" not in authorize(station, "TAG")
        return
    group = {"idToken": "FLEET", "type": "Central"}
    assert authorize(station, "MATE") == {"status": "Accepted", "groupIdToken": group}
    assert authorize(station, "BAD") == {"status": "Blocked", "groupIdToken": group}
    assert "groupIdToken" not in authorize(station, "TAG")
    for seq, (kind, name) in enumerate((("Started", "MATE"), ("Updated", "BAD"), ("Ended", "MATE"))):
        answer = station.call("TransactionEvent", station.event(kind, seq, idToken=of(name)))
        assert answer["idTokenInfo"]["groupIdToken"] == group


@pytest.mark.parametrize("version", V2)
def test_a_master_pass_begins_nothing(version: str) -> None:
    world, station = ready(version)
    world.token("MASTER", parent="POLICE")
    place = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "MasterPassGroupId"}}
    row = place | {"variableAttribute": [{"type": "Actual", "value": "police"}]}
    report = {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": [row]}

    def begin(tx: str, name: str, kind: str = "Started", **more: Any) -> str:
        answer = station.call("TransactionEvent", station.event(kind, 0, tx=tx, idToken=of(name), **more))
        return answer["idTokenInfo"]["status"]

    assert begin("before", "MASTER") == "Accepted", "a group like any other"
    assert station.call("NotifyReport", report) == {}
    assert begin("a", "MASTER") == "Invalid"
    assert begin("b", "TAG") == "Accepted"
    assert begin("c", "MASTER", "Updated", triggerReason="Authorized") == "Invalid"
    assert authorize(station, "MASTER")["status"] == "Accepted", "it is to stop others"
    assert begin("b", "MASTER", "Ended", triggerReason="StopAuthorized") == "Accepted"


def test_who_has_paid_is_known_by_the_payment_alone() -> None:
    world, station = ready("2.1")
    world.token("PSP-2", type="DirectPayment", status="Blocked")
    assert authorize(station, "PSP-1", "DirectPayment")["status"] == "Accepted"
    assert authorize(station, "PSP-2", "DirectPayment")["status"] == "Blocked", "unless the book says otherwise"
    assert authorize(station, "PSP-1", "ISO14443")["status"] == "Invalid"
    paid = of("PSP-1", "DirectPayment")
    answer = station.call("TransactionEvent", station.event("Started", 0, idToken=paid))
    assert answer["idTokenInfo"]["status"] == "Accepted"


@pytest.mark.parametrize(
    ("kind", "wh", "cost", "told"),
    [
        ("DirectPayment", 0, None, 0),
        ("DirectPayment", 0, "0", 0),
        ("DirectPayment", 0, "1.50", None),
        ("DirectPayment", 400, None, None),
        ("ISO14443", 0, None, None),
    ],
)
def test_who_drew_nothing_pays_nothing(kind: str, wh: int, cost: str | None, told: int | None) -> None:
    world, station = ready("2.1")
    token = of("PSP-1", kind)
    station.call("TransactionEvent", station.event("Started", 0, 1000, idToken=token))
    more: dict[str, Any] = {}
    if cost is not None:
        price = {"inclTax": float(cost), "exclTax": float(cost)}
        usage = {"energy": 0, "chargingTime": 0, "idleTime": 0}
        total = {"currency": "EUR", "typeOfCost": "NormalCost", "total": price}
        more = {"costDetails": {"totalCost": total, "totalUsage": usage}}
    answer = station.call("TransactionEvent", station.event("Ended", 1, 1000 + wh, **more))
    assert answer.get("totalCost") == told
    assert world.system.counters.faults == 0, world.logged


@pytest.mark.parametrize(
    ("template", "status", "url"),
    [
        ("https://pay.example/r/{reference}", "Settled", "https://pay.example/r/PSP%2F1%20a"),
        ("https://pay.example/r/{reference}", "Failed", None),
        ("", "Settled", None),
    ],
)
def test_the_receipt_of_a_payment_is_where_the_operator_says(template: str, status: str, url: str | None) -> None:
    world = World(receipts=template)
    station = world.station(version="2.1")
    station.boot()
    body = {"pspRef": "PSP/1 a", "status": status, "settlementAmount": 12.5, "settlementTime": station.at()}
    assert station.call("NotifySettlement", body) == ({} if url is None else {"receiptUrl": url})
    (fact,) = world.facts(facts.PaymentSettled)
    assert (fact.reference, fact.status, fact.amount) == ("PSP/1 a", status, "12.5")


@pytest.mark.parametrize("version", V2)
def test_a_start_from_here_carries_its_number_and_token(version: str) -> None:
    world, station = ready(version)
    world.command("start", {"token": "TAG", "evse": 1})
    world.run()
    (call,) = station.calls
    assert call[2] == "RequestStartTransaction"
    asked = call[3]
    assert asked["idToken"]["idToken"] == "TAG" and asked["evseId"] == 1 and asked["remoteStartId"] > 0
    info = {"transactionId": "tx-1", "remoteStartId": asked["remoteStartId"]}
    event = station.event("Started", 0, idToken=asked["idToken"], transactionInfo=info, triggerReason="RemoteStart")
    assert station.call("TransactionEvent", event)["idTokenInfo"]["status"] == "Accepted"
    (started,) = world.facts(facts.SessionStarted)
    assert (started.remote_start_id, started.token) == (asked["remoteStartId"], "TAG")


@pytest.mark.parametrize("evse", [None, 2])
def test_a_kiosk_starts_what_was_paid_there(evse: int | None) -> None:
    """C24.FR.01, C25.FR.23: who has taken the money asks by the API; the answers take the payment for what it is."""
    world, station = ready("2.1")
    more = [{"additionalIdToken": "1234", "type": "CardLast4Digits"}]
    token = of("PSP-7", "DirectPayment") | {"additionalInfo": more}
    place = {} if evse is None else {"evseId": evse}
    replies = world.command("RequestStartTransaction", {"remoteStartId": 5, "idToken": token, **place})
    world.run()
    assert replies[0].answer == {"status": "Accepted"}
    assert station.calls[0][3] == {"remoteStartId": 5, "idToken": token, **place}


@pytest.mark.parametrize("limit", [{"max_cost": 20.5}, {"max_energy_wh": 5000, "max_time_s": 3600}])
def test_what_was_paid_at_a_kiosk_is_the_limit_of_the_session(limit: dict[str, Any]) -> None:
    world, station = ready("2.1")
    world.command("start", {"token": "PSP-8", "token_type": "DirectPayment", "evse": 1, **limit})
    world.run()
    asked = station.calls[0][3]
    assert asked["idToken"] == of("PSP-8", "DirectPayment")
    info = {"transactionId": "tx-1", "remoteStartId": asked["remoteStartId"]}
    answer = station.call(
        "TransactionEvent", station.event("Started", 0, idToken=asked["idToken"], transactionInfo=info)
    )
    assert answer["idTokenInfo"]["status"] == "Accepted"
    names = {"max_cost": "maxCost", "max_energy_wh": "maxEnergy", "max_time_s": "maxTime"}
    assert answer["transactionLimit"] == {names[name]: value for name, value in limit.items()}
    assert "transactionLimit" not in station.call("TransactionEvent", station.event("Updated", 1))


def test_a_prepaid_token_may_spend_what_is_left_and_is_asked_about_each_time() -> None:
    world, station = ready("2.1")
    world.token("FULL", credit="12.50")
    world.token("EMPTY", credit="0")
    world.token("OWES", credit="-3", parent="FLEET")

    def now(info: dict[str, Any]) -> int:
        return from_datetime(datetime.fromisoformat(info["cacheExpiryDateTime"]))

    for name, status in (("FULL", "Accepted"), ("EMPTY", "NoCredit"), ("OWES", "NoCredit")):
        before = world.clock.now()
        info = authorize(station, name)
        assert info["status"] == status
        assert before <= now(info) <= world.clock.now(), "it is not to stay in the station's cache"
    assert "cacheExpiryDateTime" not in authorize(station, "TAG")
    answers = [
        station.call("TransactionEvent", station.event(kind, seq, idToken=of("FULL")))
        for seq, kind in enumerate(("Started", "Updated", "Ended"))
    ]
    assert [one.get("transactionLimit") for one in answers] == [{"maxCost": 12.5}, None, None]
    own = {"transactionId": "tx-2", "transactionLimit": {"maxCost": 5}}
    answer = station.call(
        "TransactionEvent", station.event("Started", 0, tx="tx-2", idToken=of("FULL"), transactionInfo=own)
    )
    assert "transactionLimit" not in answer, "the driver's own is lower"
    world.command("start", {"token": "FULL", "evse": 1, "max_cost": 20, "max_time_s": 60})
    world.run()
    info = {"transactionId": "tx-3", "remoteStartId": station.calls[-1][3]["remoteStartId"]}
    event = station.event("Started", 0, tx="tx-3", idToken=of("FULL"), transactionInfo=info)
    assert station.call("TransactionEvent", event)["transactionLimit"] == {"maxCost": 12.5, "maxTime": 60}
    refused = station.call("TransactionEvent", station.event("Started", 0, tx="tx-4", idToken=of("EMPTY")))
    assert refused["idTokenInfo"]["status"] == "NoCredit" and "transactionLimit" not in refused


@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_may_charge_at_its_sites_alone(version: str) -> None:
    world, station = ready(version)
    world.token("HERE", sites=["depot", "north"])
    world.token("THERE", sites=["south"])
    world.token("BLOCKED", sites=["south"], status="Blocked")
    elsewhere = "Invalid" if version == "1.6" else "NotAtThisLocation"
    assert authorize(station, "HERE")["status"] == elsewhere, "the station stands nowhere yet"
    world.account(site="north")
    said = {name: authorize(station, name) for name in ("HERE", "THERE", "BLOCKED", "TAG")}
    assert [info["status"] for info in said.values()] == ["Accepted", elsewhere, "Blocked", "Accepted"]
    assert all("evseId" not in info for info in said.values())
    if version == "1.6":
        begun = station.call("StartTransaction", station.start_v16("THERE"))
        assert begun["idTagInfo"]["status"] == "Invalid"
    else:
        answer = station.call("TransactionEvent", station.event("Started", 0, idToken=of("THERE")))
        assert answer["idTokenInfo"]["status"] == "NotAtThisLocation"


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────────
class Listed(Client):
    """Keeps a list as the standard has it."""

    def __init__(self, world: World, version: str) -> None:
        super().__init__(world, "CP1", version)
        self.held: dict[str, Any] = {}
        self.number = 0
        self.refusing = ""
        self.on["SendLocalList"] = self.taken

    def taken(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = asked["listVersion" if self.version == "1.6" else "versionNumber"]
        if self.refusing or (asked["updateType"] == "Differential" and number <= self.number):
            status, self.refusing = self.refusing or "VersionMismatch", ""
            return {"status": status}
        if asked["updateType"] == "Full":
            self.held = {}
        self.number = number
        for row in asked.get("localAuthorizationList", []):
            name = row["idTag"] if self.version == "1.6" else row["idToken"]["idToken"]
            verdict = row.get("idTagInfo" if self.version == "1.6" else "idTokenInfo")
            if verdict is None:
                self.held.pop(name, None)
            else:
                self.held[name] = verdict["status"]
        return {"status": "Accepted"}

    def told(self) -> list[tuple[str, int, int]]:
        """(updateType, version, rows) of what has come since the last look."""
        field = "listVersion" if self.version == "1.6" else "versionNumber"
        rows = [
            (call[3]["updateType"], call[3][field], len(call[3].get("localAuthorizationList", [])))
            for call in self.calls
            if call[2] == "SendLocalList"
        ]
        self.calls.clear()
        return rows


def listed(version: str) -> tuple[World, Listed]:
    world = World()
    world.account()
    station = Listed(world, version)
    station.dial()
    station.boot()
    return world, station


def rows(version: str, **tokens: str | None) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name, status in tokens.items():
        row: dict[str, Any] = {"idTag": name} if version == "1.6" else {"idToken": of(name)}
        if status is not None:
            row["idTagInfo" if version == "1.6" else "idTokenInfo"] = {"status": status}
        made.append(row)
    return made


def send(world: World, version: str, number: int, kind: str, **tokens: str | None) -> str:
    field = "listVersion" if version == "1.6" else "versionNumber"
    payload = {field: number, "updateType": kind, "localAuthorizationList": rows(version, **tokens)}
    replies = world.command("SendLocalList", payload)
    world.run(5_000)
    assert world.system.counters.faults == 0, world.logged
    (reply,) = replies
    assert reply.outcome == "answered", reply
    return reply.answer["status"]


def limit(world: World, station: Client, most: int, most_bytes: int = 0) -> None:
    """The station says how much it takes at once."""
    if station.version == "1.6":
        keys = [{"key": "SendLocalListMaxLength", "readonly": True, "value": str(most)}]
        station.on["GetConfiguration"] = lambda asked: {"configurationKey": keys}
        world.command("GetConfiguration", {})
        world.run()
    else:
        data = [
            {
                "component": {"name": "LocalAuthListCtrlr"},
                "variable": {"name": name},
                "variableAttribute": [{"type": "Actual", "value": str(value), "mutability": "ReadOnly"}],
            }
            for name, value in (("ItemsPerMessage", most), ("BytesPerMessage", most_bytes))
            if value
        ]
        body = {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": data}
        assert station.call("NotifyReport", body) == {}
    station.calls.clear()


FIVE = dict.fromkeys("ABCDE", "Accepted")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_long_list_goes_in_several_messages(version: str) -> None:
    world, station = listed(version)
    assert send(world, version, 9, "Full", **FIVE) == "Accepted"
    assert station.told() == [("Full", 9, 5)], "nothing is known of a limit"
    limit(world, station, 2)
    assert send(world, version, 12, "Full", **FIVE) == "Accepted"
    assert station.told() == [("Full", 10, 2), ("Differential", 11, 2), ("Differential", 12, 1)]
    assert station.held == FIVE
    assert send(world, version, 13, "Differential", F="Blocked", G="Accepted", A=None) == "Accepted"
    assert station.told() == [("Differential", 13, 2), ("Differential", 14, 1)], "never below what it has"
    assert sorted(station.held) == ["B", "C", "D", "E", "F", "G"]
    assert send(world, version, 15, "Full") == "Accepted"
    assert (station.told(), station.held) == ([("Full", 15, 0)], {})
    kept = world.record().kept
    assert kept is not None and kept.local_list is not None and kept.local_list.version == 15


@pytest.mark.parametrize("version", V2)
def test_a_long_list_is_no_longer_than_the_bytes_that_the_station_takes(version: str) -> None:
    world, station = listed(version)
    limit(world, station, 100, 400)
    names = {f"TOKEN-{n}": "Accepted" for n in range(8)}
    assert send(world, version, 1, "Full", **names) == "Accepted"
    told = station.told()
    assert len(told) > 1 and sum(count for _, _, count in told) == 8
    assert len(station.held) == 8 and station.number == len(told)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("refusal", ["Failed", "VersionMismatch"])
def test_after_changes_that_are_not_taken_the_whole_list_goes(version: str, refusal: str) -> None:
    world, station = listed(version)
    assert send(world, version, 1, "Differential", A="Accepted") == "Accepted"
    station.refusing = refusal
    assert send(world, version, 2, "Differential", B="Accepted") == refusal, "nobody here knows the whole list"
    assert [kind for kind, _, _ in station.told()] == ["Differential", "Differential"]
    assert send(world, version, 3, "Full", A="Accepted", B="Blocked", C="Accepted") == "Accepted"
    assert send(world, version, 4, "Differential", B=None, D="Accepted") == "Accepted"
    station.refusing = refusal
    assert send(world, version, 5, "Differential", C="Expired") == "Accepted"
    assert station.told()[-2:] == [("Differential", 5, 1), ("Full", 5, 3)]
    assert station.held == {"A": "Accepted", "C": "Expired", "D": "Accepted"}
    station.number = 20  # somebody else has sent one
    station.held = {"X": "Accepted"}
    world.boot()  # what is known outlives the process
    station.dial()
    station.boot()
    limit(world, station, 2)
    station.calls.clear()
    assert send(world, version, 6, "Differential", E="Accepted") == "Accepted"
    assert station.told() == [("Differential", 6, 1), ("Full", 5, 2), ("Differential", 6, 2)]
    assert station.held == {"A": "Accepted", "C": "Expired", "D": "Accepted", "E": "Accepted"}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_station_refuses_whole_is_not_sent_for_ever(version: str) -> None:
    world, station = listed(version)
    station.on["SendLocalList"] = lambda asked: {"status": "Failed"}
    assert send(world, version, 1, "Full", A="Accepted") == "Failed"
    assert station.told() == [("Full", 1, 1)]
    limit(world, station, 1)
    station.on["SendLocalList"] = lambda asked: {"status": "Accepted" if asked["updateType"] == "Full" else "Failed"}
    assert send(world, version, 5, "Full", A="Accepted", B="Accepted") == "Failed"
    assert [kind for kind, _, _ in station.told()] == ["Full", "Differential"] * 2, "once anew, and no more"
