"""Who is asked in some cases, over HTTP: a provider of contracts for vehicles, and a server that takes files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESPONSE = "gJgCVGVzdA=="
"""What the provider hands out; nobody but the car reads it."""


class _Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = "certificateUpdateRes" if "certificateUpdateReq" in asked else "certificateInstallationRes"
        data = json.dumps({"CCPResponse": {"emaidContent": [{"messageDef": {name: RESPONSE}}]}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class _Files(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def contracts() -> AbstractContextManager[str]:
    """The provider's address, while it runs."""
    return _running(_Provider)


def files() -> AbstractContextManager[str]:
    """Where files may be left by PUT, while it runs."""
    return _running(_Files)


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
