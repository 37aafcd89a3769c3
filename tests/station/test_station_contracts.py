"""ISO 15118 beside the power: contracts, their certificates, and whether these hold (2.x C07, M01, M02, M06, M07)."""

from __future__ import annotations

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data, read

START = 1_767_571_200_000
CA = Authority.new("Mobility", now=to_datetime(START))
ROOT = pem.text([chains.der(CA.root)])
EMAID = "DEABCC12345678"
DAY = 86_400
URL = "http://ocsp.example"
V2 = ("2.0.1", "2.1")


def chain_of(name, *, url=URL, days=90):
    request = requests.read(requests.make(requests.new_key(), name, "Mobility"))
    return pem.text(CA.sign(request, name, "Mobility", now=to_datetime(START), days=days, ocsp_url=url))


CONTRACT = chain_of(EMAID)


def ready(make_world, version="2.1", *, roots=("MORootCertificate",), **more):
    world = make_world(version, plug_and_charge=True, **more)
    world.station.certificates.provide(None, {use: [ROOT] for use in roots})
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def started(world):
    return [e for e in world.csms.heard("TransactionEvent") if e.event_type == "Started"]


# ── Plug & Charge ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
def test_a_contract_is_shown_with_what_ocsp_needs(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.contracts.present(1, EMAID, CONTRACT)
    world.run(5)
    (asked,) = world.csms.heard("Authorize")
    assert (asked.id_token.id_token, asked.id_token.type, asked.certificate) == (EMAID, "eMAID", None)
    leaf, issuing = pem.blocks(CONTRACT)
    (row,) = asked.iso15118_certificate_hash_data
    assert read(row).same(hash_data(leaf, issuing))
    assert row.responder_url == URL
    assert started(world)[0].id_token.type == "eMAID"


@pytest.mark.parametrize("version", V2)
def test_a_contract_that_the_csms_finds_wrong_begins_nothing(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    world.csms.scripts["Authorize"] = lambda request: m.AuthorizeResponse(
        id_token_info=m.IdTokenInfoType(status="Accepted"), certificate_status="CertificateRevoked"
    )
    world.station.plug(1, world.car())
    world.station.contracts.present(1, EMAID, CONTRACT)
    world.run(5)
    assert started(world) == []


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("central", [True, False])
def test_without_the_root_the_csms_gets_the_whole_chain_where_it_wants_it(make_world, version, central):
    world = ready(make_world, version, roots=(), settings={"contract_central": "true" if central else "false"})
    world.station.contracts.present(1, EMAID, CONTRACT)
    world.run(2)
    (asked,) = world.csms.heard("Authorize")
    assert (asked.certificate is not None) is central
    if central:
        assert pem.blocks(asked.certificate) == pem.blocks(CONTRACT)


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(
    ("offline", "known", "root", "begins"),
    [
        (True, "list", True, True),
        (True, "cache", True, True),
        (True, "", True, False),
        (True, "anybody", True, True),
        (False, "list", True, False),
        (False, "cache", True, False),
        (True, "list", False, False),
        (True, "anybody", False, False),
    ],
)
def test_a_contract_while_nobody_can_be_asked(make_world, version, offline, known, root, begins):
    world = ready(
        make_world,
        version,
        roots=("MORootCertificate",) if root else (),
        settings={
            "contract_offline": "true" if offline else "false",
            "offline_unknown": "true" if known == "anybody" else "false",
        },
    )
    m = world.csms.messages
    if known == "cache":
        world.station.contracts.present(1, EMAID, CONTRACT)
        world.run(90)
        assert started(world) == [] and len(world.csms.heard("Authorize")) == 1
    if known == "list":
        ask(
            world,
            "SendLocalList",
            version_number=1,
            update_type="Full",
            local_authorization_list=[
                m.AuthorizationData(
                    id_token=m.IdTokenType(id_token=EMAID, type="eMAID"),
                    id_token_info=m.IdTokenInfoType(status="Accepted"),
                )
            ],
        )
    world.offline()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.contracts.present(1, EMAID, CONTRACT)
    world.run(5)
    assert (world.station.evses[0].session is not None) is begins


def test_a_station_without_plug_and_charge_says_so(make_world):
    world = make_world("2.1")
    world.station.power_on()
    with pytest.raises(LocalError):
        world.station.contracts.present(1, EMAID, CONTRACT)
    with pytest.raises(LocalError):
        world.station.contracts.install("exi", "urn:iso:15118:2:2013:MsgDef", print)


# ── contract certificates ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "M01.FR.01", "M01.FR.02", "M02.FR.01", side="station")
@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("update", [True, False])
def test_exi_goes_to_the_csms_and_back(make_world, version, update):
    world = ready(make_world, version)
    m = world.csms.messages
    world.csms.scripts["Get15118EVCertificate"] = lambda request: m.Get15118EVCertificateResponse(
        status="Accepted", exi_response="ANSWER"
    )
    heard = []
    world.station.contracts.install(
        "EXI", "urn:iso:15118:2:2013:MsgDef", lambda *told: heard.append(told), update=update, most=3
    )
    world.run(1)
    (asked,) = world.csms.heard("Get15118EVCertificate")
    assert (asked.exi_request, asked.action) == ("EXI", "Update" if update else "Install")
    assert getattr(asked, "maximum_contract_certificate_chains", None) is None
    assert heard == [("Accepted", "ANSWER", 0)]


@pytest.mark.requirement("2.1", "M01.FR.03", "M01.FR.06", "M02.FR.02", side="station")
def test_by_iso_15118_20_it_is_asked_until_nothing_remains(make_world):
    world = ready(make_world)
    m = world.csms.messages
    left = iter((2, 1, 0))
    world.csms.scripts["Get15118EVCertificate"] = lambda request: m.Get15118EVCertificateResponse(
        status="Accepted", exi_response="ANSWER", remaining_contracts=next(left)
    )
    heard = []
    schema = "urn:iso:std:iso:15118:-20:CommonMessages"
    world.station.contracts.install(
        "EXI", schema, lambda *told: heard.append(told), update=True, most=3, emaids=(EMAID,)
    )
    world.run(2)
    asked = world.csms.heard("Get15118EVCertificate")
    assert [row.action for row in asked] == ["Install"] * 3
    assert {row.maximum_contract_certificate_chains for row in asked} == {3}
    assert asked[0].prioritized_emaids == [EMAID]
    assert [remaining for _, _, remaining in heard] == [2, 1, 0]


def test_nobody_answers_the_vehicle(make_world):
    world = ready(make_world)
    world.csms.refuse["Get15118EVCertificate"] = 1
    heard = []
    world.station.contracts.install("EXI", "urn:iso:15118:2:2013:MsgDef", lambda *told: heard.append(told))
    world.run(2)
    assert heard == [("Failed", "", 0)]


# ── whether certificates hold ────────────────────────────────────────────────────────────────────────────────────────


def give_v2g(world, *, days=90):
    """The station gets a certificate towards vehicles."""
    assert ask(world, "TriggerMessage", requested_message="SignV2GCertificate").status == "Accepted"
    world.run(1)
    asked = world.csms.heard("SignCertificate")[-1]
    chain = pem.text(
        CA.sign(
            requests.read(asked.csr), "CS-1", "Pilotwire",
            now=to_datetime(world.scheduler.now()), days=days, ocsp_url=URL,
        )
    )  # fmt: skip
    answer = ask(world, "CertificateSigned", certificate_chain=chain, certificate_type="V2GCertificate")
    assert answer.status == "Accepted"
    world.run(2)
    return pem.blocks(chain)[0]


def script_ocsp(world, results):
    m = world.csms.messages

    def script(request):
        result = next(results)
        return m.GetCertificateStatusResponse(status="Accepted" if result else "Failed", ocsp_result=result or None)

    world.csms.scripts["GetCertificateStatus"] = script


@pytest.mark.requirement("2.1", "M06.FR.06", "M06.FR.07", "M06.FR.10", side="station")
@pytest.mark.parametrize("version", V2)
def test_the_stations_own_certificate_is_asked_about_at_once_and_every_week(make_world, version):
    world = ready(make_world, version, roots=("V2GRootCertificate",))
    script_ocsp(world, iter(["b25l", "dHdv", "dGhyZWU="]))
    leaf = give_v2g(world)
    (asked,) = world.csms.heard("GetCertificateStatus")
    assert asked.ocsp_request_data.responder_url == URL
    assert read(asked.ocsp_request_data).same(hash_data(leaf, chains.der(CA.issuing)))
    assert world.station.contracts.answer(leaf) == "b25l"
    world.run(6 * DAY)
    assert len(world.csms.heard("GetCertificateStatus")) == 1
    world.run(1 * DAY)
    assert world.station.contracts.answer(leaf) == "dHdv"
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert world.station.contracts.answer(leaf) == "dHdv"
    assert len(world.csms.heard("GetCertificateStatus")) == 2
    newer = give_v2g(world)
    assert world.station.contracts.answer(newer) == "dGhyZWU="
    assert world.station.contracts.answer(leaf) == ""


def test_an_answer_that_cannot_be_had_is_asked_for_again_the_next_day(make_world):
    world = ready(make_world, roots=("V2GRootCertificate",))
    script_ocsp(world, iter(["", "b25l", "", "dHdv"]))
    leaf = give_v2g(world)
    assert world.station.contracts.answer(leaf) == ""
    world.run(DAY + 5)
    assert world.station.contracts.answer(leaf) == "b25l"
    world.run(7 * DAY + 5)
    assert world.station.contracts.answer(leaf) == "b25l", "the one from before serves meanwhile"
    world.run(DAY + 5)
    assert world.station.contracts.answer(leaf) == "dHdv"


@pytest.mark.requirement("2.1", "M07.FR.09", "M07.FR.10", "M07.FR.11", side="station")
def test_a_vehicles_chain_is_checked_and_the_verdict_kept(make_world):
    world = ready(make_world)
    m = world.csms.messages
    status = iter(["Good", "Failed", "Revoked"])
    world.csms.scripts["GetCertificateChainStatus"] = lambda request: m.GetCertificateChainStatusResponse(
        certificate_status=[
            m.CertificateStatusType(
                certificate_hash_data=row.certificate_hash_data,
                source=row.source,
                status=next(status),
                next_update=to_datetime(world.scheduler.now() + 2 * DAY * 1000),
            )
            for row in request.certificate_status_requests
        ]
    )
    heard = []
    for wait in (1, 1, 2 * DAY, 1, 1):
        world.station.contracts.check_chain(CONTRACT, lambda found: heard.append(list(found.values())))
        world.run(wait)
    assert heard == [["Good"], ["Good"], ["Good"], ["Failed"], ["Revoked"]]
    asked = world.csms.heard("GetCertificateChainStatus")
    assert len(asked) == 3
    assert asked[0].certificate_status_requests[0].source == "OCSP"
    assert asked[0].certificate_status_requests[0].urls == [URL]


def test_nothing_to_ask_about(make_world):
    world = ready(make_world)
    heard = []
    world.station.contracts.check_chain(chain_of("X", url=""), heard.append)
    assert heard == [{}]
    old = ready(make_world, "2.0.1")
    with pytest.raises(LocalError):
        old.station.contracts.check_chain(CONTRACT, heard.append)
