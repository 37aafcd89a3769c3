"""A box and a central system over real sockets: it is looked at, it goes and comes back, and only who may is let in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site.link.link_kit import AT, Central, Yard, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pilotwire.api import remote_controller
from pilotwire.api.access import Principal, system
from pilotwire.api.remote_controller import RemoteController
from pilotwire.api.resources import sites
from pilotwire.domain.seen import NotKnown, Now
from pilotwire.protocols.sitelink import BOX_HEADER, IDLE_MS, SUBPROTOCOL, Hello, Tick
from pilotwire.protocols.sitelink.frames import Answer, Ask, decode_down, encode
from pilotwire.translate import site_link


def remote(central: Central, site: str = "yard") -> RemoteController:
    found = central.controllers.get(site)
    assert isinstance(found, RemoteController)
    return found


async def seen(central: Central, site: str = "yard") -> RemoteController:
    """Once its first state has come."""
    await until(lambda: central.controllers.get(site) and central.controllers.get(site).heard_ms, str(central.reports))
    return remote(central, site)


@asynccontextmanager
async def raw(
    central: Central, *, key: str = "pw_yard", site: str = "yard", box: str = "f" * 32, protocol: str = SUBPROTOCOL
) -> AsyncIterator[ClientConnection]:
    """A box that does what a test tells it."""
    headers = {"Authorization": f"Bearer {key}", BOX_HEADER: box}
    async with connect(
        f"ws://127.0.0.1:{central.port}/api/v1/sites/{site}/controller/link",
        subprotocols=[protocol] if protocol else None, additional_headers=headers, proxy=None,  # type: ignore[list-item]
    ) as made:  # fmt: skip
        yield made


HELLO = encode(Hello(site="yard", name="The yard", time_zone="UTC", program="0.1.0"))


async def refused(central: Central, **how: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as error:
        async with raw(central, **how):
            raise AssertionError("it was let in")
    response = error.value.response
    return response.status_code, json.loads(response.body or b"{}")["detail"]


async def test_every_question_is_answered_as_at_the_site(central: Central, tmp_path: Path) -> None:
    yard = Yard()
    await central.box(yard, tmp_path)
    far = await seen(central)
    assert (far.id, far.name, far.time_zone) == ("yard", "The yard", "Europe/Berlin")
    assert await far.now() == await yard.now()
    assert await far.at(AT) == await yard.at(AT)
    with pytest.raises(NotKnown, match="the record begins later"):
        await far.at(5)
    assert await far.changes("bay-1", 1, 2) == await yard.changes("bay-1", 1, 2)
    assert await far.course(0, 1, 60_000) == await yard.course(0, 1, 60_000)
    assert await far.windows(0, 1) == ()
    assert await far.peaks(0, 1) == await yard.peaks(0, 1)
    assert await far.outlook() is None
    with pytest.raises(ConnectionError, match="could not answer: ZeroDivisionError"):
        await far.changes("broken", 1, 2)
    assert await far.outlook() is None, "a fault in one answer ends nothing"


async def test_the_api_shows_it_and_who_looks_sees_each_state(central: Central, tmp_path: Path) -> None:
    yard = Yard()
    await central.box(yard, tmp_path)
    far = await seen(central)
    async with central.client() as client:
        (one,) = (await client.get("/api/v1/controllers")).json()["items"]
        assert (one["site_id"], one["state"], one["flows"]["grid_w"]) == ("yard", "running", 0)
        shown = (await client.get("/api/v1/sites/yard/controller")).json()
        assert shown["marks"][0]["code"] == "meter_lost"
        metrics = (await client.get("/metrics")).text
        assert "pilotwire_site_links 1.0" in metrics
    states = far.ticks()
    assert (await anext(states)).picture.seq == 1
    link = next(iter(central.links._links.values()))
    assert link.end.every_ms == 1_000, "somebody looks"
    for seq in (2, 3):
        yard.seq = seq
        async with asyncio.timeout(60):
            assert (await anext(states)).picture.seq == seq
    await states.aclose()  # type: ignore[attr-defined]
    assert link.end.every_ms == IDLE_MS, "nobody does any more"


async def test_states_that_nobody_wants_are_not_made(central: Central, tmp_path: Path) -> None:
    """A hundred states in the time of one: what is made for the link is what is sent."""
    yard = Yard()
    link = await central.box(yard, tmp_path)
    await seen(central)
    made = yard.made
    for seq in range(2, 102):
        yard.seq = seq
        await asyncio.sleep(0.002)
    assert yard.made == made and link.counts.ticks == 1


async def test_while_the_box_is_away_the_last_state_stays_and_all_else_says_so(
    central: Central, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard()
    box = await central.box(yard, tmp_path)
    far = await seen(central)
    heard = far.heard_ms
    states = far.ticks()
    await anext(states)
    await box.stop()
    await until(lambda: not far.connected)
    with pytest.raises(ConnectionError, match="is not connected; it was last heard 20"):
        await anext(states)
    monkeypatch.setattr(remote_controller, "FRESH_MS", -1)
    assert (await far.now()).picture.seq == 1 and far.heard_ms == heard
    for question in (far.at(AT), far.changes("bay-1", 0, 1), far.course(0, 1, 60_000), far.peaks(0, 1), far.outlook()):
        with pytest.raises(ConnectionError, match="it was last heard"):
            await question
    async with central.client() as client:
        answer = await client.get("/api/v1/sites/yard/controller/plan")
        assert answer.status_code == 503 and "last heard" in answer.json()["detail"]
    yard.seq = 9
    await box.start()
    await until(lambda: far.connected)
    assert (await far.now()).picture.seq == 9, "it is the same controller, and the box is back"


async def test_the_box_comes_back_whenever_the_central_system_does(central: Central, tmp_path: Path) -> None:
    """It is stopped, and another process listens there: the box needs nobody's help."""
    box = await central.box(Yard(), tmp_path)
    await seen(central)
    await central.stop()
    await until(lambda: box.trouble and box.counts.attempts > 2, "it tries again and again")
    said = [each for each in central.reports if "no link to the central system" in each]
    assert len(said) == len(set(said)), "the same is told once, not at each attempt"
    other = Central()
    await other.site()
    await other.key()
    await other.start(central.port)
    try:
        await seen(other)
        assert box.trouble == ""
    finally:
        await box.stop()
        await other.stop()


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({"key": "pw_nobody"}, 401, "key"),
        ({"key": "pw_other"}, 403, "does not reach the site 'yard'"),
        ({"key": "pw_service"}, 403, "controllers:serve"),
        ({"key": "pw_all_sites"}, 403, "does not reach"),
        ({"key": "pw_foreign"}, 404, "site 'yard'"),
        ({"key": "pw_every", "site": "pier"}, 404, "site 'pier'"),
        ({"protocol": "pilotwire.site.v2"}, 400, "version 2 of the link, this central system version 1. Update the c"),
        ({"protocol": "pilotwire.site.v0"}, 400, "version 0 of the link, this central system version 1. Update the b"),
        ({"protocol": ""}, 400, "no version"),
        ({"box": "short"}, 400, "its own id"),
    ],
)  # fmt: skip
async def test_only_a_key_of_the_site_is_let_in(central: Central, how: dict[str, str], status: int, words: str) -> None:
    await central.key("pw_other", sites=("pier",))
    await central.key("pw_service", role="service", sites=None)
    await central.key("pw_all_sites", sites=None)
    await central.key("pw_foreign", tenant="elsewhere")
    await central.key("pw_every", role="admin", sites=None)
    assert (found := await refused(central, **how))[0] == status
    assert words in found[1]
    assert central.controllers.every() == [] and central.links.refused.total() == 1


