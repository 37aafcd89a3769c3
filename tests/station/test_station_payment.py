"""Ad hoc payment: cards, QR codes, settlement, VAT numbers (2.1 C17 to C25)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from pilotwire.core.errors import LocalError
from pilotwire.domain import web_payment
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.config import StationConfig
from pilotwire.station.ports import Receipt
from pilotwire.station.program import Station

PRICE = {"energy": {"prices": [{"priceKwh": 0.5}]}}


class Terminal:
    """Takes every card but the bad one; answers after a second."""

    def __init__(self, world):
        self.world = world
        self.reserved = []
        self.released = []
        self.settlements = []
        self.increases = []
        self.receipt = Receipt("Settled", "R-1", "https://receipts.example/R-1")
        self.more = True

    def later(self, call):
        self.world.scheduler.call_later(1000, call)

    def reserve(self, card, amount, done):
        self.reserved.append((card, amount))
        ref = None if card == "bad" else f"PSP-{len(self.reserved)}"
        details = {"CardLast4Digits": card[-4:], "CardBin": card[:6], "PaymentBrand": "Example"}
        self.later(lambda: done(ref, details if ref else {}))

    def increase(self, ref, more, done):
        self.increases.append((ref, more))
        self.later(lambda: done(self.more))

    def release(self, ref):
        self.released.append(ref)

    def settle(self, ref, amount, done):
        self.settlements.append((ref, amount))
        self.later(lambda: done(self.receipt))


def ready(make_world, *, tariff=PRICE, **more):
    world = make_world("2.1", payment_terminal=True, web_payments=True, **more)
    world.terminal = Terminal(world)

    def build(config: StationConfig | None = None) -> Station:
        return Station(
            config or world.config,
            world.scheduler,
            world.network.dialer("CS-1", user="CS-1", password=b"secret"),
            world.ids,
            world.random,
            world.storage,
            terminal=world.terminal,
        )

    world.build = build
    world.station = build()
    m = world.csms.messages
    world.csms.scripts["NotifySettlement"] = lambda request: m.NotifySettlementResponse(
        receipt_url="https://csms.example/receipt"
    )
    world.station.power_on()
    world.run(5)
    if tariff:
        text = msgspec.json.encode({"tariffId": "T", "currency": "EUR", **tariff})
        ask(world, "SetDefaultTariff", evse_id=0, tariff=msgspec.json.decode(text, type=m.TariffType))
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def events(world, kind=None):
    return [e for e in world.csms.heard("TransactionEvent") if kind in (None, e.event_type)]


def told(world):
    return [
        (s.psp_ref, s.status, s.settlement_amount, bool(s.transaction_id)) for s in world.csms.heard("NotifySettlement")
    ]


def pay(world, card="400012345678", minutes=30):
    world.station.plug(1, world.car())
    world.station.payment.present(1, card)
    world.run(minutes * 60)


# ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement(
    "2.1", "C18.FR.01", "C18.FR.02", "C18.FR.03", "C18.FR.06", "C21.FR.01", "C21.FR.02", side="station"
)
def test_a_card_begins_a_session_and_is_settled_at_its_end(make_world):
    world = ready(make_world, settings={"payment_details": "CardBin,CardLast4Digits"})
    pay(world)
    assert world.csms.heard("Authorize") == [], "the CSMS is not asked"
    started = events(world, "Started")[0]
    assert (started.id_token.id_token, started.id_token.type) == ("PSP-1", "DirectPayment")
    assert [(i.type, i.additional_id_token) for i in started.id_token.additional_info] == [
        ("CardBin", "400012"), ("CardLast4Digits", "5678"),
    ]  # fmt: skip
    assert started.transaction_info.transaction_limit.max_cost == 50
    world.station.unplug(1)
    world.run(10)
    ended = events(world, "Ended")[0]
    total = ended.cost_details.total_cost.total.incl_tax or ended.cost_details.total_cost.total.excl_tax
    assert total > 2
    assert world.terminal.settlements == [("PSP-1", total)]
    assert told(world) == [("PSP-1", "Settled", total, True)]
    settled = world.csms.heard("NotifySettlement")[0]
    assert settled.receipt_url is None, "C21.FR.03: the CSMS has the receipt"
    assert world.station.payment.receipts == {"PSP-1": "https://csms.example/receipt"}


def test_a_card_pays_for_a_transaction_that_began_with_the_cable(make_world):
    world = ready(make_world, settings={"start_point": "EVConnected", "stop_point": "EVConnected"})
    world.station.plug(1, world.car())
    world.run(20)
    assert [(e.event_type, e.id_token) for e in events(world)] == [("Started", None)]
    world.station.payment.present(1, "4000123412345678")
    world.run(1800)
    let_in = events(world)[1]
    assert (let_in.trigger_reason, let_in.id_token.id_token, let_in.id_token.type) == (
        "Authorized", "PSP-1", "DirectPayment",
    )  # fmt: skip
    assert let_in.transaction_info.transaction_limit.max_cost == 50
    world.station.unplug(1)
    world.run(10)
    [ended] = events(world, "Ended")
    total = ended.cost_details.total_cost.total.incl_tax or ended.cost_details.total_cost.total.excl_tax
    assert total > 1 and world.terminal.settlements == [("PSP-1", total)]


@pytest.mark.requirement("2.1", "C21.FR.04", side="station")
def test_a_receipt_of_the_terminal_goes_along(make_world):
    world = ready(make_world, settings={"payment_receipt_by_csms": "false"})
    world.csms.scripts.pop("NotifySettlement")
    pay(world)
    world.station.unplug(1)
    world.run(10)
    settled = world.csms.heard("NotifySettlement")[0]
    assert (settled.receipt_id, settled.receipt_url) == ("R-1", "https://receipts.example/R-1")
    assert world.station.payment.receipts == {"PSP-1": "https://receipts.example/R-1"}


@pytest.mark.requirement("2.1", "C22.FR.01", "C22.FR.02", side="station")
@pytest.mark.parametrize("status", ["Rejected", "Failed"])
def test_a_settlement_that_fails_is_told_without_a_receipt(make_world, status):
    world = ready(make_world, settings={"payment_receipt_by_csms": "false"})
    world.terminal.receipt = Receipt(status, "R-1", "https://receipts.example/R-1", "no way to the provider")
    pay(world)
    world.station.unplug(1)
    world.run(10)
    settled = world.csms.heard("NotifySettlement")[0]
    assert (settled.status, settled.receipt_id, settled.receipt_url) == (status, None, None)
    assert settled.status_info == "no way to the provider"


def test_a_refused_card_begins_nothing(make_world):
    world = ready(make_world)
    pay(world, "bad", 5)
    assert events(world) == []
    assert told(world) == []


@pytest.mark.requirement("2.1", "C18.FR.04", "C18.FR.05", "C18.FR.07", side="station")
def test_the_csms_is_asked_where_it_is_set_so(make_world):
    world = ready(make_world, settings={"payment_authorize": "true"})
    pay(world, minutes=1)
    asked = world.csms.heard("Authorize")[0].id_token
    assert (asked.id_token, asked.type) == ("PSP-1", "DirectPayment")
    assert [i.type for i in asked.additional_info] == ["CardLast4Digits"]
    assert events(world, "Started")
    world.station.unplug(1)
    world.run(5)
    world.csms.token_status = "Blocked"
    pay(world, minutes=1)
    assert len(events(world, "Started")) == 1
    assert "PSP-2" in world.terminal.released, "C18.FR.07"


@pytest.mark.requirement("2.1", "C19.FR.01", "C19.FR.02", side="station")
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("how", ["cancel", "late"])
def test_a_payment_without_a_session_is_given_back(make_world, asked, how):
    world = ready(make_world, settings={"payment_authorize": "true" if asked else "false"})
    world.station.payment.present(1, "400012345678")
    world.run(5)
    assert world.terminal.released == []
    if how == "cancel":
        world.station.payment.cancel(1)
    world.run(90)
    assert world.terminal.released == ["PSP-1"]
    assert told(world) == ([("PSP-1", "Canceled", 0, False)] if asked else [])


@pytest.mark.requirement("2.1", "C20.FR.04", "C20.FR.05", side="station")
def test_a_session_that_costs_nothing_is_canceled(make_world):
    world = ready(make_world)
    world.station.plug(1, world.car(soc=1000))
    world.station.payment.present(1, "400012345678")
    world.run(60)
    world.station.unplug(1)
    world.run(10)
    assert world.terminal.settlements == []
    assert world.terminal.released == ["PSP-1"]
    assert told(world) == [("PSP-1", "Canceled", 0, True)]


@pytest.mark.requirement("2.1", "C21.FR.06", side="station")
def test_the_csms_settles_where_it_is_set_so(make_world):
    world = ready(make_world, settings={"payment_by_csms": "true"})
    pay(world)
    world.station.unplug(1)
    world.run(10)
    assert world.terminal.settlements == []
    assert told(world) == []


def test_the_csms_alone_knows_the_cost(make_world):
    world = ready(make_world, tariff=None)
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        total_cost=Decimal("7.35") if request.event_type == "Ended" else None
    )
    pay(world)
    world.station.unplug(1)
    world.run(10)
    assert told(world) == [("PSP-1", "Settled", Decimal("7.35"), True)]


@pytest.mark.requirement("2.1", "C23.FR.01", "C23.FR.02", side="station")
def test_more_is_reserved_before_it_is_used_up(make_world):
    world = ready(make_world, settings={"payment_amount": "2", "payment_increment": "3", "payment_threshold": "1"})
    pay(world, minutes=60)
    assert world.terminal.increases[0] == ("PSP-1", 3)
    limits = [e for e in events(world) if e.trigger_reason == "LimitSet"]
    assert [e.transaction_info.transaction_limit.max_cost for e in limits][:1] == [5]
    assert not [e for e in events(world) if e.trigger_reason == "CostLimitReached"]


def test_without_more_the_energy_stops_at_what_is_reserved(make_world):
    world = ready(make_world, settings={"payment_amount": "1"})
    pay(world, minutes=60)
    assert [e for e in events(world) if e.trigger_reason == "CostLimitReached"]
    world.station.unplug(1)
    world.run(10)
    assert told(world)[0][1] == "Settled"
    assert told(world)[0][2] <= Decimal("1.01")


def test_money_outlives_a_loss_of_power_and_of_the_connection(make_world):
    world = ready(make_world)
    pay(world)
    world.offline()
    world.station.power_off()
    world.run(60)
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert len(world.terminal.settlements) == 1
    world.online()
    world.run(120)
    assert [row[:2] for row in told(world)] == [("PSP-1", "Settled")]
    assert told(world)[0][2] == world.terminal.settlements[0][1]


def test_a_reservation_that_the_power_cut_short_is_given_back(make_world):
    world = ready(make_world, settings={"payment_authorize": "true"})
    world.station.payment.present(1, "400012345678")
    world.run(5)
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert world.terminal.released == ["PSP-1"]
    assert told(world) == [("PSP-1", "Canceled", 0, False)]


@pytest.mark.requirement("2.1", "C18.FR.08", side="station")
def test_a_vat_number_goes_on_the_receipt(make_world):
    world = ready(make_world)
    m = world.csms.messages
    company = m.AddressType(name="Example BV", address1="Street 1", city="Town", country="NL")
    world.csms.scripts["VatNumberValidation"] = lambda request: m.VatNumberValidationResponse(
        vat_number=request.vat_number,
        evse_id=request.evse_id,
        status="Accepted" if request.vat_number.startswith("NL") else "Rejected",
        company=company,
    )
    pay(world, minutes=10)
    heard = []
    world.station.payment.vat(1, "XX1", heard.append)
    world.run(1)
    world.station.payment.vat(1, "NL123456789B01", heard.append)
    world.run(1)
    assert heard == [False, True]
    assert world.csms.heard("VatNumberValidation")[1].evse_id == 1
    world.station.unplug(1)
    world.run(10)
    settled = world.csms.heard("NotifySettlement")[0]
    assert (settled.vat_number, settled.vat_company) == ("NL123456789B01", company)


def test_a_station_without_a_terminal_takes_no_cards(make_world):
    world = make_world("2.1")
    world.station.power_on()
    with pytest.raises(LocalError):
        world.station.payment.present(1, "400012345678")
    assert world.station.payment.url(1) == ""


@pytest.mark.requirement("2.1", "C17.FR.04", "C17.FR.05", side="station")
def test_a_prepaid_card_without_credit_begins_nothing(make_world):
    world = make_world("2.1")
    world.csms.token_status = "NoCredit"
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    assert events(world) == []
    world.csms.token_status = "Accepted"
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        id_token_info=m.IdTokenInfoType(status="Accepted") if request.id_token else None,
        transaction_limit=m.TransactionLimitType(max_energy=Decimal(1000)) if request.event_type == "Started" else None,
    )
    world.station.tap(1, "AA11")
    world.run(3600)
    assert world.station.evses[0].meter.register_wh == pytest.approx(1000, abs=2)


# ── the web ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "C25.FR.22", "C25.FR.27", side="station")
def test_nothing_begins_by_itself_while_somebody_pays_on_the_web(make_world):
    world = ready(make_world)
    ask(world, "NotifyWebPaymentStarted", evse_id=1, timeout=60)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.station.payment.present(1, "400012345678")
    world.run(10)
    assert events(world) == []
    assert world.terminal.reserved == []
    m = world.csms.messages
    answer = ask(
        world,
        "RequestStartTransaction",
        evse_id=1,
        remote_start_id=3,
        id_token=m.IdTokenType(id_token="PSP-WEB", type="DirectPayment"),
    )
    assert answer.status == "Accepted"
    world.run(5)
    assert events(world, "Started")[0].id_token.id_token == "PSP-WEB"
    world.station.unplug(1)
    world.run(5)
    ask(world, "NotifyWebPaymentStarted", evse_id=1, timeout=60)
    world.run(61)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(5)
    assert len(events(world, "Started")) == 2, "the time is over"


def test_a_payment_for_an_evse_that_there_is_not(make_world):
    world = ready(make_world)
    refused = ask(world, "NotifyWebPaymentStarted", evse_id=9, timeout=60)
    assert isinstance(refused, RpcError)
    assert refused.code == "PropertyConstraintViolation"


@pytest.mark.requirement("2.1", "C25.FR.03", "C25.FR.51", "C25.FR.52", "C25.FR.56", "C25.FR.58", side="station")
def test_the_code_changes_with_the_time_and_carries_the_drivers_limits(make_world):
    template = "https://qr.example/{chargingstationid}/{evse}/{totp}/{version}"
    world = ready(make_world, settings={"web_template": template, "web_secret": "s3cret"})
    first = world.station.payment.url(1, maxenergy=20_000, maxcost=Decimal("12.5"))
    head, _, query = first.partition("?")
    assert query == "maxenergy=20000&maxcost=12.5"
    password = head.split("/")[-2]
    assert head == f"https://qr.example/CS-1/1/{password}/v1"
    now = world.station.clock.now() // 1000
    assert web_payment.is_valid(password, "s3cret", now, 30, 8)
    assert web_payment.is_valid(password, "s3cret", now + 30, 30, 8)
    assert not web_payment.is_valid(password, "s3cret", now + 60, 30, 8)
    assert not web_payment.is_valid(password, "other", now, 30, 8)
    world.run(60)
    assert world.station.payment.url(1) != head
    with pytest.raises(LocalError):
        world.station.payment.url(1, maxspeed=3)


def test_a_secret_is_made_at_the_first_start_and_never_shown(make_world):
    world = ready(make_world)
    secret = world.station.settings.text("web_secret")
    assert len(secret) >= 16
    m = world.csms.messages
    answer = ask(
        world,
        "GetVariables",
        get_variable_data=[
            m.GetVariableDataType(
                component=m.ComponentType(name="WebPaymentsCtrlr"), variable=m.VariableType(name="SharedSecret")
            )
        ],
    )
    assert answer.get_variable_result[0].attribute_value is None
    assert answer.get_variable_result[0].attribute_status == "Rejected"
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    assert world.station.settings.text("web_secret") == secret


@pytest.mark.parametrize("how", ["terminal", "cable"])
def test_whoever_paid_may_end_it_at_the_terminal(make_world, how):
    world = ready(make_world)
    pay(world, minutes=10)
    if how == "terminal":
        world.station.payment.stop_at(1)
    else:
        world.station.unplug(1)
    world.run(5)
    (ended,) = events(world, "Ended")
    assert ended.trigger_reason == ("StopAuthorized" if how == "terminal" else "EVCommunicationLost")
    assert ended.transaction_info.stopped_reason == ("Local" if how == "terminal" else "EVDisconnected")
    assert [row[1] for row in told(world)] == ["Settled"]
    world.station.payment.stop_at(1)
    world.run(5)
    assert len(events(world, "Ended")) == 1


@pytest.mark.parametrize("kind", ["max_cost", "max_energy", "max_time"])
def test_what_was_paid_elsewhere_is_the_limit_of_the_session(make_world, kind):
    """C24, C25: the answer to the start carries it, and the next event says so, once."""
    world = ready(make_world)
    m = world.csms.messages
    most = {"max_cost": Decimal(1), "max_energy": Decimal(2000), "max_time": 600}[kind]
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        transaction_limit=m.TransactionLimitType(**{kind: most}) if request.event_type == "Started" else None
    )
    world.station.plug(1, world.car())
    token = m.IdTokenType(id_token="PSP-KIOSK", type="DirectPayment")
    assert ask(world, "RequestStartTransaction", evse_id=1, remote_start_id=3, id_token=token).status == "Accepted"
    world.run(3600)
    told = [e for e in events(world) if e.transaction_info.transaction_limit is not None]
    assert [getattr(e.transaction_info.transaction_limit, kind) for e in told] == [most]
    # What was queued when the answer came says nothing of it yet.
    assert told[0] is events(world)[2] and told[0].trigger_reason == "LimitSet"
    evse = world.station.evses[0]
    assert evse.session is not None and evse.phase == "SuspendedEVSE" and evse.meter.power_mw == 0
    assert 1800 <= evse.meter.register_wh <= 2010


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("maxtime", 600, "max_time"), ("maxenergy", 1500, "max_energy"), ("maxcost", Decimal("0.8"), "max_cost")],
)
def test_the_limits_in_the_code_are_held(make_world, name, value, field):
    template = "https://qr.example/{roamingevseid}/{totp}/{version}?x=1"
    world = ready(make_world, settings={"web_template": template, "web_roaming": "DE*ABC*E1"})
    url = world.station.payment.url(1, **{name: value})
    assert url.startswith("https://qr.example/DE%2AABC%2AE1/") and url.endswith(f"/v1?x=1&{name}={value}")
    world.station.plug(1, world.car())
    m = world.csms.messages
    for number in (1, 2):
        token = m.IdTokenType(id_token=f"PSP-WEB-{number}", type="DirectPayment")
        ask(world, "RequestStartTransaction", evse_id=1, remote_start_id=number, id_token=token)
        world.run(3600)
        began = events(world, "Started")[-1]
        limit = began.transaction_info.transaction_limit
        if number == 2:
            assert limit is None, "the next one has chosen nothing"
            return
        assert getattr(limit, field) == value
        assert world.station.evses[0].meter.power_mw == 0
        assert world.station.evses[0].phase == "SuspendedEVSE"
        world.station.transactions.stop_all("Local", "StopAuthorized")
        world.run(5)


def test_the_code_is_made_by_a_template_that_names_what_it_must(make_world):
    world = ready(make_world)

    def put(name, value):
        m = world.csms.messages
        row = m.SetVariableDataType(
            component=m.ComponentType(name="WebPaymentsCtrlr"),
            variable=m.VariableType(name=name),
            attribute_value=value,
        )
        return ask(world, "SetVariables", set_variable_data=[row]).set_variable_result[0].attribute_status

    assert world.station.payment.url(1) == ""
    for wrong in ("{evse}/{totp}/{version}", "{chargingstationid}/{version}", "{roamingevseid}/{totp}"):
        assert put("URLTemplate", f"https://qr.example/{wrong}") == "Rejected", wrong
    assert put("URLTemplate", "https://qr.example/{roamingevseid}/{totp}/{version}") == "Accepted"
    assert put("URLTemplate", "https://qr.example/{chargingstationid}/{totp}/{version}") == "Accepted"
    assert world.station.payment.url(1).startswith("https://qr.example/CS-1/")
    assert put("Enabled", "false") == "Accepted"
    assert world.station.payment.url(1) == "", "it is switched off"
    assert put("Enabled", "true") == "Accepted"
    assert put("URLTemplate", "") == "Accepted"
    assert world.station.payment.url(1) == ""


def test_a_cable_that_does_not_come_ends_what_has_begun(make_world):
    """C20.FR.02: where the transaction begins with the authorization."""
    world = ready(make_world, settings={"start_point": "Authorized", "connection_timeout": "30"})
    world.station.payment.present(1, "400012345678")
    world.run(5)
    assert events(world, "Started") and not events(world, "Ended")
    world.run(60)
    (ended,) = events(world, "Ended")
    assert (ended.trigger_reason, ended.transaction_info.stopped_reason) == ("EVConnectTimeout", "Timeout")
    assert world.terminal.released == ["PSP-1"] and world.terminal.settlements == []
