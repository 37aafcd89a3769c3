"""The client's parts without a network: requests, back-off, events, and what is imported."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.client import AsyncClient, Client, Kept, Retry, StrangeAnswer, types
from pilotwire.client import _operations as operations
from pilotwire.client.errors import problem_of
from pilotwire.client.request import address, again, answer, build, check, file_name, kept, pairs, retry_after
from pilotwire.client.sse import Message, Parser, event_of, frame_of, live_of

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_client_brings_no_server():
    """Neither litestar nor any part of ours but the types: it has to fit into other people's programs."""
    program = "import pilotwire.client, sys; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    foreign = {"litestar", "uvicorn", "picows", "duckdb", "cryptography", "prometheus_client", "textual", "asyncpg"}
    assert not foreign & set(loaded)
    ours = {name for name in loaded if name.startswith("pilotwire.")}
    allowed = ("pilotwire.client", "pilotwire.api.types", "pilotwire.core")
    assert not [name for name in ours if name != "pilotwire.api" and not name.startswith(allowed)]


def test_a_path_takes_any_id():
    assert address("/a/{x}/b/{y}", ["DE*1/2?#%", 7]) == "/a/DE%2A1%2F2%3F%23%25/b/7"
    for bad in ("", ".", ".."):
        with pytest.raises(ValueError, match="part of an address"):
            address("/a/{x}", [bad])