async def test_a_login_of_a_browser_opens_nothing(central: Central) -> None:
    with pytest.raises(InvalidStatus) as error:
        async with connect(
            f"ws://127.0.0.1:{central.port}/api/v1/sites/yard/controller/link", subprotocols=[SUBPROTOCOL], proxy=None,  # type: ignore[list-item]
            additional_headers={"Cookie": "pilotwire_login=x", "Origin": "http://127.0.0.1"},
        ):  # fmt: skip
            raise AssertionError
    assert error.value.response.status_code == 401


async def test_what_is_no_link_is_asked_as_if_it_had_not_wished_to_be_upgraded(central: Central) -> None:
    async with central.client() as client:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        answer = await client.get("/healthz", headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
        assert answer.status_code == 200


async def test_a_site_of_another_tenant_is_another_site(central: Central, tmp_path: Path) -> None:
    await central.key("pw_foreign", tenant="elsewhere")
    await central.site(tenant="elsewhere")
    await central.box(Yard(), tmp_path, key="pw_foreign")
    await until(lambda: central.controllers.every("elsewhere"))
    assert central.controllers.every() == []


async def test_a_box_that_comes_back_takes_over_from_its_dead_connection(central: Central) -> None:
    """Its old connection may look alive for minutes: a router between has forgotten it."""
    async with raw(central) as old:
        await old.send(HELLO)
        await until(lambda: central.controllers.get("yard") and remote(central).connected)
        async with raw(central) as new:
            await new.send(HELLO)
            with pytest.raises(ConnectionClosed) as ended:
                while True:
                    await old.recv()
            assert ended.value.rcvd is not None and ended.value.rcvd.reason == "the same box has come back"
            await new.send(encode(Tick(1, msgspec.Raw(site_link.state(await Yard().now())))))
            await until(lambda: remote(central).heard_ms)
            assert remote(central).connected, "the end of the old one does not end the new one"


async def test_a_second_box_is_refused_while_the_first_answers(central: Central, tmp_path: Path) -> None:
    await central.box(Yard(), tmp_path)
    far = await seen(central)
    status, words = await refused(central, box="e" * 32)
    assert status == 409 and "Another box serves the site yard" in words
    assert far.connected
    rows = [each async for each in audits(central)]
    assert [row["action"] for row in rows] == ["sites.create", "controllers.link", "controllers.refuse"]
    assert rows[2]["detail"]["box"] == "e" * 32


async def test_a_copy_of_a_box_is_another_box(central: Central, tmp_path: Path) -> None:
    """A disk that was copied, with the box's own id on it: two that answer never speak in turn."""
    await central.box(Yard(), tmp_path, own="f" * 32)
    far = await seen(central)
    status, words = await refused(central, box="f" * 32)
    assert status == 409 and "a copy of it needs a site and a key of its own" in words
    assert far.connected and central.links.counts["replaced"] == 0


async def test_a_second_box_takes_over_when_the_first_is_dead(central: Central) -> None:
    async with raw(central, box="d" * 32) as dead:  # it greets, and never answers what it is asked
        await dead.send(HELLO)
        await until(lambda: central.controllers.get("yard") and remote(central).connected)
        async with raw(central, box="e" * 32) as new:
            await new.send(HELLO)
            with pytest.raises(ConnectionClosed):
                while True:
                    await dead.recv()
            await until(lambda: remote(central).connected)
    assert central.links.counts["replaced"] == 1


async def test_states_of_another_site_are_not_shown(central: Central) -> None:
    """A box whose file is of another site than it says: nothing of it is seen."""
    async with raw(central) as box:
        await box.send(HELLO)
        await box.send(encode(Tick(1, msgspec.Raw(site_link.state(await Yard("pier").now())))))
        await gone(box, "a state of site 'pier'")
    assert remote(central).heard_ms is None


async def test_what_a_site_has_said_is_forgotten_when_another_comes_in_its_place(
    central: Central, tmp_path: Path
) -> None:
    first = await central.box(Yard(), tmp_path)
    far = await seen(central)
    await first.stop()
    await until(lambda: not far.connected)
    (tmp_path / "b").mkdir()
    async with raw(central, box="e" * 32) as other:
        await other.send(encode(Hello(site="pier", name="Pier", time_zone="UTC")))
        await until(lambda: far.connected)
        assert far.heard_ms is None and far.name == "Pier"


async def gone(box: ClientConnection, why: str) -> None:
    with pytest.raises(ConnectionClosed) as ended:
        async with asyncio.timeout(60):
            while True:
                await box.recv()
    assert ended.value.rcvd is not None and why in ended.value.rcvd.reason, ended.value


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([b""], "not understood"),
        ([b"\xc1"], "not understood"),
        (["text"], "not understood"),
        ([HELLO, b"\x81\xa1t\xa3ask"], "not understood"),
        ([HELLO, encode(Tick(1, msgspec.Raw(b"\x80")))], "a state is not understood"),
        ([HELLO, encode(Answer(3, msgspec.Raw(b"\x80")))], "nobody has asked question 3"),
    ],
)
async def test_what_is_not_understood_ends_the_connection_and_harms_nobody_else(
    central: Central, tmp_path: Path, frames: list[Any], why: str
) -> None:
    await central.site("pier")
    await central.key("pw_pier", sites=("pier",))
    await central.box(Yard(), tmp_path)
    good = await seen(central)
    async with raw(central, key="pw_pier", site="pier") as box:
        for frame in frames:
            await box.send(frame)
        await gone(box, why)
    assert good.connected and (await good.outlook()) is None
    assert central.links.counts["cut"] == 1


