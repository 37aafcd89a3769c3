"""What the client does when things go wrong, in both forms, against a server that misbehaves on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pilotwire.client import ApiProblem, AsyncClient, Client, Lagged, Retry, Unreachable, types

SITE = types.NewSite(id="a", name="A")
BUSY = b'{"type":"/api#problem-busy","title":"Busy","status":503,"detail":"Wait."}'
IN_USE = b'{"type":"/api#problem-key-in-use","title":"In use","status":409,"detail":"Wait."}'
GONE = b'{"type":"/api#problem-not-found","title":"No such","status":404,"detail":"Check."}'
HEALTH = b'{"status":"ok","version":"1"}'
Answer = Callable[[BaseHTTPRequestHandler], None]


class Bad:
    """Answers its requests one after the other as the script says."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        bad = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                bad.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                bad.script.pop(0)(self)

            do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = any

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def says(status: int, body: bytes, **headers: str) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    return answer


def hangs_up(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True
    to.connection.shutdown(2)


def streams(*pieces: bytes) -> Answer:
    """Pieces, then the end of the connection in the middle of whatever it is."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Type", "text/event-stream")
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        for piece in pieces:
            to.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            to.wfile.flush()
        hangs_up(to)

    return answer


@pytest.fixture
def bad() -> Iterator[Bad]:
    made = Bad()
    yield made
    made.stop()


class Form:
    """A call by one form of the client; waits are noted, not waited for."""

    def __init__(self, form: str, bad: Bad) -> None:
        self.form, self.bad = form, bad
        self.waits: list[float] = []

    def call(self, name: str, *arguments: Any, retry: Retry | None = None, url: str = "", **more: Any) -> Any:
        url = url or self.bad.url
        if self.form == "sync":
            with Client(url, "pw_k", retry=retry, sleep=self.waits.append) as client:
                return getattr(client, name)(*arguments, **more)

        async def run() -> Any:
            async with AsyncClient(url, "pw_k", retry=retry, sleep=self._sleep) as client:
                return await getattr(client, name)(*arguments, **more)

        return asyncio.run(run())

    def take(self, count: int, name: str, **more: Any) -> list[Any]:
        """So many values of a stream."""
        if self.form == "sync":
            with Client(self.bad.url, "pw_k", sleep=self.waits.append) as client:
                stream = getattr(client, name)(**more)
                return [next(stream) for _ in range(count)]

        async def run() -> list[Any]:
            async with AsyncClient(self.bad.url, "pw_k", sleep=self._sleep) as client:
                stream = getattr(client, name)(**more)
                return [await anext(stream) for _ in range(count)]

        return asyncio.run(run())

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def read(self, **more: Any) -> bytes:
        if self.form == "sync":
            with Client(self.bad.url) as client:
                return client.export_sessions(**more).read()

        async def run() -> bytes:
            async with AsyncClient(self.bad.url) as client:
                return await client.export_sessions(**more).read()

        return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def form(request: pytest.FixtureRequest, bad: Bad) -> Form:
    return Form(request.param, bad)


def test_busy_is_waited_out_as_long_as_the_server_asks(form: Form, bad: Bad):
    bad.script = [says(503, BUSY, Retry_After="7"), says(429, BUSY, Retry_After="2"), says(200, HEALTH)]
    assert form.call("get_health").status == "ok"
    assert form.waits[0] == 7 and form.waits[1] == 2
    assert bad.seen[0][2]["authorization"] == "Bearer pw_k"


def test_it_gives_up_in_the_end_and_at_once_when_the_wait_is_too_long(form: Form, bad: Bad):
    bad.script = [says(503, BUSY)] * 3
    with pytest.raises(ApiProblem) as caught:
        form.call("get_health", retry=Retry(attempts=3))
    assert (caught.value.name, len(bad.seen), len(form.waits)) == ("busy", 3, 2)
    bad.script = [says(503, BUSY, Retry_After="3600")]
    with pytest.raises(ApiProblem):
        form.call("get_health")
    assert len(bad.seen) == 4


def test_a_post_that_is_lost_is_sent_again_with_the_same_key(form: Form, bad: Bad):
    bad.script = [hangs_up, says(409, IN_USE, Retry_After="1"), says(404, GONE)]
    with pytest.raises(ApiProblem, match="No such"):
        form.call("create_site", SITE)
    keys = {headers["idempotency-key"] for _, _, headers, _ in bad.seen}
    assert len(bad.seen) == 3 and len(keys) == 1 and len({body for *_, body in bad.seen}) == 1


def test_a_change_that_is_lost_is_not_sent_again(form: Form, bad: Bad):
    bad.script = [hangs_up]
    with pytest.raises(Unreachable, match="does not answer"):
        form.call("change_site", "a", types.SiteChange(note="x"), if_match='"1"')
    assert len(bad.seen) == 1 and bad.seen[0][2]["if-match"] == '"1"'


def test_a_delete_whose_answer_was_lost_was_done(form: Form, bad: Bad):
    bad.script = [hangs_up, says(404, GONE)]
    form.call("delete_site", "a")
    bad.script = [says(404, GONE)]
    with pytest.raises(ApiProblem):
        form.call("delete_site", "a")


def test_nobody_listens(form: Form, bad: Bad):
    bad.stop()
    with pytest.raises(Unreachable, match="does not answer"):
        form.call("get_health", retry=Retry(attempts=2))
    assert len(form.waits) == 1


def test_an_address_that_is_none(form: Form):
    with pytest.raises(Unreachable):
        form.call("get_health", url="nonsense")
    assert form.waits == []


EVENT = b'id: %d\nevent: facts\ndata: {"seq":%d,"station_id":"CP","received_at":"2026-01-01T00:00:00Z","facts":[]}\n\n'


def test_events_go_on_where_they_broke_off(form: Form, bad: Bad):
    bad.script = [
        streams(b"retry: 1000\n: hi\n\n", EVENT % (4, 4), (EVENT % (5, 5))[:30]),
        hangs_up,
        says(503, BUSY, Retry_After="9"),
        streams(EVENT % (5, 5)),
    ]
    breaks: list[str] = []
    found = form.take(2, "events", last_id=3, station="CP", on_break=lambda error, wait: breaks.append(str(error)))
    assert [one.seq for one in found] == [4, 5]
    assert [headers.get("last-event-id") for _, _, headers, _ in bad.seen] == ["3", "4", "4", "4"]
    assert len(breaks) == 3 and form.waits[0] >= 1 and form.waits[2] == 9
    assert bad.seen[0][1] == "/api/v1/events?station=CP"


def test_a_stream_that_may_not_be_seen_is_not_asked_for_again(form: Form, bad: Bad):
    bad.script = [says(404, GONE)]
    with pytest.raises(ApiProblem, match="No such"):
        form.take(1, "live")
    assert len(bad.seen) == 1


def test_frames_tell_what_was_missed(form: Form, bad: Bad):
    frame = b'event: frame\ndata: {"station_id":"CP","time":"2026-01-01T00:00:00Z","direction":"in","text":"[]"}\n\n'
    bad.script = [streams(b'event: lagged\ndata: {"frames": 3}\n\n', frame)]
    lagged, shown = form.take(2, "frames")
    assert lagged == Lagged(3) and shown.text == "[]"


def test_a_file_that_breaks_off_is_no_file(form: Form, bad: Bad, tmp_path: Path):
    bad.script = [streams(b"id,energy_wh\n", b"1,")]
    with pytest.raises(Unreachable):
        form.read(format="csv")
    bad.script = [says(404, GONE)]
    with pytest.raises(ApiProblem):
        form.read()


def test_a_half_file_is_never_left_under_its_name(bad: Bad, tmp_path: Path):
    bad.script = [streams(b"id,energy_wh\n")]
    with Client(bad.url) as client, pytest.raises(Unreachable):
        client.export_sessions().save(tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()