def test_query_parameters_are_written_as_the_api_reads_them():
    at = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    given_ = {"a": None, "b": True, "c": ["x", "y"], "d": at, "e": 5, "f": "text", "g": []}
    assert pairs(given_) == [
        ("b", "true"), ("c", "x"), ("c", "y"), ("d", "2026-03-01T10:30:00Z"), ("e", "5"), ("f", "text"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="time zone"):
        pairs({"d": datetime(2026, 3, 1)})  # noqa: DTZ001


def test_every_post_can_be_repeated_and_no_other_method_pretends_to():
    new = types.NewSite(id="a", name="A")
    one, two = build(operations.CREATE_SITE, body=new), build(operations.CREATE_SITE, body=new)
    assert one.headers["Idempotency-Key"] != two.headers["Idempotency-Key"] and one.repeatable
    assert build(operations.CREATE_SITE, body=new, idempotency_key="mine").headers["Idempotency-Key"] == "mine"
    change = build(operations.CHANGE_SITE, ["a"], body=types.SiteChange(note="x"), if_match=Kept(None, '"3"'))
    assert change.headers["If-Match"] == '"3"' and "Idempotency-Key" not in change.headers
    assert not change.repeatable and change.body == b'{"note":"x"}'


def test_a_command_is_waited_for_as_long_as_the_station_may_take():
    command = types.NewCommand(action="Reset", timeout_s=110)
    assert build(operations.SEND_COMMAND, ["CP"], body=command).patience_s == 125


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-3", None)])
def test_retry_after(text: str, seconds: float | None):
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after_as_a_date():
    later = datetime.now(UTC) + timedelta(seconds=3600)
    seconds = retry_after({"retry-after": later.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    assert seconds is not None and 3000 < seconds <= 3600


def test_the_wait_doubles_up_to_a_limit_and_is_as_long_as_the_server_asks():
    retry = Retry(first_s=1, most_s=10)
    assert [retry.delay(n, lambda: 1.0) for n in range(6)] == [1, 2, 4, 8, 10, 10]
    assert [retry.delay(n, lambda: 0.0) for n in range(3)] == [0.5, 1, 2]
    assert retry.delay(0, lambda: 0.0, 33.0) == 33


def test_what_is_tried_again():
    post = build(operations.CREATE_SITE, body=b"{}")
    problem = {
        name: problem_of(status, f'{{"type":"/api#problem-{name}","title":"t","detail":"d"}}'.encode())
        for name, status in [("busy", 503), ("too-many-requests", 429), ("too-many-attempts", 429), ("key-in-use", 409),
                             ("exists", 409), ("no-answer", 504)]
    }  # fmt: skip
    assert [name for name, one in problem.items() if again(post, one, 0)] == ["busy", "too-many-requests"]
    assert again(post, problem["key-in-use"], 1)


def test_a_problem_tells_everything_and_a_proxys_page_its_status():
    body = (
        b'{"type":"/api#problem-bad-body","title":"A field is wrong","status":422,"detail":"Mend it.",'
        b'"errors":[{"field":"id","message":"too long"}]}'
    )
    problem = problem_of(422, body)
    assert (problem.name, problem.status, problem.errors[0].field) == ("bad-body", 422, "id")
    assert "Mend it." in str(problem) and "id: too long" in str(problem)
    page = problem_of(502, b"<html>Bad gateway</html>")
    assert page.status == 502 and "Bad gateway" in str(page)


def test_an_answer_of_something_else_is_strange():
    with pytest.raises(StrangeAnswer, match="getSite"):
        answer(operations.GET_SITE, 200, {}, b"<html>")
    with pytest.raises(StrangeAnswer, match="not the API's address"):
        check(302, {"location": "/login"}, b"")
    with pytest.raises(StrangeAnswer, match="no ETag"):
        kept(operations.GET_HEALTH, 200, {}, b'{"status":"ok","version":"1"}')


def test_a_newer_server_may_say_more():
    health = answer(operations.GET_HEALTH, 200, {}, b'{"status":"ok","version":"9","mood":"fine"}')
    assert health.version == "9"


def test_a_proposed_file_name_leads_into_no_other_folder():
    assert file_name({"content-disposition": 'attachment; filename="../../etc/sessions.csv"'}) == "sessions.csv"
    assert file_name({"content-disposition": 'attachment; filename="..\\\\x\\\\s.csv"'}) == "s.csv"
    assert file_name({}) == ""


# -- events ---------------------------------------------------------------------------------------------------------
STREAM = (
    "retry: 2500\n: hello\n\nid: 7\nevent: facts\ndata: {\u2028\x85\ndata: }\n\n"
    "data\n\nevent: nothing\n\nid: 8\r\nevent: x\r\ndata:  two\r\n\r\nevent: cut\ndata: of"
).encode()
MESSAGES = [Message("facts", "{\u2028\x85\n}", "7"), Message("message", "", "7"), Message("x", " two", "8")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_how_the_stream_is_cut(cuts: list[int]):
    parser, found, last = Parser(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += parser.feed(STREAM[last:cut])
        last = cut
    assert found == MESSAGES and parser.retry_s == 2.5 and parser.last_id == "8"


def test_messages_that_are_not_known_are_passed_over_and_broken_ones_are_not():
    assert live_of(Message("news", "{}", "")) is None
    assert event_of(Message("lagged", '{"events": 4}', "")) is None
    lagged = frame_of(Message("lagged", '{"frames": 4}', ""))
    assert lagged is not None and lagged.frames == 4  # type: ignore[union-attr]
    with pytest.raises(StrangeAnswer, match="JournalEvent"):
        event_of(Message("facts", "{}", ""))


def test_what_is_checked_in_fits_the_api():
    """No operation without a method and no method without an operation, in either form."""
    made = subprocess.run(
        [sys.executable, "tools/generate_client.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("form", [Client, AsyncClient])
def test_every_operation_has_a_method_and_every_method_an_operation(form: type):
    named = {operation.id for operation in operations.OPERATIONS}
    streams = {
        "live": "streamLive",
        "events": "streamEvents",
        "frames": "streamFrames",
        "follow_job": "streamJob",
        "follow_controller": "streamController",
    }
    methods = {name for base in form.__mro__ for name in vars(base) if not name.startswith("_")} - {"close", "aclose"}
    plain = {streams.get(name, _camel(name)) for name in methods}
    assert named <= plain
    more = {name for name in plain - named if not name.startswith(("iter", "export"))}
    assert more == set()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