async def test_a_frame_that_is_too_large_is_not_read(central: Central) -> None:
    async with raw(central) as box:
        await box.send(HELLO)
        with pytest.raises(ConnectionClosed) as ended:
            await box.send(bytes((4 << 20) + 1))
            while True:
                await box.recv()
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1009


async def test_an_answer_that_is_not_understood_is_said_and_ends_the_connection(central: Central) -> None:
    async with raw(central) as box:
        await box.send(HELLO)
        await until(lambda: central.controllers.get("yard") and remote(central).connected)
        asked = asyncio.ensure_future(remote(central).peaks(0, 1))
        frame = decode_down(await box.recv(decode=False))
        assert isinstance(frame, Ask) and frame.method == "peaks"
        await box.send(encode(Answer(frame.id, msgspec.Raw(b"\x01"))))
        with pytest.raises(ConnectionError, match="answers what is not understood"):
            await asked
        await gone(box, "peaks is not understood")


async def test_questions_that_wait_end_with_the_connection(central: Central, tmp_path: Path) -> None:
    yard = Yard()
    yard.slow = asyncio.Event()
    box = await central.box(yard, tmp_path)
    far = await seen(central)
    asked = [asyncio.ensure_future(far.changes("bay-1", 0, 1)) for _ in range(12)]  # more than go out at a time
    await until(lambda: box.counts.questions >= 5)
    await box.stop()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, ConnectionError) for each in found), found


async def test_many_questions_at_once_wait_for_their_turn(central: Central, tmp_path: Path) -> None:
    await central.box(Yard(), tmp_path)
    far = await seen(central)
    found = await asyncio.gather(*(far.course(each, each + 1, 60_000) for each in range(30)))
    assert [each.from_ms for each in found] == list(range(30))


async def test_a_key_that_is_revoked_ends_it_soon(central: Central, tmp_path: Path) -> None:
    box = await central.box(Yard(), tmp_path)
    far = await seen(central)
    await central.store.delete_api_key("default", "k-yard")
    await until(lambda: not far.connected, "it goes on with a key that counts no longer")
    await until(lambda: "refuses us" in box.trouble, box.trouble)
    assert "its key counts no longer" in " ".join(central.reports), central.reports


async def test_a_site_that_is_deleted_has_no_controller_any_more(central: Central, tmp_path: Path) -> None:
    box = await central.box(Yard(), tmp_path)
    await seen(central)
    await sites.remove(central.context, system("default"), "yard")
    await until(lambda: central.controllers.get("yard") is None)
    await until(lambda: "refuses us" in box.trouble, box.trouble)
    assert "the site is not here any more" in " ".join(central.reports), central.reports


async def audits(central: Central) -> AsyncIterator[dict[str, Any]]:
    from pilotwire.api.audit import documents

    async for document in documents(central.store, "default"):
        yield msgspec.json.decode(document.body)


async def test_a_box_that_comes_and_goes_is_written_down_once(central: Central, tmp_path: Path) -> None:
    box = await central.box(Yard(), tmp_path)
    for count in (1, 2, 3):
        await until(lambda count=count: box.counts.connected == count)
        await until(lambda: central.controllers.get("yard") and remote(central).connected)
        central.links._links["default", "yard"].cut("")
    rows = [row["action"] async for row in audits(central)]
    assert rows == ["sites.create", "controllers.link"]


async def test_the_end_of_the_central_system_waits_for_no_box(central: Central, tmp_path: Path) -> None:
    await central.box(Yard(), tmp_path)
    await seen(central)
    async with asyncio.timeout(30):
        await central.stop()


def test_only_the_box_may_serve() -> None:
    principal = Principal(tenant="default", name="x", role="site-controller", by="key", sites=frozenset({"yard"}))
    assert principal.may("controllers:serve") and not principal.may("sites:read")


async def test_the_state_survives_the_way(central: Central) -> None:
    state: Now = await Yard().now()
    assert site_link.stated(site_link.state(state)) == state
